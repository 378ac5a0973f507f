"""What there is: ``conformance list``, ``backends``, ``causes``, ``laws`` and ``schema``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance import content, describe, discovery, known, requirements, schema, selection
from conformance.cases import Case
from conformance.cli.group import (
    BACKENDS,
    PATHS,
    SELECTION,
    console_for_tables,
    main,
    with_options,
)
from conformance.coverage import counting, rendering
from conformance.discovery import Backend, UsageError
from conformance.explanation.causes import MEANINGS
from conformance.files import put
from conformance.formats import models
from conformance.laws.catalogue import LAWS
from conformance.laws.names import WORDS

COVERAGE_WIDTH = 100
READ: Mapping[str, type[BaseModel]] = {"cases": schema.CaseFile, "known": known.RegistryFile}
WRITTEN: Mapping[str, type[BaseModel]] = {"report": models.Report, "diff": models.Difference}


@main.command("list")
@PATHS
@click.option(
    "--coverage",
    "covered",
    is_flag=True,
    help="Count the cases by operator, axis, rank and dtype instead.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@with_options([*BACKENDS[:2], *SELECTION])
def list_cases(
    paths: tuple[Path, ...],
    covered: bool,
    form: str,
    backends: tuple[str, ...],
    backend_dirs: tuple[Path, ...],
    **options: Any,
) -> None:
    """List the cases that a run would take, with their requests in words.

    With --coverage a table shows what they cover: cases of the core tier / all.
    """
    found = discovery.discover(backend_dirs, backends)
    chosen = selection.select(paths, found, **options)
    work = chosen.work
    kept = {case.id for case, _ in work}
    listed = [case for case in chosen.cases if case.id in kept]
    if covered:
        _print_coverage(listed, form, options["tier"] == "full")
    elif form == "json":
        entries = [{"id": case.id, "asked": describe.asked(case)} for case in listed]
        click.echo(json.dumps(entries, indent=2, ensure_ascii=False))
    else:
        for case in listed:
            click.echo(f"{case.id}\t{describe.asked(case)}")
    targets = {target for _, target in work}
    cases = describe.plural(len(kept), "case")
    click.echo(f"{cases} on {describe.plural(len(targets), 'target')}", err=True)


def _print_coverage(listed: Sequence[Case], form: str, whole: bool) -> None:
    rows = counting.coverage(listed)
    if form == "json":
        click.echo(json.dumps(rendering.to_json(rows), indent=2, ensure_ascii=False))
        return
    console = Console(width=COVERAGE_WIDTH, highlight=False)
    for part in rendering.tables(rows, whole):
        console.print(part)


@main.command()
@with_options(BACKENDS)
def backends(
    backends: tuple[str, ...], backend_dirs: tuple[Path, ...], pythons: dict[str, str]
) -> None:
    """Tell which backends are found, where, at which version, and how to get the others.

    Modes in parentheses are extra: a run takes them where --mode names them.
    """
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
            _modes(backend),
        )
        if interpreter.problem:
            missing.append((backend, interpreter.problem))
    console = console_for_tables()
    console.print(table)
    for backend, problem in missing:
        console.print(f"{backend.name}: {problem}; {discovery.remedy(backend)}", highlight=False)


def _modes(backend: Backend) -> str:
    """The modes of a run, then those that have to be asked for."""
    extra = [f"({name})" for name, mode in backend.modes.items() if mode.extra]
    return ", ".join([*backend.usual_modes, *extra])


@main.command("requirements")
@click.argument("backend")
@click.option("--unpinned", is_flag=True, help="The names alone, to install the newest releases.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file instead of the standard output.",
)
def list_requirements(backend: str, unpinned: bool, out: Path | None) -> None:
    """Print what a backend is installed from, for pip's -r."""
    path = content.root("backends") / backend / "requirements.txt"
    if not path.is_file():
        names = sorted(each.parent.name for each in content.root("backends").glob("*/adapter.py"))
        raise UsageError(f"no backend {backend!r}; there are {', '.join(names)}")
    text = path.read_text(encoding="utf-8")
    if unpinned:
        text = "".join(f"{name}\n" for name in requirements.distributions(path))
    if out is None:
        click.echo(text, nl=False)
    else:
        put(out, text)


@main.command()
def causes() -> None:
    """List the causes that explanations name and that known.yaml may expect."""
    for name, meaning in MEANINGS.items():
        click.echo(f"{name}\t{meaning}")


@main.command()
def laws() -> None:
    """List the laws that cases may ask for: what equals what, and for which operators."""
    for name, words in WORDS.items():
        ops = LAWS[name].ops
        equation = words.equation(ops[0] if len(ops) == 1 else None)
        click.echo(f"{name}\t{equation}\t{', '.join(ops)}")


@main.command("schema")
@click.option("--known", "of", flag_value="known", help="That of known.yaml.")
@click.option("--report", "of", flag_value="report", help="That of report.json.")
@click.option("--diff", "of", flag_value="diff", help="That of 'conformance diff --format json'.")
def print_schema(of: str | None) -> None:
    """Print the JSON Schema of case files, for editors, or of what the suite writes."""
    name = of or "cases"
    written = name in WRITTEN
    fields = (
        WRITTEN[name].model_json_schema(mode="serialization")
        if written
        else READ[name].model_json_schema()
    )
    version = models.VERSION if written else schema.VERSION
    published = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:conformance:{name}:{version}",
        **fields,
    }
    click.echo(json.dumps(published, indent=2))
