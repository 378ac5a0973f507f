"""Why an outcome is what it is: explanations, and what a second run says of them.

A wrong array is explained by the search of `explanation`. Where that finds several explanations,
or one that may be an accident of the data, the case is run once more with data that tell meanings
apart; where it finds none, or the process died, once more with the same data, to see whether the
outcome is reproducible at all.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from conformance import data, words
from conformance.cases import Case
from conformance.compare import Difference, Outcome
from conformance.dtypes import Array
from conformance.explanation import Explanation, accidental, explained
from conformance.explanation.edits import Meaning
from conformance.explanation.evaluation import Data
from conformance.explanation.question import Question
from conformance.explanation.search import Edits, search
from conformance.records import Failed
from conformance.reference import Expected, Reference, expect
from conformance.request import Request, input_shapes

CACHED = 512
KEY_LENGTH = 120
Purpose = Literal["run", "again", "telling", "prefix", "step"]


@dataclass(frozen=True)
class Evidence:
    """What one form gave at one stage, and what that means.

    ``found`` are all sets of edits that reproduce ``observed``, the likeliest first.
    """

    outcome: Outcome
    difference: Difference | None = None
    error: Failed | None = None
    reference: Reference | None = None
    observed: Array | None = None
    dtype: str = ""
    ulps: int = 0
    note: str = ""
    source: str = ""
    seconds: float = 0.0
    explanation: Explanation | None = None
    found: tuple[Edits, ...] = ()

    def question(self, expected: Expected) -> Question | None:
        """What is to be explained, where an array is wrong."""
        if self.reference is None or self.observed is None:
            return None
        arrays = Data(expected.arrays, expected.cotangent)
        return Question(expected.request, arrays, self.reference, self.observed, self.dtype)


@dataclass
class Searches:
    """Findings of the search, kept because many targets are wrong in the same way."""

    _held: OrderedDict[tuple[object, ...], list[Edits]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, case: Case, question: Question) -> list[Edits]:
        """The sets of edits that explain what was observed of a case."""
        observed = question.observed
        key = (case.id, question.name, question.dtype, observed.shape, observed.tobytes())
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        found = search(question)
        with self._lock:
            self._held[key] = found
            while len(self._held) > CACHED:
                self._held.popitem(last=False)
        return found


def examined(
    case: Case, expected: Expected, evidence: Evidence, searches: Searches, spelled: Request | None
) -> tuple[Evidence, Purpose | None]:
    """The evidence with its explanation, and what a second run would be good for.

    ``spelled`` is the request of the program where it is not the case's own.
    """
    if evidence.error is not None:
        again: Purpose | None = "again" if evidence.outcome == "crash" else None
        return replace(evidence, explanation=failure(evidence)), again
    question = evidence.question(expected)
    if question is None:
        return evidence, None
    found = searches(case, question)
    if not found and spelled is not None and question.fits(Meaning(spelled)):
        told = "right for what is spelled, which is not the request"
        return replace(evidence, explanation=Explanation("spelling", told)), None
    explanation = explained(question, found)
    evidence = replace(evidence, explanation=explanation, found=tuple(found))
    if not found:
        return evidence, "again"
    return evidence, "telling" if accidental(question, found) else None


def failure(evidence: Evidence) -> Explanation | None:
    """The words of a framework that raised an error, or of the process that ended."""
    error = evidence.error
    if error is None:
        return None
    text = words.essence(error.message)
    if evidence.outcome != "rejected":
        return Explanation(f"{evidence.outcome}: {text}", text)
    if not text.startswith(f"{error.type}:"):
        text = f"{error.type}: {text}" if text else error.type
    masked = re.sub(r"0x[0-9a-f]+|\d+", "#", text)[:KEY_LENGTH]
    return Explanation(f"rejected: {masked}", f"the framework refuses: {text}")


def telling(case: Case, expected: Expected) -> Expected:
    """The case's request on data that tell meanings apart."""
    request = expected.request
    shapes = input_shapes(request)
    arrays = tuple(data.telling(request, name, shape) for name, shape in shapes.items())
    cotangent = None
    if expected.cotangent is not None:
        cotangent = data.telling(request, "y", request.output_shape)
    return expect(request, arrays, cotangent, case.fields.accumulation)


def repeated(evidence: Evidence, second: Evidence) -> Evidence:
    """The evidence after a second run on the same data."""
    explanation = evidence.explanation
    if explanation is None:
        return evidence
    if evidence.outcome == "crash":
        if second.outcome == "crash":
            told = f"{explanation.sentence}, and again in a second run"
        else:
            told = (
                f"{explanation.sentence}, but not in a second run: an earlier case may have "
                "damaged the process"
            )
        return replace(evidence, explanation=replace(explanation, sentence=told))
    told = _changed(evidence, second)
    if told:
        told = f"{told} in a second run on the same data: uninitialised memory or a race"
        edit = {"cause": "unstable"}
        return replace(evidence, explanation=Explanation("unstable", told, (edit,)), found=())
    told = f"{explanation.sentence}; the same in a second run"
    return replace(evidence, explanation=replace(explanation, sentence=told))


def _changed(first: Evidence, second: Evidence) -> str:
    """What became of a wrong array in a second run; nothing where it is the same."""
    if second.outcome == "pass":
        return "right"
    if second.error is not None:
        return f"{second.outcome} ({words.essence(second.error.message)})"
    one, other = first.observed, second.observed
    return "" if one is None or other is None or _equal(one, other) else "not the same"


def _equal(one: Array, other: Array) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def told_apart(evidence: Evidence, first: Question, second: Question | None) -> Evidence:
    """The evidence after a second run on telling data: ``second``, None where that was right.

    Only what explains both runs is kept. If nothing does, the first findings were accidents.
    """
    if second is None:
        return evidence
    kept = search(second, evidence.found)
    if not kept:
        kept = [edits for edits in search(second) if search(first, [edits])]
    return replace(evidence, explanation=explained(first, kept), found=tuple(kept))


def causes(evidence: Evidence) -> Sequence[frozenset[str]]:
    """The names of the causes of every explanation that fits."""
    found: list[frozenset[str]] = [
        frozenset(edit.cause for edit in edits) for edits in evidence.found
    ]
    if evidence.explanation is not None:
        found.append(frozenset(evidence.explanation.causes))
        found.append(frozenset({evidence.explanation.key}))
    return found
