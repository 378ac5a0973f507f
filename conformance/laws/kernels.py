"""Laws of kernels: linearity, bias and dilation, and what a transposed convolution is made of.

Sources: the operators' definitions; Dumoulin & Visin, "A guide to convolution arithmetic for deep
learning" (arXiv:1603.07285), chapter 4, for transposed convolution.
"""

from __future__ import annotations

import numpy as np

from conformance.dtypes import Array
from conformance.geometry import effective_window
from conformance.laws.steps import Ask, Steps, ask, on_axes, require, require_real
from conformance.request import Conv, ConvTranspose, Padding, Pool


def linear_in_input(r: Conv | ConvTranspose | Pool, x: Array, *weights: Array) -> Steps:
    """The results of two inputs add up to that of their sum; each has every other element."""
    own = yield ask(r, x, *weights)
    first, second = _halves(x)
    one = yield ask(r, first, *weights)
    # The bias is added with the first part.
    other = yield ask(r, second, *weights[:1])
    return own, one + other


def linear_in_kernel(r: Conv | ConvTranspose, x: Array, w: Array, *bias: Array) -> Steps:
    """The results of two kernels add up to that of their sum; each has every other element."""
    own = yield ask(r, x, w, *bias)
    first, second = _halves(w)
    one = yield ask(r, x, first, *bias)
    other = yield ask(r, x, second)
    return own, one + other


def bias_is_added(r: Conv | ConvTranspose, x: Array, w: Array, *bias: Array) -> Steps:
    """The bias is one number per output channel, added everywhere."""
    require(bool(bias), "bias", "this law is about one; write 'bias: true'")
    own = yield ask(r, x, w, *bias)
    plain = yield ask(r, x, w)
    return own, plain + bias[0].reshape(-1, *(1,) * r.rank)


def dilation_is_zeros_in_kernel(r: Conv | ConvTranspose, x: Array, w: Array, *bias: Array) -> Steps:
    """A dilated kernel is a larger one with zeros between its elements."""
    dilated = any(d > 1 < k for k, d in zip(r.window, r.dilation))
    require(dilated, "dilation", "without it there are no zeros; give one")
    own = yield ask(r, x, w, *bias)
    spread = yield ask(r, x, _spread(w, r.dilation), *bias, dilation=(1,) * r.rank)
    return own, spread


def transposed_is_vjp(r: ConvTranspose, x: Array, w: Array, *bias: Array) -> Steps:
    """A transposed convolution is the gradient of a convolution's input.

    The kernel is the convolution's own, the input its cotangent.
    """
    require_real(r)
    require(not bias, "bias", "a gradient has none; remove it")
    fits = all(extra < stride for extra, stride in zip(r.output_padding, r.stride))
    require(fits, "output_padding", "at least the stride, it is no rest that a convolution drops")
    own = yield ask(r, x, w)
    padding = Padding(r.padding.pairs)
    shape = r.output_shape
    forward = Conv(shape, padding, r.stride, r.dilation, r.dtype, r.kernel_shape, r.groups)
    gradient = yield Ask(forward, (np.zeros(shape, x.dtype), w), x, "x")
    return own, gradient


def transposed_is_convolution(r: ConvTranspose, x: Array, w: Array, *bias: Array) -> Steps:
    """A transposed convolution is one of stride 1, the input spread and the kernel flipped."""
    own = yield ask(r, x, w, *bias)
    spread = _spread(x, r.stride)
    split = w.reshape(r.groups, r.channels // r.groups, *w.shape[1:]).swapaxes(1, 2)
    merged = split.reshape(r.out_channels, r.channels // r.groups, *r.window)
    kernel = merged[on_axes(*(slice(None, None, -1),) * r.rank)]
    reach = [effective_window(k, d) - 1 for k, d in zip(r.window, r.dilation)]
    ends = zip(reach, r.padding.pairs, r.output_padding)
    padding = Padding(tuple((most - low, most - high + more) for most, (low, high), more in ends))
    steps, shape = (1,) * r.rank, kernel.shape
    whole = Conv(spread.shape, padding, steps, r.dilation, r.dtype, shape, r.groups, r.bias)
    result = yield Ask(whole, (spread, kernel, *bias))
    return own, result


def _halves(array: Array) -> tuple[Array, Array]:
    """Two arrays whose sum is the array: each has every other element, and zeros."""
    even = np.arange(array.size).reshape(array.shape) % 2 == 0
    return np.where(even, array, 0), np.where(even, 0, array)


def _spread(array: Array, steps: tuple[int, ...]) -> Array:
    """The array with its elements ``steps`` apart on the spatial axes, and zeros between them."""
    sizes = ((size - 1) * step + 1 for size, step in zip(array.shape[2:], steps))
    result = np.zeros((*array.shape[:2], *sizes), array.dtype)
    result[on_axes(*(slice(None, None, step) for step in steps))] = array
    return result
