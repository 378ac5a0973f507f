"""The search for edits under which the request gives what was observed.

Single edits first, all of them, so that an explanation is known to be the only one; then pairs,
the likelier first, within a budget that is counted in evaluations and not in seconds: the answer
is the same on every machine. Nothing here runs a framework.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from conformance.dtypes import Array
from conformance.explanation import evaluation, focus
from conformance.explanation.edits import Change, Edit, Meaning, applied
from conformance.explanation.evaluation import Data, Inapplicable
from conformance.explanation.option_edits import adaptive_edits, pooling_edits, stride_edits
from conformance.explanation.padding_edits import fill_edits, padding_edits
from conformance.explanation.question import Question
from conformance.explanation.tensor_edits import (
    kernel_edits,
    layout_edits,
    number_edits,
    tie_edits,
)
from conformance.request import Pool, Request

FOCUS = 2**20
CONFIRMED = 4

STORAGE_SUMS = Edit(
    "accumulates-in-storage-dtype",
    (Change("sums", "storage"),),
    "sums carried in the request's own dtype",
    "within the error bound of such sums, beyond that of wider ones",
)

Edits = tuple[Edit, ...]


def neighbourhood(request: Request, name: str) -> list[Edit]:
    """All single edits of a request that change its meaning, each meaning once."""
    seen = {Meaning(request).canonical}
    chosen = []
    for edit in _everything(request, name):
        try:
            meaning = applied(request, [edit]).canonical
        except ValueError:
            continue
        if meaning not in seen:
            seen.add(meaning)
            chosen.append(edit)
    return sorted(chosen, key=lambda edit: edit.cost)


def _everything(request: Request, name: str) -> Iterator[Edit]:
    """All single edits of a request, some of which mean the same."""
    return itertools.chain(
        _sliding_edits(request),
        tie_edits(request, name),
        number_edits(request, name),
        layout_edits(request, name),
    )


def fitting(question: Question) -> list[Edit]:
    """All single edits that give what was observed, those that mean the same as others too."""
    fits: dict[Meaning, bool] = {}
    found = []
    for edit, meaning in _meanings(question.request, question.name):
        canonical = meaning.canonical
        if canonical not in fits:
            fits[canonical] = not _idle(question, edit) and question.fits(meaning)
        if fits[canonical]:
            found.append(edit)
    return found


def of_shape(request: Request, shape: tuple[int, ...]) -> frozenset[str]:
    """The causes of all edits that give the output a shape: all that an empty one can tell."""
    return frozenset(
        edit.cause
        for edit, meaning in _meanings(request, "y")
        if evaluation.output_shape(meaning) == shape
    )


def _meanings(request: Request, name: str) -> Iterator[tuple[Edit, Meaning]]:
    for edit in _everything(request, name):
        try:
            yield edit, applied(request, [edit])
        except ValueError:
            continue


def _sliding_edits(request: Request) -> Iterator[Edit]:
    """Edits of what slides over what; an adaptive pooling has windows of its own."""
    if isinstance(request, Pool) and request.output_size is not None:
        return adaptive_edits(request)
    return itertools.chain(
        padding_edits(request),
        stride_edits(request),
        kernel_edits(request),
        pooling_edits(request),
        fill_edits(request),
    )


def search(question: Question, among: Sequence[Edits] | None = None) -> list[Edits]:
    """The smallest sets of edits that reproduce what was observed, the likeliest first.

    ``among`` restricts the search to candidates that an earlier one found. No edits at all is an
    explanation where nothing but the dtype is wrong.
    """
    if among is not None:
        return [edits for edits in among if _fits(question, edits)]
    if question.mistyped and (question.right or question.fits(Meaning(question.request))):
        return [()]
    if question.empty or question.right:
        return []
    singles = [
        edit for edit in neighbourhood(question.request, question.name) if not _idle(question, edit)
    ]
    found = _focused(question, singles) or [
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


def _focused(question: Question, singles: Sequence[Edit]) -> list[Edits]:
    """Single edits that explain a part of a large question, and then the whole of it."""
    if question.work <= FOCUS:
        return []
    part = focus.part(question.request, question.data, question.reference, question.observed)
    if part is None:
        return []
    smaller = Question(*part, question.dtype)
    found: list[Edits] = [(edit,) for edit in singles if _fits(smaller, (edit,))]
    return [edits for edits in found[:CONFIRMED] if _fits(question, edits)]


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
    if parts & {"nan", "skip", "start", "nan-gradient"}:
        return question.finite
    return "subnormals" in parts and not question.subnormal


def _fits(question: Question, edits: Edits) -> bool:
    try:
        return question.fits(applied(question.request, edits))
    except ValueError:
        return False


def _together(one: Edit, other: Edit) -> bool:
    """Whether two edits make sense as a pair.

    A result moved by one under another padding is a riddle, not an explanation.
    """
    parts = {part for edit in (one, other) for part, _ in edit.places}
    moved = "padding" in parts and not parts.isdisjoint(("result-shift", "result-crop"))
    return not (one.places & other.places or moved or "zero" in parts)


def _pairs(question: Question, singles: Sequence[Edit]) -> Iterator[tuple[Edits, Meaning]]:
    """Pairs of edits that go together, by cost; those of another shape cost no evaluation."""
    pairs = [
        (one.cost + other.cost, at, (one, other))
        for at, (one, other) in enumerate(itertools.combinations(singles, 2))
        if _together(one, other)
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
