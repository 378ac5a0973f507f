"""ONNX Runtime on the CPU, and its modes. It only infers: there are no gradients."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

from conformance.adapter import EAGER, Adapter, Driver, Info, Mode, Program
from conformance.dtypes import DTYPES, Array

from .graph import IMPORTED, IR_VERSION, OPSET, OPTIONS
from .lowering import OnnxRuntime

UNOPTIMIZED = Mode("unoptimized")
DISABLED = "options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL"


class Runtime(Adapter):
    """ONNX Runtime on the CPU, with its graph optimisations and without."""

    name = "onnxruntime"
    module = "onnxruntime"
    distributions = ("onnxruntime", "onnx", "numpy")
    apis = (OnnxRuntime(),)
    modes = (EAGER, UNOPTIMIZED)
    gradients = False
    # Sessions take NumPy's arrays, and no complex ones.
    dtypes = frozenset(DTYPES) - {"bfloat16", "complex64", "complex128"}
    seconds_per_case = 0.002

    def load(self) -> Info:
        import numpy
        import onnx
        import onnxruntime

        build = {
            "build": onnxruntime.get_build_info(),
            "providers": ", ".join(onnxruntime.get_available_providers()),
            "architecture": platform.machine(),
        }
        versions = {
            "onnxruntime": onnxruntime.__version__,
            "onnx": onnx.__version__,
            "numpy": numpy.__version__,
        }
        return Info(versions, build, "cpu", str(_threads() or "one per core"))

    def program(self, program: Program, mode: str) -> Program:
        program = _readable(program)
        if mode != UNOPTIMIZED.name:
            return program
        text = program.source.replace(IMPORTED, f"{IMPORTED}, GraphOptimizationLevel")
        return Program(text.replace(OPTIONS, f"{OPTIONS}\n{DISABLED}"))

    def tensor(self, array: Array, dtype: str) -> Array:
        return array.astype(dtype, order="C")

    def array(self, tensor: Array) -> tuple[Array, str]:
        return tensor, tensor.dtype.name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Array],
        cotangent: Array | None,
        mode: str,
    ) -> Iterator[Any]:
        program["options"].intra_op_num_threads = _threads()
        yield program["forward"](*inputs)

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        return Driver((), "{}", (f"y = forward({', '.join(names)})",), "{}", f"np.{dtype}")


OLDER = (("1.18", 19, 9), ("1.21", 21, 10))
"""Before which releases which opset and model format are the latest that are read.

https://onnxruntime.ai/docs/reference/compatibility.html
"""


def _readable(program: Program) -> Program:
    """The program with a model that the installed release reads."""
    try:
        installed = _release(metadata.version("onnxruntime"))
    except metadata.PackageNotFoundError:
        return program
    for release, opset, ir_version in OLDER:
        if installed < _release(release):
            source = program.source.replace(
                f'make_opsetid("", {OPSET})', f'make_opsetid("", {opset})'
            )
            return Program(source.replace(f"ir_version={IR_VERSION}", f"ir_version={ir_version}"))
    return program


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _threads() -> int:
    """ONNX Runtime has threads of its own and reads no variable; 0 is one for each core."""
    return int(os.environ.get("OMP_NUM_THREADS", "0").partition(",")[0])


adapter = Runtime()
