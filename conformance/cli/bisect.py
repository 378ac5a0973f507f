"""``conformance bisect``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
from packaging.version import Version
from rich.table import Table

from conformance import describe, discovery, selection
from conformance.bisection.bisect import Bisection
from conformance.bisection.environments import Recipe, home
from conformance.bisection.search import Change
from conformance.bisection.trials import Trial
from conformance.cli.group import (
    BACKENDS,
    INTERRUPTED,
    TIME_LIMIT,
    console_for_tables,
    main,
    with_options,
)
from conformance.discovery import UsageError
from conformance.supervisor import Limits


@main.command("bisect")
@click.argument("case")
@click.option("--target", required=True, help="The first target whose name has this in it.")
@click.option("--good", metavar="VERSION", help="A release that gives something else.")
@click.option(
    "--bad", metavar="VERSION", help="A release that gives what is to be dated; the newest if none."
)
@click.option("--package", metavar="NAME", help="Of which package; the framework if none.")
@click.option(
    "--base-python",
    metavar="PATH",
    default=sys.executable,
    show_default="this one",
    help="The interpreter that environments are made of.",
)
@click.option("--pre", "prereleases", is_flag=True, help="Try pre-releases, too.")
@click.option("--again", is_flag=True, help="Run anew what an earlier bisection has found.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where environments and results are kept, if not in the user's cache folder.",
)
@TIME_LIMIT
@with_options(BACKENDS[:2])
def bisect_releases(
    case: str,
    target: str,
    good: str | None,
    bad: str | None,
    package: str | None,
    base_python: str,
    prereleases: bool,
    again: bool,
    cache: Path | None,
    time_limit: float,
    backends: tuple[str, ...],
    backend_dirs: tuple[Path, ...],
) -> None:
    """Find the release of a framework that changed what it makes of a case.

    CASE is an id, the end of one, or FILE::ID. Releases come from the package index that pip is
    configured with; each gets an environment of its own, which is kept, as is what the case gave
    there. A release that cannot be installed, imported or started is passed over.
    """
    found = discovery.discover(backend_dirs, backends)
    chosen = selection.named(case)
    about = discovery.matching(found, target)[0]
    backend = next(each for each in found if each.name == about.backend)
    python = shutil.which(base_python)
    if python is None:
        raise UsageError(f"--base-python {base_python}: there is no such interpreter")
    recipe = Recipe.of(backend, package, python, (cache or home()).resolve())
    name = recipe.package

    def tell(trial: Trial, known: bool) -> None:
        told = trial.problem or trial.line
        more = f": {told}" if told else ""
        click.echo(f"{name} {trial.release}  {trial.outcome}{more}{'  (known)' * known}", err=True)

    limits = Limits(seconds=time_limit)
    bisection = Bisection(
        chosen, about, backend, recipe, limits, tell, again=again, prereleases=prereleases
    )
    releases = bisection.releases
    click.echo(f"{chosen.id} on {about}: {describe.asked(chosen)}")
    click.echo(
        f"{describe.plural(len(releases), 'release')} of {name} for Python {recipe.version}, "
        f"{releases[0]} to {releases[-1]}"
    )
    try:
        change = bisection.run(good, bad)
    except KeyboardInterrupt:
        _show(bisection)
        click.echo("interrupted: repeat the command to go on from here", err=True)
        sys.exit(INTERRUPTED)
    _show(bisection)
    if change is None:
        tested = sum(not trial.problem for trial in bisection.tried.values())
        click.echo(f"the same in all {describe.plural(tested, 'release')} that could be tested")
        return
    click.echo(_told(bisection, change))


def _show(bisection: Bisection) -> None:
    """What each release gave, in their order."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in (bisection.recipe.package, "beside it", "outcome", "what"):
        table.add_column(title, no_wrap=title != "what")
    for _, trial in sorted(bisection.tried.items()):
        table.add_row(
            trial.release, _beside(bisection, trial), trial.outcome, trial.problem or trial.line
        )
    console_for_tables(highlight=False).print(table)


def _beside(bisection: Bisection, trial: Trial) -> str:
    others = {n: v for n, v in trial.versions.items() if n != bisection.recipe.package}
    return ", ".join(f"{name} {version}" for name, version in others.items())


def _told(bisection: Bisection, change: Change[Version]) -> str:
    before, after = (bisection.tried[end] for end in (change.before, change.after))
    name = bisection.recipe.package
    one, other = before.outcome, after.outcome
    if one == other:
        one, other = f"{one} ({before.line})", f"{other} ({after.line})"
    forward = change.before < change.after
    since = "since" if forward else "up to"
    if change.between:
        between = describe.plural(len(change.between), "release")
        text = (
            f"changed between {name} {before.release} and {after.release} ({between} between them "
            f"could not be tested): {one} before, {other} after"
        )
    else:
        when = f"in {name} {after.release}" if forward else f"after {name} {after.release}"
        text = f"changed {when}: {one} in {before.release}, {other} {since} {after.release}"
    moved = [
        f"{other} {before.versions[other]} → {version}"
        for other, version in after.versions.items()
        if other != name and before.versions.get(other) not in (None, version)
    ]
    return f"{text}\nbeside it changed: {', '.join(moved)}" if moved else text
