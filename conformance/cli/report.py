"""``conformance report``."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path

import click

from conformance import content, describe, discovery, formats, known, results
from conformance.cli.diff import RUN, since
from conformance.cli.group import main
from conformance.files import put
from conformance.history import History
from conformance.report import building, rendering, spoken

NAME = "index.html"


@main.command("report")
@click.argument("files", nargs=-1, required=True, type=RUN)
@click.option("--baseline", type=RUN, help="An earlier run to tell changes from.")
@click.option(
    "--history",
    "store",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The history of earlier runs ('conformance history add').",
)
@click.option(
    "--code",
    is_flag=True,
    help="Add each feature in every framework's words, and a script for every cause.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports/latest"),
    show_default=True,
    help="The folder that the page goes to.",
)
@click.option(
    "--format",
    "forms",
    multiple=True,
    type=click.Choice(formats.FORMATS),
    help="Write this, too, beside the page.",
)
@click.option(
    "--cases",
    "paths",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Where cases are that are not the suite's own.",
)
@click.option(
    "--backend-dir",
    "backend_dirs",
    multiple=True,
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A backend's folder outside of the suite.",
)
def make_report(
    files: tuple[Path, ...],
    baseline: Path | None,
    store: Path | None,
    code: bool,
    out: Path,
    forms: tuple[str, ...],
    paths: tuple[Path, ...],
    backend_dirs: tuple[Path, ...],
) -> None:
    """Write the page of discrepancies: one HTML file that needs no network.

    FILES are results files, or folders: a folder stands for its own results, or for those of its
    subfolders where it has none.
    """
    gc.disable()  # A short process that keeps nearly all it makes.
    data = results.gather(files, whole=True)
    folders = discovery.folders(backend_dirs)
    data = results.mention(data, folders)
    entries = {
        (name, entry.entry.id): entry
        for name, folder in folders.items()
        for entry in known.load(folder / "known.yaml", name).entries
    }
    changed = None if baseline is None else since(baseline, data, files, entries)
    with contextlib.ExitStack() as stack:
        held = None if store is None else stack.enter_context(History.open(store))
        page = building.page(data, entries, paths, changed, held)
    if code:
        page = spoken.spoken(page, backend_dirs)
    target = out / NAME
    put(target, rendering.html(page), parents=True)
    click.echo(f"{building.headline(page)}")
    if page.missing:
        told = describe.listing(page.missing)
        click.echo(f"case files that are not as they ran: {told}; requests are not shown", err=True)
    others = tuple(form for form in formats.FORMATS if form in forms)
    if others:
        written = formats.write(data, changed, out, others, entries)
        names = describe.listing(str(path.relative_to(out)) for path in written)
        click.echo(f"beside the page: {names}")
    if page.since is not None and baseline is not None:
        click.echo(f"since {content.display(baseline)}: {page.since.conclusion}")
    click.echo(f"report: {content.display(target)}")
