"""Requests written in short, for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance import geometry
from conformance.dtypes import Array
from conformance.request import Conv, ConvTranspose, Padding, PaddingMode, Pool


def conv(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    pads: Any = 0,
    stride: Any = 1,
    dilation: int = 1,
    *,
    groups: int = 1,
    mode: PaddingMode = "zeros",
    dtype: str = "float64",
    bias: bool = False,
) -> Conv:
    """A convolution; numbers hold for every axis, a pair of numbers for its two sides."""
    rank = len(shape) - 2
    padding = Padding(pairs(pads, rank), mode=mode)
    strides = (stride,) * rank if isinstance(stride, int) else stride
    return Conv(shape, padding, strides, (dilation,) * rank, dtype, kernel, groups, bias)


def transposed(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    pads: Any = 0,
    stride: int = 1,
    extra: int = 0,
    *,
    groups: int = 1,
) -> ConvTranspose:
    """A transposed convolution, as `conv`."""
    rank = len(shape) - 2
    return ConvTranspose(
        shape,
        Padding(pairs(pads, rank)),
        (stride,) * rank,
        (1,) * rank,
        "float64",
        kernel,
        (extra,) * rank,
        groups,
    )


def pool(
    op: Any,
    shape: tuple[int, ...],
    window: Any,
    stride: Any = 1,
    pads: Any = 0,
    *,
    dtype: str = "float64",
    **options: Any,
) -> Pool:
    """A pooling, as `conv`."""
    rank = len(shape) - 2
    window, stride = ((v,) * rank if isinstance(v, int) else v for v in (window, stride))
    padding = Padding(pairs(pads, rank))
    return Pool(shape, padding, stride, (1,) * rank, dtype, window, op=op, **options)


def adaptive(op: Any, shape: tuple[int, ...], sizes: Any = 1, *, dtype: str = "float64") -> Pool:
    """An adaptive or a global pooling, as `conv`."""
    rank, spatial = len(shape) - 2, shape[2:]
    sizes = (sizes,) * rank if isinstance(sizes, int) else sizes
    windows = map(geometry.adaptive_windows, spatial, sizes)
    return Pool(
        shape,
        Padding(((0, 0),) * rank),
        tuple(max(n // m, 1) for n, m in zip(spatial, sizes)),
        (1,) * rank,
        dtype,
        tuple(max(end - start for start, end in axis) for axis in windows),
        output_size=tuple(sizes),
        op=op,
    )


def pairs(pads: Any, rank: int) -> tuple[tuple[int, int], ...]:
    if isinstance(pads, int):
        return ((pads, pads),) * rank
    return tuple((side, side) if isinstance(side, int) else side for side in pads)


def planes(values: Any) -> Array:
    """One image with one channel."""
    return np.asarray(values, np.float64)[None, None]
