"""The suite on the real frameworks: what the README promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import describe, discovery, grouping, results, session
from conformance.records import Record
from conformance.results import Results
from tests.support import HERE

ROOT = HERE.parent
ALL = (
    "numpy", "torch", "jax", "flax", "tensorflow", "mxnet", "onnxruntime", "scipy", "keras_torch",
    "keras_jax",
)  # fmt: skip
PATHS = (
    "cases/tutorials/padding-and-stride.yaml",
    "cases/tutorials/pooling.yaml",
    "cases/edge",
)
UNEVEN = "tutorials/padding-and-stride/uneven"

pytestmark = [pytest.mark.backend(*ALL), pytest.mark.xdist_group("frameworks")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """All tutorial and edge cases on everything."""
    out = tmp_path_factory.mktemp("run")
    command = [sys.executable, "-m", "conformance", "run", *PATHS, "--out", str(out)]
    command += ["--tier", "full", "--require-backends"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return results.read(out / "results.jsonl")


def of(run: Results, **wanted: str) -> list[Record]:
    return [
        record
        for record in run.records
        if all(getattr(record, name) == value for name, value in wanted.items())
    ]


@pytest.mark.parametrize("backend", ALL)
def test_every_backend_gives_real_verdicts(run: Results, backend: str) -> None:
    records = of(run, backend=backend)
    passed = [record for record in records if record.outcome == "pass"]
    assert len(passed) > 30
    assert not any(record.outcome == "not-run" for record in records)
    version = next(info.version for info in run.header.backends if info.name == backend)
    pinned = (ROOT / "backends" / backend / "requirements.txt").read_text()
    assert version.partition("+")[0] in pinned
    assert discovery.interpreters(discovery.discover(names=[backend]))[backend].version == version


def test_the_first_known_discrepancy(run: Results) -> None:
    records = of(run, case=UNEVEN, api="keras.layers", form="spelled", check="forward")
    assert {record.backend for record in records} == {"keras_jax", "keras_torch", "tensorflow"}
    for record in records:
        assert record.outcome == "known"
        assert record.raw == "wrong-shape"
        assert record.difference is not None
        assert describe.shapes(record.difference) == "[2, 1] against [2, 2]"
    recipes = of(run, case=UNEVEN, api="keras.layers", form="emulated")
    assert {record.check for record in recipes} == {"forward", "vjp"}
    assert {record.outcome for record in recipes} == {"pass"}


def test_every_discrepancy_is_explained(run: Results) -> None:
    wrong = [record for record in run.records if record.raw not in ("pass", "unsupported")]
    assert len(wrong) > 100
    for record in wrong:
        assert record.explanation is not None, record
        assert record.explanation.sentence
    causes = {record.explanation.key for record in wrong if record.explanation}
    assert {"padding-dropped", "padding-is-same", "padded-with-zero"} <= causes
    assert "ceil-keeps-windows-in-padding+padded-with-lowest" in causes


def test_the_summary_has_a_line_a_cause_with_its_repro(run: Results) -> None:
    entries = session.entries(discovery.discover())
    groups = grouping.grouped(run.records, entries)
    assert [group.targets for group in groups] == sorted(
        (group.targets for group in groups), reverse=True
    )
    zeros = next(group for group in groups if group.cause == "padded-with-zero")
    keras = {"keras_jax", "keras_torch", "tensorflow"}
    assert {record.backend for record in zeros.records} == {"flax", *keras}
    assert zeros.kind == "by-design"
    assert "conformance repro tutorials/pooling/" in grouping.repro_command(zeros)


def test_a_crash_of_tensorflow_is_one_outcome(run: Results) -> None:
    case = "edge/window-larger-than-input/max-pool-3-on-2x2"
    crashed = of(run, case=case, api="tf.nn", mode="eager", form="native")
    assert [record.raw for record in crashed] == ["crash"]
    assert crashed[0].error is not None
    assert "SIGFPE" in crashed[0].error.message
    later = [record.case for record in of(run, api="tf.nn", mode="eager")]
    assert len(set(later)) == len({record.case for record in of(run, backend="numpy")})


def test_a_mode_with_environment_variables_has_a_worker_of_its_own(run: Results) -> None:
    info = next(info for info in run.header.backends if info.name == "tensorflow")
    assert info.info["eager"] != info.info["onednn-off"]


def test_pytest_gives_the_same_verdicts(run: Results, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *PATHS, "--require-backends"]
    command += ["--conformance-tier", "full", "--conformance-out", str(tmp_path)]
    command += ["-p", "no:cacheprovider"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=900, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:]
    again = results.read(tmp_path / "results.jsonl")
    unstable = {
        (backend.name, known.entry.id)
        for backend in discovery.discover()
        for known in backend.registry.entries
        if not known.entry.stable
    }
    loose = {
        results.key(record)
        for record in (*run.records, *again.records)
        if (record.backend, record.known) in unstable
    }
    mine, theirs = (
        {
            results.key(record): (record.outcome, record.known)
            for record in records
            if results.key(record) not in loose
        }
        for records in (run.records, again.records)
    )
    assert len(loose) < 5
    assert theirs == mine
