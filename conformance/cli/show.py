"""``conformance show``."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from conformance import discovery, selection, session
from conformance.cases import Case
from conformance.cli.group import BACKENDS, UNEXPECTED, console_for_tables, main, with_options
from conformance.discovery import Backend, Interpreter, UsageError
from conformance.files import put
from conformance.side_by_side import composites, excerpts, merging, rendering, show
from conformance.side_by_side.lowerings import Speakers
from conformance.side_by_side.show import Entry, Obvious, SideBySide
from conformance.workers import Workers

STYLES = {"native": "green", "recipe": "cyan", "none": "magenta"}


@main.command("show")
@click.argument("case")
@click.option("--target", default="", help="Only targets whose name has this in it.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", *rendering.FORMATS]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file instead of the standard output.",
)
@click.option("--verify", is_flag=True, help="Run the code and compare with the oracle.")
@with_options(BACKENDS)
def show_case(
    case: str,
    target: str,
    form: str,
    out: Path | None,
    verify: bool,
    backends: tuple[str, ...],
    backend_dirs: tuple[Path, ...],
    pythons: dict[str, str],
) -> None:
    """Show what a case asks and the code that gives exactly that in each framework.

    CASE is an id, the end of one, or FILE::ID. Beside the code stands what an API's obvious
    spelling gives where that is something else. The exit status is 0, 1 where --verify finds code
    that is not right, 2 for bad input.
    """
    found = discovery.discover(backend_dirs, backends)
    chosen = selection.named(case)
    everything = [each for backend in found for each in backend.all_targets]
    targets = discovery.having(everything, target)
    if not targets:
        raise UsageError(f"no target has {target!r} in its name; see 'conformance backends'")
    interpreters = discovery.interpreters(found, pythons)
    asked = [b for b in found if any(each.backend == b.name for each in targets)]
    with Speakers(asked) as speakers:
        make = show.side_by_side if chosen.chain is None else composites.side_by_side
        view = make(chosen, speakers, targets, interpreters)
    if verify:
        view = _verified(view, chosen.plain, found, interpreters)
    _write(view, form, out)
    if any(entry.right is False for entry in view.entries):
        sys.exit(UNEXPECTED)


def _verified(
    view: SideBySide,
    case: Case,
    found: Sequence[Backend],
    interpreters: dict[str, Interpreter],
) -> SideBySide:
    with Workers({backend.name: backend for backend in found}, interpreters) as workers:
        session.check_goldens([case], workers.references)
        return show.verified(view, case, workers)


def _write(view: SideBySide, form: str, out: Path | None) -> None:
    console = console_for_tables(highlight=False)
    if form != "json":
        view = replace(view, entries=merging.merged(view.entries))
    if form == "text" and out is None and console.is_terminal:
        _print(console, view)
        return
    text = _text(view) if form == "text" else rendering.FORMATS[form](view)
    if out is None:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
        return
    put(out, text)


def _text(view: SideBySide) -> str:
    """What a log or a file gets: as wide as a table needs, and without blanks at its right."""
    stream = io.StringIO()
    _print(Console(file=stream, width=160, highlight=False), view)
    return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())


def _print(console: Console, view: SideBySide) -> None:
    console.print(Text(view.case, style="bold"))
    console.print(Text(view.words))
    if view.note:
        console.print(Text(view.note, style="italic"))
    if view.source:
        console.print(Text(f"source: {view.source}"))
    console.print()
    console.print(_arithmetic(view))
    for rule in view.rules:
        console.print(Text(rule, style="dim"))
    if len(view.entries) > 1:
        console.print()
        console.print(_overview(view.entries, console.width))
    for entry in view.entries:
        console.print()
        # The helpers of a chain are its steps.
        _print_entry(console, entry, len(view.entries) == 1 or view.chain is not None)


def _arithmetic(view: SideBySide) -> Table:
    columns, rows = rendering.axis_table(view)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("axis")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_column("arithmetic")
    for row in rows:
        table.add_row(row.name, *map(str, row.numbers), Text("\n".join(row.lines)))
    return table


def _overview(entries: Sequence[Entry], width: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", width=width)
    table.add_column("API", width=max(len(entry.api) for entry in entries))
    table.add_column("how", width=max(map(len, rendering.WAYS.values())))
    table.add_column("exactly this", no_wrap=True, overflow="ellipsis", ratio=1)
    for entry in entries:
        essence = Text(rendering.essence(entry) if entry.code else entry.verdicts[0].reason)
        if entry.obvious:
            essence += Text("\n") + _instead(entry.obvious)
        way = Text(rendering.WAYS[entry.way], style=STYLES[entry.way])
        table.add_row(Text(entry.api), way, essence)
    return table


def _instead(obvious: Obvious) -> Text:
    right = obvious.effect in ("same", "same-values")
    style = "yellow" if obvious.effect == "same-values" else "green" if right else "red"
    return Text(f"obvious spelling: {rendering.said(obvious)}", style=style)


def _print_entry(console: Console, entry: Entry, whole: bool) -> None:
    way = (rendering.WAYS[entry.way], STYLES[entry.way])
    about = (f"  {', '.join(rendering.about_code(entry))}", "dim")
    console.print(Text.assemble((entry.api, "bold"), ": ", way, about))
    for line in rendering.remarks(entry):
        console.print(Text(line))
    if entry.code:
        console.print()
        code = entry.code if whole else excerpts.abridged(entry.code)
        console.print(Syntax(code.rstrip(), "python", background_color="default", word_wrap=True))
    if entry.obvious:
        console.print()
        console.print(_instead(entry.obvious))
        console.print(Text(f"  {entry.obvious.line}", style="dim"))
