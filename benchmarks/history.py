"""A year of nightly runs in the history: its size, and how long a question takes."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.suite import Row
from conformance import describe
from conformance.explanation import Explanation
from conformance.history import History
from conformance.records import BackendInfo, Failed, Header, Record
from conformance.results import Results

NIGHTS, OUTCOMES = 365, 20_000
BACKENDS, TARGETS = 8, 30
FLAKY, RELEASE, BY_RELEASE, NEW = 0.002, 30, 0.02, 0.001
REPEATS = 9


def measure() -> list[Row]:
    """Size of the file after a year, and how long a question about a case takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite"
        spent = []
        outcomes = changes = 0
        with History.open(path, create=True) as history:
            for night in nights(random.Random(0)):
                started = time.perf_counter()
                added = history.add(night)
                spent.append(time.perf_counter() - started)
                outcomes += len(night.records)
                changes += added.changed
        size = path.stat().st_size / 2**20
        asked = sorted(_asked(path, "conv/generated/case-7") for _ in range(REPEATS))
    runs = describe.plural(NIGHTS, "run")
    adding = f"adding a run {sorted(spent)[-NIGHTS // 20]:.2f} s"
    return [
        Row("a year's history", size, 50, "MiB",
            f"{runs}, {outcomes:,} outcomes, {changes:,} changes; {adding} at most in 95 of 100"),
        Row("asking when a case changed", asked[REPEATS // 2], 1, "s",
            f"{TARGETS} outcomes of a case; median of {REPEATS}, slowest {asked[-1]:.2f} s"),
    ]  # fmt: skip


def _asked(path: Path, case: str) -> float:
    """Seconds until it is known when a case changed, and between which versions."""
    started = time.perf_counter()
    with History.open(path) as history:
        periods = history.case(case)
    seconds = time.perf_counter() - started
    if len(periods) <= TARGETS or not all(period.first.version for period in periods):
        raise SystemExit(f"{case} has {len(periods)} periods on {TARGETS} subjects")
    return seconds


def nights(chance: random.Random) -> Iterator[Results]:
    """Nightly runs: new cases and flaky outcomes each night, many changes with each release."""
    cases = OUTCOMES // TARGETS
    outcomes = [_record(chance, case, at) for case in range(cases) for at in range(TARGETS)]
    versions = [1] * BACKENDS
    for night in range(NIGHTS):
        for at in range(len(outcomes)):
            backend = at % TARGETS % BACKENDS
            released = night and (night + backend * 3) % RELEASE == 0
            if chance.random() < (BY_RELEASE if released else FLAKY):
                outcomes[at] = _varied(chance, outcomes[at])
        for backend in range(BACKENDS):
            versions[backend] += night > 0 and (night + backend * 3) % RELEASE == 0
        if chance.random() < NEW * cases:
            outcomes += [_record(chance, cases, at) for at in range(TARGETS)]
            cases += 1
        infos = tuple(
            BackendInfo(
                f"backend-{at}",
                f"1.{number}.0",
                {f"backend-{at}": f"1.{number}.0", "numpy": "2.4.6"},
                "3.11.9",
                f".tox/backend-{at}",
            )
            for at, number in enumerate(versions)
        )
        day = f"{2025 + night // 336}-{1 + night // 28 % 12:02}-{1 + night % 28:02}"
        files = {f"conv/file-{at}": f"{chance.getrandbits(64):016x}" for at in range(60)}
        header = Header("1.0", f"{day}T02:00:00+00:00", files, {"cpus": "2"}, {}, infos)
        yield Results(header, tuple(outcomes))


def _record(chance: random.Random, case: int, at: int) -> Record:
    backend = f"backend-{at % BACKENDS}"
    check = "vjp" if at // BACKENDS % 2 else "forward"
    record = Record(
        f"conv/generated/case-{case}", backend, f"{backend}.api-{at // BACKENDS // 2}", "eager",
        "native", check, "pass", "pass",  # type: ignore[arg-type]
    )  # fmt: skip
    return record if chance.random() < 0.75 else _varied(chance, record)


def _varied(chance: random.Random, record: Record) -> Record:
    """The record with another outcome: right, wrong in one of many ways, or an error."""
    kind = chance.randrange(4)
    number = chance.randrange(400)
    plain = replace(record, error=None, explanation=None, known=None)
    if kind == 0:
        return replace(plain, outcome="pass", raw="pass")
    if kind == 1:
        error = Failed("ValueError", f"cannot be done with a stride of {number} and padding 'SAME'")
        return replace(plain, outcome="rejected", raw="rejected", error=error)
    told = f"equals the request with padding ({number}, 0) instead of (0, {number}): moved"
    edits = ({"cause": "padding-moved", "axis": "width", "padding": [number, 0]},)
    meaning = Explanation(f"cause-{number % 40}", told, edits)
    known = f"entry-{number % 60}" if kind == 2 else None
    return replace(
        plain, outcome="known" if known else "wrong-value", raw="wrong-value", known=known,
        explanation=meaning,
    )  # fmt: skip
