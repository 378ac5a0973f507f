"""Markdown: the summary of a run, and what changed, for a CI job's page or a comment.

The most urgent comes first, and what does not fit into a job's summary is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from conformance import changes, describe
from conformance.changes import Changed
from conformance.diff import Diff
from conformance.formats.overview import Overview
from conformance.formats.texts import code, flat, prose
from conformance.grouping import Group

LIMIT = 1024 * 1024
"""What GitHub shows of a step's summary
(https://docs.github.com/actions/reference/workflow-commands-for-github-actions)."""
RESERVE = 4096
SENTENCE = 400
Command = Callable[[Changed], str]


class _Pages:
    """Text up to a limit of bytes; what ends a part always has room."""

    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self.room = limit - RESERVE

    def add(self, text: str) -> bool:
        """Add a text if it fits."""
        size = len(text.encode())
        if size > self.room:
            return False
        self.room -= size
        self.parts.append(text)
        return True

    def table(self, titles: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> None:
        """A table that leaves room for others; ``numbers`` columns from the second are numbers."""
        left = self.room // 2
        rule = ["---:" if 0 < at <= numbers else "---" for at in range(len(titles))]
        if not self.add(f"{_row(titles)}{_row(rule)}"):
            return
        lines = [_row(row) for row in rows]
        for at, line in enumerate(lines):
            if self.room - len(line.encode()) < left or not self.add(line):
                self.parts.append(_row([f"… and {len(lines) - at:,} more in the results"]))
                break
        self.parts.append("\n")

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.parts).rstrip("\n") + "\n"


def summary(overview: Overview, limit: int = LIMIT) -> str:
    """The run: its headline, what is unexpected, what changed, counts, what is known."""
    pages = _Pages(limit)
    headline = overview.headline
    pages.add(f"# Conformance: {prose(headline)}\n\n")
    for name, reason in overview.missing.items():
        pages.add(f"**{prose(name)} did not run:** {prose(reason)}\n\n")
    if overview.unexpected:
        pages.add("## Unexpected\n\n")
        _causes(pages, overview.unexpected, overview)
    if overview.baseline is not None:
        pages.add("## Changes since the baseline\n\n")
        _changes(pages, overview.baseline, overview.changed, changes.command)
    pages.add("## By target\n\n")
    _targets(pages, overview)
    if overview.known:
        told = describe.plural(len(overview.known), "known discrepancy")
        if pages.add(f"<details><summary>{told}, by cause</summary>\n\n"):
            _causes(pages, overview.known, overview)
            pages.parts.append("</details>\n\n")
    _run(pages, overview)
    return pages.text


def differences(
    found: Diff, groups: Sequence[Changed], command: Command = changes.command, limit: int = LIMIT
) -> str:
    """What changed between two runs."""
    pages = _Pages(limit)
    pages.add("# Conformance: " + prose(changes.conclusion(found, groups)) + "\n\n")
    _changes(pages, found, groups, command)
    return pages.text


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _causes(pages: _Pages, groups: Sequence[Group], overview: Overview) -> None:
    titles = ("kind", "targets", "cases", "cause, for example", "to reproduce it")
    rows = (
        (
            group.kind or "new",
            str(group.targets),
            str(group.cases),
            _named(group.cause, group.sentence),
            code(overview.command(group)),
        )
        for group in groups
    )
    pages.table(titles, rows, numbers=2)


def _named(cause: str, sentence: str) -> str:
    told = f"**{prose(flat(cause, SENTENCE))}**"
    return told if flat(sentence) in flat(cause) else f"{told} {prose(flat(sentence, SENTENCE))}"


def _targets(pages: _Pages, overview: Overview) -> None:
    titles = ("target", "pass", "known", "unexpected", "unsupported", "not run", "recipes right")
    rows = []
    for target, tally in overview.targets.items():
        counts = tally.counts
        told = f"{tally.recipes_right:,}/{tally.recipes:,}" if tally.recipes else ""
        shown = (counts["pass"], counts["known"], tally.unexpected, counts["unsupported"])
        rows.append(
            (
                prose(str(target)),
                *(f"{number:,}" for number in (*shown, counts["not-run"])),
                told,
            )
        )
    pages.table(titles, rows, numbers=6)


def _changes(pages: _Pages, found: Diff, groups: Sequence[Changed], command: Command) -> None:
    pages.add(f"{prose(span(found))}\n\n")
    for each in found.backends:
        pages.add(f"- {prose(changes.versions(each))}\n")
    pages.add("\n")
    if not groups:
        pages.add(f"No change in {describe.plural(found.compared, 'outcome')}.\n\n")
        return
    titles = ("change", "outcomes", "targets", "cause, for example", "to reproduce it")
    rows = (
        (
            f"**{each.title}**" if each.worse else each.title,
            f"{len(each.changes):,}",
            str(each.group.targets),
            f"{_named(each.cause, each.sentence)} {prose(f'({each.where})')}",
            code(command(each)) if command(each) else "",
        )
        for each in groups
    )
    pages.table(titles, rows, numbers=2)


def span(found: Diff) -> str:
    """When the runs began, and how much of them can be compared."""
    compared = describe.plural(found.compared, "outcome")
    suite = "" if found.old.suite == found.new.suite else (
        f"; suite {found.old.suite} → {found.new.suite}"
    )  # fmt: skip
    return f"{found.old.created} → {found.new.created}, {compared} in both{suite}"


def _run(pages: _Pages, overview: Overview) -> None:
    header = overview.results.header
    shown = [
        f"{info.name} {info.version}" for info, _ in overview.backends.values() if info.version
    ]
    told = [f"Run of {header.created}", f"suite {header.suite}", ", ".join(shown)]
    told.append(header.machine.get("system", ""))
    pages.parts.append(f"<sub>{prose('; '.join(filter(None, told)))}</sub>\n")
