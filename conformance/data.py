"""Data for cases: literal, or generated from a few parameters, the same on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from conformance import schema
from conformance.dtypes import DTYPES, Array, DType, cast
from conformance.request import Conv, ConvTranspose, Pool, Request

SEEDS = {"x": 0, "w": 1, "b": 2, "y": 3}
LARGEST_INTEGER = 8


class DataError(ValueError):
    """A tensor's data do not fit its shape or its dtype."""


@dataclass(frozen=True)
class TensorData:
    """How to make one tensor: its canonical shape, its dtype, and the case's own words."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    spec: schema.Tensor

    def array(self, request: Request) -> Array:
        """The data in the dtype's carrier.

        Raises:
            DataError: literal values do not fit the shape or the dtype.
        """
        dtype = DTYPES[self.dtype]
        values = self._values(request, dtype)
        for element in self.spec.set:
            try:
                values[tuple(element.at)] = element.to
            except (IndexError, ValueError, OverflowError):
                raise DataError(f"no element {element.at} in shape {list(self.shape)}") from None
        array = cast(values, dtype)
        if self.spec.values is not None and not _same(array, values):
            raise DataError(f"not every value is representable in {self.dtype}")
        return array

    def _values(self, request: Request, dtype: DType) -> Array:
        spec, wide = self.spec, np.float64 if dtype.floating else np.int64
        count = math.prod(self.shape)
        if spec.values is not None:
            return literal(spec.values, wide).reshape(self.shape)
        if spec.constant is not None:
            return np.full(self.shape, spec.constant, wide)
        if spec.arange is not None:
            arange = schema.Arange() if spec.arange is True else spec.arange
            return (arange.start + arange.step * np.arange(count)).astype(wide).reshape(self.shape)
        if spec.normal is not None:
            random = np.random.default_rng(_seed(spec.normal.seed, self.name))
            return np.asarray(random.normal(spec.normal.mean, spec.normal.std, self.shape))
        integers = spec.integers or schema.Integers()
        random = np.random.default_rng(_seed(integers.seed, self.name))
        if integers.low is not None and integers.high is not None:
            drawn = random.integers(
                integers.low, integers.high, self.shape, np.int64, endpoint=True
            )
            return drawn.astype(wide)
        if self.name == "x" and request.op == "max_pool" and count <= _span(dtype):
            offset = count // 2 if _signed(dtype) else 0
            return (random.permutation(count) - offset).astype(wide).reshape(self.shape)
        high = integer_range(request, dtype)
        low = -high if _signed(dtype) else 0
        return random.integers(low, high, self.shape, np.int64, endpoint=True).astype(wide)


def literal(values: object, wide: type) -> Array:
    """Nested lists, a number, or a string of numbers as an array.

    Raises:
        DataError: the lists are ragged or hold anything but numbers.
    """
    try:
        if isinstance(values, str):
            values = values.split()
        raw = np.array(values, dtype=object)
        array = np.array([_number(item) for item in raw.reshape(-1)], dtype=np.float64)
        if wide is not np.int64:
            return array.reshape(raw.shape)
        exact = np.array([int(item) for item in raw.reshape(-1)], dtype=np.int64)
        if not np.array_equal(exact.astype(np.float64), array):
            raise DataError("integers are needed")
        return exact.reshape(raw.shape)
    except (ValueError, TypeError, OverflowError):
        raise DataError("numbers in lists of equal lengths are needed") from None


def _number(item: object) -> float:
    if isinstance(item, (bool, list)) or item is None:
        raise TypeError
    return float(item)  # type: ignore[arg-type]


def _same(array: Array, values: Array) -> bool:
    if values.dtype == np.int64:
        return bool(np.array_equal(array.astype(np.int64), values))
    # Decimal literals of real data need not be representable; integers that are not are mistakes.
    integral = np.isfinite(values) & (values == np.rint(values))
    return bool(np.array_equal(array.astype(np.float64)[integral], values[integral]))


def _seed(seed: int | None, name: str) -> int:
    return SEEDS[name] if seed is None else seed


def _signed(dtype: DType) -> bool:
    return not dtype.name.startswith("uint")


def _span(dtype: DType) -> int:
    return dtype.exact_limit * (2 if _signed(dtype) else 1)


def integer_range(request: Request, dtype: DType) -> int:
    """The largest magnitude with which every sum of the forward pass and the VJP is exact.

    Products of two such integers, summed over the longest of the reductions (plus a bias), stay
    within the dtype's significand whatever the order of summation. At least 1.
    """
    longest = max(reductions(request).values(), default=1)
    bound = math.isqrt(dtype.exact_limit // (longest + 1))
    return max(1, min(LARGEST_INTEGER, bound))


def reductions(request: Request) -> dict[str, int]:
    """Number of terms that are summed into one element: of y, and of the gradients of x, w, b."""
    window = math.prod(request.window)
    if isinstance(request, Pool):
        return {"y": window, "x": window}
    positions = math.prod(request.output_shape[2:])
    batch = request.input_shape[0]
    per_group = request.channels // request.groups, request.out_channels // request.groups
    bias = {"b": batch * positions} if request.bias else {}
    if isinstance(request, Conv):
        return {
            "y": per_group[0] * window + request.bias,
            "x": per_group[1] * window,
            "w": batch * positions,
            **bias,
        }
    assert isinstance(request, ConvTranspose)
    return {
        "y": per_group[0] * window + request.bias,
        "x": per_group[1] * window,
        "w": batch * math.prod(request.spatial),
        **bias,
    }
