"""A registry entry for a finding: the predicate is learned from cases that fail and that pass.

Every fact on which all failing cases agree is a candidate; those are taken that leave out most of
the cases that pass, one by one, until none is left or nothing helps. The entry is a proposal: it
holds for the cases that the campaign ran.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conformance import predicates, words
from conformance.explanation import CAUSES, Cause
from conformance.fuzzing.findings import Finding
from conformance.known import Entry
from conformance.predicates import Facts, When

LITERALS = 5
ERROR_LENGTH = 80
NEVER = ("case", "tag", "spelled_padding", "law", "op")
NUMERIC = (
    "rank", "stride", "dilation", "channels", "groups", "output_padding", "window", "norm",
)  # fmt: skip
NUMERICAL: tuple[Cause, ...] = (
    "accumulates-in-storage-dtype", "lower-precision", "subnormals-flushed", "padding-skipped",
    "sums-out-of-range", "nan-ignored", "unstable",
)  # fmt: skip
Literal = tuple[str, Any]


@dataclass(frozen=True)
class Proposal:
    """An entry, and what it speaks of: cases that fail, and cases that pass though it does."""

    entry: Entry
    failing: int
    passing: int


def proposal(
    finding: Finding, passing: Sequence[Facts], modes: Sequence[str], evidence: str
) -> Proposal:
    """The entry that a finding would have.

    Args:
        finding: What was found.
        passing: Facts of cases that passed on its API.
        modes: The modes in which the API was run.
        evidence: A command that shows it.
    """
    failing = [predicates.facts(finding.case), *finding.failing]
    literals = learned(failing, passing)
    when = When.model_validate(dict(literals))
    record = finding.record
    fields: dict[str, Any] = {
        "id": finding.name or "finding",
        "api": _one_or_all(finding.apis),
        "when": when,
        "expect": _expectation(finding),
        "kind": _kind(finding),
        "why": f"Found by fuzzing: {finding.sentence.rstrip('.')}.",
        "evidence": evidence,
    }
    if set(modes) - finding.modes:
        fields["mode"] = _one_or_all(finding.modes)
    if finding.forms != {"native"}:
        fields["form"] = _one_or_all(finding.forms)
    if finding.checks != {"forward"}:
        fields["check"] = _one_or_all(finding.checks or {record.check})
    entry = Entry.model_validate(fields)
    still = sum(predicates.holds(when, facts, finding.api) for facts in passing)
    return Proposal(entry, len(failing), still)


def learned(failing: Sequence[Facts], passing: Sequence[Facts]) -> list[Literal]:
    """The facts that tell cases that fail from cases that pass, the operator first."""
    ops = sorted({facts["op"] for facts in failing})
    chosen: list[Literal] = [("op", ops[0] if len(ops) == 1 else ops)]
    left = [facts for facts in passing if _holds(chosen[0], facts)]
    candidates = [literal for name in When.model_fields for literal in _literals(name, failing)]
    while left and len(chosen) < LITERALS:
        kept = [[facts for facts in left if _holds(each, facts)] for each in candidates]
        if not kept:
            break
        best = min(range(len(kept)), key=lambda at: len(kept[at]))
        if len(kept[best]) == len(left):
            break
        chosen.append(candidates[best])
        left = kept[best]
        candidates = [each for each in candidates if each[0] != chosen[-1][0]]
    return chosen


def _literals(name: str, failing: Sequence[Facts]) -> Iterator[Literal]:
    """What all failing cases have in common, the more general first."""
    if name in NEVER:
        return
    values = list({repr(facts[name]): facts[name] for facts in failing}.values())
    if any(value is None for value in values):
        return
    if name in NUMERIC:
        least, most = min(values), max(values)
        whole = all(value == int(value) for value in values)
        if least > 1:
            yield name, ">1"
        if least >= 1:
            yield name, ">0"
        if whole and most <= 1:
            yield name, f"<={int(most)}"
        if whole and len(values) <= 2:
            yield name, _one_or_all(int(value) for value in values)
    elif len(values) <= (4 if name == "dtype" else 2):
        if isinstance(values[0], bool) and len(values) > 1:
            return
        yield name, values[0] if len(values) == 1 else sorted(values)


def _holds(literal: Literal, facts: Facts) -> bool:
    return predicates.holds(When.model_validate({literal[0]: literal[1]}), facts)


def _expectation(finding: Finding) -> dict[str, Any]:
    record = finding.record
    expect: dict[str, Any] = {"outcome": record.raw}
    causes = record.explanation.causes if record.explanation else ()
    if record.error is not None:
        expect["error"] = pattern(f"{record.error}")
    elif causes and set(causes) <= set(CAUSES):
        expect["because"] = _one_or_all(causes)
    return expect


def pattern(message: str) -> str:
    """A regular expression for an error's message, whatever the numbers in it."""
    text = words.essence(message)[:ERROR_LENGTH].rstrip("\\")
    return re.sub(r"\d+", r"\\d+", re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text))


def _kind(finding: Finding) -> str:
    if finding.record.raw == "rejected":
        return "unsupported"
    causes = finding.record.explanation.causes if finding.record.explanation else ()
    return "numerical" if causes and set(causes) <= set(NUMERICAL) else "bug"


def _one_or_all(values: Any) -> Any:
    listed = list(dict.fromkeys(sorted(values)))
    return listed[0] if len(listed) == 1 else listed
