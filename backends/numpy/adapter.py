"""NumPy: plain loops, the second implementation that the oracle is checked against."""

from __future__ import annotations

import importlib
import inspect
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.adapter import (
    Adapter,
    Api,
    Driver,
    Glue,
    Info,
    Lowering,
    Program,
    Unsupported,
    parameters,
)
from conformance.dtypes import DTYPES, Array
from conformance.request import Conv, ConvTranspose, PaddingMode, Pool, Request
from conformance.source import call, gradients, source

from . import loops

Functions = list[Callable[..., Any]]

STEPS = 20_000
"""Most steps that a program's loops take: about half a second with the gradients."""

PRODUCTS = 2**26
"""Most elements that the steps look at together."""

MODES: dict[PaddingMode, str] = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}


class Loops(Api):
    """One loop step per output element (per input element for transposed convolutions)."""

    name = "numpy.loops"
    glue = Glue(
        "np.maximum({x}, 0)", "np.concatenate([{x}, {y}], {axis})", "np.sum({x})",
        {"np": "import numpy as np"}, explicit_vjp=True,
    )  # fmt: skip

    def conv(self, r: Conv) -> Lowering:
        """Lower a convolution."""
        return _lowering(
            r,
            [loops.wide, loops.padded, loops.unpadded, loops.covered, loops.conv, loops.conv_vjp],
            mode=MODES[r.padding.mode],
            groups=r.groups,
        )

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        """Lower a transposed convolution."""
        helpers: Functions = [
            loops.wide,
            loops.padded,
            loops.unpadded,
            loops.covered,
            loops.trimming,
        ]
        return _lowering(
            r,
            [*helpers, loops.conv_transpose, loops.conv_transpose_vjp],
            output_padding=r.output_padding,
            groups=r.groups,
        )

    def max_pool(self, r: Pool) -> Lowering:
        """Lower a max pooling."""
        return _pool(r)

    def avg_pool(self, r: Pool) -> Lowering:
        """Lower an average pooling."""
        if not DTYPES[r.dtype].floating:
            return Lowering(Unsupported(f"the average of {r.dtype} has no agreed meaning"))
        return _pool(r)

    def lp_pool(self, r: Pool) -> Lowering:
        """Lower an L^p pooling."""
        return self.avg_pool(r)

    def max_pool_indices(self, r: Pool) -> Lowering:
        """Lower a max pooling that returns indices."""
        return _pool(r)

    def mixed(self, r: Conv | ConvTranspose) -> Lowering:
        """NumPy promotes on its own; where its rule is another one, the loops do not say it."""
        dtypes = r.dtype, r.dtype_of("w")
        if "bfloat16" in dtypes:
            return Lowering(Unsupported("NumPy has no bfloat16"))
        if np.result_type(*dtypes).name != r.result_dtype:
            return Lowering(Unsupported(f"NumPy promotes {' and '.join(dtypes)} to another dtype"))
        return self.lower(replace(r, kernel_dtype=None))

    def unbatched(self, r: Request) -> Lowering:
        """Loops count images first."""
        return Lowering(Unsupported("the loops take a batch"))

    def adaptive_pool(self, r: Pool) -> Lowering:
        """Lower an adaptive or global pooling."""
        return self.max_pool(r) if r.kind == "max" else self.avg_pool(r)


class NumPy(Adapter):
    """NumPy on its own."""

    name = "numpy"
    module = "numpy"
    distributions = ("numpy",)
    apis = (Loops(),)

    def load(self) -> Info:
        """Import NumPy."""
        numpy = importlib.import_module("numpy")
        return Info(
            versions={"numpy": numpy.__version__},
            build={"blas": _blas(numpy)},
            device="cpu",
            threads=os.environ.get("OMP_NUM_THREADS", str(os.cpu_count())),
        )

    def tensor(self, array: Array, dtype: str) -> Array:
        """A copy of the array in its own dtype."""
        return array.astype(dtype)

    def array(self, tensor: Array) -> tuple[Array, str]:
        """The array and its dtype's name."""
        return tensor, tensor.dtype.name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Array],
        cotangent: Array | None,
        mode: str,
    ) -> Iterator[Any]:
        """Yield what the program's ``forward`` returns, then what its ``vjp`` does."""
        yield program["forward"](*inputs)
        if cotangent is not None:
            yield program["vjp"](cotangent, *inputs)

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        """Two calls; arrays are tensors."""
        inputs = ", ".join(names)
        run = [f"y = forward({inputs})"]
        if vjp:
            run.append(f"{gradients(names)} = vjp(dy, {inputs})")
        return Driver((), "{}", tuple(run), "{}", f"np.{dtype}")


def _pool(r: Pool) -> Lowering:
    kind = "indices" if r.indices else r.kind
    helpers: Functions = [loops.wide, loops.padded, loops.unpadded, loops.inner]
    if r.output_size is not None:
        return _lowering(
            r,
            [*helpers, loops.shared, loops.pool, loops.pool_vjp],
            stride=None,
            dilation=None,
            kind=kind,
            output_size=r.output_size,
        )
    return _lowering(
        r,
        [*helpers, loops.pooled, loops.pool, loops.pool_vjp],
        kind=kind,
        window=r.window,
        ceil_mode=r.ceil_mode,
        count_include_pad=r.count_include_pad,
        padding_value=r.padding_value,
        divisor=r.divisor,
        norm=r.norm if r.kind == "lp" else None,
    )


def _lowering(r: Request, functions: Functions, **options: object) -> Lowering:
    """A program of the functions' own source; the last two are the operator and its VJP."""
    return Lowering(_refusal(r) or _program(r, functions, **options))


def _program(r: Request, functions: Functions, **options: object) -> Program:
    operator, adjoint = (function.__name__ for function in functions[-2:])
    arguments = ", ".join(parameters(r))
    options = {"stride": r.stride, "padding": r.padding.pairs, "dilation": r.dilation, **options}
    parts = [
        *(inspect.getsource(function) for function in functions),
        f"options = {call('dict', **options)}\n",
        f"def vjp(dy, {arguments}):\n    return {adjoint}(dy, {arguments}, **options)\n",
    ]
    imports = inspect.getsource(loops).partition("\n\n\ndef ")[0]
    setup = "\n\n".join(parts)
    return source(r, imports, f"{operator}({arguments}, **options)", setup=setup)


def _refusal(r: Request) -> Unsupported | None:
    if r.dtype == "bfloat16":
        return Unsupported("NumPy has no bfloat16")
    steps = math.prod(r.input_shape if isinstance(r, ConvTranspose) else r.output_shape)
    depth = 1 if isinstance(r, Pool) else r.kernel_shape[1]
    if steps > STEPS or steps * depth * math.prod(r.window) > PRODUCTS:
        return Unsupported(
            f"too large for plain loops: {steps:,} steps over {depth * math.prod(r.window):,} "
            f"elements each; at most {STEPS:,} steps and {PRODUCTS:,} elements in all"
        )
    return None


def _blas(numpy: Any) -> str:
    try:
        return str(numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"])
    except (TypeError, KeyError):
        return "unknown"


adapter = NumPy()
