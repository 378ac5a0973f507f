"""What a recipe gives, and the gradients of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .formats import Array
from .recipe import Recipe, moved, moved_back


def forward(recipe: Recipe, *arrays: Array) -> Array:
    """The output."""
    inputs = recipe.ready(arrays)
    with np.errstate(all="ignore"):
        y = _pool(recipe, *inputs) if len(inputs) == 1 else _conv(recipe, *inputs)
        return recipe.finish(moved(recipe.after, y))


def vjp(recipe: Recipe, cotangent: Array, *arrays: Array) -> tuple[Array, ...]:
    """Gradients of x, and of w and b where there are any."""
    x, *others = inputs = recipe.ready(arrays)
    outputs = len(_reads(recipe, x)) if others else x.shape[1]
    shape = (len(x), outputs, *recipe.positions)
    with np.errstate(all="ignore"):
        dy = moved_back(recipe.after, recipe.load(cotangent), shape)
        back = _conv_vjp if others else _pool_vjp
        gradients = back(recipe, dy, *inputs)
        return tuple(
            recipe.finish(
                moved_back([m for to, m in recipe.before if to == name], gradient, array.shape)
            )
            for name, gradient, array in zip(("x", "w", "b"), gradients, arrays)
        )


def _reads(recipe: Recipe, x: Array) -> Array:
    """The input channels that each output channel sums over, ``(O, depth)``."""
    request: Any = recipe.request
    channels, groups, outputs = x.shape[1], recipe.groups, request.out_channels
    if recipe.channels == "tiled":
        return np.tile(np.arange(channels), (outputs, 1))
    depth = channels // groups
    group = np.arange(outputs)[:, None] // max(outputs // groups, 1)
    within = np.arange(depth)
    reads: dict[str, Array] = {
        "grouped": group * depth + within,
        "interleaved": group + within * groups,
        "first": group * 0 + within,
    }
    return reads[recipe.channels]


def _kernels(recipe: Recipe, w: Array, depth: int) -> Array:
    """The kernel as ``(O, depth, *window)``, from its own order."""
    if recipe.op == "conv_transpose":
        parts = w.reshape(recipe.groups, w.shape[0] // recipe.groups, *w.shape[1:])
        w = parts.swapaxes(1, 2).reshape(recipe.groups * w.shape[1], parts.shape[1], *w.shape[2:])
    return w[:, np.arange(depth) % max(w.shape[1], 1)]


def _conv(recipe: Recipe, x: Array, w: Array, b: Array | None = None) -> Array:
    product, step = recipe.numbers.product, recipe.numbers.step
    reads = _reads(recipe, x)
    kernels = _kernels(recipe, w, reads.shape[1])
    y = np.zeros((len(x), len(reads), *recipe.positions), x.dtype)
    for channel, source in enumerate(reads.T):
        for index, at, inside, there in recipe.elements(np.arange(len(x)), source):
            where: Any = (slice(None), channel, *index)
            factor = _per_channel(kernels[where], y)
            value = np.where(inside, x[at], 0) if x.size else 0
            y = step(y + np.where(there, product(value * factor), 0))
    if b is not None:
        y = step(y + recipe.bias * _per_channel(b, y))
    return y


def _conv_vjp(
    recipe: Recipe, dy: Array, x: Array, w: Array, b: Array | None = None
) -> tuple[Array, ...]:
    reads = _reads(recipe, x)
    kernels = _kernels(recipe, w, reads.shape[1])
    dx, shares = np.zeros_like(x), np.zeros_like(kernels)
    for channel, source in enumerate(reads.T):
        for index, at, inside, _ in recipe.elements(np.arange(len(x)), source):
            where: Any = (slice(None), channel, *index)
            if x.size:
                np.add.at(dx, at, np.where(inside, dy * _per_channel(kernels[where], dy), 0))
                seen = np.where(inside, dy * x[at], 0)
                shares[where] = seen.sum(axis=(0, *range(2, dy.ndim)))
    dw = moved_back([lambda kernel: _kernels(recipe, kernel, reads.shape[1])], shares, w.shape)
    if b is None:
        return dx, dw
    return dx, dw, recipe.bias * dy.sum(axis=(0, *range(2, dy.ndim)))


def _per_channel(values: Array, like: Array) -> Array:
    return values.reshape(1, -1, *(1,) * (like.ndim - 2))


def _pool(recipe: Recipe, x: Array) -> Array:
    lead = (np.arange(len(x)), np.arange(x.shape[1]))
    shape = (*x.shape[:2], *recipe.positions)
    if recipe.op == "max_pool_indices":
        return _places(recipe, x)
    if recipe.op == "lp_pool":
        return _norms(recipe, x)[0]
    maximum = "max" in recipe.op
    neutral = recipe.lowest if maximum else 0
    y = np.full(shape, neutral if recipe.start is None else recipe.start, x.dtype)
    for _, at, inside, there in recipe.elements(*lead):
        padding = neutral if recipe.fill is None else recipe.fill
        value = np.where(inside, x[at] if x.size else 0, np.where(there, padding, neutral))
        y = recipe.numbers.greater(y, value) if maximum else recipe.numbers.step(y + value)
    return y.astype(x.dtype) if maximum else recipe.in_dtype(y) / _divisor(recipe)


def _places(recipe: Recipe, x: Array) -> Array:
    """Where the maxima are, by numbers that are laid out as the recipe counts."""
    lead = (np.arange(len(x)), np.arange(x.shape[1]))
    number = np.broadcast_to(_numbered(recipe, x), x.shape)
    shape = (*x.shape[:2], *recipe.positions)
    best, found = np.full(shape, recipe.lowest, x.dtype), np.full(shape, -1)
    for order, (_, at, inside, _) in enumerate(recipe.elements(*lead)):
        if not x.size:
            break
        value = x[at]
        if recipe.numbers.greater is np.fmax:
            value = np.where(np.isnan(value), -np.inf, value)
        nan, had = np.isnan(value), np.isnan(best)
        equal = (value == best) | (nan & had)
        better = inside & ((value > best) | (nan & ~had) | (found < 0))
        if recipe.ties == "last":
            better |= inside & equal
        best = np.where(better, value, best)
        found = np.where(better, order if recipe.index == "window" else number[at], found)
    return found


def _numbered(recipe: Recipe, x: Array) -> Array:
    """The number of each element of the input, of the shape of the input or broadcast to it."""
    batch, channels, *spatial = x.shape
    if recipe.index == "tensor":
        return np.arange(x.size).reshape(x.shape)
    if recipe.index == "image":
        return np.arange(channels * np.prod(spatial, dtype=int)).reshape(x.shape[1:])
    if recipe.index == "channels-last":
        last = np.arange(channels * np.prod(spatial, dtype=int)).reshape(*spatial, channels)
        return np.moveaxis(last, -1, 0)
    if recipe.index == "channels-last-tensor":
        return np.moveaxis(np.arange(x.size).reshape(batch, *spatial, channels), -1, 1)
    if recipe.index == "column-major":
        return np.arange(np.prod(spatial, dtype=int)).reshape(spatial[::-1]).T
    if recipe.index == "padded":
        sides = [(axis.low, axis.high) for axis in recipe.axes]
        sizes = [n + low + high for n, (low, high) in zip(spatial, sides)]
        plane = np.arange(np.prod(sizes, dtype=int)).reshape(sizes)
        grown = np.pad(plane, [(max(-low, 0), max(-high, 0)) for low, high in sides])
        inner = (slice(max(low, 0), max(low, 0) + n) for n, (low, _) in zip(spatial, sides))
        return grown[tuple(inner)]
    return np.arange(np.prod(spatial, dtype=int)).reshape(spatial)


def _norms(recipe: Recipe, x: Array) -> tuple[Array, list[Array]]:
    """Norms, and how they change with each element of their window."""
    request: Any = recipe.request
    p, signed = request.norm, recipe.powers != "absolute"
    lead = (np.arange(len(x)), np.arange(x.shape[1]))
    nothing = np.zeros((*x.shape[:2], *recipe.positions))
    values = [
        np.where(inside, x[at], 0) if x.size else nothing
        for _, at, inside, _ in recipe.elements(*lead)
    ]
    powers = [recipe.in_dtype(v**p if signed else np.abs(v) ** p) for v in values]
    factor = np.ones(recipe.positions)
    if recipe.scaled:
        whole = np.prod([axis.window for axis in recipe.axes])
        factor = whole / _divisor(replace(recipe, divisor="padded"))
    total = recipe.in_dtype(sum(powers) * factor)
    slopes = [
        p * factor * (v ** (p - 1) if signed else np.sign(v) * np.abs(v) ** (p - 1)) for v in values
    ]
    slopes = [slope if signed else np.where(v == 0, 0, slope) for slope, v in zip(slopes, values)]
    if not recipe.root:
        return total, slopes
    outer = np.abs(total) if recipe.powers == "signed-root" else total
    y = outer ** (1 / p)
    rate = np.where(total == 0, 0, outer ** (1 / p - 1) / p)
    if recipe.powers == "signed-root":
        y = np.copysign(y, total)
    return y, [slope * rate for slope in slopes]


def _pool_vjp(recipe: Recipe, dy: Array, x: Array) -> tuple[Array]:
    lead = (np.arange(len(x)), np.arange(x.shape[1]))
    elements = [(at, inside, there) for _, at, inside, there in recipe.elements(*lead)]
    dx = np.zeros_like(x)
    if not x.size:
        return (dx,)
    shares = [dy / _divisor(recipe)] * len(elements)
    if recipe.op == "lp_pool":
        shares = [dy * slope for slope in _norms(recipe, x)[1]]
    if "max" in recipe.op:
        values = np.array([
            np.where(inside, x[at], -np.inf if recipe.fill is None else recipe.fill)
            for at, inside, _ in elements
        ])  # fmt: skip
        data = [inside if recipe.fill is None else there for _, inside, there in elements]
        shares = list(dy * _winners(recipe, values, np.broadcast_to(
            np.array(data)[:, None, None], values.shape
        )))  # fmt: skip
    for (at, inside, _), share in zip(elements, shares):
        np.add.at(dx, at, np.where(inside, share, 0))
    return (dx,)


def _winners(recipe: Recipe, values: Array, data: Array) -> Array:
    """How much of a window's gradient each of its elements gets; the elements come first."""
    values = np.where(data, values, -np.inf)
    unseen = np.isnan(values) & (not recipe.nan_takes_gradient)
    best = np.where(unseen, -np.inf, values).max(axis=0)
    equal = data & ~unseen & ((values == best) | (np.isnan(values) & np.isnan(best)))
    if recipe.ties == "all":
        return np.asarray(equal, float)
    if recipe.ties == "split":
        return np.asarray(equal / np.maximum(equal.sum(axis=0), 1))
    if recipe.ties == "last":
        return _first(equal[::-1])[::-1]
    return _first(equal)


def _first(equal: Array) -> Array:
    return np.asarray(equal & (equal.cumsum(axis=0) == 1), float)


def _divisor(recipe: Recipe) -> Array:
    """The number of elements that each window averages, or the number given."""
    request: Any = recipe.request
    if recipe.divisor == "given":
        return np.full(recipe.positions, request.divisor)
    counts = np.zeros(recipe.positions, int)
    for _, _, inside, there in recipe.elements((), ()):
        counts += {"padded": there, "inside": inside, "window": True}[recipe.divisor]
    return counts
