"""Requests as programs of ``torch.nn.functional`` and ``torch.nn``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conformance.adapter import Cast, Glue, Lowering, Program, Unsupported, parameters
from conformance.dtypes import DTYPES
from conformance.request import Conv, ConvTranspose, Pool, Request
from conformance.source import call, literal, scalar, source
from conformance.translation.spelled import Spelled

from .calls import FUNCTIONS, LAYERS
from .convolution import IMPORTS, Options
from .pooling import Pooling, words


class _Torch(Pooling):
    """What both APIs share."""

    cast = Cast("{x}.to(torch.{dtype})", "import torch")
    glue = Glue(
        "torch.relu({x})", "torch.cat([{x}, {y}], {axis})", "torch.sum({x})",
        {"torch": "import torch"},
    )  # fmt: skip

    def verbatim(self, r: Request, call: Spelled) -> Program:
        setup, expression = applied(r, call.text) if call.layer else ("", call.text)
        return source(r, IMPORTS, expression, setup=setup)

    def unbatched(self, r: Request) -> Lowering:
        """PyTorch takes (C, *spatial) wherever it takes a batch, and so do the recipes."""
        return self.lower(replace(r, unbatched=False))


class Functional(_Torch):
    """``F.conv2d``, ``F.max_pool2d`` and their like."""

    name = "torch.nn.functional"
    calls = FUNCTIONS
    heads = ("F", "torch")

    def function(self, r: Request) -> str:
        if isinstance(r, Pool):
            adaptive = "adaptive_" * (r.output_size is not None)
            return f"F.{adaptive}{r.kind}_pool{r.rank}d"
        return f"F.{r.op}{r.rank}d"

    def operator(self, r: Request, options: Options) -> tuple[str, str]:
        told = ["x", *words(r)] if isinstance(r, Pool) else parameters(r)
        return "", call(self.function(r), *told, **options)

    def padding(self, r: Request) -> Options | Unsupported:
        if r.padding.mode != "zeros":
            return Unsupported(f"{self.function(r)} pads with zeros only")
        if isinstance(r, Conv) and r.padding.word == "same":
            return {"padding": "same"}
        return super().padding(r)


class Modules(_Torch):
    """Layers: ``nn.Conv2d``, ``nn.MaxPool2d`` and their like."""

    name = "torch.nn"
    calls = LAYERS
    heads = ("nn",)

    def function(self, r: Request) -> str:
        if isinstance(r, Pool):
            kind = {"max": "Max", "avg": "Avg", "lp": "LP"}[r.kind]
            return f"nn.{'Adaptive' * (r.output_size is not None)}{kind}Pool{r.rank}d"
        return f"nn.{'Conv' if isinstance(r, Conv) else 'ConvTranspose'}{r.rank}d"

    def extent(self, r: ConvTranspose) -> Options:
        return {"output_size": [*r.output_shape[2:]]} if r.sized else super().extent(r)

    def operator(self, r: Request, options: Options) -> tuple[str, str]:
        if isinstance(r, Pool):
            return applied(r, call(self.function(r), *words(r), **options))
        size = options.pop("output_size", None)
        told = [str(r.channels), str(r.out_channels), literal(scalar(r.window))]
        layer = call(self.function(r), *told, **options, bias=None if r.bias else False)
        if r.dtype != "float32":
            layer = f"{layer[:-1]}, dtype=torch.{DTYPES[r.dtype].name})"
        return applied(r, layer, size)

    def recipe(
        self,
        r: Request,
        options: Options,
        before: Sequence[str] = (),
        after: str = "{y}",
        operand: Request | None = None,
    ) -> Program | None:
        if not (isinstance(r, Pool) or DTYPES[r.dtype].floating):
            return None  # no parameters of integers
        return super().recipe(r, options, before, after, operand)

    def padding(self, r: Request) -> Options | Unsupported:
        mode = {} if r.padding.mode == "zeros" else {"padding_mode": r.padding.mode}
        if isinstance(r, Conv) and r.padding.word == "same":
            return {"padding": "same", **mode}
        padding = super().padding(r)
        return padding if isinstance(padding, Unsupported) else {**padding, **mode}


def applied(r: Request, layer: str, size: list[int] | None = None) -> tuple[str, str]:
    """The line that makes a layer, and the expression that applies it to ``x``."""
    if isinstance(r, Pool):
        return f"layer = {layer}", "layer(x)"
    weights = '{"weight": w, "bias": b}' if r.bias else '{"weight": w}'
    more = "" if size is None else f', {{"output_size": {literal(size)}}}'
    return f"layer = {layer}", f"functional_call(layer, {weights}, x{more})"
