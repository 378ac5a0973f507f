"""What is to be explained: an observed array beside the expected one, and what fits it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from conformance import data, reductions
from conformance.compare import compare, right
from conformance.dtypes import DTYPES, Array, DType
from conformance.explanation import evaluation
from conformance.explanation.edits import Meaning
from conformance.explanation.evaluation import Data, Inapplicable
from conformance.reference import Reference, allowed_error, powers
from conformance.request import Pool, Request, input_shapes

EVALUATIONS = 1500
WORK = 2**29
LEAST_WORK = 2**16
LEAST_EVALUATIONS = 24
LOOSE = 8.0


@dataclass(frozen=True)
class Question:
    """An observed array that is not what the request means.

    ``reference`` is the expected array, ``observed`` is carried as in `dtypes`, ``dtype`` is the
    name of its own dtype.
    """

    request: Request
    data: Data
    reference: Reference
    observed: Array
    dtype: str

    @property
    def name(self) -> str:
        """Which array: y, or the gradient of x, w or b."""
        return self.reference.name

    @cached_property
    def own_dtype(self) -> DType:
        """The observed dtype, that of the request where the suite has no such."""
        return DTYPES.get(self.dtype, self.reference.dtype)

    @cached_property
    def values(self) -> Array:
        """The observed array in a dtype that the suite knows."""
        if self.dtype in DTYPES:
            return self.observed
        return np.real(self.observed).astype(self.reference.dtype.carrier)

    @property
    def mistyped(self) -> bool:
        """Whether the observed array has another dtype than the expected one."""
        return self.dtype != self.reference.dtype.name

    @property
    def right(self) -> bool:
        """Whether the values are right, whatever their dtype."""
        if self.observed.shape != self.reference.values.shape:
            return False
        return bool(right(self.reference, self.values).all())

    @cached_property
    def others(self) -> tuple[Data, Data]:
        """Other data of the request: telling ones, and the given ones in another order.

        The former keep special values where they are, the latter keep ties.
        """
        request, cotangent = self.request, self.data.cotangent
        shapes = input_shapes(request)
        telling = [data.telling(request, name, shape) for name, shape in shapes.items()]
        for new, old in zip(telling, self.data.arrays):
            if old.dtype.kind == "f":
                usual = np.isfinite(old) & (np.abs(old) >= np.finfo(old.dtype).smallest_normal)
                np.copyto(new, old, where=~(usual | (old == 0)), casting="same_kind")
        dy = None if cotangent is None else data.telling(request, "y", cotangent.shape)
        turned = tuple(np.flip(array) for array in self.data.arrays)
        return Data(tuple(telling), dy), Data(turned, None if dy is None else np.flip(dy))

    @property
    def empty(self) -> bool:
        """Whether the observed array says nothing: no elements, or NaN throughout."""
        values = self.values
        return values.size == 0 or (values.dtype.kind in "fc" and bool(np.isnan(values).all()))

    @cached_property
    def finite(self) -> bool:
        """Whether the inputs hold no NaN and no infinity."""
        floating = [array for array in self.data.arrays if array.dtype.kind == "f"]
        return all(bool(np.isfinite(array).all()) for array in floating)

    @cached_property
    def subnormal(self) -> bool:
        """Whether inputs or the expected result hold subnormal numbers."""
        arrays = (*self.data.arrays, self.reference.values)
        return any(
            bool(((array != 0) & (np.abs(array) < np.finfo(array.dtype).smallest_normal)).any())
            for array in arrays
            if array.dtype.kind == "f"
        )

    @cached_property
    def terms(self) -> int:
        """Number of terms in a sum."""
        return reductions.terms(self.request)[self.name]

    @cached_property
    def budget(self) -> int:
        """Number of evaluations that the search may take."""
        return min(max(WORK // max(self.work, LEAST_WORK), LEAST_EVALUATIONS), EVALUATIONS)

    @property
    def work(self) -> int:
        """Number of multiplications of one evaluation."""
        return math.prod(self.request.output_shape) * max(reductions.terms(self.request)["y"], 1)

    def fits(self, meaning: Meaning) -> bool:
        """Whether the meaning gives what was observed, within the error bound of its own sums."""
        if self.name == "y":
            shape = evaluation.output_shape(meaning)
            if shape is not None and shape != self.observed.shape:
                return False
        try:
            values = evaluation.evaluate(meaning, self.data, self.name)
            if values.shape != self.observed.shape or values.dtype.kind not in "fic":
                return False
            if not self._near(meaning, values):
                return False
            return self._equal(meaning, values)
        except (Inapplicable, ValueError, IndexError):
            return False

    def _near(self, meaning: Meaning, values: Array) -> bool:
        """A cheap test that fails for nearly all that do not fit."""
        if self.reference.allowed is None or meaning.any("powers"):
            return True
        sums, dtype = self._sums(meaning), self.own_dtype
        base = self.reference.sums.unit_roundoff or 1.0
        scale = LOOSE * float(np.max(self.reference.allowed, initial=0.0))
        scale *= max(sums.unit_roundoff / base, 1.0)
        with np.errstate(invalid="ignore"):
            apart = np.abs(self.values - values)
            rounding = max(sums.unit_roundoff, dtype.unit_roundoff) * np.abs(values)
        return not bool((apart > scale + LOOSE * rounding).any())

    def _equal(self, meaning: Meaning, values: Array) -> bool:
        dtype = self.own_dtype
        cast = evaluation.finish(values, dtype.name)
        allowed = None
        if dtype.floating and self._inexact(meaning):
            allowed = self._allowed(meaning, self._sums(meaning))
        candidate = Reference(self.name, dtype, cast, values, allowed, self.reference.sums)
        return compare(candidate, self.values, dtype.name).outcome == "pass"

    def _inexact(self, meaning: Meaning) -> bool:
        """Whether the meaning's own sums are rounded, so that a match has an error bound."""
        if meaning.any("wraps", "saturates", "zero", "sums"):
            return False
        return self.reference.allowed is not None or meaning.any("divisor", "ties")

    def _sums(self, meaning: Meaning) -> DType:
        """The dtype that the meaning carries sums in."""
        if meaning.get("outputs") == "float32":
            return DTYPES["float32"]
        sums = self.reference.sums
        return sums if sums.precision > self.own_dtype.precision else self.own_dtype

    def _allowed(self, meaning: Meaning, sums: DType) -> Array:
        among = self.data.magnitudes(self.request)
        terms = self.terms + 1
        if powers(self.request):
            terms += 2 * powers(self.request) + reductions.terms(self.request)["y"]
        if not meaning.any("powers"):
            magnitude = np.abs(evaluation.evaluate(meaning, among, self.name))
            return allowed_error(self.own_dtype, sums, terms, magnitude)
        growth = self._growth(meaning, among)
        if self.name == "y":
            magnitude = np.abs(evaluation.evaluate(meaning, among, "y")) * growth
        else:
            assert among.cotangent is not None
            grown = replace(among, cotangent=among.cotangent * growth)
            magnitude = np.abs(evaluation.evaluate(meaning, grown, self.name))
        return allowed_error(self.own_dtype, sums, terms, magnitude)

    def _growth(self, meaning: Meaning, among: Data) -> Array:
        """How much the root of a sum of signed powers magnifies the error of the sum.

        The derivative of s^(1/p) grows where terms cancel: with y the root of the sum and Y that
        of the magnitudes, by (Y / y)^(p - 1); that of a gradient by (Y / y)^(2 p - 1).
        """
        assert isinstance(self.request, Pool)
        p = self.request.norm if self.name == "y" else 2 * self.request.norm
        root, whole = (
            np.abs(evaluation.evaluate(meaning, each, "y")) for each in (self.data, among)
        )
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = np.where(root == 0, 1, whole / root)
            ratio = np.maximum(np.where(np.isfinite(ratio), ratio, 1), 1)
            return np.asarray(ratio ** max(p - 1, 0))

    def loosely_right(self) -> bool:
        """Whether sums carried in the request's own dtype, and only these, explain the error."""
        dtype = self.reference.dtype
        if self.mistyped or self.reference.sums is dtype or not dtype.floating:
            return False
        if self.observed.shape != self.reference.values.shape:
            return False
        allowed = self._allowed(Meaning(self.request), dtype)
        return bool(right(replace(self.reference, allowed=allowed), self.values).all())

    @property
    def informative(self) -> bool:
        """Whether a match on these data could hardly be an accident."""
        least = 8 if not isinstance(self.request, Pool) else 4
        return bool(np.unique(self.observed).size >= least)
