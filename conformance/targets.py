"""How targets are named and ordered wherever a run is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from conformance.adapter import EAGER
from conformance.discovery import Target

Names = Mapping[tuple[str, str], str]
"""What an API of a backend is called, by both."""


def names(targets: Iterable[Target]) -> Names:
    """Each API as its users call it; behind its backend where others of these have it, too."""
    apis = {(target.backend, target.api) for target in targets}
    having = Counter(api for _, api in apis)
    return {
        (backend, api): api if having[api] == 1 else f"{backend}/{api}" for backend, api in apis
    }


def called(names: Names, backend: str, api: str) -> str:
    """A name of these, or what sets an API that is not among them apart from those that are."""
    taken = any(other == api for _, other in names)
    return names.get((backend, api), f"{backend}/{api}" if taken else api)


def place(target: Target) -> tuple[object, ...]:
    """The order of targets: backends and APIs by name, eager mode before others."""
    return target.backend, target.api, target.mode != EAGER.name, target.mode
