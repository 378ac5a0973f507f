"""Scripts: what they say, that they end as the suite says, and that nothing breaks out of them."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from conformance import cases, cli, content, discovery, minimize, repro
from conformance.adapter import Driver
from conformance.cases import Case
from conformance.discovery import Target
from conformance.records import Failed, Record
from conformance.repro import Ending, Reproduction, Wish, choice, ending, issue, script, templates
from conformance.supervisor import Limits
from conformance.workers import Workers
from tests.support import HERE
from tests.test_repro_text import assert_well_formed

CARELESS = HERE / "backends" / "careless"
FILE = HERE / "data" / "careless.yaml"
OPTIONS = ("--backend-dir", CARELESS, "--backend", "careless")


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """NumPy's loops, and a backend with faults."""
    found = discovery.discover([CARELESS], ["careless", "numpy"])
    limits = Limits(seconds=2)
    with Workers({b.name: b for b in found}, discovery.interpreters(found), limits) as running:
        yield running


def named(name: str) -> Case:
    return next(case for case in cases.load([FILE]) if case.fields.id == name)


def changed(name: str, **update: Any) -> Case:
    """A case with other fields, under an id of its own."""
    case = named(name)
    raw = case.fields.model_dump(exclude_defaults=True, exclude_none=True)
    fields = type(case.fields).model_validate({**raw, **update})
    return cases.resolved(fields, f"{case.id}-{sorted(update)}", case.file, case.line)


def reproduced(workers: Workers, case: Case, api: str) -> Reproduction:
    targets = [target for target in workers.targets() if target.api == api]
    target, record = repro.find(workers, case, targets, Wish())
    return repro.reproduce(workers, case, target, record, ["repro", case.id])


@pytest.mark.parametrize(
    ("fault", "outcome", "last"),
    [
        ("padding", "wrong-shape", "AssertionError: wrong-shape: y is (2, 4, 2, 4), not (2, 5, 2"),
        ("dtype", "wrong-dtype", "AssertionError: wrong-dtype: y is float64, not np.float32"),
        ("refusing", "rejected", "ValueError: stride 2 is not supported"),
        ("aborting", "crash", "killed by SIGABRT"),
        ("leaving", "crash", "exit status 7"),
        ("hanging", "timeout", "it does not end"),
    ],
)
def test_a_script_ends_as_its_case_does(
    workers: Workers, fault: str, outcome: str, last: str
) -> None:
    found = reproduced(workers, named("wrong"), f"careless.{fault}")
    assert found.record.raw == outcome
    assert found.ending is not None
    assert found.ending.last.startswith(last)
    assert found.agrees
    assert_well_formed(found.script, found.program)


def test_a_script_says_what_there_is_to_say(workers: Workers) -> None:
    found = reproduced(workers, named("wrong"), "careless.padding")
    told = " ".join((ast.get_docstring(ast.parse(found.script)) or "").split())
    for part in (
        "returns a wrong shape: output [2, 4, 2, 4] instead of [2, 5, 2, 4]; it equals the request",
        "the padding was dropped.",
        "Asked: conv 2-D, input [2, 3, 9, 8], kernel [4, 3, 3, 3]",
        "Layout: x NHWC, w OIHW",
        "Versions: careless 1.0, numpy ",
        'https://example.org/"""\\',
        "\"\"\" + \\N{nonsense} \\x + ''' {{ braces }} {% tags %}",
        "conformance repro careless/wrong",
    ):
        assert part in told
    assert found.program.strip() in found.script
    assert 'os.environ["CARELESS"] = "a \\"word\\""' in found.script


@pytest.mark.parametrize("name", ["right", "real", "literal"])
def test_what_passes_passes(workers: Workers, name: str) -> None:
    found = reproduced(workers, changed(name, stride=1), "careless.padding")
    assert found.record.raw == "pass"
    assert found.ending == Ending(0, "passes: shape, dtype and values are as expected\n", "")
    assert_well_formed(found.script, found.program)


ZEROS = {"values": [[[[0, 0], [0, 0]]]]}


@pytest.mark.parametrize(
    ("case", "part"),
    [
        (("real", {}), "np.abs(observed - expected) <= allowed"),
        (("literal", {}), "(np.isnan(observed) & np.isnan(expected))"),
        (("literal", {}), "[0.1, np.nan, np.inf]"),
        (("literal", {}), "[1, 2, -0.0]"),
        (
            ("literal", {"kernel": ZEROS}),
            "wrong |= (observed == expected) & (np.signbit(observed) != np.signbit(expected))",
        ),
    ],
)
def test_a_comparison_is_that_of_the_suite(
    workers: Workers, case: tuple[str, dict[str, Any]], part: str
) -> None:
    assert part in reproduced(workers, changed(case[0], **case[1]), "careless.padding").script


