"""The end of a run on the terminal: a table, the known discrepancies, and what is unexpected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from conformance import describe, targets
from conformance.discovery import Target
from conformance.grouping import Entries, Group, grouped, repro_command
from conformance.records import BackendInfo, Record

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "pass": ("pass",),
    "known": ("known",),
    "fixed": ("fixed",),
    "wrong": ("wrong-shape", "wrong-dtype", "wrong-value"),
    "rejected": ("rejected",),
    "crash": ("crash", "timeout"),
    "unsupported": ("unsupported",),
    "not run": ("not-run",),
}
STYLES = {
    "pass": "green",
    "known": "yellow",
    "fixed": "red",
    "wrong": "red",
    "rejected": "red",
    "crash": "red",
    "unsupported": "cyan",
    "not run": "magenta",
}
ALWAYS = ("pass", "known", "wrong", "rejected", "crash")
LINES = 40
ROOM = 70


def table(records: Iterable[Record]) -> Table:
    """Targets by outcomes; recipes (the emulated forms) are counted apart.

    An API that several backends have is named with the backend.
    """
    counted: dict[Target, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    recipes: dict[Target, list[bool]] = defaultdict(list)
    column = {outcome: name for name, outcomes in COLUMNS.items() for outcome in outcomes}
    for record in records:
        counts = counted[record.target]
        if record.form == "emulated":
            recipes[record.target].append(record.outcome == "pass")
            if record.outcome == "pass":
                continue
        counts[column[record.outcome]] += 1
    result = Table(box=None, pad_edge=False, header_style="bold")
    result.add_column("API", no_wrap=True)
    result.add_column("mode", no_wrap=True)
    shown = [
        name
        for name in COLUMNS
        if name in ALWAYS or any(counts[name] for counts in counted.values())
    ]
    for name in shown:
        result.add_column(name, justify="right", no_wrap=True)
    result.add_column("recipes", justify="right", no_wrap=True)
    names = targets.names(counted)
    for target in sorted(counted, key=targets.place):
        cells = [
            Text(str(counted[target][name]), style=STYLES[name] if counted[target][name] else "dim")
            for name in shown
        ]
        tried = recipes[target]
        result.add_row(
            names[target.backend, target.api],
            target.mode,
            *cells,
            f"{sum(tried)}/{len(tried)}" if tried else "",
        )
    return result


def causes(groups: Sequence[Group], command: Callable[[Group], str], width: int) -> Table:
    """Discrepancies by cause, one line each, with the command that writes a repro.

    Where the line would be too narrow for both, the command stands below.
    """
    commands = [command(group) for group in groups]
    beside = width - max(map(len, commands), default=0) >= ROOM
    result = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    result.add_column("kind", no_wrap=True)
    for title in ("targets", "cases"):
        result.add_column(title, justify="right", no_wrap=True)
    result.add_column("cause, for example", no_wrap=True, overflow="ellipsis", ratio=1)
    if beside:
        result.add_column("to reproduce it", no_wrap=True)
    for group, words in zip(groups, commands):
        style = STYLES["wrong" if group.unexpected else "known"]
        what = Text(group.cause, style="bold")
        if group.sentence not in group.cause:
            what.append(f"  {group.sentence}", style="not bold dim")
        numbers = str(group.targets), str(group.cases)
        result.add_row(
            Text(group.kind or "new", style=style),
            *numbers,
            what,
            *([Text(words)] if beside else []),
        )
        if not beside:
            result.add_row("", "", "", Text(f"  {words}", overflow="fold", no_wrap=False))
    return result


def show(
    console: Console,
    records: Sequence[Record],
    backends: Sequence[BackendInfo],
    entries: Entries,
    stale: Sequence[str] = (),
    command: Callable[[Group], str] = repro_command,
) -> None:
    """Print the summary of a run; ``command`` says how to reproduce a group's example."""
    unexpected = [record for record in records if record.unexpected]
    groups = grouped(records, entries)
    known = [group for group in groups if not group.unexpected]
    if known:
        title = f"{describe.plural(len(known), 'known discrepancy')}, by cause:"
        console.print(f"\n[bold]{title}[/bold]")
        console.print(causes(known, command, console.width))
    console.print()
    console.print(table(records))
    _missing(console, records, backends)
    for backend in backends:
        if not backend.gradients:
            console.print(f"{escape(backend.name)} has no gradients: only its outputs are checked")
    total = len(unexpected) + len(stale)
    console.print()
    if not total:
        ran = sum(1 for record in records if record.outcome != "not-run")
        console.print(f"[green]{describe.plural(ran, 'outcome')}, all as expected[/green]")
        return
    new = [group for group in groups if group.unexpected]
    told = f"{total:,} unexpected, {describe.plural(len(new), 'cause')}:"
    console.print(f"[bold red]{told}[/bold red]")
    if new:
        console.print(causes(new, command, console.width))
        console.print()
    for record in unexpected[:LINES]:
        _line(console, describe.line(record))
    if len(unexpected) > LINES:
        console.print(f"  … and {len(unexpected) - LINES:,} more in the results file")
    for text in stale:
        _line(console, text)


def _line(console: Console, text: str) -> None:
    console.print(Text(f"  {text}"), soft_wrap=True)


def _missing(console: Console, records: Sequence[Record], backends: Sequence[BackendInfo]) -> None:
    reasons: dict[tuple[str, str], None] = {}
    for record in records:
        if record.outcome == "not-run":
            reasons[record.backend, record.note] = None
    named = {name for name, _ in reasons}
    for backend in backends:
        if backend.problem and backend.name not in named:
            reasons[backend.name, backend.problem] = None
    for name, reason in reasons:
        first = reason.strip().splitlines()[0] if reason.strip() else "no reason was given"
        console.print(f"[magenta]{escape(name)} did not run:[/magenta] {escape(first)}")
