"""The journal of a fuzzing folder: JSON lines that are on the disk before anything else is done.

Each line is appended whole and synced, so that a kill at any time leaves at worst a last line cut
short, which readers drop and the next writer removes.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic
import yaml

from conformance import content, resolve, schema
from conformance.cases import Case
from conformance.fuzzing.drawing import digested
from conformance.results import ResultsError

NAME = "findings.jsonl"
VERSION = 1
Line = Mapping[str, Any]


@dataclass
class Journal:
    """Appends lines; threads may share it."""

    path: Path
    _file: int = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            where = content.display(self.path)
            raise ResultsError(f"{where}: cannot be written: {error.strerror}") from None
        held = self.path.read_bytes()
        os.truncate(self._file, held.rfind(b"\n") + 1)

    def add(self, kind: str, fields: Line) -> None:
        """Append a line; it is on the disk when this returns."""
        text = json.dumps({"kind": kind, "version": VERSION, **fields}, allow_nan=False) + "\n"
        with self._lock:
            data = memoryview(text.encode())
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(path: Path) -> list[Line]:
    """The lines of a journal; none where there is none.

    Raises:
        ResultsError: it cannot be read, or is no journal of this version; the line is named.
    """
    name = content.display(path)
    if not path.exists():
        return []
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")[:-1]
    except (OSError, UnicodeDecodeError):
        raise ResultsError(f"{name}: cannot be read as a journal of findings") from None
    found = []
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            if fields["version"] != VERSION or not isinstance(fields["kind"], str):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ResultsError(
                f"{name}:{number}: is no line of a journal of findings of this version; name "
                "another folder with --out"
            ) from None
        found.append(fields)
    return found


def read_case(text: str) -> Case:
    """The case that `cases.written` wrote.

    Raises:
        ValueError: it is none.
    """
    try:
        data = yaml.safe_load(text)
        (entry,) = data.pop("cases")
        return digested(schema.Case.model_validate({**data, **entry}))
    except (yaml.YAMLError, pydantic.ValidationError, resolve.RequestError) as error:
        raise ValueError(f"{error}") from None
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no case: {error}") from None
