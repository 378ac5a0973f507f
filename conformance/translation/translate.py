"""From a call in one framework's words to code that gives the same in another's.

The call is read by its backend's adapter, never evaluated; what it asks is a case like any other,
and `show` finds each API's code for it. Verifying runs that code, and the call's own request in
its own API, and compares with the oracle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydantic

from conformance import cases, describe, discovery, misfits, resolve, schema
from conformance.adapter import Form
from conformance.cases import Case
from conformance.content import shown
from conformance.discovery import Backend, Interpreter, Target, UsageError
from conformance.side_by_side import show
from conformance.side_by_side.lowerings import Speakers
from conformance.side_by_side.show import FORMS, Entry
from conformance.translation import calls
from conformance.translation.calls import CallError
from conformance.translation.reading import Place, Reading
from conformance.worker.protocol import Message
from conformance.workers import Workers

SHOWN = 120
SHAPE = re.compile(r"\d{1,9}(,\d{1,9})*")
Named = tuple[Backend, tuple[str, ...]]


@dataclass(frozen=True)
class Asked:
    """What is to be translated: the call, whose it is, into which APIs, and the shapes given."""

    call: str
    source: str
    targets: tuple[str, ...]
    input: str | None = None
    kernel: str | None = None


@dataclass(frozen=True)
class Translation:
    """A call's request, and each API's code for it; ``source`` is the call's own API."""

    call: str
    case: Case
    notes: tuple[str, ...]
    source: Entry
    entries: tuple[Entry, ...]
    backends: tuple[Backend, ...]

    @property
    def failed(self) -> bool:
        """Whether something that was run is not right."""
        return any(entry.right is False for entry in (self.source, *self.entries))


def translate(
    asked: Asked, backends: Sequence[Backend], interpreters: Mapping[str, Interpreter]
) -> Translation:
    """The call's request and the code for it, without running any framework.

    Raises:
        UsageError: a name or a shape is wrong, or the call cannot be read; it says where.
        ContentError: an adapter fails.
    """
    sources = named(asked.source, backends, "--from")
    there = (source for source in sources if interpreters[source[0].name].path is not None)
    origin, apis = next(there, sources[0])
    wanted = [each for word in asked.targets for each in named(word, backends, "--to")]
    taking = dict.fromkeys(backend.name for backend, _ in [(origin, apis), *wanted])
    with Speakers(backend for backend in backends if backend.name in taking) as speakers:
        reading, case = _read(asked, origin, apis, speakers)
        own = Target(origin.name, reading.api, next(iter(origin.modes)))
        targets = [own]
        for backend, listed in wanted:
            targets += [Target(backend.name, api, next(iter(backend.modes))) for api in listed]
        view = show.side_by_side(case, speakers, list(dict.fromkeys(targets)), interpreters)
    entries = {(entry.backend, entry.api): entry for entry in view.entries}
    return Translation(
        calls.flat(asked.call),
        case,
        reading.notes,
        entries[own.backend, own.api],
        tuple(entries[each.backend, each.api] for each in dict.fromkeys(targets[1:])),
        tuple(backends),
    )


def named(word: str, backends: Sequence[Backend], option: str) -> tuple[Named, ...]:
    """The backend and the APIs of it that a word names; several backends where they share these.

    A backend's name means all its APIs; else an API's whole name, alone or after its backend's and
    a slash, a part of one between dots, or at last any piece of a name will do, as long as only
    one backend has it, or all have the same APIs.

    Raises:
        UsageError: no name has it, or different ones have; ``option`` says whose word it is.
    """
    lower = word.lower()
    everything = [(backend, api) for backend in backends for api in backend.apis]
    tests = (
        lambda backend, api: backend.name == lower,
        lambda backend, api: lower in (api, f"{backend.name}/{api}"),
        lambda backend, api: f".{lower}." in f".{api}.",
        lambda backend, api: bool(lower) and lower in f"{backend.name} {api}",
    )
    for test in tests:
        found = [
            (backend, apis)
            for backend in backends
            if (apis := tuple(api for api in backend.apis if test(backend, api)))
        ]
        if len({apis for _, apis in found}) > 1:
            several = ", ".join(dict.fromkeys(api for _, apis in found for api in apis))
            raise UsageError(f"{option} {shown(word)} may be {several}; write one of these")
        if found:
            return tuple(found)
    there = ", ".join(dict.fromkeys(api for _, api in everything))
    raise UsageError(f"{option} {shown(word)}: no such backend or API; there are {there}")


def shape(text: str | None, option: str) -> list[int] | None:
    """The sizes in ``1,3,32,32``.

    Raises:
        UsageError: the text is something else.
    """
    if text is None:
        return None
    plain = re.sub(r"[\s()\[\]]", "", text)
    if not SHAPE.fullmatch(plain):
        message = "whole numbers with commas between them are needed, such as 1,3,32,32"
        raise UsageError(f"{option} {shown(text)}: {message}")
    return [int(size) for size in plain.split(",")]


