"""Padding and output sizes: published rules, laws, and PyTorch's shapes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from conformance import geometry
from conformance.request import Padding, Pool

SIZES = st.integers(1, 40)
WINDOWS = st.integers(1, 9)
STRIDES = st.integers(1, 6)
DILATIONS = st.integers(1, 4)


class TestOutputSize:
    @pytest.mark.parametrize(
        ("size", "window", "stride", "pads", "expected"),
        [
            # d2l 7.3
            (8, 3, 1, (1, 1), 8),
            (8, 5, 1, (2, 2), 8),
            (8, 3, 2, (1, 1), 4),
            (8, 3, 3, (0, 0), 2),
            (8, 5, 4, (1, 1), 2),
            (8, 5, 4, (0, 0), 1),
            # Dumoulin & Visin: no padding, arbitrary, half, full, strided, odd
            (4, 3, 1, (0, 0), 2),
            (5, 4, 1, (2, 2), 6),
            (5, 3, 1, (1, 1), 5),
            (5, 3, 1, (2, 2), 7),
            (5, 3, 2, (0, 0), 2),
            (6, 3, 2, (1, 1), 3),
            # a window that does not fit, a stride beyond the end, nothing, cropping
            (2, 3, 1, (0, 0), 0),
            (1, 5, 7, (0, 0), 0),
            (4, 2, 10, (0, 0), 1),
            (0, 1, 1, (0, 0), 0),
            (0, 1, 1, (1, 1), 2),
            (5, 2, 1, (-1, -1), 2),
        ],
    )
    def test_published(
        self, size: int, window: int, stride: int, pads: tuple[int, int], expected: int
    ) -> None:
        assert geometry.output_size(size, window, stride, 1, pads) == expected

    def test_dilation(self) -> None:
        assert geometry.effective_window(3, 2) == 5
        assert geometry.output_size(7, 3, 1, 2, (0, 0)) == 3

    @given(SIZES, WINDOWS, STRIDES, DILATIONS, st.tuples(st.integers(0, 4), st.integers(0, 4)))
    def test_counts_the_windows_that_fit(
        self, size: int, window: int, stride: int, dilation: int, pads: tuple[int, int]
    ) -> None:
        end = size + sum(pads)
        starts = range(0, end, stride)
        fitting = [s for s in starts if s + (window - 1) * dilation < end]
        assert geometry.output_size(size, window, stride, dilation, pads) == len(fitting)


class TestCeilMode:
    @pytest.mark.parametrize(
        ("size", "window", "stride", "pads", "expected"),
        [
            (6, 3, 2, (1, 1), 4),
            (5, 2, 2, (0, 0), 3),
            # a last window that would start in the padding at the end is dropped
            (3, 2, 4, (1, 1), 1),
            (5, 1, 3, (0, 0), 2),
            # what is cropped is no place to start either
            (5, 2, 3, (0, -2), 1),
        ],
    )
    def test_published(
        self, size: int, window: int, stride: int, pads: tuple[int, int], expected: int
    ) -> None:
        assert geometry.output_size(size, window, stride, 1, pads, ceil_mode=True) == expected

    def test_padding_by_hand_makes_the_axis_longer(self) -> None:
        """A window may start in elements that were padded by hand: they are input."""
        common = ((1, 1, 3), Padding(((1, 1),)), (4,), (1,), "float64", (2,), True)
        assert Pool(*common).output_shape == (1, 1, 1)
        assert Pool(*common, padding_value=0.0).output_shape == (1, 1, 2)

    @pytest.mark.framework("torch")
    @given(SIZES, WINDOWS, STRIDES, DILATIONS, st.integers(0, 4))
    def test_as_torch(self, size: int, window: int, stride: int, dilation: int, pad: int) -> None:
        import torch

        assume(pad <= window // 2)
        sizes = [
            geometry.output_size(size, window, stride, dilation, (pad, pad), ceil)
            for ceil in (False, True)
        ]
        assume(min(sizes) > 0)
        shapes = [
            torch.nn.functional.max_pool1d(
                torch.zeros(1, 1, size), window, stride, pad, dilation, ceil
            ).shape[2]
            for ceil in (False, True)
        ]
        assert sizes == shapes


class TestSame:
    @pytest.mark.parametrize(
        ("size", "window", "stride", "pads"),
        [
            (5, 2, 1, (0, 1)),
            (5, 4, 1, (1, 2)),
            (6, 3, 2, (0, 1)),
            (5, 3, 2, (1, 1)),
            (8, 3, 2, (0, 1)),
            (8, 1, 2, (0, 0)),
            (4, 2, 5, (0, 0)),
        ],
    )
    def test_published(self, size: int, window: int, stride: int, pads: tuple[int, int]) -> None:
        assert geometry.same_pads(size, window, stride, 1) == pads
        assert geometry.same_pads(size, window, stride, 1, lower=True) == pads[::-1]

    @given(st.integers(0, 40), WINDOWS, STRIDES, DILATIONS, st.booleans())
    def test_gives_one_position_per_stride(
        self, size: int, window: int, stride: int, dilation: int, lower: bool
    ) -> None:
        pads = geometry.same_pads(size, window, stride, dilation, lower)
        assert min(pads) >= 0
        assert pads[not lower] - pads[lower] in (0, 1)
        if size:
            positions = geometry.output_size(size, window, stride, dilation, pads)
            assert positions == -(-size // stride)

    @given(SIZES, WINDOWS, DILATIONS)
    def test_does_not_depend_on_the_size_at_stride_1(
        self, size: int, window: int, dilation: int
    ) -> None:
        assert sum(geometry.same_pads(size, window, 1, dilation)) == (window - 1) * dilation

    @pytest.mark.framework("torch")
    @pytest.mark.filterwarnings("ignore:Using padding='same'")
    @given(SIZES, WINDOWS, DILATIONS)
    def test_as_torch(self, size: int, window: int, dilation: int) -> None:
        import torch

        x = torch.arange(1, size + 1, dtype=torch.float64)[None, None]
        w = torch.arange(1, window + 1, dtype=torch.float64)[None, None]
        same = torch.nn.functional.conv1d(x, w, padding="same", dilation=dilation)
        padded = torch.nn.functional.pad(x, geometry.same_pads(size, window, 1, dilation))
        assert torch.equal(same, torch.nn.functional.conv1d(padded, w, dilation=dilation))


class TestTransposed:
    @pytest.mark.parametrize(
        ("size", "window", "stride", "pads", "extra", "expected"),
        [
            (3, 3, 1, (0, 0), 0, 5),
            (3, 3, 2, (0, 0), 0, 7),
            (3, 3, 2, (1, 1), 0, 5),
            (3, 3, 2, (1, 1), 1, 6),
            (3, 3, 2, (0, 1), 0, 6),
            (3, 3, 2, (-1, 0), 0, 8),
            (1, 3, 1, (2, 2), 0, -1),
            (0, 3, 2, (0, 0), 1, 0),
        ],
    )
    def test_published(
        self, size: int, window: int, stride: int, pads: tuple[int, int], extra: int, expected: int
    ) -> None:
        result = geometry.transposed_output_size(size, window, stride, 1, pads, extra)
        assert result == expected

    @given(SIZES, WINDOWS, STRIDES, DILATIONS, st.booleans())
    def test_same_multiplies_the_size(
        self, size: int, window: int, stride: int, dilation: int, lower: bool
    ) -> None:
        pads, extra = geometry.transposed_same(window, stride, dilation, lower)
        result = geometry.transposed_output_size(size, window, stride, dilation, pads, extra)
        assert result == size * stride
        assert geometry.same_pads(size * stride, window, stride, dilation, lower) == pads

    @given(SIZES, WINDOWS, STRIDES, DILATIONS, st.tuples(st.integers(0, 4), st.integers(0, 4)))
    def test_inverts_the_convolution(
        self, size: int, window: int, stride: int, dilation: int, pads: tuple[int, int]
    ) -> None:
        positions = geometry.output_size(size, window, stride, dilation, pads)
        assume(positions > 0)
        rest = (size + sum(pads) - geometry.effective_window(window, dilation)) % stride
        back = geometry.transposed_output_size(positions, window, stride, dilation, pads, rest)
        assert back == size

    @pytest.mark.framework("torch")
    @given(SIZES, WINDOWS, STRIDES, DILATIONS, st.integers(0, 4), st.integers(0, 4))
    def test_as_torch(
        self, size: int, window: int, stride: int, dilation: int, pad: int, extra: int
    ) -> None:
        import torch

        assume(extra < max(stride, dilation))
        expected = geometry.transposed_output_size(
            size, window, stride, dilation, (pad, pad), extra
        )
        assume(expected > 0)
        x, w = torch.zeros(1, 1, size), torch.zeros(1, 1, window)
        y = torch.nn.functional.conv_transpose1d(x, w, None, stride, pad, extra, 1, dilation)
        assert y.shape[2] == expected
