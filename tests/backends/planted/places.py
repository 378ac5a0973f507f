"""Wrong semantics that put elements elsewhere: of kernels, groups, inputs and results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial, reduce

import numpy as np

from .changes import CONVS, Change, altered, each, only, reversed_axes
from .formats import Array
from .recipe import Move, Recipe

Along = Callable[[Array, int], Array]


def moving(target: str, move: Move) -> Change:
    """The change that moves elements of an input, or of the result 'y'."""

    def variants(r: Recipe) -> Iterator[Recipe]:
        if target == "y":
            yield replace(r, after=(*r.after, move))
        else:
            yield replace(r, before=(*r.before, (target, move)))

    return variants


def spatially(target: str, move: Along) -> Change:
    """A move along all spatial axes in turn, and along each alone."""

    def variants(r: Recipe) -> Iterator[Recipe]:
        axes = range(2, 2 + len(r.axes))
        moves = [partial(_along, axis=axis, move=move) for axis in axes]
        everywhere = partial(reduce, lambda array, one: one(array), moves)
        for one in [everywhere, *moves] if len(moves) > 1 else moves:
            yield from moving(target, one)(r)

    return variants


def alone(target: str, *moves: Along) -> Change:
    """Each move along each spatial axis."""

    def variants(r: Recipe) -> Iterator[Recipe]:
        for move in moves:
            for axis in range(2, 2 + len(r.axes)):
                yield from moving(target, partial(_along, axis=axis, move=move))(r)

    return variants


def _along(array: Array, axis: int, move: Along) -> Array:
    return move(array, axis)


def rolled(by: int) -> Along:
    return lambda array, axis: np.roll(array, by, axis)


def shifted(by: int) -> Along:
    """Moved by one; nothing comes in."""

    def move(array: Array, axis: int) -> Array:
        result = np.moveaxis(np.roll(array, by, axis), axis, 0)
        (result[:1] if by > 0 else result[-1:])[...] = 0
        return np.moveaxis(result, 0, axis)

    return move


def without(*rows: int) -> Along:
    return lambda array, axis: np.delete(array, [r for r in rows if array.shape[axis]], axis)


def spatial_transpose(array: Array) -> Array:
    return array.transpose(0, 1, *reversed(range(2, array.ndim)))


def channels_last(array: Array) -> Array:
    return np.moveaxis(array, 1, -1)


def reread(array: Array) -> Array:
    """The bytes of the array with its channels last, under the shape that it has now."""
    return channels_last(array).reshape(array.shape)


def misread(array: Array) -> Array:
    """The array's bytes, read as if its channels were last."""
    batch, channels, *spatial = array.shape
    return np.moveaxis(array.reshape(batch, *spatial, channels), -1, 1)


def swapped_kernel(r: Recipe) -> Iterator[Recipe]:
    """The two channel axes of each group's kernel exchanged."""

    def move(w: Array) -> Array:
        parts = w.reshape(r.groups, w.shape[1], w.shape[0] // r.groups, *w.shape[2:])
        return parts.swapaxes(1, 2).reshape(w.shape)

    yield from moving("w", move)(r)


def interleaved(r: Recipe) -> Iterator[Recipe]:
    """The inputs of the groups, their outputs, or both."""
    if r.groups > 1:
        inputs = replace(r, channels="interleaved")
        yield inputs
        yield from outputs_interleaved(r)
        yield from outputs_interleaved(inputs)


def outputs_interleaved(r: Recipe) -> Iterator[Recipe]:
    def move(y: Array) -> Array:
        parts = y.reshape(len(y), r.groups, -1, *y.shape[2:])
        return parts.swapaxes(1, 2).reshape(y.shape)

    yield from moving("y", move)(r)


def multiplier_order(r: Recipe) -> Iterator[Recipe]:
    if r.groups == r.request.channels > 1:
        yield from outputs_interleaved(r)


def kernel_transposed(r: Recipe) -> Iterator[Recipe]:
    for turned in reversed_axes("window")(r):
        yield from moving("w", spatial_transpose)(turned)


def grouped(r: Recipe) -> bool:
    return r.groups > 1


PLACES: dict[str, Change] = {
    "kernel-flipped": only(spatially("w", np.flip), *CONVS),
    "kernel-transposed": only(kernel_transposed, *CONVS),
    "kernel-channels-swapped": only(swapped_kernel, *CONVS),
    "groups-interleaved": only(interleaved, *CONVS),
    "groups-ignored": only(
        each(altered(grouped, channels="tiled"), altered(grouped, channels="first")), *CONVS
    ),
    "depthwise-multiplier-order": only(multiplier_order, *CONVS),
    "result-shifted": alone("y", shifted(1), shifted(-1), rolled(1), rolled(-1)),
    "result-cropped": alone("y", without(-1), without(0), without(0, -1)),
    "result-transposed": moving("y", spatial_transpose),
    "result-layout": each(moving("y", reread), moving("y", channels_last)),
    "input-layout": moving("x", misread),
    "all-zero": moving("y", np.zeros_like),
}
