"""The end of a run on the terminal: a table, the known discrepancies, and what is unexpected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from conformance import describe
from conformance.discovery import Target
from conformance.known import Known
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
WEIGHTS = ("bug", "numerical", "by-design", "unsupported", "")
LINES = 200


def table(records: Iterable[Record]) -> Table:
    """Targets by outcomes; recipes (the emulated forms) are counted apart."""
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
    for target in sorted(counted, key=lambda target: (target.backend, target.api, target.mode)):
        cells = [
            Text(str(counted[target][name]), style=STYLES[name] if counted[target][name] else "dim")
            for name in shown
        ]
        tried = recipes[target]
        result.add_row(
            target.api, target.mode, *cells, f"{sum(tried)}/{len(tried)}" if tried else ""
        )
    return result


def known_table(records: Iterable[Record], entries: Mapping[tuple[str, str], Known]) -> Table:
    """The known discrepancies that were met, the gravest first, each with an example."""
    groups: dict[tuple[str, str], list[Record]] = defaultdict(list)
    passing = set()
    for record in records:
        if record.outcome == "known" and record.known:
            groups[record.backend, record.known].append(record)
        if record.form == "emulated" and record.outcome == "pass":
            passing.add((record.case, record.target))
    kinds = {name: entries[name].entry.kind if name in entries else "" for name in groups}
    result = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for title in ("backend", "known discrepancy", "kind"):
        result.add_column(title, no_wrap=True)
    result.add_column("met", justify="right", no_wrap=True)
    result.add_column("for example", no_wrap=True, overflow="ellipsis", ratio=1)
    for backend, name in sorted(groups, key=lambda name: (WEIGHTS.index(kinds[name]), name)):
        group = groups[backend, name]
        example = group[0]
        recipe = "; the recipe passes" if (example.case, example.target) in passing else ""
        what = Text(f"{describe.outcome(example)}{recipe}")
        what.append(f"  {example.case} on {example.api}", style="dim")
        result.add_row(backend, name, kinds[backend, name], f"{len(group)} ×", what)
    return result


def show(
    console: Console,
    records: Sequence[Record],
    backends: Sequence[BackendInfo],
    entries: Mapping[tuple[str, str], Known],
    stale: Sequence[str] = (),
) -> None:
    """Print the summary of a run."""
    known = known_table(records, entries)
    if known.row_count:
        console.print()
        console.print(known)
    console.print()
    console.print(table(records))
    _missing(console, records, backends)
    unexpected = [record for record in records if record.unexpected]
    total = len(unexpected) + len(stale)
    console.print()
    if not total:
        ran = sum(1 for record in records if record.outcome != "not-run")
        console.print(f"[green]{describe.plural(ran, 'outcome')}, all as expected[/green]")
        return
    console.print(f"[bold red]{total:,} unexpected[/bold red]")
    for record in unexpected[:LINES]:
        _line(console, describe.line(record))
    if len(unexpected) > LINES:
        console.print(f"  … and {len(unexpected) - LINES:,} more in the results file")
    for text in stale:
        _line(console, text)


def _line(console: Console, text: str) -> None:
    console.print(Text(f"  {text}"), soft_wrap=True)


def _missing(console: Console, records: Sequence[Record], backends: Sequence[BackendInfo]) -> None:
    reasons: dict[str, str] = {}
    for record in records:
        if record.outcome == "not-run":
            reasons.setdefault(record.backend, record.note)
    for backend in backends:
        if backend.problem:
            reasons.setdefault(backend.name, backend.problem)
    for name, reason in reasons.items():
        first = reason.strip().splitlines()[0] if reason.strip() else "no reason was given"
        console.print(f"[magenta]{escape(name)} did not run:[/magenta] {escape(first)}")
