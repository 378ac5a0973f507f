"""Keeps a worker process alive and turns each of its faults into the outcome of one request.

The worker runs the backend's interpreter in a session of its own. Frames go over a pair of pipes;
what the framework prints goes to a third, of which the tail is kept as evidence. Requests are
pipelined, so that a worker never waits for the runner.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from conformance.worker import protocol
from conformance.worker.protocol import Message, ProtocolError

BOOTSTRAP = Path(__file__).parent / "worker" / "bootstrap.py"
TICK = 0.05
TAIL = 16 * 1024
CHUNK = 2**20
BYTES_IN_FLIGHT = 64 * 2**20
START_ATTEMPTS = 2


@dataclass(frozen=True)
class Launch:
    """How to start a worker."""

    backend: str
    folder: Path
    python: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes that one request may take; ``window`` requests are under way at once."""

    seconds: float = 60.0
    startup: float = 300.0
    memory: int = 8 * 2**30
    window: int = 8


@dataclass(frozen=True)
class Failure:
    """A request that got no reply: how the worker ended, and what it printed last.

    ``form`` and ``stage`` are what the worker had begun.
    """

    kind: Literal["crash", "timeout"]
    detail: str
    output: str
    form: str | None = None
    stage: str | None = None


DEFAULTS = Limits()


class Broken(Exception):
    """The backend cannot be used at all: its worker does not start or its framework not import."""


class Interrupted(Exception):
    """The run is being stopped."""


@dataclass
class Job:
    """A message to the worker and whatever the caller wants to find again with the reply.

    It may take no more than ``seconds``, nor more than the limits say.
    """

    message: Message
    token: Any = None
    seconds: float = math.inf


class Worker:
    """One process and the pipes to it."""

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        to_read, to_write = os.pipe()
        from_read, from_write = os.pipe()
        environment = {**os.environ, **launch.environment}
        command = [launch.python, str(BOOTSTRAP), "--adapter", str(launch.folder)]
        command += ["--read", str(to_read), "--write", str(from_write)]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(to_read, from_write),
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            for descriptor in (to_read, to_write, from_read, from_write):
                os.close(descriptor)
            raise Broken(f"{launch.python} does not start: {error.strerror}") from None
        os.close(to_read)
        os.close(from_write)
        self._reader, self._writer = from_read, to_write
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._reader, selectors.EVENT_READ)
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()
        self._tail: deque[bytes] = deque()
        self._drain = threading.Thread(target=self._drain_output, daemon=True)
        self._drain.start()
        with contextlib.suppress(psutil.Error):
            self._usage = psutil.Process(self.process.pid)

    def send(self, message: Message) -> None:
        """Queue a message; it is written while replies are awaited.

        A worker that has ended, or sent nonsense, is told by `receive`.
        """
        self._outgoing.extend(memoryview(part).cast("B") for part in protocol.encode(message))
        with contextlib.suppress(EOFError, ProtocolError):
            self._pump(0)

    def receive(self, timeout: float) -> Message | None:
        """The next message, or None where none came within ``timeout`` seconds.

        Raises:
            EOFError: the worker closed its pipe.
            ProtocolError: what came is not a frame.
        """
        message = self._parse()
        if message is None:
            self._pump(timeout)
            message = self._parse()
        return message

    def memory(self) -> int:
        """Resident memory in bytes."""
        try:
            return int(self._usage.memory_info().rss)
        except (psutil.Error, AttributeError):
            return 0

    def output(self) -> str:
        """The tail of what the process printed."""
        text = b"".join(self._tail)[-TAIL:].decode("utf-8", "replace")
        return text.strip()

    def stop(self) -> int:
        """End the process and everything that it started; its exit status."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        status = self.process.wait()
        self._drain.join(1)
        self._selector.close()
        os.close(self._reader)
        os.close(self._writer)
        return status

    def ended(self) -> int:
        """Exit status of a process that closed its pipe; it has a moment to leave by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        return self.stop()

    def _pump(self, timeout: float) -> None:
        wanted = selectors.EVENT_WRITE if self._outgoing else 0
        keys = self._selector.get_map()
        if wanted and self._writer not in keys:
            self._selector.register(self._writer, selectors.EVENT_WRITE)
        elif not wanted and self._writer in keys:
            self._selector.unregister(self._writer)
        for key, _ in self._selector.select(timeout):
            if key.fd == self._writer:
                self._write()
            else:
                self._read()

    def _write(self) -> None:
        try:
            while self._outgoing:
                part = self._outgoing[0]
                written = os.write(self._writer, part[:CHUNK])
                if written < len(part):
                    self._outgoing[0] = part[written:]
                else:
                    self._outgoing.popleft()
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._outgoing.clear()

    def _read(self) -> None:
        try:
            while chunk := os.read(self._reader, CHUNK):
                self._incoming += chunk
            if not self._complete():
                raise EOFError
        except BlockingIOError:
            pass

    def _complete(self) -> bool:
        if len(self._incoming) < protocol.PREFIX.size:
            return False
        header, payload = protocol.lengths(bytes(self._incoming[: protocol.PREFIX.size]))
        return len(self._incoming) >= protocol.PREFIX.size + header + payload

    def _parse(self) -> Message | None:
        if not self._complete():
            return None
        start = protocol.PREFIX.size
        header, payload = protocol.lengths(bytes(self._incoming[:start]))
        middle, end = start + header, start + header + payload
        message = protocol.decode(
            bytes(self._incoming[start:middle]), bytes(self._incoming[middle:end])
        )
        del self._incoming[:end]
        return message

    def _drain_output(self) -> None:
        stream, size = self.process.stdout, 0
        assert stream is not None
        while chunk := os.read(stream.fileno(), 65536):
            self._tail.append(chunk)
            size += len(chunk)
            while size - len(self._tail[0]) > TAIL:
                size -= len(self._tail.popleft())
        stream.close()


