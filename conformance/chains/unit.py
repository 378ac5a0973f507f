"""What to ask a worker about a chain, and which of its steps differs first.

A chain is asked for like a request: natively, and by its recipe where that fails. Where a form is
not right, its prefixes are run, the shortest first, with the oracle's cotangent where it is the
gradients that are wrong. The first prefix that is not right names the step. That is run by itself
on operands that are right; what comes of it is explained, and what a registry knows of its request
is known.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from conformance import describe, request
from conformance.adapter import Form
from conformance.chains import chain as chains
from conformance.chains.chain import Chain
from conformance.chains.oracle import answer
from conformance.chains.parts import Parts
from conformance.explanation import Explanation, explained
from conformance.inquiry import Evidence, Purpose, failure
from conformance.judge import Ask, RequestUnit
from conformance.known import Check
from conformance.laws import faults
from conformance.laws.faults import Fault
from conformance.records import Record
from conformance.reference import Expected, expect

About = tuple[Form, Check]


@dataclass
class ChainUnit(RequestUnit):
    """A chain on a target."""

    _faults: dict[About, Fault] = field(default_factory=dict)
    _settled: set[tuple[Form, Check, Purpose]] = field(default_factory=set)

    @property
    def _chain(self) -> Chain:
        assert self.case.chain is not None
        return self.case.chain

    @property
    def records(self) -> list[Record]:
        """The records of what is known so far."""
        return [self._consulted(record) for record in super().records]

    def _consulted(self, record: Record) -> Record:
        """The record, known where the step that it is about is."""
        fault = self._faults.get((record.form, record.check))
        if fault is None or not record.unexpected or record.known is not None:
            return record
        forms: tuple[Form, ...] = ("native", "emulated")
        for form in forms:
            entry = faults.known(replace(fault, form=form), self.case, self.target, self.registry)
            if entry is not None:
                return replace(record, outcome="known", known=entry)
        return record

    def _asked_request(self, ask: Ask) -> dict[str, Any]:
        steps = self._chain.steps
        alone = steps[ask.length - 1].request if ask.purpose == "step" else None
        if alone is not None:
            return request.to_json(alone)
        return chains.to_json(self._chain.prefix(ask.length) if ask.length else self._chain)

    @cached_property
    def _parts(self) -> Parts:
        return Parts(self.case)

    def _data(self, ask: Ask) -> Expected:
        whole = self.expected(self.case)
        if not ask.length:
            return whole
        if ask.purpose == "step":
            alone = self._parts.alone(self._chain.steps[ask.length - 1], ask.vjp)
            return expect(alone.request, alone.arrays, alone.cotangent)
        prefix = self._chain.prefix(ask.length)
        by_name = dict(zip(self._chain.names, whole.arrays))
        arrays = tuple(by_name[name] for name in prefix.names)
        cotangent = self._parts.share(prefix.steps[-1]) if ask.vjp else None
        output, gradients = answer(prefix, arrays, cotangent)
        return Expected(whole.request, arrays, cotangent, output, gradients)

    def _examined(
        self, form: Form, check: Check, evidence: Evidence
    ) -> tuple[Evidence, Purpose | None]:
        if evidence.outcome in ("pass", "unsupported"):
            return evidence, None
        return replace(evidence, explanation=failure(evidence)), "prefix"

    def _second(self, ask: Ask, form: Form, check: Check, second: Evidence) -> None:
        """Go on to the next prefix, name the step that the last one ends with, or explain it.

        Of gradients, an output that is wrong on the way to them says it all.
        """
        wanted: Check = "vjp" if ask.vjp else "forward"
        about = (form, wanted, ask.purpose)
        if about in self._settled or (check != wanted and second.outcome == "pass"):
            return
        if ask.purpose == "step":
            self._settled.add(about)
            self._meant(ask, (form, wanted), check, second)
        elif second.outcome != "pass":
            self._settled.add(about)
            self._named(ask, (form, wanted), check)
        elif ask.length < len(self._chain.steps):
            self._waiting.append(replace(ask, length=ask.length + 1))
        elif self._chain.training is not None:
            told = "the loss and its gradients are right where the descent begins"
            self._explain((form, wanted), Explanation("descent", told))
        else:
            told = "every prefix is right, also the whole chain, when it is run once more"
            self._explain((form, wanted), Explanation("unstable", told, ({"cause": "unstable"},)))

    def _named(self, ask: Ask, about: About, check: Check) -> None:
        """Name the step; an operator is asked for by itself, too."""
        step = self._chain.steps[ask.length - 1]
        what = "gradient" if check == "vjp" else "output"
        told = f"{step.name} ({describe.step(step)}) is the first step whose {what} is not right"
        self._explain(about, Explanation(f"step: {step.op}", told))
        if step.request is not None:
            self._waiting.append(replace(ask, purpose="step"))

    def _meant(self, ask: Ask, about: About, check: Check, second: Evidence) -> None:
        """What a step by itself gave, on operands that are right, and what that means."""
        first = self._evidence[about].explanation
        assert first is not None
        meaning = failure(second)
        question = second.question(self._data(ask))
        if question is not None:
            number = f"{self.case.id}#{ask.length}"
            found = self.searches(replace(self.case, id=number), question)
            meaning = explained(question, found)
            second = replace(second, found=tuple(found))
        if meaning is None:
            told = f"{first.sentence}; by itself it is right"
            self._explain(about, replace(first, sentence=told))
            return
        sentence = f"{first.sentence}: {meaning.sentence}"
        self._explain(about, replace(meaning, sentence=sentence))
        evidence = replace(second, explanation=meaning)
        alone = self._parts.alone(self._chain.steps[ask.length - 1], check == "vjp")
        self._faults[about] = Fault(ask.length, alone, about[0], evidence)

    def _explain(self, about: About, explanation: Explanation) -> None:
        self._evidence[about] = replace(self._evidence[about], explanation=explanation)
