"""Commands that are killed at a moment: each time one writes, renames, starts a process, and so on.

A process that has the command line imported forks for each command, so that many moments take
little time; ``python -m tests.killing`` is that process.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import IO, Any, NoReturn

import click

from tests.support import HERE

WRITING = os.O_WRONLY | os.O_RDWR
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "subprocess.Popen", "sqlite3.connect")
CALLS = {
    "posix": {"write", "replace"},
    "_posixsubprocess": {"fork_exec"},
    "file": {"write", "close", "__exit__"},
    "database": {"execute", "close"},
}
KINDS: dict[type, str] = {
    io.TextIOWrapper: "file",
    io.BufferedWriter: "file",
    io.FileIO: "file",
    sqlite3.Connection: "database",
}


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit status, negative for a signal, and the moments that it had."""

    status: int
    moments: int
    output: str

    @property
    def killed(self) -> bool:
        """Whether its moment came."""
        return self.status == -signal.SIGKILL


class Killer:
    """Runs commands in a folder, and kills them."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.killing"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=environment, cwd=HERE.parent,
        )  # fmt: skip

    def __call__(
        self,
        *arguments: object,
        cwd: Path,
        moment: int = 0,
        environment: dict[str, str] | None = None,
    ) -> Ended:
        """Run a command, killed at its n-th moment if it has that many."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = [list(map(str, arguments)), str(cwd), moment, environment or {}]
        print(json.dumps(job), file=self._process.stdin, flush=True)
        return Ended(**json.loads(self._process.stdout.readline()))

    def __enter__(self) -> Killer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


def spread(moments: int, count: int) -> Sequence[int]:
    """Some of the moments from the first to the last, evenly."""
    if moments <= count:
        return range(1, moments + 1)
    return sorted({1 + at * (moments - 1) // (count - 1) for at in range(count)})


class _Watch:
    """Counts moments, and ends the process at one.

    They are changes of files below the folder, and what is written from one's opening on, until it
    is put in its place.
    """

    def __init__(self, moment: int) -> None:
        self.moment, self.seen = moment, 0

    def change(self, event: str, given: tuple[Any, ...]) -> None:
        """Hear of an event of Python's audit."""
        if event == "open":
            path, _, flags = given
            own = isinstance(path, str) and os.path.abspath(path).startswith(os.getcwd())
            if not own or not isinstance(flags, int) or not flags & WRITING:
                return
        elif event not in CHANGES:
            return
        self._come()
        if event not in ("os.mkdir", "subprocess.Popen"):
            sys.setprofile(self.call)

    def call(self, frame: FrameType, event: str, called: Any) -> None:
        """Hear of a call."""
        if event not in ("c_call", "c_return"):
            return
        owner = getattr(called, "__self__", None)
        kind = owner.__name__ if isinstance(owner, ModuleType) else KINDS.get(type(owner), "")
        if getattr(called, "__name__", "") not in CALLS.get(kind, ()):
            return
        if kind != "file" or _is_file(owner):
            self._come()
        if event == "c_return" and called is os.replace:
            sys.setprofile(None)

    def _come(self) -> None:
        self.seen += 1
        if self.seen == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def _is_file(stream: Any) -> bool:
    """Whether it is written to, and no standard stream."""
    name = str(getattr(stream, "name", "<memory>"))
    return not name.startswith("<") and not stream.closed and bool(stream.writable())


def _serve() -> None:
    from conformance.cli import main

    main.list_commands(click.Context(main))
    for line in sys.stdin:
        arguments, folder, moment, environment = json.loads(line)
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as counted:
            child = os.fork()
            if not child:
                os.dup2(told.fileno(), 1)
                os.dup2(told.fileno(), 2)
                os.chdir(folder)
                os.environ.update(environment)
                _run(main, arguments, _Watch(moment), counted)
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            told.seek(0)
            counted.seek(0)
            ended = Ended(code, int(counted.read() or 0), told.read().decode(errors="replace"))
        print(json.dumps(asdict(ended)), flush=True)


def _run(
    command: Callable[..., object], arguments: list[str], watch: _Watch, counted: IO[bytes]
) -> NoReturn:
    status: object = 0
    sys.addaudithook(watch.change)
    try:
        command(arguments, prog_name="conformance")
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 99
    sys.setprofile(None)
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(counted.fileno(), str(watch.seen).encode())
    os._exit(status if isinstance(status, int) else 99)


if __name__ == "__main__":
    _serve()
