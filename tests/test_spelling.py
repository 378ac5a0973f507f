"""Other words for a request, and requests near it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance import cases, content, oracle
from conformance.dtypes import Array
from conformance.request import ADAPTIVE_POOLS, Padding, Pool, Request
from conformance.side_by_side import arithmetic, spelling
from tests.builders import conv, pool
from tests.profiles import PROFILE
from tests.strategies import integer_cotangent, integer_data, requests

CASES = cases.load([content.root("cases")])


@PROFILE
@given(requests(dtypes=("float64",)), st.integers(-2, 2), st.booleans(), st.integers(0, 1))
def test_equal_meanings_give_equal_results(
    request: Request, more: int, ceil: bool, axis: int
) -> None:
    assume(not arithmetic.adaptive(request))
    pairs = list(request.padding.pairs)
    axis = min(axis, len(pairs) - 1)
    pairs[axis] = (pairs[axis][0], pairs[axis][1] + more)
    changes: dict[str, Any] = {"padding": Padding(tuple(pairs), mode=request.padding.mode)}
    if isinstance(request, Pool):
        changes["ceil_mode"] = ceil
    other = dataclasses.replace(request, **changes)
    assume(all(n + sum(p) >= 0 for n, p in zip(request.spatial, pairs)) and min(pairs[axis]) >= -1)
    assume(spelling.meaning(other) == spelling.meaning(request))
    assert_equal_results(request, other)


@PROFILE
@given(requests(ops=ADAPTIVE_POOLS, dtypes=("float64",)))
def test_an_even_adaptive_pooling_means_a_plain_one(request: Request) -> None:
    plain = spelling.meaning(request)
    assert isinstance(request, Pool) and isinstance(plain, Pool)
    assert request.output_size is not None
    even = not any(n % m for n, m in zip(request.spatial, request.output_size))
    assert (plain.output_size is None) == even
    assert_equal_results(request, plain)


def assert_equal_results(request: Request, other: Request) -> None:
    arrays, cotangent = integer_data(request), integer_cotangent(request)
    results = []
    for each in (request, other):
        gradients: tuple[Array, ...] = ()
        if not (isinstance(each, Pool) and each.indices):
            gradients = oracle.vjp(each, cotangent, *arrays)
        results.append((oracle.forward(each, *arrays), *gradients))
    for one, another in zip(*results):
        assert np.array_equal(one, another, equal_nan=True)


def test_padding_that_no_window_reaches_means_nothing() -> None:
    both = conv((1, 1, 8), (1, 1, 3), 1, 2)
    assert spelling.meaning(both) == spelling.meaning(conv((1, 1, 8), (1, 1, 3), ((1, 0),), 2))
    assert spelling.meaning(both) != spelling.meaning(conv((1, 1, 8), (1, 1, 3), ((0, 1),), 2))


def test_ceil_mode_is_padding_but_for_an_average_that_counts_it() -> None:
    for op, counts in (("max_pool", True), ("avg_pool", False), ("avg_pool", True)):
        ceil, padded = (
            pool(op, (1, 1, 6), 3, 2, pads, ceil_mode=mode, count_include_pad=counts)
            for pads, mode in ((0, True), (((0, 1),), False))
        )
        same = spelling.meaning(ceil) == spelling.meaning(padded)
        assert same == (op == "max_pool" or not counts)


def test_nearby_requests_differ_in_meaning() -> None:
    for case in CASES[::5]:
        for other in spelling.nearby(case):
            assert spelling.meaning(other) != spelling.meaning(case.request)
            assert spelling.changed(case.request, other)
