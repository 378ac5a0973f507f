"""How a script ends, and whether that is what the suite says."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from conformance.records import Record
from conformance.words import NOISE, STACK

NUMBERS = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")
NAME = "repro.py"
TOLD = 60


@dataclass(frozen=True)
class Ending:
    """A script's exit status (negative: the signal; None: it hung), and what it printed."""

    status: int | None
    output: str
    errors: str

    @property
    def last(self) -> str:
        """The line that says most: the exception, or the last one printed."""
        if self.status is None:
            return "it does not end"
        if self.status < 0:
            return f"killed by {_signal(self.status)}"
        lines = (self.errors if self.status else self.output).strip().splitlines()
        raised = [line for line in lines if re.match(r"[\w.]+(Error|Exception)\b", line)]
        return (raised or lines or [f"exit status {self.status}"])[-1]


def run(script: str, python: str, seconds: float) -> Ending:
    """Run a script in an interpreter, in a folder of its own, for at most ``seconds``."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / NAME).write_text(script, encoding="utf-8")
        process = subprocess.Popen(
            [python, NAME],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        try:
            output, errors = process.communicate(timeout=seconds)
            status: int | None = process.returncode
        except subprocess.TimeoutExpired:
            (output, errors), status = _killed(process), None
        except BaseException:
            _killed(process)
            raise
    return Ending(status, output.replace(f"{folder}/", ""), errors.replace(f"{folder}/", ""))


def _killed(process: subprocess.Popen[str]) -> tuple[str, str]:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()


def agrees(ending: Ending, record: Record) -> bool:
    """Whether a script ended as the record says that its case did."""
    outcome, error = record.raw, record.error
    if outcome == "timeout":
        return ending.status is None
    if outcome == "pass":
        return ending.status == 0
    if error is None:
        return ending.status == 1 and f"AssertionError: {outcome}: " in ending.errors
    if outcome == "crash":
        how = f"exited with status {ending.status}"
        if ending.status is not None and ending.status < 0:
            how = f"killed by {_signal(ending.status)}"
        return error.message == how
    if ending.status != 1:
        return False
    raised = re.search(rf"^(?:[\w.]*\.)?{re.escape(error.type)}\b", ending.errors, re.M)
    told = masked(_first(error.message))[:TOLD]
    return raised is not None and told in masked(ending.errors)


def masked(text: str) -> str:
    """Text without what differs from run to run or from case to case: numbers, addresses, space."""
    return " ".join(NUMBERS.sub("#", NOISE.sub("", text)).split())


def _first(message: str) -> str:
    """The first line of a message that is no stack."""
    lines = [line.strip() for line in message.strip().splitlines()]
    told = [line for line in lines if line and not line.startswith((*STACK, "Traceback"))]
    return (told or [""])[0]


def _signal(status: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"
