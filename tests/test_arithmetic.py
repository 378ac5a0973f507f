"""The printed arithmetic, computed again from its text."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given

from conformance import make_request, words
from conformance.request import ADAPTIVE_POOLS, OPS, Conv, ConvTranspose, Padding, Pool, Request
from conformance.side_by_side import arithmetic
from tests.builders import adaptive, conv, pool, transposed
from tests.profiles import PROFILE
from tests.strategies import requests

FORMULA = re.compile(r"(?:[0-9+−·/()⌊⌋⌈⌉, ]|max)+")
AS_PYTHON = {"−": "-", "·": "*", "⌊": "floor(", "⌈": "ceil(", "⌋": ")", "⌉": ")"}
FUNCTIONS = {"floor": math.floor, "ceil": math.ceil, "max": max, "Fraction": Fraction}


def value(formula: str) -> object:
    """What a formula amounts to, in exact fractions."""
    assert FORMULA.fullmatch(formula), formula
    text = re.sub(r"[0-9]+", r"Fraction(\g<0>)", formula)
    for sign, python in AS_PYTHON.items():
        text = text.replace(sign, python)
    return eval(text, dict(FUNCTIONS))


@PROFILE
@given(requests())
def test_every_formula_gives_what_it_says_and_the_last_the_output(request: Request) -> None:
    axes = arithmetic.axes(request)
    assert tuple(axis.name for axis in axes) == words.AXES[request.rank]
    assert tuple(axis.output for axis in axes) == request.output_shape[2:]
    for axis, pads in zip(axes, request.padding.pairs):
        for step in axis.steps:
            assert all(value(formula) == step.value for formula in step.formulas), str(step)
        assert (axis.steps[-1].name, axis.steps[-1].value) == ("output", axis.output)
        found = {step.name: step.value for step in axis.steps}
        if request.padding.word in ("same", "same_lower"):
            assert (found["pad before"], found["pad after"]) == pads
            assert found["total padding"] == sum(pads)
        if request.padding.word == "causal":
            assert (found["pad before"], 0) == pads
        if "output padding" in found:
            assert found["output padding"] == axis.output_padding


@PROFILE
@given(requests(ops=[op for op in OPS if op not in ADAPTIVE_POOLS]))
def test_the_numbers_of_the_request_stand_in_the_formulas(request: Request) -> None:
    for axis in arithmetic.axes(request):
        text = " ".join(formula for step in axis.steps for formula in step.formulas)
        numbers = set(map(int, re.findall("[0-9]+", text)))
        if axis.size or not isinstance(request, ConvTranspose):
            assert axis.size in numbers
            assert {abs(side) for side in axis.pads} <= numbers | {0}
            assert axis.stride in numbers | {1}


def lines(request: Request) -> list[list[str]]:
    return [[f"{s.name}: {s}" for s in axis.steps] for axis in arithmetic.axes(request)]


def test_a_convolution_with_strides() -> None:
    uneven = conv((1, 1, 8, 8), (1, 1, 3, 5), ((0, 0), (1, 1)), (3, 4))
    assert lines(uneven) == [
        ["output: ⌊(8 + 0 + 0 − 3) / 3⌋ + 1 = ⌊5 / 3⌋ + 1 = 2"],
        ["output: ⌊(8 + 1 + 1 − 5) / 4⌋ + 1 = ⌊5 / 4⌋ + 1 = 2"],
    ]
    assert arithmetic.rules(uneven) == ("output = ⌊(input + pads − window) / stride⌋ + 1",)


def test_dilation_widens_the_window() -> None:
    assert lines(conv((1, 1, 7), (1, 1, 3), dilation=2)) == [
        ["effective window: (3 − 1)·2 + 1 = 5", "output: 7 − 5 + 1 = 3"]
    ]


def test_same_padding_says_where_the_odd_element_goes() -> None:
    common = (2,), (1,), "float64", (1, 1, 3)
    for word, pads in (("same", (0, 1)), ("same_lower", (1, 0))):
        request = Conv((1, 1, 6), Padding((pads,), word), *common)  # type: ignore[arg-type]
        found = lines(request)[0]
        assert found[:2] == [
            "positions: ⌈6 / 2⌉ = 3",
            "total padding: max((3 − 1)·2 + 3 − 6, 0) = 1",
        ]
        assert f"pad before: {'⌊1 / 2⌋ = 0' if pads[0] == 0 else '1 − 0 = 1'}" in found
        rule = arithmetic.rules(request)[0]
        assert rule.endswith("an odd one after" if word == "same" else "an odd one before")


@pytest.mark.parametrize(
    ("size", "window", "stride", "pads", "last"),
    [
        (6, 3, 2, 1, ["last start: (4 − 1)·2 = 6, before 7, the end of the input",
                      "output: 4, with the last window, which overhangs"]),
        (3, 2, 4, 1, ["last start: (2 − 1)·4 = 4, not before 4, the end of the input",
                      "output: 2 − 1 = 1, without the last window"]),
        (5, 3, 2, 0, ["output: ⌈(5 − 3) / 2⌉ + 1 = ⌈2 / 2⌉ + 1 = 2, "
                      "the windows fit: ceil mode adds none"]),
    ],
)  # fmt: skip
def test_ceil_mode_tells_what_becomes_of_the_last_window(
    size: int, window: int, stride: int, pads: int, last: list[str]
) -> None:
    request = pool("max_pool", (1, 1, size), window, stride, pads, ceil_mode=True)
    assert lines(request)[0][-len(last) :] == last


def test_a_window_that_does_not_fit_has_no_position() -> None:
    request = pool("avg_pool", (1, 1, 2), 3, 2)
    expected = "output: max(⌊(2 − 3) / 2⌋ + 1, 0) = max(⌊−1 / 2⌋ + 1, 0) = 0"
    assert lines(request) == [[f"{expected}, a window of 3 does not fit into 2"]]


def test_a_transposed_convolution_crops_and_extends() -> None:
    assert lines(transposed((1, 1, 3), (1, 1, 3), 1, 2, 1)) == [
        ["output: (3 − 1)·2 + 3 − 1 − 1 + 1 = 4 + 3 − 1 − 1 + 1 = 6"]
    ]
    empty = transposed((1, 1, 0), (1, 1, 3))
    assert lines(empty) == [["output: 0, there is no element to spread"]]


def test_padding_by_hand_makes_the_input_longer() -> None:
    request = Pool((1, 1, 3), Padding(((1, 1),)), (4,), (1,), "float64", (2,), True, True, 0.0)
    assert lines(request)[0][0] == "padded: 3 + 1 + 1 = 5, padded by hand with 0"
    assert lines(request)[0][-1].startswith("output: 2")


@pytest.mark.parametrize(
    ("size", "positions", "expected"),
    [
        (6, 3, ["window: 6 / 3 = 2", "output: 3, windows side by side"]),
        (5, 3, ["output: 3, windows that overlap: the elements 0–1, 1–3, 3–4"]),
        (2, 3, ["output: 3, windows that repeat: the elements 0, 0–1, 1"]),
        (5, 1, ["output: 1, one window of all 5 elements"]),
        (1, 1, ["output: 1, its only element"]),
    ],
)
def test_adaptive_windows_are_told_one_by_one(
    size: int, positions: int, expected: list[str]
) -> None:
    request = adaptive("adaptive_avg_pool", (1, 1, size), positions)
    assert lines(request) == [expected]
    [rule] = arithmetic.rules(request)
    assert "stride" not in rule and ("whole input" in rule) == (positions == 1)


def test_the_size_of_an_output_gives_its_padding() -> None:
    request = make_request(
        "conv_transpose", (1, 1, 3), kernel=(1, 1, 3), stride=2, padding=1, output_size=6
    )
    assert lines(request) == [
        ["smallest output: (3 − 1)·2 + 3 − 1 − 1 = 4 + 3 − 1 − 1 = 5",
         "output padding: 6 − 5 = 1", "output: 5 + 1 = 6"]
    ]  # fmt: skip


def test_causal_padding_is_before_the_input() -> None:
    request = make_request("conv", (1, 1, 5), kernel=(1, 1, 3), padding="causal", dilation=2)
    assert lines(request)[0][1:] == ["pad before: 5 − 1 = 4", "output: 5 + 4 + 0 − 5 + 1 = 5"]
    assert (
        arithmetic.rules(request)[0]
        == "'causal' pads effective window − 1 before and nothing after"
    )


def test_axes_that_agree_share_a_row() -> None:
    grouped = arithmetic.grouped(arithmetic.axes(conv((1, 1, 5, 8, 8), (1, 1, 3, 3, 3))))
    assert [name for name, _ in grouped] == ["depth", "height, width"]
