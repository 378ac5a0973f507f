"""Each fault of a worker is the outcome of one case, and the run goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conformance import results
from conformance.records import Record
from conformance.results import ResultsError
from conformance.supervisor import Launch, Worker
from conformance.worker.protocol import Message
from tests.support import HERE, Command

CASES = HERE / "data" / "three.yaml"
BACKENDS = HERE / "backends"
IDS = ("three/first", "three/second", "three/third")


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Record]]:
    """The records of all faults together in one run, by API."""
    out = tmp_path_factory.mktemp("faults")
    command = [sys.executable, "-m", "conformance", "run", str(CASES), "--out", str(out)]
    command += ["--backend-dir", str(BACKENDS / "misbehaving"), "--backend", "misbehaving"]
    command += ["--time-limit", "8", "--memory-limit", "400", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    found = results.read(out / "results.jsonl")
    assert found.complete
    by_api: dict[str, list[Record]] = {}
    for record in found.records:
        by_api.setdefault(record.api.partition(".")[2], []).append(record)
    return by_api


def test_what_is_known_to_hang_takes_seconds(tmp_path: Path) -> None:
    backend = tmp_path / "misbehaving"
    shutil.copytree(BACKENDS / "misbehaving", backend)
    entry = {"id": "hangs", "api": "misbehaving.hang", "kind": "bug", "why": "It waits for ever."}
    expect = {"when": {"op": "conv"}, "expect": {"outcome": "timeout"}, "evidence": "its code"}
    (backend / "known.yaml").write_text(json.dumps([{**entry, **expect}]), encoding="utf-8")
    command = [sys.executable, "-m", "conformance", "run", str(CASES), "-k", "hang"]
    command += ["--backend-dir", str(backend), "--backend", "misbehaving"]
    command += ["--out", str(tmp_path), "--time-limit", "600"]
    subprocess.run(command, capture_output=True, timeout=300, check=False)
    (hung,) = {r.error.message for r in results.read(tmp_path / "results.jsonl").records if r.error}
    assert hung == "no reply within 5 s; killed"


def outcomes(records: list[Record], form: str, check: str) -> list[str]:
    return [r.outcome for r in records if r.form == form and r.check == check]


@pytest.mark.parametrize(
    ("fault", "outcome", "detail"),
    [
        ("segfault", "crash", "killed by SIGSEGV"),
        ("abort", "crash", "killed by SIGABRT"),
        ("exit", "crash", "exited with status 7"),
        ("late", "crash", "exited with status 0"),
        ("hang", "timeout", "no reply within 8 s"),
        ("memory", "crash", "over the memory limit of 400 MiB"),
        ("malformed", "crash", "malformed reply"),
    ],
)
def test_a_fault_is_the_outcome_of_its_case_alone(
    faults: dict[str, list[Record]], fault: str, outcome: str, detail: str
) -> None:
    records = faults[fault]
    assert outcomes(records, "native", "forward") == [outcome] * len(IDS)
    for record in records:
        if record.form == "native":
            assert record.error is not None
            assert detail in record.error.message
    assert outcomes(records, "emulated", "forward") == ["pass"] * len(IDS)
    assert outcomes(records, "emulated", "vjp") == ["pass"] * len(IDS)


def test_other_cases_are_not_touched(faults: dict[str, list[Record]]) -> None:
    records = faults["right"]
    assert [r.case for r in records if r.check == "forward"] == list(IDS)
    assert {record.outcome for record in records} == {"pass"}


def test_noise_on_the_standard_streams_is_harmless(faults: dict[str, list[Record]]) -> None:
    assert {record.outcome for record in faults["noise"]} == {"pass"}


def test_what_the_process_printed_is_kept(faults: dict[str, list[Record]]) -> None:
    for record in faults["abort"]:
        if record.outcome == "crash":
            assert record.error is not None
            assert "about to abort" in record.error.output
            assert "forward" in record.error.output  # faulthandler's traceback


def test_an_exception_is_a_rejection_with_its_words(faults: dict[str, list[Record]]) -> None:
    native = [record for record in faults["raises"] if record.form == "native"]
    assert {record.outcome for record in native} == {"rejected"}
    assert native[0].error is not None
    assert (native[0].error.type, native[0].error.message) == ("RuntimeError", "no\nthank you")
    assert native[0].error.where.startswith("<program>:")


@pytest.mark.parametrize(("fault", "outcome"), [("vjp-abort", "crash"), ("vjp-raises", "rejected")])
def test_a_fault_of_the_vjp_leaves_the_forward_verdict(
    faults: dict[str, list[Record]], fault: str, outcome: str
) -> None:
    records = faults[fault]
    assert outcomes(records, "native", "forward") == ["pass"] * len(IDS)
    assert outcomes(records, "native", "vjp") == [outcome] * len(IDS)
    assert outcomes(records, "emulated", "vjp") == ["pass"] * len(IDS)


@pytest.mark.parametrize(
    ("backend", "reason"),
    [("unimportable", "libframework.so.2"), ("aborting", "killed by SIGABRT")],
)
def test_a_backend_that_does_not_load_is_not_run(
    conformance: Command, tmp_path: Path, backend: str, reason: str
) -> None:
    arguments = ["run", CASES, "--backend-dir", BACKENDS / backend, "--backend-dir"]
    arguments += [BACKENDS / "misbehaving", "--api", "misbehaving.right", "--out", tmp_path]
    arguments += ["--backend", backend, "--backend", "misbehaving"]
    done = conformance(*arguments)
    assert done.returncode == 0, done.stdout
    assert f"{backend} did not run: " in done.stdout
    records = results.read(tmp_path / "results.jsonl").records
    assert {r.outcome for r in records if r.backend == backend} == {"not-run"}
    assert all(reason in r.note for r in records if r.backend == backend)
    assert {r.outcome for r in records if r.backend == "misbehaving"} == {"pass"}
    assert conformance(*arguments, "--require-backends").returncode == 1


def test_a_worker_that_is_gone_can_still_be_sent_to() -> None:
    """Jobs are queued ahead: the next one may be sent after the process has died of the last."""
    worker = Worker(Launch("aborting", BACKENDS / "aborting", sys.executable, {}))
    worker.send(Message({"type": "load"}))
    worker.process.wait(30)
    worker.send(Message({"type": "load"}))
    hello = worker.receive(1)
    assert hello is not None
    assert hello.header["type"] == "hello"
    worker.send(Message({"type": "load"}))
    with pytest.raises(EOFError):
        worker.receive(1)
    assert worker.ended() == -signal.SIGABRT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_can_be_resumed(
    conformance: Command, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ["run", CASES, "--backend-dir", BACKENDS / "misbehaving", "--out", tmp_path]
    arguments += ["--backend", "misbehaving", "-k", "right or hang", "--time-limit", "1.5"]
    process = _started(arguments, tmp_path / "results.jsonl", records=3)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "to go: repeat the command with --resume" in errors
    assert "Traceback" not in errors
    held = results.read(tmp_path / "results.jsonl")
    assert not held.complete
    assert held.records
    done = conformance(*arguments, "--resume")
    assert done.returncode == 1, done.stderr
    finished = results.read(tmp_path / "results.jsonl")
    assert finished.complete
    units = {(record.case, record.api) for record in finished.records}
    assert len(units) == 2 * len(IDS)
    keys = [results.key(record) for record in finished.records]
    assert len(keys) == len(set(keys))


def test_a_killed_run_leaves_readable_results(tmp_path: Path) -> None:
    arguments = ["run", CASES, "--backend-dir", BACKENDS / "misbehaving", "--out", tmp_path]
    arguments += ["--backend", "misbehaving", "-k", "right or hang", "--time-limit", "1.5"]
    process = _started(arguments, tmp_path / "results.jsonl", records=3)
    process.kill()
    process.communicate(timeout=30)
    held = results.read(tmp_path / "results.jsonl")
    assert held.records
    assert not held.complete


def test_no_worker_outlives_its_run(tmp_path: Path) -> None:
    arguments = ["run", CASES, "--backend-dir", BACKENDS / "misbehaving", "--out", tmp_path]
    arguments += ["--backend", "misbehaving", "-k", "hang", "--time-limit", "30"]
    process = _started(arguments, tmp_path / "results.jsonl", records=0)
    time.sleep(1)
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while _workers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not _workers(tmp_path)


def test_resume_without_results_is_refused(conformance: Command, tmp_path: Path) -> None:
    arguments = ["run", CASES, "--backend-dir", BACKENDS / "misbehaving", "--out", tmp_path]
    done = conformance(*arguments, "--backend", "misbehaving", "--resume")
    assert done.returncode == 2
    assert "there is no run to resume here; run without --resume" in done.stderr


def _started(arguments: list[object], path: Path, records: int) -> subprocess.Popen[str]:
    """Start a run and wait until it has written some records."""
    process = subprocess.Popen(
        [sys.executable, "-m", "conformance", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CONFORMANCE_TEST_MARK": str(path.parent)},
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            held = results.read(path).records
        except (ResultsError, json.JSONDecodeError):
            held = ()
        else:
            if len(held) >= records:
                return process
        time.sleep(0.05)
    raise AssertionError("nothing was written")


def _workers(mark: Path) -> list[int]:
    """Worker processes that a marked run started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(mark).encode() in environment and b"bootstrap.py" in command:
                found.append(int(entry.name))
    return found
