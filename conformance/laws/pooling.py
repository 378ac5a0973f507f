"""Laws of pooling.

Sources: the operators' definitions; Serra, "Image Analysis and Mathematical Morphology", 1982, for
the maximum over a window as a dilation: it distributes over maxima and takes axes one by one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from conformance.dtypes import DTYPES, Array
from conformance.laws.steps import Ask, Steps, ask, on_axes, require
from conformance.request import Conv, Padding, Pool, PoolOp

RANGE = 64
"""How far inputs are lowered: their remainders and these are integers in any floating dtype."""


def channels_are_independent(r: Pool, x: Array) -> Steps:
    """Channels never mix: each may as well be an example."""
    require(r.channels > 1, "input", "there is one channel only; use more")
    own = yield ask(r, x)
    alone = yield ask(r, x.reshape(-1, 1, *r.spatial))
    return own, alone.reshape(own.shape)


def average_is_depthwise_convolution(r: Pool, x: Array) -> Steps:
    """An average is a depthwise convolution with a constant kernel, one over its size."""
    require(not r.ceil_mode, "ceil_mode", "a window that overhangs has no such kernel; remove it")
    counted = r.count_include_pad or r.padding.none or r.divisor is not None
    require(counted, "count_include_pad", "windows in the padding have another size; count it")
    own = yield ask(r, x)
    kernel = np.full((r.channels, 1, *r.window), 1 / (r.divisor or math.prod(r.window)))
    words: dict[str, Any] = {
        "padding": r.padding,
        "stride": r.stride,
        "dilation": r.dilation,
        "dtype": r.dtype,
    }
    depthwise = Conv(r.input_shape, **words, kernel_shape=kernel.shape, groups=r.channels)
    convolved = yield Ask(depthwise, (x, kernel))
    return own, convolved


def pooling_is_separable(r: Pool, x: Array) -> Steps:
    """Along one axis after the other: the greatest of the greatest, the average of the averages."""
    require(r.rank > 1, "input", "there is one axis only; use two or three")
    require(r.divisor is None, "divisor", "each axis would divide by it; remove it")
    own = yield ask(r, x)
    result = x
    for axis in range(r.rank):
        changes: dict[str, Any] = {}
        for name in ("window", "stride", "dilation"):
            values = [1] * r.rank
            values[axis] = getattr(r, name)[axis]
            changes[name] = tuple(values)
        pairs = [(0, 0)] * r.rank
        pairs[axis] = r.padding.pairs[axis]
        result = yield ask(r, result, padding=Padding(tuple(pairs)), **changes)
    return own, result


def pooling_is_idempotent(r: Pool, x: Array) -> Steps:
    """Windows side by side, each filled with its own result, pool to that result."""
    plain = r.stride == r.window and max(r.dilation) == 1
    require(plain, "stride", "this law is about windows side by side: the stride is the window")
    require(r.padding.none, "padding", "this law is about windows inside the input; remove it")
    require(not r.ceil_mode, "ceil_mode", "this law is about windows that fit; remove it")
    require(r.divisor is None, "divisor", "this law is about the window's own size; remove it")
    own = yield ask(r, x)
    repeated = own
    for axis, size in enumerate(r.window, 2):
        repeated = np.repeat(repeated, size, axis)
    again = yield ask(r, repeated)
    return own, again


def max_pool_shifts_with_input(r: Pool, x: Array) -> Steps:
    """A constant added to the input is added to the maximum: padding is lower than anything.

    Inputs are their remainders, 0 to 63, on one side and negative on the other.
    """
    require(DTYPES[r.dtype].floating, "dtype", "the lowest integer cannot be lowered; use a float")
    levels = np.rint(x) % RANGE
    own = yield ask(r, levels)
    lowered = yield ask(r, levels - RANGE)
    return own, lowered + RANGE


def max_pool_is_monotone(r: Pool, x: Array) -> Steps:
    """A greater input has a greater result: pooling distributes over the maximum of two inputs.

    The other input is the same, mirrored.
    """
    turned = x[on_axes(*(slice(None, None, -1),) * r.rank)]
    own = yield ask(r, np.maximum(x, turned))
    one = yield ask(r, x)
    other = yield ask(r, turned)
    return own, np.maximum(one, other)


def indices_point_to_maxima(r: Pool, x: Array) -> Steps:
    """The maxima are the elements of the input that the indices count to.

    What is no index of the channel counts to its first element.
    """
    own = yield ask(r, x, op="max_pool")
    indices = yield ask(r, x)
    channels = x.reshape(*x.shape[:2], -1)
    size = channels.shape[2]
    valid = np.where((indices >= 0) & (indices < size), indices, 0).astype(np.int64)
    flat = valid.reshape(*x.shape[:2], -1)
    return own, np.take_along_axis(channels, flat, axis=2).reshape(own.shape)


def adaptive_is_windows(r: Pool, x: Array) -> Steps:
    """Where the positions divide the axis, they share it evenly: windows of one size side by side.

    A global pooling has one window.
    """
    assert r.output_size is not None
    even = not any(size % positions for size, positions in zip(r.spatial, r.output_size))
    require(even, "output_size", "it does not divide the input's size; windows differ")
    own = yield ask(r, x)
    sizes = tuple(size // positions for size, positions in zip(r.spatial, r.output_size))
    op: PoolOp = "max_pool" if r.kind == "max" else "avg_pool"
    plain = yield ask(r, x, op=op, output_size=None, window=sizes, stride=sizes)
    return own, plain
