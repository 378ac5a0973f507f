"""Verdicts: shape before dtype before values, exact where it can be, a bound elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.compare import compare, ulps
from conformance.dtypes import DTYPES, Array, cast
from conformance.reference import Reference, expect
from conformance.request import Conv, Padding, Pool, Request
from tests.profiles import PROFILE
from tests.strategies import integer_cotangent, integer_data, real_data, requests


def exact(values: object, dtype: str = "float32") -> Reference:
    kind = DTYPES[dtype]
    raw = np.array(values, np.float64 if kind.floating else np.int64)
    return Reference("y", kind, cast(raw, kind), raw, None, kind)


def near(values: object, allowed: float, dtype: str = "float32") -> Reference:
    reference = exact(values, dtype)
    bound = np.full(reference.exact.shape, allowed)
    return Reference("y", reference.dtype, reference.values, reference.exact, bound, reference.sums)


def float32(values: object) -> Array:
    return np.array(values, np.float32)


def test_shape_comes_before_dtype_before_values() -> None:
    reference = exact([[1, 2]])
    for observed, dtype, outcome in (
        (np.array([9.0]), "float64", "wrong-shape"),
        (float32([1, 2]), "float32", "wrong-shape"),
        (np.array([[9.0, 9.0]]), "float64", "wrong-dtype"),
        (float32([[1, 2]]), "bfloat16", "wrong-dtype"),
        (float32([[9, 2]]), "float32", "wrong-value"),
        (float32([[1, 2]]), "float32", "pass"),
    ):
        verdict = compare(reference, observed, dtype)
        assert verdict.outcome == outcome
        difference = verdict.difference
        assert (difference is None) == (outcome == "pass")
        if difference is not None:
            assert difference.expected_shape == (1, 2)
            assert difference.observed_shape == observed.shape
            assert (difference.expected_dtype, difference.observed_dtype) == ("float32", dtype)


def test_the_worst_element_is_told() -> None:
    observed = float32([[1, 2.5], [-3, 4]])
    verdict = compare(exact([[1, 2], [3, 4]]), observed, "float32")
    difference = verdict.difference
    assert difference is not None
    assert (difference.differing, difference.total) == (2, 4)
    assert difference.worst == (1, 0)
    assert (difference.expected, difference.observed, difference.allowed) == (3.0, -3.0, 0.0)
    assert difference.ulps == verdict.ulps


def test_the_worst_element_is_the_furthest_beyond_its_bound() -> None:
    reference = near([100, 1], 0.5)
    assert reference.allowed is not None
    reference.allowed[1] = 0.001
    difference = compare(reference, float32([101, 1.1]), "float32").difference
    assert difference is not None
    assert difference.worst == (1,)
    assert difference.allowed == 0.001


@pytest.mark.parametrize(
    ("wanted", "observed", "outcome"),
    [
        (math.nan, math.nan, "pass"),
        (math.inf, math.inf, "pass"),
        (-math.inf, math.inf, "wrong-value"),
        (math.nan, math.inf, "wrong-value"),
        (math.inf, math.nan, "wrong-value"),
        (1.0, math.nan, "wrong-value"),
        (math.nan, 1.0, "wrong-value"),
        (1.0, math.inf, "wrong-value"),
        (math.inf, 3.4e38, "wrong-value"),
    ],
)
@pytest.mark.parametrize("make", [exact, lambda values: near(values, 10.0)])
def test_not_a_number_and_infinities(
    wanted: float, observed: float, outcome: str, make: object
) -> None:
    reference = make([0, wanted])  # type: ignore[operator]
    verdict = compare(reference, float32([0, observed]), "float32")
    assert verdict.outcome == outcome
    if verdict.difference is not None:
        assert verdict.difference.worst == (1,)


def test_empty_arrays_agree() -> None:
    reference = exact(np.zeros((1, 2, 0, 3)))
    assert compare(reference, np.zeros((1, 2, 0, 3), np.float32), "float32").outcome == "pass"
    assert compare(reference, np.zeros((1, 2, 3, 0), np.float32), "float32").outcome == (
        "wrong-shape"
    )


def test_the_sign_of_zero_counts_where_asked() -> None:
    reference, observed = exact([0.0, -0.0]), float32([-0.0, -0.0])
    assert compare(reference, observed, "float32").outcome == "pass"
    verdict = compare(reference, observed, "float32", signed_zero=True)
    assert verdict.outcome == "wrong-value"
    assert verdict.difference is not None
    assert (verdict.difference.differing, verdict.difference.worst) == (1, (0,))
    assert compare(exact([0], "int8"), np.zeros(1, np.int8), "int8", True).outcome == "pass"


def test_integers_are_exact() -> None:
    largest = 2**63 - 1
    reference = exact([largest, -5], "int64")
    assert compare(reference, np.array([largest, -5]), "int64").outcome == "pass"
    verdict = compare(reference, np.array([largest - 1, -5]), "int64")
    assert verdict.outcome == "wrong-value"
    assert verdict.ulps == 1
    assert verdict.difference is not None
    assert verdict.difference.observed == largest - 1


CONV = Conv(
    (2, 3, 9, 8), Padding(((1, 1), (0, 2))), (2, 1), (1, 2), "float32", (4, 3, 3, 3), 1, True
)
AVERAGE = Pool(
    (2, 3, 9, 9), Padding(((1, 1), (1, 1))), (2, 2), (1, 1), "float32", (3, 3), op="avg_pool"
)


def in_single_precision(reference: Reference, seed: int) -> Array:
    """A running float32 sum of eight rounded parts, as of eight threads."""
    total = np.zeros(reference.exact.shape, np.float32)
    for share in np.random.default_rng(seed).dirichlet(np.ones(8)):
        total += (share * reference.exact).astype(np.float32)
    return total


@pytest.mark.parametrize("request_", [CONV, AVERAGE], ids=["conv", "average"])
def test_correct_results_on_real_data_pass(request_: Request) -> None:
    for seed in range(20):
        reference = expect(request_, real_data(request_, seed)).output
        verdict = compare(reference, in_single_precision(reference, seed), "float32")
        assert verdict.outcome == "pass"
        assert verdict.ulps < 2**16


def test_a_loop_in_float32_passes() -> None:
    """A convolution summed term by term in float32, first to last and last to first."""
    request = Conv((1, 64, 40), Padding(((0, 0),)), (1,), (1,), "float32", (1, 64, 7))
    x, w = real_data(request, 5)
    reference = expect(request, (x, w)).output
    for order in (1, -1):
        total = np.zeros(34, np.float32)
        for c in range(64)[::order]:
            for k in range(7)[::order]:
                total += x[0, c, k : k + 34] * w[0, c, k]
        verdict = compare(reference, total.reshape(1, 1, 34), "float32")
        assert verdict.outcome == "pass"
        assert verdict.ulps > 0


def test_one_wrong_pixel_of_a_thousandth_fails() -> None:
    arrays = real_data(CONV, 1)
    reference = expect(CONV, arrays).output
    observed = reference.values.copy()
    flat = observed.reshape(-1)
    at = int(np.argsort(np.abs(flat))[flat.size // 2])
    flat[at] *= np.float32(1.001)
    verdict = compare(reference, observed, "float32")
    assert verdict.outcome == "wrong-value"
    assert verdict.difference is not None
    assert verdict.difference.differing == 1
    assert verdict.difference.worst == tuple(map(int, np.unravel_index(at, observed.shape)))
    assert 0 < verdict.difference.allowed < abs(flat[at]) * 1e-3


def test_one_wrong_pixel_of_the_input_fails() -> None:
    """A pixel dropped from the border changes a few outputs, and is not forgiven."""
    x, w, b = real_data(CONV, 2)
    reference = expect(CONV, (x, w, b)).output
    dropped = x.copy()
    dropped[0, 0, 0, 0] = 0
    observed = expect(CONV, (dropped, w, b)).output.values
    verdict = compare(reference, observed, "float32")
    assert verdict.outcome == "wrong-value"
    assert verdict.difference is not None
    assert verdict.difference.differing < verdict.difference.total / 10


@pytest.mark.parametrize(
    ("value", "allowed", "observed", "outcome"),
    [
        (65500.0, 50.0, math.inf, "pass"),
        (65500.0, 1.0, math.inf, "wrong-value"),
        (65500.0, 50.0, -math.inf, "wrong-value"),
        (-65500.0, 50.0, -math.inf, "pass"),
        (65530.0, 50.0, 65504.0, "pass"),
        (65530.0, 5.0, 65504.0, "wrong-value"),
        (1.0, 0.1, math.inf, "wrong-value"),
    ],
)
def test_the_edge_of_overflow(value: float, allowed: float, observed: float, outcome: str) -> None:
    reference = near([value], allowed, "float16")
    assert compare(reference, np.array([observed], np.float16), "float16").outcome == outcome


def distance(left: float, right: float, dtype: str) -> int:
    kind = DTYPES[dtype]
    one, other = (np.array([value], kind.carrier) for value in (left, right))
    return int(ulps(one, other, kind)[0])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_neighbours_are_one_ulp_apart(dtype: str) -> None:
    kind = np.dtype(dtype)
    smallest = float(np.finfo(kind).smallest_subnormal)
    for value in (1.0, -1.0, 3.5, float(np.finfo(kind).max) / 2, smallest, 0.0):
        above = float(np.nextafter(kind.type(value), kind.type(math.inf)))
        assert distance(value, above, dtype) == distance(above, value, dtype) == 1
    assert distance(-smallest, smallest, dtype) == 2
    assert distance(-0.0, 0.0, dtype) == 0
    assert distance(-0.0, smallest, dtype) == 1
    assert distance(math.nan, math.nan, dtype) == 0
    assert distance(1.0, 1.0, dtype) == 0
    assert distance(float(np.finfo(kind).max), math.inf, dtype) == 1


def test_ulps_of_bfloat16_are_its_own() -> None:
    assert distance(1.0, 1.0078125, "bfloat16") == 1
    assert distance(-1.0, -1.015625, "bfloat16") == 2
    assert distance(2.0, 1.9921875, "bfloat16") == 1
    assert distance(2.0**-133, -(2.0**-133), "bfloat16") == 2
    assert distance(-0.0, 0.0, "bfloat16") == 0


def test_the_ends_of_float64_are_as_far_apart_as_can_be_said() -> None:
    largest = float(np.finfo(np.float64).max)
    assert distance(-largest, largest, "float64") == np.iinfo(np.int64).max
    assert distance(largest, -math.inf, "float64") == np.iinfo(np.int64).max


def test_float64_is_as_far_from_its_negative_as_twice_from_zero() -> None:
    largest = float(np.finfo(np.float64).max)
    assert 0 < distance(0.0, largest, "float64") < np.iinfo(np.int64).max
    assert distance(-1.0, 1.0, "float64") == 2 * distance(0.0, 1.0, "float64")


@PROFILE
@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_ulps_count_the_numbers_between(left: float, right: float) -> None:
    found = distance(left, right, "float32")
    assert found == distance(right, left, "float32")
    assert (found == 0) == (left == right)
    if left < right:
        above = float(np.nextafter(np.float32(left), np.float32(math.inf)))
        assert distance(above, right, "float32") == found - 1


@PROFILE
@given(requests(dtypes=("float32", "float64", "int32")), st.integers(0, 2**32))
def test_the_reference_itself_passes(request: Request, seed: int) -> None:
    arrays = integer_data(request, seed)
    floating = DTYPES[request.result_dtype].floating
    cotangent = integer_cotangent(request, seed) if floating else None
    found = expect(request, arrays, cotangent)
    for reference in (found.output, *(found.gradients or ())):
        dtype = reference.dtype.name
        assert compare(reference, reference.values, dtype).outcome == "pass"
        if reference.values.size:
            wrong = reference.values.copy()
            wrong.reshape(-1)[seed % wrong.size] += 1
            changed = not np.array_equal(wrong, reference.values)  # infinity plus one is infinity
            verdict = compare(reference, wrong, dtype)
            if reference.allowed is None:
                assert verdict.outcome == ("wrong-value" if changed else "pass")
