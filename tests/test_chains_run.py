"""Chains on backends: what a run names of them, and the commands that know them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from conformance import cli, results
from conformance.records import Record
from tests.support import HERE

FOLDER = HERE / "backends" / "stumbling"
STUMBLING = ("--backend-dir", FOLDER, "--backend", "stumbling")
STEPS: dict[str, Any] = {
    "op": "chain",
    "exact": True,
    "input": {"shape": [1, 2, 7, 7]},
    "steps": [
        {"op": "conv", "kernel": {"shape": [3, 2, 3, 3]}, "padding": 1, "name": "stem"},
        "relu",
        {"op": "conv", "kernel": {"shape": [3, 3, 3, 3]}, "stride": 2, "name": "second"},
        {"op": "concatenate", "of": ["second", "second"]},
        {"op": "conv", "kernel": {"shape": [2, 6, 1, 1]}, "bias": True, "name": "third"},
    ],
}
TRAINING: dict[str, Any] = {
    "op": "chain",
    "input": {"shape": [1, 1, 6, 6]},
    "target": {"shape": [1, 1, 2, 2]},
    "steps": [
        {"op": "conv", "kernel": {"shape": [1, 1, 3, 3]}, "stride": 2, "bias": True},
        {"op": "squared_error"},
    ],
    "train": {"steps": 3, "rate": 0.001},
}


def write(folder: Path, **entries: dict[str, Any]) -> Path:
    file = folder / "chains.yaml"
    listed = [{"id": name, **entry} for name, entry in entries.items()]
    file.write_text(yaml.safe_dump({"cases": listed}), encoding="utf-8")
    return file


def invoke(*words: object) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, words)])


@pytest.fixture(scope="module")
def stumbled(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], Record]:
    """The records of both cases, by API, case and check."""
    out = tmp_path_factory.mktemp("stumbling")
    file = write(out, network=STEPS, training=TRAINING)
    command = [sys.executable, "-m", "conformance", "run", str(file), "--out", str(out)]
    done = subprocess.run(
        [*command, *map(str, STUMBLING)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr
    found = results.read(out / "results.jsonl").records
    return {(r.api.partition(".")[2], r.case.partition("/")[2], r.check): r for r in found}


def test_what_is_right_passes(stumbled: dict[tuple[str, str, str], Record]) -> None:
    right = [record for (api, _, _), record in stumbled.items() if api == "right"]
    assert [record.outcome for record in right] == ["pass"] * 4


@pytest.mark.parametrize(
    ("fault", "check", "outcome", "key", "told"),
    [
        ("flipping", "forward", "wrong-value", "kernel-flipped", "second (conv of relu1, "),
        ("doubling", "vjp", "wrong-value", "", "second (conv of relu1, "),
        ("refusing", "forward", "rejected", "rejected: ValueError: no strides", "second (conv of"),
        ("aborting", "forward", "crash", "crash: killed by SIGABRT", "second (conv of relu1, "),
        ("gluing", "forward", "wrong-value", "step: relu", "relu1 (relu of stem → "),
    ],
)
def test_the_first_step_that_differs_is_named(
    stumbled: dict[tuple[str, str, str], Record],
    fault: str,
    check: str,
    outcome: str,
    key: str,
    told: str,
) -> None:
    record = stumbled[fault, "network", check]
    assert (record.raw, record.form) == (outcome, "native")
    assert record.explanation is not None
    assert record.explanation.key.startswith(key)
    what = "gradient" if check == "vjp" else "output"
    assert record.explanation.sentence.startswith(told)
    assert f" is the first step whose {what} is not right" in record.explanation.sentence
    assert outcome == "crash" or "def second(x, w):" in record.source


def test_a_wrong_gradient_leaves_the_output_right(
    stumbled: dict[tuple[str, str, str], Record],
) -> None:
    assert stumbled["doubling", "network", "forward"].raw == "pass"


@pytest.mark.parametrize(("fault", "first"), [("flipping", "losses"), ("doubling", "losses")])
def test_a_descent_goes_astray(
    stumbled: dict[tuple[str, str, str], Record], fault: str, first: str
) -> None:
    record = stumbled[fault, "training", "vjp"]
    assert record.raw == "wrong-value"
    assert record.difference is not None
    assert record.difference.array == first
    assert record.explanation is not None
    assert record.explanation.sentence.startswith("conv1 (conv of input, ")


ENTRY = """\
- id: kernels-are-flipped
  when: {op: conv, stride: ">1"}
  expect: {outcome: wrong-value, because: kernel-flipped}
  kind: bug
  why: Strided kernels are flipped here.
  evidence: https://example.org
"""


@pytest.mark.parametrize(("stride", "outcome"), [(">1", "known"), (">2", "wrong-value")])
def test_what_is_known_of_a_step_is_known_of_the_chain(
    tmp_path: Path, stride: str, outcome: str
) -> None:
    folder = tmp_path / "stumbling"
    folder.mkdir()
    adapter = (FOLDER / "adapter.py").read_text(encoding="utf-8")
    (folder / "adapter.py").write_text(adapter, encoding="utf-8")
    (folder / "known.yaml").write_text(ENTRY.replace(">1", stride), encoding="utf-8")
    file = write(tmp_path, network={**STEPS, "vjp": False})
    words = ["run", file, "--backend-dir", folder, "--backend", "stumbling", "--out", tmp_path]
    invoke(*words, "-k", "flipping")
    (record,) = results.read(tmp_path / "results.jsonl").records
    assert (record.raw, record.outcome) == ("wrong-value", outcome)


def test_repro_writes_the_step_that_goes_wrong(tmp_path: Path) -> None:
    file = write(tmp_path, network=STEPS)
    done = invoke("repro", f"{file}::network", "--target", "stumbling.flipping", *STUMBLING)
    assert done.exit_code == 0, done.output
    assert "step 3 of the chain" in done.stdout
    assert "equals the request with the kernel flipped" in " ".join(done.stdout.split())
    compile(done.stdout, "repro.py", "exec")


def test_repro_of_a_chain_that_is_right_says_so(tmp_path: Path) -> None:
    file = write(tmp_path, network=STEPS)
    done = invoke("repro", f"{file}::network", "--target", "stumbling.right", *STUMBLING)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "each step of the chain passes by itself" in done.stderr


def test_show_has_the_code_of_every_step(tmp_path: Path) -> None:
    file = write(tmp_path, network=STEPS)
    words = ["show", f"{file}::network", "--target", "stumbling.right", *STUMBLING]
    told = json.loads(invoke(*words, "--format", "json", "--verify").stdout)
    (api,) = told["apis"]
    assert api["verified"]["right"]
    assert api["verified"]["text"].startswith("exact on stumbling ")
    assert told["output"] == [1, 2, 3, 3]
    assert [step["name"] for step in told["chain"]["steps"]][:3] == ["stem", "relu1", "second"]
    functions = {
        node.name for node in ast.parse(api["code"]).body if isinstance(node, ast.FunctionDef)
    }
    assert functions >= {"stem", "second", "third", "forward", "vjp", "stem_vjp"}
    assert invoke(*words).stdout.count("def forward(x, stem_w, second_w, third_w, third_b):") == 1


def test_list_tells_the_steps(tmp_path: Path) -> None:
    done = invoke("list", write(tmp_path, network=STEPS, training=TRAINING), *STUMBLING)
    assert "; second: conv of relu1, kernel [3, 3, 3, 3], stride 2 → [1, 3, 3, 3]; " in done.stdout
    assert "3 steps at rate 0.001 → output []" in done.stdout
