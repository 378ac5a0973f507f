"""Calls that cases spell: what is read, what is refused, and that the very call runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import cases, cli, content, discovery, predicates, session
from conformance.cases import Case
from conformance.content import ContentError
from conformance.discovery import Target
from conformance.repro import Wish, choose, reproduce
from conformance.side_by_side import show
from conformance.side_by_side.lowerings import Speakers
from conformance.translation.calls import CallError
from conformance.translation.spelled import Spelled, spelled
from conformance.workers import Workers

TENSORS = ("x", "w")
HEAD = "op: max_pool\ncases:\n  - id: a\n    input: {shape: [1, 1, 6]}\n    window: 2\n"
SPELLINGS = cases.load([content.root("cases") / "spellings"])
WORDS = st.text("abcXYZ019_-", min_size=1, max_size=12)
NUMBERS = st.one_of(st.integers(-(2**31), 2**31), st.floats(-1e6, 1e6), st.booleans(), st.none())
LITERALS: st.SearchStrategy[Any] = st.recursive(
    st.one_of(NUMBERS, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(
    literals=st.lists(LITERALS, max_size=4),
    options=st.dictionaries(st.sampled_from(["stride", "padding", "k_"]), LITERALS),
    tensors=st.lists(st.sampled_from(TENSORS), max_size=2),
)
def test_a_call_of_literals_and_tensors_keeps_its_meaning(
    literals: list[Any], options: dict[str, Any], tensors: list[str]
) -> None:
    words = [
        *tensors,
        *map(repr, literals),
        *(f"{key}={value!r}" for key, value in options.items()),
    ]
    call = spelled(f"  a.b.c({' , '.join(words)})  # so", TENSORS)
    handed: list[Any] = []

    def function(*arguments: Any, **given: Any) -> None:
        handed.extend([arguments, given])

    space = {"a": type("A", (), {"b": type("B", (), {"c": staticmethod(function)})})}
    eval(call.text, {"__builtins__": {}, **space, "x": "X", "w": "W"})
    assert handed == [(*(name.upper() for name in tensors), *literals), options]
    assert repr(handed[0][len(tensors) :]) == repr(tuple(literals))
    assert call.name == "a.b.c"
    assert call.layer == ("x" not in tensors)
    assert spelled(call.text, TENSORS) == call


@settings(max_examples=300, deadline=None)
@given(text=st.text("xw()[]{}.,='\"\\*:;+-_ \nafos019@!~|<>#%", max_size=60))
def test_whatever_is_accepted_is_one_call_of_literals_and_tensors(text: str) -> None:
    message = ""
    try:
        call = spelled(text, TENSORS)
    except CallError as error:
        message = error.message
    if message:
        assert "\n" not in message
        return
    node = ast.parse(call.text, mode="eval").body
    assert isinstance(node, ast.Call)
    assert ast.unparse(node.func) == call.name
    for each in (*node.args, *(keyword.value for keyword in node.keywords)):
        if not (isinstance(each, ast.Name) and each.id in TENSORS):
            names = [inner for inner in ast.walk(each) if isinstance(inner, ast.Name)]
            assert {inner.id for inner in names} <= set(TENSORS)
            assert not [n for n in ast.walk(each) if isinstance(n, (ast.Call, ast.Attribute))]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "F.conv1d(x, w, padding=__import__('os').system('true'))",
        "F.conv1d(x, (yield))", "F.conv1d(x := 3)", "F.conv1d(x, w) or F.conv1d(x)",
        "F.conv1d(x, w)[0]", "F.conv1d(x, w).T", "F[0](x)", "(F.conv1d)(x)(w)(x)",
        "F.conv1d(x, 'a\\nb')", "F.conv1d(x, b'w')", "F.conv1d(x, 1j)", "F.conv1d(x, ...)",
        "F.conv1d(x, {1: 2})", "F.conv1d(x, {1})", "F.conv1d(x, -w)", "F.conv1d(x, -True)",
        "F.conv1d(x, not w)", "F.conv1d(x, 2 ** 99999999)", "F.conv1d(x, 1 if w else 2)",
        "F.conv1d(x, 99999999999)", "F.conv1d(x, (*w,))", "F.conv1d(x, float('inf'))",
        "F.conv1d(x,\x00w)", "eval(x)\nF.conv1d(x)", "F.conv1d(" + "(" * 500 + ")" * 500 + ")",
        "F.conv1d(x, '" + "a" * 3000 + "')", "await F.conv1d(x)", "lambda: 0", "x", "",
    ],
)  # fmt: skip
def test_nothing_else_is_accepted(text: str) -> None:
    if text == "__import__('os')":
        assert "__import__" not in {name for b in BACKENDS for s in b.spoken.values() for name in s}
        return
    with pytest.raises(CallError):
        spelled(text, TENSORS)


BACKENDS = discovery.discover()


def test_an_unknown_name_is_refused_before_anything_runs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(HEAD + "    spelling: {torch.nn.functional: 'os.system(x)'}\n")
    with pytest.raises(ContentError, match=r"mine\.yaml:3: .*no call 'os\.system'"):
        session.check_calls(BACKENDS, cases.load([file]))
    result = CliRunner().invoke(cli.main, ["run", str(file), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "torch.nn.functional has no call 'os.system'; it knows none" in " ".join(
        result.output.split()
    )
    file.write_text(HEAD + "    spelling: {torch.nn.functional: 'F.max_pol1d(x)'}\n")
    with pytest.raises(ContentError, match=r"did you mean F\.max_pool1d\?"):
        session.check_calls(BACKENDS, cases.load([file]))
    session.check_calls(BACKENDS, SPELLINGS)


@pytest.fixture(scope="module")
def speakers() -> Iterator[Speakers]:
    with Speakers(BACKENDS) as running:
        yield running


def test_a_worker_makes_no_program_of_a_name_that_it_does_not_know(speakers: Speakers) -> None:
    torch = next(backend for backend in BACKENDS if backend.name == "torch")
    request = SPELLINGS[0].request
    call = Spelled("os.system", "os.system(x)", layer=False)
    assert speakers.verbatim(torch, "torch.nn.functional", request, call) == ""


def test_the_program_is_the_call(speakers: Speakers) -> None:
    homes = {api: backend for backend in BACKENDS for api in backend.apis}
    count = 0
    for case in SPELLINGS:
        for api, call in case.spellings.items():
            assert isinstance(call, Spelled)
            program = speakers.verbatim(homes[api], api, case.request, call)
            made = [n for n in ast.walk(ast.parse(program)) if isinstance(n, ast.Call)]
            assert call.text in {ast.unparse(node) for node in made}, (case.id, api)
            count += 1
    assert count > 150


def test_a_case_with_a_call_is_written_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "again.yaml"
    for case in SPELLINGS[:5]:
        file.write_text(cases.written(case))
        (again,) = cases.load([file])
        assert again.spellings == case.spellings
        facts = predicates.facts(again)
        assert set(facts["spelled"].values()) == {None}


def test_what_is_shown_is_the_call_and_what_the_registry_says(speakers: Speakers) -> None:
    case = named("defaults/stride-of-max_pool")
    targets = [Target("flax", "flax.linen", "eager"), Target("torch", "torch.nn", "eager")]
    interpreters = discovery.interpreters(BACKENDS)
    flax, torch = show.side_by_side(case, speakers, targets, interpreters).entries
    assert flax.obvious is not None and torch.obvious is not None
    assert flax.obvious.line == "nn.max_pool(x, (2,))"
    assert (flax.obvious.effect, flax.obvious.gives) == ("wrong-shape", "another shape")
    assert torch.obvious.line == "nn.MaxPool1d(2)"
    assert torch.obvious.effect == "same"


def named(name: str) -> Case:
    return next(case for case in SPELLINGS if case.id == f"spellings/{name}")


@pytest.mark.backend("torch")
def test_the_script_is_about_the_call() -> None:
    case, target = named("zeros/stride-zero-conv"), Target("torch", "torch.nn", "eager")
    found = [backend for backend in BACKENDS if backend.name == "torch"]
    with Workers({"torch": found[0]}, discovery.interpreters(found)) as workers:
        records = workers.run(case, target)
        record = choose(records, Wish("spelled"))
        assert record is not None and record.outcome == "known"
        assert record.known == "zeros-are-refused"
        result = reproduce(workers, case, target, record)
    assert result.agrees
    assert "layer = nn.Conv1d(1, 1, 3, stride=0, bias=False)" in result.script
    assert "what users of torch.nn write" in result.script
