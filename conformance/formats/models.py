"""What ``report.json`` and ``conformance diff --format json`` hold: the published schemas.

Fields may be added within a version; what is there keeps its name and meaning.
"""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from conformance.adapter import Form
from conformance.compare import Outcome as Word
from conformance.diff import Kind as ChangeKind
from conformance.known import Check, Kind

VERSION: Literal[1] = 1


class Model(pydantic.BaseModel):
    """Part of a document."""

    model_config = pydantic.ConfigDict(frozen=True)


class Backend(Model):
    """A backend as it ran; ``problem`` says why it did not."""

    name: str
    version: str
    versions: dict[str, str]
    python: str
    problem: str
    gradients: bool


class Run(Model):
    """What a run is of; ``cases`` are digests of the case files."""

    suite: str
    created: str
    machine: dict[str, str]
    cases: dict[str, str]
    backends: tuple[Backend, ...]


class Outcome(Model):
    """One case on one target in one form: forward, VJP or a law.

    ``raw`` is the outcome before known discrepancies were considered, ``cause`` what it is grouped
    by (empty for a pass), ``sentence`` what happened, ``known`` the entry that speaks of it.
    """

    case: str
    backend: str
    api: str
    mode: str
    form: Form
    check: Check
    outcome: Word
    raw: Word
    unexpected: bool
    cause: str
    sentence: str
    known: str | None


class Counts(Model):
    """Outcomes of a target by word; recipes (the emulated forms) that are right are apart."""

    backend: str
    api: str
    mode: str
    outcomes: dict[Word, int]
    unexpected: int
    recipes: int
    recipes_right: int


class Cause(Model):
    """Outcomes of one cause, known ones and unexpected ones apart; ``kind`` is the registry's."""

    cause: str
    unexpected: bool
    kind: Kind | None
    sentence: str
    targets: int
    cases: int
    outcomes: int
    example: Outcome
    command: Annotated[str, Field(description="writes a script that repeats the example")]


class Change(Model):
    """One outcome that is not what it was; one side is null where there is none."""

    kind: ChangeKind
    worse: bool
    cause: str
    note: str
    before: Outcome | None
    after: Outcome | None


class ChangedCause(Model):
    """Changes of one kind and one cause; ``title`` is the kind in words."""

    kind: ChangeKind
    title: str
    worse: bool
    cause: str
    sentence: str
    targets: int
    cases: int
    outcomes: int
    example: Change
    command: Annotated[str, Field(description="empty where no script can show it")]


class Difference(Model):
    """What changed from one run to another."""

    version: Literal[1] = VERSION
    old: Run
    new: Run
    complete: Annotated[bool, Field(description="false where the later run was interrupted")]
    regressed: bool
    compared: Annotated[int, Field(description="the number of outcomes that both runs have")]
    counts: dict[ChangeKind, int]
    causes: tuple[ChangedCause, ...]
    changes: tuple[Change, ...]


class Report(Model):
    """A run: counts by target, causes, and every outcome that is not a pass."""

    version: Literal[1] = VERSION
    run: Run
    complete: bool
    headline: str
    targets: tuple[Counts, ...]
    causes: tuple[Cause, ...]
    outcomes: tuple[Outcome, ...]
    baseline: Difference | None
