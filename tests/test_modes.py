"""Modes: which a run takes, which have to be asked for, and which cannot run here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import cases, commands, discovery, results, runner
from conformance.cases import Case
from conformance.discovery import Backend, Target, UsageError
from conformance.known import Entry, Known, Registry
from conformance.records import BackendInfo, Record
from conformance.workers import Workers
from tests.support import HERE, Command
from tests.test_cli import pytest_of

MOODY = HERE / "backends" / "moody"
FILE = HERE / "data" / "plain.yaml"
OPTIONS = ("--backend-dir", MOODY, "--backend", "moody")
MISSING = "mode piloted needs a pilot, and there is none"


@pytest.fixture(scope="module")
def moody() -> Backend:
    (found,) = discovery.discover([MOODY], ["moody"])
    return found


def plain() -> Case:
    return cases.load([FILE])[0]


def ran(conformance: Command, out: Path, *arguments: object) -> dict[str, Counter[str]]:
    """Outcomes by mode."""
    done = conformance("run", FILE, *OPTIONS, "--out", out, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    counted: dict[str, Counter[str]] = {}
    for record in results.read(out / "results.jsonl").records:
        counted.setdefault(record.mode, Counter())[record.outcome] += 1
    return counted


@pytest.mark.parametrize(
    ("modes", "outcomes"),
    [
        ((), {"eager": {"pass": 2}, "apart": {"pass": 2}}),
        (("doubling",), {"doubling": {"known": 2}}),
        (("eager", "piloted"), {"eager": {"pass": 2}, "piloted": {"not-run": 2}}),
        (
            ("all",),
            {
                "eager": {"pass": 2},
                "apart": {"pass": 2},
                "doubling": {"known": 2},
                "piloted": {"not-run": 2},
            },
        ),
    ],
)
def test_a_run_takes_extra_modes_where_they_are_asked_for(
    conformance: Command, tmp_path: Path, modes: Sequence[str], outcomes: dict[str, dict[str, int]]
) -> None:
    arguments = [word for mode in modes for word in ("--mode", mode)]
    assert ran(conformance, tmp_path, *arguments) == outcomes


def test_a_mode_that_nobody_has_is_named(conformance: Command) -> None:
    done = conformance("run", FILE, *OPTIONS, "--mode", "flying")
    assert done.returncode == 2
    told = "no mode 'flying'; there are all, apart, doubling, eager, piloted"
    assert done.stderr == f"error: {told}\n"
    arguments = [FILE, "--conformance-backend-dir", MOODY, "--conformance-backend", "moody"]
    done = pytest_of(*arguments, "--conformance-mode", "flying")
    assert done.returncode == 4
    assert f"ERROR: {told}" in done.stderr


def test_a_mode_that_cannot_run_is_named_and_leaves_the_others_alone(
    conformance: Command, tmp_path: Path
) -> None:
    arguments = ["run", FILE, *OPTIONS, "--mode", "all", "--out", tmp_path]
    done = conformance(*arguments)
    assert done.returncode == 0
    assert done.stdout.count(f"moody did not run: {MISSING}") == 1
    info = results.read(tmp_path / "results.jsonl").header.backends[0]
    assert info.problem == ""
    assert {mode: told["build"] for mode, told in info.info.items()} == {
        "eager": {"mood": "eager", "variable": ""},
        "apart": {"mood": "apart", "variable": "apart"},
        "doubling": {"mood": "doubling", "variable": ""},
    }
    assert conformance(*arguments, "--require-backends").returncode == 1


def test_pytest_takes_modes_by_name() -> None:
    arguments = [FILE, "--conformance-backend", "moody", "--conformance-backend-dir", MOODY, "-rs"]
    done = pytest_of(*arguments)
    assert "4 passed" in done.stdout, done.stdout
    done = pytest_of(*arguments, "--conformance-mode", "all")
    assert "4 passed, 2 skipped, 2 xfailed" in done.stdout, done.stdout
    assert MISSING in done.stdout


def test_backends_tells_extra_modes_from_the_others(conformance: Command) -> None:
    done = conformance("backends", *OPTIONS)
    assert "eager, apart, (doubling), (piloted)" in done.stdout


def test_list_counts_the_modes_asked_for(conformance: Command) -> None:
    for modes, targets in (((), 2), (("--mode", "all"), 4), (("--mode", "piloted"), 1)):
        done = conformance("list", FILE, *OPTIONS, *modes)
        assert done.stderr.startswith(f"2 cases on {targets} target")


def test_show_tells_of_extra_modes_too(conformance: Command) -> None:
    done = conformance("show", f"{FILE}::first", *OPTIONS)
    assert "in mode doubling: no" in done.stdout, done.stdout
    assert "It doubles where it is asked to" in done.stdout


def test_repro_takes_extra_modes_only_where_nothing_else_is_meant(
    conformance: Command, tmp_path: Path
) -> None:
    arguments = ["repro", f"{FILE}::first", *OPTIONS, "--out", tmp_path / "repro.py"]
    done = conformance(*arguments, "--target", "moody.conv")
    assert "moody/moody.conv/eager (native forward) passes" in done.stderr, done.stderr
    done = conformance(*arguments, "--target", "doubling")
    assert done.returncode == 0, done.stderr
    assert "moody/moody.conv/doubling" in done.stderr
    assert "warning" not in done.stderr
    script = (tmp_path / "repro.py").read_text()
    assert "Mode:       doubling" in script
    assert "# doubled\ndef forward(x, w):" in script
    done = conformance(*arguments, "--target", "piloted")
    assert done.returncode == 2
    assert done.stderr == f"error: moody does not run: {MISSING}\n"


def test_what_repeats_an_outcome_names_its_mode_where_it_must(moody: Backend) -> None:
    told = [
        commands.run(plain(), Target("moody", "moody.conv", mode), moody, None)
        for mode in ("apart", "doubling")
    ]
    assert "--mode" not in told[0]
    assert " --mode doubling " in told[1]


def test_modes_of_one_worker_do_not_leak_into_each_other(moody: Backend) -> None:
    order = ["doubling", "eager", "piloted", "doubling", "eager"]
    with Workers({"moody": moody}, discovery.interpreters([moody])) as workers:
        outcomes = [
            record.raw
            for mode in order
            for record in workers.run(plain(), Target("moody", "moody.conv", mode))
        ]
        assert len(workers.workers) == 1
    assert outcomes == ["wrong-value", "pass", "not-run", "wrong-value", "pass"]


def test_targets_are_found_by_name_in_the_usual_modes_first(moody: Backend) -> None:
    def modes(text: str) -> list[str]:
        return [target.mode for target in discovery.matching([moody], text)]

    assert modes("moody.conv") == ["eager", "apart"]
    assert modes("moody.conv/doubling") == ["doubling"]
    with pytest.raises(UsageError, match="no target has 'flying' in its name"):
        modes("flying")


def entry(name: str, mode: Any) -> Known:
    fields = {"id": name, "mode": mode, "expect": {"outcome": "crash"}, "kind": "bug"}
    told = Entry.model_validate({**fields, "why": "It used to crash.", "evidence": "none"})
    return Known(told, Path("known.yaml"), 1)


def record(mode: str) -> Record:
    """A pass of one mode, about which the entry 'met' speaks; of 'piloted' that it did not run."""
    passed = Record("case", "moody", "moody.conv", mode, "native", "forward", "pass", "pass", "met")
    if mode != "piloted":
        return passed
    return replace(passed, outcome="not-run", raw="not-run", known=None)


@pytest.mark.parametrize(
    ("modes", "stale"),
    [
        (["eager", "apart"], ["any", "eager", "both"]),
        (["eager"], ["eager", "both"]),
        (["doubling"], ["doubling"]),
        (["piloted"], []),
        (["eager", "apart", "doubling", "piloted"], ["any", "eager", "both", "doubling"]),
    ],
)
def test_entries_are_stale_only_where_their_modes_ran(
    moody: Backend, modes: Sequence[str], stale: Sequence[str]
) -> None:
    entries = (
        entry("any", None),
        entry("eager", "eager"),
        entry("both", ["eager", "doubling"]),
        entry("doubling", "doubling"),
        entry("piloted", "piloted"),
        entry("met", ["eager", "doubling"]),
    )
    backend = replace(moody, registry=Registry("moody", entries))
    records = [record(mode) for mode in modes]
    info = BackendInfo("moody", "1.0", {"numpy": "1.0"}, "3.11", "")
    found = runner.unmatched([backend], [info], records)
    assert [text.split("'")[1] for text in found] == list(stale)
