"""Random data that tell one semantics from another: usual ones, and ones for special causes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from conformance import reductions
from conformance.dtypes import DTYPES, Array, cast
from conformance.request import Pool, Request

Random = np.random.Generator
Data = Callable[[Random, Request], tuple[Array, ...]]


def shapes(request: Request) -> list[tuple[int, ...]]:
    """Of x, and of w and b where there are any."""
    if isinstance(request, Pool):
        return [request.input_shape]
    bias = [(request.out_channels,)] if request.bias else []
    return [request.input_shape, request.kernel_shape, *bias]


def usual(random: Random, request: Request) -> tuple[Array, ...]:
    """Integers with exact sums where the dtype allows it, sometimes real numbers."""
    dtype = DTYPES[request.dtype]
    if dtype.precision in (24, 53) and dtype.floating and random.random() < 0.15:
        return normal(random, request)
    if isinstance(request, Pool) and request.kind == "max":
        return distinct(random, request)
    if dtype.floating:
        terms = reductions.terms(request)["y"] + 1
        high = max(1, min(8, math.isqrt(dtype.exact_limit // terms)))
    else:
        high = int(random.choice((3, 8, 100)))
    return integers(random, request, high)


def integers(random: Random, request: Request, high: int) -> tuple[Array, ...]:
    carrier = DTYPES[request.dtype].carrier
    return tuple(
        random.integers(-high, high, shape, endpoint=True).astype(carrier)
        for shape in shapes(request)
    )


def distinct(random: Random, request: Request) -> tuple[Array, ...]:
    """Different integers, as far as the dtype has them, around zero."""
    dtype, count = DTYPES[request.dtype], math.prod(request.input_shape)
    if count > 2 * dtype.exact_limit:
        return integers(random, request, dtype.exact_limit - 1)
    values = random.permutation(count) - count // 2
    return (values.reshape(request.input_shape).astype(dtype.carrier),)


def normal(random: Random, request: Request) -> tuple[Array, ...]:
    dtype = DTYPES[request.dtype]
    return tuple(cast(random.normal(size=shape), dtype) for shape in shapes(request))


def below_zero(random: Random, request: Request) -> tuple[Array, ...]:
    return tuple(-np.abs(array) - 1 for array in distinct(random, request))


def minus_infinite(random: Random, request: Request) -> tuple[Array, ...]:
    """Mostly minus infinity."""
    (x,) = distinct(random, request)
    return (np.where(random.random(x.shape) < 0.6, -np.inf, x).astype(x.dtype),)


def nothing_greater(random: Random, request: Request) -> tuple[Array, ...]:
    """Minus infinity and NaN among numbers: windows of all, and of either."""
    (x,) = minus_infinite(random, request)
    return (np.where(random.random(x.shape) < 0.4, np.nan, x).astype(x.dtype),)


def with_nan(random: Random, request: Request) -> tuple[Array, ...]:
    """One NaN in each plane of the input."""
    x, *others = usual(random, request)
    planes = x.reshape(-1, math.prod(request.spatial))
    for plane in planes:
        plane[random.integers(plane.size)] = np.nan
    return (x, *others)


def special_kernel(random: Random, request: Request) -> tuple[Array, ...]:
    """No zeros in the input, an infinity in the kernel."""
    x, w, *others = usual(random, request)
    x = np.where(x == 0, 1, x).astype(x.dtype)
    w = np.where(w == 0, 1, w).astype(w.dtype)
    w.flat[random.choice(w.size)] = random.choice((np.inf, -np.inf))
    return (x, w, *others)


def near_subnormal(random: Random, request: Request) -> tuple[Array, ...]:
    """An input on both sides of the least normal number, small factors."""
    dtype = DTYPES[request.dtype]
    least = float(np.finfo(dtype.carrier).tiny)
    x, *others = usual(random, request)
    steps = random.integers(-48, 48, x.shape, endpoint=True)
    x = cast(steps * (least / 16), dtype)
    small = [random.choice((-2, -1, 1, 2), other.shape).astype(other.dtype) for other in others]
    return (x, *small[:1], *(np.zeros_like(other) for other in small[1:]))


def wide_integers(random: Random, request: Request) -> tuple[Array, ...]:
    """Integers whose sums leave the narrower dtypes."""
    high = int(random.choice((60, 127) if request.dtype == "int8" else (60, 2000, 2**20)))
    return integers(random, request, high)


def near_the_end(random: Random, request: Request) -> tuple[Array, ...]:
    """Numbers within a dtype whose sums, or powers, are not."""
    dtype = DTYPES[request.dtype]
    x = random.integers(1, 9, request.input_shape)
    largest = dtype.largest / 16
    if request.op == "lp_pool":
        largest = largest**0.75
    return (cast(x * (largest / 2), dtype),)


def fine(random: Random, request: Request) -> tuple[Array, ...]:
    """Numbers of more bits than narrower formats have."""
    dtype = DTYPES[request.dtype]
    pooled = isinstance(request, Pool) and request.kind != "max"
    if dtype.precision == 24 and random.random() < 0.3 and not pooled:
        x, *others = integers(random, request, 1)
        return (random.integers(-(2**15), 2**15, x.shape).astype(dtype.carrier), *others)
    return normal(random, request)


def tied(random: Random, request: Request) -> tuple[Array, ...]:
    """Few values, so that maxima are shared."""
    x = random.integers(0, 2, request.input_shape, endpoint=True)
    return (x.astype(DTYPES[request.dtype].carrier),)


def cotangent(random: Random, request: Request) -> Array:
    """Integers other than zero."""
    high = 4 if request.dtype == "bfloat16" else 9
    values = random.integers(1, high, request.output_shape, endpoint=True)
    signs = random.choice((-1, 1), request.output_shape)
    return np.asarray(values * signs, DTYPES[request.dtype].carrier)