def test_a_large_result_is_told_by_what_differs(workers: Workers) -> None:
    case = changed("right", input={"shape": [2, 3, 19, 18]}, padding=0)
    found = reproduced(workers, case, "careless.padding")
    right = found.expected.output.values
    observed = right.copy()
    observed[1, 2, 3, 4] += 1
    text = script.Script(
        about="About.",
        program=found.program,
        driver=Driver((), "{}", ("y = forward(x, w)",), "{}", "np.float32"),
        layout=found.layout,
        environment={},
        request=case.request,
        tensors=list(zip(case.inputs, found.expected.arrays)),
        results=[script.Result(found.expected.output, observed)],
    ).text()
    value = f"(1, 3, 4, 2): {right[1, 2, 3, 4]:g}"
    assert f"expected = {{  # 1 of the 1 values that differ\n    {value}," in text
    assert "shape = (2, 17, 16, 4)" in text
    assert ending.run(text, sys.executable, 60).status == 0
    done = ending.run(text.replace(value, "(1, 3, 4, 2): 12345"), sys.executable, 60)
    assert "wrong-value: 1 of these 1 values of y differ, first at (1, 3, 4, 2): " in done.last


@pytest.mark.parametrize("name", ["uneven", "dilation-output-padding", "max-pool-stride-2"])
def test_numpy_loops_pass_with_their_gradients(workers: Workers, name: str) -> None:
    everything = cases.load([content.root("cases") / part for part in ("tutorials", "edge")])
    case = next(case for case in everything if case.fields.id == name)
    found = reproduced(workers, case, "numpy.loops")
    assert (found.record.raw, found.record.check) == ("pass", "vjp")
    assert found.agrees, found.ending
    assert "expected_dx" in found.script


def test_a_smaller_case_has_the_same_reason(workers: Workers) -> None:
    case, target = named("wrong"), Target("careless", "careless.padding", "eager")
    _, record = repro.find(workers, case, [target], Wish())
    smaller = repro.minimized(workers, case, target, record)
    _, again = repro.find(workers, smaller, [target], Wish())
    assert repro.cause(again) == repro.cause(record)
    assert smaller.request.input_shape == (1, 1, 1, 1)
    found = repro.reproduce(workers, smaller, target, again, original=case)
    assert found.agrees
    told = ast.get_docstring(ast.parse(found.script)) or ""
    assert cases.written(smaller).splitlines()[-1] in told
    assert "careless/wrong\n" in told


def test_a_refusal_shrinks_while_its_words_stay(workers: Workers) -> None:
    case, target = named("wrong"), Target("careless", "careless.refusing", "eager")
    _, record = repro.find(workers, case, [target], Wish())
    smaller = repro.minimized(workers, case, target, record)
    assert max(smaller.request.stride) == 2
    assert smaller.request.input_shape == (1, 1, 1, 1)


def test_a_crash_gets_fewer_tries(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    case, target = named("wrong"), Target("careless", "careless.leaving", "eager")
    _, record = repro.find(workers, case, [target], Wish())
    asked: list[int] = []

    def shrink(case: Case, holds: object, tries: int) -> Case:
        asked.append(tries)
        return case

    monkeypatch.setattr(minimize, "minimize", shrink)
    assert repro.minimized(workers, case, target, record) is case
    assert asked == [choice.FAULT_TRIES["crash"]]
    assert asked[0] < minimize.TRIES


def outcome(raw: str, form: str = "native", check: str = "forward", known: bool = False) -> Record:
    told = "known" if known else raw
    return Record("a/b", "x", "x.y", "eager", form, check, told, raw)  # type: ignore[arg-type]


def test_the_unexpected_is_chosen_first() -> None:
    unsupported = outcome("unsupported")
    passed = [outcome("pass", "emulated"), outcome("pass", "emulated", "vjp")]
    expected = outcome("wrong-shape", "spelled", known=True)
    surprise = outcome("wrong-value", "emulated", "vjp")
    every = [unsupported, expected, *passed, surprise]
    assert repro.choose(every, Wish()) is surprise
    assert repro.choose(every, Wish("spelled")) is expected
    assert repro.choose([unsupported, *passed], Wish()) is passed[1]
    assert repro.choose([unsupported, *passed], Wish(check="forward")) is passed[0]
    assert repro.choose([unsupported], Wish()) is None


def test_an_ending_is_compared_with_the_record() -> None:
    error = Failed("InvalidArgumentError", "{{node}} no 3 at 0x7f\nFile x")
    refused = dataclasses.replace(outcome("rejected"), error=error)
    good = Ending(1, "", "Traceback:\ntf.errors.InvalidArgumentError: {{node}} no 4 at 0x80")
    assert ending.agrees(good, refused)
    assert not ending.agrees(dataclasses.replace(good, status=0), refused)
    assert not ending.agrees(Ending(1, "", "ValueError: {{node}} no 3 at 0x7f"), refused)
    shape = Ending(1, "", "AssertionError: wrong-shape: x")
    assert ending.agrees(shape, outcome("wrong-shape"))
    assert not ending.agrees(shape, outcome("wrong-dtype"))
    assert not ending.agrees(Ending(None, "", ""), outcome("pass"))


@pytest.mark.parametrize(
    "text",
    ['"', '"""', "\\", 'a\\"""', '"' * 7, "\\N{DASH}", "\0\x1b\ud800\u2028", "{{ x }}", "é→"],
)
def test_a_docstring_holds_any_text(text: str) -> None:
    source = f'"""{script.quoted(text)}\n"""\nvalue = 1\n'
    source.encode()
    scope: dict[str, object] = {}
    exec(source, scope)
    assert scope["value"] == 1
    assert len(ast.parse(source).body) == 2


def test_an_issue_has_what_a_form_asks_for(workers: Workers) -> None:
    found = reproduced(workers, named("wrong"), "careless.padding")
    text = repro.report(found, workers.backends["careless"])
    assert text.startswith("# ")
    assert "the padding was dropped" in text.splitlines()[0]
    for part in (
        "**Expected:** shape [2, 5, 2, 4]",
        "**Observed:** shape [2, 4, 2, 4]",
        "```python\n",
        "- careless 1.0\n",
        "AssertionError: wrong-shape",
    ):
        assert part in text
    assert "Asked:" not in text
    code = text.split("```python\n")[1].split("\n```")[0]
    assert found.ending is not None
    assert ending.run(code, sys.executable, 60).last == found.ending.last


def test_words_of_a_framework_do_not_become_markup() -> None:
    told = issue.escaped("see <b> @user *x* [a](b) a[0]")
    assert told == "see \\<b> &#64;user \\*x\\* [a\\](b) a[0]"


def test_a_template_that_is_wrong_is_named(tmp_path: Path) -> None:
    for text, told in (("{{ nothing }}", "'nothing' is undefined"), ("\n{% if %}", ":2: ")):
        (tmp_path / "issue.md.j2").write_text(text)
        with pytest.raises(content.ContentError, match=told):
            templates.rendered("issue.md.j2", tmp_path)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["repro", *map(str, arguments)])


