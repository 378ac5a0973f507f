"""An outcome with everything that its script and its issue say of it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance import describe, layout, words
from conformance.adapter import Layout
from conformance.cases import Case
from conformance.discovery import Target
from conformance.dtypes import Array
from conformance.explanation import UNEXPLAINED
from conformance.known import Known
from conformance.records import Record
from conformance.reference import Expected, Reference
from conformance.repro import ending
from conformance.repro.ending import Ending
from conformance.side_by_side import excerpts

VERBS = {
    "wrong-shape": "returns a wrong shape",
    "wrong-dtype": "returns a wrong dtype",
    "wrong-value": "returns wrong values",
    "timeout": "hangs",
    "crash": "ends the process",
}


@dataclass(frozen=True)
class Reproduction:
    """An outcome of a case on a target, and the script that shows it.

    ``info`` is what the loaded framework tells of itself, ``program`` the source that ran.
    ``observed`` is the array that was wrong, in canonical order. ``writer`` says what wrote the
    script and how to do it again, ``about`` is its docstring. ``ending`` is how it ended when it
    was run, None where it was not.
    """

    case: Case
    target: Target
    record: Record
    known: Known | None
    info: Mapping[str, Any] = field(repr=False)
    layout: Layout = field(repr=False)
    program: str = field(repr=False)
    expected: Expected = field(repr=False)
    observed: Array | None = field(repr=False)
    writer: str
    about: str = field(default="", repr=False)
    script: str = field(default="", repr=False)
    ending: Ending | None = field(default=None, repr=False)

    @property
    def agrees(self) -> bool:
        """Whether the script ended as the suite says; True where it was not run."""
        return self.ending is None or ending.agrees(self.ending, self.record)

    @property
    def operator(self) -> str:
        """The function or layer that the program is about."""
        name = excerpts.operator_call(self.program).partition("(")[0]
        return name if "." in name else self.target.api

    @property
    def version(self) -> str:
        """The framework's name and version."""
        return " ".join(next(iter(self.info["versions"].items())))

    @property
    def versions(self) -> tuple[str, ...]:
        """What was there when it ran: distributions, Python, platform."""
        told = [" ".join(pair) for pair in self.info["versions"].items()]
        system = self.info.get("platform") or platform.platform()
        return (*told, f"Python {self.info['python']}", system)

    @property
    def meaning(self) -> str:
        """What a wrong array means, empty where there is none."""
        found = self.record.explanation
        return "" if found is None or self.record.error is not None else str(found)

    @property
    def explained(self) -> bool:
        """Whether some change of the request gives what was observed."""
        found = self.record.explanation
        return bool(self.meaning) and not (found and found.key.startswith(UNEXPLAINED))

    @property
    def headline(self) -> str:
        """What happened and what it means, in one sentence."""
        return f"{self.operator} ({self.version}) {self.happened.rstrip('.')}."

    @property
    def happened(self) -> str:
        """What the operator did."""
        record = self.record
        if record.raw == "pass":
            return "gives what is asked for"
        if record.raw == "rejected":
            what = "the gradient" if record.check == "vjp" else "this"
            return f"refuses {what}: {describe.outcome(record)}"
        if record.raw == "wrong-value" and self.meaning and not self.explained:
            return f"{VERBS[record.raw]}: {self.meaning}"
        told = f"{VERBS[record.raw]}: {self.difference}"
        if not self.explained:
            return told
        subject = "it " if self.meaning.startswith("equals ") else ""
        return f"{told}; {subject}{self.meaning}"

    @property
    def difference(self) -> str:
        """How what came differs from what was expected; shapes are in the API's axis order."""
        found = self.record.difference
        if found is None:
            return describe.outcome(self.record)
        title = words.ARRAYS[found.array]
        if self.record.raw == "wrong-value":
            return f"{found.differing:,} of {found.total:,} values of the {title} differ"
        if self.record.raw == "wrong-dtype":
            return f"{title} in {found.observed_dtype} instead of {found.expected_dtype}"
        observed, expected = map(self._moved, (found.observed_shape, found.expected_shape))
        return f"{title} {list(observed)} instead of {list(expected)}"

    @property
    def wanted(self) -> tuple[Reference, ...]:
        """What the script asserts on: the array that was wrong, else all that are computed."""
        every = (self.expected.output, *(self.expected.gradients or ()))
        found = self.record.difference
        if found is not None:
            return tuple(reference for reference in every if reference.name == found.array)
        return every[:1] if self.record.check == "forward" else every

    def moved(self, name: str, values: Array) -> Array:
        """An array in the API's axis order; one of a rank of its own stays as it is."""
        if values.ndim != (1 if name == "b" else self.case.request.rank + 2):
            return values
        return layout.to_api(name, values, self.case.request, self.layout)

    def _moved(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        found = self.record.difference
        if found is None or len(shape) != len(found.expected_shape):
            return shape
        if self.case.request.unbatched and found.array in "xy":
            shape = shape[1:]
        axes = layout.axes(found.array, self.case.request, self.layout, len(shape))
        return tuple(shape[axis] for axis in axes)
