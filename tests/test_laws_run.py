"""Laws on backends: what a run records and says of them, and the commands that know them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance import cli, content, describe, records, results
from conformance.laws.names import WORDS, LawName
from conformance.records import Record
from tests.law_cases import SOWN, fields, write
from tests.support import HERE, Command

LARGE = content.root("cases") / "laws" / "large.yaml"
RUN: dict[LawName, str] = {
    "grouped-is-concatenation": "groups-interleaved",
    "sum-over-window": "kernel-flipped",
    "same-strided-is-subsampled": "same-lower",
    "transposed-is-vjp": "padding-of-the-dilated-input",
    "max-pool-shifts-with-input": "padded-with-zero",
    "strided-is-subsampled": "stride-ignored",
    "translation": "right",
}


@pytest.fixture(scope="module")
def lawless(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Record]]:
    """What a run prints and records of a backend that breaks a law a case."""
    out = tmp_path_factory.mktemp("lawless")
    file = out / "planted.yaml"
    write(file, **{f"{name}.1": fields(**{**SOWN[name][1], "law": name}) for name in RUN})
    words = [f"/{name}.1 and lawless.{cause}/" for name, cause in RUN.items()]
    command = [sys.executable, "-m", "conformance", "run", str(file), "--out", str(out)]
    command += ["--backend-dir", str(HERE / "backends" / "lawless"), "--backend", "lawless"]
    done = subprocess.run(
        [*command, "-k", " or ".join(words)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = results.read(out / "results.jsonl").records
    return done.stdout, {
        record.case.partition("/")[2].removesuffix(".1"): record for record in found
    }


@pytest.mark.parametrize("name", [name for name, cause in RUN.items() if cause != "right"])
def test_a_run_names_the_law_and_the_cause(
    lawless: tuple[str, dict[str, Record]], name: LawName
) -> None:
    record = lawless[1][name]
    assert (record.check, record.form, record.seconds > 0) == ("law", "native", True)
    assert record.explanation is not None
    assert record.explanation.key == RUN[name]
    assert "question " in record.explanation.sentence
    assert "def forward(" in record.source
    difference = record.difference
    assert difference is not None
    if record.raw == "wrong-value":
        other, own = WORDS[name].of(SOWN[name][1].get("op", "conv"))
        assert difference.sides == (other, own)
        assert f"{other} differs from {own} in " in describe.outcome(record)
        assert describe.outcome(record) in lawless[0]
    else:
        assert record.raw == "wrong-shape"


def test_both_kinds_of_outcome_occur(lawless: tuple[str, dict[str, Record]]) -> None:
    assert {record.raw for record in lawless[1].values()} == {"pass", "wrong-shape", "wrong-value"}


def test_a_law_that_holds_passes(lawless: tuple[str, dict[str, Record]]) -> None:
    record = lawless[1]["translation"]
    assert (record.raw, record.check, record.explanation, record.source) == (
        "pass",
        "law",
        None,
        "",
    )


def test_records_of_laws_survive_the_file(lawless: tuple[str, dict[str, Record]]) -> None:
    for record in lawless[1].values():
        assert records.record_from_json(records.record_json(record)) == record


LAWFUL = "linear-in-kernel"


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """A law on a backend with faults, by fault."""
    out = tmp_path_factory.mktemp("faulty")
    file = out / "faulty.yaml"
    write(file, a=fields(law=LAWFUL))
    command = [sys.executable, "-m", "conformance", "run", str(file), "--out", str(out)]
    command += ["--backend-dir", str(HERE / "backends" / "misbehaving"), "--backend", "misbehaving"]
    command += ["--time-limit", "5", "-k", "segfault or hang or raises or right or noise"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    found = results.read(out / "results.jsonl").records
    return {record.api.partition(".")[2]: record for record in found}


@pytest.mark.parametrize(
    ("fault", "outcome", "detail"),
    [("segfault", "crash", "killed by SIGSEGV"), ("hang", "timeout", "no reply within 5 s")],
)
def test_a_fault_ends_the_law(
    faulty: dict[str, Record], fault: str, outcome: str, detail: str
) -> None:
    record = faulty[fault]
    assert record.outcome == outcome
    assert record.error is not None
    assert detail in record.error.message
    assert record.note.startswith("question 1 of the law: conv 2-D")


def test_a_recipe_counts_where_the_framework_refuses(faulty: dict[str, Record]) -> None:
    assert (faulty["raises"].outcome, faulty["raises"].form) == ("pass", "emulated")
    assert (faulty["right"].outcome, faulty["right"].form) == ("pass", "native")
    assert faulty["noise"].outcome == "pass"


def test_what_plain_loops_refuse_is_unsupported(tmp_path: Path) -> None:
    words = ["run", LARGE, "--backend", "numpy", "-k", "stem", "--tier", "full", "--out", tmp_path]
    assert invoke(*words).exit_code == 0
    found = results.read(tmp_path / "results.jsonl").records
    assert {record.outcome for record in found} == {"unsupported"}
    assert all("too large" in record.note and "question 1 of" in record.note for record in found)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, words)])


CARELESS = ("--backend-dir", HERE / "backends" / "careless", "--backend", "careless")


def test_a_law_of_gradients_is_unsupported_where_there_are_none(tmp_path: Path) -> None:
    file = tmp_path / "careless.yaml"
    write(file, a=fields(law="kernel-gradient-is-convolution"))
    assert invoke("run", file, *CARELESS, "--api", "careless.padding", "--out", tmp_path)
    found = results.read(tmp_path / "results.jsonl").records
    assert {(r.outcome, r.note.partition(" (")[0]) for r in found} == {
        ("unsupported", "careless has no gradients")
    }


def test_a_recipe_does_not_stand_in_for_the_gradients_that_there_are_not(tmp_path: Path) -> None:
    backend = tmp_path / "careless"
    shutil.copytree(HERE / "backends" / "careless", backend)
    adapter = backend / "adapter.py"
    program = "Program(text.lstrip())"
    text = adapter.read_text(encoding="utf-8").replace(program, f"{program}, {program}")
    adapter.write_text(text, encoding="utf-8")
    file = tmp_path / "careless.yaml"
    write(file, a=fields(law="kernel-gradient-is-convolution"))
    words = ("--backend-dir", backend, "--backend", "careless", "--api", "careless.padding")
    done = invoke("run", file, *words, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    found = results.read(tmp_path / "results.jsonl").records
    assert {(r.outcome, r.note.partition(" (")[0]) for r in found} == {
        ("unsupported", "careless has no gradients")
    }


def test_repro_writes_the_question_that_goes_wrong(tmp_path: Path) -> None:
    file = tmp_path / "careless.yaml"
    write(file, a=fields(law="strided-is-subsampled", stride=2, padding=1))
    done = invoke("repro", f"{file}::a", "--target", "careless.padding", *CARELESS)
    assert done.exit_code == 0, done.output
    assert "question 1 of the law strided-is-subsampled" in done.stdout
    assert "the padding was dropped" in " ".join(done.stdout.split())
    compile(done.stdout, "repro.py", "exec")


def test_repro_of_a_law_that_holds_says_so(tmp_path: Path) -> None:
    file = tmp_path / "careless.yaml"
    write(file, a=fields())
    done = invoke("repro", f"{file}::a", "--target", "careless.padding", *CARELESS)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "each question of the law 'sum-over-window' passes by itself" in done.stderr


def test_show_and_list_tell_the_law(conformance: Command) -> None:
    name = "laws/convolution/sum-over-window"
    equation = "the convolution = the sum of shifted 1×1 convolutions"
    listed = conformance("list", "cases/laws/convolution.yaml", cwd=HERE.parent)
    assert f"; law sum-over-window: {equation}\n" in listed.stdout
    shown = conformance("show", name, "--target", "numpy", "--verify", cwd=HERE.parent)
    assert shown.returncode == 0, shown.stderr
    assert f"law sum-over-window: {equation}\n" in shown.stdout
    assert "exact on numpy" in shown.stdout
    assert f"sum-over-window\t{equation}\tconv\n" in conformance("laws").stdout


ENTRY = """\
- id: groups-are-interleaved
  when: {op: conv, groups: ">1"}
  expect: {outcome: wrong-value, because: groups-interleaved}
  kind: bug
  why: Groups are interleaved here.
  evidence: https://example.org
