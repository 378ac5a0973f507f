"""Bisections: where an outcome changes over releases, and what does not hinder it."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import content
from conformance.adapter import Program
from conformance.bisection import environments, index, search
from conformance.bisection.environments import Recipe
from conformance.bisection.trials import Trial
from conformance.worker.loading import load_adapter
from tests import builders, releases
from tests.profiles import PROFILE
from tests.support import HERE

BACKEND = HERE / "backends" / "drifting"
answers = st.lists(st.sampled_from(("old", "new", None)), min_size=2, max_size=60)


@PROFILE
@given(row=answers, turned=st.booleans())
def test_the_change_lies_where_it_is_told(row: list[str | None], turned: bool) -> None:
    row[0], row[-1] = ("new", "old") if turned else ("old", "new")
    good, bad = (len(row) - 1, 0) if turned else (0, len(row) - 1)
    change = search.narrow(range(len(row)), good, bad, row.__getitem__)
    assert (row[change.before], row[change.after]) == ("old", "new")
    assert all(row[at] is None for at in change.between)
    assert len(change.between) == abs(change.before - change.after) - 1


@PROFILE
@given(size=st.integers(2, 500), data=st.data())
def test_one_change_takes_as_many_trials_as_halving_does(size: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(1, size - 1))
    asked: list[int] = []

    def ask(at: int) -> bool:
        asked.append(at)
        return at >= first

    change = search.narrow(range(size), 0, size - 1, ask)
    assert (change.before, change.after) == (first - 1, first)
    assert len(asked) <= math.ceil(math.log2(size)) + 1


@PROFILE
@given(row=answers)
def test_another_answer_is_found_unless_all_that_was_asked_is_the_same(
    row: list[str | None],
) -> None:
    row[-1] = "new"
    asked: dict[int, str | None] = {}

    def ask(at: int) -> str | None:
        asked[at] = row[at]
        return row[at]

    end = search.other_end(range(len(row)), len(row) - 1, ask)
    if end is None:
        assert set(asked.values()) <= {"new", None}
        assert 0 in asked
    else:
        assert row[end] == "old"


def test_what_is_too_old_to_be_tested_is_not_tried_one_by_one() -> None:
    asked: list[int] = []

    def ask(at: int) -> str | None:
        asked.append(at)
        return None if at < 60 else "old" if at < 63 else "new"

    assert search.other_end(range(100), 99, ask) in (60, 61, 62)
    assert len(asked) < 15
    asked.clear()
    assert search.other_end(range(100), 99, lambda at: ask(at) and "new") is None
    assert len(asked) < 25


def test_when_releases_were_uploaded_is_read_from_both_forms_of_an_index() -> None:
    json = (
        '{"files": [{"filename": "a_b-1.0-py3-none-any.whl", '
        '"upload-time": "2024-01-02T03:04:05.678901Z"}, '
        '{"filename": "a_b-1.0-cp311-cp311-win32.whl", "upload-time": "2024-01-03T00:00:00Z"}, '
        '{"filename": "a_b-1.1.tar.gz", "upload-time": "2024-02-03T00:00:00Z"}, '
        '{"filename": "a_b-1.2+cpu-py3-none-any.whl"}, {"filename": "odd.whl"}]}'
    )
    html = (
        "<html><body><a href='../a_b-1.0-py3-none-any.whl#sha256=0' "
        "data-upload-time='2024-01-03T00:00:00.5Z'>a</a><a href='a_b-1.2-py3-none-any.whl'>b</a>"
    )
    for page, kind in ((json, index.ACCEPT.partition(",")[0]), (html, "text/html")):
        times = index.uploads(page, kind)
        assert {str(v): t.isoformat() for v, t in times.items()} == {
            "1.0": "2024-01-03T00:00:00+00:00"
        }


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (("unsupported", "pass"), "pass"),
        (("unsupported",), "unsupported"),
        (("pass", "rejected", "wrong-value"), "rejected, wrong-value"),
    ],
)
def test_what_a_release_gives_is_told_in_a_few_words(outcomes: tuple[str, ...], told: str) -> None:
    steps = tuple(("native", f"{at}", each, "", "") for at, each in enumerate(outcomes))
    assert Trial("1.0", {}, steps).outcome == told


class Runs:
    """``conformance bisect`` on the releases of `tests.releases`."""

    def __init__(self, folder: Path) -> None:
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(HERE.parent),
            **releases.make(folder / "wheels"),
        }
        self.case = folder / "padded.yaml"
        self.case.write_text(releases.CASE)
        self.cache = folder / "cache"

    def command(self, *options: str) -> list[str]:
        command = [sys.executable, "-m", "conformance", "bisect", f"{self.case}::padded"]
        command += ["--target", "drifting", "--backend", "drifting", "--backend-dir", str(BACKEND)]
        return [*command, "--cache", str(self.cache), *options]

    def __call__(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options), capture_output=True, text=True, timeout=500,
            env=self.environment, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("bisect"))


def test_a_change_is_dated_past_releases_that_cannot_be_tested(runs: Runs) -> None:
    done = runs()
    assert done.returncode == 0, done.stderr
    assert "10 releases of drifting for Python" in done.stdout
    assert (
        "changed between drifting 1.4 and 1.6 (1 release between them could not be tested): "
        "pass before, wrong-shape after"
    ) in done.stdout
    assert "1.5: untested: ImportError: libdrift.so.1 is missing" in done.stderr.replace(
        "1.5  untested", "1.5: untested"
    )
    assert "1.8  untested: cannot be installed: " in done.stderr
    assert "nowhere-to-be-found" in done.stderr
    assert "padding-dropped" not in done.stdout
    assert "the padding was dropped" in done.stdout
    again = runs("--good", "1.2")
    assert again.returncode == 0
    told = [line for line in again.stderr.splitlines() if "cannot be installed" not in line]
    known = [line for line in told if line.endswith("(known)")]
    assert len(known) >= 3
    assert "changed between drifting 1.4 and 1.6" in again.stdout


def test_two_releases_may_be_named_in_either_order(runs: Runs) -> None:
    done = runs("--good", "1.0", "--bad", "1.3")
    assert "changed in drifting 1.2: rejected in 1.1, pass since 1.2" in done.stdout, done.stderr
    assert "ValueError: padding is not supported yet" in done.stdout
    turned = runs("--good", "1.3", "--bad", "1.0")
    assert "changed after drifting 1.1: pass in 1.2, rejected up to 1.1" in turned.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--good", "1.2", "--bad", "1.3"], "drifting 1.2 and 1.3 both give pass"),
        (["--bad", "7.0"], "drifting 7.0 has no wheel for Python"),
        (["--bad", "seven"], "'seven' is no version"),
        (["--bad", "1.5"], "drifting 1.5 cannot be tested: ImportError: libdrift.so.1"),
        (["--package", "scipy"], "--package scipy: drifting is made of drifting, numpy"),
        (["--base-python", "/nowhere/python"], "there is no such interpreter"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(runs: Runs, options: list[str], sentence: str) -> None:
    done = runs(*options)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if not line.startswith("drifting ")]
    assert len(errors) == 1
    assert errors[0].startswith("error: ")
    assert sentence in errors[0]


def test_what_was_found_before_an_interrupt_is_kept(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    process = subprocess.Popen(
        runs.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=runs.environment, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith("drifting 1.9  wrong-shape")
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "1.9" in out
    assert errors.endswith("interrupted: repeat the command to go on from here\n")
    done = runs()
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == f"{first.rstrip()}  (known)"


def test_pip_makes_an_environment_where_there_is_no_uv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in releases.make(tmp_path / "wheels").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(environments, "find_uv", lambda: None)
    pip = index.Pip.of(sys.executable)
    found = pip.releases("drifting")
    assert [str(each) for each in found] == list(releases.RELEASES)
    assert not pip.times("drifting")
    recipe = Recipe("drifting", ("numpy",), pip, "3", None, tmp_path / "cache")
    python = recipe.python(found[2], None)
    told = "import drifting, importlib.metadata as m; print(m.version('drifting'))"
    done = subprocess.run([python, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout == "1.2\n"
    assert recipe.python(found[2], None) == python
    with pytest.raises(environments.NotInstallable, match="nowhere-to-be-found"):
        recipe.python(found[8], None)
    assert not recipe.folder(found[8]).exists()


@pytest.mark.parametrize(
    ("installed", "opset", "ir_version"),
    [
        ("1.15.0", 19, 9),
        ("1.17.3", 19, 9),
        ("1.18.1", 21, 10),
        ("1.20.1", 21, 10),
        ("1.31.1", 22, 10),
    ],
)
def test_an_older_onnxruntime_gets_a_model_that_it_reads(
    monkeypatch: pytest.MonkeyPatch, installed: str, opset: int, ir_version: int
) -> None:
    adapter = load_adapter(content.root("backends") / "onnxruntime")
    monkeypatch.setattr("importlib.metadata.version", lambda name: installed)
    native = adapter.apis[0].lower(builders.conv((1, 1, 5), (1, 1, 3), dtype="float32")).native
    assert isinstance(native, Program)
    source = adapter.program(native, "eager").source
    assert f'make_opsetid("", {opset})' in source
    assert f"ir_version={ir_version})" in source
