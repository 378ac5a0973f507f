"""Convolution and pooling as textbooks write them: one loop step per output element.

Sums are taken in float64, or in int64 for integers, and rounded or wrapped to the input's dtype
at the end. Arrays are ``(batch, channels, *spatial)``; every function works for any number of
spatial axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def wide(a: NDArray[Any]) -> NDArray[Any]:
    """The array in the dtype that sums are taken in."""
    return a.astype({"f": np.float64, "c": np.complex128}.get(a.dtype.kind, np.int64))


def padded(
    x: NDArray[Any], padding: tuple[tuple[int, int], ...], mode: Any = "constant", value: float = 0
) -> NDArray[Any]:
    """The array padded as ``np.pad`` does; sides with a negative number are cropped."""
    grow = [(0, 0), (0, 0), *((max(low, 0), max(high, 0)) for low, high in padding)]
    fill: dict[str, Any] = {"constant_values": value} if mode == "constant" else {}
    x = np.pad(x, grow, mode, **fill)
    sides = [(max(-low, 0), min(high, 0)) for low, high in padding]
    keep = [slice(first, size + last) for size, (first, last) in zip(x.shape[2:], sides)]
    return x[(slice(None), slice(None), *keep)]


def unpadded(
    dx: NDArray[Any],
    shape: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    mode: str = "constant",
) -> NDArray[Any]:
    """Gradient of an array of the given shape from that of its padded version."""
    number = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    source = padded(number, padding, mode, -1)
    total = np.zeros(number.size, dx.dtype)
    np.add.at(total, source[source >= 0], dx[source >= 0])
    return total.reshape(shape)


def covered(
    position: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[slice, ...]:
    """Slices of the elements that the window at a position covers."""
    return tuple(
        slice(p * s, p * s + (k - 1) * d + 1, d)
        for p, k, s, d in zip(position, window, stride, dilation)
    )


def conv(
    x: NDArray[Any],
    w: NDArray[Any],
    b: NDArray[Any] | None = None,
    *,
    padding: tuple[tuple[int, int], ...],
    mode: str,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> NDArray[Any]:
    """Cross-correlation with a kernel ``(out_channels, channels / groups, *window)``."""
    image, kernel = padded(wide(x), padding, mode), wide(w)
    out_channels, depth, *window = w.shape
    sizes = [
        max((n - (k - 1) * d - 1) // s + 1, 0)
        for n, k, s, d in zip(image.shape[2:], window, stride, dilation)
    ]
    y = np.zeros((len(x), out_channels, *sizes), np.result_type(image, kernel))
    for n, o, *position in np.ndindex(*y.shape):
        first = o // (out_channels // groups) * depth
        where = covered(tuple(position), tuple(window), stride, dilation)
        seen = image[(n, slice(first, first + depth), *where)]
        y[(n, o, *position)] = (seen * kernel[o]).sum()
    if b is not None:
        y += wide(b).reshape(-1, *(1 for _ in sizes))
    return y.astype(np.result_type(x, w))


def conv_vjp(
    dy: NDArray[Any],
    x: NDArray[Any],
    w: NDArray[Any],
    b: NDArray[Any] | None = None,
    *,
    padding: tuple[tuple[int, int], ...],
    mode: str,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> tuple[NDArray[Any], ...]:
    """Gradients of `conv`: each output element hands its share to what it was made of."""
    image, kernel, dy = padded(wide(x), padding, mode), wide(w), wide(dy)
    out_channels, depth, *window = w.shape
    dx, dw = np.zeros_like(image), np.zeros_like(kernel)
    for n, o, *position in np.ndindex(*dy.shape):
        first = o // (out_channels // groups) * depth
        where = covered(tuple(position), tuple(window), stride, dilation)
        dx[(n, slice(first, first + depth), *where)] += dy[(n, o, *position)] * kernel[o]
        dw[o] += dy[(n, o, *position)] * image[(n, slice(first, first + depth), *where)]
    dx = unpadded(dx, x.shape, padding, mode)
    db = () if b is None else (dy.sum(axis=(0, *range(2, dy.ndim))),)
    dtypes = x.dtype, w.dtype, dy.dtype if b is None else b.dtype
    return tuple(gradient.astype(own) for gradient, own in zip((dx, dw, *db), dtypes))


def conv_transpose(
    x: NDArray[Any],
    w: NDArray[Any],
    b: NDArray[Any] | None = None,
    *,
    padding: tuple[tuple[int, int], ...],
    output_padding: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> NDArray[Any]:
    """Each input element stamps the kernel, ``(channels, out_channels / groups, *window)``."""
    image, kernel = wide(x), wide(w)
    channels, depth, *window = w.shape
    sizes = [
        (n - 1) * s + (k - 1) * d + 1 if n else 0
        for n, k, s, d in zip(x.shape[2:], window, stride, dilation)
    ]
    y = np.zeros((len(x), depth * groups, *sizes), np.result_type(image, kernel))
    for n, c, *position in np.ndindex(*x.shape):
        first = c // (channels // groups) * depth
        where = covered(tuple(position), tuple(window), stride, dilation)
        y[(n, slice(first, first + depth), *where)] += image[(n, c, *position)] * kernel[c]
    y = padded(y, trimming(x, padding, output_padding))
    if b is not None:
        y = y + wide(b).reshape(-1, *(1 for _ in sizes))
    return y.astype(np.result_type(x, w))


def conv_transpose_vjp(
    dy: NDArray[Any],
    x: NDArray[Any],
    w: NDArray[Any],
    b: NDArray[Any] | None = None,
    *,
    padding: tuple[tuple[int, int], ...],
    output_padding: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> tuple[NDArray[Any], ...]:
    """Gradients of `conv_transpose`: each input element meets what it was stamped on."""
    image, kernel, dy = wide(x), wide(w), wide(dy)
    channels, depth, *window = w.shape
    trim = trimming(x, padding, output_padding)
    sizes = [size - low - high for size, (low, high) in zip(dy.shape[2:], trim)]
    full = unpadded(dy, (len(x), depth * groups, *sizes), trim)
    dx, dw = np.zeros_like(image), np.zeros_like(kernel)
    for n, c, *position in np.ndindex(*x.shape):
        first = c // (channels // groups) * depth
        where = covered(tuple(position), tuple(window), stride, dilation)
        stamped = full[(n, slice(first, first + depth), *where)]
        dx[(n, c, *position)] = (stamped * kernel[c]).sum()
        dw[c] += image[(n, c, *position)] * stamped
    db = () if b is None else (dy.sum(axis=(0, *range(2, dy.ndim))),)
    dtypes = x.dtype, w.dtype, dy.dtype if b is None else b.dtype
    return tuple(gradient.astype(own) for gradient, own in zip((dx, dw, *db), dtypes))


def trimming(
    x: NDArray[Any], padding: tuple[tuple[int, int], ...], output_padding: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """What is added around the stamped canvas, negative where it is cut off."""
    return tuple(
        (-low, more - high) if size else (0, 0)
        for size, (low, high), more in zip(x.shape[2:], padding, output_padding)
    )


def pooled(
    size: int,
    window: int,
    stride: int,
    dilation: int,
    padding: tuple[int, int],
    ceil_mode: bool,
) -> list[tuple[list[int], int]]:
    """Per position along one axis: the input elements in its window, and how many with padding."""
    low, high = padding
    room = size + low + high - (window - 1) * dilation - 1
    count = room // stride + 1
    if ceil_mode:
        count = (room + stride - 1) // stride + 1
        if (count - 1) * stride >= size + low:
            count -= 1
    result = []
    for position in range(count):
        start = position * stride - low
        elements = [start + k * dilation for k in range(window)]
        inside = [element for element in elements if 0 <= element < size]
        result.append((inside, sum(element < size + high for element in elements)))
    return result


def shared(size: int, positions: int) -> list[tuple[list[int], int]]:
    """As `pooled` for an adaptive pooling: windows that share the elements among positions."""
    bounds = [(i * size // positions, -(-(i + 1) * size // positions)) for i in range(positions)]
    return [(list(range(start, end)), end - start) for start, end in bounds]


def inner(
    x: NDArray[Any], padding: tuple[tuple[int, int], ...], padding_value: float | None
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """The padding that is part of the data (by hand, or cropping), and the pooling's own."""
    if padding_value is not None:
        return padding, tuple((0, 0) for _ in padding)
    crop = tuple((min(low, 0), min(high, 0)) for low, high in padding)
    return crop, tuple((max(low, 0), max(high, 0)) for low, high in padding)


