"""The search for edits under which the request gives what was observed.

Single edits first, all of them, so that an explanation is known to be the only one; then pairs,
the likelier first, within a budget that is counted in evaluations and not in seconds: the answer
is the same on every machine. Nothing here runs a framework.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from conformance import data
from conformance.compare import compare, right
from conformance.dtypes import DTYPES, Array, DType
from conformance.explanation import evaluation
from conformance.explanation.edits import Change, Edit, Meaning, applied
from conformance.explanation.evaluation import Data, Inapplicable
from conformance.explanation.option_edits import pooling_edits, stride_edits
from conformance.explanation.padding_edits import fill_edits, padding_edits
from conformance.explanation.tensor_edits import (
    kernel_edits,
    layout_edits,
    number_edits,
    tie_edits,
)
from conformance.reference import Reference, allowed_error
from conformance.request import Pool, Request, input_shapes

EVALUATIONS = 1500
WORK = 2**31
LEAST_WORK = 2**16
LEAST_EVALUATIONS = 24
LOOSE = 8.0
ALONE = {"all-zero"}

STORAGE_SUMS = Edit(
    "accumulates-in-storage-dtype",
    (Change("sums", "storage"),),
    "sums carried in the request's own dtype",
    "within the error bound of such sums, beyond that of wider ones",
)

Edits = tuple[Edit, ...]


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

    @property
    def mistyped(self) -> bool:
        """Whether the observed array has another dtype than the expected one."""
        return self.dtype != self.reference.dtype.name

    @property
    def right(self) -> bool:
        """Whether the values are right, whatever their dtype."""
        if self.observed.shape != self.reference.values.shape:
            return False
        return bool(right(self.reference, self.observed).all())

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
        return data.reductions(self.request)[self.name]

    @cached_property
    def budget(self) -> int:
        """Number of evaluations that the search may take."""
        work = math.prod(self.request.output_shape) * max(data.reductions(self.request)["y"], 1)
        return min(max(WORK // max(work, LEAST_WORK), LEAST_EVALUATIONS), EVALUATIONS)

    def fits(self, meaning: Meaning) -> bool:
        """Whether the meaning gives what was observed, within the error bound of its own sums."""
        if self.name == "y":
            shape = evaluation.output_shape(meaning)
            if shape is not None and shape != self.observed.shape:
                return False
        try:
            values = evaluation.evaluate(meaning, self.data, self.name)
            if values.shape != self.observed.shape or values.dtype.kind not in "fi":
                return False
            if not self._near(meaning, values):
                return False
            return self._equal(meaning, values)
        except (Inapplicable, ValueError, IndexError):
            return False

    def _near(self, meaning: Meaning, values: Array) -> bool:
        """A cheap test that fails for nearly all that do not fit."""
        if self.reference.allowed is None:
            return True
        sums, dtype = self._sums(meaning), self.own_dtype
        base = self.reference.sums.unit_roundoff or 1.0
        scale = LOOSE * float(np.max(self.reference.allowed, initial=0.0))
        scale *= max(sums.unit_roundoff / base, 1.0)
        with np.errstate(invalid="ignore"):
            apart = np.abs(self.observed.astype(np.float64) - values)
            rounding = max(sums.unit_roundoff, dtype.unit_roundoff) * np.abs(values)
        return not bool((apart > scale + LOOSE * rounding).any())

    def _equal(self, meaning: Meaning, values: Array) -> bool:
        dtype = self.own_dtype
        cast = evaluation.finish(values, dtype.name)
        allowed = None
        if dtype.floating and self._inexact(meaning):
            allowed = self._allowed(meaning, self._sums(meaning))
        candidate = Reference(self.name, dtype, cast, values, allowed, self.reference.sums)
        return compare(candidate, self.observed, dtype.name).outcome == "pass"

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
        magnitude = np.abs(evaluation.evaluate(meaning, among, self.name))
        return allowed_error(self.own_dtype, sums, self.terms + 1, magnitude)

    def loosely_right(self) -> bool:
        """Whether sums carried in the request's own dtype, and only these, explain the error."""
        dtype = self.reference.dtype
        if self.mistyped or self.reference.sums is dtype or not dtype.floating:
            return False
        if self.observed.shape != self.reference.values.shape:
            return False
        allowed = self._allowed(Meaning(self.request), dtype)
        return bool(right(replace(self.reference, allowed=allowed), self.observed).all())


