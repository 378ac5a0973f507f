"""The explanation of a wrong result names what was planted, and nothing else is ever named."""

from __future__ import annotations

import itertools
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from conformance import oracle
from conformance.dtypes import DTYPES, Array, cast
from conformance.explanation import CAUSES, explain
from conformance.make import make_request
from conformance.reference import expect
from conformance.request import Pool, Request
from tests import planting_data
from tests.backends.planted import compute
from tests.backends.planted.semantics import PLANTED, chosen
from tests.planting import Planting, Random, draw, plantings
from tests.strategies import integer_cotangent, integer_data, requests
from tests.wishes import EVERYWHERE, FLOATS, INTEGERS, PAIRS, WISHES

SINGLES, EACH_PAIR, EACH_GRADIENT = 12, 5, 3
GRADIENTS = (
    "padding-other-side",
    "padding-mode",
    "padding-split",
    "same-lower",
    "kernel-flipped",
    "kernel-transposed",
    "kernel-channels-swapped",
    "stride-dilation-swapped",
    "dilation-ignored",
    "dilation-transposed",
    "groups-interleaved",
    "depthwise-multiplier-order",
    "padding-counted",
    "padding-not-counted",
    "divisor-not-clipped",
    "divisor-ignored",
    "signed-powers",
    "norm-without-root",
    "overhang-scaled",
    "causal-at-the-end",
    "adaptive-as-fixed-windows",
    "adaptive-windows-rounded",
)
Found = dict[str, list[tuple[Planting, str]]]
ENOUGH = {"singles": 500, "pairs": 60, "passes": 300}


def seeded(*words: str) -> Random:
    return np.random.default_rng([zlib.crc32(word.encode()) for word in words])


def key(planting: Planting) -> str:
    """What the explanation is called."""
    found = explain(
        planting.observed,
        planting.request,
        planting.arrays,
        cotangent=planting.cotangent,
        array=planting.array,
        dtype=planting.dtype,
        accumulation=planting.accumulation,
    )
    return "none" if found is None else found.key


def exact(planting: Planting, name: str) -> bool:
    """Whether the planted causes are named, or others that mean the same in this request."""
    causes = tuple(name.split("+"))
    if sorted(causes) == sorted(planting.causes):
        return True
    known = len(causes) <= len(planting.causes) and all(cause in PLANTED for cause in causes)
    return known and planting.means(causes, seeded(name))


def named(plans: Iterable[tuple[str, ...]], each: int, array: str = "") -> Found:
    """Plantings of each plan with the key that they got."""
    return {
        "+".join(causes): [
            (planting, key(planting))
            for planting in itertools.islice(plantings(causes, seeded(*causes), array), each)
        ]
        for causes in plans
    }


def report(found: Found) -> tuple[dict[str, float], str]:
    """The rate of exact names by plan, and the misses in words."""
    rates, lines = {}, []
    for plan, results in found.items():
        misses = [(planting, name) for planting, name in results if not exact(planting, name)]
        rates[plan] = 1 - len(misses) / len(results)
        lines += [f"{plan} was called {name}: {planting.request}" for planting, name in misses]
    return rates, "\n".join(lines)


@pytest.fixture(scope="module")
def singles() -> Found:
    return named([(cause,) for cause in WISHES], SINGLES)


def test_planted_causes_are_named(singles: Found) -> None:
    rates, misses = report(singles)
    assert SINGLES * len(rates) >= ENOUGH["singles"]
    assert sum(rates.values()) / len(rates) >= 0.95, misses
    assert not {name for name, rate in rates.items() if rate < 0.8}, misses


def test_the_plantings_vary(singles: Found) -> None:
    everything = [planting.request for found in singles.values() for planting, _ in found]
    for values in (
        Counter(request.op for request in everything),
        Counter(request.rank for request in everything),
        Counter(request.dtype for request in everything),
    ):
        assert min(values.values()) >= 20, values
    assert len({request.dtype for request in everything}) == len(FLOATS + INTEGERS)


def test_planted_pairs_are_named() -> None:
    rates, misses = report(named(PAIRS, EACH_PAIR))
    assert EACH_PAIR * len(rates) >= ENOUGH["pairs"]
    assert sum(rates.values()) / len(rates) >= 0.9, misses


@pytest.mark.parametrize("array", ["x", "w"])
def test_the_same_causes_are_named_from_gradients(array: str) -> None:
    causes = [c for c in GRADIENTS if array == "x" or "conv" in WISHES[c].ops]
    rates, misses = report(named([(cause,) for cause in causes], EACH_GRADIENT, array))
    assert sum(rates.values()) / len(rates) >= 0.95, misses


def test_every_cause_can_be_planted() -> None:
    assert set(CAUSES) - set(PLANTED) == {"spelling", "result-dtype"}
    assert set(PLANTED) - set(CAUSES) == {"right"}
    assert set(PLANTED) - set(WISHES) == {"right", "unstable"}


