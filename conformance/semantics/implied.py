"""The outcomes that a run has where everything is as expected, without running anything.

The registry is strict both ways: what it speaks of fails as it says, everything else passes. With
an API's lowering of the request, that settles every record of a case on a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.adapter import Form
from conformance.cases import Case
from conformance.discovery import Target
from conformance.known import Check, Known, Registry
from conformance.predicates import Facts
from conformance.side_by_side.lowerings import Said

NO_OUTPUT = ("rejected", "crash", "timeout", "wrong-shape")
"""Outcomes of a forward pass after which there is nothing that the cotangent fits."""


@dataclass(frozen=True)
class Implied:
    """One record: a pass, what one of ``entries`` expects, or unsupported for ``missing``.

    Where several entries speak of a record, the run has found out which of them holds; where none
    of them is stable, it passes on some machines.
    """

    case: Case
    target: Target
    form: Form
    check: Check
    entries: tuple[Known, ...] = ()
    missing: str = ""

    @property
    def outcome(self) -> str:
        """The record's outcome: 'pass', 'known' or 'unsupported'."""
        if self.missing:
            return "unsupported"
        return "known" if self.entries else "pass"

    @property
    def unstable(self) -> bool:
        """Whether it may pass all the same: on other machines, or in other runs."""
        return bool(self.entries) and not any(known.entry.stable for known in self.entries)


@dataclass(frozen=True)
class Asked:
    """A case on a target: what its adapter says of it, and what is known of it there.

    ``spelled`` is what it says of the case's spelling for this API, None where there is none;
    ``gradients`` is False where the backend has none to check.
    """

    case: Case
    facts: Facts
    target: Target
    registry: Registry
    said: Said
    spelled: Said | None = None
    gradients: bool = True

    def records(self) -> tuple[Implied, ...]:
        """Every record of a run, in the order of forms and checks."""
        native = tuple(self._form("native", self.said.native, self.said.missing))
        records = list(native)
        if self.spelled is not None:
            records += self._form("spelled", self.spelled.native, self.spelled.missing)
        if self.said.recipe and any(record.outcome != "pass" for record in native):
            records += self._form("emulated", self.said.recipe, "")
        return tuple(records)

    def _form(self, form: Form, source: str, missing: str) -> Iterator[Implied]:
        if not source:
            yield Implied(self.case, self.target, form, "forward", missing=missing)
            return
        forward = self._record(form, "forward")
        yield forward
        if self.case.cotangent is None or not self.gradients:
            return
        expected = {known.entry.expect.outcome for known in forward.entries}
        if not expected & set(NO_OUTPUT):
            yield self._record(form, "vjp")

    def _record(self, form: Form, check: Check) -> Implied:
        target = self.target
        entries = self.registry.about(self.facts, target.api, target.mode, form, check)
        return Implied(self.case, target, form, check, entries)
