"""``conformance show``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.syntax import Syntax
from rich.text import Text

from conformance import describe, discovery, selection, show
from conformance.cli.group import BACKENDS, console_for_tables, main, with_options
from conformance.discovery import UsageError


@main.command("show")
@click.argument("case")
@click.option("--target", default="", help="Only targets whose name has this in it.")
@with_options(BACKENDS[:2])
def show_case(
    case: str, target: str, backends: tuple[str, ...], backend_dirs: tuple[Path, ...]
) -> None:
    """Show what a case asks and the code that runs it in each framework."""
    found = discovery.discover(backend_dirs, backends)
    chosen = selection.named(case)
    targets = [t for backend in found for t in backend.targets if target in str(t)]
    if not targets:
        raise UsageError(f"no target has {target!r} in its name; see 'conformance backends'")
    console = console_for_tables(highlight=False)
    console.print(Text(chosen.id, style="bold"))
    console.print(Text(describe.request(chosen.request)))
    if chosen.fields.source:
        console.print(Text(f"source: {chosen.fields.source}"))
    for listing in show.listings(chosen, found, targets):
        console.print()
        title = f"{listing.target.api} ({listing.form})"
        if listing.unsupported:
            console.print(Text(f"{title}: unsupported: {listing.unsupported}", style="cyan"))
        else:
            console.print(Text(f"{title}  {listing.layout}", style="bold"))
            console.print(Syntax(listing.source.rstrip(), "python", background_color="default"))
