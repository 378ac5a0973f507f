"""Backends that share an API: their entries as one where only the framework differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from conformance.side_by_side import rendering
from conformance.side_by_side.show import Entry


def merged(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries as text shows them: those that say the same of one API are one.

    An API that is still there more than once is told apart by its backends.
    """
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        said = entry.api, entry.way, entry.right, entry.layout, entry.code, entry.obvious
        groups.setdefault((*said, *rendering.remarks(entry)), []).append(entry)
    counted = Counter(first.api for first, *_ in groups.values())
    return tuple(
        replace(first, api=_label(group) if counted[first.api] > 1 else first.api, also=tuple(also))
        for group in groups.values()
        for first, *also in [group]
    )


def _label(group: list[Entry]) -> str:
    return f"{group[0].api} ({', '.join(entry.backend for entry in group)})"