def pool(
    x: NDArray[Any],
    *,
    kind: str,
    window: tuple[int, ...] = (),
    stride: tuple[int, ...] = (),
    padding: tuple[tuple[int, int], ...] = (),
    dilation: tuple[int, ...] = (),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    padding_value: float | None = None,
    divisor: int | None = None,
    norm: float = 2.0,
    output_size: tuple[int, ...] = (),
) -> NDArray[Any]:
    """Maximum, its index, average or norm over a window that is clipped to the input."""
    data, own = inner(x, padding, padding_value)
    image = padded(x, data, "constant", padding_value or 0)
    axes = [
        pooled(n, k, s, d, pair, ceil_mode)
        for n, k, s, d, pair in zip(image.shape[2:], window, stride, dilation, own)
    ] or [shared(n, m) for n, m in zip(x.shape[2:], output_size)]
    number = None
    if kind == "indices":
        number = np.arange(np.prod(x.shape[2:], dtype=int)).reshape(x.shape[2:])
    image = wide(image)
    lowest = np.iinfo(x.dtype).min if x.dtype.kind in "iu" else -np.inf
    y = np.zeros((*x.shape[:2], *map(len, axes)), image.dtype)
    for n, c, *position in np.ndindex(*y.shape):
        spots = [axis[p] for axis, p in zip(axes, position)]
        where = np.ix_(*(inside for inside, _ in spots))
        seen = image[n, c][where]
        if kind == "max":
            value = seen.max() if seen.size else lowest
        elif number is not None:
            value = padded(number[None, None], data)[0, 0][where].flat[seen.argmax()]
        elif kind == "lp":
            value = (np.abs(seen) ** norm).sum() ** (1 / norm)
        else:
            count = np.prod([spot for _, spot in spots]) if count_include_pad else seen.size
            count = divisor or count
            value = seen.sum() / count if count else np.nan
        y[(n, c, *position)] = value
    return y.astype(np.int64 if kind == "indices" else x.dtype)


