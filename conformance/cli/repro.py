"""``conformance repro``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import get_args

import click

from conformance import content, discovery, repro, selection, session
from conformance.adapter import Form
from conformance.cases import Case
from conformance.cli.group import BACKENDS, TIME_LIMIT, main, with_options
from conformance.discovery import Target, UsageError
from conformance.files import put
from conformance.known import Check
from conformance.repro import Reproduction, Wish
from conformance.supervisor import Broken, Limits
from conformance.workers import Workers


@main.command("repro")
@click.argument("case")
@click.option("--target", required=True, help="The first failing target whose name has this in it.")
@click.option("--form", type=click.Choice(get_args(Form)), help="Only this form of the program.")
@click.option("--check", type=click.Choice(get_args(Check)), help="Only this check.")
@click.option("--minimal", is_flag=True, help="Shrink the case while its reason stays the same.")
@click.option("--issue", is_flag=True, help="Write Markdown for the framework's issue form.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file instead of the standard output.",
)
@TIME_LIMIT
@with_options(BACKENDS)
def reproduce(
    case: str,
    target: str,
    form: Form | None,
    check: Check | None,
    minimal: bool,
    issue: bool,
    out: Path | None,
    time_limit: float,
    backends: tuple[str, ...],
    backend_dirs: tuple[Path, ...],
    pythons: dict[str, str],
) -> None:
    """Write a script that shows what a framework makes of a case, and run it.

    CASE is an id, the end of one, or FILE::ID; of a law it is the question, of a chain the step
    that goes wrong by itself. The script needs NumPy and the framework only; it
    ends with an AssertionError, the framework's own exception or its crash, or where the case
    passes with a line that says so.
    """
    found = discovery.discover(backend_dirs, backends)
    chosen = selection.named(case)
    targets = discovery.matching(found, target)
    interpreters = discovery.interpreters(found, pythons)
    limits = Limits(seconds=time_limit)
    with Workers({backend.name: backend for backend in found}, interpreters, limits) as workers:
        session.check_goldens([chosen], workers.references)
        try:
            result = _reproduction(workers, chosen, targets, Wish(form, check), minimal)
        except Broken as error:
            raise UsageError(f"{target} does not run any more: {error}") from None
    if issue and result.record.raw == "pass":
        raise UsageError(f"{_told(result)}; there is nothing to report")
    backend = next(b for b in found if b.name == result.target.backend)
    text = repro.report(result, backend) if issue else result.script
    if out is None:
        click.echo(text.encode(), nl=False)
    else:
        put(out, text)
    _tell(result)
    if out is not None and not issue:
        python = interpreters[backend.name].path or "python"
        words = [content.display(Path(python)), content.display(out)]
        click.echo(f"run it with: {shlex.join(words)}", err=True)


def _reproduction(
    workers: Workers, case: Case, targets: list[Target], wish: Wish, minimal: bool
) -> Reproduction:
    argument = selection.argument(case)
    if case.fields.law is None and case.chain is None:
        target, record = repro.find(workers, case, targets, wish)
    else:
        case, target, record = repro.find_part(workers, case, targets, wish)
    command = ["repro", argument, "--target", str(target)]
    command += ["--form", record.form, "--check", record.check]
    if not minimal or record.raw == "pass":
        return repro.reproduce(workers, case, target, record, command)
    smaller = repro.minimized(workers, case, target, record)
    if smaller is case:
        click.echo("nothing smaller does the same", err=True)
        return repro.reproduce(workers, case, target, record, command)
    _, record = repro.find(workers, smaller, [target], Wish(record.form, record.check))
    command.append("--minimal")
    return repro.reproduce(workers, smaller, target, record, command, original=case)


def _tell(result: Reproduction) -> None:
    """What the script shows, and whether it does."""
    passes = result.record.raw == "pass"
    click.echo(f"{_told(result)}{'; the script asserts that' * passes}", err=True)
    if not result.agrees and result.ending is not None:
        ends = result.ending.last
        click.echo(f"warning: run by itself, the script ends otherwise: {ends}", err=True)


def _told(result: Reproduction) -> str:
    where = f"{result.case.id} on {result.target} ({result.record.form} {result.record.check})"
    if result.record.raw == "pass":
        return f"{where} passes on {result.version}"
    return f"{where}: {result.operator} {result.happened}"
