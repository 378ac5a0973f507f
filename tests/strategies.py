"""Hypothesis strategies for valid requests, and data for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from conformance import geometry
from conformance.data import integer_range
from conformance.dtypes import DTYPES, Array, cast
from conformance.geometry import Pair
from conformance.request import (
    ADAPTIVE_POOLS,
    OPS,
    POOLS,
    Conv,
    ConvTranspose,
    Padding,
    PaddingMode,
    PaddingWord,
    Pool,
    Request,
)
from tests.builders import adaptive

LARGEST_SIZE = {1: 9, 2: 6, 3: 4}


@st.composite
def requests(
    draw: st.DrawFn,
    ops: Sequence[str] = OPS,
    ranks: Sequence[int] = (1, 2, 3),
    dtypes: Sequence[str] = ("float32", "float64", "int32", "int8"),
    empty: bool = True,
) -> Request:
    """Small requests that have a meaning, with every option of the operators in ``ops``.

    With ``empty`` a batch, channel or spatial axis may have no elements. Averages and norms are
    drawn for floating dtypes only.
    """
    op, rank = draw(st.sampled_from(ops)), draw(st.sampled_from(ranks))
    dtype = draw(st.sampled_from(dtypes))
    if op in POOLS and "max" not in op and not DTYPES[dtype].floating:
        dtype = "float64"
    least = 0 if empty and draw(st.integers(0, 5)) == 0 else 1
    per_axis = _PerAxis(draw, rank)
    spatial = per_axis.integers(least, LARGEST_SIZE[rank])
    window, stride, dilation = per_axis.integers(1, 3), per_axis.integers(1, 3), per_axis.few()
    batch = draw(st.integers(least, 2))
    if op in POOLS:
        shape = (batch, draw(st.integers(least, 2)), *spatial)
        if op in ADAPTIVE_POOLS:
            shape = (*shape[:2], *(max(size, 1) for size in spatial))
            sizes = per_axis.integers(1, LARGEST_SIZE[rank]) if "adaptive" in op else 1
            return adaptive(op, shape, sizes, dtype=dtype)
        return _pool(draw, op, shape, window, stride, dilation, dtype)
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    inputs, outputs = draw(st.integers(least, 2)), draw(st.integers(least, 2))
    shape = (batch, inputs * groups, *spatial)
    bias = draw(st.booleans())
    if op == "conv":
        mode: PaddingMode = draw(st.sampled_from(("zeros", "reflect", "replicate", "circular")))
        padding = draw(_paddings(spatial, window, stride, dilation, mode, causal=True))
        kernel = (outputs * groups, inputs, *window)
        return Conv(shape, padding, stride, dilation, dtype, kernel, groups, bias)
    transposed, extra = draw(_transposed_paddings(spatial, window, stride, dilation))
    kernel = (inputs * groups, outputs, *window)
    sized = transposed.word == "explicit" and draw(st.booleans())
    return ConvTranspose(
        shape, transposed, stride, dilation, dtype, kernel, extra, groups, bias, sized
    )


def integer_data(request: Request, seed: int = 0) -> tuple[Array, ...]:
    """The request's inputs x, w, b in canonical order: integers whose sums are exact.

    Where the dtype is too narrow for that, integers from -1 (0 for unsigned dtypes) to 1.
    """
    shapes: list[tuple[int, ...]] = [request.input_shape]
    if not isinstance(request, Pool):
        shapes.append(request.kernel_shape)
        if request.bias:
            shapes.append((request.out_channels,))
    random = np.random.default_rng(seed)
    return tuple(_integers(random, request, shape) for shape in shapes)


def integer_cotangent(request: Request, seed: int = 0) -> Array:
    """A cotangent of the request's output, as `integer_data`."""
    return _integers(np.random.default_rng(seed + 1_000_000), request, request.output_shape)


def real_data(request: Request, seed: int = 0) -> tuple[Array, ...]:
    """The request's inputs, normally distributed."""
    random = np.random.default_rng(seed)
    return tuple(
        cast(random.normal(size=array.shape), DTYPES[request.dtype])
        for array in integer_data(request, seed)
    )


def _integers(random: np.random.Generator, request: Request, shape: tuple[int, ...]) -> Array:
    dtype = DTYPES[request.dtype]
    high = integer_range(request, dtype)
    low = 0 if dtype.name.startswith("uint") else -high
    return random.integers(low, high, shape, endpoint=True).astype(dtype.carrier)


