"""Apache MXNet, its dtypes, its gradients and its modes; `apis` has the programs."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from conformance.adapter import EAGER, Adapter, Driver, Info, Mode, Program
from conformance.dtypes import Array

from .apis import Gluon, Npx

LAYER = re.compile(r"^(\w+_)?layer = ", re.M)
HYBRID = """
class Hybrid(mx.gluon.HybridBlock):
    def hybrid_forward(self, F, *inputs):
        global np, npx
        np, npx = F.np, F.npx
        return forward(*inputs)
"""


class MXNet(Adapter):
    """MXNet on the CPU.

    In the mode ``hybridized`` Gluon's layers are, and functions stand in a block that is: what they
    are given are symbols, of which a graph is made.
    """

    name = "mxnet"
    module = "mxnet"
    distributions = ("mxnet", "numpy")
    apis = (Npx(), Gluon())
    dtypes = frozenset({"float64", "float32", "float16", "int64", "int32", "int8", "uint8"})
    environment: Mapping[str, str] = {"MXNET_STORAGE_FALLBACK_LOG_VERBOSE": "0"}
    modes = (
        EAGER,
        Mode("onednn-off", {"MXNET_MKLDNN_ENABLED": "0"}),
        Mode("hybridized", extra=True),
    )

    def load(self) -> Info:
        import mxnet
        import numpy as np

        mxnet.npx.set_np()
        features = mxnet.runtime.Features()
        enabled = sorted(name for name in features if features.is_enabled(name))
        build = {
            "features": ", ".join(enabled),
            "oneDNN enabled": str(os.environ.get("MXNET_MKLDNN_ENABLED", "1") != "0"),
        }
        versions = {"mxnet": mxnet.__version__, "numpy": np.__version__}
        threads = os.environ.get("OMP_NUM_THREADS") or f"default ({os.cpu_count()} CPUs)"
        return Info(versions, build, "cpu", threads)

    def program(self, program: Program, mode: str) -> Program:
        if mode != "hybridized" or LAYER.search(program.source):
            return program
        # A symbol cannot be copied, and need not be: it is a view of nothing.
        return Program(program.source.replace(".copy()", ""))

    def tensor(self, array: Array, dtype: str) -> Any:
        from mxnet import np

        return np.array(array, dtype=dtype)

    def array(self, tensor: Any) -> tuple[Array, str]:
        values: Array = tensor.asnumpy()
        return values, values.dtype.name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Any],
        cotangent: Any | None,
        mode: str,
    ) -> Iterator[Any]:
        import mxnet
        from mxnet import autograd

        _settle()
        forward = program["forward"]
        layers = [program[name] for name in program if name.endswith("layer")]
        if mode == "hybridized" and layers:
            for layer in layers:
                layer.hybridize()
        elif mode == "hybridized":
            namespace = cast(dict[str, Any], program)
            namespace["mx"] = mxnet
            exec(HYBRID, namespace)
            forward = namespace["Hybrid"]()
            forward.hybridize()
        try:
            if cotangent is None:
                yield forward(*inputs)
                return
            for tensor in inputs:
                tensor.attach_grad()
            with autograd.record():
                output = forward(*inputs)
            yield output
            output.backward(cotangent)
            names = inspect.signature(program["forward"]).parameters
            held = [_parameter(program, name) for name in names]
            yield tuple(
                tensor.grad if parameter is None else parameter.grad()
                for tensor, parameter in zip(inputs, held)
            )
        finally:
            _settle()

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        first: list[str] = []
        block = mode == "hybridized" and not LAYER.search(program.source)
        if mode == "hybridized":
            first = ["block = Hybrid()", "block.hybridize()"] if block else ["layer.hybridize()"]
        run = [f"y = {'block' if block else 'forward'}({', '.join(names)})"]
        if vjp:
            attached = [f"{name}.attach_grad()" for name in names]
            run = [*attached, "with mx.autograd.record():", f"    {run[0]}", "y.backward(dy)"]
            held = {"w": "layer.weight", "b": "layer.bias"}
            for name in names:
                parameter = held.get(name, name)
                own = f"{parameter}.set_data" in program.source
                run.append(f"d{name} = {f'{parameter}.grad()' if own else f'{name}.grad'}")
        return Driver(
            ("import mxnet as mx",),
            f'mx.np.array({{}}, dtype="{dtype}")',
            (*first, *run),
            "{}.asnumpy()",
            f"onp.{dtype}",
            setup=() if "npx.set_np()" in program.source else ("mx.npx.set_np()",),
            helpers=tuple(HYBRID.strip().splitlines()) if block else (),
            numpy="onp",
        )


def _parameter(program: Mapping[str, Any], name: str) -> Any:
    """The parameter of a layer that takes the input ``w`` or ``b``, None where there is none."""
    step, _, kind = name.rpartition("_")
    layer = program.get(f"{step}_layer" if step else "layer")
    return getattr(layer, {"w": "weight", "b": "bias"}.get(kind, ""), None)


def _settle() -> None:
    """Wait for all operators, so that a late error is not raised in the program that comes next."""
    from mxnet import MXNetError, nd

    with contextlib.suppress(MXNetError):
        nd.waitall()


adapter = MXNet()
