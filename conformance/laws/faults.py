"""Which question of a broken law went wrong by itself, what that means, and whether it is known.

Only here is the oracle asked for values, once both sides of a law differ. What a registry knows of
a request it knows of the same request in a law, so that no entry is written twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from conformance import describe, predicates
from conformance.adapter import Form
from conformance.cases import Case
from conformance.compare import compare
from conformance.discovery import Target
from conformance.dtypes import DTYPES, Array, cast
from conformance.explanation import explained
from conformance.inquiry import Evidence, Searches
from conformance.known import Check, Registry
from conformance.laws import parts
from conformance.laws.steps import Ask
from conformance.reference import expect
from conformance.verdicts import Judge


@dataclass(frozen=True)
class Result:
    """What a target gave for a question; ``observed`` is carried as in `dtypes`."""

    ask: Ask
    form: Form
    observed: Array
    dtype: str
    source: str


@dataclass(frozen=True)
class Fault:
    """The question, by its number from 1 on, that went wrong: in which form, and how."""

    number: int
    ask: Ask
    form: Form
    evidence: Evidence

    @property
    def check(self) -> Check:
        """What of the request was wrong."""
        return "forward" if self.ask.cotangent is None else "vjp"

    @property
    def where(self) -> str:
        """The question in words."""
        return f"question {self.number} of the law: {told(self.ask)}"


def told(ask: Ask) -> str:
    """What is asked, in words."""
    words = describe.request(ask.request)
    return f"gradient of {ask.gradient}, {words}" if ask.gradient else words


def first_wrong(case: Case, results: Sequence[Result], searches: Searches) -> Fault | None:
    """The first result that the oracle does not agree with, and what it means."""
    for number, result in enumerate(results, 1):
        evidence = _judged(case, number, result, searches)
        if evidence is not None:
            return Fault(number, result.ask, result.form, evidence)
    return None


def _judged(case: Case, number: int, result: Result, searches: Searches) -> Evidence | None:
    ask, dtype = result.ask, DTYPES[result.ask.request.dtype]
    arrays = tuple(cast(array, dtype) for array in ask.arrays)
    answer = expect(
        ask.request, arrays, None if ask.cotangent is None else cast(ask.cotangent, dtype)
    )
    references = (answer.output, *(answer.gradients or ()))
    wanted = next(each for each in references if each.name == (ask.gradient or "y"))
    verdict = compare(wanted, result.observed, result.dtype)
    if verdict.outcome == "pass":
        return None
    evidence = Evidence(
        verdict.outcome, verdict.difference, reference=wanted, observed=result.observed,
        dtype=result.dtype,
    )  # fmt: skip
    question = evidence.question(answer)
    assert question is not None
    # Findings are kept by a case's id, which stands for one request.
    found = searches(replace(case, id=f"{case.id}#{number}"), question)
    return replace(evidence, explanation=explained(question, found), found=tuple(found))


def known(fault: Fault, case: Case, target: Target, registry: Registry) -> str | None:
    """The entry of a registry that expects the fault of the request by itself."""
    alone = parts.question(case, fault.number, fault.ask)
    expected = expect(alone.request, alone.arrays(), alone.cotangent_array())
    judge = Judge(alone, predicates.facts(alone), target, registry, expected)
    record = judge.record(fault.form, fault.check, fault.evidence)
    return record.known if record.outcome == "known" else None
