"""The findings of a folder: each cause once, known ones apart, all of it in the journal.

An outcome may have several explanations. The fewest causes that explain all outcomes are looked
for as they come: an outcome that some finding explains is that finding's, whose names are then
those that explain both.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from conformance import cases, records
from conformance.cases import Case
from conformance.fuzzing.findings import Finding, State, restored
from conformance.fuzzing.journal import Journal, Line
from conformance.fuzzing.outcomes import Guarded, beyond, called, names, others, unexpected
from conformance.records import Record
from conformance.results import ResultsError


@dataclass
class Misplaced:
    """A registry entry that is met where its predicate does not hold, or not met where it does."""

    entry: str
    where: str
    case: Case
    record: Record
    count: int = 0


class Ledger:
    """All findings of a folder, those of earlier campaigns too. Threads may share it.

    ``beyond`` are entries whose cause was met in cases that they do not speak of, ``short`` those
    that speak of cases that pass.
    """

    def __init__(self, notes: Journal, earlier: Sequence[Line] = ()) -> None:
        self.notes = notes
        self.beyond: dict[tuple[str, str], Misplaced] = {}
        self.short: dict[tuple[str, str], Misplaced] = {}
        self._findings: dict[int, Finding] = {}
        self._lock = threading.RLock()
        for number, fields in enumerate(earlier, 1):
            try:
                self._restore(fields)
            except (ValueError, KeyError, TypeError):
                raise ResultsError(f"{notes.path}:{number}: is no line of a journal") from None

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order in which they were found."""
        with self._lock:
            return [each for each in self._findings.values() if each.state != "merged"]

    @property
    def new(self) -> list[Finding]:
        """The causes that this campaign found first."""
        return [finding for finding in self.findings if finding.state == "new"]

    def take(self, unit: Guarded) -> list[Finding]:
        """Note what a unit shows; the findings that are new by it, to be shrunk."""
        fresh = []
        for record, evidence in unexpected(unit):
            if record.outcome == "fixed":
                self._misplaced("short", unit, record, (record.known or "", record.note))
                continue
            told = names(unit, record, evidence)
            entry = beyond(unit, record, evidence)
            if entry is None and not self._counted(unit, record, told):
                told = list(dict.fromkeys([*told, *others(unit, evidence)]))
                entry = called(unit, record, told)
                found = None if entry else self._found(unit, record, told)
                fresh += [] if found is None else [found]
            if entry is not None:
                self._misplaced("beyond", unit, record, entry)
        return fresh

    def shrink(
        self, finding: Finding, case: Case, record: Record, also: Sequence[Record] = ()
    ) -> None:
        """Note the smallest case of a finding, and ``also`` where else it has the same cause.

        What was found there by the same name is the same finding, of which the first stays.
        """
        with self._lock:
            finding.case, finding.record, finding.shrunk = case, record, True
            for other in also:
                finding.there(other)
            same = [
                held
                for held in self.new
                if (held.backend, held.key) == (finding.backend, finding.key)
                and not held.apis.isdisjoint(finding.apis)
            ]
            first = next((held for held in same if held.shrunk), finding)
            rest = [held for held in same if held is not first]
            for held in rest:
                first.takes(held)
        self.notes.add("shrunk", first.line())
        for held in rest:
            self.settle(held, "merged")

    def settle(self, finding: Finding, state: State) -> None:
        """Note what has become of a finding."""
        finding.state = state
        self.notes.add(state, {"number": finding.number, "key": finding.key})

    def _counted(self, unit: Guarded, record: Record, told: Sequence[str]) -> bool:
        """Whether a finding of such a name is there; it has one more case then."""
        with self._lock:
            held = [f for f in self._there(record) if f.key in told and f.state != "gone"]
            if held:
                held[0].met(record, unit.facts)
        return bool(held)

    def _found(self, unit: Guarded, record: Record, told: Sequence[str]) -> Finding | None:
        """A finding that is new, or by another name; what is there already is counted."""
        with self._lock:
            finding = self._held(record, told)
            if finding is None:
                number = max(self._findings, default=0) + 1
                finding = Finding(
                    number, record.backend, record.api, told[0], frozenset(told), unit.case, record
                )
                self._findings[number] = finding
                fresh = True
            else:
                fresh = self._narrow(finding, unit.case, record, told)
            finding.met(record, unit.facts)
        if not fresh:
            return None
        self.notes.add("found", finding.line())
        return finding

    def _held(self, record: Record, told: Sequence[str]) -> Finding | None:
        """The finding that explains an outcome: by its name, else by another that it may have."""
        there = self._there(record)
        by_name = (finding for finding in there if finding.key in told)
        may_be = (f for f in there if f.state == "new" and not f.names.isdisjoint(told))
        return next(by_name, None) or next(may_be, None)

    def _there(self, record: Record) -> list[Finding]:
        """The findings of an outcome's API."""
        return [
            finding
            for finding in self.findings
            if finding.backend == record.backend and record.api in finding.apis
        ]

    def _narrow(self, finding: Finding, case: Case, record: Record, told: Sequence[str]) -> bool:
        """Keep the names that explain one more outcome; whether the finding is news again."""
        finding.names &= frozenset(told)
        if finding.key in told and finding.state != "gone":
            return False
        finding.key = next(name for name in told if name in finding.names)
        finding.case, finding.record, finding.shrunk = case, record, False
        finding.state = "new"
        return True

    def _misplaced(self, kind: str, unit: Guarded, record: Record, entry: tuple[str, str]) -> None:
        held = self.beyond if kind == "beyond" else self.short
        about = record.backend, entry[0]
        with self._lock:
            fresh = about not in held
            found = held.setdefault(about, Misplaced(*entry, unit.case, record))
            found.count += 1
        if fresh:
            told = {"backend": record.backend, "entry": entry[0], "case": cases.written(unit.case)}
            self.notes.add(kind, {**told, "record": records.record_json(record)})

    def _restore(self, fields: Line) -> None:
        kind = fields["kind"]
        if kind in ("found", "shrunk"):
            finding = restored(fields, kind == "shrunk")
            self._findings[finding.number] = finding
        elif kind in ("gone", "merged"):
            self._findings[int(fields["number"])].state = kind
        elif kind in ("still", "registered"):
            self._findings[int(fields["number"])].state = "earlier"