def pool_vjp(
    dy: NDArray[Any],
    x: NDArray[Any],
    *,
    kind: str,
    window: tuple[int, ...] = (),
    stride: tuple[int, ...] = (),
    padding: tuple[tuple[int, int], ...] = (),
    dilation: tuple[int, ...] = (),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    padding_value: float | None = None,
    divisor: int | None = None,
    norm: float = 2.0,
    output_size: tuple[int, ...] = (),
) -> tuple[NDArray[Any], ...]:
    """Gradient of `pool`: to the first maximum (or the first NaN), or in equal shares.

    The gradient of a norm of zero is zero.
    """
    data, own = inner(x, padding, padding_value)
    image = padded(x, data, "constant", padding_value or 0)
    axes = [
        pooled(n, k, s, d, pair, ceil_mode)
        for n, k, s, d, pair in zip(image.shape[2:], window, stride, dilation, own)
    ] or [shared(n, m) for n, m in zip(x.shape[2:], output_size)]
    image, dy = wide(image), wide(dy)
    dx = np.zeros_like(image)
    for n, c, *position in np.ndindex(*dy.shape):
        spots = [axis[p] for axis, p in zip(axes, position)]
        where = np.ix_(*(inside for inside, _ in spots))
        seen, share = image[n, c][where], dy[(n, c, *position)]
        if not seen.size:
            continue
        if kind == "max":
            at = np.unravel_index(seen.argmax(), seen.shape)
            target = tuple(inside[i] for (inside, _), i in zip(spots, at))
            dx[(n, c, *target)] += share
        elif kind == "lp":
            size = (np.abs(seen) ** norm).sum() ** (1 / norm)
            if size:
                ratio = np.where(seen == 0, 0, np.abs(seen) / size) ** (norm - 1)
                dx[n, c][where] += share * np.sign(seen) * ratio
        else:
            count = np.prod([spot for _, spot in spots]) if count_include_pad else seen.size
            dx[n, c][where] += share / (divisor or count)
    return (unpadded(dx, x.shape, data).astype(x.dtype),)
