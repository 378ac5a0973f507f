"""What a wrong result means: the smallest change of the request that gives exactly it.

    from conformance import explain
    print(explain(observed, request, (x, w)))

The search (`search`) tries the request with single edits (`padding_edits`, `option_edits`,
`tensor_edits`), then with pairs of them, and compares the oracle's answer (`evaluation`) with what
was observed. Where nothing fits, `remarks` says what can be said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance import reference, words
from conformance.compare import compare
from conformance.dtypes import DTYPES, Array
from conformance.explanation.causes import CAUSES, Cause
from conformance.explanation.edits import Edit
from conformance.explanation.evaluation import Data
from conformance.explanation.question import Question
from conformance.explanation.remarks import remarks
from conformance.explanation.search import Edits, search
from conformance.request import Request, input_shapes

__all__ = ["CAUSES", "Cause", "Edit", "Explanation", "Question", "explain", "explained", "search"]

UNEXPLAINED = "unexplained"
RETYPED: Cause = "result-dtype"


@dataclass(frozen=True)
class Explanation:
    """What a wrong result means.

    ``key`` names the causes, joined by ``+``, for grouping; it begins with ``unexplained`` where
    nothing fits, and ``sentence`` then says what can be said. ``edits`` are the causes with their
    numbers, as data. ``others`` are the sentences of further explanations that fit as well: the
    data cannot tell them apart.
    """

    key: str
    sentence: str
    edits: tuple[dict[str, Any], ...] = ()
    others: tuple[str, ...] = ()

    @property
    def causes(self) -> tuple[str, ...]:
        """The names of the causes; none where nothing fits."""
        return tuple(edit["cause"] for edit in self.edits)

    def __str__(self) -> str:
        more = f" (ambiguous: or {'; or '.join(self.others)})" if self.others else ""
        return self.sentence + more


def explain(
    observed: Array,
    request: Request,
    inputs: Sequence[Array],
    *,
    cotangent: Array | None = None,
    array: str = "y",
    dtype: str | None = None,
    accumulation: str | None = None,
) -> Explanation | None:
    """Explain a result that is not what the request means; None where it is right.

    Args:
        observed: The result in canonical layout: the output ``(N, C, *spatial)``, or a gradient in
            the shape of its input.
        request: What was asked for; see `conformance.make_request`.
        inputs: x, w, b in canonical layout, as many as the request has, in its dtype (bfloat16
            as float32 arrays of bfloat16 values).
        cotangent: The output's cotangent, needed for gradients.
        array: Which array was observed: ``y``, or ``x``, ``w``, ``b`` for the gradient of an input.
        dtype: The observed array's dtype where the array only carries it (bfloat16).
        accumulation: The dtype that sums are to be carried in, the request's own by default.

    Raises:
        ValueError: the arrays do not fit the request, or a gradient has no cotangent.
    """
    arrays = tuple(np.asarray(each) for each in inputs)
    _check(request, arrays, cotangent, array)
    dy = None if cotangent is None else np.asarray(cotangent)
    answer = reference.expect(request, arrays, dy, accumulation)
    wanted = {"y": answer.output, **{g.name: g for g in answer.gradients or ()}}[array]
    observed = np.asarray(observed)
    name = dtype or _dtype_name(observed, request)
    verdict = compare(wanted, observed, name)
    if verdict.outcome == "pass":
        return None
    question = Question(request, Data(arrays, dy), wanted, observed, name)
    return explained(question, search(question))


def explained(question: Question, found: Sequence[Edits]) -> Explanation:
    """The explanation that a search's findings make."""
    if not found:
        kind, told = remarks(question)
        return Explanation(f"{UNEXPLAINED}: {kind}", told)
    first, *rest = found
    causes = sorted({edit.cause for edit in first} | ({RETYPED} if question.mistyped else set()))
    edits = [edit.to_json() for edit in first]
    if question.mistyped:
        edits.append({"cause": RETYPED, "dtype": question.dtype})
    others = tuple(sentence(question, other) for other in rest)
    return Explanation("+".join(causes), sentence(question, first), tuple(edits), others)


def sentence(question: Question, edits: Edits) -> str:
    """What the edits say, as a maintainer reads it."""
    subject = ""
    if question.name != "y":
        subject = f"the {words.ARRAYS[question.name]} "
    ahead = "equals that of" if subject else "equals"
    said = [edit.said for edit in edits]
    if question.mistyped:
        said.append(f"a result in {question.dtype} instead of {question.reference.dtype.name}")
    text = f"{subject}{ahead} the request with {' and '.join(said)}"
    meanings = "; ".join(edit.meaning for edit in edits if edit.meaning)
    return f"{text}: {meanings}" if meanings else text


def accidental(question: Question, found: Sequence[Edits]) -> bool:
    """Whether other data should be asked before the findings are believed."""
    if not found:
        return False
    return bool(found[0]) and (len(found) > 1 or len(found[0]) > 1 or not question.informative)


def _dtype_name(observed: Array, request: Request) -> str:
    """The array's dtype; float32 stands for bfloat16 where the request is in bfloat16."""
    carrier = DTYPES[request.dtype].carrier
    return request.dtype if observed.dtype == carrier else observed.dtype.name


def _check(request: Request, arrays: Sequence[Array], cotangent: Array | None, array: str) -> None:
    wanted = input_shapes(request)
    given = tuple(each.shape for each in arrays)
    if given != tuple(wanted.values()):
        told = ", ".join(f"{name} {list(shape)}" for name, shape in wanted.items())
        raise ValueError(f"the request has {told}; got {', '.join(map(str, map(list, given)))}")
    if array != "y" and array not in wanted:
        raise ValueError(f"the request has no array {array!r}; it has y, {', '.join(wanted)}")
    if array != "y" and cotangent is None:
        raise ValueError("a gradient needs the cotangent that it belongs to")
    if cotangent is not None and np.shape(cotangent) != request.output_shape:
        raise ValueError(
            f"the cotangent has the output's shape {list(request.output_shape)}, "
            f"got {list(np.shape(cotangent))}"
        )
