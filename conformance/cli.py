"""The command line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from conformance import (
    __version__,
    content,
    describe,
    discovery,
    known,
    results,
    schema,
    selection,
    session,
    show,
    summary,
)
from conformance.content import ContentError
from conformance.discovery import UsageError
from conformance.records import Record
from conformance.results import ResultsError
from conformance.session import Finished, Options
from conformance.supervisor import Limits

UNEXPECTED, BAD_INPUT, INTERRUPTED = 1, 2, 130
F = TypeVar("F", bound=Callable[..., Any])


class Group(click.Group):
    """Turns a user's mistakes into one sentence and exit code 2."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(context)
        except (ContentError, UsageError, ResultsError) as error:
            click.echo(f"error: {error}", err=True)
            context.exit(BAD_INPUT)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(UNEXPECTED)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="conformance")
def main() -> None:
    """Conformance tests for convolution and pooling across machine-learning frameworks."""


def _console(highlight: bool = True) -> Console:
    """A console; a log or a pipe is as wide as a table needs."""
    console = Console(highlight=highlight)
    return console if console.is_terminal else Console(width=160, highlight=highlight)


def _python(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise click.BadParameter(f"{value!r} is not NAME=PATH", context, parameter)
        pairs[name] = path
    return pairs


PATHS = click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
BACKENDS = [
    click.option("--backend", "backends", multiple=True, metavar="NAME", help="Only this backend."),
    click.option(
        "--backend-dir",
        "backend_dirs",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="A backend's folder outside of the suite.",
    ),
    click.option(
        "--python",
        "pythons",
        multiple=True,
        metavar="NAME=PATH",
        callback=_python,
        help="The interpreter that runs a backend.",
    ),
]
SELECTION = [
    click.option("--api", "apis", multiple=True, metavar="NAME", help="Only this API."),
    click.option("--mode", "modes", multiple=True, metavar="NAME", help="Only this mode."),
    click.option(
        "--tier",
        type=click.Choice(["core", "full"]),
        default="core",
        show_default=True,
        help="'full' runs everything.",
    ),
    click.option(
        "-k",
        "expression",
        default="",
        metavar="EXPR",
        help="Words with and, or, not, as in pytest.",
    ),
]


def _with(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@main.command()
@PATHS
@_with([*BACKENDS, *SELECTION])
@click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Workers side by side."
)
@click.option("--threads", type=click.IntRange(1), default=1, help="Threads of each worker.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports/latest"),
    show_default=True,
    help="Where the results go.",
)
@click.option("--resume", is_flag=True, help="Finish an interrupted run.")
@click.option(
    "--time-limit",
    type=click.FloatRange(0.1),
    default=Limits.seconds,
    show_default=True,
    help="Seconds that one case may take.",
)
@click.option(
    "--memory-limit",
    type=click.IntRange(64),
    default=Limits.memory // 2**20,
    show_default=True,
    help="MiB that a worker may use.",
)
@click.option("--require-backends", is_flag=True, help="A backend that does not run is an error.")
def run(require_backends: bool, time_limit: float, memory_limit: int, **options: Any) -> None:
    """Run cases on every backend that is found and compare with the oracle.

    PATHS are case files or folders; the suite's own cases where none is given. The exit status is
    0 if everything is as expected, 1 if something is not, 2 for bad input.
    """
    limits = Limits(seconds=time_limit, memory=memory_limit * 2**20)
    prepared = session.prepare(Options(**options, limits=limits))
    console = _console()
    work = prepared.work
    cases = describe.plural(len({case.id for case, _ in work}), "case")
    targets = describe.plural(len({target for _, target in work}), "target")
    console.print(f"{cases} on {targets}, {describe.plural(options['jobs'], 'worker')}")
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
    summary.show(console, data.records, data.header.backends, entries, finished.stale)
    console.print(f"results: {content.display(finished.path)}", highlight=False)
    sys.exit(_status(data.records, finished.stale, require_backends))


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


