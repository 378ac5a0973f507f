"""Windows that slide over the spatial axes, and the padding that they slide over.

Every map here is linear in its array apart from the fill value, and has its adjoint beside it.
Arrays end in their spatial axes; any axes may come before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance import geometry
from conformance.dtypes import Array
from conformance.geometry import Pair
from conformance.request import PaddingMode

Sizes = tuple[int, ...]
Block = tuple[slice, ...]


@dataclass(frozen=True)
class Sliding:
    """``positions`` of a window, ``stride`` apart, whose elements are ``dilation`` apart."""

    window: Sizes
    stride: Sizes
    dilation: Sizes
    positions: Sizes

    @property
    def extent(self) -> Sizes:
        """Sizes of the part of the axes that the windows reach."""
        return tuple(
            (positions - 1) * stride + geometry.effective_window(window, dilation)
            if positions and window
            else 0
            for window, stride, dilation, positions in zip(
                self.window, self.stride, self.dilation, self.positions
            )
        )

    def element(self, array: Array, index: Sizes, block: Block | None = None) -> Array:
        """View of what the window's element ``index`` meets, at all positions or in a block."""
        chosen = block or tuple(slice(0, positions) for positions in self.positions)
        slices = tuple(
            slice(
                part.start * stride + at * dilation,
                (part.stop - 1) * stride + at * dilation + 1,
                stride,
            )
            if part.stop > part.start
            else slice(0, 0)
            for part, stride, dilation, at in zip(chosen, self.stride, self.dilation, index)
        )
        return _part(array, slices)

    def window_at(self, position: Sizes) -> Block:
        """The part of the axes that the window at one position meets."""
        return tuple(
            slice(at * stride, at * stride + (window - 1) * dilation + 1, dilation)
            for at, stride, window, dilation in zip(
                position, self.stride, self.window, self.dilation
            )
        )

    def windows(self, array: Array) -> Array:
        """Read-only view ``(..., *window, *positions)`` of an array ``(..., *extent or more)``."""
        rank = len(self.window)
        lead, steps = array.ndim - rank, array.strides[array.ndim - rank :]
        return np.lib.stride_tricks.as_strided(
            array,
            (*array.shape[:lead], *self.window, *self.positions),
            (
                *array.strides[:lead],
                *(step * dilation for step, dilation in zip(steps, self.dilation)),
                *(step * stride for step, stride in zip(steps, self.stride)),
            ),
            writeable=False,
        )

    def blocks(self, limit: int) -> Iterator[Block]:
        """Parts of the positions, in order, each of ``limit`` positions at most (and at least 1).

        A block is contiguous in an array of all positions: whole trailing axes, a range of one
        axis, single indices of the leading ones.
        """
        axis, inner = len(self.positions), 1
        while axis > 0 and inner * self.positions[axis - 1] <= limit:
            axis -= 1
            inner *= self.positions[axis]
        whole = tuple(slice(0, positions) for positions in self.positions[axis:])
        if axis == 0:
            yield whole
            return
        size = max(limit // max(inner, 1), 1)
        for lead in np.ndindex(*self.positions[: axis - 1]):
            single = tuple(slice(index, index + 1) for index in lead)
            for start in range(0, self.positions[axis - 1], size):
                part = slice(start, min(start + size, self.positions[axis - 1]))
                yield (*single, part, *whole)


def place(array: Array, offset: Sizes, sizes: Sizes, fill: float = 0) -> Array:
    """The array at an offset in an array of the given spatial sizes, cropped where it sticks out.

    Elements that the array does not reach get ``fill``; where it reaches all of them, the result
    is a view. The adjoint (with a fill of 0) places the result at ``-offset`` in the old sizes.
    """
    old = array.shape[array.ndim - len(sizes) :]
    first = tuple(min(max(at, 0), new) for at, new in zip(offset, sizes))
    last = tuple(
        max(min(at + size, new), start) for at, size, new, start in zip(offset, old, sizes, first)
    )
    source = tuple(slice(a - at, b - at) for a, b, at in zip(first, last, offset))
    if all(a == 0 and b == new for a, b, new in zip(first, last, sizes)):
        return _part(array, (s if s.stop > s.start else slice(0, 0) for s in source))
    lead = array.shape[: array.ndim - len(sizes)]
    result: Array = np.full((*lead, *sizes), fill, array.dtype)
    if all(a < b for a, b in zip(first, last)):
        target = _part(result, (slice(a, b) for a, b in zip(first, last)))
        target[...] = _part(array, source)
    return result


def pad(array: Array, pairs: tuple[Pair, ...], mode: PaddingMode, fill: float = 0) -> Array:
    """The array with its spatial axes padded, or cropped where a side is negative.

    'reflect' does not repeat the edge; 'reflect' and 'circular' go on where a side is longer than
    the axis, as ``numpy.pad`` does.

    Raises:
        ValueError: an empty axis has nothing to reflect, replicate or repeat.
    """
    sizes = array.shape[array.ndim - len(pairs) :]
    if mode == "zeros":
        padded = tuple(max(n + low + high, 0) for n, (low, high) in zip(sizes, pairs))
        return place(array, tuple(low for low, _ in pairs), padded, fill)
    for axis, (size, pair) in enumerate(zip(sizes, pairs), array.ndim - len(pairs)):
        if pair != (0, 0):
            array = np.take(array, _sources(size, pair, mode), axis)
    return array


def pad_adjoint(
    cotangent: Array, sizes: Sizes, pairs: tuple[Pair, ...], mode: PaddingMode
) -> Array:
    """The adjoint of `pad` for an array whose spatial sizes were ``sizes``."""
    if mode == "zeros":
        return place(cotangent, tuple(-low for low, _ in pairs), sizes)
    for axis, (size, pair) in enumerate(zip(sizes, pairs), cotangent.ndim - len(pairs)):
        if pair != (0, 0):
            moved = np.moveaxis(cotangent, axis, 0)
            total = np.zeros((size, *moved.shape[1:]), cotangent.dtype)
            for position, source in enumerate(_sources(size, pair, mode)):
                total[source] += moved[position]
            cotangent = np.moveaxis(total, 0, axis)
    return cotangent


def _part(array: Array, slices: Iterable[slice]) -> Array:
    index: Any = (..., *slices)
    view: Array = array[index]
    return view


def _sources(size: int, pair: Pair, mode: PaddingMode) -> Array:
    """Index of the element that each element of a padded axis copies."""
    positions = np.arange(-pair[0], max(size + pair[1], -pair[0]))
    if not size and positions.size:
        raise ValueError(f"an empty axis cannot be padded in mode {mode!r}")
    if mode == "replicate":
        return np.clip(positions, 0, size - 1)
    if mode == "circular":
        return positions % max(size, 1)
    period = max(2 * (size - 1), 1)
    folded = positions % period
    return np.minimum(folded, period - folded) if size > 1 else folded