def neighbourhood(request: Request, name: str) -> list[Edit]:
    """All single edits of a request that change its meaning, each meaning once."""
    everything = itertools.chain(
        padding_edits(request),
        stride_edits(request),
        kernel_edits(request),
        pooling_edits(request),
        fill_edits(request),
        tie_edits(request, name),
        number_edits(request, name),
        layout_edits(request, name),
    )
    seen = {Meaning(request).canonical}
    chosen = []
    for edit in everything:
        try:
            meaning = applied(request, [edit]).canonical
        except ValueError:
            continue
        if meaning not in seen:
            seen.add(meaning)
            chosen.append(edit)
    return sorted(chosen, key=lambda edit: edit.cost)


def search(question: Question, among: Sequence[Edits] | None = None) -> list[Edits]:
    """The smallest sets of edits that reproduce what was observed, the likeliest first.

    ``among`` restricts the search to candidates that an earlier one found. No edits at all is an
    explanation where nothing but the dtype is wrong.
    """
    if among is not None:
        return [edits for edits in among if _fits(question, edits)]
    if question.mistyped and (question.right or question.fits(Meaning(question.request))):
        return [()]
    singles = [
        edit for edit in neighbourhood(question.request, question.name) if not _idle(question, edit)
    ]
    found: list[Edits] = [
        (edit,) for edit in singles[: question.budget] if _fits(question, (edit,))
    ]
    if found:
        return _distinct(question, found)
    if question.loosely_right():
        return [(STORAGE_SUMS,)]
    left = question.budget - len(singles)
    for pair in itertools.islice(_pairs(question, singles), max(left, 0)):
        if question.fits(pair[1]):
            return [pair[0]]
    return []


def _distinct(question: Question, found: Sequence[Edits]) -> list[Edits]:
    """Of edits that mean the same on other data, too, the likeliest.

    The padding that was dropped and the result that was cropped by as much, say, are one thing.
    """
    chosen: list[Edits] = []
    seen: list[list[Array]] = []
    for edits in found if len(found) > 1 else ():
        results = [_result(question, edits, other) for other in question.others]
        if not any(all(map(_same, results, held)) for held in seen):
            seen.append(results)
            chosen.append(edits)
    return chosen or list(found)


def _result(question: Question, edits: Edits, other: Data) -> Array:
    try:
        return evaluation.evaluate(applied(question.request, edits), other, question.name)
    except (Inapplicable, ValueError):
        return np.empty(0)


def _same(one: Array, other: Array) -> bool:
    return one.shape == other.shape and bool(np.array_equal(one, other, equal_nan=True))


def _idle(question: Question, edit: Edit) -> bool:
    """Whether the edit speaks of values that the data do not have."""
    parts = {change.part for change in edit.changes}
    if parts & {"nan", "skip", "nan-gradient"}:
        return question.finite
    return "subnormals" in parts and not question.subnormal


def _fits(question: Question, edits: Edits) -> bool:
    try:
        return question.fits(applied(question.request, edits))
    except ValueError:
        return False


def _pairs(question: Question, singles: Sequence[Edit]) -> Iterator[tuple[Edits, Meaning]]:
    """Pairs of edits that go together, by cost; those of another shape cost no evaluation."""
    pairs = [
        (one.cost + other.cost, at, (one, other))
        for at, (one, other) in enumerate(itertools.combinations(singles, 2))
        if not one.places & other.places and ALONE.isdisjoint((one.cause, other.cause))
    ]
    for _, _, pair in sorted(pairs, key=lambda entry: entry[:2]):
        try:
            meaning = applied(question.request, pair)
        except ValueError:
            continue
        if question.name == "y":
            shape = evaluation.output_shape(meaning)
            if shape is not None and shape != question.observed.shape:
                continue
        yield pair, meaning


def informative(question: Question) -> bool:
    """Whether a match on these data could hardly be an accident."""
    least = 8 if not isinstance(question.request, Pool) else 4
    return np.unique(question.observed).size >= least
