"""A backend whose framework is installed and broken: its import fails."""

from __future__ import annotations

from ..misbehaving.adapter import Misbehaving, MisbehavingAdapter


class Unimportable(MisbehavingAdapter):
    """Fails to load."""

    name = "unimportable"
    apis = (Misbehaving("right", ""),)

    def load(self) -> None:  # type: ignore[override]
        """Fail as a framework with a missing shared library does."""
        raise ImportError("libframework.so.2: cannot open shared object file")


adapter = Unimportable()
