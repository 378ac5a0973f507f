"""Departures in the numbers themselves: lower precision, wrapping, saturation, subnormals."""

from __future__ import annotations

import numpy as np

from conformance.dtypes import DTYPES, Array, DType, cast

TF32_BITS = 13
PRECISIONS = ("tf32", "bfloat16", "float16", "float32")


def rounded(values: Array, precision: str) -> Array:
    """float64 values rounded to nearest in a narrower format; ``tf32`` has ten bits of fraction.

    Of complex numbers both parts are.
    """
    if np.iscomplexobj(values):
        return rounded(values.real, precision) + 1j * rounded(values.imag, precision)
    if precision != "tf32":
        return cast(np.asarray(values, np.float64), DTYPES[precision]).astype(np.float64)
    bits = np.ascontiguousarray(np.asarray(values, np.float32)).view(np.uint32)
    half = np.uint32((1 << (TF32_BITS - 1)) - 1) + ((bits >> np.uint32(TF32_BITS)) & np.uint32(1))
    near = (bits + half) & np.uint32(0xFFFFFFFF << TF32_BITS & 0xFFFFFFFF)
    finite = np.isfinite(bits.view(np.float32))
    return np.where(finite, near.view(np.float32), bits.view(np.float32)).astype(np.float64)


def flushed(values: Array, dtype: DType) -> Array:
    """Values with the subnormals of the dtype replaced by zero."""
    smallest = np.finfo(dtype.carrier).smallest_normal
    return np.where(np.abs(values) < smallest, 0, values)


def wrapped(values: Array, name: str) -> Array:
    """int64 values wrapped into a narrower integer dtype."""
    return values.astype(np.int64).astype(name).astype(np.int64)


def saturated(values: Array, name: str) -> Array:
    """Values clipped at a dtype's limits."""
    if DTYPES[name].floating:
        return np.clip(values, -DTYPES[name].largest, DTYPES[name].largest)
    limits = np.iinfo(name)
    return np.clip(values, limits.min, limits.max)
