"""Pooling over windows by explicit index, under rules that a plain request cannot say."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from conformance.dtypes import DTYPES, Array, cast
from conformance.explanation.windows import Windows, windows
from conformance.request import Padding, Pool


@dataclass(frozen=True)
class Rules:
    """Departures of a pooling; each is empty or False where there is none.

    ``ties`` says who of equal maxima gets the gradient (last, split, all) or is named (last),
    ``lowest_finite`` and ``starts_finite`` that maxima pad with, or start from, such a number,
    ``index`` what indices count, ``divisor`` what averages divide by, ``powers`` whether the
    powers of a norm are signed, ``root`` whether a norm's root is left out, and ``scaled``
    whether norms of what a window meets are scaled up to the whole of it, and ``in_range``
    whether powers and their sums are kept within the range of the request's dtype.
    """

    ties: str = ""
    ignore_nan: bool = False
    lowest_finite: bool = False
    starts_finite: bool = False
    index: str = ""
    divisor: str = ""
    powers: str = ""
    no_root: bool = False
    scaled: bool = False
    in_range: bool = False


def pool(request: Pool, slide: Windows, x: Array, rules: Rules) -> Array:
    """The reduction of each window, ``(N, C, *positions)``."""
    if request.indices:
        result = _places(request, slide, x, rules)
    elif request.kind == "max":
        fill = lowest_finite(request) if rules.lowest_finite else lowest(request)
        result = _largest(slide.values(x, fill), rules)
        if rules.starts_finite:
            result = np.fmax(result, lowest_finite(request))
    elif request.kind == "avg":
        total = slide.values(x, 0).sum(axis=-1)
        if rules.in_range:
            total = _kept(total, request)
        result = total / _counts(request, slide, rules)
    else:
        result = _norms(request, slide, x, rules)[0]
    return np.asarray(result).reshape(*x.shape[:2], *slide.positions)


def pool_vjp(request: Pool, slide: Windows, cotangent: Array, x: Array, rules: Rules) -> Array:
    """Gradient of `pool`.

    Raises:
        ValueError: places have none.
    """
    if request.indices:
        raise ValueError("the index of a maximum has no gradient")
    dy = cotangent.reshape(*x.shape[:2], -1)
    if request.kind == "max":
        shares = _shares_of_maximum(request, slide, x, rules) * dy[..., None]
    elif request.kind == "avg":
        each = dy / _counts(request, slide, rules)
        shares = np.broadcast_to(each[..., None], (*each.shape, slide.index.shape[1]))
    else:
        shares = _norms(request, slide, x, rules)[1] * dy[..., None]
    return slide.scatter(shares, x.shape)


def lowest(request: Pool) -> float:
    """What no element is below: what max pooling pads with."""
    dtype = DTYPES[request.dtype]
    return -np.inf if dtype.floating else int(np.iinfo(dtype.carrier).min)


def lowest_finite(request: Pool) -> float:
    """The least finite number of the dtype."""
    dtype = DTYPES[request.dtype]
    return -dtype.largest if dtype.floating else int(np.iinfo(dtype.carrier).min)


def _largest(values: Array, rules: Rules) -> Array:
    reduce = np.fmax.reduce if rules.ignore_nan else np.maximum.reduce
    if not values.shape[-1]:
        raise ValueError("a maximum of nothing")
    return np.asarray(reduce(values, axis=-1))


def _equal(request: Pool, slide: Windows, x: Array, rules: Rules) -> Array:
    """Which elements of each window are its maximum."""
    values = slide.values(x, lowest(request))
    top = _largest(values, rules)[..., None]
    equal: Array = ((values == top) | (np.isnan(values) & np.isnan(top))) & slide.inside
    return equal


def _shares_of_maximum(request: Pool, slide: Windows, x: Array, rules: Rules) -> Array:
    equal = _equal(request, slide, x, rules)
    if rules.ties == "all":
        return np.asarray(equal, np.float64)
    if rules.ties == "split":
        return np.asarray(equal / np.maximum(equal.sum(axis=-1, keepdims=True), 1))
    step = -1 if rules.ties == "last" else 1
    count = np.cumsum(equal[..., ::step], axis=-1)[..., ::step]
    return np.asarray(equal & (count == 1), np.float64)


def _places(request: Pool, slide: Windows, x: Array, rules: Rules) -> Array:
    equal = _equal(request, slide, x, rules)
    if rules.ties == "last":
        within: Array = equal.shape[-1] - 1 - equal[..., ::-1].argmax(axis=-1)
    else:
        within = equal.argmax(axis=-1)
    if rules.index == "window":
        return within
    own = slide
    if rules.index == "padded":
        pairs = request.padding.pairs
        sizes = (size + low + high for size, (low, high) in zip(request.spatial, pairs))
        plane = dataclasses.replace(
            request,
            input_shape=(*request.input_shape[:2], *sizes),
            padding=Padding(((0, 0),) * request.rank),
        )
        own = windows(plane, slide.positions)
    index = np.broadcast_to(own.index, equal.shape)
    found = np.take_along_axis(index, within[..., None], axis=-1)
    return _renumbered(found[..., 0], request, rules.index)


def _renumbered(places: Array, request: Pool, how: str) -> Array:
    """Places within channels as places in another layout."""
    batch, channels = request.input_shape[:2]
    size = math.prod(request.spatial)
    image, channel = np.arange(batch)[:, None, None], np.arange(channels)[:, None]
    if how == "tensor":
        return (image * channels + channel) * size + places
    if how == "image":
        return channel * size + places
    if how == "channels-last":
        return places * channels + channel
    if how == "channels-last-tensor":
        return (image * size + places) * channels + channel
    if how == "column-major" and size:
        coordinates = np.unravel_index(places, request.spatial)
        return np.asarray(np.ravel_multi_index(coordinates[::-1], request.spatial[::-1]))
    return places


def _counts(request: Pool, slide: Windows, rules: Rules) -> Array:
    """Number that each average divides by, ``(positions,)``."""
    if rules.divisor == "window":
        return np.full(slide.index.shape[0], math.prod(request.window))
    if request.divisor is not None and not rules.divisor:
        return np.full(slide.index.shape[0], request.divisor)
    padded = rules.divisor == "padded" if rules.divisor else request.count_include_pad
    return np.asarray((slide.padded if padded else slide.inside).sum(axis=-1))


def _kept(values: Array, request: Pool) -> Array:
    """The values, where they are beyond the range of the request's dtype as infinity or zero."""
    dtype = DTYPES[request.dtype]
    stored = cast(values, dtype).astype(dtype.wide)
    return np.where(np.isinf(stored) | (stored == 0), stored, values)


def _norms(request: Pool, slide: Windows, x: Array, rules: Rules) -> tuple[Array, Array]:
    """The norm of each window, and the derivative of it with respect to each element."""
    p, values = request.norm, slide.values(x, 0)
    if rules.powers:
        powers, slopes = values**p, p * values ** (p - 1)
    else:
        powers = np.abs(values) ** p
        slopes = np.where(values == 0, 0, p * np.sign(values) * np.abs(values) ** (p - 1))
    factor = np.ones(slide.index.shape[0])
    if rules.scaled:
        factor = math.prod(request.window) / slide.padded.sum(axis=-1)
    if rules.in_range:
        powers = _kept(powers, request)
    total = powers.sum(axis=-1) * factor
    if rules.in_range:
        total = _kept(total, request)
    if rules.no_root:
        return total, slopes * factor[:, None]
    size = np.abs(total) if rules.powers == "signed-root" else total
    root = size ** (1 / p)
    outer = np.where(total == 0, 0, size ** (1 / p - 1) / p)
    if rules.powers == "signed-root":
        root = np.sign(total) * root
    return root, slopes * (factor * outer)[..., None]