class Supervisor:
    """Runs jobs on a worker, restarting it after every fault."""

    def __init__(
        self, launch: Launch, limits: Limits, stopped: threading.Event | None = None
    ) -> None:
        self.launch, self.limits = launch, limits
        self.stopped = stopped or threading.Event()
        self.info: dict[str, Any] = {}
        self._worker: Worker | None = None
        self._identifier = 0
        self._begun: tuple[str | None, str | None] = (None, None)

    def start(self) -> dict[str, Any]:
        """Start the worker and import the framework; what the adapter tells of it.

        Raises:
            Broken: the worker does not start, or the framework cannot be imported.
        """
        if self._worker is None:
            for attempt in range(START_ATTEMPTS):
                try:
                    self.info = self._start()
                    break
                except Broken:
                    if attempt == START_ATTEMPTS - 1:
                        raise
        return self.info

    def close(self) -> None:
        """End the worker."""
        self._drop()

    def run(self, next_job: Callable[[], Job | None]) -> Iterator[tuple[Job, Message | Failure]]:
        """Run jobs until ``next_job`` has no more and all are answered.

        Raises:
            Broken: the worker cannot be started again.
            Interrupted: the run is being stopped.
        """
        flight: deque[Job] = deque()
        again: deque[Job] = deque()
        while True:
            self.start()
            self._fill(flight, again, next_job)
            if not flight:
                return
            reply = self._reply(flight[0])
            job = flight.popleft()
            if isinstance(reply, Failure):
                again.extendleft(reversed(flight))
                flight.clear()
            yield job, reply

    def _fill(
        self, flight: deque[Job], again: deque[Job], next_job: Callable[[], Job | None]
    ) -> None:
        assert self._worker is not None
        while len(flight) < self.limits.window:
            held = sum(array.nbytes for job in flight for array in job.message.arrays)
            if flight and held > BYTES_IN_FLIGHT:
                return
            job = again.popleft() if again else next_job()
            if job is None:
                return
            self._identifier += 1
            job.message.header["id"] = self._identifier
            self._worker.send(job.message)
            flight.append(job)

    def _start(self) -> dict[str, Any]:
        worker = self._worker = Worker(self.launch)
        self._begun = (None, None)
        worker.send(Message({"type": "load"}))
        self._expect("hello")
        return self._expect("loaded").header

    def _expect(self, kind: str) -> Message:
        reply = self._await(None, self.limits.startup)
        if isinstance(reply, Failure):
            tail = f"; it printed: {reply.output[-600:]}" if reply.output else ""
            raise Broken(f"the worker did not start: {reply.detail}{tail}")
        if reply.header["type"] != kind:
            self._drop()
            raise Broken(str(reply.header.get("error", "the worker said nothing useful")))
        return reply

    def _reply(self, job: Job) -> Message | Failure:
        seconds = min(self.limits.seconds, job.seconds)
        return self._await(job.message.header["id"], seconds)

    def _await(self, identifier: int | None, seconds: float) -> Message | Failure:
        worker = self._worker
        assert worker is not None
        deadline = time.monotonic() + seconds
        while True:
            if self.stopped.is_set():
                self._drop()
                raise Interrupted
            try:
                message = worker.receive(TICK)
            except EOFError:
                return self._fail("crash")
            except ProtocolError as error:
                return self._fail("crash", f"malformed reply: {error}")
            if message is None:
                if time.monotonic() > deadline:
                    return self._fail("timeout", f"no reply within {seconds:g} s; killed")
                if worker.memory() > self.limits.memory:
                    used = f"over the memory limit of {self.limits.memory / 2**20:.0f} MiB"
                    return self._fail("crash", f"{used}; killed")
            elif message.header.get("type") == "stage":
                self._begun = (message.header["form"], message.header["stage"])
            elif message.header.get("id") != identifier:
                given = message.header.get("id")
                return self._fail("crash", f"malformed reply: to request {given!r}")
            else:
                self._begun = (None, None)
                return message

    def _fail(self, kind: Literal["crash", "timeout"], detail: str | None = None) -> Failure:
        """End the worker; without a detail it ended by itself and its status is the detail."""
        worker, self._worker = self._worker, None
        assert worker is not None
        status = worker.stop() if detail else worker.ended()
        return Failure(kind, detail or _how(status), worker.output(), *self._begun)

    def _drop(self) -> None:
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


def _how(status: int) -> str:
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}"
        return f"killed by signal {-status}"
    return f"exited with status {status}"
