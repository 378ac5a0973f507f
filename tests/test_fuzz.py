"""Fuzzing: what is drawn is valid, what is planted is found and named, what is found is kept."""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import cases, compare, discovery, known, predicates, resolve, schema, words
from conformance.cases import Case
from conformance.fuzzing import drawing, journal
from conformance.fuzzing.campaign import Campaign, Plan
from conformance.fuzzing.drawing import drawn_cases
from conformance.fuzzing.pairs import pairs, possible
from conformance.fuzzing.proposing import learned, pattern
from conformance.fuzzing.requests import CORNERS, requests
from conformance.fuzzing.stream import Stream
from conformance.request import OPS, Op, Pool, Request
from tests.profiles import PROFILE
from tests.support import HERE, Command

PLANTED = HERE / "backends" / "planted"
TEN = (
    "padding-dropped", "padding-other-side", "kernel-flipped", "stride-ignored",
    "dilation-ignored", "groups-interleaved", "padding-not-counted", "ceil-ignored",
    "padded-with-zero", "ties-to-all", "ties-to-last", "accumulates-in-storage-dtype",
)  # fmt: skip
"""Ten semantic errors, and two more."""

MINUTES = 2
PLAIN = ("--op", "conv", "--dtype", "int32")


def arguments(out: Path, *causes: str, folder: Path = PLANTED) -> list[str]:
    """`conformance fuzz` on semantics of the scratch adapter."""
    words = ["fuzz", "--backend", "planted", "--backend-dir", str(folder), "--out", str(out)]
    words += ["--jobs", "1"]
    return words + [word for cause in causes for word in ("--api", f"planted.{cause}")]


def found(out: Path) -> dict[str, set[str]]:
    """The names of what a journal holds, by API; what was another's is left out."""
    told: dict[int, Any] = {}
    for line in journal.read(out / journal.NAME):
        if line["kind"] in ("found", "shrunk"):
            told[line["number"]] = line
        elif line["kind"] == "merged":
            told.pop(line["number"])
    names: dict[str, set[str]] = {}
    for line in told.values():
        for api in line["apis"]:
            names.setdefault(api.removeprefix("planted."), set()).add(line["key"])
    return names


@PROFILE
@given(request=requests(room=CORNERS, dtypes=tuple(drawing.DTYPE_NAMES)))
def test_a_request_is_said_in_the_words_of_a_case_file(request: Request) -> None:
    if isinstance(request, Pool):
        request = replace(request, padding_value=None)
    fields = schema.Case.model_validate({"id": "said", **drawing.said(request)})
    again = resolve.request(fields)
    if getattr(request, "sized", False) and not getattr(again, "sized", False):
        assert min(request.output_shape[2:]) == 0
        again = replace(again, sized=True)  # type: ignore[arg-type]
    assert again == request


