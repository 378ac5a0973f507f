"""The command line as a process, and the plugin, without any framework but NumPy."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import results
from conformance.explanation import CAUSES
from tests.support import HERE, Command

ROOT = HERE.parent
UNEVEN = "tutorials/padding-and-stride/uneven"


def test_run_tells_the_verdicts_and_where_the_results_are(
    conformance: Command, tmp_path: Path
) -> None:
    done = conformance("run", "--backend", "numpy", "--out", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "numpy.loops" in done.stdout
    assert "all as expected" in done.stdout
    assert str(tmp_path / "results.jsonl") in done.stdout.replace("\n", "")
    assert results.read(tmp_path / "results.jsonl").complete


def test_run_takes_paths_and_an_expression(conformance: Command, tmp_path: Path) -> None:
    arguments = ["run", "cases/tutorials", "--backend", "numpy", "--out", tmp_path]
    done = conformance(*arguments, "-k", "pooling and not negative", cwd=ROOT)
    assert done.returncode == 0
    names = {record.case for record in results.read(tmp_path / "results.jsonl").records}
    assert names
    assert all("pooling" in name and "negative" not in name for name in names)


def test_list_says_what_would_run(conformance: Command) -> None:
    done = conformance("list", "cases/tutorials", "--backend", "numpy", "-k", "uneven", cwd=ROOT)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert any(line.startswith(f"{UNEVEN}\t") for line in lines)
    assert "output [1, 1, 2, 2]" in done.stdout


def test_backends_says_how_to_get_what_is_missing(conformance: Command, tmp_path: Path) -> None:
    done = conformance("backends", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("numpy", "torch", "jax", "flax", "tensorflow", "mxnet", "onnxruntime", "scipy"):
        assert name in done.stdout
    for name in ("keras_torch", "keras_jax"):
        assert name in done.stdout


def test_show_prints_the_code_of_every_framework(conformance: Command) -> None:
    done = conformance("show", UNEVEN, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for part in (
        "padding (0, 1)",
        "height      8           0          0       3       3       2  "
        "⌊(8 + 0 + 0 − 3) / 3⌋ + 1 = ⌊5 / 3⌋ + 1 = 2",
        "F.conv2d(x, w, stride=(3, 4), padding=(0, 1))",
        "keras.layers: recipe",
        "ZeroPadding2D",
        "obvious spelling: padding 'valid' instead of (0, 1) → output [2, 1] instead of [2, 2]",
        "lax.conv_general_dilated",
    ):
        assert part in done.stdout


def test_show_of_an_unknown_case_names_near_ones(conformance: Command) -> None:
    done = conformance("show", "and-stride/unev", cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no case 'and-stride/unev'")
    assert UNEVEN in done.stderr


def test_schema_is_json_with_a_version(conformance: Command) -> None:
    for arguments in (("schema",), ("schema", "--known")):
        done = conformance(*arguments)
        assert done.returncode == 0
        assert json.loads(done.stdout)["$id"].endswith(":1")


def test_merge_joins_runs_of_several_backends(conformance: Command, tmp_path: Path) -> None:
    for mark, expression in (("a", "pooling"), ("b", "channels")):
        arguments = ["run", "cases/tutorials", "--backend", "numpy", "-k", expression]
        assert conformance(*arguments, "--out", tmp_path / mark, cwd=ROOT).returncode == 0
    done = conformance("merge", tmp_path, "--out", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    merged = results.read(tmp_path / "results.jsonl")
    names = {record.case.split("/")[1] for record in merged.records}
    assert {"pooling", "channels"} <= names
    assert "torch did not run: no results were given" in done.stdout


def test_a_stale_entry_and_one_that_fails_differently_are_unexpected(
    conformance: Command, tmp_path: Path
) -> None:
    backend = tmp_path / "misbehaving"
    backend.mkdir()
    source = HERE / "backends" / "misbehaving" / "adapter.py"
    (backend / "adapter.py").write_text(source.read_text())
    (backend / "known.yaml").write_text(
        "- {id: stale, api: misbehaving.right, expect: {outcome: crash}, kind: bug,\n"
        "   why: It used to crash., evidence: none}\n"
        "- {id: other, api: misbehaving.raises, expect: {outcome: rejected, error: TypeError},\n"
        "   kind: bug, why: It used to say so., evidence: none}\n"
        "- {id: met, api: misbehaving.exit, expect: {outcome: crash, error: status 7},\n"
        "   kind: bug, why: It leaves the process., evidence: none}\n"
    )
    arguments = ["run", HERE / "data" / "three.yaml", "--backend-dir", backend, "--backend"]
    arguments += ["misbehaving", "-k", "right or raises or exit", "--out", tmp_path / "out"]
    done = conformance(*arguments)
    assert done.returncode == 1
    records = results.read(tmp_path / "out" / "results.jsonl").records
    forward = [r for r in records if r.form == "native" and r.check == "forward"]
    by_api = {record.api.partition(".")[2]: record for record in forward}
    assert (by_api["right"].outcome, by_api["right"].known) == ("fixed", "stale")
    assert "stale entry stale" in by_api["right"].note
    assert (by_api["raises"].outcome, by_api["raises"].known) == ("rejected", "other")
    assert "fails differently than entry other" in by_api["raises"].note
    assert (by_api["exit"].outcome, by_api["exit"].raw) == ("known", "crash")


def test_causes_are_listed_with_their_meaning(conformance: Command) -> None:
    done = conformance("causes")
    assert done.returncode == 0
    listed = dict(line.split("\t") for line in done.stdout.splitlines())
    assert tuple(listed) == CAUSES
    assert all(listed.values())


def test_an_entry_may_name_the_cause(conformance: Command, tmp_path: Path) -> None:
    backend = tmp_path / "planted"
    shutil.copytree(HERE / "backends" / "planted", backend)
    (backend / "known.yaml").write_text(
        "- {id: met, api: planted.padding-dropped, kind: bug, why: It loses the padding.,\n"
        "   expect: {outcome: wrong-shape, because: padding-dropped}, evidence: none}\n"
        "- {id: other, api: planted.kernel-flipped, kind: bug, why: It is thought to pad.,\n"
        "   expect: {outcome: wrong-value, because: [padding-dropped]}, evidence: none}\n"
    )
    file = tmp_path / "one.yaml"
    file.write_text(
        "op: conv\ncases:\n  - {id: one, input: {shape: [1, 2, 7, 6]},"
        " kernel: {shape: [3, 2, 3, 2]}, padding: 1, vjp: false}\n"
    )
    arguments = ["run", file, "--backend-dir", backend, "--backend", "planted", "--out", tmp_path]
    done = conformance(*arguments, "-k", "padding-dropped or kernel-flipped")
    assert done.returncode == 1, done.stdout
    records = results.read(tmp_path / "results.jsonl").records
    by_api = {record.api.removeprefix("planted."): record for record in records}
    assert by_api["padding-dropped"].outcome == "known"
    assert by_api["kernel-flipped"].outcome == "wrong-value"
    assert by_api["kernel-flipped"].note.endswith("padding-dropped, not kernel-flipped")
    assert "kernel-flipped  the kernel flipped" in done.stdout
    assert f"conformance repro {file}::one --target planted.kernel-flipped" in done.stdout


def pytest_of(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, timeout=300, check=False
    )


def test_pytest_selects_cases_and_targets_by_name() -> None:
    done = pytest_of("cases/tutorials", "-k", "uneven and numpy", "-v")
    assert done.returncode == 0, done.stdout
    assert "padding-and-stride.yaml::uneven[numpy/numpy.loops/eager] PASSED" in done.stdout


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        (
            "raises",
            (
                "request: conv 2-D, input [1, 1, 6, 6], kernel [1, 1, 3, 3]",
                "forward: rejected: RuntimeError: no thank you",
                "def forward(x, w):",
                "repeat it: conformance run tests/data/three.yaml --backend misbehaving "
                "--backend-dir tests/backends/misbehaving",
                "-k 'first and misbehaving/misbehaving.raises/eager'",
            ),
        ),
        ("vjp-abort", ("vjp: crash: killed by SIGABRT", "it printed:", "Fatal Python error")),
    ],
)
def test_a_pytest_failure_tells_what_a_maintainer_needs(fault: str, parts: tuple[str, ...]) -> None:
    arguments = ["tests/data/three.yaml", "-k", f"first and misbehaving.{fault}/"]
    arguments += ["--conformance-backend", "misbehaving"]
    arguments += ["--conformance-backend-dir", "tests/backends/misbehaving"]
    done = pytest_of(*arguments)
    assert done.returncode == 1, done.stdout
    for part in parts:
        assert part in done.stdout
    assert "1 failed" in done.stdout


def test_pytest_skips_a_backend_that_does_not_run_unless_it_is_required() -> None:
    arguments = ["tests/data/three.yaml", "--conformance-backend", "unimportable"]
    arguments += ["--conformance-backend-dir", "tests/backends/unimportable"]
    done = pytest_of(*arguments, "-rs")
    assert done.returncode == 0, done.stdout
    assert "3 skipped" in done.stdout
    assert "libframework.so.2" in done.stdout
    required = pytest_of(*arguments, "--require-backends")
    assert required.returncode == 1
    assert "3 failed" in required.stdout


def test_pytest_reports_a_malformed_file_by_line(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("op: conv\ncases:\n  - id: a\n    strid: 2\n")
    done = pytest_of(file, cwd=tmp_path)
    assert done.returncode == 2
    assert "wrong.yaml:4: cases[0].strid: unknown key 'strid'" in done.stdout


def test_pytest_leaves_foreign_yaml_alone(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("hello: world\n")
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    done = pytest_of(tmp_path, cwd=tmp_path)
    assert done.returncode == 0
    assert "1 passed" in done.stdout


def test_requirements_are_told_with_and_without_pins(conformance: Command, tmp_path: Path) -> None:
    pinned = (ROOT / "backends" / "scipy" / "requirements.txt").read_text(encoding="utf-8")
    done = conformance("requirements", "scipy", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, pinned)
    out = tmp_path / "requirements.txt"
    done = conformance("requirements", "scipy", "--unpinned", "--out", out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert out.read_text(encoding="utf-8") == "scipy\nnumpy\n"
    done = conformance("requirements", "scypy", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no backend 'scypy'; there are flax, jax, ")


def test_a_command_imports_no_other() -> None:
    code = (
        "import sys; from conformance.cli import main; "
        "main(['history', '--help'], standalone_mode=False); "
        "print(*(name for name in sys.modules if name.startswith('conformance.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    assert "conformance.cli.history" in loaded
    others = ("cli.run", "cli.report", "report", "bisection", "side_by_side")
    assert not {f"conformance.{name}" for name in others}.intersection(loaded)