@main.command("list")
@PATHS
@_with([*BACKENDS[:2], *SELECTION])
def list_cases(
    paths: tuple[Path, ...],
    backends: tuple[str, ...],
    backend_dirs: tuple[Path, ...],
    **options: Any,
) -> None:
    """List the cases that a run would take, with their requests in words."""
    found = discovery.discover(backend_dirs, backends)
    chosen = selection.select(paths, found, **options)
    work = chosen.work
    kept = {case.id for case, _ in work}
    for case in chosen.cases:
        if case.id in kept:
            click.echo(f"{case.id}\t{describe.request(case.request)}")
    targets = {target for _, target in work}
    cases = describe.plural(len(kept), "case")
    click.echo(f"{cases} on {describe.plural(len(targets), 'target')}", err=True)


@main.command()
@_with(BACKENDS)
def backends(
    backends: tuple[str, ...], backend_dirs: tuple[Path, ...], pythons: dict[str, str]
) -> None:
    """Tell which backends are found, where, at which version, and how to get the others."""
    found = discovery.discover(backend_dirs, backends)
    interpreters = discovery.interpreters(found, pythons)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("backend", "version", "Python", "found in", "APIs", "modes"):
        table.add_column(name)
    missing = []
    for backend in found:
        interpreter = interpreters[backend.name]
        version = interpreter.version or Text("missing", style="magenta")
        table.add_row(
            backend.name,
            version,
            interpreter.python,
            interpreter.origin,
            ", ".join(backend.apis),
            ", ".join(backend.modes),
        )
        if interpreter.problem:
            missing.append((backend, interpreter.problem))
    console = _console()
    console.print(table)
    for backend, problem in missing:
        console.print(f"{backend.name}: {problem}; {discovery.remedy(backend)}", highlight=False)


@main.command("show")
@click.argument("case")
@click.option("--target", default="", help="Only targets whose name has this in it.")
@_with(BACKENDS[:2])
def show_case(
    case: str, target: str, backends: tuple[str, ...], backend_dirs: tuple[Path, ...]
) -> None:
    """Show what a case asks and the code that runs it in each framework."""
    found = discovery.discover(backend_dirs, backends)
    path = Path(case.partition("::")[0])
    everything = selection.select([path] if path.is_file() else [], found, tier="full").corpus
    chosen = selection.find(everything, case.partition("::")[2] or case)
    targets = [t for backend in found for t in backend.targets if target in str(t)]
    if not targets:
        raise UsageError(f"no target has {target!r} in its name; see 'conformance backends'")
    console = _console(highlight=False)
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


@main.command("schema")
@click.option("--known", "registry", is_flag=True, help="That of known.yaml.")
def print_schema(registry: bool) -> None:
    """Print the JSON Schema of case files, for editors."""
    model = known.RegistryFile if registry else schema.CaseFile
    name = "known" if registry else "cases"
    published = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:conformance:{name}:{schema.VERSION}",
        **model.model_json_schema(),
    }
    click.echo(json.dumps(published, indent=2))


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
    paths = [path for file in files for path in _results(file)]
    merged = results.merge([(path, results.read(path)) for path in paths])
    found = discovery.discover()
    merged = results.mention(merged, [backend.name for backend in found])
    out.mkdir(parents=True, exist_ok=True)
    target = out / results.NAME
    results.write(target, merged)
    console = _console()
    summary.show(console, merged.records, merged.header.backends, session.entries(found))
    console.print(f"results: {content.display(target)}", highlight=False)
    if not merged.complete:
        click.echo("some of these runs were interrupted; finish them with --resume", err=True)
    sys.exit(_status(merged.records, (), False) or (0 if merged.complete else UNEXPECTED))


def _results(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    nested = sorted(path.glob(f"*/{results.NAME}"))
    return nested or [path / results.NAME]
