"""PyTorch: its tensors, its gradients and its modes; `lowering` writes the programs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.adapter import Adapter, Driver, Info, Program
from conformance.dtypes import Array
from conformance.source import gradients

from .lowering import Functional, Modules


class Torch(Adapter):
    """PyTorch on the CPU."""

    name = "torch"
    module = "torch"
    distributions = ("torch", "numpy")
    apis = (Functional(), Modules())

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
        versions = {"torch": torch.__version__, "numpy": np.__version__}
        return Info(versions, build, "cpu", str(torch.get_num_threads()))

    def tensor(self, array: Array, dtype: str) -> Any:
        import torch

        return torch.tensor(array).to(getattr(torch, dtype))

    def array(self, tensor: Any) -> tuple[Array, str]:
        name = str(tensor.dtype).removeprefix("torch.")
        tensor = tensor.detach()
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

        if cotangent is not None:
            for tensor in inputs:
                tensor.requires_grad_()
        output = program["forward"](*inputs)
        yield output
        if cotangent is not None:
            yield torch.autograd.grad(output, inputs, cotangent, materialize_grads=True)

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        narrow = dtype == "bfloat16"
        run = [f"y = forward({', '.join(names)})"]
        if vjp:
            inputs = ", ".join(names) if len(names) > 1 else f"{names[0]},"
            gradient = f"torch.autograd.grad(y, ({inputs}), dy, materialize_grads=True)"
            run = [f"{name}.requires_grad_()" for name in names] + run
            run.append(f"{gradients(names)} = {gradient}")
        return Driver(
            ("import torch",),
            "torch.tensor({}, dtype=torch.bfloat16)" if narrow else "torch.tensor({})",
            tuple(run),
            f"{{}}{'.detach()' * vjp}{'.float()' * narrow}.numpy()",
            f"torch.{dtype}",
        )


adapter = Torch()
