"""Discrepancies grouped by cause: what a summary shows a line of."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance import describe
from conformance.adapter import EAGER
from conformance.discovery import Target
from conformance.known import Kind, Known
from conformance.records import Record

Entries = Mapping[tuple[str, str], Known]
WEIGHTS: tuple[str, ...] = ("bug", "numerical", "by-design", "unsupported", "")
PREFIX = re.compile(r"^(the [a-z ]+ )?equals (that of )?the request with ")


@dataclass(frozen=True)
class Group:
    """Outcomes of one cause, over all targets; ``example`` is the one to look at.

    ``cause`` is an explanation's key; for errors and crashes that are known, the id of the entry.
    ``plain`` says that the example is what ``conformance repro`` takes of itself.
    """

    cause: str
    records: tuple[Record, ...]
    example: Record
    plain: bool
    kind: Kind | None

    @property
    def unexpected(self) -> bool:
        """Whether these outcomes fail a run."""
        return self.example.unexpected

    @property
    def targets(self) -> int:
        """Number of targets."""
        return len({record.target for record in self.records})

    @property
    def cases(self) -> int:
        """Number of cases."""
        return len({record.case for record in self.records})

    @property
    def sentence(self) -> str:
        """What the example shows."""
        return sentence(self.example)


def grouped(records: Iterable[Record], entries: Entries) -> list[Group]:
    """The known outcomes and, apart from them, the unexpected ones: most targets first."""
    everything = list(records)
    groups: dict[tuple[str, bool], list[Record]] = defaultdict(list)
    for record in everything:
        if record.outcome == "known" or record.unexpected:
            groups[cause(record), record.unexpected].append(record)
    first = _first_of_units(everything)
    found = [group(name, held, entries, first) for (name, _), held in groups.items()]
    return sorted(found, key=lambda group: (-group.targets, -group.cases, group.cause))


def cause(record: Record) -> str:
    """What a record is grouped by."""
    explanation = record.explanation
    if explanation is not None and explanation.edits:
        return explanation.key
    if record.outcome in ("known", "fixed") and record.known:
        return record.known
    if explanation is not None:
        return explanation.key
    return record.outcome


def sentence(record: Record) -> str:
    """What an outcome means, else what happened."""
    explanation = record.explanation
    if explanation is None or not explanation.edits:
        return describe.outcome(record)
    return PREFIX.sub("", explanation.sentence)


def repro_command(
    group: Group, name: Callable[[str], str] = str, target: Callable[[Target], str] = str
) -> str:
    """The command that writes a script for the example.

    ``name`` is how a case is called, ``target`` how a target is.
    """
    record = group.example
    words = ["conformance repro", name(record.case), f"--target {target(record.target)}"]
    if not group.plain:
        words.append(f"--form {record.form}")
        words += ["--check vjp"] if record.check == "vjp" else []
    return " ".join(words)


def of_itself(records: Sequence[Record]) -> Record | None:
    """The record of a case on a target that ``conformance repro`` takes, if not told otherwise.

    What is unexpected comes before what is known; nothing where everything passes.
    """
    wrong = [record for record in records if record.unexpected or record.outcome == "known"]
    return min(wrong, key=lambda record: not record.unexpected, default=None)


def group(name: str, records: Sequence[Record], entries: Entries, first: set[int]) -> Group:
    """The group that some records make; ``first`` are the ids of those in `plain` commands."""
    kinds = [
        entries[record.backend, record.known].entry.kind
        for record in records
        if record.known and (record.backend, record.known) in entries
    ]
    gravest = min(kinds, key=WEIGHTS.index, default=None)
    plain = [record for record in records if id(record) in first]
    example = min(plain or records, key=_length)
    return Group(name, tuple(records), example, id(example) in first, gravest)


def examples(group: Group) -> list[Record]:
    """One outcome to look at of each backend; the group's own example is the first."""
    chosen: dict[str, Record] = {group.example.backend: group.example}
    for record in sorted(group.records, key=_length):
        chosen.setdefault(record.backend, record)
    return list(chosen.values())


def _first_of_units(records: Iterable[Record]) -> set[int]:
    units: dict[tuple[str, Target], list[Record]] = defaultdict(list)
    for record in records:
        units[record.case, record.target].append(record)
    return {id(chosen) for unit in units.values() if (chosen := of_itself(unit)) is not None}


def _length(record: Record) -> tuple[int, bool, str]:
    """How long a command is that names the case and the API; eager mode before others."""
    name = record.case.rpartition("/")[2]
    return len(name) + len(record.api), record.mode != EAGER.name, record.mode
