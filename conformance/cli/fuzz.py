"""``conformance fuzz``."""

from __future__ import annotations

import importlib.util
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conformance import content, describe, discovery
from conformance.cli.group import (
    BACKENDS,
    INTERRUPTED,
    JOBS,
    MEMORY_LIMIT,
    SELECTION,
    TIME_LIMIT,
    UNEXPECTED,
    console_for_tables,
    main,
    with_options,
)
from conformance.discovery import UsageError
from conformance.supervisor import Limits

if TYPE_CHECKING:
    from conformance.fuzzing.campaign import Campaign

SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")
LONGEST = 7 * 24 * 3600


class Span(click.ParamType[int]):
    """A span of time: ``90s``, ``10m``, ``1h30m``; a bare number is of seconds."""

    name = "time"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> int:
        """The seconds."""
        found = SPAN.fullmatch(str(value).strip())
        hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0,) * 3
        total = hours * 3600 + minutes * 60 + seconds
        if not 0 < total <= LONGEST:
            self.fail(f"{value!r} is no time such as 90s, 10m or 1h30m", parameter, context)
        return total


@main.command("fuzz")
@with_options([*BACKENDS, *SELECTION[:2]])
@click.option("--time", "seconds", type=Span(), default="10m", show_default=True, metavar="TIME",
              help="For how long: 90s, 10m, 1h30m.")  # fmt: skip
@click.option("--cases", "most", type=click.IntRange(1), metavar="N", help="At most so many cases "
              "on each backend.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), metavar="N", help="Draw the cases that this seed "
              "gives; others each time if none.")  # fmt: skip
@click.option("--op", "ops", multiple=True, metavar="NAME", help="Only cases of this operator.")
@click.option("--dtype", "dtypes", multiple=True, metavar="NAME", help="Only cases of this dtype.")
@JOBS
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports/fuzz"),
    show_default=True,
    help="Where findings are kept; a later campaign goes on from there.",
)
@TIME_LIMIT
@MEMORY_LIMIT
def fuzz(
    backends: tuple[str, ...],
    backend_dirs: tuple[Path, ...],
    pythons: dict[str, str],
    apis: tuple[str, ...],
    modes: tuple[str, ...],
    seconds: int,
    most: int | None,
    seed: int | None,
    ops: tuple[str, ...],
    dtypes: tuple[str, ...],
    jobs: int,
    out: Path,
    time_limit: float,
    memory_limit: int,
) -> None:
    """Run random cases on every backend that is found, and tell of each new cause once.

    Cases are drawn from the whole of what a case file can say of one operator, weighted to the
    corners. What a registry knows is not told again. Each new cause is shrunk and leaves a case
    file and a proposed registry entry. The exit status is 0 if nothing new was found, 1 if
    something was, 2 for bad input.
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise UsageError(
            "cases are drawn by Hypothesis, which is not installed here: "
            "pip install 'conformance[fuzz]'"
        )
    from conformance.fuzzing import drawing, showing
    from conformance.fuzzing.campaign import Campaign, Plan
    from conformance.fuzzing.stream import Stream

    strategy = drawing.drawn_cases(
        _among("--op", ops, drawing.OPS), dtypes=_among("--dtype", dtypes, drawing.DTYPE_NAMES)
    )
    found = discovery.discover(backend_dirs, backends)
    targets = discovery.targets(found, apis, modes)
    wanted = {target.backend for target in targets}
    chosen = [backend for backend in found if backend.name in wanted]
    seed = secrets.randbelow(2**32) if seed is None else seed
    plan = Plan(
        chosen, discovery.interpreters(chosen, pythons), targets, Stream(strategy, seed), seconds,
        out, jobs, most, Limits(seconds=time_limit, memory=memory_limit * 2**20), pythons,
    )  # fmt: skip
    campaign = Campaign(plan)
    console = console_for_tables()
    told = describe.plural(len(targets), "target")
    console.print(f"{told}, {describe.plural(jobs, 'worker')}, seed {seed}", highlight=False)
    interrupted = showing.run(console, campaign)
    showing.summary(console, campaign, interrupted)
    sys.exit(_status(campaign, interrupted))


def _status(campaign: Campaign, interrupted: bool) -> int:
    if interrupted:
        return INTERRUPTED
    return UNEXPECTED if campaign.ledger.new else 0


def _among(option: str, given: tuple[str, ...], there: tuple[str, ...]) -> tuple[str, ...]:
    for name in given:
        if name not in there:
            known = ", ".join(dict.fromkeys(there))
            raise UsageError(f"{option} {content.shown(name)}: there are {known}")
    return tuple(each for each in there if each in given) if given else there
