"""Content: where it lies, and errors about it that name file and line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

Place = tuple[str | int, ...]


class ContentError(Exception):
    """A mistake in a file that a user wrote: what, where, and what would be right."""

    def __init__(
        self, message: str, file: Path, line: int | None = None, place: Place = ()
    ) -> None:
        super().__init__(message, file, line, place)
        self.message, self.file, self.line, self.place = message, file, line, place

    def __str__(self) -> str:
        where = f"{display(self.file)}:{self.line}" if self.line else display(self.file)
        path = f"{dotted(self.place)}: " if self.place else ""
        return f"{where}: {path}{self.message}"


def display(path: Path) -> str:
    """The path as a user would type it from the current folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return str(path)
    return str(path) if relative.startswith(os.pardir) else relative


def dotted(place: Place) -> str:
    """A place in a document as ``cases[2].padding``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if re.fullmatch(r"[\w.{}+-]{1,60}", part) else shown(part)
            text += f".{word}" if text else word
    return text


def shown(value: object, limit: int = 60) -> str:
    """A value as a user would write it in a file, in one short line."""
    if value is None:
        text = "nothing"
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, int) and abs(value) >= 10**limit:
        text = "a number of very many digits"
    elif isinstance(value, (list, tuple)):
        text = f"[{', '.join(shown(item) for item in value[:limit])}]"
    elif isinstance(value, Mapping):
        pairs = list(value.items())[:limit]
        text = "{" + ", ".join(f"{key}: {shown(item)}" for key, item in pairs) + "}"
    else:
        text = repr(value[:limit] if isinstance(value, str) else value)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def root(kind: str) -> Path:
    """The folder of the suite's own ``cases``, ``backends`` or ``reports``.

    An installed wheel carries them inside the package, a checkout beside it.
    """
    package = Path(__file__).resolve().parent
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind
