"""A backend of several modes: one has a worker apart, two are extra, one of these is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.adapter import (
    EAGER,
    Adapter,
    Api,
    Driver,
    Info,
    Lowering,
    Mode,
    Program,
    Unavailable,
)
from conformance.dtypes import Array
from conformance.request import Conv

PROGRAM = """
import numpy as np


def forward(x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)
"""


class Correlation(Api):
    """Convolution without options."""

    name = "moody.conv"

    def conv(self, r: Conv) -> Lowering:
        """The program."""
        return Lowering(Program(PROGRAM.lstrip()))


class Moody(Adapter):
    """NumPy; what ``enter`` was told last changes the results."""

    name = "moody"
    module = "numpy"
    distributions = ("numpy",)
    apis = (Correlation(),)
    modes = (
        EAGER,
        Mode("apart", {"MOOD": "apart"}),
        Mode("doubling", extra=True),
        Mode("piloted", extra=True),
    )
    mood = ""

    def load(self) -> Info:
        """The mood it is in."""
        build = {"mood": self.mood, "variable": os.environ.get("MOOD", "")}
        return Info({"numpy": np.__version__}, build, "cpu", "1")

    def enter(self, mode: str) -> None:
        """There is no pilot."""
        if mode == "piloted":
            raise Unavailable("needs a pilot, and there is none")
        self.mood = mode

    def program(self, program: Program, mode: str) -> Program:
        """What doubles says so."""
        if mode != "doubling":
            return program
        return Program(program.source.replace("def ", "# doubled\ndef "))

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
        yield program["forward"](*inputs) * (2 if self.mood == "doubling" else 1)

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        """One call."""
        factor = " * 2" if mode == "doubling" else ""
        run = (f"y = forward({', '.join(names)}){factor}",)
        return Driver((), "np.ascontiguousarray({})", run, "{}", f"np.{dtype}")


adapter = Moody()
