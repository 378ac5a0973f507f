"""Modes: which a run takes, which have to be asked for, and which cannot run here."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from conformance import cases, commands, discovery, repro, results, runner
from conformance.cases import Case
from conformance.content import root
from conformance.discovery import Backend, Target, UsageError
from conformance.known import Entry, Known, Registry
from conformance.records import BackendInfo, Record
from conformance.worker.loading import load_adapter
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


CASES = """
op: conv
defaults: {input: {shape: [2, 4, 6, 6]}, kernel: {shape: [4, 4, 3, 3]}, padding: 1, bias: true}
cases:
  - {id: plane, stride: 2}
  - {id: line, input: {shape: [2, 4, 6]}, kernel: {shape: [4, 4, 3]}}
  - {id: volume, input: {shape: [1, 4, 4, 4, 4]}, kernel: {shape: [4, 4, 2, 2, 2]}, padding: 0}
  - {id: pool, op: max_pool, kernel: null, window: 2, padding: 0, bias: null}
  - {id: wide, dtype: float64, input: {shape: [1, 4, 4]}, kernel: {shape: [4, 4, 3]}}
  - {id: narrow, input: {shape: [1, 4, 4]}, kernel: {shape: [4, 4, 3]}}
"""


@dataclass(frozen=True)
class Framework:
    """One backend's workers, and cases by id."""

    workers: Workers
    cases: dict[str, Case]

    def record(self, name: str, target: Target) -> Record:
        """The last check of the native form."""
        records = self.workers.run(self.cases[name], target)
        return [record for record in records if record.form == "native"][-1]

    def script(self, name: str, target: Target) -> str:
        """The script of an outcome, which ends as the suite says."""
        _, found = repro.find(self.workers, self.cases[name], [target], repro.Wish())
        result = repro.reproduce(self.workers, self.cases[name], target, found)
        assert result.agrees, f"{result.ending}\n{result.script}"
        return result.script


@pytest.fixture
def framework(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Framework]:
    """The backend that a test is marked with."""
    (name,) = request.node.get_closest_marker("backend").args
    file = tmp_path / "modes.yaml"
    file.write_text(CASES, encoding="utf-8")
    found = discovery.discover(names=[name])
    with Workers({name: found[0]}, discovery.interpreters(found)) as workers:
        yield Framework(workers, {case.fields.id: case for case in cases.load([file])})


def backend(*arguments: Any) -> Any:
    """A parameter set of a test, with the backend that it needs: the first argument."""
    return pytest.param(*arguments, marks=pytest.mark.backend(arguments[0]))


@pytest.mark.parametrize(
    ("name", "api", "mode", "line"),
    [
        backend("torch", "torch.nn", "channels-last", "x = channels_last(x)"),
        backend("torch", "torch.nn", "onednn-off", "torch.backends.mkldnn.enabled = False"),
        backend("jax", "jax.lax", "x64", 'jax.config.update("jax_enable_x64", True)'),
        backend("flax", "flax.linen", "x64", 'jax.config.update("jax_enable_x64", True)'),
        backend("tensorflow", "tf.nn", "xla", "autograph=False, jit_compile=True)"),
        backend("mxnet", "mxnet.npx", "hybridized", "block.hybridize()"),
        backend("mxnet", "mxnet.gluon", "hybridized", "layer.hybridize()"),
    ],
)
def test_a_script_says_how_a_mode_is_entered(
    framework: Framework, name: str, api: str, mode: str, line: str
) -> None:
    for case in ("plane", "line", "volume", "pool", "wide"):
        script = framework.script(case, Target(name, api, mode))
        assert line in script
        assert script.count("jax_enable_x64") == ("x64" in line)


@pytest.mark.backend("torch")
def test_compiled_code_is_compiled_or_its_compiler_is_missed(framework: Framework) -> None:
    target = Target("torch", "torch.nn.functional", "compile")
    found = framework.record("pool", target)
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        assert (found.outcome, found.note) == ("not-run", "mode compile " + NO_COMPILER)
        return
    assert found.outcome == "pass", found
    script = framework.script("pool", target)
    assert "y = torch.compile(forward, fullgraph=True, dynamic=False)(x)" in script


NO_COMPILER = "needs a C++ compiler, and there is no g++"


@pytest.mark.parametrize(
    ("name", "mode", "told"),
    [
        backend("torch", "compile", "needs a C++ compiler, and there is no absent-compiler"),
        backend("torch", "cuda", "needs a CUDA device, and there is none"),
        backend("torch", "cuda-tf32", "needs a CUDA device, and there is none"),
        backend("jax", "cuda", "needs a CUDA device, and there is none"),
        backend("flax", "cuda-tf32", "needs a CUDA device, and there is none"),
    ],
)
def test_what_a_mode_needs_is_named(
    framework: Framework, monkeypatch: pytest.MonkeyPatch, name: str, mode: str, told: str
) -> None:
    monkeypatch.setenv("CXX", "absent-compiler")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    backend = framework.workers.backends[name]
    for target in backend.all_targets:
        if target.mode == mode:
            (record,) = framework.workers.run(framework.cases["narrow"], target)
            assert (record.outcome, record.note) == ("not-run", f"mode {mode} {told}")
    usual = framework.record("narrow", backend.targets[0])
    assert usual.outcome == "pass"


@pytest.mark.parametrize(("name", "api"), [backend("jax", "jax.lax"), backend("flax", "flax.nnx")])
def test_64_bits_are_32_where_nobody_asks_for_more(
    framework: Framework, name: str, api: str
) -> None:
    def target(mode: str) -> Target:
        return Target(name, api, mode)

    def outcome(case: str, mode: str) -> tuple[str, str | None]:
        record = framework.record(case, target(mode))
        return record.raw, record.known

    for mode in ("eager", "x64"):
        assert outcome("wide", mode) == ("pass", None)
        assert outcome("wide", "x32") == ("wrong-dtype", "64-bits-are-32")
        assert outcome("narrow", mode) == ("pass", None)
        assert outcome("narrow", "x32") == ("pass", None)
    script = framework.script("wide", target("x32"))
    assert "jax.config" not in script
    assert "float32 instead of float64" in " ".join(script.split())


@pytest.mark.framework("torch")
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_are_last_in_memory(rank: int) -> None:
    torch = pytest.importorskip("torch")
    adapter = load_adapter(root("backends") / "torch")
    seen = []

    def forward(x: Any, w: Any) -> Any:
        seen.extend([x, w])
        return x.sum() + w.sum()

    x, w = torch.ones(2, 3, *(4,) * rank), torch.ones(5, 3, *(2,) * rank)
    next(adapter.run({"forward": forward}, [x, w], None, "channels-last"))
    for tensor in seen:
        assert tensor.stride(1) == 1
        assert not tensor.is_contiguous()
    next(adapter.run({"forward": forward}, [x, w], None, "eager"))
    assert all(tensor.is_contiguous() for tensor in seen[2:])


@pytest.mark.backend("jax")
def test_compiled_programs_are_kept_for_a_later_run(conformance: Command, tmp_path: Path) -> None:
    words = ("run", FILE, "--backend", "jax", "--mode", "jit", "--cache", tmp_path / "kept")
    assert conformance(*words, "--out", tmp_path / "cold").returncode == 0
    kept = sorted((tmp_path / "kept").iterdir())
    assert kept
    assert conformance(*words, "--out", tmp_path / "warm").returncode == 0
    assert sorted((tmp_path / "kept").iterdir()) == kept
