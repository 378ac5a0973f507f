"""A framework whose releases differ: the tests make them (`tests.releases`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from conformance.adapter import Adapter, Api, Info, Lowering, Program
from conformance.dtypes import Array
from conformance.request import Conv

PROGRAM = """
import drifting


def forward(x, w):
    return drifting.correlate(x, w, {padding})
"""


class Correlation(Api):
    """Padded convolution."""

    name = "drifting.correlate"

    def conv(self, r: Conv) -> Lowering:
        """The program."""
        return Lowering(Program(PROGRAM.lstrip().format(padding=r.padding.pairs[0][0])))


class Drifting(Adapter):
    """NumPy's arrays; there are no gradients."""

    name = "drifting"
    module = "drifting"
    distributions = ("drifting", "numpy")
    apis = (Correlation(),)
    gradients = False

    def load(self) -> Info:
        """Import it."""
        import drifting  # type: ignore[import-not-found]  # noqa: F401

        return Info({name: version(name) for name in self.distributions}, {}, "cpu", "1")

    def tensor(self, array: Array, dtype: str) -> Any:
        """The array itself."""
        return array

    def array(self, tensor: Any) -> tuple[Array, str]:
        """The array itself."""
        return tensor, tensor.dtype.name

    def run(
        self, program: Mapping[str, Any], inputs: Sequence[Any], cotangent: Any | None, mode: str
    ) -> Iterator[Any]:
        """The output."""
        yield program["forward"](*inputs)


adapter = Drifting()
