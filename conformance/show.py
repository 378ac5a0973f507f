"""The code that runs: how each API says a case."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance import request
from conformance.adapter import Form
from conformance.cases import Case
from conformance.content import ContentError
from conformance.discovery import Backend, Target
from conformance.supervisor import Launch, Worker
from conformance.worker.protocol import Message, ProtocolError

LOWER_SECONDS = 60.0


@dataclass(frozen=True)
class Listing:
    """One form of a case in one API's words, or why it has none."""

    target: Target
    form: Form
    source: str
    unsupported: str
    layout: str


def listings(
    case: Case, backends: Sequence[Backend], targets: Sequence[Target]
) -> Iterator[Listing]:
    """How each target's API says the case; modes of one API share their code.

    No framework is needed: adapters are read by this interpreter.

    Raises:
        ContentError: an adapter fails.
    """
    for backend in backends:
        shown: dict[str, Target] = {}
        for target in targets:
            if target.backend == backend.name:
                shown.setdefault(target.api, target)
        if not shown:
            continue
        worker = Worker(Launch(backend.name, backend.folder, sys.executable, {}))
        try:
            _receive(worker, backend)
            for target in shown.values():
                yield from _lowered(worker, backend, case, target)
        finally:
            worker.stop()


def _lowered(worker: Worker, backend: Backend, case: Case, target: Target) -> Iterator[Listing]:
    spelled = case.spellings.get(target.api)
    header = {
        "type": "lower",
        "api": target.api,
        "request": request.to_json(case.request),
        "spelled": None if spelled is None else request.to_json(spelled),
    }
    worker.send(Message(header))
    for form in _receive(worker, backend).header["forms"]:
        words = (form.get(name, "") for name in ("source", "unsupported", "layout"))
        yield Listing(target, form["form"], *words)


def _receive(worker: Worker, backend: Backend) -> Message:
    adapter = backend.folder / "adapter.py"
    try:
        message = worker.receive(LOWER_SECONDS)
    except (EOFError, ProtocolError):
        message = None
    if message is None:
        raise ContentError(f"fails: {worker.output() or 'no reply'}", adapter)
    if message.header["type"] == "error":
        raise ContentError(f"does not load: {message.header['error']}", adapter)
    return message
