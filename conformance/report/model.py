"""What the report shows, already grouped and named; the page's script only counts and filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.cases import Case
from conformance.changes import Changed
from conformance.diff import Diff
from conformance.discovery import Target
from conformance.grouping import Group
from conformance.history import Period
from conformance.records import BackendInfo, Header, Record
from conformance.side_by_side.arithmetic import Axis
from conformance.targets import Names

Fact = str | int | float | bool | None


@dataclass(frozen=True)
class Asked:
    """What a case asks. ``case`` is None where the case files do not hold it as it ran."""

    id: str
    op: str
    words: str
    facts: Mapping[str, Fact]
    case: Case | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Agreement:
    """Which APIs give what the oracle gives on a case, and which do not, in groups that agree.

    ``absent`` are those that cannot say it or did not run.
    """

    agree: tuple[str, ...]
    differ: tuple[tuple[str, ...], ...]
    refuse: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Registered:
    """What a registry says of a known discrepancy."""

    id: str
    kind: str
    why: str
    evidence: tuple[str, ...]
    where: str


@dataclass(frozen=True)
class Example:
    """An outcome to look at, the command that writes its script, and that if the page has it."""

    record: Record
    command: str
    script: str = ""


@dataclass(frozen=True)
class Cause:
    """Discrepancies of one explanation, known ones and new ones apart.

    ``raw`` is the gravest outcome among them; ``examples`` are one of each backend, that of the
    group first.
    """

    group: Group
    raw: str
    examples: tuple[Example, ...]
    entries: tuple[Registered, ...]


@dataclass(frozen=True)
class Grid:
    """The positions of windows along one axis, for drawing.

    ``taps[o]`` are the input elements that output element o is made of; those below 0 or from
    ``size`` on lie in the padding. Both sides are cut after so many elements as a drawing holds.
    """

    axis: Axis
    size: int
    pads: tuple[int, int]
    taps: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Backend:
    """A backend as it ran, or why it did not; ``flags`` by mode, what differs from mode to mode."""

    info: BackendInfo
    outcomes: int
    discrepancies: int
    unexpected: int
    flags: Mapping[str, str]

    @property
    def problem(self) -> str:
        """Why it did not run, on one line; empty where it did."""
        if self.outcomes and not self.info.problem:
            return ""
        lines = self.info.problem.strip().splitlines()
        return lines[0] if lines else "no outcome is of it"


@dataclass(frozen=True)
class Since:
    """What changed since a baseline: ``groups`` by cause, ``marks`` the kind by index of a record.

    ``versions`` are the backends whose version is another one.
    """

    found: Diff
    groups: tuple[Changed, ...]
    marks: Mapping[int, str]
    versions: tuple[str, ...]
    conclusion: str


@dataclass(frozen=True)
class Feature:
    """An operator's feature, and the plainest case that shows it."""

    op: str
    name: str
    case: str


@dataclass(frozen=True)
class Night:
    """A run of the history, as a column: its number, its day, the suite's revision."""

    run: int
    day: str
    revision: str


@dataclass(frozen=True)
class Count:
    """A backend's outcomes in a run, by the words of `Page.counts`.

    ``moved`` says that its version is not that of the run before.
    """

    version: str
    moved: bool
    words: Mapping[str, int]

    @property
    def discrepancies(self) -> int:
        """How many outcomes are not as they should be, known or not."""
        return self.words.get("known", 0) + self.words.get("unexpected", 0)


@dataclass(frozen=True)
class Row:
    """A backend's counts, None for a run without it; ``line`` are points of an SVG through them."""

    backend: str
    counts: tuple[Count | None, ...]
    line: str


@dataclass(frozen=True)
class Turn:
    """Outcomes that changed alike in one night: ``what`` from and to, ``versions`` that moved."""

    day: str
    backend: str
    versions: str
    what: str
    detail: str
    outcomes: int
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Trends:
    """The last runs of a history: a row for each backend, and what changed, the latest first."""

    nights: tuple[Night, ...]
    rows: tuple[Row, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Page:
    """All that the report shows. ``records`` are in the order of ``asked`` and ``targets``.

    ``commands`` are by the index of a record, ``agreements`` by case and check, ``periods`` by
    case, as ``trends`` None where no history was given. ``features`` and ``views`` say how each API
    says a case.
    """

    header: Header
    complete: bool
    truncated: bool
    backends: tuple[Backend, ...]
    targets: tuple[Target, ...]
    names: Names
    asked: tuple[Asked, ...]
    ops: tuple[str, ...]
    records: tuple[Record, ...]
    causes: tuple[Cause, ...]
    commands: Mapping[int, str]
    agreements: Mapping[tuple[str, str], str]
    missing: tuple[str, ...] = ()
    since: Since | None = None
    periods: Mapping[str, Sequence[Period]] | None = None
    trends: Trends | None = None
    features: tuple[Feature, ...] = ()
    views: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many outcomes there are of each word that the head of the page uses."""
        found = {"pass": 0, "known": 0, "unexpected": 0, "unsupported": 0, "not-run": 0}
        for record in self.records:
            found["unexpected" if record.unexpected else record.outcome] += 1
        return found