def test_a_pass_has_no_explanation() -> None:
    for request, arrays in drawn("pass", ENOUGH["passes"]):
        wanted = expect(request, arrays).output
        observed = [wanted.values]
        if wanted.allowed is not None:
            off = seeded(str(request)).uniform(-0.4, 0.4, wanted.exact.shape) * wanted.allowed
            observed.append(cast(wanted.exact + off, wanted.dtype))
        for array in observed:
            found = explain(array, request, arrays, dtype=request.result_dtype)
            assert found is None, (request, found)


def test_garbage_is_not_explained() -> None:
    for request, arrays in drawn("garbage", 60):
        random = seeded(str(request))
        garbage = random.integers(-99, 99, request.output_shape)
        observed = cast(garbage.astype(np.float64), DTYPES[request.result_dtype])
        if observed.size >= 12:
            found = explain(observed, request, arrays, dtype=request.result_dtype)
            assert found is not None
            assert found.key.startswith("unexplained"), (request, found)


def test_imaginary_parts_of_averages_are_kept() -> None:
    request = make_request("avg_pool", (1, 1, 4), window=2, dtype="complex64")
    x = np.array([[[1 + 2j, 3 - 4j, 5j, 1]]], np.complex64)
    right = oracle.forward(request, x).astype(np.complex64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert explain(right, request, (x,)) is None
        found = explain(right * 2, request, (x,))
    assert found is not None
    assert "all 2 values differ" in found.sentence


def test_another_dtype_is_named() -> None:
    for request, arrays in drawn("dtype", 50):
        values = expect(request, arrays).output.values
        other = "float64" if request.result_dtype != "float64" else "float32"
        found = explain(values.astype(other), request, arrays, dtype=other)
        assert found is not None
        assert found.key == "result-dtype", request


def drawn(name: str, count: int) -> Iterable[tuple[Request, tuple[Array, ...]]]:
    """Random requests with data."""
    random = seeded(name)
    while count:
        request = draw(random, EVERYWHERE)
        if request is not None:
            count -= 1
            yield request, planting_data.usual(random, request)


@settings(max_examples=200, deadline=None)
@given(request_=requests(dtypes=FLOATS + INTEGERS), seed=st.integers(0, 2**16))
def test_the_planted_right_semantics_is_right(request_: Request, seed: int) -> None:
    arrays, cotangent = integer_data(request_, seed), integer_cotangent(request_, seed)
    dtype = DTYPES[request_.dtype]
    semantics = chosen(("right",), request_)
    y = compute.forward(semantics, *arrays)
    wanted = cast(oracle.forward(request_, *arrays), DTYPES[request_.result_dtype])
    assert y.dtype == wanted.dtype
    close = 32 * dtype.unit_roundoff
    divides = isinstance(request_, Pool) and request_.kind != "max"
    if divides:
        np.testing.assert_allclose(y, wanted, rtol=close)
    else:
        assert_array_equal(y, wanted)
    if isinstance(request_, Pool) and request_.indices:
        return
    shares = compute.vjp(semantics, cotangent, *arrays)
    for share, gradient in zip(shares, oracle.vjp(request_, cotangent, *arrays)):
        if divides:
            # Shares are fractions, so the order of the sum shows.
            np.testing.assert_allclose(share, cast(gradient, dtype), rtol=close, atol=close)
        else:
            assert_array_equal(share, cast(gradient, dtype))


@pytest.mark.parametrize(("wrong", "key"), [(np.nan, "nan-spreads"), (7.0, "nan-lost")])
def test_nan_that_is_elsewhere_is_told_apart(wrong: float, key: str) -> None:
    request = make_request("conv", (1, 1, 8), kernel=(1, 1, 2))
    x = np.array([[[1, 2, 4, 8, np.nan, 16, 32, 64]]], np.float32)
    w = np.array([[[1, 2]]], np.float32)
    observed = oracle.forward(request, x, w).astype(np.float32)
    observed[0, 0, 0 if np.isnan(wrong) else 4] = wrong
    found = explain(observed, request, (x, w))
    assert found is not None
    assert found.key == f"unexplained: {key}"
    assert "1 of 7 values" in found.sentence


@pytest.mark.parametrize(
    ("op", "options", "key"),
    [
        ("lp_pool", {"window": 1, "norm": 1, "stride": 2}, "subnormals-flushed"),
        ("lp_pool", {"window": 1, "norm": 2}, "sums-out-of-range"),
        ("avg_pool", {"window": 1}, "subnormals-flushed"),
        ("conv", {"kernel": (1, 1, 1)}, "subnormals-flushed"),
    ],
)
def test_zero_for_a_subnormal_number_is_no_other_accident(
    op: str, options: dict[str, Any], key: str
) -> None:
    request = make_request(op, (1, 1, 1), **options)
    x = np.full((1, 1, 1), 3e-39, np.float32)
    arrays = (x,) if isinstance(request, Pool) else (x, np.ones((1, 1, 1), np.float32))
    found = explain(np.zeros((1, 1, 1), np.float32), request, arrays)
    assert found is not None and found.key == key
