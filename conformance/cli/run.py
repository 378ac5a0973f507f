"""``conformance run`` and ``conformance merge``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from conformance import (
    cases,
    commands,
    content,
    describe,
    discovery,
    grouping,
    results,
    selection,
    session,
    shards,
    summary,
)
from conformance.cases import Case
from conformance.cli.group import (
    BACKENDS,
    INTERRUPTED,
    JOBS,
    MEMORY_LIMIT,
    PATHS,
    SELECTION,
    TIME_LIMIT,
    UNEXPECTED,
    console_for_tables,
    main,
    with_options,
)
from conformance.discovery import Backend, UsageError
from conformance.grouping import Group
from conformance.records import Record
from conformance.session import Finished, Options
from conformance.supervisor import Limits


@main.command()
@PATHS
@with_options([*BACKENDS, *SELECTION])
@JOBS
@click.option("--threads", type=click.IntRange(1), default=1, help="Threads of each worker.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports/latest"),
    show_default=True,
    help="Where the results go.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where what backends compile is kept for later runs.",
)
@click.option("--resume", is_flag=True, help="Finish an interrupted run.")
@click.option("--shard", metavar="I/N", help="Only the cases of the I-th of N shards.")
@click.option(
    "--durations",
    type=click.Path(exists=True, path_type=Path),
    help="Balance the shards by the times in this results file, the same for all of them.",
)
@TIME_LIMIT
@MEMORY_LIMIT
@click.option(
    "--require-backends", is_flag=True, help="A backend or mode that does not run is an error."
)
def run(
    require_backends: bool,
    time_limit: float,
    memory_limit: int,
    shard: str | None,
    durations: Path | None,
    **options: Any,
) -> None:
    """Run cases on every backend that is found and compare with the oracle.

    PATHS are case files or folders; the suite's own cases where none is given. The exit status is
    0 if everything is as expected, 1 if something is not, 2 for bad input.
    """
    limits = Limits(seconds=time_limit, memory=memory_limit * 2**20)
    own = None if shard is None else shards.parse(shard)
    if durations is not None and own is None:
        raise UsageError("--durations balances shards: it goes with --shard")
    earlier = durations / results.NAME if durations and durations.is_dir() else durations
    prepared = session.prepare(Options(**options, shard=own, durations=earlier, limits=limits))
    console = console_for_tables()
    work = prepared.work
    cases = describe.plural(len({case.id for case, _ in work}), "case")
    targets = describe.plural(len({target for _, target in work}), "target")
    part = "" if own is None else f", shard {own}"
    console.print(f"{cases} on {targets}, {describe.plural(options['jobs'], 'worker')}{part}")
    finished = _run_with_progress(console, prepared)
    entries = session.entries(prepared.backends)
    data = finished.results
    if finished.interrupted:
        click.echo(
            f"interrupted: {finished.path} holds {describe.plural(len(data.records), 'outcome')}; "
            f"{finished.remaining:,} of {len(work):,} case-target pairs to go: repeat the command "
            "with --resume",
            err=True,
        )
        sys.exit(INTERRUPTED)
    command = _repro(prepared.backends, prepared.selection.corpus, options["pythons"])
    summary.show(console, data.records, data.header.backends, entries, finished.stale, command)
    console.print(f"results: {content.display(finished.path)}", highlight=False)
    sys.exit(_status(data.records, finished.stale, require_backends))


def _repro(
    backends: Sequence[Backend], corpus: Sequence[Case], pythons: Mapping[str, str]
) -> Callable[[Group], str]:
    """How to reproduce a group's example, with what this run was told of cases and backends."""
    names = selection.names(corpus)
    found = {backend.name: backend for backend in backends}

    def command(group: Group) -> str:
        backend = found.get(group.example.backend)
        target = str if backend is None else backend.short
        words = [grouping.repro_command(group, lambda case: names.get(case, case), target)]
        if backend is not None:
            words += commands.backend_options(backend, pythons.get(backend.name))
        return " ".join(words)

    return command


def _run_with_progress(console: Console, prepared: session.Session) -> Finished:
    tally = {"pass": 0, "known": 0, "unexpected": 0, "not run": 0}
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[counts]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=len(prepared.work), counts="")

        def progress(unit: Sequence[Record]) -> None:
            for record in unit:
                name = "unexpected" if record.unexpected else record.outcome.replace("-", " ")
                if name in tally:
                    tally[name] += 1
            counts = "  ".join(f"{name} {number}" for name, number in tally.items() if number)
            bar.update(task, advance=1, counts=counts)

        return session.run(prepared, progress)


def _status(records: Sequence[Record], stale: Sequence[str], require_backends: bool) -> int:
    failed = any(record.unexpected for record in records) or bool(stale)
    missing = require_backends and any(record.outcome == "not-run" for record in records)
    return UNEXPECTED if failed or missing else 0


@main.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=True, path_type=Path)
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports/latest"),
    show_default=True,
    help="Where the merged results go.",
)
def merge(files: tuple[Path, ...], out: Path) -> None:
    """Merge results of several runs (other backends, other cases) and print their summary.

    FILES are results files, or folders: a folder stands for the results of its subfolders, or for
    its own where those have none.
    """
    paths = [path for file in files for path in result_files(file)]
    parts = [(path, results.read(path)) for path in paths]
    merged = results.merge(parts)
    absent = results.absent_shards(part for _, part in parts)
    found = discovery.discover()
    merged = results.mention(merged, [backend.name for backend in found])
    out.mkdir(parents=True, exist_ok=True)
    target = out / results.NAME
    results.write(target, merged)
    console = console_for_tables()
    command = _repro(found, cases.load([content.root("cases")]), {})
    entries = session.entries(found)
    summary.show(console, merged.records, merged.header.backends, entries, command=command)
    console.print(f"results: {content.display(target)}", highlight=False)
    for text in absent:
        click.echo(f"shard {text} is missing", err=True)
    if not all(part.complete for _, part in parts):
        click.echo("some of these runs were interrupted; finish them with --resume", err=True)
    sys.exit(_status(merged.records, (), False) or (0 if merged.complete else UNEXPECTED))


def result_files(path: Path) -> list[Path]:
    """The results that a path given to `merge` stands for."""
    if not path.is_dir():
        return [path]
    nested = sorted(path.glob(f"*/{results.NAME}"))
    return nested or [path / results.NAME]
