"""What the formats show of a run: counts by target, and discrepancies by cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from conformance import changes, describe, grouping, targets
from conformance.changes import Changed
from conformance.diff import NONE, Diff
from conformance.discovery import Target
from conformance.grouping import Entries, Group
from conformance.records import OUTCOMES, BackendInfo, Record
from conformance.results import Results


@dataclass
class Tally:
    """Outcomes counted; recipes (the emulated forms) that are right are counted apart."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(OUTCOMES, 0))
    unexpected: int = 0
    recipes: int = 0
    recipes_right: int = 0

    def add(self, record: Record) -> None:
        """Count an outcome."""
        self.unexpected += record.unexpected
        if record.form == "emulated":
            self.recipes += 1
            if record.outcome == "pass":
                self.recipes_right += 1
                return
        self.counts[record.outcome] += 1


@dataclass(frozen=True)
class Overview:
    """A run, what changed since its baseline, and what the registries say.

    ``command`` says how to reproduce a group's example.
    """

    results: Results
    baseline: Diff | None = None
    entries: Entries = field(default_factory=lambda: NONE)
    command: Callable[[Group], str] = grouping.repro_command

    @cached_property
    def targets(self) -> dict[Target, Tally]:
        """Counts by target: backends and APIs by name, eager mode before others."""
        found: dict[Target, Tally] = defaultdict(Tally)
        for record in self.results.records:
            found[record.target].add(record)
        return {target: found[target] for target in sorted(found, key=targets.place)}

    @cached_property
    def backends(self) -> dict[str, tuple[BackendInfo, Tally]]:
        """Each backend as it ran, with its counts."""
        found = {info.name: (info, Tally()) for info in self.results.header.backends}
        for record in self.results.records:
            if record.backend in found:
                found[record.backend][1].add(record)
        return found

    @cached_property
    def groups(self) -> list[Group]:
        """All causes, known and unexpected ones apart."""
        return grouping.grouped(self.results.records, self.entries)

    @property
    def unexpected(self) -> list[Group]:
        """The causes that fail the run."""
        return [group for group in self.groups if group.unexpected]

    @property
    def known(self) -> list[Group]:
        """The causes that the registries hold."""
        return [group for group in self.groups if not group.unexpected]

    @cached_property
    def changed(self) -> list[Changed]:
        """The changes since the baseline by cause."""
        return [] if self.baseline is None else changes.grouped(self.baseline, self.entries)

    @property
    def missing(self) -> dict[str, str]:
        """The backends that did not run, with the first line of the reason."""
        reasons = {info.name: info.problem for info, _ in self.backends.values() if info.problem}
        for record in self.results.records:
            if record.outcome == "not-run":
                reasons.setdefault(record.backend, record.note)
        return {name: first_line(reason) for name, reason in reasons.items()}

    @property
    def headline(self) -> str:
        """The first sentence: what a reader must know who reads no more."""
        wrong = sum(tally.unexpected for tally in self.targets.values())
        ran = sum(1 for record in self.results.records if record.outcome != "not-run")
        if not ran:
            told = "nothing ran"
        elif wrong:
            causes = describe.plural(len(self.unexpected), "cause")
            told = f"{wrong:,} unexpected of {describe.plural(ran, 'outcome')}, {causes}"
        else:
            told = f"{describe.plural(ran, 'outcome')}, all as expected"
        return told if self.results.complete else f"{told}; the run was interrupted"


def first_line(reason: str) -> str:
    """The first line of a reason, or that there is none."""
    lines = reason.strip().splitlines()
    return lines[0] if lines else "no reason was given"
