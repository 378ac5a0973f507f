"""Laws of convolution: what it is a sum, a concatenation or a product of.

Sources: the operator's definition; Dive into Deep Learning, chapters 7.2 to 7.4, for 1×1 and for
grouped convolutions; Chollet, "Xception" (arXiv:1610.02357), for separable ones.
"""

from __future__ import annotations

import math

import numpy as np

from conformance.dtypes import Array
from conformance.laws.steps import (
    Ask,
    Steps,
    ask,
    each,
    explicit,
    no_padding,
    on_axes,
    require,
    require_real,
)
from conformance.oracle.sliding import Sliding, pad
from conformance.request import Conv

OUTPUTS = 3
"""Output channels of a separable convolution's second part."""


def pointwise_is_dense(r: Conv, x: Array, *weights: Array) -> Steps:
    """A 1×1 convolution is a dense layer: each pixel an example of its own, without neighbours."""
    require(max(r.window) == 1, "kernel", "this law is about 1×1 kernels; use one")
    require(r.padding.none, "padding", "a padded pixel is none of the input's; remove it")
    own = yield ask(r, x, *weights)
    pixels = x[on_axes(*(slice(None, None, step) for step in r.stride))]
    positions, channels = pixels.shape[2:], pixels.shape[1]
    rows = np.moveaxis(pixels, 1, -1).reshape(-1, channels, *(1,) * r.rank)
    dense = yield ask(r, rows, *weights, stride=(1,) * r.rank, dilation=(1,) * r.rank)
    result = dense.reshape(len(x), *positions, r.out_channels)
    return own, np.moveaxis(result, -1, 1)


def sum_over_window(r: Conv, x: Array, w: Array, *bias: Array) -> Steps:
    """A convolution is the sum of one 1×1 convolution for each element of its window."""
    require(
        math.prod(r.window) > 1,
        "kernel",
        "a 1×1 kernel is the only term; use a larger one",
    )
    own = yield ask(r, x, w, *bias)
    padded = pad(x, r.padding.pairs, r.padding.mode)
    sliding = Sliding(r.window, r.stride, r.dilation, r.output_shape[2:])
    once = {"padding": no_padding(r.rank), "stride": (1,) * r.rank, "dilation": (1,) * r.rank}
    total = np.zeros(r.output_shape, x.dtype)
    for index in np.ndindex(*r.window):
        element = w[on_axes(*(slice(at, at + 1) for at in index))]
        # The bias is added with the first term.
        rest = () if any(index) else bias
        total = total + (yield ask(r, sliding.element(padded, index), element, *rest, **once))
    return own, total


def grouped_is_concatenation(r: Conv, x: Array, *weights: Array) -> Steps:
    """A block of output channels sees a block of input channels, and no other."""
    require(r.groups > 1, "groups", "one group is the convolution itself; use more")
    own = yield ask(r, x, *weights)
    blocks = zip(np.split(x, r.groups, axis=1), *(np.split(array, r.groups) for array in weights))
    parts = yield from each(ask(r, *block, groups=1) for block in blocks)
    return own, np.concatenate(parts, axis=1)


def grouped_is_block_diagonal(r: Conv, x: Array, w: Array, *bias: Array) -> Steps:
    """Groups are zeros in the kernel between channels of different groups."""
    require(r.groups > 1, "groups", "one group is the convolution itself; use more")
    own = yield ask(r, x, w, *bias)
    outputs, inputs = r.out_channels // r.groups, r.channels // r.groups
    kernel = np.zeros((r.out_channels, r.channels, *r.window), w.dtype)
    for group in range(r.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        kernel[rows, group * inputs : (group + 1) * inputs] = w[rows]
    dense = yield ask(r, x, kernel, *bias, groups=1)
    return own, dense


def depthwise_is_channel_by_channel(r: Conv, x: Array, *weights: Array) -> Steps:
    """Each kernel of a depthwise convolution alone: one channel in, one channel out."""
    require(r.depthwise, "groups", f"{r.groups} groups of {r.channels} channels; use one each")
    own = yield ask(r, x, *weights)
    channels = np.repeat(np.arange(r.channels), r.out_channels // r.channels)
    parts = yield from each(
        ask(r, x[:, [channel]], *(array[[at]] for array in weights), groups=1)
        for at, channel in enumerate(channels)
    )
    return own, np.concatenate(parts, axis=1)


def separable_is_one_convolution(r: Conv, x: Array, w: Array, *bias: Array) -> Steps:
    """Depthwise and then 1×1 is one dense convolution; the 1×1 kernel is the law's own."""
    require(r.depthwise, "groups", f"{r.groups} groups of {r.channels} channels; use one each")
    require(not bias, "bias", "this law has none; remove it")
    random = np.random.default_rng(0)
    mixing = random.integers(0, 2, (OUTPUTS, r.out_channels), endpoint=True).astype(x.dtype)
    depthwise = yield ask(r, x, w)
    once = {"padding": no_padding(r.rank), "stride": (1,) * r.rank, "dilation": (1,) * r.rank}
    pointwise = mixing.reshape(*mixing.shape, *(1,) * r.rank)
    separable = yield ask(r, depthwise, pointwise, groups=1, **once)
    weighted = pointwise * w[:, 0]
    multiplier = r.out_channels // r.channels
    kernel = weighted.reshape(OUTPUTS, r.channels, multiplier, *r.window).sum(axis=2)
    dense = yield ask(r, x, kernel, groups=1)
    return separable, dense


def kernel_gradient_is_convolution(r: Conv, x: Array, *weights: Array) -> Steps:
    """The kernel's gradient convolves the input with the cotangent, batch and channels exchanged.

    Stride and dilation change places. The cotangent is the law's own.
    """
    require_real(r)
    require(r.groups == 1, "groups", "this law is about one group; remove it")
    random = np.random.default_rng(0)
    dy = random.integers(0, 2, r.output_shape, endpoint=True).astype(x.dtype)
    own = yield Ask(r, (x, *weights), dy, "w")
    exchanged = {"stride": r.dilation, "dilation": r.stride, "padding": explicit(r.padding)}
    result = yield ask(r, x.swapaxes(0, 1), dy.swapaxes(0, 1), **exchanged)
    # Where the stride leaves a rest of the input, there are more positions than kernel elements.
    inside = result[on_axes(*(slice(0, size) for size in r.window))]
    return own, inside.swapaxes(0, 1)