@PROFILE
@given(case=drawn_cases())
def test_a_drawn_case_can_be_written_and_read_again(
    tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    file = tmp_path_factory.getbasetemp() / "drawn.yaml"
    file.write_text(cases.written(case), encoding="utf-8")
    (again,) = cases.load([file])
    assert again.request == case.request
    assert repr(again.fields) == repr(case.fields)
    for mine, theirs in zip((*case.arrays(), case.cotangent_array()),
                            (*again.arrays(), again.cotangent_array())):  # fmt: skip
        np.testing.assert_array_equal(mine, theirs)
    assert journal.read_case(cases.written(case)).id == case.id


@pytest.mark.parametrize("op", OPS)
def test_every_operator_is_drawn_with_every_kind_of_data(op: str) -> None:
    drawn = [each for seed in range(3) for each in Stream(drawn_cases([op]), seed).batch(0)]
    assert len(drawn) > 100
    assert {each.case.request.op for each in drawn} == {op}
    assert {each.case.request.rank for each in drawn} == {1, 2, 3}
    met = {name for each in drawn for pair in each.pairs for name in pair[1:]}
    assert {"NaN", "infinities", "float16", "bfloat16", "float32"} <= met


def test_a_seed_fixes_the_cases_and_each_is_there_once() -> None:
    one, same, other = (Stream(drawn_cases(), seed) for seed in (7, 7, 8))
    names = [each.case.id for each in one.batch(3)]
    assert names == [each.case.id for each in same.batch(3)]
    assert names != [each.case.id for each in other.batch(3)]
    assert len(set(names)) == len(names)
    assert {each.case.id for each in one.batch(4)} != set(names)


def test_pairs_of_axes_are_counted_among_those_that_make_sense() -> None:
    met = {
        pair for n in range(3) for each in Stream(drawn_cases(), n).batch(0) for pair in each.pairs
    }
    assert ("conv", "dilation", "groups") in met
    assert 800 < len(met) < possible(get_args(Op))
    fields = {"id": "a", "op": "max_pool", "window": 2, "input": {"shape": [1, 1, 4]}}
    case = drawing.digested(schema.Case.model_validate(fields))
    assert ("max_pool", "1-D", "float32") in pairs(case)
    assert not any("bias" in pair for pair in pairs(case))


@pytest.fixture(scope="module")
def sown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Campaigns over all the planted errors: where they are, and what they said."""
    out, told = tmp_path_factory.mktemp("fuzz") / "out", []
    *most, last = TEN
    campaigns = (
        (*arguments(out, *most), "--cases", "150"),
        (*arguments(out, last), "--op", "conv", "--dtype", "bfloat16", "--cases", "100"),
    )
    for asked in campaigns:
        done = subprocess.run(
            [sys.executable, "-m", "conformance", *asked, "--seed", "1"],
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        told.append(done.stdout)
    return out, "".join(told)


@pytest.mark.parametrize("cause", TEN)
def test_what_is_planted_is_found_and_named(sown: tuple[Path, str], cause: str) -> None:
    out, told = sown
    assert cause in found(out)[cause], found(out)[cause]
    assert f"planted.{cause}" in told


def test_one_cause_is_reported_once_or_nearly(sown: tuple[Path, str]) -> None:
    out, told = sown
    assert len([line for line in told.splitlines() if "repro:" in line]) <= 2 * len(TEN)
    assert sum(found(out)[cause] == {cause} for cause in TEN) >= 3


def flipped(out: Path) -> Path:
    """The case file of a finding."""
    return out / "cases" / "planted" / "planted-kernel-flipped-kernel-flipped-conv.yaml"


def test_what_is_found_is_minimal_and_filed(sown: tuple[Path, str]) -> None:
    out, told = sown
    (case,) = cases.load([flipped(out)])
    assert case.fields.tier == "full"
    request = case.request
    assert not isinstance(request, Pool)
    assert max(request.window) == 2
    assert request.rank < 3
    assert request.input_shape[:2] == (1, 1) == request.kernel_shape[:2]
    assert set(case.fields.model_fields_set) <= {"id", "op", "input", "kernel", "tier"}
    where = f"{flipped(out)}::{flipped(out).stem} --target planted/planted.kernel-flipped/eager"
    assert f"repro: conformance repro {where}" in told
    assert "pairs of axes met" in told


def test_the_command_that_is_told_reproduces_it(conformance: Command, tmp_path: Path) -> None:
    folder = HERE / "backends" / "moody"
    asked = ["--backend", "moody", "--backend-dir", folder, "--mode", "eager", "--op", "conv"]
    asked += ["--dtype", "float32", "--cases", 40, "--seed", 1, "--jobs", 1]
    done = conformance("fuzz", *asked, "--out", tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "repro: conformance repro" in line]
    (command,) = [line for line in lines if "padding-dropped" in line]
    words = shlex.split(command.partition("repro: conformance ")[2])
    done = conformance(*words, "--out", tmp_path / "repro.py")
    assert done.returncode == 0, done.stderr
    assert "the padding was dropped" in done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the scratch adapter."""
    return shutil.copytree(PLANTED, tmp_path / "planted", ignore=shutil.ignore_patterns("__py*"))


def test_proposed_entries_make_it_known(
    sown: tuple[Path, str], conformance: Command, copy: Path, tmp_path: Path
) -> None:
    proposed = sown[0] / "known" / "planted.yaml"
    entries = {each.entry.id: each.entry for each in known.load(proposed, "planted").entries}
    assert entries["kernel-flipped-conv"].expect.because == "kernel-flipped"
    assert entries["ties-to-all-max-pool"].check == "vjp"
    shutil.copy(proposed, copy / "known.yaml")
    done = conformance(
        "run", flipped(sown[0]), "--backend", "planted", "--backend-dir", copy,
        "--api", "planted.kernel-flipped", "--tier", "full", "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 known discrepancy" in done.stdout


def test_known_causes_are_not_reported_but_where_they_hold_beyond(
    conformance: Command, copy: Path, tmp_path: Path
) -> None:
    (copy / "known.yaml").write_text(ENTRY)
    asked = [*arguments(tmp_path / "out", "kernel-flipped", folder=copy), *PLAIN]
    done = conformance(*asked, "--cases", 200, "--seed", 2)
    assert done.returncode == 0, done.stdout
    assert "nothing new" in done.stdout
    assert "planted: known entry flips holds beyond its predicate" in done.stdout
    assert "planted: known entry too-much does not hold everywhere its predicate" in done.stdout
    assert found(tmp_path / "out") == {}


ENTRY = """
- id: flips
  api: planted.kernel-flipped
  when: {op: conv, rank: [1, 2], window: ">1"}
  stable: false
  expect: {outcome: wrong-value, because: kernel-flipped}
  kind: by-design
  why: It was planted.
  evidence: tests
- id: too-much
  api: planted.kernel-flipped
  when: {op: conv, rank: 3, window: 1}
  expect: {outcome: wrong-value, because: bias-dropped}
  kind: by-design
  why: It was never there.
  evidence: tests
"""


class Campaigning:
    """A campaign in a process of its own."""

    def __init__(self, out: Path) -> None:
        self.out = out
        command = [sys.executable, "-m", "conformance", *arguments(out, "kernel-flipped"), *PLAIN]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [*command, "--time", "5m", "--seed", "3"], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def wait_for(self, holds: Callable[[list[Any]], bool]) -> None:
        """Wait until the journal's lines are as wanted."""
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            if holds(journal.read(self.out / journal.NAME)):
                return
            time.sleep(0.05)
        raise AssertionError(self.process.communicate()[0])


def kinds(lines: list[Any]) -> list[str]:
    return [line["kind"] for line in lines]


def test_an_interrupt_keeps_and_tells_what_was_found(tmp_path: Path) -> None:
    campaign = Campaigning(tmp_path / "out")
    campaign.wait_for(lambda lines: "shrunk" in kinds(lines))
    campaign.process.send_signal(signal.SIGINT)
    told = campaign.process.communicate(timeout=60)[0]
    assert campaign.process.returncode == 130, told
    assert "interrupted: repeat the command to go on from here" in told
    assert "Traceback" not in told
    assert "planted.kernel-flipped (eager)  kernel-flipped" in told
    assert found(tmp_path / "out") == {"kernel-flipped": {"kernel-flipped"}}
    assert (tmp_path / "out" / "known" / "planted.yaml").exists()


def test_a_kill_loses_nothing_and_a_rerun_goes_on(conformance: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    campaign = Campaigning(out)
    campaign.wait_for(lambda lines: "place" in kinds(lines) and "found" in kinds(lines))
    os.killpg(campaign.process.pid, signal.SIGKILL)
    campaign.process.wait()
    before = found(out)
    assert before == {"kernel-flipped": {"kernel-flipped"}}
    place = [line for line in journal.read(out / journal.NAME) if line["kind"] == "place"][-1]
    with (out / journal.NAME).open("a") as file:
        file.write('{"kind": "found", "numb')
    done = conformance(*arguments(out, "kernel-flipped"), *PLAIN, "--cases", 20, "--seed", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kernel-flipped: still there" in done.stdout
    assert "nothing new" in done.stdout
    assert found(out) == before
    lines = journal.read(out / journal.NAME)
    assert "shrunk" in kinds(lines)
    assert lines[-1]["at"]["planted"] > place["at"]["planted"]


def test_what_does_not_fail_any_more_is_told(
    conformance: Command, copy: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = [*arguments(out, "kernel-flipped", folder=copy), *PLAIN, "--cases", "60"]
    assert conformance(*asked).returncode == 1
    shutil.copy(out / "known" / "planted.yaml", copy / "known.yaml")
    done = conformance(*asked)
    assert "kernel-flipped: in the registry by now" in done.stdout
    (copy / "known.yaml").unlink()
    with (copy / "semantics.py").open("a") as file:
        file.write('\nPLANTED["kernel-flipped"] = PLANTED["right"]\n')
    done = conformance(*asked)
    assert done.returncode == 0, done.stdout
    assert "kernel-flipped: gone" in done.stdout


def test_an_error_of_the_suite_is_a_finding_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = compare.compare

    def broken(reference: Any, *others: Any) -> Any:
        if reference.values.ndim == 5:
            raise ZeroDivisionError("planted")
        return right(reference, *others)

    monkeypatch.setattr("conformance.judge.compare", broken)
    backends = discovery.discover(names=["numpy"])
    plan = Plan(
        backends, discovery.interpreters(backends), discovery.targets(backends),
        Stream(drawn_cases(), 5), 60, tmp_path, most=60,
    )  # fmt: skip
    campaign = Campaign(plan)
    assert not campaign.run(lambda: None)
    (finding,) = campaign.ledger.new
    assert finding.key.startswith("suite: ZeroDivisionError in ")
    assert finding.sentence.startswith("the suite itself fails in ")
    assert finding.case.request.rank == 3
    assert campaign.shares[0].cases == 60


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--time", "soon"), "'soon' is no time such as 90s, 10m or 1h30m"),
        (("--time", "0s"), "'0s' is no time such as 90s, 10m or 1h30m"),
        (("--seed", "-1"), "-1 is not in the range x>=0"),
        (("--op", "pool"), "--op 'pool': there are conv, conv_transpose, max_pool"),
        (("--dtype", "float8"), "--dtype 'float8': there are float32, float64"),
        (("--backend", "pytorch"), "no backend 'pytorch'; there are "),
        (("--backend", "numpy", "--api", "np"), "no API 'np'; there are numpy.loops"),
        (("--backend", "numpy", "--mode", "jit"), "no mode 'jit'; there are"),
        (("--backend", "numpy", "--out", "{here}/file/out"), "cannot be written: "),
        (("--backend", "numpy", "--out", "{here}/other"), "is no line of a journal of findings"),
    ],
)
def test_bad_input_is_told_in_a_sentence(
    conformance: Command, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / journal.NAME).write_text('{"kind": "header"}\n')
    done = conformance("fuzz", *(each.format(here=tmp_path) for each in options))
    assert done.returncode == 2, done.stdout
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_without_hypothesis_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "from conformance.cli import main; main(['fuzz'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'conformance[fuzz]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("seed", range(3))
def test_a_learned_predicate_holds_for_every_case_that_fails(seed: int) -> None:
    facts = [each.facts for each in Stream(drawn_cases(), seed).batch(0)]
    picks = random.Random(seed)
    for number in (1, 1, 2, 3, 8):
        failing = picks.sample(facts, number)
        when = predicates.When.model_validate(dict(learned(failing, facts[:60])))
        assert all(predicates.holds(when, each) for each in failing)
    facts = [each.facts for each in Stream(drawn_cases(["conv", "max_pool"]), seed).batch(0)]
    dilated = [each for each in facts if each["op"] == "conv" and each["dilation"] > 1]
    others = [each for each in facts if each not in dilated]
    literals = learned(dilated, others)
    assert literals[:2] == [("op", "conv"), ("dilation", ">1")]


@given(message=st.text(max_size=60))
def test_a_pattern_of_an_error_matches_it(message: str) -> None:
    assert re.search(pattern(f"Error: {message}"), words.essence(f"Error: {message}")) is not None


@pytest.mark.slow
@pytest.mark.parametrize("cause", TEN)
def test_each_is_found_within_two_minutes(tmp_path: Path, cause: str) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "conformance", *arguments(out, cause)]
    process = subprocess.Popen([*command, "--time", f"{MINUTES}m"], stdout=subprocess.PIPE)
    begun = time.monotonic()
    while process.poll() is None and cause not in found(out).get(cause, ()):
        time.sleep(0.2)
    took = time.monotonic() - begun
    process.send_signal(signal.SIGINT)
    told = process.communicate()[0].decode()
    assert cause in found(out).get(cause, ()), told
    assert took < 60 * MINUTES
    print(f"{cause}: {took:.0f} s, {told.count('repro: ')} in all")
