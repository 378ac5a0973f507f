"""What a campaign finds: a cause, the smallest case that has it, and where it has been met."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from conformance import cases, grouping, predicates, records
from conformance.cases import Case
from conformance.discovery import Target
from conformance.fuzzing import journal
from conformance.fuzzing.journal import Line
from conformance.predicates import Facts
from conformance.records import Record

NAME_LENGTH = 44
REMEMBERED = 200
State = Literal["new", "earlier", "still", "gone", "registered", "merged"]
"""Of this campaign; of an earlier one: not tried, there, not there, known by now; another's."""


@dataclass
class Finding:
    """A cause on a backend; ``case`` is the smallest case that has it, so far.

    ``number`` tells it from others of its journal. ``key`` is the cause's name, ``names`` are those
    that fit all cases so far. The case has the cause on all ``apis``, first of all on ``api``.
    ``failing`` are the facts of cases that have it.
    """

    number: int
    backend: str
    api: str
    key: str
    names: frozenset[str]
    case: Case
    record: Record
    shrunk: bool = False
    state: State = "new"
    count: int = 0
    apis: set[str] = field(default_factory=set)
    modes: set[str] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)
    checks: set[str] = field(default_factory=set)
    failing: list[Facts] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """Where its case is to be run."""
        return self.record.target

    @property
    def name(self) -> str:
        """A short name for files and entries, its own where the key is an error's message."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.key.lower()).strip("-")
        if len(plain) > NAME_LENGTH:
            digest = hashlib.sha256(self.key.encode()).hexdigest()[:4]
            plain = f"{plain[:NAME_LENGTH].rpartition('-')[0]}-{digest}"
        op = self.case.request.op.replace("_", "-")
        return plain if op in plain else f"{plain}-{op}"

    @property
    def sentence(self) -> str:
        """What it means, in a sentence."""
        return grouping.sentence(self.record)

    def met(self, record: Record, facts: Facts) -> None:
        """Note another case that has it."""
        self.count += 1
        self.there(record)
        if len(self.failing) < REMEMBERED:
            self.failing.append(facts)

    def there(self, record: Record) -> None:
        """Note where else it is."""
        self.apis.add(record.api)
        self.modes.add(record.mode)
        self.forms.add(record.form)
        self.checks.add(record.check)

    def takes(self, other: Finding) -> None:
        """Take over what is known of another finding, which is the same."""
        self.count += other.count
        self.failing = [*self.failing, *other.failing][:REMEMBERED]
        self.apis |= other.apis
        self.modes |= other.modes
        self.forms |= other.forms
        self.checks |= other.checks

    def line(self) -> Line:
        """What the journal holds of it."""
        return {
            "number": self.number,
            "backend": self.backend,
            "api": self.api,
            "key": self.key,
            "names": sorted(self.names),
            "apis": sorted(self.apis),
            "modes": sorted(self.modes),
            "forms": sorted(self.forms),
            "checks": sorted(self.checks),
            "case": cases.written(self.case),
            "record": records.record_json(self.record),
        }


def restored(fields: Line, shrunk: bool) -> Finding:
    """The finding that a line holds.

    Raises:
        ValueError, KeyError, TypeError: it holds none.
    """
    told: dict[str, Any] = dict(fields["record"])
    record = records.record_from_json(told)
    case = journal.read_case(fields["case"])
    finding = Finding(
        int(fields["number"]), str(fields["backend"]), str(fields["api"]), str(fields["key"]),
        frozenset(fields["names"]), case, record, shrunk, "earlier",
    )  # fmt: skip
    finding.met(record, predicates.facts(case))
    for name in ("apis", "modes", "forms", "checks"):
        getattr(finding, name).update(fields.get(name, ()))
    finding.count = 0
    return finding
