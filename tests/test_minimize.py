"""Shrinking: what holds of a case holds of the smaller one, deterministically and within bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conformance import cases, content, minimize
from conformance.cases import Case
from conformance.request import Pool

LARGE = """
op: conv
source: https://example.org
cases:
  - id: large
    note: It goes.
    tags: [a]
    input: {shape: [3, 12, 17, 20], normal: {}, set: [{at: [0, 0, 0, 0], to: .inf}]}
    kernel: {shape: [8, 3, 5, 3]}
    groups: 4
    bias: true
    dtype: float64
    padding: [[1, 3], 2]
    stride: [3, 4]
    dilation: 2
    expect: {shape: [3, 8, 5, 5]}
    spelling: {keras.layers: {padding: valid}, tf.nn: {stride: 1}}
  - id: literal
    input: {values: [[[[1, 2, 3], [4, 5, 0.1], [7, 8, 9]], [[1, 1, 1], [2, 2, 2], [3, 3, 3]]]]}
    kernel: {values: "1 2 3 4 5 6 7 8", shape: [1, 2, 2, 2]}
    cotangent: {values: [[[[1, 2], [3, 4]]]]}
  - id: pool
    op: max_pool
    input: {shape: [2, 3, 9, 9]}
    kernel: null
    window: 3
    stride: [2, 3]
    padding: 1
    ceil_mode: true
  - id: transposed
    op: conv_transpose
    input: {shape: [2, 4, 5, 5]}
    kernel: {shape: [4, 3, 3, 3]}
    groups: 2
    stride: 3
    output_padding: [1, 2]
"""


@pytest.fixture
def case(tmp_path: Path) -> Callable[[str], Case]:
    file = tmp_path / "large.yaml"
    file.write_text(LARGE, encoding="utf-8")
    found = {each.fields.id: each for each in cases.load([file])}
    return found.__getitem__


def request_shape(case: Case) -> tuple[object, ...]:
    r = case.request
    kernel = None if isinstance(r, Pool) else r.kernel_shape
    return r.input_shape, kernel, r.padding.pairs, r.stride, r.dilation, r.dtype


def test_nothing_is_left_of_what_does_not_matter(case: Callable[[str], Case]) -> None:
    smallest = minimize.minimize(case("large"), lambda smaller: True)
    assert request_shape(smallest) == (
        (1, 1, 1, 1), (1, 1, 1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1), "float32",
    )  # fmt: skip
    fields = smallest.fields
    assert (fields.spelling, fields.expect, fields.note, fields.tags) == ({}, None, None, [])
    assert fields.source == "https://example.org"
    assert fields.model_fields_set >= {"input", "kernel"}
    assert set(fields.model_dump(exclude_defaults=True, exclude_none=True)) == {
        "id", "op", "source", "input", "kernel",
    }  # fmt: skip


def test_what_matters_stays(case: Callable[[str], Case]) -> None:
    def holds(smaller: Case) -> bool:
        r = smaller.request
        return max(r.stride) > 1 and r.padding.symmetric is None and "tf.nn" in smaller.spellings

    smallest = minimize.minimize(case("large"), holds)
    assert holds(smallest)
    assert sum(map(sum, smallest.request.padding.pairs)) == 1
    assert max(smallest.request.stride) == 2
    assert list(smallest.spellings) == ["tf.nn"]
    assert smallest.request.input_shape[:2] == (1, 1)


def test_uniform_options_stay_uniform(case: Callable[[str], Case]) -> None:
    smallest = minimize.minimize(case("pool"), lambda smaller: smaller.request.window[0] > 1)
    assert smallest.request.window == (2, 2)
    assert smallest.request.input_shape == (1, 1, 1, 1) or smallest.request.padding.none


def test_literal_data_are_cropped_or_drawn(case: Callable[[str], Case]) -> None:
    literal = case("literal")

    def keeps_a_nine(smaller: Case) -> bool:
        return 9 in smaller.arrays()[0]

    smallest = minimize.minimize(literal, keeps_a_nine)
    assert smallest.request.input_shape == (1, 1, 3, 3)
    assert smallest.fields.input is not None
    assert smallest.fields.input.values == [[[[1, 2, 3], [4, 5, 0.1], [7, 8, 9]]]]
    drawn = minimize.minimize(literal, lambda smaller: smaller.request.spatial == (3, 3))
    assert drawn.fields.input is not None
    assert drawn.fields.input.values is None


def test_an_output_is_not_emptied(case: Callable[[str], Case]) -> None:
    smallest = minimize.minimize(case("large"), lambda smaller: smaller.request.window == (5, 3))
    assert 0 not in smallest.request.output_shape
    assert smallest.request.padding.none


def test_a_transposed_convolution_and_its_groups(case: Callable[[str], Case]) -> None:
    smallest = minimize.minimize(
        case("transposed"), lambda smaller: getattr(smaller.request, "groups", 1) > 1
    )
    r = smallest.request
    assert not isinstance(r, Pool)
    assert (r.groups, r.out_channels, r.channels) == (2, 2, 2)
    assert smallest.fields.output_padding is None


def test_it_is_deterministic_and_bounded(case: Callable[[str], Case]) -> None:
    def runs(limit: int) -> tuple[list[str], Case]:
        asked: list[str] = []

        def holds(smaller: Case) -> bool:
            asked.append(smaller.fields.model_dump_json())
            return sum(smaller.request.input_shape) % 3 == 0

        return asked, minimize.minimize(case("large"), holds, limit)

    asked, smallest = runs(20)
    assert len(asked) == 20
    assert len(set(asked)) == len(asked)
    again, other = runs(20)
    assert (again, other.fields) == (asked, smallest.fields)


def test_a_case_of_which_nothing_smaller_holds_is_itself(case: Callable[[str], Case]) -> None:
    large = case("large")
    assert minimize.minimize(large, lambda smaller: False) is large
    assert minimize.minimize(large, lambda smaller: True, tries=0) is large


def assert_same_case(one: Case, other: Case) -> None:
    assert one.request == other.request
    assert one.spellings == other.spellings
    for mine, theirs in zip((*one.arrays(), one.cotangent_array()),
                            (*other.arrays(), other.cotangent_array())):  # fmt: skip
        np.testing.assert_array_equal(mine, theirs)


def test_every_case_can_be_written_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    for each in cases.load([content.root("cases")]):
        if each.request.input_shape[0] and sum(math.prod(t.shape) for t in each.inputs) < 10_000:
            file.write_text(cases.written(each), encoding="utf-8")
            (again,) = cases.load([file])
            assert_same_case(again, each)


def test_a_small_case_can_be_written_and_read_again(
    case: Callable[[str], Case], tmp_path: Path
) -> None:
    file = tmp_path / "small.yaml"
    for name in ("large", "literal", "pool", "transposed"):
        smallest = minimize.minimize(case(name), lambda each: sum(each.request.input_shape) > 12)
        file.write_text(cases.written(smallest), encoding="utf-8")
        (again,) = cases.load([file])
        assert_same_case(again, smallest)
