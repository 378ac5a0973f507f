"""Which outcome of a case to reproduce, and the smallest case that has it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from conformance import describe, discovery, minimize
from conformance.adapter import Form
from conformance.cases import Case
from conformance.chains.parts import steps
from conformance.discovery import Target, UsageError
from conformance.known import Check
from conformance.laws import parts
from conformance.records import Record
from conformance.workers import Workers

FAULT_TRIES = {"crash": 60, "timeout": 8}


@dataclass(frozen=True)
class Wish:
    """Which outcome is wanted; None leaves it to what happens."""

    form: Form | None = None
    check: Check | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.form, self.check)))


def find(
    workers: Workers, case: Case, targets: Sequence[Target], wish: Wish
) -> tuple[Target, Record]:
    """The first target with an outcome that is not a pass, else with one, and the outcome.

    Raises:
        UsageError: there is nothing to reproduce: no backend is there, or none can say the case.
    """
    passed: tuple[Target, Record] | None = None
    reasons: dict[str, None] = {}
    for target in targets:
        records = workers.run(case, target)
        record = choose(records, wish)
        if record is None:
            reasons[_reason(workers, target, records, wish)] = None
        elif record.raw != "pass":
            return target, record
        else:
            passed = passed or (target, record)
    if passed is None:
        raise UsageError(describe.listing(reasons, 2))
    return passed


def find_part(
    workers: Workers, case: Case, targets: Sequence[Target], wish: Wish
) -> tuple[Case, Target, Record]:
    """The question of a law, or the step of a chain, that goes wrong by itself.

    It is a case: that, its target and its outcome. A wrong array comes before a refusal, which a
    law or a chain may do without.

    Raises:
        UsageError: there is none, or nothing ran.
    """
    found: list[tuple[Case, Target, Record]] = []
    reason: UsageError | None = None
    for question in parts.questions(case) if case.chain is None else steps(case):
        try:
            target, record = find(workers, question, targets, wish)
        except UsageError as error:
            reason = error
            continue
        if record.raw.startswith("wrong-"):
            return question, target, record
        found.append((question, target, record))
    wrong = [each for each in found if each[2].raw != "pass"]
    if wrong:
        return wrong[0]
    if not found and reason is not None:
        raise reason
    what = "step of the chain" if case.chain else f"question of the law {case.fields.law!r}"
    raise UsageError(
        f"each {what} passes by itself on {found[0][1]}, and a script is about one; 'conformance "
        f"run' with -k {case.fields.id} repeats them together"
    )


def choose(records: Sequence[Record], wish: Wish) -> Record | None:
    """The outcome to reproduce: an unexpected one, else a known one, else a pass.

    None where there is nothing that ran.
    """
    wished = [
        record
        for record in records
        if record.raw not in ("unsupported", "not-run")
        and wish.form in (None, record.form)
        and wish.check in (None, record.check)
    ]
    wrong = [record for record in wished if record.raw != "pass"]
    if wrong:
        return min(wrong, key=lambda record: not record.unexpected)
    # The last check of a form is about the output and the gradients.
    return next((record for record in wished[::-1] if record.form == wished[0].form), None)


def _reason(workers: Workers, target: Target, records: Sequence[Record], wish: Wish) -> str:
    """Why there is nothing to reproduce on a target."""
    first = records[0]
    if first.raw == "not-run":
        told = f"{target.backend} does not run: {first.note}"
        if workers.loaded(target):
            return told
        return f"{told}; {discovery.remedy(workers.backends[target.backend])}"
    ran = [f"{r.form} {r.check}" for r in records if r.raw != "unsupported"]
    if ran:
        return f"{target} has no {wish} outcome of {first.case}; it has {', '.join(ran)}"
    return f"{target} cannot say {first.case}: {first.note}"


def cause(record: Record) -> str:
    """What makes two outcomes the same discrepancy: where it is, and what it means."""
    array = "" if record.difference is None else record.difference.array
    key = "" if record.explanation is None else record.explanation.key
    return "|".join((record.raw, record.form, record.check, array, key))


def minimized(workers: Workers, case: Case, target: Target, record: Record) -> Case:
    """The smallest case that was found to have the same outcome for the same reason."""
    wanted, numbers = cause(record), itertools.count(1)

    def holds(smaller: Case) -> bool:
        # What is kept by a case's id must not be another case's.
        named = replace(smaller, id=f"{case.id}#{next(numbers)}")
        return any(cause(found) == wanted for found in workers.run(named, target))

    tries = FAULT_TRIES.get(record.raw, minimize.TRIES)
    smallest = minimize.minimize(case, holds, tries)
    return case if smallest is case else replace(smallest, id=f"{case.id}-minimal")
