"""The verdict on one array: shape, then dtype, then values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from conformance.dtypes import DTYPES, Array, DType
from conformance.reference import Reference

Outcome = Literal[
    "pass",
    "known",
    "fixed",
    "wrong-shape",
    "wrong-dtype",
    "wrong-value",
    "rejected",
    "unsupported",
    "crash",
    "timeout",
    "not-run",
]


@dataclass(frozen=True)
class Difference:
    """How an array differs from its reference.

    ``worst`` is the index of the element that is furthest outside of what is allowed, ``allowed``
    its permitted absolute error (0: exact), ``ulps`` its distance in units of the last place.
    ``sides`` are the words for what was observed and for what was expected where that is not the
    oracle's: both are a target's own.
    """

    array: str
    expected_shape: tuple[int, ...]
    observed_shape: tuple[int, ...]
    expected_dtype: str
    observed_dtype: str
    differing: int = 0
    total: int = 0
    worst: tuple[int, ...] | None = None
    expected: complex | None = None
    observed: complex | None = None
    allowed: float = 0.0
    ulps: int | None = None
    sides: tuple[str, str] | None = None


@dataclass(frozen=True)
class Verdict:
    """Pass, or one of the wrong outcomes with the difference; ``ulps`` is the largest distance."""

    outcome: Outcome
    difference: Difference | None = None
    ulps: int = 0


def compare(
    reference: Reference, observed: Array, dtype: str, signed_zero: bool = False
) -> Verdict:
    """Judge an observed array, carried as in `dtypes`; ``dtype`` is the name of its own dtype.

    NaN equals NaN, an infinity the same infinity. The sign of zero counts only where asked for.
    """
    wanted = reference.values
    base: dict[str, Any] = {
        "array": reference.name,
        "expected_shape": wanted.shape,
        "observed_shape": observed.shape,
        "expected_dtype": reference.dtype.name,
        "observed_dtype": dtype,
    }
    if observed.shape != wanted.shape:
        return Verdict("wrong-shape", Difference(**base))
    if dtype != reference.dtype.name:
        return Verdict("wrong-dtype", Difference(**base))
    if not signed_zero and np.array_equal(wanted, observed):
        return Verdict("pass")
    wrong = ~right(reference, observed)
    if signed_zero and wanted.dtype.kind == "f":
        wrong |= (wanted == 0) & (observed == 0) & (np.signbit(wanted) != np.signbit(observed))
    distance = ulps(wanted, observed, reference.dtype)
    count = int(np.count_nonzero(wrong))
    if not count:
        finite = np.isfinite(wanted)
        return Verdict("pass", ulps=int(np.max(distance[finite], initial=0)))
    worst = _worst(reference, observed, wrong)
    limit = 0.0 if reference.allowed is None else float(reference.allowed[worst])
    difference = Difference(
        **base,
        differing=count,
        total=wanted.size,
        worst=tuple(int(index) for index in worst),
        expected=wanted[worst].item(),
        observed=observed[worst].item(),
        allowed=limit,
        ulps=int(distance[worst]),
    )
    return Verdict("wrong-value", difference, int(np.max(distance, initial=0)))


def right(reference: Reference, observed: Array) -> Array:
    """Where an array of the reference's shape has the right values."""
    wanted = reference.values
    if wanted.dtype.kind not in "fc":
        return np.asarray(wanted == observed)
    same = (wanted == observed) | (np.isnan(wanted) & np.isnan(observed))
    if reference.allowed is None:
        return np.asarray(same)
    with np.errstate(invalid="ignore", over="ignore"):
        exact = reference.exact
        near = np.abs(observed.astype(exact.dtype) - exact) <= reference.allowed
        # Rounding may carry a finite result over the largest number, or keep it below.
        edge = np.abs(exact) + reference.allowed >= reference.dtype.largest
        near |= edge & np.isinf(observed) & (np.sign(observed.real) == np.sign(exact.real))
    near &= np.isfinite(reference.exact)
    return np.asarray(same | near)


def _worst(reference: Reference, observed: Array, wrong: Array) -> tuple[Any, ...]:
    """The index of the wrong element with the greatest excess; a non-finite one before others."""
    with np.errstate(invalid="ignore", over="ignore"):
        wide = np.result_type(np.float64, reference.values.dtype)
        error = np.abs(observed.astype(wide) - reference.values.astype(wide))
        if reference.allowed is not None:
            error = error / np.maximum(reference.allowed, np.finfo(np.float64).tiny)
    error = np.where(np.isnan(error), np.inf, error)
    index = int(np.argmax(np.where(wrong, error, -1.0)))
    return np.unravel_index(index, wrong.shape)


def ulps(wanted: Array, observed: Array, dtype: DType) -> Array:
    """Distance in units of the last place; 0 between NaNs and between the two zeros.

    Of complex numbers it is that of the part which is further off.
    """
    if dtype.complex:
        part = DTYPES["float32" if dtype.name == "complex64" else "float64"]
        return np.maximum(
            ulps(wanted.real, observed.real, part), ulps(wanted.imag, observed.imag, part)
        )
    if not dtype.floating:
        with np.errstate(over="ignore"):
            return np.abs(observed.astype(np.int64) - wanted.astype(np.int64))
    left, right = _ordered(wanted, dtype), _ordered(observed, dtype)
    # The sum of two float64 keys of opposite signs needs all 64 bits.
    apart = np.abs(left).astype(np.uint64) + np.abs(right).astype(np.uint64)
    together = np.abs(np.abs(left) - np.abs(right)).astype(np.uint64)
    most = np.uint64(np.iinfo(np.int64).max)
    distance = np.minimum(np.where((left < 0) == (right < 0), together, apart), most)
    distance = distance.astype(np.int64)
    return np.where(np.isnan(wanted) & np.isnan(observed), 0, distance)


def _ordered(values: Array, dtype: DType) -> Array:
    """Integers in the order of the floating values, adjacent values one apart."""
    width = {"float64": np.int64, "float32": np.int32, "float16": np.int16, "bfloat16": np.int32}
    bits = np.ascontiguousarray(values).view(width[dtype.name]).astype(np.int64)
    if dtype.name == "bfloat16":
        bits >>= 16
    sign = {"float64": 63, "float32": 31, "float16": 15, "bfloat16": 15}[dtype.name]
    magnitude = bits & ((1 << sign) - 1)
    return np.where(bits < 0, -magnitude, magnitude).reshape(values.shape)
