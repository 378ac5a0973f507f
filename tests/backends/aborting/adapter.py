"""A backend whose framework ends the process when it is imported."""

from __future__ import annotations

import os

from ..misbehaving.adapter import Misbehaving, MisbehavingAdapter


class Aborting(MisbehavingAdapter):
    """Dies while loading."""

    name = "aborting"
    apis = (Misbehaving("right", ""),)

    def load(self) -> None:  # type: ignore[override]
        """Die as a framework that was built for another processor does."""
        os.write(2, b"illegal instruction\n")
        os.abort()


adapter = Aborting()
