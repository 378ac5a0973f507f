"""The smallest case of a finding: what is left when only its cause has to stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from conformance import minimize
from conformance.cases import Case
from conformance.fuzzing.drawing import digested
from conformance.fuzzing.findings import Finding
from conformance.fuzzing.outcomes import Guarded, beyond, key, unexpected
from conformance.records import Record
from conformance.repro.choice import FAULT_TRIES

SECONDS = 30.0
Run = Callable[[Case], Guarded]


def shrunk(finding: Finding, run: Run, seconds: float = SECONDS) -> tuple[Case, Record]:
    """The smallest case found that has the finding's cause on its target, and its outcome there.

    ``run`` runs a case. Gradients are computed only where the finding is one of them.
    """
    end = time.monotonic() + seconds
    forward = finding.record.check == "forward"

    def holds(case: Case) -> bool:
        if time.monotonic() > end:
            return False
        fields = case.fields.model_copy(update={"vjp": False}) if forward else case.fields
        # What is kept by a case's id must not be another case's.
        return smaller(finding, run(digested(fields))) is not None

    tries = FAULT_TRIES.get(finding.record.raw, minimize.TRIES)
    case = digested(minimize.minimize(finding.case, holds, tries).fields)
    record = smaller(finding, run(case))
    return (finding.case, finding.record) if record is None else (case, record)


def same(finding: Finding, unit: Guarded) -> Iterator[Record]:
    """The outcomes of a unit that have the finding's cause and are not known otherwise.

    Those come first that are of the form and the check in which it was found.
    """
    found = [
        record
        for record, evidence in unexpected(unit)
        if key(unit.case, record) == finding.key and beyond(unit, record, evidence) is None
    ]
    about = finding.record.check, finding.record.form
    yield from sorted(found, key=lambda record: (record.check, record.form) != about)


def kin(finding: Finding, unit: Guarded) -> list[Record]:
    """All unexpected outcomes of a unit that have the finding's name, gradients beside them too."""
    return [
        record
        for record in unit.records
        if record.unexpected and record.raw != "pass" and key(unit.case, record) == finding.key
    ]


def smaller(finding: Finding, unit: Guarded) -> Record | None:
    """The outcome of a unit that can stand for a finding: of the same form and check."""
    found = next(same(finding, unit), None)
    about = finding.record.check, finding.record.form
    return found if found is not None and (found.check, found.form) == about else None
