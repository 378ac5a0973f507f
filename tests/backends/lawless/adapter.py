"""A backend that is right but for one semantics: each API plants it wherever it can show."""

from __future__ import annotations

from conformance.adapter import Lowering, Unsupported
from conformance.request import Request

from ..planted.adapter import Planted, PlantedAdapter
from ..planted.semantics import PLANTED


class Lawless(Planted):
    """The semantics, and the right one where it cannot show."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.name = f"lawless.{cause}"

    def lower(self, request: Request) -> Lowering:
        """A call of the semantics, else of the right one."""
        lowering = super().lower(request)
        if isinstance(lowering.native, Unsupported):
            return Planted("right").lower(request)
        return lowering


class LawlessAdapter(PlantedAdapter):
    """NumPy, and wrong semantics."""

    name = "lawless"
    apis = tuple(map(Lawless, PLANTED))


adapter = LawlessAdapter()
