"""What a history tells: runs, periods of equal outcomes, counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from conformance.adapter import Form
from conformance.compare import Outcome
from conformance.discovery import Target
from conformance.known import Check
from conformance.records import Header


@dataclass(frozen=True)
class Run:
    """A run of the history.

    ``number`` counts runs as they were added, ``created`` is its start in UTC (ISO 8601), by which
    runs are in order. ``revision`` is what the adder said of the suite's revision. ``outcomes``
    counts its records. ``complete`` is False where the run was interrupted.
    """

    number: int
    created: str
    revision: str
    complete: bool
    outcomes: int
    header: Header

    def versions(self, backend: str) -> Mapping[str, str]:
        """What was installed for a backend, the framework first; nothing where it did not run."""
        found = (info for info in self.header.backends if info.name == backend)
        return next((info.versions for info in found if not info.problem), {})

    def version(self, backend: str) -> str:
        """The framework's version, empty where the backend did not run."""
        return next(iter(self.versions(backend).values()), "")


@dataclass(frozen=True)
class Moment:
    """A run as one backend sees it."""

    run: int
    created: str
    version: str
    versions: Mapping[str, str]

    @property
    def date(self) -> str:
        """The day of the run, in UTC."""
        return self.created[:10]

    def moved(self, before: Moment) -> str:
        """The versions that are not those of an earlier run, in words; empty where all are."""
        return ", ".join(
            f"{name} {before.versions.get(name, 'missing')} → {version}"
            for name, version in self.versions.items()
            if before.versions.get(name) != version
        )


@dataclass(frozen=True)
class Period:
    """Consecutive runs in which a case on a target, in one form and check, gave the same.

    Runs that do not have the outcome are passed over, as are those in which the backend did not
    run. ``raw`` is the outcome before known discrepancies were considered, ``known`` the entry
    that speaks of it. ``cause`` is the explanation's key, ``error`` the error's type, both empty
    where there is none; ``detail`` is what was told of the period's first run, in one line.
    ``runs`` counts.
    """

    case: str
    target: Target
    form: Form
    check: Check
    first: Moment
    last: Moment
    runs: int
    outcome: Outcome
    raw: Outcome
    known: str | None
    cause: str
    error: str
    detail: str


@dataclass(frozen=True)
class Trend:
    """How many outcomes of each sort a backend, or one of its targets, had in a run.

    ``counts`` has the outcomes that occur, in the order of `records.OUTCOMES`.
    """

    moment: Moment
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Number of outcomes."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Added:
    """What adding a run did.

    ``changed`` counts the outcomes that were not as in the run before, ``unseen`` those that no
    earlier run has. ``new`` is False where the very same run was there already, and nothing was
    added.
    """

    run: Run
    changed: int = 0
    unseen: int = 0
    new: bool = True
