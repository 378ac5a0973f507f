"""The history: it keeps what was added, in the order of time, and tells when outcomes changed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import results
from conformance.explanation import Explanation
from conformance.history import History, HistoryError, Period
from conformance.records import BackendInfo, Failed, Header, Record
from conformance.results import Results
from tests.profiles import PROFILE
from tests.support import HERE, Command

RIGHT = Record("a/b", "torch", "torch.nn", "eager", "native", "forward", "pass", "pass")
MEANT = Explanation(
    "padding-dropped",
    "equals the request with padding (0, 0) instead of (0, 1)",
    ({"cause": "padding-dropped", "axis": "width"},),
)
WRONG = dataclasses.replace(
    RIGHT, outcome="wrong-value", raw="wrong-value", explanation=MEANT, source="import torch\n"
)
KNOWN = dataclasses.replace(WRONG, outcome="known", known="drops")
RAISED = dataclasses.replace(
    RIGHT, outcome="rejected", raw="rejected", error=Failed("RuntimeError", "no\nway", "forward")
)
ABSENT = dataclasses.replace(RIGHT, outcome="not-run", raw="not-run", note="no torch here")
VARIANTS = (RIGHT, WRONG, KNOWN, RAISED)


def made(day: int, *records: Record, version: str = "2.0") -> Results:
    info = BackendInfo("torch", version, {"torch": version, "numpy": "2.4"}, "3.11.1", "here")
    created = f"2026-{1 + day // 28:02}-{1 + day % 28:02}T02:00:00+00:00"
    return Results(Header("1.0", created, {"a": "abc"}, {"cpus": "2"}, {}, (info,)), records)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "reports" / "history.sqlite"


@contextlib.contextmanager
def holding(path: Path, *runs: Results) -> Iterator[History]:
    with History.open(path, create=True) as history:
        for run in runs:
            assert history.add(run).new
        yield history


def told(periods: Sequence[Period]) -> list[tuple[int, int, int, str]]:
    return [(p.first.run, p.last.run, p.runs, p.outcome) for p in periods]


def test_a_change_lies_between_two_runs_and_their_versions(path: Path) -> None:
    runs = [made(0, RIGHT), made(1, RIGHT), made(2, WRONG, version="2.1"), made(3, WRONG)]
    with holding(path, *runs) as history:
        before, after = history.case("a/b", target="torch.nn")
    assert told([before, after]) == [(1, 2, 2, "pass"), (3, 4, 2, "wrong-value")]
    assert (before.last.version, after.first.version) == ("2.0", "2.1")
    assert after.first.versions == {"torch": "2.1", "numpy": "2.4"}
    assert after.first.date == "2026-01-03"
    assert after.cause == "padding-dropped"
    assert after.detail == MEANT.sentence


def test_what_a_signature_is_made_of(path: Path) -> None:
    other = dataclasses.replace(WRONG, explanation=dataclasses.replace(MEANT, key="other"))
    typed = dataclasses.replace(RAISED, error=Failed("ValueError", "no way"))
    worded = dataclasses.replace(typed, error=Failed("ValueError", "never"), seconds=3.0)
    runs = [made(at, each) for at, each in enumerate([WRONG, other, KNOWN, RAISED, typed, worded])]
    with holding(path, *runs) as history:
        periods = history.case("a/b")
    assert [(p.first.run, p.last.run) for p in periods] == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 6)]
    assert periods[-1].error == "ValueError"
    assert "no way" in periods[-1].detail


def test_a_night_without_the_backend_is_no_change(path: Path) -> None:
    other = dataclasses.replace(RIGHT, case="a/c")
    runs = [made(0, RIGHT), made(1, ABSENT), made(2, other), made(3, RIGHT), made(4, WRONG)]
    with holding(path, *runs) as history:
        assert told(history.case("a/b")) == [(1, 4, 2, "pass"), (5, 5, 1, "wrong-value")]
        everything = history.case("a/b", not_run=True)
    assert [p.outcome for p in everything] == ["pass", "not-run", "pass", "wrong-value"]


@PROFILE
@given(
    nights=st.lists(
        st.lists(st.sampled_from((None, *VARIANTS)), min_size=3, max_size=3), max_size=7
    ),
    order=st.randoms(use_true_random=False),
)
def test_runs_are_kept_as_they_were_in_any_order(
    tmp_path_factory: pytest.TempPathFactory,
    nights: list[list[Record | None]],
    order: object,
) -> None:
    runs = [
        made(day, *(
            dataclasses.replace(each, case=f"a/{at}") for at, each in enumerate(night) if each
        ))
        for day, night in enumerate(nights)
    ]  # fmt: skip
    shuffled = list(runs)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    path = tmp_path_factory.mktemp("order") / "history.sqlite"
    with holding(path, *shuffled) as history:
        listed = history.runs()
        assert [run.created for run in listed] == [run.header.created for run in runs]
        for run, wanted in zip(listed, runs):
            kept = history.results(run.number)
            assert kept.header == wanted.header
            assert _signs(kept.records) == _signs(wanted.records)
        for at in range(3):
            name = f"a/{at}"
            seen = [r for run in runs for r in run.records if r.case == name]
            if seen:
                periods = history.case(name)
                assert sum(period.runs for period in periods) == len(seen)
                steps = [_sign(r) for r in seen]
                changes = [s for at, s in enumerate(steps) if at == 0 or s != steps[at - 1]]
                assert [(p.case, p.outcome, p.known, p.cause, p.error) for p in periods] == changes
                assert [p for p in history.periods() if p.case == name] == list(periods)
                several = periods if len(periods) > 1 else ()
                assert [p for p in history.periods(changed=True) if p.case == name] == list(several)


def _sign(record: Record) -> tuple[object, ...]:
    cause = record.explanation.key if record.explanation else ""
    error = record.error.type if record.error else ""
    return record.case, record.outcome, record.known, cause, error


def _signs(records: Sequence[Record]) -> set[tuple[object, ...]]:
    return {_sign(record) for record in records}


def test_a_run_comes_back_as_enough_for_a_comparison(path: Path) -> None:
    records = [dataclasses.replace(each, case=f"a/{at}") for at, each in enumerate(VARIANTS)]
    with holding(path, made(0, *records, ABSENT), made(1, *records[:2])) as history:
        first = history.results(1)
        assert len(history.results().records) == 2
    by_case = {record.case: record for record in first.records}
    assert by_case["a/1"] == dataclasses.replace(records[1], source="")
    assert by_case["a/2"] == dataclasses.replace(records[2], source="")
    error = Failed("RuntimeError", "no way")
    assert by_case["a/3"] == dataclasses.replace(records[3], error=error)
    assert by_case["a/b"] == ABSENT


def test_trends_count_outcomes_by_run(path: Path) -> None:
    layer = dataclasses.replace(RIGHT, api="torch.nn.functional")
    foreign = dataclasses.replace(RIGHT, backend="jax")
    with holding(path, made(0, RIGHT, layer), made(1, foreign), made(2, WRONG, layer)) as history:
        both = history.trend("torch")
        layers = history.trend("torch", target="torch.nn/")
    assert [each.moment.run for each in both] == [1, 3]
    assert [dict(each.counts) for each in both] == [{"pass": 2}, {"pass": 1, "wrong-value": 1}]
    assert [dict(each.counts) for each in layers] == [{"pass": 1}, {"wrong-value": 1}]
    assert both[0].total == 2
    assert both[0].moment.version == "2.0"


def test_the_very_same_run_is_not_added_twice(path: Path) -> None:
    with holding(path, made(0, RIGHT, RAISED)) as history:
        again = history.add(made(0, RAISED, RIGHT))
        assert (again.new, again.run.number) == (False, 1)
        later = history.add(made(1, WRONG, dataclasses.replace(RIGHT, case="a/z")), "0a1b2c")
        assert (later.new, later.changed, later.unseen) == (True, 1, 1)
        assert [run.revision for run in history.runs()] == ["", "0a1b2c"]


def test_a_run_can_count_for_another_day(path: Path, conformance: Command, tmp_path: Path) -> None:
    file = tmp_path / results.NAME
    results.write(file, made(9, RIGHT))
    with holding(path, made(2, WRONG)):
        pass
    add = ["history", "add", file, "--history", path, "--date"]
    assert conformance(*add, "2026-01-02").returncode == 0
    assert "is this very run" in conformance(*add, "2026-01-05").stdout
    with History.open(path) as history:
        assert [run.created[:10] for run in history.runs()] == ["2026-01-02", "2026-01-03"]
        assert told(history.case("a/b")) == [(2, 2, 1, "pass"), (1, 1, 1, "wrong-value")]
        assert history.results(2).header.created == "2026-01-02T00:00:00+00:00"
    done = conformance(*add, "tuesday")
    assert done.returncode == 2
    assert "'tuesday' is no day and no time, such as 2026-11-20" in done.stderr


def test_an_interrupted_run_is_marked(path: Path) -> None:
    with holding(path, dataclasses.replace(made(0, RIGHT), complete=False)) as history:
        assert not history.run().complete
        assert not history.results().complete


def damaged(path: Path) -> None:
    with holding(path, *(made(day, *VARIANTS) for day in range(30))):
        pass
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def newer(path: Path) -> None:
    with holding(path, made(0, RIGHT)):
        pass
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE moz_cookies (id INTEGER)")


def text(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("not a database, however long this line is to be" * 100)


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (lambda path: None, "there is no history here"),
        (text, "is no history: file is not a database"),
        (foreign, "is no history but a database of another program"),
        (newer, "has version 99, this suite reads 1"),
        (damaged, "is damaged"),
    ],
)
def test_a_wrong_file_is_told_in_a_sentence(
    path: Path, conformance: Command, write: object, sentence: str
) -> None:
    write(path)  # type: ignore[operator]
    done = conformance("history", "trend", "--history", path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_is_not_there_is_told(path: Path) -> None:
    with holding(path, made(0, RIGHT)) as history:
        with pytest.raises(HistoryError, match="no run has a case 'a/z'"):
            history.case("a/z")
        with pytest.raises(HistoryError, match="has no run 7"):
            history.results(7)
        odd = dataclasses.replace(made(0).header, created="yesterday")
        with pytest.raises(HistoryError, match="yesterday"):
            history.add(Results(odd, ()))


ADDER = """
import sys
from pathlib import Path
from conformance.history import History
from tests.test_history import large
path, start, stop = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with History.open(path, create=True) as history:
    for day in range(start, stop):
        history.add(large(day))
        print(day, flush=True)
