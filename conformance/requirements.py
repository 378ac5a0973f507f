"""The distributions that a backend is made of, as its ``requirements.txt`` names them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name


def distributions(path: Path) -> list[str]:
    """The names in a requirements file, each once, without versions; none where it is missing."""
    names: dict[str, str] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        with contextlib.suppress(InvalidRequirement):
            name = Requirement(line.partition("#")[0].strip()).name
            names.setdefault(canonicalize_name(name), name)
    return list(names.values())
