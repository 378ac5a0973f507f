"""What changed between two runs, outcome by outcome.

Runs are compared where both have an outcome of the same case, target, form and check. What an
outcome carries with it is told once: a recipe is tried only where the native spelling is not right,
a gradient only where there is an output.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

from conformance import results
from conformance.explanation import CAUSES
from conformance.explanation.causes import Cause
from conformance.grouping import Entries
from conformance.records import BackendInfo, Header, Record
from conformance.results import Key, Results, ResultsError

Kind = Literal[
    "new", "stopped", "changed", "case-changed", "fixed", "started", "vanished", "appeared"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
UNSTABLE: Cause = "unstable"
NONE: Entries = MappingProxyType({})
QUIET: Mapping[str, int] = {"pass": 1, "not-run": 2}
NUMBERS = re.compile(r"0x[0-9a-f]+|\d+")
SEVERITY: Mapping[str, int] = {
    "pass": 0,
    "unsupported": 1,
    "rejected": 1,
    "wrong-dtype": 2,
    "wrong-shape": 2,
    "wrong-value": 2,
    "timeout": 3,
    "crash": 3,
}
"""A refusal is told to the user, a wrong array is not, a dead process takes others with it."""

assert UNSTABLE in CAUSES
Unit = tuple[str, str, str, str]


@dataclass(frozen=True)
class Change:
    """One outcome that is not what it was; ``before`` or ``after`` is None where there is none.

    - ``new``: unexpected now; it was expected, or not there.
    - ``stopped``: it ran before, and its backend did not run now (``after`` may say so).
    - ``changed``: expected or unexpected as before, with another outcome, explanation or error; or
      expected only because a registry speaks of what is worse than before.
    - ``case-changed``: another outcome, and the case's file is another: nothing is said of the
      framework.
    - ``fixed``: it was unexpected and is not any more; it may be known instead.
    - ``started``: its backend did not run before.
    - ``vanished``, ``appeared``: the case, the target or the check is part of one run only.

    ``note`` says why something stopped, vanished, started or appeared.
    """

    kind: Kind
    before: Record | None
    after: Record | None
    note: str = ""

    @property
    def record(self) -> Record:
        """The outcome to look at: what is wrong now, else what was."""
        there = [record for record in (self.after, self.before) if record is not None]
        return min(there, key=lambda record: QUIET.get(record.outcome, 0))

    @property
    def worse(self) -> bool:
        """Whether this is a regression of what both runs asked."""
        if self.kind in ("new", "stopped"):
            return True
        if self.kind != "changed" or self.before is None or self.after is None:
            return False
        return SEVERITY[self.after.raw] > SEVERITY[self.before.raw]


@dataclass(frozen=True)
class Versions:
    """A backend as it was in each of the runs; None where it took no part."""

    name: str
    before: BackendInfo | None
    after: BackendInfo | None


@dataclass(frozen=True)
class Diff:
    """The changes from one run to another, in the order of `KINDS`.

    ``compared`` is the number of outcomes that both runs have; ``complete`` is False where the
    later run was interrupted.
    """

    old: Header
    new: Header
    changes: tuple[Change, ...]
    compared: int
    complete: bool = True

    @property
    def regressed(self) -> bool:
        """Whether anything is worse than before, or may be, as the later run did not end."""
        return not self.complete or any(change.worse for change in self.changes)

    @property
    def backends(self) -> tuple[Versions, ...]:
        """The backends of both runs by name."""
        old = {info.name: info for info in self.old.backends}
        new = {info.name: info for info in self.new.backends}
        return tuple(
            Versions(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())
        )

    @property
    def counts(self) -> dict[Kind, int]:
        """How many changes there are of each kind, in the order of `KINDS`."""
        found = dict.fromkeys(KINDS, 0)
        for change in self.changes:
            found[change.kind] += 1
        return found


def diff(old: Results, new: Results, entries: Entries = NONE) -> Diff:
    """What changed from the ``old`` run to the ``new`` one.

    Outcomes of uninitialised memory that are known do not count as changes. They are told by their
    explanation and by the ``entries`` that say so (``stable: false``).
    """
    unstable = {about for about, known in entries.items() if not known.entry.stable}
    for record in (*old.records, *new.records):
        causes = record.explanation.causes if record.explanation is not None else ()
        if record.outcome == "known" and record.known and UNSTABLE in causes:
            unstable.add((record.backend, record.known))
    return _Comparison(_Side("old", old), _Side("new", new), unstable).diff()


def comparable(found: Diff, old: str, new: str) -> None:
    """Refuse a comparison of runs that have nothing in common.

    Raises:
        ResultsError: no case ran, or failed to, on the same target in both; ``old`` and ``new``
            name them.
    """
    if not found.compared and not any(c.kind in ("stopped", "started") for c in found.changes):
        raise ResultsError(
            f"{old} and {new} have no outcome in common: compare runs of the same cases on the "
            "same backends"
        )


class _Side:
    """A run's records, by what they are about."""

    def __init__(self, name: str, run: Results) -> None:
        self.name = f"the {name} run"
        self.run = run
        self.records: dict[Key, Record] = {}
        self.units: dict[Unit, list[Record]] = defaultdict(list)
        self.idle: dict[Unit, Record] = {}
        for record in run.records:
            about = results.key(record)
            if record.outcome == "not-run":
                self.idle[about[:4]] = record
            else:
                self.records[about] = record
                self.units[about[:4]].append(record)
        self.cases = {unit[0] for unit in (*self.units, *self.idle)}
        self.targets = {unit[1:] for unit in (*self.units, *self.idle)}
        self.problems = {info.name: info.problem for info in run.header.backends}

    def digest(self, case: str) -> str | None:
        """The digest of a case's file."""
        return self.run.header.cases.get(case.rpartition("/")[0])

    def absence(self, unit: Unit) -> str:
        """Why a case on a target is no part of this run."""
        case, backend, *target = unit
        if not self.run.complete:
            return f"{self.name} was interrupted"
        if backend not in self.problems:
            return f"{self.name} is without {backend}"
        if case not in self.cases:
            return f"{self.name} is without the case"
        if (backend, *target) not in self.targets:
            return f"{self.name} is without {'/'.join((backend, *target))}"
        return f"{self.name} is without the case on this target"