"""


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (("", ""), "known"),
        (("groups-interleaved", "groups-ignored"), "wrong-value"),
        (("kind:", "check: law\n  kind:"), "known"),
        (('">1"', "1"), "wrong-value"),
    ],
)
def test_what_is_known_of_a_request_is_known_of_it_in_a_law(
    tmp_path: Path, change: tuple[str, str], outcome: str
) -> None:
    folder = tmp_path / "lawless"
    folder.mkdir()
    text = (HERE / "backends" / "lawless" / "adapter.py").read_text(encoding="utf-8")
    (folder / "adapter.py").write_text(text, encoding="utf-8")
    (tmp_path / "planted").symlink_to(HERE / "backends" / "planted")
    (folder / "known.yaml").write_text(ENTRY.replace(*change), encoding="utf-8")
    file = tmp_path / "cases.yaml"
    law: LawName = "grouped-is-concatenation"
    write(file, a=fields(**SOWN[law][1], law=law))
    words = ["run", file, "--backend-dir", folder, "--backend", "lawless", "--out", tmp_path]
    invoke(*words, "-k", "lawless.groups-interleaved/")
    (record,) = results.read(tmp_path / "results.jsonl").records
    assert (record.raw, record.outcome) == ("wrong-value", outcome)


def test_pytest_runs_laws(tmp_path: Path) -> None:
    file = tmp_path / "laws.yaml"
    write(file, a=fields())
    command = [sys.executable, "-m", "pytest", str(file), "-n", "0", "-p", "no:cacheprovider"]
    command += ["--conformance-backend-dir", str(HERE / "backends" / "lawless")]
    command += ["--conformance-backend", "lawless", "-k", "kernel-flipped or right"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, cwd=HERE.parent
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "the sum of shifted 1×1 convolutions differs from the convolution" in done.stdout
    assert "law sum-over-window: the convolution = " in done.stdout
