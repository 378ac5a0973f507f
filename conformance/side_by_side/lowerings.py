"""Asks adapters how their APIs say requests; this interpreter reads them, without framework."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance import request
from conformance.content import ContentError
from conformance.discovery import Backend
from conformance.request import Request
from conformance.supervisor import Launch, Worker
from conformance.translation.spelled import Spelled
from conformance.worker.protocol import Message, ProtocolError

PATIENCE = 60.0


@dataclass(frozen=True)
class Said:
    """A request in an API's words.

    ``native`` and ``recipe`` are source, empty where there is none; ``missing`` says why there is
    no native form. ``layout`` is empty where there is no source at all.
    """

    request: Request
    native: str
    missing: str
    recipe: str
    layout: str


class Speakers:
    """A worker for each backend's adapter, started together; to be used in a ``with`` statement.

    It serves any number of cases.
    """

    def __init__(self, backends: Iterable[Backend]) -> None:
        self.backends = tuple(backends)
        self._workers: dict[str, Worker] = {}

    def __enter__(self) -> Speakers:
        for backend in self.backends:
            launch = Launch(backend.name, backend.folder, sys.executable, {})
            self._workers[backend.name] = Worker(launch)
        try:
            for backend in self.backends:
                self._receive(backend)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.stop()

    def ask(self, backend: Backend, api: str, requests: Sequence[Request]) -> list[Said]:
        """How an API says each of some requests.

        Raises:
            ContentError: the adapter fails.
        """
        worker = self._workers[backend.name]
        for each in requests:
            fields = request.to_json(each)
            worker.send(Message({"type": "lower", "api": api, "request": fields, "spelled": None}))
        return [_said(each, self._receive(backend).header["forms"]) for each in requests]

    def verbatim(self, backend: Backend, api: str, asked: Request, call: Spelled) -> str:
        """The program of a call that a case spells, empty where the API does not know it.

        Raises:
            ContentError: the adapter fails.
        """
        fields = {"request": request.to_json(asked), "spelled": {"call": call.text}}
        header = {"type": "lower", "api": api, **fields}
        forms = self.reply(backend, Message(header)).header["forms"]
        return next((form.get("source", "") for form in forms if form["form"] == "spelled"), "")

    def reply(self, backend: Backend, message: Message) -> Message:
        """What an adapter replies to a message.

        Raises:
            ContentError: the adapter fails.
        """
        self._workers[backend.name].send(message)
        return self._receive(backend)

    def _receive(self, backend: Backend) -> Message:
        worker, adapter = self._workers[backend.name], backend.folder / "adapter.py"
        deadline = time.monotonic() + PATIENCE
        message = None
        try:
            while message is None and time.monotonic() < deadline:
                message = worker.receive(PATIENCE)
        except (EOFError, ProtocolError):
            # What it printed last is complete once it has ended.
            self._workers.pop(backend.name).ended()
        if message is None:
            told = worker.output().splitlines()[-1:] or ["no reply"]
            raise ContentError(f"fails: {told[0]}", adapter)
        if message.header["type"] == "error":
            raise ContentError(f"does not load: {message.header['error']}", adapter)
        return message


def _said(asked: Request, forms: Iterable[Mapping[str, Any]]) -> Said:
    by_form = {form["form"]: form for form in forms}
    native, recipe = by_form["native"], by_form.get("emulated", {})
    return Said(
        asked,
        native.get("source", ""),
        native.get("unsupported", ""),
        recipe.get("source", ""),
        native.get("layout") or recipe.get("layout", ""),
    )
