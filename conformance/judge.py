"""From a worker's replies to the records of one unit: one case on one target.

A unit asks for the native form, the spelled one where the case has one, and the emulated one where
the native form is missing or not right. A fault ends one form at one stage; what it kept from
running is asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from conformance import request, resolve
from conformance.adapter import Form
from conformance.cases import Case
from conformance.compare import Difference, Outcome, Verdict, compare
from conformance.discovery import Target
from conformance.dtypes import Array
from conformance.known import Check, Facts, Known, Registry
from conformance.records import Failed, Record, Values
from conformance.reference import Expected, Reference, expect
from conformance.schema import Options
from conformance.supervisor import Failure
from conformance.worker.protocol import Message

SMALL = 256
FORMS: tuple[Form, ...] = ("native", "spelled", "emulated")


@dataclass(frozen=True)
class Evidence:
    """What one form gave at one stage."""

    outcome: Outcome
    difference: Difference | None = None
    error: Failed | None = None
    reference: Reference | None = None
    observed: Array | None = None
    dtype: str = ""
    ulps: int = 0
    note: str = ""


@dataclass
class Unit:
    """A case on a target, its records so far, and the forms that still have to run."""

    case: Case
    facts: Facts
    target: Target
    registry: Registry
    expected: Callable[[Case], Expected]
    records: list[Record] = field(default_factory=list)
    _waiting: list[Form] = field(default_factory=list)
    _first: bool = True

    def message(self) -> Message:
        """The first request to the worker."""
        return self._message(None)

    def _message(self, forms: list[Form] | None, vjp: bool = True) -> Message:
        data = self.expected(self.case)
        spelled = self.case.spellings.get(self.target.api)
        header: dict[str, Any] = {
            "type": "run",
            "api": self.target.api,
            "mode": self.target.mode,
            "request": request.to_json(self.case.request),
            "spelled": None if spelled is None else request.to_json(spelled),
            "forms": forms,
            "vjp": vjp and data.cotangent is not None,
        }
        arrays = data.arrays
        if vjp and data.cotangent is not None:
            arrays += (data.cotangent,)
        return Message(header, arrays)

    def take(self, reply: Message | Failure) -> Message | None:
        """Note a reply or a fault; the request that has to follow, if any."""
        first, self._first = self._first, False
        if isinstance(reply, Failure):
            return self._fault(reply, first)
        for form in reply.header["forms"]:
            if form.get("available"):
                self._waiting.append("emulated")
            else:
                self._form(form, reply)
        return self._next()

    def _next(self) -> Message | None:
        while self._waiting:
            form = self._waiting.pop(0)
            if form != "emulated" or not self._right("native"):
                return self._message([form])
        return None

    def _right(self, form: Form) -> bool:
        outcomes = [record.raw for record in self.records if record.form == form]
        return bool(outcomes) and all(outcome == "pass" for outcome in outcomes)

    def _fault(self, failure: Failure, first: bool) -> Message | None:
        form: Form = failure.form or "native"  # type: ignore[assignment]
        check: Check = "vjp" if failure.stage == "vjp" else "forward"
        outcome: Outcome = "timeout" if failure.kind == "timeout" else "crash"
        error = Failed(outcome, failure.detail, output=failure.output)
        self._add(form, check, Evidence(outcome, error=error), "", 0.0)
        if first:
            spelled = self.target.api in self.case.spellings
            others = [f for f in FORMS if f != form and (f != "spelled" or spelled)]
            self._waiting = others
        if check == "vjp":
            # The forward pass had ended well; it is run again for its verdict.
            return self._message([form], vjp=False)
        return self._next()

    def _form(self, reply: Mapping[str, Any], message: Message) -> None:
        form: Form = reply["form"]
        source = reply.get("source", "")
        seconds = message.header["seconds"] / max(len(message.header["forms"]), 1)
        if "unsupported" in reply:
            evidence = Evidence("unsupported", note=reply["unsupported"])
            self._add(form, "forward", evidence, "", 0.0)
            return
        data = self.expected(self.case)
        for check in ("forward", "vjp"):
            stage = reply.get(check)
            if stage is None:
                continue
            if "error" in stage:
                evidence = Evidence("rejected", error=Failed(**stage["error"]))
            else:
                references = (data.output,) if check == "forward" else data.gradients or ()
                evidence = self._compare(references, stage, message.arrays)
            self._add(form, check, evidence, source, seconds)

    def _compare(
        self, references: tuple[Reference, ...], stage: Mapping[str, Any], arrays: tuple[Array, ...]
    ) -> Evidence:
        """The verdict on all arrays of a stage: the first that is wrong, or a pass."""
        largest = 0
        for reference in references:
            part = stage[reference.name]
            observed = arrays[part["array"]]
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

    def _add(
        self, form: Form, check: Check, evidence: Evidence, source: str, seconds: float
    ) -> None:
        record = Record(
            self.case.id,
            self.target.backend,
            self.target.api,
            self.target.mode,
            form,
            check,
            evidence.outcome,
            evidence.outcome,
            note=evidence.note,
            error=evidence.error,
            difference=evidence.difference,
            expected=_values(evidence.reference.values, evidence.reference.dtype.name)
            if evidence.reference is not None
            else None,
            observed=_values(evidence.observed, evidence.dtype)
            if evidence.observed is not None
            else None,
            source=source if evidence.outcome != "pass" else "",
            ulps=evidence.ulps,
            seconds=round(seconds, 6),
        )
        self.records.append(self._consult(record, evidence))

    def _consult(self, record: Record, evidence: Evidence) -> Record:
        """Apply the registry."""
        entries = self.registry.about(
            self.facts, self.target.api, self.target.mode, record.form, record.check
        )
        spoken_of = {entry.entry.expect.outcome for entry in entries}
        if not entries or (record.raw == "unsupported" and "unsupported" not in spoken_of):
            # What an API cannot say, it cannot do wrong.
            return record
        misfits = []
        for entry in entries:
            misfit = self._misfit(entry, evidence)
            if misfit is None:
                return replace(record, outcome="known", known=entry.entry.id)
            misfits.append((entry, misfit))
        entry, misfit = misfits[0]
        if record.raw == "pass":
            if not entry.entry.stable:
                return record
            note = f"stale entry {entry.entry.id} ({entry.where}): this passes now; remove it"
            return replace(record, outcome="fixed", known=entry.entry.id, note=note)
        note = f"fails differently than entry {entry.entry.id} ({entry.where}) expects: {misfit}"
        note = "; ".join(filter(None, (record.note, note)))
        return replace(record, known=entry.entry.id, note=note)

    def _misfit(self, entry: Known, evidence: Evidence) -> str | None:
        """Why an outcome is not the one that an entry expects, or None."""
        wanted = entry.entry.expect
        if evidence.outcome != wanted.outcome:
            return f"{wanted.outcome}, not {evidence.outcome}"
        if wanted.error is not None:
            text = f"{evidence.error}" if evidence.error else evidence.note
            if not re.search(wanted.error, text):
                return f"an error that matches /{wanted.error}/"
        difference = evidence.difference
        if wanted.shape is not None:
            shape = list(difference.observed_shape) if difference else []
            if shape != wanted.shape:
                return f"shape {wanted.shape}, not {shape}"
        if wanted.because is not None and not self._because(wanted.because, evidence):
            if isinstance(wanted.because, Options):
                edit = wanted.because.model_dump(exclude_none=True)
                return f"the result of the request with {edit}"
            return "the result of the spelling"
        return None

    def _because(self, edit: Options | Literal["spelling"], evidence: Evidence) -> bool:
        """Whether the edited request's oracle gives exactly what was observed."""
        if evidence.observed is None or evidence.reference is None:
            return False
        try:
            if isinstance(edit, Options):
                edited = self.case.edited(edit)
            else:
                edited = self.case.spellings[self.target.api]
        except (resolve.RequestError, KeyError):
            return False
        data = self.expected(self.case)
        name = evidence.reference.name
        if name == "y":
            reference = expect(edited, data.arrays).output
        elif data.cotangent is not None and edited.output_shape == data.cotangent.shape:
            gradients = expect(edited, data.arrays, data.cotangent).gradients or ()
            reference = next(gradient for gradient in gradients if gradient.name == name)
        else:
            return False
        return compare(reference, evidence.observed, evidence.dtype).outcome == "pass"


def not_run(case: Case, target: Target, reason: str) -> Record:
    """The record of a unit whose backend is missing or broken."""
    return Record(
        case.id, target.backend, target.api, target.mode, "native", "forward", "not-run", "not-run",
        note=reason,
    )  # fmt: skip


def _values(array: Array, dtype: str) -> Values | None:
    if array.size > SMALL:
        return None
    return Values(array.shape, dtype, tuple(array.reshape(-1).tolist()))
