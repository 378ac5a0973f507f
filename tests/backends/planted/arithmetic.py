"""Wrong semantics of numbers: other formats, other limits, NaN and subnormal numbers left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from .changes import CONVS, Change
from .formats import FORMATS, Array
from .recipe import Recipe

WIDTHS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16}


def counted_with(r: Recipe, **parts: Any) -> Recipe:
    return replace(r, numbers=replace(r.numbers, **parts))


def wraps(r: Recipe) -> Iterator[Recipe]:
    """A narrower integer dtype throughout."""
    for narrow in _narrower(r, strictly=True):
        wrap = partial(_wrapped, dtype=narrow)
        yield counted_with(r, load=wrap, save=wrap)


def saturates(r: Recipe) -> Iterator[Recipe]:
    """The result clipped at the limits of its dtype, or of a narrower one."""
    for narrow in _narrower(r, strictly=False):
        yield counted_with(r, save=partial(_clipped, dtype=narrow))


def _narrower(r: Recipe, strictly: bool) -> Iterator[str]:
    width = WIDTHS.get(r.request.dtype, 0)
    if width and r.request.dtype.startswith("int"):
        yield from (
            name
            for name, bits in WIDTHS.items()
            if name.startswith("int") and (bits < width or (bits == width and not strictly))
        )


def _wrapped(values: Array, dtype: str) -> Array:
    return values.astype(dtype).astype(np.int64)


def _clipped(values: Array, dtype: str) -> Array:
    return values.clip(np.iinfo(dtype).min, np.iinfo(dtype).max)


def storage_sums(r: Recipe) -> Iterator[Recipe]:
    """Every partial sum rounded to the dtype, with every product or without."""
    if r.request.dtype in ("float16", "bfloat16") and (r.op in CONVS or "avg" in r.op):
        rounded = FORMATS[r.request.dtype].rounded
        yield counted_with(r, step=rounded, product=rounded)
        yield counted_with(r, step=rounded)


def lower_precision(r: Recipe) -> Iterator[Recipe]:
    """Inputs of fewer bits; float64 as float32 throughout."""
    if r.request.dtype not in FORMATS:
        return
    for name in ("bfloat16", "float16", "tf32"):
        if FORMATS[name].bits < FORMATS[r.request.dtype].bits:
            yield counted_with(r, load=FORMATS[name].rounded)
    if r.request.dtype == "float64":
        single = FORMATS["float32"].rounded
        yield counted_with(r, load=single, step=single, save=single)


def without_nan(r: Recipe) -> Iterable[Recipe]:
    if r.request.dtype not in FORMATS or "avg" in r.op or r.op == "lp_pool":
        return []
    if "max" in r.op:
        return [counted_with(r, greater=np.fmax)]
    return [counted_with(r, load=lambda values: np.where(np.isnan(values), 0.0, values))]


def from_lowest(r: Recipe) -> Iterator[Recipe]:
    """What is greater than the best so far, which is the lowest finite number at first."""
    if r.request.dtype in FORMATS and r.op == "max_pool":
        start = -FORMATS[r.request.dtype].largest
        yield replace(counted_with(r, greater=np.fmax), start=start)


def flushes(r: Recipe) -> Iterator[Recipe]:
    """Subnormal inputs, results, or both as zero."""
    if r.request.dtype in FORMATS:
        flush = FORMATS[r.request.dtype].flushed
        yield counted_with(r, load=flush)
        if r.op == "max_pool_indices":
            return
        yield counted_with(r, save=lambda values: flush(_in_dtype(r, values)))
        yield counted_with(r, load=flush, save=lambda values: flush(_in_dtype(r, values)))


def _in_dtype(r: Recipe, values: Array) -> Array:
    return FORMATS[r.request.dtype].rounded(values)


ARITHMETIC: dict[str, Change] = {
    "integer-wraps": wraps,
    "integer-saturates": saturates,
    "accumulates-in-storage-dtype": storage_sums,
    "lower-precision": lower_precision,
    "nan-ignored": without_nan,
    "starts-from-lowest": from_lowest,
    "subnormals-flushed": flushes,
}
