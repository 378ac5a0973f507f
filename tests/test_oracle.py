"""The oracle: published values, adjoints, special values, empty shapes, integers, memory."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from conformance import oracle
from conformance.dtypes import DTYPES, cast
from conformance.oracle import correlation
from conformance.oracle.sliding import Sliding
from conformance.request import Conv, Padding, PaddingMode, Request
from tests.builders import conv, planes, pool, transposed
from tests.strategies import integer_cotangent, integer_data, real_data, requests

SEEDS = st.integers(0, 2**16)
quick = settings(max_examples=80, deadline=None)


class TestPublishedValues:
    def test_corr2d(self) -> None:
        request = conv((1, 1, 3, 3), (1, 1, 2, 2))
        result = oracle.forward(
            request, planes(np.arange(9).reshape(3, 3)), planes([[0, 1], [2, 3]])
        )
        assert_array_equal(result[0, 0], [[19, 25], [37, 43]])

    def test_edges(self) -> None:
        x = np.ones((6, 8))
        x[:, 2:6] = 0
        result = oracle.forward(conv((1, 1, 6, 8), (1, 1, 1, 2)), planes(x), planes([[1, -1]]))
        assert_array_equal(result[0, 0], [[0, 1, 0, 0, 0, -1, 0]] * 6)

    @pytest.mark.parametrize(
        ("stride", "pads", "expected"),
        [
            (1, 0, [[10, 12, 12], [18, 16, 16], [13, 9, 3]]),
            (2, 0, [[10, 12], [13, 3]]),
            (
                1,
                1,
                [
                    [1, 3, 4, 10, 8],
                    [5, 10, 12, 12, 6],
                    [7, 18, 16, 16, 8],
                    [11, 13, 9, 3, 4],
                    [14, 13, 9, 7, 4],
                ],
            ),
        ],
    )
    def test_pytorch_notes(self, stride: int, pads: int, expected: list[list[int]]) -> None:
        rows = ["12031", "01231", "12100", "52311", "21011"]
        x = np.array([[int(digit) for digit in row] for row in rows])[None, None]
        w = np.array([[1, 2, 1], [0, 1, 0], [2, 1, 0]])[None, None]
        request = conv(x.shape, w.shape, pads, stride, dtype="int64")
        result = oracle.forward(request, x, w)
        assert result.dtype == np.int64
        assert_array_equal(result[0, 0], expected)

    def test_channels(self) -> None:
        x = np.stack([np.arange(9).reshape(3, 3), np.arange(1, 10).reshape(3, 3)])[None]
        kernel = np.array([[[0, 1], [2, 3]], [[1, 2], [3, 4]]])
        w = np.stack([kernel, kernel + 1, kernel + 2])
        result = oracle.forward(conv(x.shape, w.shape), x, w)
        expected = [[[56, 72], [104, 120]], [[76, 100], [148, 172]], [[96, 128], [192, 224]]]
        assert_array_equal(result[0], expected)

    def test_d2l_uneven(self) -> None:
        x = planes(np.arange(1, 65).reshape(8, 8))
        w = np.ones((1, 1, 3, 5))
        request = conv(x.shape, w.shape, (0, 1), (3, 4))
        assert_array_equal(oracle.forward(request, x, w)[0, 0], [[126, 210], [414, 570]])
        request = conv(x.shape, w.shape, 0, (3, 4))
        assert_array_equal(oracle.forward(request, x, w)[0, 0], [[165], [525]])

    @pytest.mark.parametrize(
        ("size", "window", "stride", "pair", "expected"),
        [
            (5, 2, 1, (0, 1), [3, 5, 7, 9, 5]),
            (5, 2, 1, (1, 0), [1, 3, 5, 7, 9]),
            (5, 4, 1, (1, 2), [6, 10, 14, 12, 9]),
            (6, 3, 2, (0, 1), [6, 12, 11]),
            (5, 3, 2, (1, 1), [3, 9, 9]),
            (6, 3, 2, (1, 1), [3, 9, 15]),
            (5, 2, 1, (-1, -1), [5, 7]),
        ],
    )
    def test_same(
        self, size: int, window: int, stride: int, pair: tuple[int, int], expected: list[int]
    ) -> None:
        x, w = planes(np.arange(1, size + 1)), np.ones((1, 1, window))
        result = oracle.forward(conv(x.shape, w.shape, (pair,), stride), x, w)
        assert_array_equal(result[0, 0], expected)

    def test_negative_padding_gradient(self) -> None:
        x, w = planes(np.arange(1, 6)), np.ones((1, 1, 2))
        request = conv(x.shape, w.shape, -1)
        dx, _ = oracle.vjp(request, np.ones(request.output_shape), x, w)
        assert_array_equal(dx[0, 0], [0, 1, 2, 1, 0])

    @pytest.mark.parametrize(
        ("stride", "pair", "extra", "expected"),
        [
            (1, (0, 0), 0, [1, 12, 123, 230, 300]),
            (2, (0, 1), 0, [1, 10, 102, 20, 203, 30]),
            (2, (1, 1), 1, [10, 102, 20, 203, 30, 300]),
            (2, (1, 1), 0, [10, 102, 20, 203, 30]),
            (2, (-1, 0), 0, [0, 1, 10, 102, 20, 203, 30, 300]),
        ],
    )
    def test_transposed(
        self, stride: int, pair: tuple[int, int], extra: int, expected: list[int]
    ) -> None:
        x, w = planes([1, 2, 3]), planes([1, 10, 100])
        request = transposed(x.shape, w.shape, (pair,), stride, extra)
        assert_array_equal(oracle.forward(request, x, w)[0, 0], expected)

    @pytest.mark.parametrize(
        ("window", "stride", "pads", "expected"),
        [
            (3, 3, 0, [[10]]),
            (3, 2, 1, [[5, 7], [13, 15]]),
            ((2, 3), (2, 3), (0, 1), [[5, 7], [13, 15]]),
            ((2, 4), (2, 3), (1, 2), [[1, 3], [9, 11], [13, 15]]),
        ],
    )
    def test_max_pool(self, window: Any, stride: Any, pads: Any, expected: Any) -> None:
        x = planes(np.arange(16).reshape(4, 4))
        request = pool("max_pool", x.shape, window, stride, pads)
        assert_array_equal(oracle.forward(request, x)[0, 0], expected)

    def test_ceil_mode_divisor(self) -> None:
        request = pool("avg_pool", (1, 1, 6), 3, 2, 1, ceil_mode=True)
        result = oracle.forward(request, np.ones((1, 1, 6)))[0, 0]
        assert_allclose(result, [2 / 3, 1, 1, 1 / 2], rtol=1e-15)

    @pytest.mark.parametrize("include", [True, False])
    def test_count_include_pad(self, include: bool) -> None:
        request = pool("avg_pool", (1, 1, 5), 3, 1, 1, count_include_pad=include)
        border = 2 / 3 if include else 1
        result = oracle.forward(request, np.ones((1, 1, 5)))[0, 0]
        assert_allclose(result, [border, 1, 1, 1, border], rtol=1e-15)

    def test_depthwise_channel_order(self) -> None:
        request = conv((1, 2, 1), (4, 1, 1), groups=2)
        x, w = np.array([[[1.0], [10.0]]]), np.arange(1.0, 5.0).reshape(4, 1, 1)
        assert_array_equal(oracle.forward(request, x, w).ravel(), [1, 2, 30, 40])


class TestAdjoint:
    @quick
    @given(request_=requests(ops=("conv", "conv_transpose"), dtypes=("float64",)), seed=SEEDS)
    def test_inner_products_agree(self, request_: Request, seed: int) -> None:
        arrays, cotangent = integer_data(request_, seed), integer_cotangent(request_, seed)
        gradients = oracle.vjp(request_, cotangent, *arrays)
        output = oracle.forward(request_, *arrays)
        bias = (
            (cotangent * arrays[2].reshape(-1, *(1,) * request_.rank)).sum()
            if (len(arrays) == 3)
            else 0
        )
        for array, gradient in zip(arrays[:2], gradients):
            assert (cotangent * output).sum() - bias == (array * gradient).sum()
        if len(arrays) == 3:
            assert bias == (arrays[2] * gradients[2]).sum()


class TestSpecialValues:
    @pytest.mark.parametrize("positions", [1, 2, 9])
    @pytest.mark.parametrize("depth", [1, 2, 40])
    @pytest.mark.parametrize("out_channels", [1, 2, 33])
    def test_padded_zeros_are_multiplied(
        self, out_channels: int, depth: int, positions: int
    ) -> None:
        request = conv((1, depth, positions + 1), (out_channels, depth, 2), ((1, 0),))
        w = np.ones(request.kernel_shape)
        w[:, 0, 0] = np.inf
        result = oracle.forward(request, np.ones(request.input_shape), w)
        assert np.isnan(result[..., 0]).all()
        assert np.isposinf(result[..., 1:]).all()

    def test_nan_stays_in_its_windows(self) -> None:
        request = conv((1, 2, 9, 9), (3, 2, 3, 3), 1)
        x, w = real_data(request)
        x[0, 1, 4, 4] = np.nan
        poisoned = np.isnan(oracle.forward(request, x, w))
        assert poisoned[:, :, 3:6, 3:6].all() and poisoned.sum() == 3 * 9

    def test_max_pool(self) -> None:
        x = planes([1, np.nan, -np.inf, -np.inf, -0.0])
        request = pool("max_pool", x.shape, 2)
        result = oracle.forward(request, x)[0, 0]
        assert_array_equal(result, [np.nan, np.nan, -np.inf, 0])

    @pytest.mark.parametrize(
        ("dtype", "lowest"),
        [("float32", -np.inf), ("int8", -128), ("uint8", 0), ("int64", -(2**63))],
    )
    def test_window_in_the_padding(self, dtype: str, lowest: float) -> None:
        request = pool("max_pool", (1, 1, 2), 1, 1, 1, dtype=dtype)
        x = np.array([[[1, 2]]], DTYPES[dtype].carrier)
        assert_array_equal(oracle.forward(request, x)[0, 0], [lowest, 1, 2, lowest])
        assert_array_equal(oracle.vjp(request, np.ones((1, 1, 4)), x)[0][0, 0], [1, 1])

    def test_average_of_nothing(self) -> None:
        request = pool("avg_pool", (1, 1, 2), 1, 1, 1, count_include_pad=False)
        result = oracle.forward(request, np.ones((1, 1, 2)))[0, 0]
        assert_array_equal(result, [np.nan, 1, 1, np.nan])
        assert_array_equal(
            oracle.vjp(request, np.ones((1, 1, 4)), np.ones((1, 1, 2)))[0], [[[1, 1]]]
        )

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([1, 1, 1], [1, 0, 0]),
            ([1, np.nan, 4], [0, 1, 0]),
            ([np.nan, np.nan, 4], [1, 0, 0]),
            ([-np.inf] * 3, [1, 0, 0]),
        ],
    )
    def test_share_of_the_first_maximum(self, values: list[float], expected: list[int]) -> None:
        x = planes(values)
        request = pool("max_pool", x.shape, 3)
        assert_array_equal(oracle.vjp(request, np.ones((1, 1, 1)), x)[0][0, 0], expected)
        # The operator's own padding has no part in the maximum, even where it ties.
        request = pool("max_pool", x.shape, 5, 1, 1)
        assert_array_equal(oracle.vjp(request, np.ones((1, 1, 1)), x)[0][0, 0], expected)

    def test_padding_by_hand_is_data(self) -> None:
        x = planes([-3, -1, -2])
        request = pool("max_pool", x.shape, 2, 1, 1, padding_value=-1.0)
        assert_array_equal(oracle.forward(request, x)[0, 0], [-1, -1, -1, -1])
        assert_array_equal(oracle.vjp(request, np.ones((1, 1, 4)), x)[0][0, 0], [0, 2, 0])
        request = pool("avg_pool", x.shape, 2, 1, 1, padding_value=3.0, count_include_pad=False)
        assert_array_equal(oracle.forward(request, x)[0, 0], [0, -2, -1.5, 0.5])

    def test_padding_by_hand_is_rounded_to_the_dtype(self) -> None:
        x = np.zeros((1, 1, 1), np.float16)
        request = pool("max_pool", x.shape, 1, 1, 1, padding_value=0.1, dtype="float16")
        assert oracle.forward(request, x)[0, 0, 0] == np.float16(0.1)


class TestDegenerateShapes:
    def test_no_channels_leave_the_bias(self) -> None:
        request = conv((1, 0, 5, 5), (2, 0, 3, 3), bias=True)
        x, w, b = (
            np.zeros(request.input_shape),
            np.zeros(request.kernel_shape),
            np.array([3.0, 4.0]),
        )
        result = oracle.forward(request, x, w, b)
        assert result.shape == (1, 2, 3, 3)
        assert (result[0, 0] == 3).all() and (result[0, 1] == 4).all()
        assert (oracle.forward(request, x, w) == 0).all()
        dx, dw, db = oracle.vjp(request, np.ones(result.shape), x, w, b)
        assert (dx.shape, dw.shape) == (x.shape, w.shape)
        assert_array_equal(db, [9, 9])

    @pytest.mark.parametrize("shape", [(0, 2, 4, 4), (1, 2, 0, 4), (1, 2, 1, 4)])
    def test_empty_outputs(self, shape: tuple[int, ...]) -> None:
        for request in (
            conv(shape, (3, 2, 2, 2), bias=True),
            pool("max_pool", shape, 2),
            pool("avg_pool", shape, 2),
        ):
            arrays = integer_data(request)
            result = oracle.forward(request, *arrays)
            assert result.shape == request.output_shape and result.size == 0
            for gradient, array in zip(oracle.vjp(request, result, *arrays), arrays):
                assert_array_equal(gradient, np.zeros(array.shape))

    def test_padding_an_empty_axis(self) -> None:
        request = conv((1, 1, 0, 5), (1, 1, 1, 1), 1)
        result = oracle.forward(request, np.ones((1, 1, 0, 5)), np.ones((1, 1, 1, 1)))
        assert_array_equal(result, np.zeros((1, 1, 2, 7)))
        with pytest.raises(ValueError, match="empty axis"):
            oracle.forward(
                dataclasses.replace(request, padding=Padding(((1, 1), (1, 1)), mode="reflect")),
                np.ones((1, 1, 0, 5)),
                np.ones((1, 1, 1, 1)),
            )

    def test_a_transposed_convolution_of_nothing(self) -> None:
        request = transposed((1, 1, 0), (1, 1, 3), 0, 2, 1)
        assert oracle.forward(request, np.ones((1, 1, 0)), np.ones((1, 1, 3))).shape == (1, 1, 0)

    def test_cropping_more_than_there_is(self) -> None:
        request = transposed((1, 1, 1), (1, 1, 3), 2)
        with pytest.raises(ValueError, match="crops more"):
            oracle.forward(request, np.ones((1, 1, 1)), np.ones((1, 1, 3)))

    def test_averages_of_integers(self) -> None:
        request = pool("avg_pool", (1, 1, 4), 2, dtype="int32")
        x = np.zeros((1, 1, 4), np.int32)
        with pytest.raises(ValueError, match="no agreed meaning"):
            oracle.forward(request, x)
        with pytest.raises(ValueError, match="no agreed meaning"):
            oracle.vjp(request, x[..., :3], x)

    @pytest.mark.parametrize(
        ("mode", "expected"), [("reflect", [17, 18, 19]), ("circular", [18, 18, 18])]
    )
    def test_padding_longer_than_the_axis(self, mode: PaddingMode, expected: list[int]) -> None:
        x, w = planes([1, 2, 3]), np.ones((1, 1, 9))
        request = conv(x.shape, w.shape, 4, mode=mode)
        assert_array_equal(oracle.forward(request, x, w)[0, 0], expected)


class TestIntegers:
    @pytest.mark.parametrize(
        ("dtype", "value", "expected"),
        [
            ("int8", 100, -56),
            ("uint8", 200, 144),
            ("int32", 2**30, -(2**31)),
            ("int64", 2**62, -(2**63)),
        ],
    )
    def test_sums_wrap(self, dtype: str, value: int, expected: int) -> None:
        request = conv((1, 1, 2), (1, 1, 2), dtype=dtype)
        carrier = DTYPES[dtype].carrier
        x, w = np.full((1, 1, 2), value, carrier), np.ones((1, 1, 2), carrier)
        assert cast(oracle.forward(request, x, w), DTYPES[dtype]).item() == expected


class TestMemory:
    """What is allocated besides the arguments, on data whose whole im2col takes 170 MB."""

    request = conv((1, 64, 64, 64), (2, 64, 9, 9), 4)

    def test_forward(self) -> None:
        x, w = integer_data(self.request)
        peak = _peak(lambda: oracle.forward(self.request, x, w))
        assert peak < oracle.BUFFER_BYTES + 2 * _padded_bytes(self.request)

    def test_vjp(self) -> None:
        x, w = integer_data(self.request)
        cotangent = integer_cotangent(self.request)
        peak = _peak(lambda: oracle.vjp(self.request, cotangent, x, w))
        assert peak < oracle.BUFFER_BYTES + 4 * _padded_bytes(self.request)

    def test_a_window_of_one_element_is_not_copied(self) -> None:
        request = conv((1, 256, 64, 64), (1, 256, 1, 1))
        x, w = integer_data(request)
        assert _peak(lambda: oracle.forward(request, x, w)) < x.nbytes / 16

    @quick
    @given(request_=requests(ops=("conv", "conv_transpose")), size=st.sampled_from((1, 64, 400)))
    def test_blocks_do_not_change_the_result(self, request_: Request, size: int) -> None:
        arrays, cotangent = integer_data(request_), integer_cotangent(request_)
        whole = oracle.forward(request_, *arrays), *oracle.vjp(request_, cotangent, *arrays)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(correlation, "BUFFER_BYTES", size)
            parts = oracle.forward(request_, *arrays), *oracle.vjp(request_, cotangent, *arrays)
        for one, other in zip(whole, parts):
            assert_array_equal(one, other)

    @given(
        positions=st.lists(st.integers(0, 5), min_size=1, max_size=3),
        limit=st.integers(0, 40),
    )
    def test_blocks_cover_every_position_once(self, positions: list[int], limit: int) -> None:
        ones = (1,) * len(positions)
        count = np.zeros(positions, int)
        for block in Sliding(ones, ones, ones, tuple(positions)).blocks(limit):
            assert count[block].size <= max(limit, 1)
            count[block] += 1
        assert (count == 1).all()


def _peak(run: Callable[[], object]) -> int:
    run()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _padded_bytes(request: Conv) -> int:
    sizes = (n + sum(pair) for n, pair in zip(request.spatial, request.padding.pairs))
    return int(np.prod([request.channels, *sizes])) * 8