def _read(
    asked: Asked, backend: Backend, apis: Sequence[str], speakers: Speakers
) -> tuple[Reading, Case]:
    """What the call asks, and the case that it makes."""
    where = f"--from {asked.source}: {shown(calls.flat(asked.call), SHOWN)}: "
    header = {
        "type": "read",
        "call": asked.call,
        "apis": list(apis),
        "input": shape(asked.input, "--input"),
        "kernel": shape(asked.kernel, "--kernel"),
    }
    try:
        reply = speakers.reply(backend, Message(header)).header
        if "error" in reply:
            raise CallError(reply["error"], reply["column"])
        places = {about: Place(**place) for about, place in reply["places"].items()}
        reading = Reading(reply["api"], reply["fields"], places, tuple(reply["notes"]))
        return reading, case_of(asked.call, reading)
    except CallError as error:
        column = f"column {error.column}: " if error.column else ""
        raise UsageError(f"{where}{column}{error.message}") from None


def case_of(text: str, reading: Reading) -> Case:
    """The case that a reading makes, with the suite's default data.

    Raises:
        CallError: the request has no meaning; it names the argument.
    """
    raw: dict[str, Any] = {"id": "call", **reading.fields}
    try:
        fields = schema.Case.model_validate({**raw, "note": "; ".join(reading.notes) or None})
        return cases.resolved(fields, calls.flat(text), Path("call"), 1)
    except pydantic.ValidationError as error:
        message, place = misfits.explain(error, raw, schema.Case)
        raise _misfit(str(place[0]) if place else "", message, reading.places) from None
    except resolve.RequestError as error:
        raise _misfit(error.field.partition(".")[0], error.message, reading.places) from None


def _misfit(field: str, message: str, places: Mapping[str, Place]) -> CallError:
    """An error about the argument that says a field, or about the option that may say it."""
    place = places.get(field)
    if place is None:
        name = f"--{field}" if field in ("input", "kernel") else field.replace("_", " ")
        return CallError(f"{name}: {message}" if name else message)
    return CallError(f"{place.name}: {message}", place.column)


def verified(translation: Translation, workers: Workers) -> Translation:
    """The same, each code run in its API's first mode, and the call's request in its own API.

    Where the native form turns out to be wrong and the recipe right, the recipe takes its place.
    """
    run = _Verifier(translation.case, workers, {each.name: each for each in translation.backends})
    entries = tuple(run.entry(entry) for entry in translation.entries)
    return replace(translation, source=run.native(translation.source)[0], entries=entries)


@dataclass(frozen=True)
class _Verifier:
    """Runs one case on APIs."""

    case: Case
    workers: Workers
    backends: Mapping[str, Backend]

    def native(self, entry: Entry) -> tuple[Entry, bool]:
        """What an API's native form gives, and whether its recipe is right instead."""
        return self._run(entry, "native")

    def entry(self, entry: Entry) -> Entry:
        """What an API's code gives, or its recipe where the native form is not right."""
        if entry.way not in FORMS:
            return entry
        found, recipe_is_right = self._run(entry, FORMS[entry.way])
        if found.right is not False or not recipe_is_right:
            return found
        backend, first = self.backends[entry.backend], entry.verdicts[0]
        with Speakers([backend]) as speakers:
            [said] = speakers.ask(backend, entry.api, [self.case.request])
        instead = replace(first, way="recipe", reason=f"the native form {found.verified}")
        entry = replace(entry, code=said.recipe, verdicts=(instead, *entry.verdicts[1:]))
        return self._run(replace(entry, request=self.case.request), "emulated")[0]

    def _run(self, entry: Entry, form: Form) -> tuple[Entry, bool]:
        worded = self.case
        if entry.way == "native":
            worded = replace(worded, request=entry.request)
        records = self.workers.run(worded, Target(entry.backend, entry.api, entry.verdicts[0].mode))
        there = [record for record in records if record.form == form]
        wrong = next((record for record in there if record.raw != "pass"), None)
        where = f"on {entry.backend} {entry.version}"
        right = None
        if records[0].raw == "not-run":
            remedy = discovery.remedy(self.backends[entry.backend])
            text = f"not verified: {records[0].note}; {remedy}"
        elif not there:
            text = f"not verified {where}: the native form is right, too"
        elif wrong is None:
            text, right = f"verified {where}: {self._how_exact(worded, entry)}", True
        elif wrong.raw == "unsupported":
            text = f"not verified {where}: {wrong.note}"
        else:
            part = "gradients " if wrong.check == "vjp" else ""
            text, right = f"fails {where}: {part}{wrong.raw}: {describe.outcome(wrong)}", False
        recipes = [record.raw for record in records if record.form == "emulated"]
        instead = bool(recipes) and set(recipes) == {"pass"}
        return replace(entry, verified=text, right=right), instead

    def _how_exact(self, case: Case, entry: Entry) -> str:
        """How right what was compared is."""
        expected = self.workers.references(case)
        gradients = expected.gradients if self.backends[entry.backend].gradients else None
        what = "output and gradients" if gradients else "output"
        exact = all(each.allowed is None for each in (expected.output, *(gradients or ())))
        return f"{what} {'exact' if exact else 'right within rounding errors'}"
