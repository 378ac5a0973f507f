"""``conformance semantics``."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from conformance import cases, content, describe, discovery, results
from conformance.cli.group import BACKENDS, UNEXPECTED, main, with_options
from conformance.cli.run import result_files
from conformance.discovery import UsageError
from conformance.files import put
from conformance.semantics import features, page
from conformance.semantics.agreement import agreement
from conformance.semantics.survey import Survey, survey

DIFFERENCES = 20


@main.command()
@click.option("--check", is_flag=True, help="Do not write: compare with what is there.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="Another file than docs/semantics.md; '-' for the standard output.",
)
@click.option(
    "--results",
    "runs",
    multiple=True,
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="Do not write: compare with a run's results, a file or a folder as for 'merge'.",
)
@with_options(BACKENDS[:2])
def semantics(
    check: bool,
    out: Path | None,
    runs: tuple[Path, ...],
    backends: tuple[str, ...],
    backend_dirs: tuple[Path, ...],
) -> None:
    """Write the page of what each API makes of each feature.

    It is made from the cases, the adapters and the registries, without a framework. The exit status
    is 0, 1 where --check or --results finds a difference, 2 for bad input.
    """
    file = _file(out, bool(backends or backend_dirs))
    listed = features.load(cases.load([content.root("cases")]))
    found = survey(listed, discovery.discover(backend_dirs, backends))
    agreed = True
    if check or not runs:
        text = page.markdown(found, listed, Path() if file is None else file.parent)
        if check:
            agreed = _up_to_date(file, text)
        else:
            _write(file, text)
    if runs:
        agreed &= _held_against(found, runs)
    sys.exit(0 if agreed else UNEXPECTED)


def _file(out: Path | None, partial: bool) -> Path | None:
    """Where the page is; None for the standard output.

    Raises:
        UsageError: only part of the backends, or an installed suite, has no page of its own.
    """
    if out is not None:
        return None if str(out) == "-" else out
    home = content.root("backends").parent / "docs"
    if partial or not home.is_dir():
        raise UsageError(
            "say with --out FILE where this page is; docs/semantics.md is a checkout's, of all its "
            "backends"
        )
    return home / "semantics.md"


def _write(file: Path | None, text: str) -> None:
    if file is None:
        sys.stdout.buffer.write(text.encode())
        return
    put(file, text)


def _up_to_date(file: Path | None, text: str) -> bool:
    if file is None:
        raise UsageError("--check needs a file to compare with")
    try:
        there = file.read_text(encoding="utf-8") if file.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from None
    if there == text:
        return True
    name = content.display(file)
    click.echo(f"{name} is out of date; write it again with 'conformance semantics'", err=True)
    lines = list(
        difflib.unified_diff(there.splitlines(), text.splitlines(), name, "as it is", "", "", 0, "")
    )
    for line in lines[:DIFFERENCES]:
        click.echo(line, err=True)
    if len(lines) > DIFFERENCES:
        click.echo(f"… {describe.plural(len(lines) - DIFFERENCES, 'line')} more", err=True)
    return False


def _held_against(found: Survey, runs: tuple[Path, ...]) -> bool:
    paths = [path for run in runs for path in result_files(run)]
    told = agreement(found, results.merge([(path, results.read(path)) for path in paths]))
    if not told.compared:
        raise UsageError("these results have none of the page's cases")
    for text in told.disagreements:
        click.echo(text)
    click.echo(
        f"{told.compared:,} of the page's {told.total:,} cases on targets are in these results; "
        f"{describe.plural(len(told.disagreements), 'disagreement')}",
        err=True,
    )
    return not told.disagreements
