"""The report of many outcomes: how long it takes to build, to open and to filter, and its size."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.suite import Row
from conformance import cases, content, results, selection
from conformance.cases import Case
from conformance.compare import Difference
from conformance.explanation import Explanation
from conformance.records import BackendInfo, Failed, Header, Record, Values
from conformance.results import Results
from tests.browsing import chromium

OUTCOMES, DISCREPANCIES = 50_000, 2_000
TARGETS = [
    (backend, api, mode)
    for backend, apis, modes in (
        ("torch", ("torch.nn", "torch.nn.functional"), ("eager", "onednn-off")),
        ("jax", ("jax.lax",), ("eager", "jit")),
        ("tensorflow", ("tf.nn", "keras.layers"), ("eager", "function")),
    )
    for api in apis
    for mode in modes
]
QUERY = "backend:torch outcome:wrong-value op:conv stride:>1"
REPEATS = 5
PAINT = """
const paints = performance.getEntriesByType("paint");
return paints.find(each => each.name === "first-contentful-paint")?.startTime ?? null;
"""
KEYSTROKE = """
const [text, done] = arguments;
const field = document.getElementById("query");
field.value = text;
const started = performance.now();
field.dispatchEvent(new Event("input"));
// The frame in which it is seen.
requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
"""


@dataclass(frozen=True)
class Measured:
    """Seconds and bytes."""

    built: float
    size: int
    paint: float
    keystroke: float


def measure() -> list[Row]:
    """Build the report of a large run and use it in headless Chromium."""
    with tempfile.TemporaryDirectory() as folder:
        found = _measure(Path(folder))
    what = f"{OUTCOMES:,} outcomes, {DISCREPANCIES:,} of them discrepancies"
    return [
        Row("report: built", found.built, 5, "s", f"{what}, from JSON lines, cold process"),
        Row("report: size", found.size / 1e6, 5, "MB", "the one file"),
        Row("report: first paint", found.paint, 1, "s", "headless Chromium, from a file"),
        Row("report: a keystroke", found.keystroke * 1e3, 100, "ms",
            f"median of {REPEATS} × {len(QUERY)} letters of a filter, to the next frame"),
    ]  # fmt: skip


def _measure(folder: Path) -> Measured:
    results.write(folder / results.NAME, run())
    command = [sys.executable, "-m", "conformance", "report", str(folder), "--out", str(folder)]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    built = time.perf_counter() - started
    page = folder / "index.html"
    with chromium(folder / "profile") as driver:
        driver.set_script_timeout(60)
        paints = []
        for _ in range(REPEATS):
            driver.get("about:blank")
            driver.get(page.as_uri())
            while not driver.execute_script("return document.documentElement.dataset.ready"):
                time.sleep(0.02)
            paints.append(driver.execute_script(PAINT) / 1e3)
        strokes = [
            driver.execute_async_script(KEYSTROKE, QUERY[: end + 1]) / 1e3
            for _ in range(REPEATS)
            for end in range(len(QUERY))
        ]
    return Measured(built, page.stat().st_size, float(np.median(paints)), float(np.median(strokes)))


def run() -> Results:
    """A run of the suite's own cases on eight targets, forward and VJP; the same every time."""
    home = content.root("cases")
    every = [case for case in cases.load([home]) if case.chain is None and case.fields.law is None]
    chosen = every[: OUTCOMES // (2 * len(TARGETS))]
    random = np.random.default_rng(0)
    wrong = set(random.choice(OUTCOMES, DISCREPANCIES, replace=False).tolist())
    digests = selection.Selection(tuple(chosen), tuple(chosen), (), bool, False).digests
    backends = tuple(
        BackendInfo(name, "1.0", {name: "1.0"}, "3.11.7", "here")
        for name in dict.fromkeys(backend for backend, _, _ in TARGETS)
    )
    header = Header("0.1.0", "2026-01-01T00:00:00+00:00", digests, {}, {"tier": "full"}, backends)
    return Results(header, tuple(_records(chosen, wrong, random)))


def _records(chosen: Sequence[Case], wrong: set[int], random: np.random.Generator) -> list[Record]:
    found: list[Record] = []
    number = 0
    while number < OUTCOMES:
        case = chosen[number // (2 * len(TARGETS)) % len(chosen)]
        backend, api, mode = TARGETS[number // 2 % len(TARGETS)]
        check = ("forward", "vjp")[number % 2]
        record = Record(case.id, backend, api, mode, "native", check, "pass", "pass", seconds=0.001)  # type: ignore[arg-type]
        found.append(_wrong(record, case, number, random) if number in wrong else record)
        number += 1
    return found


def _wrong(record: Record, case: Case, number: int, random: np.random.Generator) -> Record:
    """A discrepancy: every fourth is an error, the others are arrays of up to 256 values."""
    source = f"import {record.backend}\n\n\ndef forward(x, w):\n    return op(x, w)  # {case.id}\n"
    fields = {**record.__dict__, "source": source}
    if number % 4 == 0:
        error = Failed("RuntimeError", f"not supported: {json.dumps(case.id)}", "forward")
        return Record(**{**fields, "outcome": "rejected", "raw": "rejected", "error": error})
    size = int(random.integers(1, 257))
    values = random.integers(-99, 100, size).astype(float)
    observed = values.copy()
    observed[0] += 1
    cause = f"cause-{number % 150}"
    difference = Difference(
        "y", (1, 1, size), (1, 1, size), "float32", "float32", 1, size, (0, 0, 0), values[0],
        observed[0], 0.0, 1,
    )  # fmt: skip
    return Record(**{
        **fields, "outcome": "wrong-value", "raw": "wrong-value", "difference": difference,
        "expected": Values((1, 1, size), "float32", tuple(values.tolist())),
        "observed": Values((1, 1, size), "float32", tuple(observed.tolist())),
        "explanation": Explanation(cause, f"equals the request with {cause}", ({"cause": cause},)),
    })  # fmt: skip
