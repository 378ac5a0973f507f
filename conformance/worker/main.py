"""The worker's loop: read a request, run it, reply.

Replies go through a pipe of their own; standard output and standard error belong to the framework.
Every error of a program becomes part of a reply. What cannot be caught (a signal, an abort) ends
the process, and the supervisor knows which request it was.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import select
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from conformance.adapter import Adapter, Unavailable
from conformance.worker import protocol
from conformance.worker.execution import drive, execute, lower
from conformance.worker.loading import load_adapter
from conformance.worker.protocol import Message
from conformance.worker.reading import read


def main(arguments: Sequence[str]) -> int:
    """Serve requests until the pipe closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--adapter", type=Path, required=True)
    parser.add_argument("--read", type=int, required=True)
    parser.add_argument("--write", type=int, required=True)
    options = parser.parse_args(arguments)
    faulthandler.enable(all_threads=False)
    for descriptor in (options.read, options.write):
        os.set_inheritable(descriptor, False)
    threading.Thread(target=_leave_with_runner, args=(options.read,), daemon=True).start()
    with os.fdopen(options.read, "rb") as reader, os.fdopen(options.write, "wb") as writer:
        try:
            adapter = load_adapter(options.adapter)
        except BaseException as error:
            _send(writer, Message({"type": "error", "error": _describe(error)}))
            return 1
        _send(
            writer,
            Message({"type": "hello", "protocol": protocol.VERSION, **_describe_adapter(adapter)}),
        )
        return _serve(adapter, reader, writer)


def _leave_with_runner(descriptor: int) -> None:
    """End the process when the runner is gone, even while a framework hangs."""
    hangup = select.poll()
    hangup.register(descriptor, 0)
    hangup.poll()
    os._exit(1)


def _serve(adapter: Adapter, reader: BinaryIO, writer: BinaryIO) -> int:
    while True:
        message = _receive(reader)
        if message is None:
            return 0
        kind = message.header["type"]
        started = time.perf_counter()
        if kind == "load":
            reply = _load(adapter)
        elif kind == "lower":
            reply = Message({"type": "lowered", "forms": lower(adapter, message.header)})
        elif kind == "drive":
            reply = Message({"type": "driven", **drive(adapter, message.header)})
        elif kind == "read":
            reply = Message({"type": "read", **read(adapter, message.header)})
        else:
            reply = execute(adapter, message, lambda form, stage: _begin(writer, form, stage))
        reply.header["id"] = message.header.get("id")
        reply.header["seconds"] = round(time.perf_counter() - started, 6)
        _send(writer, reply)


def _begin(writer: BinaryIO, form: str, stage: str) -> None:
    """Tell what begins, so that a crash is known for what it is."""
    _send(writer, Message({"type": "stage", "form": form, "stage": stage}))


def _load(adapter: Adapter) -> Message:
    """What the framework tells of itself, and by mode where this process can run it."""
    modes: dict[str, Any] = {}
    unavailable: dict[str, str] = {}
    try:
        info = adapter.load()
        for mode in adapter.modes:
            if all(os.environ.get(name) == value for name, value in mode.environment.items()):
                try:
                    adapter.enter(mode.name)
                    modes[mode.name] = asdict(adapter.load())
                except Unavailable as error:
                    unavailable[mode.name] = f"mode {mode.name} {error}"
    except BaseException as error:
        return Message({"type": "error", "error": _describe(error)})
    python = ".".join(map(str, sys.version_info[:3]))
    told = {"python": python, "modes": modes, "unavailable": unavailable}
    return Message({"type": "loaded", **asdict(info), **told})


def _describe_adapter(adapter: Adapter) -> dict[str, Any]:
    return {
        "name": adapter.name,
        "modules": [name for name in (adapter.module, adapter.engine) if name],
        "distributions": list(adapter.distributions),
        "environment": dict(adapter.environment),
        "seconds_per_case": adapter.seconds_per_case,
        "gradients": adapter.gradients,
        "modes": [
            {**asdict(mode), "environment": dict(mode.environment)} for mode in adapter.modes
        ],
        "apis": [api.name for api in adapter.apis],
        "spoken": {api.name: sorted(api.spoken) for api in adapter.apis},
        "shared": [api.name for api in adapter.apis if api.shared],
    }


def _describe(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def _receive(reader: BinaryIO) -> Message | None:
    prefix = reader.read(protocol.PREFIX.size)
    if len(prefix) < protocol.PREFIX.size:
        return None
    header, payload = protocol.lengths(prefix)
    return protocol.decode(reader.read(header), reader.read(payload))


def _send(writer: BinaryIO, message: Message) -> None:
    for buffer in protocol.encode(message):
        writer.write(buffer)
    writer.flush()
