"""``conformance export``."""

from __future__ import annotations

from pathlib import Path

import click

from conformance import content, formats, results
from conformance.cli.diff import RUN, registered, since
from conformance.cli.group import main


@main.command("export")
@click.argument("files", nargs=-1, required=True, type=RUN)
@click.option(
    "--format",
    "forms",
    multiple=True,
    type=click.Choice(formats.FORMATS),
    help="Only this one; all where none is named.",
)
@click.option("--baseline", type=RUN, help="An earlier run to tell changes from.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports/latest"),
    show_default=True,
    help="The folder that the files go to.",
)
def export(
    files: tuple[Path, ...], forms: tuple[formats.Format, ...], baseline: Path | None, out: Path
) -> None:
    """Write results for others: JUnit XML, a Markdown summary, JSON, badges, an Atom feed.

    FILES are results files, or folders: a folder stands for its own results, or for those of its
    subfolders where it has none. The feed tells what changed since the --baseline.
    """
    data = results.gather(files)
    entries = registered()
    found = None if baseline is None else since(baseline, data, files, entries)
    for path in formats.write(data, found, out, forms, entries):
        click.echo(content.display(path))
    if not data.complete:
        click.echo("this run was interrupted; finish it with --resume", err=True)
