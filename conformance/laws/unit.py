"""What to ask a worker about a law, and what its results say of the law.

A unit asks one request after the other and gives each result to the law. The API's native spelling
counts, its recipe where there is none or the framework refuses it. At the end both sides are
compared; where they differ, the oracle is asked which of the results is wrong, and what that means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from conformance import request
from conformance.adapter import Form
from conformance.cases import Case
from conformance.compare import Difference, Outcome, compare
from conformance.discovery import Target
from conformance.dtypes import DTYPES, DType, cast
from conformance.explanation import Explanation
from conformance.inquiry import Evidence, Searches, failure
from conformance.known import Registry
from conformance.laws import faults
from conformance.laws.catalogue import stated
from conformance.laws.faults import Fault, Result
from conformance.laws.names import WORDS
from conformance.laws.steps import Ask, Sides, Steps
from conformance.laws.tolerance import Tolerance
from conformance.predicates import Facts
from conformance.records import Failed, Record
from conformance.reference import Reference
from conformance.supervisor import Failure
from conformance.verdicts import Judge
from conformance.worker.protocol import Message


@dataclass
class LawUnit:
    """A case's law on a target."""

    case: Case
    facts: Facts
    target: Target
    registry: Registry
    tolerance: Callable[[Case], Tolerance]
    searches: Searches = field(default_factory=Searches)
    _results: list[Result] = field(default_factory=list)
    _seconds: float = 0.0
    _evidence: Evidence | None = None
    _fault: Fault | None = None

    @property
    def records(self) -> list[Record]:
        """The record of the law, once it is known."""
        if self._evidence is None:
            return []
        helped = any(result.form == "emulated" for result in self._results)
        judge = Judge(self.case, self.facts, self.target, self.registry, None)
        record = judge.record("emulated" if helped else "native", "law", self._evidence)
        if record.unexpected and record.known is None and self._fault is not None:
            entry = faults.known(self._fault, self.case, self.target, self.registry)
            if entry is not None:
                record = replace(record, outcome="known", known=entry)
        return [record]

    def message(self) -> Message:
        """The first request to the worker."""
        case = self.case
        assert case.fields.law is not None
        self._steps: Steps = stated(case.fields.law, case.request, case.arrays())
        return self._message(next(self._steps))

    def _message(self, ask: Ask) -> Message:
        self._asked = ask
        header: dict[str, Any] = {
            "type": "run",
            "api": self.target.api,
            "mode": self.target.mode,
            "request": request.to_json(ask.request),
            "spelled": None,
            "forms": None,
            "vjp": ask.cotangent is not None,
        }
        arrays = ask.arrays if ask.cotangent is None else (*ask.arrays, ask.cotangent)
        return Message(header, tuple(cast(array, self._dtype) for array in arrays))

    @property
    def _dtype(self) -> DType:
        return DTYPES[self.case.request.dtype]

    def take(self, reply: Message | Failure) -> Message | None:
        """Note a reply or a fault; the request that has to follow, if any."""
        following = self._following(reply)
        if isinstance(following, Message):
            return following
        source = "" if following.outcome == "pass" else self._source()
        self._evidence = replace(following, source=source, seconds=self._seconds)
        return None

    def _following(self, reply: Message | Failure) -> Message | Evidence:
        if isinstance(reply, Failure):
            outcome: Outcome = "timeout" if reply.kind == "timeout" else "crash"
            error = Failed(outcome, reply.detail, output=reply.output)
            return self._failed(reply.form or "native", Evidence(outcome, error=error))  # type: ignore[arg-type]
        self._seconds += reply.header["seconds"]
        result = self._result(reply)
        if isinstance(result, Evidence):
            return result
        self._results.append(result)
        if result.observed.shape != self._asked.shape:
            return self._misshapen(result)
        complex_too = self._dtype.complex or result.observed.dtype.kind != "c"
        values = result.observed if complex_too else result.observed.real
        try:
            return self._message(self._steps.send(values.astype(self._dtype.wide)))
        except StopIteration as end:
            return self._compared(end.value)

    def _source(self) -> str:
        """The programs that ran, each under the first question that it answered."""
        programs: dict[str, str] = {}
        for result in self._results:
            programs.setdefault(result.source, f"# {faults.told(result.ask)}\n")
        return "\n\n".join(f"{title}{source}" for source, title in programs.items())

    def _result(self, reply: Message) -> Result | Evidence:
        """The first form that gave an array, else why none did."""
        stage, name = ("vjp", self._asked.gradient) if self._asked.gradient else ("forward", "y")
        failures: list[tuple[Form, Evidence]] = []
        for form in reply.header["forms"]:
            if form.get("available"):
                continue  # not run, as the native form was right
            if "unsupported" in form:
                failures.append((form["form"], Evidence("unsupported", note=form["unsupported"])))
                continue
            part: Mapping[str, Any] = form.get(stage) or form["forward"]
            if "error" in part:
                error = Evidence("rejected", error=Failed(**part["error"]))
                failures.append((form["form"], error))
                continue
            # Without a gradient there is the output, whose shape is not the cotangent's.
            told = part[name if stage in form else "y"]
            array = reply.arrays[told["array"]]
            if stage not in form and array.shape == self._asked.request.output_shape:
                note = f"{self.target.backend} has no gradients"
                failures.append((form["form"], Evidence("unsupported", note=note)))
                continue
            return Result(self._asked, form["form"], array, told["dtype"], form["source"])
        rejected = (each for each in failures if each[1].outcome == "rejected")
        return self._failed(*next(rejected, failures[0]))

    def _failed(self, form: Form, evidence: Evidence) -> Evidence:
        """A question without a result."""
        evidence = replace(evidence, explanation=failure(evidence))
        self._fault = Fault(len(self._results) + 1, self._asked, form, evidence)
        note = f"{evidence.note} ({self._fault.where})" if evidence.note else self._fault.where
        return replace(evidence, note=note)

    def _misshapen(self, result: Result) -> Evidence:
        """A result whose shape is not the request's: no law can go on with it."""
        name, dtype = result.ask.gradient or "y", self._dtype.name
        difference = Difference(name, result.ask.shape, result.observed.shape, dtype, result.dtype)
        return self._explained(Evidence("wrong-shape", difference))

    def _compared(self, sides: Sides) -> Evidence:
        own, other = sides
        dtype = self._dtype
        allowed = self.tolerance(self.case).allowed
        reference = Reference("y", dtype, cast(own, dtype), own, allowed, dtype)
        observed = cast(other, dtype)
        verdict = compare(reference, observed, dtype.name)
        if verdict.difference is None:
            return Evidence(verdict.outcome, ulps=verdict.ulps)
        assert self.case.fields.law is not None
        words = WORDS[self.case.fields.law].of(self.case.request.op)
        evidence = Evidence(
            verdict.outcome,
            replace(verdict.difference, sides=words),
            reference=reference,
            observed=observed,
            dtype=dtype.name,
            ulps=verdict.ulps,
        )
        return self._explained(evidence)

    def _explained(self, evidence: Evidence) -> Evidence:
        """The evidence with the first result that is wrong by itself, and what that means."""
        fault = faults.first_wrong(self.case, self._results, self.searches)
        if fault is None or fault.evidence.explanation is None:
            told = "each result by itself is right, within its error bound where it has one"
            return replace(evidence, explanation=Explanation(f"law: {self.case.fields.law}", told))
        self._fault = fault
        meaning = fault.evidence.explanation
        explanation = replace(meaning, sentence=f"{meaning.sentence} ({fault.where})")
        return replace(evidence, explanation=explanation, found=fault.evidence.found)
