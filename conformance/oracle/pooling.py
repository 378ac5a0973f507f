"""Maximum and average pooling, one pass over the input per element of the window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from conformance.dtypes import DTYPES, Array, cast
from conformance.geometry import Pair
from conformance.oracle import contention
from conformance.oracle.sliding import Sizes, Sliding, pad, pad_adjoint, place
from conformance.request import Pool


def pool(request: Pool, x: Array) -> Array:
    """Maximum or average of each window, ``(N, C, *positions)``.

    Raises:
        ValueError: the average of an integer dtype, which has no agreed meaning.
    """
    plan = _plan(request)
    x = pad(x, plan.before, "zeros", plan.fill)
    if request.kind == "max":
        return _maximum(_reached(x, plan, _lowest(request)), plan.sliding)
    reached = _reached(x, plan, 0)
    total = np.zeros((*x.shape[:2], *plan.sliding.positions), x.dtype)
    for index in np.ndindex(*request.window):
        total += plan.sliding.element(reached, index)
    with np.errstate(divide="ignore", invalid="ignore"):
        average: Array = total / _divisor(request, plan, x.shape[2:])
    return average


def indices(request: Pool, x: Array) -> Array:
    """Where each window's first maximum (first NaN) is: row-major in the channel, int64."""
    plan = _plan(request)
    number = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])
    crop = pad(number, plan.before, "zeros", 0)
    x = pad(x, plan.before, "zeros", plan.fill)
    reached, sliding = _reached(x, plan, _lowest(request)), plan.sliding
    where = _reached(crop, plan, -1)
    best = np.full((*x.shape[:2], *sliding.positions), _lowest(request), x.dtype)
    result = np.full(best.shape, -1, np.int64)
    for index in np.ndindex(*request.window):
        value, place = sliding.element(reached, index), sliding.element(where, index)
        better = (value > best) | (np.isnan(value) & ~np.isnan(best)) | (result < 0)
        better &= place >= 0
        best = np.where(better, value, best)
        result = np.where(better, place, result)
    return result


def pool_vjp(request: Pool, cotangent: Array, x: Array) -> Array:
    """Gradient of `pool` with respect to its input.

    The operator's own padding never takes a share: a maximum goes to the first greatest element
    of the input (the first NaN where there is one). What was padded by hand is data, and its
    share is lost.

    Raises:
        ValueError: as in `pool`.
    """
    if request.indices:
        raise ValueError("the index of a maximum has no gradient")
    plan = _plan(request)
    sizes = x.shape[2:]
    x = pad(x, plan.before, "zeros", plan.fill)
    if request.kind == "max":
        inside = _reached(np.ones(x.shape[2:], bool), plan, 0)
        dx = _maximum_vjp(cotangent, _reached(x, plan, _lowest(request)), inside, plan.sliding)
    else:
        dx = np.zeros((*x.shape[:2], *plan.sliding.extent), cotangent.dtype)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = cotangent / _divisor(request, plan, x.shape[2:])
        for index in np.ndindex(*request.window):
            target = plan.sliding.element(dx, index)
            target += share
    dx = place(dx, tuple(-low for low, _ in plan.own), x.shape[2:])
    return pad_adjoint(dx, sizes, plan.before, "zeros")


def pool_contended_vjp(
    request: Pool, sure: Array, contended: Array, x: Array, error: Array
) -> Array:
    """As `pool_vjp` of a maximum, of numbers that are known up to an error: `contention.shares`."""
    plan, sizes = _plan(request), x.shape[2:]
    sliding = plan.sliding
    x, error = pad(x, plan.before, "zeros", plan.fill), pad(error, plan.before, "zeros", 0)
    inner = x.shape[2:]
    inside = _reached(np.ones(inner, bool), plan, 0)
    x, error = _reached(x, plan, _lowest(request)), _reached(error, plan, 0)
    windows = (
        (
            (slice(None), slice(None), *position),
            (slice(None), slice(None), *sliding.window_at(position)),
        )
        for position in np.ndindex(*sliding.positions)
    )
    dx = contention.shares(windows, sure, contended, x, error, inside)
    dx = place(dx, tuple(-low for low, _ in plan.own), inner)
    return pad_adjoint(dx, sizes, plan.before, "zeros")


