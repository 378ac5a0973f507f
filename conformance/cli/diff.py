"""``conformance diff``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from conformance import changes, content, describe, diff, known, results
from conformance.cli.group import UNEXPECTED, console_for_tables, main
from conformance.formats import documents, markdown, terminal
from conformance.grouping import Entries
from conformance.results import Results

RUN = click.Path(exists=True, path_type=Path)


@main.command("diff")
@click.argument("old", type=RUN)
@click.argument("new", type=RUN)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "md"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
def compare(old: Path, new: Path, form: str) -> None:
    """Tell what changed between two runs, by cause: new, fixed, changed, gone.

    OLD and NEW are results files, or folders: a folder stands for its own results, or for those of
    its subfolders where it has none. The exit status is 0 if nothing is worse than before, 1 if
    something is (an outcome that is unexpected now, or is known to be wrong and was right, a
    backend that does not run any more, an interrupted run), 2 for bad input.
    """
    entries = registered()
    found = since(old, results.gather([new]), [new], entries)
    groups = changes.grouped(found, entries)
    if form == "text":
        terminal.show(console_for_tables(highlight=False), found, groups)
    else:
        write = documents.differences if form == "json" else markdown.differences
        click.echo(write(found, groups), nl=False)
    sys.exit(UNEXPECTED if found.regressed else 0)


def since(old: Path, new: Results, files: Sequence[Path], entries: Entries) -> diff.Diff:
    """What changed from the results at one place to a run that was read from ``files``.

    Raises:
        ResultsError: there are none, they are damaged, or they have nothing in common.
    """
    found = diff.diff(results.gather([old]), new, entries)
    diff.comparable(found, content.display(old), describe.listing(map(content.display, files)))
    return found


def registered() -> Entries:
    """The registry entries of the suite's own backends, read without their adapters.

    Raises:
        ContentError: a registry is wrong.
    """
    return {
        (folder.name, entry.entry.id): entry
        for folder in sorted(content.root("backends").iterdir())
        for entry in known.load(folder / "known.yaml", folder.name).entries
    }
