"""PyTorch: its tensors, its gradients and its modes; `lowering` writes the programs."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from conformance.adapter import EAGER, Adapter, Api, Driver, Info, Mode, Program, Unavailable
from conformance.dtypes import Array
from conformance.source import gradients
from conformance.words import essence

from .lowering import Functional, Modules

EXTRA = (
    # With one thread the worker compiles by itself, without processes beside it.
    Mode("compile", {"TORCHINDUCTOR_COMPILE_THREADS": "1"}, extra=True, patience=10),
    Mode("cuda", extra=True),
    Mode("cuda-tf32", extra=True),
)
COMPILED = "torch.compile({}, fullgraph=True, dynamic=False)"
CHANNELS_LAST = """
def channels_last(tensor):
    if tensor.ndim < 4:  # there is no such format in 1-D: a tensor of (N,) W, C, transposed
        return tensor.mT.contiguous().mT
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    return tensor.to(memory_format=formats[tensor.ndim])
"""


class Torch(Adapter):
    """PyTorch on the CPU, and where there is one on a CUDA device.

    The mode ``channels-last`` stores inputs, kernels and cotangents so; ``onednn-off`` leaves
    convolutions to PyTorch's own kernels and NNPACK; ``compile`` is TorchInductor's C++;
    ``cuda-tf32`` lets cuDNN round float32 to TF32, which is PyTorch's default, ``cuda`` does not.
    """

    name = "torch"
    module = "torch"
    distributions: tuple[str, ...] = ("torch", "numpy")
    apis: tuple[Api, ...] = (Functional(), Modules())
    modes: tuple[Mode, ...] = (EAGER, Mode("channels-last"), Mode("onednn-off"), *EXTRA)

    def load(self) -> Info:
        import numpy as np
        import torch

        backends: Any = torch.backends
        shown = torch.__config__.show()
        onednn = re.search(r"MKL-DNN v([\d.]+)", shown)
        build = {
            "oneDNN": onednn[1] if onednn and backends.mkldnn.is_available() else "none",
            "oneDNN enabled": str(backends.mkldnn.enabled),
            "NNPACK": str("USE_NNPACK=ON" in shown),
            "MKL": str(backends.mkl.is_available()),
            "OpenMP": str(backends.openmp.is_available()),
            "CPU capability": backends.cpu.get_cpu_capability(),
            "float32 precision": torch.get_float32_matmul_precision(),
        }
        device = torch.get_default_device().type
        if device == "cuda":
            device = f"cuda: {torch.cuda.get_device_name()}"
            build["CUDA"] = str(torch.version.cuda)
            build["cuDNN"] = str(backends.cudnn.version())
            for flag in ("enabled", "allow_tf32", "benchmark", "deterministic"):
                build[f"cuDNN {flag}"] = str(getattr(backends.cudnn, flag))
            build["matmul allow_tf32"] = str(backends.cuda.matmul.allow_tf32)
        versions = {"torch": torch.__version__, "numpy": np.__version__}
        return Info(versions, build, device, str(torch.get_num_threads()))

    def enter(self, mode: str) -> None:
        import torch

        on_cuda = mode.startswith("cuda")
        if on_cuda and not torch.cuda.is_available():
            raise Unavailable("needs a CUDA device, and there is none")
        backends: Any = torch.backends
        backends.mkldnn.enabled = mode != "onednn-off"
        if on_cuda:
            backends.cudnn.allow_tf32 = backends.cuda.matmul.allow_tf32 = mode == "cuda-tf32"
        torch.set_default_device("cuda" if on_cuda else None)
        if mode == "compile":
            if trouble := _compiler_trouble():
                raise Unavailable(trouble)
            torch.compiler.reset()

    def tensor(self, array: Array, dtype: str) -> Any:
        import torch

        return torch.tensor(array).to(getattr(torch, dtype))

    def array(self, tensor: Any) -> tuple[Array, str]:
        name = str(tensor.dtype).removeprefix("torch.")
        tensor = tensor.detach().cpu()
        values: Array = (tensor.float() if name == "bfloat16" else tensor).numpy()
        return values, name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Any],
        cotangent: Any | None,
        mode: str,
    ) -> Iterator[Any]:
        import torch

        forward = program["forward"]
        if mode == "compile":
            forward = torch.compile(forward, fullgraph=True, dynamic=False)
        if mode == "channels-last":
            inputs = [*map(_channels_last, inputs[:2]), *inputs[2:]]
            cotangent = None if cotangent is None else _channels_last(cotangent)
        if cotangent is not None:
            for tensor in inputs:
                tensor.requires_grad_()
        output = forward(*inputs)
        yield output
        if cotangent is not None:
            yield torch.autograd.grad(output, inputs, cotangent, materialize_grads=True)

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        narrow, on_cuda, last = (
            dtype == "bfloat16",
            mode.startswith("cuda"),
            mode == "channels-last",
        )
        run = []
        if last:
            stored = [*names[:2], *["dy"] * vjp]
            run = [f"{name} = channels_last({name})" for name in stored]
        forward = COMPILED.format("forward") if mode == "compile" else "forward"
        apply = f"y = {forward}({', '.join(names)})"
        if vjp:
            inputs = ", ".join(names) if len(names) > 1 else f"{names[0]},"
            gradient = f"torch.autograd.grad(y, ({inputs}), dy, materialize_grads=True)"
            run += [*(f"{name}.requires_grad_()" for name in names), apply]
            run.append(f"{gradients(names)} = {gradient}")
        else:
            run.append(apply)
        return Driver(
            ("import torch",),
            "torch.tensor({}, dtype=torch.bfloat16)" if narrow else "torch.tensor({})",
            tuple(run),
            f"{{}}{'.detach()' * vjp}{'.cpu()' * on_cuda}{'.float()' * narrow}.numpy()",
            f"torch.{dtype}",
            setup=_setup(mode),
            helpers=tuple(CHANNELS_LAST.strip().splitlines()) if last else (),
        )


def _setup(mode: str) -> tuple[str, ...]:
    """The lines by which a user enters a mode."""
    if mode == "onednn-off":
        return ("torch.backends.mkldnn.enabled = False",)
    if mode.startswith("cuda"):
        allowed = mode == "cuda-tf32"
        return (
            'torch.set_default_device("cuda")',
            f"torch.backends.cudnn.allow_tf32 = {allowed}",
            f"torch.backends.cuda.matmul.allow_tf32 = {allowed}",
        )
    return ()


@cache
def _helpers() -> dict[str, Any]:
    import torch

    namespace: dict[str, Any] = {"torch": torch}
    exec(CHANNELS_LAST, namespace)
    return namespace


def _channels_last(tensor: Any) -> Any:
    return _helpers()["channels_last"](tensor)


@cache
def _compiler_trouble() -> str:
    """Why TorchInductor cannot compile a line here; empty where it can.

    The first compilation in an environment takes long: it precompiles headers.
    """
    import torch

    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is None:
        return f"needs a C++ compiler, and there is no {compiler}"
    try:
        torch.compile(lambda x: x + 1, dynamic=False)(torch.zeros(2))
    except Exception as error:
        return f"needs a C++ compiler that works: {essence(str(error))}"
    return ""


adapter = Torch()