@dataclass(frozen=True)
class _Plan:
    """A pooling as two paddings and a slide.

    ``before`` makes the operator's input: it crops, or is what the request pads by hand, with
    ``fill``. ``own`` is the operator's padding, which is no data.
    """

    before: tuple[Pair, ...]
    fill: float
    own: tuple[Pair, ...]
    sliding: Sliding


def _plan(request: Pool) -> _Plan:
    dtype = DTYPES[request.dtype]
    if request.kind == "avg" and not dtype.floating:
        raise ValueError(f"the average of {request.dtype} has no agreed meaning")
    positions = request.output_shape[2:]
    sliding = Sliding(request.window, request.stride, request.dilation, positions)
    pairs = request.padding.pairs
    if request.padding_value is not None:
        fill = cast(np.asarray(request.padding_value, np.float64), dtype)
        return _Plan(pairs, fill.item(), ((0, 0),) * request.rank, sliding)
    crop = tuple((min(low, 0), min(high, 0)) for low, high in pairs)
    return _Plan(crop, 0, tuple((max(low, 0), max(high, 0)) for low, high in pairs), sliding)


def _lowest(request: Pool) -> float:
    dtype = DTYPES[request.dtype]
    return -np.inf if dtype.floating else int(np.iinfo(dtype.carrier).min)


def _reached(x: Array, plan: _Plan, fill: float) -> Array:
    """The padded input as far as the windows reach, which is beyond its end in ceil mode."""
    return place(x, tuple(low for low, _ in plan.own), plan.sliding.extent, fill)


def _maximum(reached: Array, sliding: Sliding) -> Array:
    elements = (sliding.element(reached, index) for index in np.ndindex(*sliding.window))
    maximum: Array = next(elements).copy()
    for element in elements:
        np.maximum(maximum, element, out=maximum)
    return maximum


def _maximum_vjp(cotangent: Array, reached: Array, inside: Array, sliding: Sliding) -> Array:
    """Gradient with respect to ``reached``; ``inside`` says which of its elements are input."""
    maximum = _maximum(reached, sliding)
    pending = np.ones(cotangent.shape, bool)
    dx = np.zeros(reached.shape, cotangent.dtype)
    for index in np.ndindex(*sliding.window):
        value = sliding.element(reached, index)
        equal = (value == maximum) | (np.isnan(value) & np.isnan(maximum))
        first = pending & equal & sliding.element(inside, index)
        pending &= ~first
        target = sliding.element(dx, index)
        target += np.where(first, cotangent, 0)
    return dx


def _divisor(request: Pool, plan: _Plan, sizes: Sizes) -> Array:
    if request.divisor is not None:
        return np.asarray(request.divisor)
    return _counts(plan, sizes, request.count_include_pad)


def _counts(plan: _Plan, sizes: Sizes, include_pad: bool) -> Array:
    """Number of elements that each window averages, ``(*positions)``.

    With ``include_pad`` these are the elements of the padded input, which ends before the
    overhang of ceil mode; without it, those of the operator's input alone.
    """
    counts: Array = np.ones((), np.int64)
    slide = plan.sliding
    for axis, (size, (low, high)) in enumerate(zip(sizes, plan.own)):
        first, last = (0, low + size + high) if include_pad else (low, low + size)
        starts = np.arange(slide.positions[axis])[:, None] * slide.stride[axis]
        elements = starts + np.arange(slide.window[axis]) * slide.dilation[axis]
        along = ((elements >= first) & (elements < last)).sum(axis=1)
        counts = counts[..., None] * along
    return counts
