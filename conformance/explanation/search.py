"""The search for edits under which the request gives what was observed.

Single edits first, all of them, so that an explanation is known to be the only one; then pairs,
the likelier first, within a budget that is counted in evaluations and not in seconds: the answer
is the same on every machine. Nothing here runs a framework.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conformance import data
from conformance.compare import compare
from conformance.dtypes import DTYPES, Array, DType
from conformance.explanation import evaluation
from conformance.explanation.edits import Edit, Meaning, applied
from conformance.explanation.evaluation import Data, Inapplicable
from conformance.explanation.option_edits import pooling_edits, stride_edits
from conformance.explanation.padding_edits import fill_edits, padding_edits
from conformance.explanation.tensor_edits import (
    kernel_edits,
    layout_edits,
    number_edits,
    tie_edits,
)
from conformance.reference import SAFETY, Reference
from conformance.request import Pool, Request

EVALUATIONS = 1500
WORK = 2**31
LEAST_WORK = 2**16
LEAST_EVALUATIONS = 24
LOOSE = 8.0
ALONE = {"all-zero"}

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
        scale = LOOSE * float(np.max(self.reference.allowed, initial=0.0))
        if meaning.get("outputs") == "float32":
            scale *= DTYPES["float32"].unit_roundoff / self.reference.dtype.unit_roundoff
        with np.errstate(invalid="ignore"):
            apart = np.abs(self.observed.astype(np.float64) - values)
        return not bool(
            (apart > scale + LOOSE * self.own_dtype.unit_roundoff * np.abs(values)).any()
        )

    def _equal(self, meaning: Meaning, values: Array) -> bool:
        dtype = self.own_dtype
        cast = evaluation.finish(values, dtype.name)
        allowed = None
        if dtype.floating and self._inexact(meaning):
            among = self.data.magnitudes(self.request)
            magnitude = np.abs(evaluation.evaluate(meaning, among, self.name))
            tiny = float(np.finfo(dtype.carrier).smallest_subnormal)
            allowed = SAFETY * (self.terms + 1) * (self._roundoff(meaning) * magnitude + tiny)
            allowed = np.where(np.isfinite(allowed), allowed, 0.0)
        candidate = Reference(self.name, dtype, cast, values, allowed)
        return compare(candidate, self.observed, dtype.name).outcome == "pass"

    def _inexact(self, meaning: Meaning) -> bool:
        """Whether the meaning's own sums are rounded, so that a match has an error bound."""
        if meaning.any("wraps", "saturates", "zero", "sums"):
            return False
        return self.reference.allowed is not None or meaning.any("divisor", "ties")

    def _roundoff(self, meaning: Meaning) -> float:
        if meaning.get("outputs") == "float32":
            return DTYPES["float32"].unit_roundoff
        return max(self.own_dtype.unit_roundoff, self.reference.dtype.unit_roundoff)


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

    ``among`` restricts the search to candidates that an earlier one found.
    """
    if among is not None:
        return [edits for edits in among if _fits(question, edits)]
    singles = neighbourhood(question.request, question.name)
    found: list[Edits] = [
        (edit,) for edit in singles[: question.budget] if _fits(question, (edit,))
    ]
    if found:
        return found
    left = question.budget - len(singles)
    for pair in itertools.islice(_pairs(question, singles), max(left, 0)):
        if question.fits(pair[1]):
            return [pair[0]]
    return []


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
