"""Operators by explicit index, for rules that a plain request cannot say.

A window here is a list of the input elements that it meets: starts may be anywhere, padding may
be left out, ties may be shared. Slower than the oracle and meant for small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance import geometry
from conformance.dtypes import DTYPES, Array
from conformance.request import Conv, Pool

Ints = Sequence[int]


@dataclass(frozen=True)
class Windows:
    """``index`` (positions, elements): flat indices into the spatial axes, -1 outside of them.

    ``padded`` says which elements lie within the padded input; the others are beyond it.
    """

    positions: tuple[int, ...]
    index: Array
    padded: Array

    @property
    def inside(self) -> Array:
        """Which elements are input."""
        return self.index >= 0

    def values(self, x: Array, fill: float) -> Array:
        """What the windows meet, ``(N, C, positions, elements)``."""
        flat = x.reshape(*x.shape[:2], -1)
        if not flat.shape[-1]:
            return np.full((*x.shape[:2], *self.index.shape), fill, x.dtype)
        taken: Array = flat[..., self.index]
        return np.where(self.inside, taken, np.asarray(fill, x.dtype))

    def scatter(self, shares: Array, shape: tuple[int, ...]) -> Array:
        """The adjoint of `values` for an input of ``shape``."""
        dx = np.zeros((math.prod(shape[:2]), math.prod(shape[2:])), shares.dtype)
        for plane, share in zip(dx, shares.reshape(-1, *self.index.shape)):
            np.add.at(plane, self.index[self.inside], share[self.inside])
        return dx.reshape(shape)


def windows(
    request: Conv | Pool, positions: Ints | None = None, after_stride: bool = False
) -> Windows:
    """The windows of a request.

    ``positions`` may differ from the request's; with ``after_stride`` they start where a
    space-to-batch rewrite puts them that strides within each phase: ``t // d * s * d + t % d``.
    """
    counts = tuple(positions or request.output_shape[2:])
    rank = request.rank
    index: Array = np.zeros((1, 1), np.int64)
    inside = padded = np.ones((1, 1), bool)
    for axis in range(rank):
        size, (low, high) = request.spatial[axis], request.padding.pairs[axis]
        stride, dilation = request.stride[axis], request.dilation[axis]
        at = np.arange(counts[axis])
        starts = at // dilation * stride * dilation + at % dilation if after_stride else at * stride
        elements = starts[:, None] - low + np.arange(request.window[axis]) * dilation
        own = (elements >= max(-low, 0)) & (elements < size + min(high, 0))
        reach = (elements >= -low) & (elements < size + high)
        index = _outer(index * size, np.clip(elements, 0, max(size - 1, 0)), np.add)
        inside = _outer(inside, own, np.logical_and)
        padded = _outer(padded, reach, np.logical_and)
    return Windows(counts, np.where(inside, index, -1), padded)


def _outer(one: Array, other: Array, operation: Any) -> Array:
    """Combine (P, K) with (p, k) to (P·p, K·k), the last axis fastest."""
    joined = operation(one[:, None, :, None], other[None, :, None, :])
    shape = one.shape[0] * other.shape[0], one.shape[1] * other.shape[1]
    return np.asarray(joined.reshape(shape))


def every_window(request: Pool) -> tuple[int, ...]:
    """Positions of a ceil mode that keeps windows which start in the padding at the end."""
    return tuple(
        max(-(-(size + sum(pads) - geometry.effective_window(window, dilation)) // stride) + 1, 0)
        for size, pads, window, stride, dilation in zip(
            request.spatial, request.padding.pairs, request.window, request.stride, request.dilation
        )
    )


def correlate(request: Conv, slide: Windows, x: Array, w: Array, skip: bool = False) -> Array:
    """Convolution without bias; with ``skip`` padding takes no part (0 · inf is nothing)."""
    values = slide.values(x, 0)
    groups = request.groups
    n, elements = x.shape[0], slide.index.shape[1]
    values = values.reshape(n, groups, -1, *slide.index.shape)
    kernel = w.reshape(groups, w.shape[0] // groups, -1, elements)
    if skip:
        products = values[:, :, None] * kernel[None, :, :, :, None, :]
        products = np.where(slide.inside, products, 0)
        y = products.sum(axis=(3, 5))
    else:
        y = np.einsum("ngcpk,gock->ngop", values, kernel)
    return np.asarray(y.reshape(n, w.shape[0], *slide.positions))


def correlate_vjp(
    request: Conv, slide: Windows, cotangent: Array, x: Array, w: Array
) -> tuple[Array, Array]:
    """Gradients of `correlate` with respect to x and w."""
    groups = request.groups
    n, elements = x.shape[0], slide.index.shape[1]
    kernel = w.reshape(groups, w.shape[0] // groups, -1, elements)
    dy = cotangent.reshape(n, groups, w.shape[0] // groups, -1)
    shares = np.einsum("ngop,gock->ngcpk", dy, kernel)
    dx = slide.scatter(shares.reshape(n, x.shape[1], *slide.index.shape), x.shape)
    values = slide.values(x, 0).reshape(n, groups, -1, *slide.index.shape)
    dw = np.einsum("ngop,ngcpk->gock", dy, values)
    return dx, dw.reshape(w.shape)


def maximum(request: Pool, slide: Windows, x: Array, fill: float, ignore_nan: bool) -> Array:
    """Maximum of each window; ``fill`` stands for the padding."""
    values = slide.values(x, fill)
    reduce = np.fmax.reduce if ignore_nan else np.maximum.reduce
    return np.asarray(reduce(values, axis=-1)).reshape(*x.shape[:2], *slide.positions)


def maximum_vjp(
    request: Pool, slide: Windows, cotangent: Array, x: Array, ties: str, ignore_nan: bool
) -> Array:
    """Gradient of the maximum; ``ties`` are shared: first, last, split or all."""
    values = slide.values(x, lowest(request))
    reduce = np.fmax.reduce if ignore_nan else np.maximum.reduce
    top = np.asarray(reduce(values, axis=-1))[..., None]
    equal = ((values == top) | (np.isnan(values) & np.isnan(top))) & slide.inside
    shares = equal.astype(np.float64)
    if ties in ("first", "last"):
        step = 1 if ties == "first" else -1
        count = np.cumsum(equal[..., ::step], axis=-1)[..., ::step]
        shares = (equal & (count == 1)).astype(np.float64)
    elif ties == "split":
        shares /= np.maximum(equal.sum(axis=-1, keepdims=True), 1)
    dy = cotangent.reshape(*x.shape[:2], -1, 1)
    return slide.scatter(shares * dy, x.shape)


def counts(request: Pool, slide: Windows, divisor: str) -> Array:
    """Number that each average divides by, ``(positions,)``."""
    if divisor == "window":
        return np.full(slide.index.shape[0], math.prod(request.window))
    chosen = slide.padded if request.count_include_pad else slide.inside
    return np.asarray(chosen.sum(axis=-1))


def average(request: Pool, slide: Windows, x: Array, divisor: str) -> Array:
    """Average of each window."""
    total = slide.values(x, 0).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        result = total / counts(request, slide, divisor)
    return np.asarray(result.reshape(*x.shape[:2], *slide.positions))


def average_vjp(request: Pool, slide: Windows, cotangent: Array, x: Array, divisor: str) -> Array:
    """Gradient of `average`."""
    dy = cotangent.reshape(*x.shape[:2], -1)
    with np.errstate(divide="ignore", invalid="ignore"):
        dy = dy / counts(request, slide, divisor)
    shares = np.broadcast_to(dy[..., None], (*dy.shape, slide.index.shape[1]))
    return slide.scatter(shares, x.shape)


def lowest(request: Pool) -> float:
    """What no element is below: what max pooling pads with."""
    dtype = DTYPES[request.dtype]
    return -np.inf if dtype.floating else int(np.iinfo(dtype.carrier).min)


def lowest_finite(request: Pool) -> float:
    """The least finite number of the dtype."""
    dtype = DTYPES[request.dtype]
    return -dtype.largest if dtype.floating else int(np.iinfo(dtype.carrier).min)
