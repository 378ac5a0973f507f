"""What changed between two runs, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import changes
from conformance.changes import Changed
from conformance.diff import Diff
from conformance.formats.markdown import Command, span
from conformance.formats.texts import clean, flat

STYLES = {
    "new": "red",
    "stopped": "magenta",
    "changed": "yellow",
    "case-changed": "cyan",
    "fixed": "green",
    "started": "green",
    "vanished": "dim",
    "appeared": "dim",
}
LINES = 40
ROOM = 70


def show(
    console: Console,
    found: Diff,
    groups: Sequence[Changed],
    command: Command = changes.command,
) -> None:
    """Print the changes by cause, what is worse outcome by outcome, and the conclusion."""
    _line(console, span(found))
    for each in found.backends:
        _line(console, f"  {changes.versions(each)}")
    if groups:
        console.print()
        console.print(_table(groups, command, console.width))
    worse = [change for group in groups if group.worse for change in group.changes]
    if worse:
        console.print()
    for change in worse[:LINES]:
        _line(console, f"  {clean(changes.line(change))}")
    if len(worse) > LINES:
        _line(console, f"  … and {len(worse) - LINES:,} more; --format json has all")
    console.print()
    style = "bold red" if found.regressed else "green"
    console.print(Text(changes.conclusion(found, groups), style=style))


def _table(groups: Sequence[Changed], command: Command, width: int) -> Table:
    """A line per cause; where it would be too narrow for the commands, they stand below."""
    commands = [command(each) for each in groups]
    beside = any(commands) and width - max(map(len, commands)) >= ROOM
    result = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    result.add_column("change", no_wrap=True)
    for title in ("outcomes", "targets", "cases"):
        result.add_column(title, justify="right", no_wrap=True)
    result.add_column("cause, for example", no_wrap=True, overflow="ellipsis", ratio=1)
    if beside:
        result.add_column("to reproduce it", no_wrap=True)
    for each, words in zip(groups, commands):
        what = Text(flat(each.cause), style="bold")
        told = each.sentence if words else f"{each.sentence}: {each.where}"
        what.append(f"  {flat(told)}", style="not bold dim")
        style = "red" if each.worse else STYLES[each.kind]
        counts = (len(each.changes), each.group.targets, each.group.cases)
        numbers = [f"{number:,}" for number in counts]
        more = [Text(words)] if beside else []
        result.add_row(Text(each.title, style=style), *numbers, what, *more)
        if words and not beside:
            below = Text(f"  {words}", overflow="fold", no_wrap=False)
            result.add_row("", "", "", "", below)
    return result


def _line(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
