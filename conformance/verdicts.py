"""From evidence to a record: known discrepancies are applied."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from conformance import inquiry, resolve
from conformance.adapter import Form
from conformance.cases import Case
from conformance.compare import compare
from conformance.discovery import Target
from conformance.dtypes import Array
from conformance.inquiry import Evidence
from conformance.known import Because, Check, Known, Registry
from conformance.predicates import Facts
from conformance.records import Record, Values
from conformance.reference import Expected, expect
from conformance.request import Request
from conformance.schema import Options

SMALL = 256


@dataclass(frozen=True)
class Judge:
    """A case on a target, and the registry that speaks of it.

    ``expected`` is the oracle's answer, None where it was not asked.
    """

    case: Case
    facts: Facts
    target: Target
    registry: Registry
    expected: Expected | None

    def record(self, form: Form, check: Check, evidence: Evidence) -> Record:
        """The record of one outcome."""
        wrong = evidence.outcome != "pass"
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
            source=evidence.source if wrong else "",
            ulps=evidence.ulps,
            seconds=round(evidence.seconds, 6),
            explanation=evidence.explanation,
        )
        return self._consult(record, evidence)

    def beyond(self, check: Check, evidence: Evidence) -> Known | None:
        """An entry of the API that expects this outcome for its reason, whatever it says of cases.

        None where there is none; an entry that names no reason is none.
        """
        for entry in self.registry.of(self.target.api, check):
            wanted = entry.entry.expect
            reasoned = wanted.because is not None or wanted.error is not None
            if reasoned and self._misfit(entry, evidence) is None:
                return entry
        return None

    def _consult(self, record: Record, evidence: Evidence) -> Record:
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
            found = evidence.explanation.key if evidence.explanation else "something else"
            if isinstance(wanted.because, Options):
                edit = wanted.because.model_dump(exclude_none=True)
                return f"the result of the request with {edit}, not {found}"
            if wanted.because == "spelling":
                return f"the result of the spelling, not {found}"
            return f"{_listed(wanted.because)}, not {found}"
        return None

    def _because(self, because: Because, evidence: Evidence) -> bool:
        """Whether the reason that an entry gives is that of what was observed."""
        if isinstance(because, Options):
            if self.expected is None or self.case.chain is not None:
                return False
            try:
                return self._gives(self.case.edited(because), evidence)
            except resolve.RequestError:
                return False
        if because == "spelling":
            spelled = self.case.respelled(self.target.api)
            return spelled is not None and self._gives(spelled, evidence)
        wanted = frozenset([because] if isinstance(because, str) else because)
        return wanted in inquiry.causes(evidence)

    def _gives(self, edited: Request, evidence: Evidence) -> bool:
        """Whether the oracle gives for the edited request what was observed."""
        if evidence.observed is None or evidence.reference is None or self.expected is None:
            return False
        data, name = self.expected, evidence.reference.name
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


def _listed(names: object) -> str:
    return names if isinstance(names, str) else " and ".join(map(str, names))  # type: ignore[call-overload]


def _values(array: Array, dtype: str) -> Values | None:
    if array.size > SMALL:
        return None
    return Values(array.shape, dtype, tuple(array.reshape(-1).tolist()))
