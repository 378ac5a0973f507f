"""``mxnet.npx`` and ``mxnet.gluon``: how each writes one operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.adapter import Glue, Program, Unsupported
from conformance.dtypes import DTYPES
from conformance.request import Conv, ConvTranspose, Padding, Pool, Request
from conformance.source import call, literal, scalar
from conformance.translation.spelled import Spelled

from .calls import NPX
from .layer_calls import GLUON
from .lowering import NPX_WORDS, Options, npx_call, options_said, written
from .pooling import MXNetPooling

GLUE = Glue(
    "npx.relu({x})", "np.concatenate([{x}, {y}], {axis})", "np.sum({x})",
    {"np": "from mxnet import np", "npx": "from mxnet import npx"},
)  # fmt: skip


class Npx(MXNetPooling):
    """``npx.convolution``, ``npx.deconvolution`` and ``npx.pooling`` on ``mxnet.np`` arrays."""

    name = "mxnet.npx"
    glue = GLUE
    calls = NPX
    heads = ("npx",)

    def function(self, r: Request) -> str:
        if isinstance(r, Pool):
            return "npx.pooling"
        return "npx.convolution" if isinstance(r, Conv) else "npx.deconvolution"

    def operator(self, r: Request, options: Options) -> tuple[list[str], list[str], str]:
        if not isinstance(r, Pool):
            return [], [], npx_call(r, options)
        words = options_said(NPX_WORDS, options)
        if "pooling_convention" in words:
            words["pooling_convention"] = "full"
        kind = "sum" if r.divisor == 1 else None if r.kind == "max" else r.kind
        pool = {"kernel": r.window, "pool_type": kind}
        norm = int(r.norm) if r.kind == "lp" else None
        return [], [], call(self.function(r), "x", **pool, p_value=norm, **words)

    def verbatim(self, r: Request, call: Spelled) -> Program | Unsupported:
        if call.layer:
            return Unsupported(f"{call.name} is not given x")
        return written(r, [call.text])

    def sized(self, r: ConvTranspose) -> bool:
        """``target_shape`` stands for paddings of its own: half of what is too much, rounded up."""
        least = replace(r, padding=Padding(((0, 0),) * r.rank), output_padding=(0,) * r.rank)
        sizes = zip(least.output_shape[2:], r.output_shape[2:])
        rests = [full - size for full, size in sizes]
        meant = tuple((rest + 1) // 2 for rest in rests), tuple(rest % 2 for rest in rests)
        return r.sized and min(rests) >= 0 and meant == (r.padding.symmetric, r.output_padding)

    def summed(self, r: Pool) -> Program | Unsupported:
        if r.divisor == 1:
            return self.pooled(r, {"stride": r.stride, "ceil_mode": r.ceil_mode})
        return super().summed(r)

    def norm(self, r: Pool) -> Program | Unsupported:
        if r.norm not in (1, 2, 3):
            return Unsupported("npx.pooling knows the norms 1, 2 and 3")
        return self.pooled(r, {"stride": r.stride, "ceil_mode": r.ceil_mode})

    def adaptive(self, r: Pool) -> Program | Unsupported:
        if r.op.startswith("global"):
            kind = None if r.kind == "max" else r.kind
            return written(r, [call("npx.pooling", "x", pool_type=kind, global_pool=True)])
        if r.rank != 2 or r.kind == "max":
            return Unsupported(f"mxnet has no {r.rank}-D adaptive {r.kind} pooling")
        pool = call("nd.contrib.AdaptiveAvgPooling2D", "x", output_size=r.output_size)
        lines = ["x = x.as_nd_ndarray()", f"y = {pool}", "return y.as_np_ndarray()"]
        return written(r, lines)


class Gluon(MXNetPooling):
    """Layers: ``nn.Conv2D``, ``nn.MaxPool2D`` and their like."""

    name = "mxnet.gluon"
    glue = GLUE
    calls = GLUON
    heads = ("nn",)
    words: Mapping[str, tuple[str, Any]] = {
        "stride": ("strides", 1),
        "padding": ("padding", 0),
        "dilation": ("dilation", 1),
        "output_padding": ("output_padding", 0),
        "groups": ("groups", 1),
        "ceil_mode": ("ceil_mode", False),
        "count_include_pad": ("count_include_pad", True),
    }

    def function(self, r: Request) -> str:
        if isinstance(r, Pool):
            return f"nn.{r.kind.title()}Pool{r.rank}D"
        return f"nn.Conv{r.rank}D{'' if isinstance(r, Conv) else 'Transpose'}"

    def operator(self, r: Request, options: Options) -> tuple[list[str], list[str], str]:
        window = literal(scalar(r.window))
        if isinstance(r, Pool):
            words = options_said({**self.words, "stride": ("strides", r.window)}, options, scalar)
            return _applied(r, call(self.function(r), window, **words))
        words = options_said(self.words, options, scalar)
        words |= {"use_bias": None if r.bias else False, "in_channels": r.channels}
        return _applied(r, call(self.function(r), str(r.out_channels), window, **words))

    def verbatim(self, r: Request, call: Spelled) -> Program | Unsupported:
        if not call.layer:
            return Unsupported(f"{call.name} makes a layer, and is given x")
        setup, first, expression = _applied(r, call.text)
        return written(r, [*first, expression], setup)

    def norm(self, r: Pool) -> Program | Unsupported:
        return Unsupported("mxnet.gluon has no L^p pooling")

    def adaptive(self, r: Pool) -> Program | Unsupported:
        if not r.op.startswith("global"):
            return Unsupported("mxnet.gluon has no adaptive pooling")
        return written(r, ["layer(x)"], [f"layer = nn.Global{r.kind.title()}Pool{r.rank}D()"])


def _applied(r: Request, layer: str) -> tuple[list[str], list[str], str]:
    """The lines that make a layer, those that give it its weights, and what applies it."""
    setup = [f"layer = {layer}"]
    if isinstance(r, Pool):
        return setup, [], "layer(x)"
    setup.append("layer.initialize()")
    if r.dtype != "float32":
        setup.append(f'layer.cast("{DTYPES[r.dtype].name}")')
    first = ["with autograd.pause():", "    layer.weight.set_data(w)"]
    first += ["    layer.bias.set_data(b)"] if r.bias else []
    return setup, first, "layer(x)"
