"""From an outcome to its script."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance import __version__, cases, describe, layout, request
from conformance.adapter import EAGER, Driver, Layout
from conformance.cases import Case
from conformance.content import ContentError
from conformance.discovery import Backend, Target, UsageError, limited
from conformance.dtypes import Array
from conformance.known import Known
from conformance.literals import WIDTH
from conformance.records import Record
from conformance.reference import Expected
from conformance.repro import ending
from conformance.repro.ending import Ending
from conformance.repro.reproduction import Reproduction
from conformance.repro.script import Result, Script, wrapped
from conformance.supervisor import Failure
from conformance.worker.protocol import Message
from conformance.workers import Workers

LABEL = 12
MEMORY = "memory limit"


def reproduce(
    workers: Workers,
    case: Case,
    target: Target,
    record: Record,
    command: Sequence[str] = (),
    *,
    original: Case | None = None,
) -> Reproduction:
    """Write the script of an outcome, and run it.

    ``command`` are the arguments of ``conformance`` that ask for it, ``original`` the case of
    which this is a smaller one.

    Raises:
        UsageError: the backend writes no scripts.
        ContentError: its adapter fails.
        Broken: it does not run any more.
    """
    writer = Writer(workers, case, target, record, command, original)
    # The suite computes output and gradients together, on one thread; some outcomes need that.
    both = case.cotangent is not None and workers.backends[target.backend].gradients
    together = [True] if both else []
    if record.check == "forward":
        together = [False, *together]
    attempts = (writer.reproduction(vjp, limits) for limits in ({}, limited(1)) for vjp in together)
    first = next(attempts)
    return first if first.agrees else next((each for each in attempts if each.agrees), first)


@dataclass(frozen=True)
class Writer:
    """An outcome on its way to a script."""

    workers: Workers
    case: Case
    target: Target
    record: Record
    command: Sequence[str]
    original: Case | None

    @property
    def _backend(self) -> Backend:
        return self.workers.backends[self.target.backend]

    def reproduction(self, vjp: bool, limits: Mapping[str, str]) -> Reproduction:
        """The script, with the gradients' lines or without them, and how it ended."""
        expected = self.workers.references(self.case)
        program, own, driver = self._driven(vjp)
        result = Reproduction(
            self.case, self.target, self.record, self._known(), self._loaded(), own, program,
            expected, self._observed(expected), self._writer(),
        )  # fmt: skip
        result = replace(result, about=self._about(result))
        mode = self._backend.modes[self.target.mode]
        tensors = list(zip(self.case.inputs, expected.arrays))
        if vjp and self.case.cotangent is not None and expected.cotangent is not None:
            tensors.append((self.case.cotangent, expected.cotangent))
        script = Script(
            about=result.about,
            program=program,
            driver=driver,
            layout=own,
            environment={**limits, **self._backend.environment, **mode.environment},
            request=self.case.request,
            tensors=tensors,
            results=[Result(reference, result.observed) for reference in result.wanted],
            signed_zero=self.case.fields.signed_zero,
            unreached=self.record.error is not None,
            view=self.case.fields.view,
        ).text()
        return replace(result, script=script, ending=self._ended(script))

    def _ended(self, script: str) -> Ending | None:
        error = self.record.error
        if error is not None and MEMORY in error.message:
            return None
        limits = self.workers.limits
        python = self.workers.interpreters[self.target.backend].path
        assert python is not None
        hangs = self.record.raw == "timeout"
        return ending.run(script, python, limits.seconds + (0 if hangs else limits.startup))

    def _known(self) -> Known | None:
        entries = self._backend.registry.entries
        return next((known for known in entries if known.entry.id == self.record.known), None)

    def _loaded(self) -> Mapping[str, Any]:
        """What the framework tells of itself in the target's mode."""
        loaded = self.workers.supervisor(self.target).info
        return {**loaded, **loaded["modes"][self.target.mode]}

    def _reply(self, message: Message) -> Message | Failure:
        """What the target's worker replies."""
        return self.workers.ask(self.target, message)

    def _header(self, kind: str, vjp: bool) -> dict[str, Any]:
        return {
            "type": kind,
            "api": self.target.api,
            "mode": self.target.mode,
            "request": request.to_json(self.case.request),
            "spelled": self.case.spelled(self.target.api),
            "forms": [self.record.form],
            "view": self.case.fields.view,
            "vjp": vjp,
        }

    def _driven(self, vjp: bool) -> tuple[str, Layout, Driver]:
        reply = self._reply(Message(self._header("drive", vjp)))
        if isinstance(reply, Failure):
            last = reply.output.splitlines()[-1:]
            raise ContentError(": ".join(["fails", *last]), self._backend.folder / "adapter.py")
        told = reply.header
        if told["driver"] is None:
            raise UsageError(
                f"{self._backend.name} writes no scripts: its adapter has no 'driver', see "
                "conformance/adapter.py"
            )
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in told["driver"].items()
        }
        return told["source"], Layout(**told["layout"]), Driver(**fields)

    def _observed(self, expected: Expected) -> Array | None:
        """The array that was wrong, as the framework gives it once more."""
        found = self.record.difference
        if found is None:
            return None
        arrays = expected.arrays
        if expected.cotangent is not None:
            arrays += (expected.cotangent,)
        header = self._header("run", expected.cotangent is not None)
        reply = self.workers.ask(self.target, Message(header, arrays))
        if isinstance(reply, Failure):
            return None
        (form,) = reply.header["forms"]
        part = form.get(self.record.check, {}).get(found.array)
        return None if part is None else reply.arrays[part["array"]]

    def _about(self, result: Reproduction) -> str:
        """The docstring."""
        first = wrapped(result.headline, WIDTH - 3)
        return "\n".join([*first, "", *self._lines(result)])

    def _lines(self, result: Reproduction) -> Iterator[str]:
        case = self.case
        own = layout.described(case.request, result.layout)
        canonical = layout.described(case.request, Layout())
        shapes = "" if own == canonical else f" (shapes as {canonical})"
        viewed = "".join(f"; {each}" for each in describe.views(case))
        yield from _labelled("Asked", describe.request(case.request) + viewed + shapes)
        if own != canonical:
            yield from _labelled("Layout", own)
        if self.target.mode != EAGER.name:
            yield from _labelled("Mode", self.target.mode)
        if program := self._program():
            yield from _labelled("Program", program)
        if result.known is not None:
            entry = result.known.entry
            yield from _labelled("Known", f"{entry.kind}: {entry.why}")
            links = [entry.evidence] if isinstance(entry.evidence, str) else entry.evidence
            for link in links:
                yield from _labelled("", link)
        yield from _labelled("Versions", ", ".join(result.versions))
        yield from _labelled("Case", (self.original or case).id)
        for more in filter(None, (case.fields.source, case.fields.note)):
            yield from _labelled("", more)
        yield from _labelled("Written by", result.writer)
        if self.original is not None:
            yield ""
            yield "The smallest case that was found to do this, as a case file:"
            yield ""
            yield from textwrap.indent(cases.written(case), "    ").splitlines()

    def _writer(self) -> str:
        suite = f"conformance {__version__}"
        return f"{suite}: conformance {shlex.join(self.command)}" if self.command else suite

    def _program(self) -> str:
        if self.record.form == "spelled":
            edit = self.case.fields.spelling[self.target.api]
            if isinstance(edit, str):
                return f"what users of {self.target.api} write"
            options = edit.model_dump(exclude_none=True).items()
            told = ", ".join(f"{name} {value}" for name, value in options)
            return f"what users of {self.target.api} write for this: {told}"
        if self.record.form == "emulated":
            return "a recipe: the operator, and help around it"
        return ""


def _labelled(label: str, text: str) -> list[str]:
    """A label and its text."""
    return wrapped(text, WIDTH, (f"{label}:" if label else "").ljust(LABEL), " " * LABEL)
