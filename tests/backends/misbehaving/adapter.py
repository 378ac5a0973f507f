"""A backend that misbehaves on command: each API is one fault."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from conformance.adapter import Adapter, Api, Info, Lowering, Program
from conformance.dtypes import Array
from conformance.request import Conv

RIGHT = """
import numpy as np
import os, signal, sys, time


def forward(x, w):
    {fault}
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


def vjp(y, x, w):
    {vjp_fault}
    wide = np.pad(y, ((0, 0), (0, 0), *((k - 1, k - 1) for k in w.shape[2:])))
    over_w = np.lib.stride_tricks.sliding_window_view(wide, w.shape[2:], (2, 3))
    over_y = np.lib.stride_tricks.sliding_window_view(x, y.shape[2:], (2, 3))
    dx = np.einsum("nohwij,ocij->nchw", over_w, w[:, :, ::-1, ::-1])
    return dx, np.einsum("ncijhw,nohw->ocij", over_y, y)
"""

GARBAGE = 'os.write(int(sys.argv[sys.argv.index("--write") + 1]), b"garbage" * 100)'
FAULTS = {
    "right": "",
    "segfault": "os.kill(os.getpid(), signal.SIGSEGV)",
    "abort": 'print("about to abort", file=sys.stderr, flush=True); os.abort()',
    "exit": "os._exit(7)",
    "hang": "time.sleep(1000)",
    "memory": "hog = [np.ones(2**23) for _ in iter(lambda: time.sleep(0.02), 1)]",
    "noise": 'os.write(1, b"out" * 2**20); os.write(2, b"err" * 2**20)',
    "malformed": GARBAGE,
    "raises": 'raise RuntimeError("no\\nthank you")',
    "late": "import threading; threading.Thread(target=time.sleep, args=(9,)).start(); os._exit(0)",
}
VJP_FAULTS = {"vjp-abort": "os.abort()", "vjp-raises": 'raise RuntimeError("no gradient")'}


class Misbehaving(Api):
    """One fault, at each forward pass or each VJP; the emulation is right."""

    def __init__(self, name: str, fault: str, vjp_fault: str = "") -> None:
        self.name = f"misbehaving.{name}"
        self.fault, self.vjp_fault = fault or "pass", vjp_fault or "pass"

    def conv(self, r: Conv) -> Lowering:
        """Code with the fault, and without it."""
        wrong = RIGHT.format(fault=self.fault, vjp_fault=self.vjp_fault)
        right = RIGHT.format(fault="pass", vjp_fault="pass")
        return Lowering(Program(textwrap.dedent(wrong)), Program(textwrap.dedent(right)))


class MisbehavingAdapter(Adapter):
    """NumPy, and faults."""

    name = "misbehaving"
    module = "numpy"
    distributions = ("numpy",)
    apis = (
        *(Misbehaving(name, fault) for name, fault in FAULTS.items()),
        *(Misbehaving(name, "", fault) for name, fault in VJP_FAULTS.items()),
    )

    def load(self) -> Info:
        """Nothing to import."""
        return Info({"numpy": np.__version__}, {}, "cpu", "1")

    def tensor(self, array: Array, dtype: str) -> Any:
        """The array itself."""
        return array

    def array(self, tensor: Any) -> tuple[Array, str]:
        """The array itself."""
        return tensor, tensor.dtype.name

    def run(
        self, program: Mapping[str, Any], inputs: Sequence[Any], cotangent: Any | None, mode: str
    ) -> Iterator[Any]:
        """Run the program's two functions."""
        yield program["forward"](*inputs)
        yield program["vjp"](cotangent, *inputs)


adapter = MisbehavingAdapter()
