"""How far both sides of a law may be apart: not at all on exact data, else by their roundings.

A law is linear in what it asks for, and what it asks for is sums of products. So the law itself,
on magnitudes, gives for each element of either side the sum of the magnitudes that it is made of;
on counts of roundings it gives, for each element, more roundings than any of its terms goes
through. Their product is the running error bound of that side (see `conformance.reference`), and
the bounds of both sides add up.

Magnitudes are the oracle's, of absolute values. They are computed only where a cheap bound (the
number of terms times the greatest magnitudes) does not show that everything is exact: integer data
of any size need no oracle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from conformance import data, oracle, reductions
from conformance.adapter import parameters
from conformance.cases import Case
from conformance.dtypes import DTYPES, Array
from conformance.laws.catalogue import LAWS, stated
from conformance.laws.names import LawName
from conformance.laws.steps import Ask, drive
from conformance.reference import (
    COMPLEX_FACTOR,
    GoldenError,
    allowed_error,
    exact_division,
    integral,
    largest,
    powers,
)
from conformance.request import Pool, Request

FINISH = 2
"""Roundings of what a law itself computes: an array that it makes, a result that it combines."""


@dataclass(frozen=True)
class Tolerance:
    """The permitted difference of each element; None where both sides are exact."""

    allowed: Array | None

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return 0 if self.allowed is None else self.allowed.nbytes


def tolerance(case: Case) -> Tolerance:
    """The tolerance of a case's law on its data.

    Raises:
        GoldenError: the case claims exact sums and they are not.
    """
    assert case.fields.law is not None
    result = Tolerance(allowed(case.fields.law, case.request, case.arrays()))
    if case.fields.exact and result.allowed is not None:
        raise GoldenError(
            f"the data are claimed to be exact, but sums in {case.request.dtype} are not; use "
            "smaller integers or fewer terms, or drop 'exact'"
        )
    return result


def allowed(name: LawName, request: Request, arrays: Sequence[Array]) -> Array | None:
    """The permitted difference of a law's sides on a request's arrays; None: they are exact."""
    dtype = DTYPES[request.dtype]
    if not dtype.floating or (isinstance(request, Pool) and request.kind == "max"):
        return None
    # A part of a complex product is more than a product of parts.
    limit = dtype.exact_limit // (data.PARTS if dtype.complex else 1)
    if all(map(integral, arrays)):
        cheap = _Peaks(limit)
        drive(stated(name, request, list(map(np.abs, arrays))), cheap)
        if cheap.exact:
            return None
    depths = drive(stated(name, request, [np.zeros(array.shape) for array in arrays]), _depths)
    if LAWS[name].bitwise:
        # But for what is too small to be scaled.
        return allowed_error(dtype, dtype, depths[0] + depths[1], np.zeros(depths[0].shape))
    sums = _Magnitudes(limit)
    magnitudes = drive(stated(name, request, list(map(np.abs, arrays))), sums)
    if all(map(integral, arrays)) and sums.exact:
        return None
    factor = COMPLEX_FACTOR if dtype.complex else 1
    one, other = (
        allowed_error(dtype, dtype, factor * (depth + FINISH), magnitude)
        for depth, magnitude in zip(depths, magnitudes)
    )
    return one + other


@dataclass
class _Peaks:
    """Answers with a bound of each element's magnitude; ``exact`` while all are exact integers.

    An average answers with its sum: exact quotients by powers of two have exact numerators.
    """

    limit: int
    exact: bool = True

    def __call__(self, ask: Ask) -> Array:
        r = ask.request
        bound = float(_terms(ask))
        for array in _factors(ask):
            self.exact &= largest(array) <= self.limit
            bound *= largest(array)
        bound += largest(ask.arrays[2]) if len(ask.arrays) > 2 and not ask.gradient else 0.0
        self.exact &= bound <= self.limit
        self.exact &= not isinstance(r, Pool) or r.kind == "max" or exact_division(r)
        return np.full(ask.shape, bound)


@dataclass
class _Magnitudes:
    """Answers as the oracle does; ``exact`` while all results are exact integers."""

    limit: int
    exact: bool = field(default=True)

    def __call__(self, ask: Ask) -> Array:
        r = ask.request
        if ask.cotangent is None:
            result = oracle.forward(r, *ask.arrays)
        else:
            gradients = oracle.vjp(r, ask.cotangent, *ask.arrays)
            result = gradients[parameters(r).index(ask.gradient)]
        self.exact &= not isinstance(r, Pool) and largest(result) <= self.limit
        return result


def _depths(ask: Ask) -> Array:
    """More roundings than any term of an element has gone through."""
    given = max(map(largest, _factors(ask)))
    return np.full(ask.shape, _terms(ask) + 1 + powers(ask.request) + given)


def _terms(ask: Ask) -> int:
    return reductions.terms(ask.request)[ask.gradient or "y"]


def _factors(ask: Ask) -> list[Array]:
    """The arrays whose products are summed."""
    if ask.cotangent is None:
        return list(ask.arrays[:2])
    return [ask.cotangent, ask.arrays[1 if ask.gradient == "x" else 0]]
