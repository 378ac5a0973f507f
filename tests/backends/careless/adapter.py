"""A backend that is right at stride 1; at larger strides each API has a fault of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.adapter import Adapter, Api, Driver, Info, Layout, Lowering, Program
from conformance.dtypes import Array
from conformance.request import Conv

PROGRAM = """
import os
import time

import numpy as np


def forward(x, w):
    {fault}
    x = np.pad(x.transpose(0, 3, 1, 2), {pads})
    windows = np.lib.stride_tricks.sliding_window_view(x, {window}, (2, 3))
    windows = windows[:, :, ::{stride[0]}, ::{stride[1]}, ::{dilation[0]}, ::{dilation[1]}]
    return np.einsum("nchwij,ocij->nhwo", windows, w){result}
"""
FAULTS = {
    "padding": "pass",
    "dtype": "pass",
    "refusing": 'raise ValueError("stride {stride[0]} is not supported\\nat all")',
    "aborting": "os.abort()",
    "leaving": "os._exit(7)",
    "hanging": "time.sleep(1000)",
}


class Careless(Api):
    """Convolution of images whose channels are last."""

    layout = Layout("N*C", "OI*", "IO*")

    def __init__(self, name: str) -> None:
        self.name, self.fault = f"careless.{name}", name

    def conv(self, r: Conv) -> Lowering:
        """The program, with the fault where a stride is above one."""
        faulty = max(r.stride) > 1
        dropped = faulty and self.fault == "padding"
        pads = ((0, 0), (0, 0), *(((0, 0),) * 2 if dropped else r.padding.pairs))
        text = PROGRAM.format(
            fault=FAULTS[self.fault].format(stride=r.stride) if faulty else "pass",
            pads=pads,
            window=tuple((k - 1) * d + 1 for k, d in zip(r.window, r.dilation)),
            stride=r.stride,
            dilation=r.dilation,
            result=".astype(np.float64)" if faulty and self.fault == "dtype" else "",
        )
        return Lowering(Program(text.lstrip()))


class CarelessAdapter(Adapter):
    """NumPy, and carelessness."""

    name = "careless"
    module = "numpy"
    distributions = ("numpy",)
    apis = tuple(map(Careless, FAULTS))
    environment: Mapping[str, str] = {"CARELESS": 'a "word"'}
    gradients = False

    def load(self) -> Info:
        """Nothing to import."""
        return Info({"careless": "1.0", "numpy": np.__version__}, {"flags": ""}, "cpu", "1")

    def tensor(self, array: Array, dtype: str) -> Any:
        """The array itself."""
        return array

    def array(self, tensor: Any) -> tuple[Array, str]:
        """The array itself."""
        return tensor, tensor.dtype.name

    def run(
        self, program: Mapping[str, Any], inputs: Sequence[Any], cotangent: Any | None, mode: str
    ) -> Iterator[Any]:
        """The output; there are no gradients."""
        yield program["forward"](*inputs)

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        """One call."""
        run = (f"y = forward({', '.join(names)})",)
        return Driver((), "np.ascontiguousarray({})", run, "{}", f"np.{dtype}")


adapter = CarelessAdapter()
