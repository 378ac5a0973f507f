"""The command group, and the options and the console that its commands share."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from conformance import __version__
from conformance.content import ContentError
from conformance.discovery import UsageError
from conformance.results import ResultsError
from conformance.supervisor import Limits

UNEXPECTED, BAD_INPUT, INTERRUPTED = 1, 2, 130
LOG_WIDTH = 200
F = TypeVar("F", bound=Callable[..., Any])


class Group(click.Group):
    """Imports a command's module when it is asked for, as all take a while.

    It turns a user's mistakes into one sentence and exit code 2.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of all commands, in order."""
        self._load()
        return super().list_commands(context)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command of a name, None where there is no such."""
        self._load(name)
        if name not in self.commands:
            self._load()
        return super().get_command(context, name)

    def _load(self, only: str = "") -> None:
        """Import the modules of this package, or that of a name: they add their commands."""
        for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
            if only in ("", module.name):
                importlib.import_module(f"conformance.cli.{module.name}")

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


def console_for_tables(highlight: bool = True) -> Console:
    """The terminal; a log or a pipe is as wide as a table needs."""
    console = Console(highlight=highlight)
    return console if console.is_terminal else Console(width=LOG_WIDTH, highlight=highlight)


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
    click.option(
        "--mode",
        "modes",
        multiple=True,
        metavar="NAME",
        help="Only this mode, extra ones too; 'all' for all.",
    ),
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


JOBS = click.option(
    "--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="Workers side by side."
)
MEMORY_LIMIT = click.option(
    "--memory-limit",
    type=click.IntRange(64),
    default=Limits.memory // 2**20,
    show_default=True,
    help="MiB that a worker may use.",
)
TIME_LIMIT = click.option(
    "--time-limit",
    type=click.FloatRange(0.1),
    default=Limits.seconds,
    show_default=True,
    help="Seconds that one case may take.",
)


def with_options(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Decorate a command with several options, in the order in which help shows them."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
