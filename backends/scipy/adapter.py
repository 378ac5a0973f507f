"""SciPy: ``scipy.signal`` and ``scipy.ndimage``, and the two functions of NumPy like them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.adapter import Adapter, Driver, Info, Program
from conformance.dtypes import DTYPES, Array

from .moded import NumPy, Signal, Signal2d
from .ndimage import NdImage


class SciPy(Adapter):
    """SciPy on NumPy's arrays, without gradients."""

    name = "scipy"
    module = "scipy"
    distributions = ("scipy", "numpy")
    apis = (Signal(), Signal2d(), NdImage(), NumPy())
    dtypes = frozenset(DTYPES) - {"bfloat16"}
    gradients = False
    seconds_per_case = 0.002

    def load(self) -> Info:
        import numpy as np
        import scipy

        blas = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return Info(
            versions={"scipy": scipy.__version__, "numpy": np.__version__},
            build={"blas": f"{blas['name']} {blas['version']}"},
            device="cpu",
            threads="1",
        )

    def tensor(self, array: Array, dtype: str) -> Array:
        return array.astype(dtype)

    def array(self, tensor: Array) -> tuple[Array, str]:
        return tensor, tensor.dtype.name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Array],
        cotangent: Array | None,
        mode: str,
    ) -> Iterator[Any]:
        yield program["forward"](*inputs)

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        run = (f"y = forward({', '.join(names)})",)
        return Driver((), "{}", run, "{}", f"np.{dtype}")


adapter = SciPy()