def test_the_command_writes_the_script_and_tells_what_it_shows(tmp_path: Path) -> None:
    out = tmp_path / "it's.py"
    wrong = (f"{FILE}::wrong", *OPTIONS, "--target", "careless.padding")
    done = invoke(*wrong, "--out", out)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "returns a wrong shape" in done.stderr
    command = done.stderr.rstrip().rpartition("run it with: ")[2]
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "AssertionError: wrong-shape: y is (2, 4, 2, 4)" in ran.stderr
    assert invoke(*wrong).stdout == out.read_text(encoding="utf-8")


def test_the_command_says_that_a_case_passes() -> None:
    done = invoke(f"{FILE}::right", *OPTIONS, "--target", "careless")
    assert done.exit_code == 0
    assert "passes on careless 1.0; the script asserts that" in done.stderr
    assert 'print("passes: ' in done.stdout


def test_the_command_shrinks_a_case() -> None:
    done = invoke(f"{FILE}::wrong", *OPTIONS, "--target", "careless.padding", "--minimal")
    assert done.exit_code == 0, done.output
    assert "input: {shape: [1, 1, 1, 1]}" in done.stdout
    assert "--check forward --minimal" in " ".join(done.stdout.split())


WRONG, RIGHT, THREE = f"{FILE}::wrong", f"{FILE}::right", f"{HERE / 'data' / 'three.yaml'}::first"
MISBEHAVING = ("--backend-dir", HERE / "backends" / "misbehaving", "--backend", "misbehaving")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("no-such-case", *OPTIONS, "--target", "x"), "no case 'no-such-case'"),
        (("nowhere.yaml::a", *OPTIONS, "--target", "x"), "no such file or folder"),
        ((WRONG, *OPTIONS, "--target", "xyz"), "no target has 'xyz' in its name"),
        (
            (WRONG, *OPTIONS, "--target", "padding", "--form", "emulated"),
            "careless/careless.padding/eager has no emulated outcome of careless/wrong; it has "
            "native forward",
        ),
        ((RIGHT, *OPTIONS, "--target", "padding", "--issue"), "there is nothing to report"),
        ((WRONG, *OPTIONS, "--target", "padding", "--out", "/no/where"), "cannot be written: No"),
        ((THREE, *MISBEHAVING, "--target", "raises"), "writes no scripts: its adapter has no"),
        (("max-pool-3-on-2x2", "--backend", "torch", "--target", "nn/lazy"), "no target has"),
    ],
)
def test_bad_input_gets_a_sentence(arguments: tuple[object, ...], sentence: str) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_backend_says_how_to_get_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    python = tmp_path / "bare" / "bin" / "python"
    done = invoke("uneven", "--backend", "mxnet", "--python", f"mxnet={python}", "--target", "npx")
    assert done.exit_code == 2
    assert "mxnet does not run: mxnet is not installed in" in done.stderr
    assert "tox -e mxnet --notest" in done.stderr


def test_a_form_that_an_api_cannot_say_has_no_script(workers: Workers) -> None:
    case = changed("right", dtype="bfloat16")
    with pytest.raises(discovery.UsageError, match=r"cannot say careless/right.*: NumPy has no b"):
        repro.find(workers, case, [Target("numpy", "numpy.loops", "eager")], Wish())
