"""The changes between two runs grouped by cause: what is shown a line of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from conformance import describe, grouping
from conformance.diff import KINDS, NONE, Change, Diff, Kind, Versions
from conformance.discovery import Target
from conformance.grouping import Entries, Group
from conformance.records import Record

TITLES: dict[Kind, str] = {
    "new": "new",
    "stopped": "not run any more",
    "changed": "changed",
    "case-changed": "the case changed",
    "fixed": "fixed",
    "started": "runs now",
    "vanished": "vanished",
    "appeared": "appeared",
}
ABSENT = ("stopped", "started", "vanished", "appeared")
HERE = ("vanished", "appeared")


@dataclass(frozen=True)
class Changed:
    """Changes of one kind and one cause; ``group`` are the outcomes to look at, ``example`` one.

    Changes for the worse and others are apart. What is there in one run only is grouped by why.
    """

    kind: Kind
    cause: str
    worse: bool
    changes: tuple[Change, ...]
    group: Group
    example: Change

    @property
    def title(self) -> str:
        """The kind in words."""
        return title(self.example)

    @property
    def sentence(self) -> str:
        """What the example was, and what it is."""
        if self.kind not in ABSENT and self.group.sentence != self.example.record.outcome:
            return f"{transition(self.example)}; {self.group.sentence}"
        return transition(self.example)

    @property
    def where(self) -> str:
        """The case and the target of the example."""
        return f"{self.example.record.case} on {self.example.record.target}"


def title(change: Change) -> str:
    """The kind of a change in words; what a registry brought about is named apart."""
    after = change.after.outcome if change.after is not None else ""
    if change.kind == "new" and after == "fixed":
        return "stale entry"
    if change.kind == "fixed" and after == "known":
        return "registered"
    worse = change.kind == "changed" and change.worse
    return f"{TITLES[change.kind]}, worse" if worse else TITLES[change.kind]


def transition(change: Change) -> str:
    """``pass → wrong-value``; what a stale entry speaks of is a pass."""
    absent = "not-run" if change.kind in ("stopped", "started") else "absent"
    words = [absent if each is None else each.outcome for each in (change.before, change.after)]
    return " → ".join("pass" if word == "fixed" else word for word in words)


def grouped(found: Diff, entries: Entries = NONE) -> list[Changed]:
    """All changes: regressions first, then by kind, most targets first."""
    held: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in found.changes:
        held[title(change), cause(change)].append(change)
    result = [_changed(name, changes, entries) for (_, name), changes in held.items()]
    return sorted(
        result,
        key=lambda changed: (
            not changed.worse,
            KINDS.index(changed.kind),
            changed.title,
            -changed.group.targets,
            -changed.group.cases,
            changed.cause,
        ),
    )


def cause(change: Change) -> str:
    """What a change is grouped by."""
    if change.kind in ABSENT:
        reason = change.note.strip().splitlines()
        told = reason[0] if reason else "no reason was given"
        return told if change.kind in HERE else f"{change.record.backend}: {told}"
    return grouping.cause(change.record)


def command(
    changed: Changed, name: Callable[[str], str] = str, target: Callable[[Target], str] = str
) -> str:
    """The command that writes a script for the example; nothing where none can show it."""
    ran = changed.example.record.outcome
    if changed.kind in ABSENT or ran in ("pass", "fixed", "not-run", "unsupported"):
        return ""
    return grouping.repro_command(changed.group, name, target)


def line(change: Change) -> str:
    """One line about a change: where, what it was, what it is."""
    record = change.record
    form = "" if record.form == "native" else f" {record.form}"
    check = " vjp" if record.check == "vjp" else ""
    told = transition(change)
    if change.kind in ABSENT:
        return f"{record.case}  {record.target}{form}{check}  {told}: {cause(change)}"
    said = describe.outcome(record)
    more = "" if said == record.outcome else f": {said}{describe.meaning(record)}"
    return f"{record.case}  {record.target}{form}{check}  {told}{more}"


def versions(each: Versions) -> str:
    """``torch 2.12.0 → 2.13.0``; a backend that did not run is said to be missing."""
    words = []
    for info in (each.before, each.after):
        if info is None:
            words.append("not part of it")
        else:
            words.append("missing" if info.problem else info.version or "of no version")
    return f"{each.name} {words[0]}" if words[0] == words[1] else f"{each.name} {' → '.join(words)}"


def conclusion(found: Diff, groups: Sequence[Changed]) -> str:
    """The last line: what is worse and what is better."""
    worse = [changed for changed in groups if changed.worse]
    told = []
    if worse:
        number = sum(len(changed.changes) for changed in worse)
        causes = describe.plural(len(worse), "cause")
        told.append(f"{describe.plural(number, 'regression')}, {causes}")
    else:
        told.append("no regression")
    if not found.complete:
        told.append("the later run was interrupted")
    for word in ("fixed", "registered"):
        number = sum(1 for change in found.changes if title(change) == word)
        told += [f"{number:,} {word}"] if number else []
    return "; ".join(told)


def _changed(name: str, changes: Sequence[Change], entries: Entries) -> Changed:
    records = [change.record for change in changes]
    group = grouping.group(name, records, entries, _plain(records))
    example = next(change for change in changes if change.record is group.example)
    return Changed(example.kind, name, example.worse, tuple(changes), group, example)


def _plain(records: Iterable[Record]) -> set[int]:
    """Those that ``conformance repro`` takes of itself: what is unexpected, natively, first."""
    return {
        id(record)
        for record in records
        if record.unexpected and record.form == "native" and record.check != "vjp"
    }
