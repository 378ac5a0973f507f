"""The element types that cases may use, and the arrays that carry them.

NumPy has no bfloat16, so bfloat16 data travel as float32 arrays whose values are bfloat16 values;
every other dtype is carried as itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class DType:
    """An element type: ``precision`` is the significand's bits, the hidden one included.

    ``floating`` says that numbers are rounded; of complex numbers both parts are.
    """

    name: str
    carrier: np.dtype[Any]
    floating: bool
    precision: int
    largest: float
    complex: bool = False

    @property
    def wide(self) -> np.dtype[Any]:
        """What the oracle computes in: float64, complex128 or int64."""
        if self.complex:
            return np.dtype(np.complex128)
        return np.dtype(np.float64 if self.floating else np.int64)

    @property
    def unit_roundoff(self) -> float:
        """Largest relative error of rounding to nearest; 0 for integers."""
        return 2.0**-self.precision if self.floating else 0.0

    @property
    def exact_limit(self) -> int:
        """Integers up to this magnitude, and so every partial sum below it, are exact."""
        return 2**self.precision if self.floating else int(self.largest)


def _float(name: str, precision: int, largest: float, carrier: str | None = None) -> DType:
    return DType(name, np.dtype(carrier or name), True, precision, largest)


def _integer(name: str) -> DType:
    limits = np.iinfo(name)
    return DType(name, np.dtype(name), False, limits.bits, float(limits.max))


def _complex(name: str, part: str) -> DType:
    limits = np.finfo(part)
    return DType(name, np.dtype(name), True, limits.nmant + 1, float(limits.max), complex=True)


DTYPES: dict[str, DType] = {
    dtype.name: dtype
    for dtype in (
        _float("float64", 53, float(np.finfo("float64").max)),
        _float("float32", 24, float(np.finfo("float32").max)),
        _float("float16", 11, 65504.0),
        _float("bfloat16", 8, float(np.float32(3.3895314e38)), "float32"),
        _complex("complex64", "float32"),
        _complex("complex128", "float64"),
        *map(_integer, ("int8", "int16", "int32", "int64", "uint8", "uint16")),
    )
}


def cast(values: Array, dtype: DType) -> Array:
    """Values rounded to nearest (floating) or wrapped (integer) into the dtype's carrier.

    ``values`` is in the dtype's `DType.wide`.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype.name == "bfloat16":
            return _round_to_bfloat16(np.asarray(values))
        return np.asarray(values).astype(dtype.carrier)


def _round_to_bfloat16(values: Array) -> Array:
    single = _round_to_odd(values.astype(np.float64))
    bits = single.view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded &= np.uint32(0xFFFF0000)
    return np.where(np.isfinite(single), rounded.view(np.float32), single)


def _round_to_odd(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Float32 values rounded to odd, so that a second rounding is not a double one.

    Boldo & Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
    rounding to odd", IEEE Trans. Computers 57(4), 2008.
    """
    nearest = values.astype(np.float32)
    away = np.abs(nearest.astype(np.float64)) > np.abs(values)
    toward_zero = np.where(away, np.nextafter(nearest, np.float32(0)), nearest)
    bits = np.ascontiguousarray(toward_zero).view(np.uint32)
    inexact = (toward_zero.astype(np.float64) != values) & np.isfinite(values)
    odd = np.where(inexact, bits | np.uint32(1), bits)
    return np.ascontiguousarray(odd).view(np.float32)