@dataclass(frozen=True)
class _Comparison:
    old: _Side
    new: _Side
    unstable: set[tuple[str, str]]

    def diff(self) -> Diff:
        every = dict.fromkeys([*self.old.records, *self.new.records])
        found = [change for about in every if (change := self._change(about)) is not None]
        order = {kind: at for at, kind in enumerate(KINDS)}
        return Diff(
            self.old.run.header,
            self.new.run.header,
            tuple(sorted(found, key=lambda change: order[change.kind])),
            len(self.old.records.keys() & self.new.records.keys()),
            self.new.run.complete,
        )

    def _change(self, about: Key) -> Change | None:
        before, after = self.old.records.get(about), self.new.records.get(about)
        if before is not None and after is not None:
            return self._of_case(about, self._between(before, after))
        if after is not None:
            return self._came(about, after)
        assert before is not None
        return self._went(about, before)

    def _between(self, before: Record, after: Record) -> Change | None:
        if after.unexpected and not before.unexpected:
            return Change("new", before, after)
        if before.unexpected and not after.unexpected:
            worse = SEVERITY[after.raw] > SEVERITY[before.raw]
            return Change("changed" if worse else "fixed", before, after)
        if self._unsteady(before) or self._unsteady(after) or told(before) == told(after):
            return None
        return Change("changed", before, after)

    def _unsteady(self, record: Record) -> bool:
        return record.outcome == "known" and (record.backend, record.known) in self.unstable

    def _came(self, about: Key, after: Record) -> Change | None:
        unit = about[:4]
        if unit in self.old.units:
            if after.unexpected:
                return self._of_case(about, Change("new", None, after))
            if self._carried(about):
                return None
            return self._of_case(about, Change("appeared", None, after, "not checked before"))
        idle = self.old.idle.get(unit)
        if after.unexpected:
            return Change("new", idle, after)
        reason = idle.note if idle is not None else self.old.problems.get(after.backend, "")
        if idle is not None or reason:
            return Change("started", idle, after, reason)
        return Change("appeared", None, after, self.old.absence(unit))

    def _went(self, about: Key, before: Record) -> Change | None:
        unit = about[:4]
        if unit in self.new.units:
            change = self._superseded(about, before)
            return self._of_case(about, change)
        idle = self.new.idle.get(unit)
        reason = idle.note if idle is not None else self.new.problems.get(before.backend, "")
        if idle is not None or reason:
            return Change("stopped", before, idle, reason)
        return Change("vanished", before, None, self.new.absence(unit))

    def _superseded(self, about: Key, before: Record) -> Change | None:
        """What is to say of an outcome whose case still runs on its target."""
        now = self.new.units[about[:4]]
        if before.unexpected:
            wrong = next((record for record in now if record.unexpected), None)
            if wrong is None:
                return Change("fixed", before, None)
            reason = f"not reached: {wrong.form} {wrong.check} is {wrong.outcome}"
            return Change("vanished", before, None, reason)
        if self._carried(about):
            return None
        return Change("vanished", before, None, "not checked any more")

    def _carried(self, about: Key) -> bool:
        """Whether an outcome is there or not because of another one of its unit."""
        form, check = about[4:]
        if form == "emulated":
            return True
        forward = (*about[:5], "forward")
        one, other = self.old.records.get(forward), self.new.records.get(forward)
        return check == "vjp" and (one is None or other is None or one.raw != other.raw)

    def _of_case(self, about: Key, change: Change | None) -> Change | None:
        """The change, or that of the case where its file is another one now."""
        if change is None or self.old.digest(about[0]) == self.new.digest(about[0]):
            return change
        return replace(change, kind="case-changed", note="the case's file is another one")


def told(record: Record) -> tuple[object, ...]:
    """What two runs have to agree on for an outcome to be the same.

    Numbers in errors and how far values are off vary from machine to machine and are left out.
    """
    explanation, difference = record.explanation, record.difference
    meaning: tuple[object, ...] = ()
    if explanation is not None:
        meaning = (NUMBERS.sub("#", explanation.key), json.dumps(explanation.edits, default=str))
    elif record.error is not None:
        meaning = (record.error.type, NUMBERS.sub("#", record.error.message))
    array: tuple[object, ...] = ()
    if difference is not None:
        array = (difference.array, difference.observed_shape, difference.observed_dtype)
    return record.outcome, record.raw, *meaning, *array