class _PerAxis:
    """Draws one number per spatial axis."""

    def __init__(self, draw: st.DrawFn, rank: int) -> None:
        self.draw, self.rank = draw, rank

    def integers(self, least: int, most: int) -> tuple[int, ...]:
        return tuple(self.draw(st.integers(least, most)) for _ in range(self.rank))

    def few(self) -> tuple[int, ...]:
        return tuple(self.draw(st.sampled_from((1, 1, 2, 3))) for _ in range(self.rank))


@st.composite
def _paddings(
    draw: st.DrawFn,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    mode: PaddingMode = "zeros",
    causal: bool = False,
) -> Padding:
    words: tuple[PaddingWord, ...] = ("explicit", "explicit", "valid", "same", "same_lower")
    if causal:
        words = (*words, "causal")
    word = draw(st.sampled_from(words)) if mode == "zeros" else "explicit"
    if word == "causal":
        spans = map(geometry.effective_window, window, dilation)
        return Padding(tuple((span - 1, 0) for span in spans), word, mode)
    if word == "valid":
        return Padding(((0, 0),) * len(spatial), word, mode)
    if word in ("same", "same_lower"):
        axes = zip(spatial, window, stride, dilation)
        pairs = (geometry.same_pads(*axis, word == "same_lower") for axis in axes)
        return Padding(tuple(pairs), word, mode)
    return Padding(tuple(draw(_pairs(size, mode)) for size in spatial), word, mode)


@st.composite
def _pairs(draw: st.DrawFn, size: int, mode: PaddingMode) -> Pair:
    most = {"zeros": 3, "reflect": size - 1, "replicate": 3 if size else 0, "circular": size}
    sides = st.integers(-1 if mode == "zeros" and size > 1 else 0, min(max(most[mode], 0), 3))
    return draw(sides), draw(sides)


@st.composite
def _transposed_paddings(
    draw: st.DrawFn,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Padding, tuple[int, ...]]:
    word: PaddingWord = draw(st.sampled_from(("explicit", "explicit", "same", "same_lower")))
    resolved = []
    for n, k, s, d in zip(spatial, window, stride, dilation):
        if word != "explicit":
            resolved.append(geometry.transposed_same(k, s, d, word == "same_lower"))
            continue
        extra = draw(st.integers(0, max(s, d) - 1))
        room = geometry.transposed_output_size(n, k, s, d, (0, 0), extra)
        low = draw(st.integers(-1, min(room, 3)))
        high = draw(st.integers(-1, min(room - low, 3)))
        resolved.append(((low, high), extra))
    pairs, extras = zip(*resolved)
    if any(
        geometry.transposed_output_size(n, k, s, d, pair, extra) < 0
        for n, k, s, d, (pair, extra) in zip(spatial, window, stride, dilation, resolved)
    ):
        pairs, word = ((0, 0),) * len(spatial), "explicit"
    return Padding(pairs, word), extras


def _pool(
    draw: st.DrawFn,
    op: Any,
    shape: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    dtype: str,
) -> Pool:
    padding = draw(_paddings(shape[2:], window, stride, dilation))
    fits = all(
        geometry.effective_window(k, d) <= size + sum(pair)
        for k, d, size, pair in zip(window, dilation, shape[2:], padding.pairs)
    )
    by_hand = op in ("max_pool", "avg_pool") and draw(st.integers(0, 3)) == 0
    if op == "max_pool_indices" and not _met(shape[2:], window, stride, dilation, padding):
        padding, fits = Padding(((0, 0),) * len(window), "valid"), False
    return Pool(
        shape,
        padding,
        stride,
        dilation,
        dtype,
        window,
        ceil_mode=fits and draw(st.booleans()),
        count_include_pad=op != "avg_pool" or draw(st.booleans()),
        padding_value=draw(st.sampled_from((0.0, 1.0, 3.0))) if by_hand else None,
        divisor=draw(st.sampled_from((None, None, 1, 3, 4))) if op == "avg_pool" else None,
        norm=draw(st.sampled_from((1.0, 1.5, 2.0, 2.0, 3.0))) if op == "lp_pool" else 2.0,
        op=op,
    )


def _met(
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Padding,
) -> bool:
    """Whether each window, those of ceil mode too, meets an element of the input."""
    for n, k, s, d, (low, high) in zip(spatial, window, stride, dilation, padding.pairs):
        inside = range(max(-low, 0), n + min(high, 0))
        fits = n + low + high > (k - 1) * d
        count = max(
            geometry.output_size(n, k, s, d, (low, high), ceil_mode) for ceil_mode in (False, fits)
        )
        starts = range(-low, count * s - low, s)
        if not all(any(at + e * d in inside for e in range(k)) for at in starts):
            return False
    return True
