"""Windows by explicit index, for rules that a plain request cannot say.

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
from conformance.dtypes import Array
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
    request: Conv | Pool,
    positions: Ints | None = None,
    after_stride: bool = False,
    shares: str = "",
) -> Windows:
    """The windows of a request.

    ``positions`` may differ from the request's; with ``after_stride`` they start where a
    space-to-batch rewrite puts them that strides within each phase: ``t // d * s * d + t % d``.
    ``shares`` says how an adaptive pooling's windows depart: fixed, floor, ceil.

    Raises:
        ValueError: there are no such windows.
    """
    adaptive = isinstance(request, Pool) and request.output_size is not None
    if adaptive and (positions or after_stride):
        raise ValueError("adaptive windows have no stride")
    counts = tuple(positions or request.output_shape[2:])
    index: Array = np.zeros((1, 1), np.int64)
    inside = padded = np.ones((1, 1), bool)
    for axis, size in enumerate(request.spatial):
        if adaptive:
            elements, own = _shared(size, counts[axis], shares)
            reach = own
        else:
            elements, own, reach = _slid(request, axis, counts[axis], after_stride)
        index = _outer(index * size, np.clip(elements, 0, max(size - 1, 0)), np.add)
        inside = _outer(inside, own, np.logical_and)
        padded = _outer(padded, reach, np.logical_and)
    return Windows(counts, np.where(inside, index, -1), padded)


def _slid(
    request: Conv | Pool, axis: int, count: int, after_stride: bool
) -> tuple[Array, Array, Array]:
    """Elements along an axis (positions × window), which are input, and which padded input."""
    size, (low, high) = request.spatial[axis], request.padding.pairs[axis]
    stride, dilation = request.stride[axis], request.dilation[axis]
    at = np.arange(count)
    starts = at // dilation * stride * dilation + at % dilation if after_stride else at * stride
    elements = starts[:, None] - low + np.arange(request.window[axis]) * dilation
    own = (elements >= max(-low, 0)) & (elements < size + min(high, 0))
    reach = (elements >= -low) & (elements < size + high)
    return elements, own, reach


def _shared(size: int, count: int, how: str) -> tuple[Array, Array]:
    """Elements along an axis that ``count`` positions share, and which are in the window."""
    at = np.arange(count + 1) * size
    first, last = at[:-1] // count, -(-at[1:] // count)
    if how == "fixed":
        stride = size // count
        if not stride:
            raise ValueError("more positions than elements have no stride")
        first = np.arange(count) * stride
        last = first + size - (count - 1) * stride
    elif how == "floor":
        last = at[1:] // count
    elif how == "ceil":
        first = -(-at[:-1] // count)
    elements = first[:, None] + np.arange(max((last - first).max(), 0))
    return elements, elements < last[:, None]


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
