"""What a second run says of an outcome."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance import inquiry, oracle
from conformance.compare import compare
from conformance.dtypes import Array
from conformance.explanation import explained
from conformance.explanation.search import search
from conformance.inquiry import Evidence
from conformance.records import Failed
from conformance.reference import expect
from conformance.request import Conv
from tests.builders import conv

REQUEST = conv((1, 1, 6), (1, 1, 3), [(0, 1)])
DROPPED = conv((1, 1, 6), (1, 1, 3), [(0, 0)])
FLAT = np.ones((1, 1, 6)), np.ones((1, 1, 3))
VARIED = np.array([[[1.0, -2, 5, 7, -3, 2]]]), np.array([[[2.0, -1, 3]]])


def evidence(observed: Array, arrays: tuple[Array, ...] = VARIED) -> Evidence:
    """A wrong output, explained."""
    expected = expect(REQUEST, arrays)
    verdict = compare(expected.output, observed, "float64")
    first = Evidence(
        verdict.outcome, verdict.difference, None, expected.output, observed, "float64"
    )
    question = first.question(expected)
    assert question is not None
    found = search(question)
    return replace(first, explanation=explained(question, found), found=tuple(found))


def crashed(message: str = "killed by SIGSEGV") -> Evidence:
    first = Evidence("crash", error=Failed("crash", message))
    return replace(first, explanation=inquiry.failure(first))


GARBAGE = np.array([[[9.0, 1, -40, 2, 8]]])


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (evidence(GARBAGE + 1), "not the same in a second run"),
        (Evidence("pass"), "right in a second run"),
        (crashed(), "crash (killed by SIGSEGV) in a second run"),
    ],
)
def test_what_does_not_come_again_is_unstable(second: Evidence, sentence: str) -> None:
    told = inquiry.repeated(evidence(GARBAGE), second).explanation
    assert told is not None
    assert told.key == "unstable"
    assert told.sentence.startswith(sentence)


def test_what_comes_again_is_said_to() -> None:
    first = evidence(GARBAGE)
    told = inquiry.repeated(first, first).explanation
    assert told is not None
    assert told.key.startswith("unexplained")
    assert told.sentence.endswith("; the same in a second run")


def test_a_crash_may_be_another_case_s_doing() -> None:
    again = inquiry.repeated(crashed(), crashed()).explanation
    alone = inquiry.repeated(crashed(), Evidence("pass")).explanation
    assert again is not None
    assert alone is not None
    assert again.sentence == "killed by SIGSEGV, and again in a second run"
    assert "an earlier case may have damaged the process" in alone.sentence


def test_telling_data_leave_one_explanation() -> None:
    """Ones under ones cannot tell one way of filling the padding from another."""
    replicated = replace(REQUEST, padding=replace(REQUEST.padding, mode="replicate"))
    assert isinstance(replicated, Conv)
    first = evidence(oracle.forward(replicated, *FLAT), FLAT)
    assert len(first.found) > 1
    before = first.question(expect(REQUEST, FLAT))
    second = evidence(oracle.forward(replicated, *VARIED))
    after = second.question(expect(REQUEST, VARIED))
    assert before is not None
    told = inquiry.told_apart(first, before, after).explanation
    assert told is not None
    assert (told.key, told.others) == ("padding-mode", ())
    assert "'replicate'" in told.sentence


def test_an_accident_is_found_out() -> None:
    first = evidence(oracle.forward(DROPPED, *VARIED))
    before = first.question(expect(REQUEST, VARIED))
    after = evidence(GARBAGE).question(expect(REQUEST, VARIED))
    assert before is not None
    told = inquiry.told_apart(first, before, after).explanation
    assert told is not None
    assert told.key.startswith("unexplained")


def test_where_telling_data_are_right_the_first_findings_stay() -> None:
    first = evidence(oracle.forward(DROPPED, *VARIED))
    before = first.question(expect(REQUEST, VARIED))
    assert before is not None
    assert inquiry.told_apart(first, before, None) is first


def test_refusals_that_differ_in_numbers_have_one_key() -> None:
    texts = (
        "kernel size (3) exceeds input (2) at 0x7f01",
        "kernel size (5) exceeds input (4) at 0x9",
    )
    keys = set()
    for text in texts:
        told = inquiry.failure(Evidence("rejected", error=Failed("ValueError", text)))
        assert told is not None
        assert told.sentence == f"the framework refuses: ValueError: {text}"
        keys.add(told.key)
    assert keys == {"rejected: ValueError: kernel size (#) exceeds input (#) at #"}
