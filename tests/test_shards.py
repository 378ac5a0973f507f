"""Shards: each case is in one, stays there when others come, and together they are one run."""

from __future__ import annotations

import dataclasses
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import results, shards
from conformance.discovery import UsageError
from conformance.shards import Shard
from tests.profiles import PROFILE
from tests.support import HERE, Command

ROOT = HERE.parent
ids = st.lists(st.text("abc/-", min_size=1, max_size=8), unique=True, max_size=30)
seconds = st.floats(0.001, 1e4)


@PROFILE
@given(names=ids, count=st.integers(1, 9), data=st.data())
def test_every_case_is_in_one_shard(names: list[str], count: int, data: st.DataObject) -> None:
    known = data.draw(st.dictionaries(st.sampled_from([*names, "gone"]), seconds))
    every = [Shard(number, count).balanced(known) for number in range(1, count + 1)]
    for name in names:
        assert sum(name in shard for shard in every) == 1


@PROFILE
@given(held=st.dictionaries(st.text("abc/", min_size=1), seconds, max_size=30), names=ids)
def test_a_case_that_no_earlier_run_knows_moves_no_other(
    held: dict[str, float], names: list[str]
) -> None:
    placed = shards.place(held, 4)
    for name in names:
        if name not in held:
            assert name not in placed
            assert shards.hashed(name, 4) == next(n for n in (1, 2, 3, 4) if name in Shard(n, 4))


@PROFILE
@given(name=st.text(min_size=1), count=st.integers(1, 9))
def test_with_one_shard_more_only_those_move_that_it_gets(name: str, count: int) -> None:
    assert shards.hashed(name, count + 1) in (shards.hashed(name, count), count + 1)


@pytest.mark.parametrize("count", [2, 4, 7])
def test_durations_balance_what_hashes_do_not(count: int) -> None:
    chance = random.Random(count)
    held = {f"conv/case-{at}": chance.paretovariate(1.2) for at in range(2000)}

    def heaviest(one: Shard) -> float:
        each = [dataclasses.replace(one, number=number) for number in range(1, count + 1)]
        loads = [sum(held[name] for name in held if name in shard) for shard in each]
        return max(loads) / (sum(held.values()) / count)

    assert heaviest(Shard(1, count)) > 1.05
    longest = max(held.values()) / (sum(held.values()) / count)
    assert heaviest(Shard(1, count).balanced(held)) < max(1.01, longest + 0.01)


def test_other_durations_move_slow_cases_only() -> None:
    chance = random.Random(0)
    before = {f"case-{at}": chance.paretovariate(1.2) for at in range(500)}
    after = {name: value * chance.uniform(0.9, 1.1) for name, value in before.items()}
    slow = {*shards.place(before, 4), *shards.place(after, 4)}
    assert 0 < len(slow) < 250
    for name in before.keys() - slow:
        one, other = Shard(1, 4).balanced(before), Shard(1, 4).balanced(after)
        assert (name in one) == (name in other)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="I/N is needed"):
        shards.parse(text)


@pytest.mark.backend("torch")
def test_merged_shards_are_one_run(conformance: Command, tmp_path: Path) -> None:
    common = ["run", "cases/tutorials", "--backend", "torch", "--jobs", 1, "--out"]
    whole = tmp_path / "whole"
    assert conformance(*common, whole, cwd=ROOT).returncode == 0
    for number in (1, 2, 3):
        part = [*common, tmp_path / "parts" / f"{number}", "--shard", f"{number}/3"]
        done = conformance(*part, "--durations", whole, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert f"shard {number}/3" in done.stdout
    merged = tmp_path / "merged"
    done = conformance("merge", tmp_path / "parts", "--out", merged, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    one, other = (results.read(folder / results.NAME) for folder in (whole, merged))
    assert len(one.records) > 300
    assert plain(one) == plain(other)
    asked = {**one.header.selection}
    assert other.header.selection == asked
    assert other.complete


def plain(found: results.Results) -> dict[results.Key, object]:
    """Records by what they are about, without the times that they took."""
    return {results.key(r): dataclasses.replace(r, seconds=0.0) for r in found.records}


def test_a_missing_shard_is_told(conformance: Command, tmp_path: Path) -> None:
    common = ["run", HERE / "data" / "three.yaml", "--backend", "numpy"]
    for number in (1, 3):
        out = tmp_path / f"{number}"
        done = conformance(*common, "--out", out, "--shard", f"{number}/3", "--jobs", number)
        assert done.returncode == 0, done.stderr
    merged = conformance("merge", tmp_path / "1", tmp_path / "3", "--out", tmp_path)
    assert merged.returncode == 1
    assert merged.stderr == "shard 2/3 is missing\n"
    assert not results.read(tmp_path / results.NAME).complete


def test_a_shard_is_not_resumed_as_another(conformance: Command, tmp_path: Path) -> None:
    common = ["run", HERE / "data" / "three.yaml", "--backend", "numpy", "--out", tmp_path]
    assert conformance(*common, "--shard", "1/2").returncode == 0
    for options, told in ((["--shard", "2/2"], "shard 2/2"), ([], "a whole run")):
        done = conformance(*common, *options, "--resume")
        assert done.returncode == 2
        assert f"is shard 1/2, not {told}" in done.stderr


def test_durations_alone_are_a_mistake(conformance: Command, tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text("")
    done = conformance("run", "--durations", file)
    assert (done.returncode, done.stderr) == (
        2,
        "error: --durations balances shards: it goes with --shard\n",
    )


def test_pytest_takes_a_shard() -> None:
    counted = []
    for shard in ("1/2", "2/2", "1/1"):
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q"]
        command += ["cases/tutorials", "--conformance-backend", "numpy"]
        done = subprocess.run(
            [*command, "--conformance-shard", shard],
            capture_output=True, text=True, cwd=ROOT, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        counted.append({line for line in done.stdout.splitlines() if "::" in line})
    one, other, both = counted
    assert one
    assert other
    assert not one & other
    assert one | other == both