"""


def large(day: int) -> Results:
    """A run of which every outcome differs from that of the day before."""
    records = [dataclasses.replace(VARIANTS[(day + at) % 4], case=f"a/{at}") for at in range(3000)]
    return made(day, *records)


def adder(path: Path, start: int, stop: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ADDER, str(path), str(start), str(stop)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip


def test_adders_at_the_same_time_wait_for_each_other(path: Path) -> None:
    processes = [adder(path, start, start + 4) for start in (0, 4, 8)]
    assert [process.wait(300) for process in processes] == [0, 0, 0]
    with History.open(path) as history:
        listed = history.runs()
        assert sorted(run.number for run in listed) == list(range(1, 13))
        assert [run.header for run in listed] == [made(day).header for day in range(12)]


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.02, 0.06])
def test_killed_in_the_middle_of_adding_no_recorded_run_is_lost(path: Path, seconds: float) -> None:
    process = adder(path, 0, 28)
    assert process.stdout is not None
    for _ in range(2):
        process.stdout.readline()
    journal = path.with_name(path.name + "-journal")
    deadline = time.monotonic() + 60
    while not journal.exists() and time.monotonic() < deadline:
        pass
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    acknowledged = 2 + len(process.stdout.read().splitlines())
    process.wait(60)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with History.open(path) as history:
        listed = history.runs()
        assert acknowledged <= len(listed) <= acknowledged + 1
        for run in listed:
            kept = history.results(run.number)
            assert _signs(kept.records) == _signs(large(run.number - 1).records)
        assert history.add(large(27)).new


def test_the_command_line(path: Path, conformance: Command, tmp_path: Path) -> None:
    files = []
    for day, (record, version) in enumerate([(RIGHT, "2.0"), (RIGHT, "2.0"), (WRONG, "2.1")]):
        files.append(tmp_path / f"{day}" / results.NAME)
        results.write(files[-1], made(day, record, version=version))
    done = conformance("history", "add", "--history", path, files[0].parent, *files[1:])
    assert done.returncode == 0, done.stderr
    assert "run 1 of" in done.stdout
    assert "1 outcome: 1 not as before, 0 for the first time" in done.stdout
    again = conformance("history", "add", "--history", path, files[1])
    assert again.returncode == 0
    assert "is this very run: nothing was added" in again.stdout
    shown = conformance("history", "show", "--history", path, "b", "--target", "torch.nn")
    assert shown.returncode == 0, shown.stderr
    assert "pass → wrong-value between run 2 (2026-01-02) and run 3 (2026-01-03)" in shown.stdout
    assert "torch 2.0 → 2.1" in shown.stdout
    trend = conformance("history", "trend", "--history", path, "--backend", "torch", "--last", 1)
    assert trend.returncode == 0, trend.stderr
    head, row = (line.split() for line in trend.stdout.splitlines())
    assert dict(zip(head, [*row[:2], "", *row[2:]]))["wrong-value"] == "1"
    exported = conformance("history", "export", "--history", path, "--out", tmp_path / "last.jsonl")
    assert exported.returncode == 0, exported.stderr
    assert results.read(tmp_path / "last.jsonl").records == (dataclasses.replace(WRONG, source=""),)
    compared = conformance("diff", tmp_path / "last.jsonl", files[2])
    assert compared.returncode == 0, compared.stderr
    assert "no regression" in compared.stdout
    missing = conformance("history", "show", "--history", path, "nothing")
    assert missing.returncode == 2
    assert missing.stderr == "error: no case 'nothing'; no run has one like it\n"
