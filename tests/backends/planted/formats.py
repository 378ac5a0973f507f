"""Number formats by their definition: a significand of some bits, a least exponent, a largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Format:
    """Numbers ``m * 2**e`` with ``m`` of ``bits`` bits in [1/2, 1) and ``e >= least``."""

    bits: int
    least: int
    largest: float
    carrier: str

    def rounded(self, values: Array) -> Array:
        """The nearest numbers of the format, ties to even, in float64."""
        if self.bits == 53:
            return values
        _, exponent = np.frexp(values)
        quantum = np.ldexp(1.0, np.maximum(exponent, self.least) - self.bits)
        with np.errstate(invalid="ignore"):
            nearest = np.rint(values / quantum) * quantum
            return np.where(np.abs(nearest) > self.largest, np.sign(values) * np.inf, nearest)

    def flushed(self, values: Array) -> Array:
        """The values with zero in the place of subnormal ones."""
        return np.where(np.abs(values) < np.ldexp(0.5, self.least), 0.0, values)


def _format(bits: int, least: int, carrier: str) -> Format:
    return Format(bits, least, float(2.0 ** (2 - least) * (2 - 2.0 ** (1 - bits))), carrier)


FORMATS = {
    "float64": Format(53, -1021, float(np.finfo("float64").max), "float64"),
    "float32": _format(24, -125, "float32"),
    "float16": _format(11, -13, "float16"),
    "bfloat16": _format(8, -125, "float32"),
    "tf32": _format(11, -125, "float32"),
}


def wide(values: Array) -> Array:
    """The values in the dtype that sums are taken in."""
    return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)


def stored(values: Array, dtype: str) -> Array:
    """The values rounded or wrapped to a dtype, in the array that carries it."""
    if dtype not in FORMATS:
        return values.astype(dtype)
    return FORMATS[dtype].rounded(values.astype(np.float64)).astype(FORMATS[dtype].carrier)
