"""``conformance import``: other projects' tests as case files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import click

from conformance import content, describe
from conformance.cli.group import main
from conformance.importing import onnx_cases, onnx_tests, writing
from conformance.importing.onnx_cases import Draft, LeftOut

HEAD = (
    writing.MARK + " onnx` from the node tests of onnx {version}: inputs and expected\n"
    "# outputs of onnx/onnx. Licence: Apache-2.0 (LICENSE there). Written anew by that command.\n"
)


@main.group("import")
def import_cases() -> None:
    """Turn other projects' tests into case files."""


@import_cases.command("onnx")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default="the current one",
    help="The folder for onnx-*.yaml.",
)
@click.option(
    "--package-version", "version", metavar="VERSION", help="Which onnx has to be installed."
)
@click.option("--force", is_flag=True, help="Overwrite files that this command did not write.")
def import_onnx(out: Path, version: str | None, force: bool) -> None:
    """Import the node tests of convolutions and poolings of the installed onnx package.

    Each test becomes a case with upstream's name, data and expected output, which is compared with
    the oracle first. What is left out is listed, with the reason.
    """
    installed, tests = onnx_tests.load(version)
    left_out: dict[str, str] = {}
    drafts: list[Draft] = []
    for test in tests:
        try:
            drafts += onnx_cases.drafts(test)
        except LeftOut as error:
            left_out[test.name] = str(error)
    made = writing.files(drafts, left_out, HEAD.format(version=installed), "onnx")
    writing.write(out, {name: text for name, (text, _) in made.items()}, force)
    _tell(
        out, installed, len(tests), {name: number for name, (_, number) in made.items()}, left_out
    )


def _tell(
    out: Path, version: str, tests: int, made: Mapping[str, int], left_out: Mapping[str, str]
) -> None:
    cases = describe.plural(sum(made.values()), "case")
    click.echo(f"{describe.plural(tests, 'test')} of onnx {version}, {cases}:")
    for name, number in made.items():
        click.echo(f"  {content.display(out / name)}\t{number}")
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, reason in left_out.items():
        reasons[reason].append(name)
    if reasons:
        click.echo(f"left out, {len(left_out)}:")
    for reason, names in reasons.items():
        click.echo(f"  {', '.join(names)}: {reason}")
