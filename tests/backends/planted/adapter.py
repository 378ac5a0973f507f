"""A backend that is wrong on command: each API is one wrong semantics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.adapter import Adapter, Api, Info, Lowering, Unsupported, parameters
from conformance.dtypes import Array
from conformance.request import Pool, Request, to_json
from conformance.source import source

from .semantics import PLANTED, chosen


class Planted(Api):
    """One semantics; what cannot show it is not supported."""

    def __init__(self, cause: str) -> None:
        self.name, self.cause = f"planted.{cause}", cause

    def lower(self, request: Request) -> Lowering:
        """A call of the semantics."""
        mixed = not isinstance(request, Pool) and request.mixed
        if mixed or request.unbatched or "complex" in request.dtype:
            return Lowering(Unsupported("the semantics know one dtype, real, and all axes"))
        try:
            chosen((self.cause,), request)
        except LookupError as error:
            return Lowering(Unsupported(str(error)))
        arguments = ", ".join(parameters(request))
        setup = (
            f"semantics = chosen(({self.cause!r},), from_json({to_json(request)!r}))\n"
            f"dtype = {request.result_dtype!r}\n\n\n"
            f"def vjp(dy, {arguments}):\n"
            f"    shares = compute.vjp(semantics, dy, {arguments})\n"
            "    return tuple((share, dtype) for share in shares)\n"
        )
        imports = [
            "from conformance.request import from_json",
            f"from {__package__} import compute",
            f"from {__package__}.semantics import chosen",
        ]
        return Lowering(
            source(request, imports, f"compute.forward(semantics, {arguments}), dtype", setup=setup)
        )


class PlantedAdapter(Adapter):
    """NumPy, and wrong semantics; a tensor is an array in its carrier, a result has its dtype."""

    name = "planted"
    module = "numpy"
    distributions = ("numpy",)
    apis = tuple(map(Planted, PLANTED))

    def load(self) -> Info:
        """Nothing to import."""
        return Info({"numpy": np.__version__}, {}, "cpu", "1")

    def tensor(self, array: Array, dtype: str) -> Any:
        """The array itself."""
        return array

    def array(self, tensor: Any) -> tuple[Array, str]:
        """The two parts of a result."""
        values, dtype = tensor
        return values, dtype

    def run(
        self, program: Mapping[str, Any], inputs: Sequence[Any], cotangent: Any | None, mode: str
    ) -> Iterator[Any]:
        """Run the program's two functions."""
        yield program["forward"](*inputs)
        if cotangent is not None:
            yield program["vjp"](cotangent, *inputs)


adapter = PlantedAdapter()
