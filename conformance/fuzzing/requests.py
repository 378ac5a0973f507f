"""Hypothesis strategies for requests that have a meaning, with every option of every operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from conformance import geometry
from conformance.dtypes import DTYPES
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


@dataclass(frozen=True)
class Room:
    """How large requests may be; of what is listed, each item is as likely as it is there often.

    ``sizes`` are the most elements along a spatial axis, by rank; ``channels`` are those of a
    group, ``pads`` the most padding on a side. Where windows are ``fitted``, few are larger than
    the input.
    """

    sizes: Mapping[int, int]
    batches: int
    channels: Sequence[int]
    groups: Sequence[int]
    windows: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: int
    fitted: bool = False


SMALL = Room({1: 9, 2: 6, 3: 4}, 2, (1, 2), (1, 1, 2, 3), (1, 2, 3), (1, 2, 3), (1, 1, 2, 3), 3)
"""What every oracle computes in no time."""

CORNERS = Room(
    {1: 17, 2: 9, 3: 6}, 3, (1, 1, 1, 2, 2, 3, 4, 8, 17), (1, 1, 1, 2, 3, 4, 8),
    (1, 2, 2, 3, 3, 4, 5, 7), (1, 1, 1, 2, 2, 3, 4), (1, 1, 1, 1, 2, 2, 3), 5, fitted=True,
)  # fmt: skip
"""More of everything: channels that kernels work on in blocks, windows that fit nowhere."""


@st.composite
def requests(
    draw: st.DrawFn,
    ops: Sequence[str] = OPS,
    ranks: Sequence[int] = (1, 2, 3),
    dtypes: Sequence[str] = ("float32", "float64", "int32", "int8"),
    empty: bool = True,
    room: Room = SMALL,
) -> Request:
    """Small requests that have a meaning, with every option of the operators in ``ops``.

    With ``empty`` a batch, channel or spatial axis may have no elements. Averages and norms are
    drawn for floating dtypes only.
    """
    op, rank = draw(st.sampled_from(ops)), draw(st.sampled_from(ranks))
    dtype = draw(st.sampled_from(dtypes))
    if op in POOLS and not _computes(op, dtype):
        dtype = "float64"
    least = 0 if empty and draw(st.integers(0, 7)) == 7 else 1
    sizes = st.integers(least, room.sizes[rank])
    channels = st.one_of(st.just(0), *[st.sampled_from(room.channels)] * 3)
    if least:
        channels = st.sampled_from(room.channels)
    per_axis = _PerAxis(draw, rank)
    spatial = per_axis.drawn(sizes)
    batch = draw(st.integers(least, room.batches))
    if op in ADAPTIVE_POOLS:
        positions = per_axis.drawn(st.integers(1, room.sizes[rank]))
        shape = (batch, draw(channels), *(max(size, 1) for size in spatial))
        return adaptive(op, shape, positions if "adaptive" in op else (1,) * rank, dtype)
    window, stride, dilation = (
        per_axis.drawn(st.sampled_from(numbers))
        for numbers in (room.windows, room.strides, room.dilations)
    )
    if room.fitted and draw(st.integers(0, 9)) != 9:
        window = tuple(min(size, max(most, 1)) for size, most in zip(window, spatial))
        axes = zip(window, dilation, spatial)
        dilation = tuple(d if (k - 1) * d < max(n, 1) else 1 for k, d, n in axes)
    if op in POOLS:
        return _pool(
            draw, op, (batch, draw(channels), *spatial), window, stride, dilation, dtype, room.pads
        )
    groups = draw(st.sampled_from(room.groups))
    inputs, outputs = draw(channels), draw(channels)
    shape = (batch, inputs * groups, *spatial)
    bias = draw(st.booleans())
    if op == "conv":
        mode: PaddingMode = draw(st.sampled_from(("zeros", "reflect", "replicate", "circular")))
        padding = draw(
            _paddings(spatial, window, stride, dilation, room.pads, mode=mode, causal=True)
        )
        kernel = (outputs * groups, inputs, *window)
        return Conv(shape, padding, stride, dilation, dtype, kernel, groups, bias)
    transposed, extra = draw(_transposed_paddings(spatial, window, stride, dilation, room.pads))
    kernel = (inputs * groups, outputs, *window)
    sized = transposed.word == "explicit" and draw(st.booleans())
    return ConvTranspose(
        shape, transposed, stride, dilation, dtype, kernel, extra, groups, bias, sized
    )


def adaptive(op: Any, shape: tuple[int, ...], sizes: tuple[int, ...], dtype: str) -> Pool:
    """An adaptive or a global pooling with so many positions on each axis."""
    spatial, none = shape[2:], ((0, 0),) * len(sizes)
    windows = map(geometry.adaptive_windows, spatial, sizes)
    return Pool(
        shape,
        Padding(none),
        tuple(max(n // m, 1) for n, m in zip(spatial, sizes)),
        (1,) * len(sizes),
        dtype,
        tuple(max(end - start for start, end in axis) for axis in windows),
        output_size=sizes,
        op=op,
    )


def _computes(op: str, dtype: str) -> bool:
    """Whether a pooling has a meaning in a dtype: maxima need an order, averages fractions."""
    kind = DTYPES[dtype]
    if "max" in op:
        return not kind.complex
    return kind.floating and ("avg" in op or not kind.complex)


class _PerAxis:
    """Draws one number per spatial axis."""

    def __init__(self, draw: st.DrawFn, rank: int) -> None:
        self.draw, self.rank = draw, rank

    def drawn(self, numbers: st.SearchStrategy[int]) -> tuple[int, ...]:
        return tuple(self.draw(numbers) for _ in range(self.rank))


@st.composite
def _paddings(
    draw: st.DrawFn,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    most: int,
    *,
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
    return Padding(tuple(draw(_pairs(size, most, mode)) for size in spatial), word, mode)


@st.composite
def _pairs(draw: st.DrawFn, size: int, limit: int, mode: PaddingMode) -> Pair:
    most = {
        "zeros": limit,
        "reflect": size - 1,
        "replicate": limit if size else 0,
        "circular": size,
    }
    least = -1 if mode == "zeros" and size > 1 else 0
    sides = st.integers(least, min(max(most[mode], 0), limit))
    return draw(sides), draw(sides)


@st.composite
def _transposed_paddings(
    draw: st.DrawFn,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    most: int,
) -> tuple[Padding, tuple[int, ...]]:
    word: PaddingWord = draw(st.sampled_from(("explicit", "explicit", "same", "same_lower")))
    resolved = []
    for n, k, s, d in zip(spatial, window, stride, dilation):
        if word != "explicit":
            resolved.append(geometry.transposed_same(k, s, d, word == "same_lower"))
            continue
        extra = draw(st.integers(0, max(s, d) - 1))
        room = geometry.transposed_output_size(n, k, s, d, (0, 0), extra)
        low = draw(st.integers(-1, min(room, most)))
        high = draw(st.integers(-1, min(room - low, most)))
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
    most: int,
) -> Pool:
    padding = draw(_paddings(shape[2:], window, stride, dilation, most))
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
