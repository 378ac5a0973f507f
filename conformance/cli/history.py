"""``conformance history``: the outcomes of many runs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from conformance import content, describe, results, selection
from conformance.cli.group import console_for_tables, main
from conformance.discovery import UsageError
from conformance.history import History, Moment, Period, Run, Trend, packing
from conformance.records import EXPECTED, OUTCOMES

HISTORY = click.option(
    "--history",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("reports/history.sqlite"),
    show_default=True,
    help="The history's file.",
)


def _date(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return value and packing.utc(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no day and no time, such as 2026-11-20", context, parameter
        ) from None


@main.group()
def history() -> None:
    """Keep the outcomes of many runs, and ask when one changed."""


@history.command()
@HISTORY
@click.option("--revision", default="", help="The suite's revision, such as a commit.")
@click.option(
    "--date",
    default="",
    callback=_date,
    help="The day or time (ISO 8601) that it counts for, if not that of its start.",
)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=True, path_type=Path)
)
def add(path: Path, revision: str, date: str, files: tuple[Path, ...]) -> None:
    """Add runs: results files, or folders that hold one.

    The parts of one run (its backends, its shards) are merged first: 'conformance merge'.
    """
    read = [results.read(file / results.NAME if file.is_dir() else file) for file in files]
    with History.open(path, create=True) as held:
        for file, each in zip(files, read):
            added = held.add(each, revision, date)
            where = f"{content.display(file)}: run {added.run.number} of {content.display(path)}"
            if not added.new:
                click.echo(f"{where} is this very run: nothing was added")
                continue
            outcomes = describe.plural(added.run.outcomes, "outcome")
            news = f"{added.changed:,} not as before, {added.unseen:,} for the first time"
            cut = "" if added.run.complete else "; the run was interrupted"
            click.echo(f"{where}, {outcomes}: {news}{cut}")


@history.command()
@HISTORY
@click.argument("case")
@click.option("--target", default="", help="Only targets whose name has this in it.")
@click.option("--changed", is_flag=True, help="Only what did change.")
@click.option("--not-run", is_flag=True, help="Tell also when the backend did not run.")
def show(path: Path, case: str, target: str, changed: bool, not_run: bool) -> None:
    """Tell what a case gave in all runs: when it changed, between which versions.

    CASE is an id, or the end of one.
    """
    with History.open(path) as held:
        name = selection.find_id(held.cases(), case, "no run has one like it")
        periods = held.case(name, target, not_run=not_run)
    if not periods:
        raise UsageError(f"{name} ran on no target that has {target!r} in its name")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("target", "check", "runs", "days", "version", "outcome", "what"):
        table.add_column(title, no_wrap=title != "what")
    listed = 0
    for group in _by_subject(periods):
        if changed and len(group) == 1:
            continue
        for at, period in enumerate(group):
            form = "" if period.form == "native" else f" ({period.form})"
            table.add_row(
                "" if at else f"{period.target}",
                "" if at else f"{period.check}{form}",
                _span(str(period.first.run), str(period.last.run)),
                _span(period.first.date, period.last.date),
                _span(period.first.version, period.last.version),
                _outcome(period),
                period.detail,
            )
            listed += 1
    click.echo(name)
    if not listed:
        click.echo(f"the same in {describe.plural(max(p.runs for p in periods), 'run')}")
        return
    console_for_tables(highlight=False).print(table)
    for group in _by_subject(periods):
        for before, after in itertools.pairwise(group):
            click.echo(_told(before, after))


@history.command()
@HISTORY
@click.option("--backend", metavar="NAME", help="Of this backend, with its versions.")
@click.option("--target", default="", help="Only targets whose name has this in it.")
@click.option("--last", type=click.IntRange(1), help="Only so many runs.")
def trend(path: Path, backend: str | None, target: str, last: int | None) -> None:
    """Count the outcomes of each run; unexpected ones are what fails a run."""
    with History.open(path) as held:
        runs = {run.number: run for run in held.runs()}
        names = [backend] if backend else _backends(list(runs.values()))
        trends = {name: held.trend(name, target) for name in names}
    rows = _summed(runs, [each for name in names for each in trends[name]])
    if not rows:
        what = f"backend {backend!r}" if backend else "run"
        raise UsageError(f"{content.display(path)}: has no {what}{target and f' with {target!r}'}")
    rows = rows[-last:] if last else rows
    occurring = [name for name in OUTCOMES if any(counts.get(name) for _, _, counts in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("run", "day", "revision", *(["version"] if backend else [])):
        table.add_column(title)
    for title in (*occurring, "unexpected"):
        table.add_column(title, justify="right")
    for run, moment, counts in rows:
        unexpected = sum(number for name, number in counts.items() if name not in EXPECTED)
        told = [str(run.number), run.created[:10], run.revision[:12]]
        told += [moment.version] if backend else []
        numbers = [*(counts.get(name, 0) for name in occurring), unexpected]
        table.add_row(*told, *(f"{number:,}" for number in numbers))
    console_for_tables(highlight=False).print(table)


@history.command()
@HISTORY
@click.option("--run", "number", type=click.IntRange(1), help="Its number; else the latest.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="The results file to write.",
)
def export(path: Path, number: int | None, out: Path) -> None:
    """Write a run as a results file, to compare with: without arrays, sources and times."""
    with History.open(path) as held:
        run, found = held.run(number), held.results(number)
    try:
        results.write(out, found)
    except OSError as error:
        raise UsageError(f"{content.display(out)} cannot be written: {error.strerror}") from None
    outcomes = describe.plural(run.outcomes, "outcome")
    click.echo(f"{content.display(out)}: run {run.number} of {run.created[:10]}, {outcomes}")


def _by_subject(periods: Sequence[Period]) -> list[list[Period]]:
    groups: dict[object, list[Period]] = {}
    for period in periods:
        groups.setdefault((period.target, period.form, period.check), []).append(period)
    return list(groups.values())


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} – {last}"


def _outcome(period: Period) -> str:
    raw = "" if period.raw in (period.outcome, "pass") else f" ({period.raw})"
    return f"{period.outcome}{raw}"


def _told(before: Period, after: Period) -> str:
    """Between which runs and versions a change lies."""
    one, other = before.last, after.first
    where = f"{after.target} {after.check}"
    runs = f"run {one.run} ({one.date}) and run {other.run} ({other.date})"
    versions = other.moved(one) or f"both with {after.target.backend} {other.version}"
    return f"{where}: {_outcome(before)} → {_outcome(after)} between {runs}: {versions}"


def _backends(runs: Sequence[Run]) -> list[str]:
    return sorted({info.name for run in runs for info in run.header.backends})


def _summed(
    runs: dict[int, Run], trends: Sequence[Trend]
) -> list[tuple[Run, Moment, dict[str, int]]]:
    """Counts by run, over all trends; runs in their order."""
    sums: dict[int, tuple[Moment, dict[str, int]]] = {}
    for each in trends:
        _, counts = sums.setdefault(each.moment.run, (each.moment, {}))
        for name, number in each.counts.items():
            counts[name] = counts.get(name, 0) + number
    return [(run, *sums[number]) for number, run in runs.items() if number in sums]
