"""``conformance diff``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from conformance import changes, content, describe, diff, known, results
from conformance.cli.group import UNEXPECTED, console_for_tables, main
from conformance.discovery import UsageError
from conformance.files import put
from conformance.formats import documents, issues, markdown, terminal
from conformance.grouping import Entries
from conformance.results import Results

INDEX = "index.tsv"
RUN = click.Path(exists=True, path_type=Path)


@main.command("diff")
@click.argument("old", type=RUN)
@click.argument("new", type=RUN)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "md", "issues"]),
    default="text",
    show_default=True,
    help="How to print it; 'issues' writes a text for each backend and cause that is worse.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder that issues and their index.tsv go to.",
)
@click.option(
    "--open",
    "known_issues",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Open issues ('gh issue list --json number,body'): what has one is not opened again.",
)
def compare(old: Path, new: Path, form: str, out: Path | None, known_issues: Path | None) -> None:
    """Tell what changed between two runs, by cause: new, fixed, changed, gone.

    OLD and NEW are results files, or folders: a folder stands for its own results, or for those of
    its subfolders where it has none. The exit status is 0 if nothing is worse than before, 1 if
    something is (an outcome that is unexpected now, or is known to be wrong and was right, a
    backend that does not run any more, an interrupted run), 2 for bad input.
    """
    if (form == "issues") != (out is not None):
        raise UsageError("--format issues and --out DIR go together")
    if known_issues is not None and out is None:
        raise UsageError("--open goes with --format issues")
    entries = registered()
    found = since(old, results.gather([new]), [new], entries)
    groups = changes.grouped(found, entries)
    if out is not None:
        _write_issues(found, entries, out, known_issues)
    elif form == "text":
        terminal.show(console_for_tables(highlight=False), found, groups)
    else:
        write = documents.differences if form == "json" else markdown.differences
        click.echo(write(found, groups), nl=False)
    sys.exit(UNEXPECTED if found.regressed else 0)


def _write_issues(found: diff.Diff, entries: Entries, out: Path, known_issues: Path | None) -> None:
    known_ones = []
    if known_issues is not None:
        text = known_issues.read_text(encoding="utf-8", errors="replace")
        known_ones = issues.read_open(text, content.display(known_issues))
    made = issues.issues(found, entries, known_ones)
    for each in made:
        put(out / each.file, each.body, parents=True)
    put(out / INDEX, issues.index(made), parents=True)
    new = sum(each.number is None for each in made)
    told = describe.plural(len(made), "worse cause")
    click.echo(f"{told}, {new:,} without an open issue: {content.display(out / INDEX)}")


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
