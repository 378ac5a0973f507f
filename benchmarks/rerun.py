"""A run of the core tier with what an earlier one compiled, against the first."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.suite import Row, wall
from conformance import describe, discovery, results

COMPILING = ("flax", "jax", "keras_jax")
LIMIT = 1 / 3


def measure(expression: str) -> list[Row]:
    """Wall of a warm run over that of a cold one: on JAX's backends, and on all that are there."""
    backends = discovery.discover()
    there = [
        name for name, each in discovery.interpreters(backends).items() if each.path is not None
    ]
    missing = set(COMPILING).difference(there)
    if missing:
        names = describe.listing(sorted(missing))
        raise SystemExit(f"missing: {names}; provision with: tox -e {','.join(sorted(missing))}")
    return [
        _row("warm rerun ÷ cold run, JAX's backends", COMPILING, expression),
        _row("warm rerun ÷ cold run, all backends", there, expression),
    ]


def _row(name: str, backends: Sequence[str], expression: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        cold, outcomes = _run(Path(folder), backends, expression)
        warm, again = _run(Path(folder), backends, expression)
    if outcomes != again:
        raise SystemExit(f"{name}: {outcomes:,} outcomes cold, {again:,} warm")
    cases = f"core tier{f' ({expression})' if expression else ''}"
    return Row(
        name, warm / cold, LIMIT, "×",
        f"{warm:.1f} s ÷ {cold:.1f} s, {cases} on {', '.join(backends)}, {outcomes:,} outcomes",
    )  # fmt: skip


def _run(folder: Path, backends: Sequence[str], expression: str) -> tuple[float, int]:
    """Seconds that a run takes, and how many outcomes it has."""
    command = [sys.executable, "-m", "conformance", "run", "--jobs", "2", "-k", expression]
    command += ["--cache", str(folder / "cache"), "--out", str(folder)]
    for name in backends:
        command += ["--backend", name]
    seconds = wall(command, cores=2)
    return seconds, len(results.read(folder / results.NAME).records)
