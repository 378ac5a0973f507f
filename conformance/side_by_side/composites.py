"""A chain side by side: what it asks, step by step, and how each API says it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from conformance import describe, layout
from conformance.adapter import Layout
from conformance.cases import Case
from conformance.chains import chain as chains
from conformance.discovery import Backend, Interpreter, Target
from conformance.side_by_side import arithmetic
from conformance.side_by_side.arithmetic import Axis
from conformance.side_by_side.lowerings import Speakers
from conformance.side_by_side.show import Entry, SideBySide, Verdict, Way, pinned, printable
from conformance.worker.protocol import Message


def side_by_side(
    case: Case,
    speakers: Speakers,
    targets: Sequence[Target],
    interpreters: Mapping[str, Interpreter],
) -> SideBySide:
    """A chain's case on the APIs of some targets, each in the first of its modes.

    Raises:
        ContentError: an adapter fails.
    """
    assert case.chain is not None
    first = {(target.backend, target.api): target for target in reversed(targets)}
    entries = [
        _entry(case, backend, first[backend.name, api], speakers, interpreters[backend.name])
        for backend in speakers.backends
        for api in backend.apis
        if (backend.name, api) in first
    ]
    return SideBySide(
        case.id,
        describe.chain(case.chain),
        layout.described(case.request, Layout()),
        printable(case.fields.source or ""),
        printable(case.fields.note or ""),
        case.request,
        tuple(dict.fromkeys(rule for r in case.chain.operators for rule in arithmetic.rules(r))),
        tuple(_axes(case.chain)),
        tuple(entries),
        case.chain,
    )


def _axes(chain: chains.Chain) -> Iterator[Axis]:
    for step in chain.steps:
        if step.request is not None:
            for axis in arithmetic.axes(step.request):
                yield replace(axis, name=f"{step.name} {axis.name}")


def _entry(
    case: Case, backend: Backend, target: Target, speakers: Speakers, interpreter: Interpreter
) -> Entry:
    assert case.chain is not None
    header = {
        "type": "lower", "api": target.api, "request": chains.to_json(case.chain), "spelled": None,
        "mode": target.mode,
    }  # fmt: skip
    forms = {
        form["form"]: form for form in speakers.reply(backend, Message(header)).header["forms"]
    }
    native, recipe = forms["native"], forms.get("emulated", {})
    way: Way = "native" if "source" in native else "recipe" if "source" in recipe else "none"
    said = native if way == "native" else recipe
    verdict = Verdict(target.mode, way, native.get("unsupported", ""))
    return Entry(
        backend.name,
        interpreter.version or pinned(backend),
        interpreter.path is not None,
        target.api,
        said.get("layout", ""),
        (verdict,),
        said.get("source", ""),
        case.request,
    )
