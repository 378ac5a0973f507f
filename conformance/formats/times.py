"""When a run began."""

from __future__ import annotations

import datetime
import re

from conformance import content
from conformance.results import ResultsError


def moment(created: str) -> datetime.datetime:
    """The time that a results file's header gives, in UTC.

    Raises:
        ResultsError: it is none.
    """
    try:
        found = datetime.datetime.fromisoformat(re.sub("Z$", "+00:00", created))
        aware = found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)
        return aware.astimezone(datetime.timezone.utc)
    except (ValueError, TypeError, OverflowError):
        told = content.shown(created)
        raise ResultsError(f"the header of the results has no time of the run: {told}") from None
