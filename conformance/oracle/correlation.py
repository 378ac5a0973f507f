"""Convolution and transposed convolution, from one correlation and its two adjoints.

The three primitives gather windows into a matrix (im2col) block by block and leave the sums to
``numpy.matmul``, which is BLAS for float64 and wraps for int64. Padding is part of the data: a
padded zero is multiplied like any other element.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.dtypes import Array
from conformance.oracle.sliding import Block, Sizes, Sliding, pad, pad_adjoint, place
from conformance.request import Conv, ConvTranspose

BUFFER_BYTES = 4 * 2**20
"""Most that the matrix of gathered windows takes, unless one window alone is larger."""


def conv(request: Conv, x: Array, w: Array, b: Array | None) -> Array:
    """Cross-correlation ``(N, O, *positions)`` of ``(N, C, *spatial)``, plus the bias."""
    padded = pad(x, request.padding.pairs, request.padding.mode)
    return _biased(_correlate(padded, _read(request, w), _sliding(request), request.groups), b)


def conv_vjp(
    request: Conv, cotangent: Array, x: Array, w: Array, b: Array | None
) -> tuple[Array, ...]:
    """Gradients of `conv` with respect to its arrays."""
    pairs, mode = request.padding.pairs, request.padding.mode
    padded = pad(x, pairs, mode)
    sliding = _sliding(request)
    dx = _scatter(cotangent, _read(request, w), sliding, request.groups, padded.shape[2:])
    dw = _read(request, _kernel_gradient(cotangent, padded, sliding, request.groups))
    return _gradients(pad_adjoint(dx, x.shape[2:], pairs, mode), dw, cotangent, b)


def conv_transpose(request: ConvTranspose, x: Array, w: Array, b: Array | None) -> Array:
    """The adjoint of a convolution, cropped by the pads and extended by the output padding.

    Raises:
        ValueError: the padding crops more than there is.
    """
    sliding = _transposed_sliding(request)
    full = _scatter(x, w, sliding, request.groups, sliding.extent)
    return _biased(place(full, _crop(request), request.output_shape[2:]), b)


def conv_transpose_vjp(
    request: ConvTranspose, cotangent: Array, x: Array, w: Array, b: Array | None
) -> tuple[Array, ...]:
    """Gradients of `conv_transpose` with respect to its arrays."""
    sliding = _transposed_sliding(request)
    full = place(cotangent, tuple(-at for at in _crop(request)), sliding.extent)
    dx = _correlate(full, w, sliding, request.groups)
    dw = _kernel_gradient(x, full, sliding, request.groups)
    return _gradients(dx, dw, cotangent, b)


def _read(request: Conv, w: Array) -> Array:
    """The kernel in the order in which windows meet it; its own inverse."""
    return np.flip(w, tuple(range(2, w.ndim))) if request.flipped else w


def _sliding(request: Conv) -> Sliding:
    return Sliding(request.window, request.stride, request.dilation, request.output_shape[2:])


def _transposed_sliding(request: ConvTranspose) -> Sliding:
    if min(request.output_shape) < 0:
        raise ValueError(f"the padding crops more than there is: {request.output_shape}")
    return Sliding(request.window, request.stride, request.dilation, request.spatial)


def _crop(request: ConvTranspose) -> Sizes:
    return tuple(-low for low, _ in request.padding.pairs)


def _biased(y: Array, b: Array | None) -> Array:
    return y if b is None else y + b.reshape(-1, *(1,) * (y.ndim - 2))


def _gradients(dx: Array, dw: Array, cotangent: Array, b: Array | None) -> tuple[Array, ...]:
    if b is None:
        return dx, dw
    return dx, dw, cotangent.sum(axis=(0, *range(2, cotangent.ndim)), dtype=cotangent.dtype)


def _correlate(x: Array, w: Array, sliding: Sliding, groups: int) -> Array:
    """``(N, O, *positions)`` of an input ``(N, C, *extent or more)``, a kernel ``(O, C/g, *k)``."""
    out_channels = w.shape[0]
    kernel = w.reshape(groups, out_channels // groups, math.prod(w.shape[1:]))
    y: Array = np.empty((x.shape[0], out_channels, *sliding.positions), x.dtype)
    for image, result in zip(x, y):
        for block in _blocks(x, sliding):
            columns = _columns(image, sliding, block, groups)
            np.matmul(kernel, columns, out=_matrix(result, block, groups))
    return y


def _scatter(cotangent: Array, w: Array, sliding: Sliding, groups: int, sizes: Sizes) -> Array:
    """The adjoint of `_correlate` with respect to an input of the given spatial sizes."""
    out_channels, channels = w.shape[0], w.shape[1] * groups
    kernel = w.reshape(groups, out_channels // groups, math.prod(w.shape[1:])).swapaxes(1, 2)
    dx: Array = np.zeros((cotangent.shape[0], channels, *sizes), cotangent.dtype)
    for image, result in zip(dx, cotangent):
        for block in _blocks(dx, sliding):
            columns = np.matmul(kernel, _matrix(result, block, groups))
            lengths = tuple(part.stop - part.start for part in block)
            columns = columns.reshape(channels, *sliding.window, *lengths)
            for index in np.ndindex(*sliding.window):
                target = sliding.element(image, index, block)
                target += columns[(slice(None), *index)]
    return dx


def _kernel_gradient(cotangent: Array, x: Array, sliding: Sliding, groups: int) -> Array:
    """The adjoint of `_correlate` with respect to the kernel."""
    out_channels, channels = cotangent.shape[1], x.shape[1] // groups
    depth = channels * math.prod(sliding.window)
    total: Array = np.zeros((groups, out_channels // groups, depth), x.dtype)
    for image, result in zip(x, cotangent):
        for block in _blocks(x, sliding):
            columns = _columns(image, sliding, block, groups)
            total += np.matmul(_matrix(result, block, groups), columns.swapaxes(1, 2))
    return total.reshape(out_channels, channels, *sliding.window)


def _blocks(x: Array, sliding: Sliding) -> Iterator[Block]:
    window = x.shape[1] * math.prod(sliding.window) * x.itemsize
    return sliding.blocks(BUFFER_BYTES // max(window, 1))


def _columns(image: Array, sliding: Sliding, block: Block, groups: int) -> Array:
    """The windows of ``(C, *spatial)`` in a block as columns: ``(groups, C/g * k, positions)``.

    Where the window is one element and the stride 1, the columns are a view.
    """
    index: Any = (..., *block)
    windows = sliding.windows(image)[index]
    depth = image.shape[0] // groups * math.prod(sliding.window)
    positions = math.prod(windows.shape[1 + len(sliding.window) :])
    columns: Array = windows.reshape(groups, depth, positions)
    return columns


def _matrix(result: Array, block: Block, groups: int) -> Array:
    """View ``(groups, O/g, positions)`` of a block of ``(O, *positions)``."""
    part = result[(slice(None), *block)]
    return part.reshape(groups, part.shape[0] // groups, math.prod(part.shape[1:]))
