"""The oracle's adaptive windows, norms, indices and divisors: published values, laws, corners."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conformance import geometry, make_request, oracle
from conformance.dtypes import Array
from conformance.request import Pool, Request
from tests.builders import adaptive, planes, pool
from tests.strategies import integer_cotangent, integer_data, real_data, requests

SEEDS = st.integers(0, 2**16)
quick = settings(max_examples=80, deadline=None)


class TestAdaptive:
    @pytest.mark.parametrize(
        ("size", "positions", "expected"),
        [
            (5, 3, [1.5, 3, 4.5]),
            (3, 5, [1, 1.5, 2, 2.5, 3]),
            (4, 2, [1.5, 3.5]),
            (4, 4, [1, 2, 3, 4]),
            (4, 1, [2.5]),
        ],
    )
    def test_published(self, size: int, positions: int, expected: list[float]) -> None:
        x = planes(np.arange(1, size + 1))
        request = adaptive("adaptive_avg_pool", x.shape, positions)
        assert_array_equal(oracle.forward(request, x)[0, 0], expected)

    @given(st.integers(1, 40), st.integers(1, 60))
    def test_windows(self, size: int, positions: int) -> None:
        windows = geometry.adaptive_windows(size, positions)
        step = Fraction(size, positions)
        assert windows == tuple((floor(i * step), ceil((i + 1) * step)) for i in range(positions))
        assert all(0 <= start < end <= size for start, end in windows)
        assert {e for start, end in windows for e in range(start, end)} == set(range(size))

    @quick
    @given(st.integers(1, 5), st.integers(1, 4), st.sampled_from(("max", "avg")), SEEDS)
    def test_an_even_division_is_a_plain_pooling(
        self, window: int, positions: int, kind: str, seed: int
    ) -> None:
        shape = (2, 2, window * positions, 3)
        shared = adaptive(f"adaptive_{kind}_pool", shape, (positions, 1))
        plain = pool(f"{kind}_pool", shape, (window, 3), (window, 3))
        (x,), cotangent = integer_data(plain, seed), integer_cotangent(plain, seed)
        assert_array_equal(oracle.forward(shared, x), oracle.forward(plain, x))
        [one], [other] = oracle.vjp(shared, cotangent, x), oracle.vjp(plain, cotangent, x)
        assert_array_equal(one, other)

    @quick
    @given(requests(ops=("adaptive_avg_pool", "global_avg_pool"), dtypes=("float64",)), SEEDS)
    def test_averages_are_linear(self, request_: Request, seed: int) -> None:
        [x], cotangent = integer_data(request_, seed), integer_cotangent(request_, seed)
        [dx] = oracle.vjp(request_, cotangent, x)
        inner = (cotangent * oracle.forward(request_, x)).sum()
        assert_allclose((dx * x).sum(), inner, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([1, 1, 1, 1, 1], [1, 2, 0, 4, 0]),
            ([1, np.nan, 4, 4, 0], [0, 3, 0, 4, 0]),
            ([-np.inf] * 5, [1, 2, 0, 4, 0]),
        ],
    )
    def test_share_of_the_first_maximum(self, values: list[float], expected: list[int]) -> None:
        x, cotangent = planes(values), np.array([[[1.0, 2.0, 4.0]]])
        request = adaptive("adaptive_max_pool", x.shape, 3)
        assert_array_equal(oracle.vjp(request, cotangent, x)[0][0, 0], expected)

    @pytest.mark.parametrize("shape", [(0, 2, 4), (1, 0, 4)])
    @pytest.mark.parametrize("op", ["adaptive_max_pool", "adaptive_avg_pool"])
    def test_no_images_or_channels(self, op: str, shape: tuple[int, ...]) -> None:
        request = adaptive(op, shape, 3)
        x = np.zeros(shape)
        result = oracle.forward(request, x)
        assert result.shape == (*shape[:2], 3)
        assert oracle.vjp(request, result, x)[0].shape == shape


class TestNorm:
    @pytest.mark.parametrize(
        ("p", "expected", "slope"),
        [
            (1.0, [7, 7], [-1, -1, 1, -1]),
            (2.0, [5, 5], [-0.6, -0.8, 0.6, -0.8]),
            (3.0, [91 ** (1 / 3)] * 2, np.array([-9, -16, 9, -16]) / 91 ** (2 / 3)),
        ],
    )
    def test_absolute_values(self, p: float, expected: list[float], slope: Array) -> None:
        x = planes([-3, -4, 3, -4])
        request = pool("lp_pool", x.shape, 2, 2, norm=p)
        assert_allclose(oracle.forward(request, x)[0, 0], expected, rtol=1e-15)
        [dx] = oracle.vjp(request, np.ones((1, 1, 2)), x)
        assert_allclose(dx[0, 0], slope, rtol=1e-14)

    @pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0])
    def test_the_norm_of_zeros_has_no_gradient(self, p: float) -> None:
        request = pool("lp_pool", (1, 1, 4), 2, 2, norm=p)
        x = np.zeros((1, 1, 4))
        assert_array_equal(oracle.forward(request, x), np.zeros((1, 1, 2)))
        assert_array_equal(oracle.vjp(request, np.ones((1, 1, 2)), x)[0], np.zeros((1, 1, 4)))

    def test_padding_and_overhang_are_zeros(self) -> None:
        x = planes([3, 4, 5])
        request = pool("lp_pool", x.shape, 2, 2, 1, ceil_mode=True, norm=1.0)
        assert_array_equal(oracle.forward(request, x)[0, 0], [3, 9])
        request = pool("lp_pool", x.shape, 2, 2, ceil_mode=True)
        assert_array_equal(oracle.forward(request, x)[0, 0], [5, 5])

    @quick
    @given(requests(ops=("lp_pool",), dtypes=("float64",)), SEEDS)
    def test_homogeneous_and_blind_to_signs(self, request_: Request, seed: int) -> None:
        [x] = real_data(request_, seed)
        y = oracle.forward(request_, x)
        assert_allclose(oracle.forward(request_, 4 * x), 4 * y, rtol=1e-13)
        assert_array_equal(oracle.forward(request_, -x), y)
        # Euler's theorem: the gradient of a norm along x is the norm.
        [dx] = oracle.vjp(request_, np.ones(y.shape), x)
        assert_allclose((dx * x).sum(), y.sum(), rtol=1e-11, atol=1e-11)

    def test_nan_and_infinities(self) -> None:
        x = planes([1, np.nan, np.inf, -np.inf])
        request = pool("lp_pool", x.shape, 2, 2, norm=1.0)
        assert_array_equal(oracle.forward(request, x)[0, 0], [np.nan, np.inf])

    def test_infinity_in_no_window_has_no_gradient(self) -> None:
        x = planes([3, 4, -np.inf])
        request = pool("lp_pool", x.shape, 2, 2)
        [dx] = oracle.vjp(request, np.ones((1, 1, 1)), x)
        assert_allclose(dx[0, 0], [0.6, 0.8, 0], rtol=1e-15)


CONTENDED = ("max_pool", "adaptive_max_pool", "global_max_pool")


class TestContention:
    """Maxima of numbers that are known up to an error."""

    @quick
    @given(requests(ops=CONTENDED, dtypes=("float64",)), SEEDS)
    def test_without_error_it_is_the_gradient(self, request_: Pool, seed: int) -> None:
        [x], cotangent = integer_data(request_, seed), integer_cotangent(request_, seed)
        [dx] = oracle.vjp(request_, cotangent, x)
        none = np.zeros(x.shape)
        assert_array_equal(oracle.contended_vjp(request_, cotangent, cotangent, x, none), dx)

    @quick
    @given(requests(ops=CONTENDED, dtypes=("float64",)), SEEDS, SEEDS)
    def test_bounds_what_errors_change(self, request_: Pool, seed: int, other: int) -> None:
        [x], cotangent = real_data(request_, seed), integer_cotangent(request_, seed)
        random = np.random.default_rng(other)
        error, off = random.uniform(0, 0.5, x.shape), random.uniform(0, 2, cotangent.shape)
        moved = x + random.uniform(-1, 1, x.shape) * error
        turned = cotangent + random.uniform(-1, 1, cotangent.shape) * off
        [exact], [found] = oracle.vjp(request_, cotangent, x), oracle.vjp(request_, turned, moved)
        most = np.abs(cotangent) + off
        bound = oracle.contended_vjp(request_, off, most, x, error)
        assert (np.abs(found - exact) <= bound + 1e-9).all()
        assert (np.abs(found) <= oracle.contended_vjp(request_, most, most, x, error) + 1e-9).all()

    @pytest.mark.parametrize(
        ("x", "error", "expected"),
        [
            ([1, 2, 3, 4], [0.4] * 4, [0, 1, 0, 1]),
            ([1, 2, 3, 4], [0.4, 0.7, 0.1, 0.1], [9, 9, 0, 1]),
            ([2, 2, 3, 4], [0, 0, 0.1, 0.1], [1, 0, 0, 1]),
            ([2, 2, 4, 4], [0, 0, 0, 0.1], [1, 0, 9, 9]),
            ([np.nan, 2, 3, 4], [0, 0.1, 0, 0], [9, 9, 0, 1]),
        ],
    )
    def test_no_more_than_what_can_be(
        self, x: list[float], error: list[float], expected: list[float]
    ) -> None:
        request = pool("max_pool", (1, 1, 4), 2, 2)
        one, nine = np.ones((1, 1, 2)), np.full((1, 1, 2), 9.0)
        given = oracle.contended_vjp(request, one, nine, planes(x), planes(error))
        assert_array_equal(given[0, 0], expected)


class TestIndices:
    def test_of_each_channel(self) -> None:
        x = np.arange(16.0).reshape(2, 2, 2, 2)
        request = pool("max_pool_indices", x.shape, 2)
        result = oracle.forward(request, x)
        assert result.dtype == np.int64
        assert_array_equal(result, np.full((2, 2, 1, 1), 3))

    @quick
    @given(requests(ops=("max_pool_indices",), dtypes=("float64", "int8")), SEEDS)
    def test_name_the_maxima(self, request_: Pool, seed: int) -> None:
        [x] = integer_data(request_, seed)
        places = oracle.forward(request_, x)
        values = oracle.forward(_replaced(request_, op="max_pool"), x)
        assert places.shape == values.shape
        for image, channel in np.ndindex(*x.shape[:2]):
            found = x[image, channel].flat[places[image, channel].reshape(-1)]
            assert_array_equal(found, values[image, channel].reshape(-1))

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([1, 1, 1], [0, 0, 1, 2]),
            ([1, np.nan, np.nan], [0, 1, 1, 2]),
            ([-np.inf] * 3, [0, 0, 1, 2]),
        ],
    )
    def test_the_first_of_equals_and_never_the_padding(
        self, values: list[float], expected: list[int]
    ) -> None:
        x = planes(values)
        request = pool("max_pool_indices", x.shape, 2, 1, 1)
        assert_array_equal(oracle.forward(request, x)[0, 0], expected)

    def test_cropped_elements_are_counted(self) -> None:
        x = planes([[9, 9, 9], [9, 1, 2]])
        request = pool("max_pool_indices", x.shape, 1, 1, ((-1, 0), (-1, 0)))
        assert_array_equal(oracle.forward(request, x)[0, 0], [[4, 5]])


class TestDivisor:
    @quick
    @given(requests(ops=("avg_pool",), dtypes=("float64",)), st.integers(1, 9), SEEDS)
    def test_divides_sums(self, request_: Pool, divisor: int, seed: int) -> None:
        [x] = integer_data(request_, seed)
        sums = oracle.forward(_replaced(request_, divisor=1), x)
        assert_array_equal(oracle.forward(_replaced(request_, divisor=divisor), x), sums / divisor)

    def test_knows_nothing_of_counts(self) -> None:
        x = planes([3, 6, 9])
        for counted in (True, False):
            request = pool(
                "avg_pool", x.shape, 2, 2, 1, ceil_mode=True, count_include_pad=counted, divisor=3
            )
            assert_array_equal(oracle.forward(request, x)[0, 0], [1, 5])


class TestCausal:
    @quick
    @given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 7), SEEDS)
    def test_sees_no_later_element(
        self, window: int, stride: int, dilation: int, at: int, seed: int
    ) -> None:
        request = make_request(
            "conv", (1, 2, 8), kernel=(3, 2, window), padding="causal", stride=stride,
            dilation=dilation, dtype="float64",
        )  # fmt: skip
        x, w = real_data(request, seed)
        before = oracle.forward(request, x, w)
        x[..., at] += 1
        changed = np.flatnonzero((oracle.forward(request, x, w) != before).any(axis=(0, 1)))
        assert (changed * stride >= at).all()
        assert before.shape[-1] == -(-8 // stride)


def _replaced(request: Pool, **fields: object) -> Pool:
    return dataclasses.replace(request, **fields)  # type: ignore[arg-type]
