"""What to ask a worker about one unit: one case on one target.

A unit asks for the native form, the spelled one where the case has one, and the emulated one where
the native form is missing or not right. A fault ends one form at one stage; what it kept from
running is asked for again. What is wrong may be asked for a second time, see `inquiry`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from conformance import inquiry, request
from conformance.adapter import Form
from conformance.cases import Case
from conformance.compare import Outcome, Verdict, compare
from conformance.discovery import Target
from conformance.inquiry import Evidence, Purpose, Searches
from conformance.known import Check, Registry
from conformance.predicates import Facts
from conformance.records import Failed, Record
from conformance.reference import Expected, Reference
from conformance.supervisor import Failure
from conformance.verdicts import Judge, not_run
from conformance.worker.protocol import Message

FORMS: tuple[Form, ...] = ("native", "spelled", "emulated")
CHECKS: tuple[Check, ...] = ("forward", "vjp")

__all__ = ["RequestUnit", "not_run"]


@dataclass(frozen=True)
class Ask:
    """A message to the worker: which forms (all that are needed where None), and what for.

    ``length`` is that of a chain's prefix, 0 for all of it.
    """

    form: Form | None = None
    vjp: bool = True
    purpose: Purpose = "run"
    length: int = 0


@dataclass
class RequestUnit:
    """A case on a target, what is known of it, and what still has to be asked."""

    case: Case
    facts: Facts
    target: Target
    registry: Registry
    expected: Callable[[Case], Expected]
    searches: Searches = field(default_factory=Searches)
    _evidence: dict[tuple[Form, Check], Evidence] = field(default_factory=dict)
    _waiting: deque[Ask] = field(default_factory=deque)
    _asked: Ask = Ask()

    @property
    def records(self) -> list[Record]:
        """The records of what is known so far."""
        return [self.judge.record(*about, evidence) for about, evidence in self.evidence.items()]

    @property
    def judge(self) -> Judge:
        """What makes records of evidence."""
        return Judge(self.case, self.facts, self.target, self.registry, self.expected(self.case))

    @property
    def evidence(self) -> Mapping[tuple[Form, Check], Evidence]:
        """What each form gave at each stage, so far."""
        return self._evidence

    @cached_property
    def _telling(self) -> Expected:
        return inquiry.telling(self.case, self.expected(self.case))

    def _data(self, ask: Ask) -> Expected:
        return self._telling if ask.purpose == "telling" else self.expected(self.case)

    def _asked_request(self, ask: Ask) -> dict[str, Any]:
        """What is asked for, as JSON values."""
        return request.to_json(self.case.request)

    def message(self) -> Message:
        """The first request to the worker."""
        return self._message(Ask())

    def _message(self, ask: Ask) -> Message:
        self._asked = ask
        data = self._data(ask)
        vjp = ask.vjp and data.cotangent is not None
        header: dict[str, Any] = {
            "type": "run",
            "api": self.target.api,
            "mode": self.target.mode,
            "request": self._asked_request(ask),
            "spelled": self.case.spelled(self.target.api),
            "forms": None if ask.form is None else [ask.form],
            "view": self.case.fields.view,
            "vjp": vjp,
        }
        arrays = data.arrays
        if vjp and data.cotangent is not None:
            arrays += (data.cotangent,)
        return Message(header, arrays)

    def take(self, reply: Message | Failure) -> Message | None:
        """Note a reply or a fault; the request that has to follow, if any."""
        ask = self._asked
        if isinstance(reply, Failure):
            self._fault(ask, reply)
        else:
            for form in reply.header["forms"]:
                if form.get("available"):
                    self._waiting.append(Ask("emulated"))
                else:
                    self._form(ask, form, reply)
        return self._next()

    def _next(self) -> Message | None:
        while self._waiting:
            ask = self._waiting.popleft()
            if ask.purpose != "run" or ask.form != "emulated" or not self._right("native"):
                return self._message(ask)
        return None

    def _right(self, form: Form) -> bool:
        outcomes = [e.outcome for (name, _), e in self._evidence.items() if name == form]
        return bool(outcomes) and all(outcome == "pass" for outcome in outcomes)

    def _fault(self, ask: Ask, failure: Failure) -> None:
        form: Form = failure.form or ask.form or "native"  # type: ignore[assignment]
        check: Check = "vjp" if failure.stage == "vjp" else "forward"
        outcome: Outcome = "timeout" if failure.kind == "timeout" else "crash"
        evidence = Evidence(outcome, error=Failed(outcome, failure.detail, output=failure.output))
        if ask.purpose != "run":
            self._second(ask, form, check, evidence)
            return
        if ask.form is None:
            spelled = self.target.api in self.case.spellings
            others = [f for f in FORMS if f != form and (f != "spelled" or spelled)]
            self._waiting.extend(map(Ask, others))
        if check == "vjp":
            # The forward pass had ended well; it is run again for its verdict.
            self._waiting.appendleft(Ask(form, vjp=False))
        self._note(form, check, evidence)

    def _form(self, ask: Ask, reply: Mapping[str, Any], message: Message) -> None:
        form: Form = reply["form"]
        seconds = message.header["seconds"] / max(len(message.header["forms"]), 1)
        if "unsupported" in reply:
            self._note(form, "forward", Evidence("unsupported", note=reply["unsupported"]))
            return
        data = self._data(ask)
        for check in CHECKS:
            stage = reply.get(check)
            if stage is None:
                continue
            if "error" in stage:
                evidence = Evidence("rejected", error=Failed(**stage["error"]))
            else:
                references = (data.output,) if check == "forward" else data.gradients or ()
                evidence = self._compare(references, stage, message)
            evidence = replace(evidence, source=reply.get("source", ""), seconds=seconds)
            if ask.purpose == "run":
                self._note(form, check, evidence)
            else:
                self._second(ask, form, check, evidence)

    def _compare(
        self, references: tuple[Reference, ...], stage: Mapping[str, Any], message: Message
    ) -> Evidence:
        """The verdict on all arrays of a stage: the first that is wrong, or a pass."""
        largest = 0
        for reference in references:
            part = stage[reference.name]
            observed = message.arrays[part["array"]]
            verdict: Verdict = compare(
                reference, observed, part["dtype"], self.case.fields.signed_zero
            )
            if verdict.outcome != "pass":
                return Evidence(
                    verdict.outcome,
                    verdict.difference,
                    reference=reference,
                    observed=observed,
                    dtype=part["dtype"],
                    ulps=verdict.ulps,
                )
            largest = max(largest, verdict.ulps)
        return Evidence("pass", ulps=largest)

    def _note(self, form: Form, check: Check, evidence: Evidence) -> None:
        """Keep what a first run gave, with its explanation."""
        evidence, purpose = self._examined(form, check, evidence)
        self._evidence[form, check] = evidence
        ask = Ask(form, check == "vjp", purpose or "run", 1 if purpose == "prefix" else 0)
        if purpose is not None and ask not in self._waiting:
            self._waiting.append(ask)

    def _examined(
        self, form: Form, check: Check, evidence: Evidence
    ) -> tuple[Evidence, Purpose | None]:
        """The evidence with its explanation, and what a second run would be good for."""
        spelled = self.case.respelled(self.target.api) if form == "spelled" else None
        expected = self.expected(self.case)
        return inquiry.examined(self.case, expected, evidence, self.searches, spelled)

    def _second(self, ask: Ask, form: Form, check: Check, second: Evidence) -> None:
        """Hold what a second run gave against the first."""
        wanted: Check = "vjp" if ask.vjp else "forward"
        first = self._evidence.get((form, check))
        if first is None or check != wanted:
            return
        if ask.purpose == "again":
            self._evidence[form, check] = inquiry.repeated(first, second)
            return
        before = first.question(self.expected(self.case))
        if before is not None and second.error is None:
            after = second.question(self._telling)
            self._evidence[form, check] = inquiry.told_apart(first, before, after)
