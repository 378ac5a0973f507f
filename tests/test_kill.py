"""Whatever is killed, and whenever: what was recorded stays, and the command can be repeated."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from conformance import results
from conformance.history import History
from conformance.results import Key
from tests import releases
from tests.killing import Killer, spread
from tests.run_builders import DROPPED, ON_JAX, PASS, REFUSED, VJP, WRONG, run
from tests.support import HERE

THREE = HERE / "data" / "three.yaml"
BACKENDS = HERE / "backends"
EARLIER = "2025-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    with Killer() as killer:
        yield killer


def write_runs(folder: Path) -> None:
    """Two runs, their parts, and a history of the first."""
    first = run(PASS, VJP, replace(ON_JAX, case="a/b/two"), created=EARLIER)
    known = replace(VJP, outcome="known", raw="wrong-value", explanation=DROPPED)
    second = run(WRONG, known, replace(ON_JAX, case="a/b/two", outcome="rejected", raw="rejected"))
    for name, each in (("old", first), ("new", second)):
        results.write(folder / name / results.NAME, each)
        for backend in ("torch", "jax"):
            infos = tuple(info for info in each.header.backends if info.name == backend)
            records = tuple(record for record in each.records if record.backend == backend)
            part = replace(each, header=replace(each.header, backends=infos), records=records)
            results.write(folder / f"parts-{name}" / backend / results.NAME, part)
    with History.open(folder / "history.sqlite", create=True) as history:
        history.add(first)
        history.add(second)


@dataclass(frozen=True)
class Writer:
    """A command that writes files to ``out``: of an earlier run, then of this one."""

    before: tuple[object, ...]
    now: tuple[object, ...]


CARELESS = ("--backend-dir", BACKENDS / "careless", "--backend", "careless")
WRONG_CASE = f"{HERE / 'data' / 'careless.yaml'}::wrong"
WRITERS = {
    "merge": Writer(
        ("merge", "parts-old", "--out", "out"), ("merge", "parts-new", "--out", "out")
    ),
    "report": Writer(
        ("report", "old", "--out", "out", "--format", "md", "--format", "badge"),
        ("report", "new", "--out", "out", "--format", "md", "--format", "badge", "--baseline",
         "old", "--history", "history.sqlite"),
    ),
    "export": Writer(
        ("export", "old", "--out", "out", "--baseline", "new"),
        ("export", "new", "--out", "out", "--baseline", "old"),
    ),
    "diff": Writer(
        ("diff", "new", "old", "--format", "issues", "--out", "out"),
        ("diff", "old", "new", "--format", "issues", "--out", "out"),
    ),
    "history export": Writer(
        ("history", "export", "--history", "history.sqlite", "--run", 1, "--out", "out/run.jsonl"),
        ("history", "export", "--history", "history.sqlite", "--run", 2, "--out", "out/run.jsonl"),
    ),
    "repro": Writer(
        ("repro", f"{THREE}::first", *CARELESS, "--target", "padding", "--out", "out/repro.py"),
        ("repro", WRONG_CASE, *CARELESS, "--target", "padding", "--out", "out/repro.py"),
    ),
}  # fmt: skip


def held(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def published(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not name.endswith(".part")}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_the_old_one_or_the_new_one(killer: Killer, tmp_path: Path, name: str) -> None:
    command = WRITERS[name]
    here, there = tmp_path / "here", tmp_path / "there"
    write_runs(here)
    (here / "out").mkdir()
    first = killer(*command.before, cwd=here)
    assert first.status in (0, 1), first.output
    shutil.copytree(here, there)
    old = held(here)
    whole = killer(*command.now, cwd=there)
    assert whole.status in (0, 1), whole.output
    new = held(there)
    assert new != old
    killed = 0
    for moment in spread(whole.moments, 10):
        ended = killer(*command.now, cwd=here, moment=moment)
        killed += ended.killed
        for path, data in published(held(here)).items():
            assert data in (old.get(path), new.get(path)), f"{path} after moment {moment}"
        assert published(held(here)).keys() >= old.keys()
    assert killed >= min(whole.moments, 5)
    again = killer(*command.now, cwd=here)
    assert (again.status, again.output) == (whole.status, whole.output)
    assert held(here) == new


def test_a_history_has_the_run_or_has_it_not(killer: Killer, tmp_path: Path) -> None:
    write_runs(tmp_path)
    kept = tmp_path / "history.sqlite"
    third = replace(run(REFUSED, VJP), header=replace(run().header, created="2025-01-03"))
    results.write(tmp_path / "third" / results.NAME, third)
    command = ("history", "add", "third", "--history", "history.sqlite")
    (tmp_path / "twin").mkdir()
    shutil.copytree(tmp_path / "third", tmp_path / "twin" / "third")
    shutil.copy(kept, tmp_path / "twin")
    whole = killer(*command, cwd=tmp_path / "twin")
    assert whole.status == 0, whole.output
    with History.open(kept) as history:
        before = [history.results(number) for number in (1, 2)]
    added = 0
    for moment in spread(whole.moments, 30):
        ended = killer(*command, cwd=tmp_path, moment=moment)
        with contextlib.closing(sqlite3.connect(kept)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with History.open(kept) as history:
            numbers = [run.number for run in history.runs()]
            assert numbers == list(range(1, 3 + len(numbers[2:])))
            assert len(numbers) >= added
            added = len(numbers)
            assert [history.results(number) for number in (1, 2)] == before
            if ended.status == 0:
                assert added == 3
    assert killer(*command, cwd=tmp_path).status == 0
    with History.open(kept) as history:
        assert len(history.runs()) == 3
        assert len(history.results(3).records) == 2


def keys(path: Path) -> list[Key]:
    """What is recorded; nothing where there is no file yet."""
    return [results.key(r) for r in results.read(path).records] if path.exists() else []


def test_a_run_goes_on_where_it_was_killed(killer: Killer, tmp_path: Path) -> None:
    apis = ("right", "raises", "vjp-raises")
    command: list[object] = ["run", THREE, "--backend-dir", BACKENDS / "misbehaving", "--jobs", 1]
    command += ["--backend", "misbehaving", "--out", "out"]
    command += [word for api in apis for word in ("--api", f"misbehaving.{api}")]
    (tmp_path / "twin").mkdir()
    whole = killer(*command, cwd=tmp_path / "twin")
    assert whole.status == 1, whole.output
    wanted = keys(tmp_path / "twin" / "out" / results.NAME)
    path = tmp_path / "out" / results.NAME
    for moment in spread(whole.moments, 12):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        recorded: list[Key] = []
        for again in range(3):
            resume = ["--resume"] if path.exists() else []
            ended = killer(*command, *resume, cwd=tmp_path, moment=max(moment // (again + 1), 1))
            now = keys(path)
            assert len(now) == len(set(now))
            assert set(recorded) <= set(now)
            recorded = now
            if not ended.killed:
                break
        ended = killer(*command, *(["--resume"] if path.exists() else []), cwd=tmp_path)
        assert ended.status == 1, ended.output
        assert results.read(path).complete
        assert sorted(keys(path)) == sorted(wanted)


def test_a_unit_that_was_written_in_part_is_run_again(killer: Killer, tmp_path: Path) -> None:
    command = ["run", THREE, "--backend-dir", BACKENDS / "misbehaving", "--jobs", 1]
    command += ["--backend", "misbehaving", "--api", "misbehaving.right", "--out", "."]
    assert killer(*command, cwd=tmp_path).status == 0
    path = tmp_path / results.NAME
    wanted = sorted(keys(path))
    lines = path.read_bytes().splitlines(keepends=True)
    kinds = [json.loads(line)["kind"] for line in lines]
    last = max(at for at, kind in enumerate(kinds) if kind == "record")
    for cut in (lines[:last], [*lines[:last], lines[last][:40]], [*lines[: last - 1], b'{"kin']):
        path.write_bytes(b"".join(cut))
        assert results.read(path).truncated
        assert len(keys(path)) == len(wanted) - 2
        ended = killer(*command, "--resume", cwd=tmp_path)
        assert ended.status == 0, ended.output
        assert sorted(keys(path)) == wanted


def test_a_bisection_goes_on_where_it_was_killed(killer: Killer, tmp_path: Path) -> None:
    environment = releases.make(tmp_path / "wheels")
    case = tmp_path / "padded.yaml"
    case.write_text(releases.CASE)
    command = ["bisect", f"{case}::padded", "--target", "drifting", "--backend", "drifting"]
    command += ["--backend-dir", str(BACKENDS / "drifting"), "--good", "1.1", "--bad", "1.3"]
    command += ["--cache", "cache"]
    (tmp_path / "twin").mkdir()
    whole = killer(*command, cwd=tmp_path / "twin", environment=environment)
    assert whole.status == 0, whole.output
    assert "changed in drifting 1.2" in whole.output
    noted: dict[str, bytes] = {}
    for moment in spread(whole.moments, 9)[1:-1]:
        killer(*command, cwd=tmp_path, moment=moment, environment=environment)
        now = held(tmp_path / "cache" / "bisections") if (tmp_path / "cache").exists() else {}
        now = {name: data for name, data in now.items() if name.endswith(".json")}
        assert all(json.loads(data)["problem"] == "" for data in now.values())
        assert noted.items() <= now.items()
        noted = now
    again = killer(*command, cwd=tmp_path, environment=environment)
    assert again.status == 0, again.output
    assert again.output.splitlines()[-1] == whole.output.splitlines()[-1]


SLOW = """#!{python}
import pathlib, sys, time
pathlib.Path("started").touch()
while pathlib.Path("go-on").exists():
    time.sleep(0.02)
sys.exit(1)
"""


def test_an_installer_that_outlives_its_bisection_is_waited_for(tmp_path: Path) -> None:
    """Two installers in one environment would leave a part of each."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(SLOW.format(python=sys.executable))
    uv.chmod(0o755)
    (tmp_path / "go-on").touch()
    environment = {**os.environ, **releases.make(tmp_path / "wheels")}
    environment["PATH"] = f"{uv.parent}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = str(HERE.parent)
    case = tmp_path / "padded.yaml"
    case.write_text(releases.CASE)
    command = [sys.executable, "-m", "conformance", "bisect", f"{case}::padded", "--target"]
    command += ["drifting", "--backend", "drifting", "--cache", "cache"]
    command += ["--backend-dir", str(BACKENDS / "drifting")]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "started").exists)
    process.kill()
    process.wait(60)
    (lock,) = (tmp_path / "cache" / "environments").glob("*.lock")
    with lock.open("w") as stream:
        with pytest.raises(BlockingIOError):
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tmp_path / "go-on").unlink()
        fcntl.flock(stream, fcntl.LOCK_EX)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
