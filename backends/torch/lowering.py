"""Requests as programs of ``torch.nn.functional`` and ``torch.nn``."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance.adapter import Api, Lowering, Program, Unsupported, parameters
from conformance.dtypes import DTYPES
from conformance.geometry import Pair
from conformance.request import Conv, ConvTranspose, Padding, Pool, Request
from conformance.source import (
    call,
    fitted_pads,
    given,
    literal,
    on_padded,
    positive,
    scalar,
    source,
)

from .calls import FUNCTIONS, LAYERS

IMPORTS = {
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "nn": "from torch import nn",
    "functional_call": "from torch.func import functional_call",
}
ORDER = ("stride", "padding", "output_padding", "dilation", "groups", "ceil_mode")
Options = dict[str, Any]


class _Torch(Api):
    """What both APIs share: everything but how one operator is written."""

    @abstractmethod
    def function(self, r: Request) -> str:
        """The operator's name."""

    @abstractmethod
    def operator(self, r: Request, options: Options) -> tuple[str, str]:
        """The lines before ``forward``, and the expression that applies the operator to ``x``."""

    def padding(self, r: Request) -> Options | Unsupported:
        """The request's padding as options of the operator."""
        if r.padding.symmetric is None:
            return Unsupported(f"{self.function(r)} takes one padding per axis, not one per side")
        return {"padding": given(r.padding.symmetric, 0)}

    def program(
        self,
        r: Request,
        options: Options,
        before: Sequence[str] = (),
        after: str = "{y}",
        operand: Request | None = None,
    ) -> Program:
        """One operator, for ``operand`` where the lines around it change the request."""
        first = {name: options[name] for name in ORDER if name in options}
        setup, expression = self.operator(operand or r, {**first, **options})
        return source(r, IMPORTS, "\n".join([*before, after.format(y=expression)]), setup=setup)

    def recipe(
        self,
        r: Request,
        options: Options,
        before: Sequence[str] = (),
        after: str = "{y}",
        operand: Request | None = None,
    ) -> Program | None:
        """As `program`, in int64 where the operator has no kernel for the request's integers."""
        integers = not DTYPES[r.dtype].floating and r.dtype != "int64"
        if not (r.dtype == "uint16" or (integers and isinstance(r, ConvTranspose))):
            return self.program(r, options, before, after, operand)
        names = parameters(r)
        wide = f"{', '.join(names)} = {', '.join(f'{name}.long()' for name in names)}"
        result = f"({after})" if " + " in after else after
        narrow = f"{result}.to(torch.{DTYPES[r.dtype].name})"
        return self.program(r, options, [wide, *before], narrow, operand)

    def padded(
        self, r: Request, own: Request, options: Options, before: Sequence[str] = ()
    ) -> Program | Unsupported:
        """The operator with its own padding, that of ``own``."""
        padding = self.padding(own)
        if isinstance(padding, Unsupported):
            return padding
        return self.program(r, {**padding, **options}, before)

    def conv(self, r: Conv) -> Lowering:
        options = {**_strides(r), "groups": r.groups if r.groups > 1 else None}
        native = self.padded(r, r, options)
        pad = r.padding
        if r.channels == 0 and r.groups == 1:
            return Lowering(native, self._with_channel(r, options))
        if pad.word == "same" and pad.symmetric and pad.mode == "zeros":
            padding = given(pad.symmetric, 0)
            return _lowering(native, self.recipe(r, {"padding": padding, **options}))
        lines = [] if pad.none else [_pad(pad.pairs, pad.mode)]
        return _lowering(native, self.recipe(r, options, lines))

    def _with_channel(self, r: Conv, options: Options) -> Program:
        """A convolution of no channels as one of a channel of zeros."""
        channel = (0, 0) * r.rank + (0, 1)
        pads = literal((*_flat(r.padding.pairs), 0, 1))
        lines = [f"x = F.pad(x, {pads})", f"w = F.pad(w, {literal(channel)})"]
        operand = replace(r, input_shape=(r.input_shape[0], 1, *r.spatial))
        return self.program(r, options, lines, operand=operand)

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        options = {**_strides(r), "groups": r.groups if r.groups > 1 else None}
        native = self.padded(r, r, {"output_padding": given(r.output_padding, 0), **options})
        margins = tuple(
            (-low, rest - high) for (low, high), rest in zip(r.padding.pairs, r.output_padding)
        )
        crop = f"F.pad({{y}}, {literal(_flat(margins))})" if any(_flat(margins)) else "{y}"
        lines, plain = [], r
        if r.channels == 0 and r.groups == 1:
            # Of no channels as of one of zeros.
            channel = (0, 0) * r.rank + (0, 1)
            lines = [f"x = F.pad(x, {channel})", f"w = F.pad(w, {(0, 0, *channel)})"]
            plain = replace(r, input_shape=(r.input_shape[0], 1, *r.spatial))
            plain = replace(plain, kernel_shape=(1, *r.kernel_shape[1:]))
        if not r.bias or max(_flat(margins)) <= 0:
            return _lowering(native, self.recipe(r, options, lines, crop, plain))
        plain = replace(plain, bias=False)
        shift = f" + b.view({', '.join(['-1'] + ['1'] * r.rank)})"
        return _lowering(native, self.recipe(r, options, lines, crop + shift, plain))

    def max_pool(self, r: Pool) -> Lowering:
        own, before = _by_hand(r)
        options = {**_strides(r), "stride": None if r.stride == r.window else scalar(r.stride)}
        native = self.padded(r, own, {**options, "ceil_mode": r.ceil_mode or None}, before)
        if _nothing(r):
            return Lowering(native, self._reshaped(r))
        own, before = _cropped(own, before)
        pads = fitted_pads(own)
        floating = DTYPES[r.dtype].floating
        if any(_flat(pads)):
            lowest = 'float("-inf")' if floating else "torch.iinfo(x.dtype).min"
            before = [*before, _pad(pads, value=lowest)]
        if floating or r.rank > 1:
            return _lowering(native, self.recipe(r, options, before))
        # max_pool1d knows integers only where it returns indices, too.
        return _lowering(
            native, self.recipe(r, {**options, "return_indices": True}, before, "{y}[0]")
        )

    def avg_pool(self, r: Pool) -> Lowering:
        own, before = _by_hand(r)
        stride = {"stride": None if r.stride == r.window else scalar(r.stride)}
        ceil = {
            "ceil_mode": r.ceil_mode or None,
            "count_include_pad": None if r.count_include_pad else False,
        }
        native: Program | Unsupported = Unsupported(f"{self.function(r)} has no dilation")
        if max(r.dilation) == 1:
            native = self.padded(r, own, {**stride, **ceil}, before)
        if _nothing(r):
            return Lowering(native, self._reshaped(r))
        return Lowering(native, self._average(r, *_cropped(own, before), stride))

    def _reshaped(self, r: Pool) -> Program:
        """A pooling of nothing: no elements in the shape of the output."""
        return source(r, IMPORTS, f"x.reshape({literal(r.output_shape)})")

    def _average(self, r: Pool, own: Pool, before: list[str], stride: Options) -> Program:
        """Averages of an input that is padded first; sums by counts where the counts differ."""
        pads, margins = own.padding.pairs, fitted_pads(own)
        lines = before
        if r.count_include_pad and any(_flat(pads)):
            lines = [*before, _pad(pads)]
            margins = tuple((0, high - end) for (_, high), (_, end) in zip(margins, pads))
        same = not any(_flat(margins))
        if same and lines != before and max(r.dilation) == 1:
            return self.program(r, stride, lines)
        options = {**_strides(r), "groups": r.channels if r.channels > 1 else None}
        window = ", ".join(map(str, (r.channels, 1, *r.window)))
        lines = [*lines, f"window = x.new_ones({window})"]

        def sums(operand: str) -> str:
            return call(f"F.conv{r.rank}d", operand, "window", **options)

        if same:
            lines.append(f"{sums('x')} / {math.prod(r.window)}")
        else:
            flat = literal(_flat(margins))
            lines.append("sums = " + sums(f"F.pad(x, {flat})"))
            lines.append("counts = " + sums(f"F.pad(torch.ones_like(x), {flat})"))
            lines.append("sums / counts")
        return source(r, IMPORTS, "\n".join(lines))


class Functional(_Torch):
    """``F.conv2d``, ``F.max_pool2d`` and their like."""

    name = "torch.nn.functional"
    calls = FUNCTIONS

    def function(self, r: Request) -> str:
        return f"F.{r.op}{r.rank}d"

    def operator(self, r: Request, options: Options) -> tuple[str, str]:
        words = ["x", literal(scalar(r.window))] if isinstance(r, Pool) else parameters(r)
        return "", call(self.function(r), *words, **options)

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

    def function(self, r: Request) -> str:
        kinds = {
            "conv": "Conv",
            "conv_transpose": "ConvTranspose",
            "max_pool": "MaxPool",
            "avg_pool": "AvgPool",
        }
        return f"nn.{kinds[r.op]}{r.rank}d"

    def operator(self, r: Request, options: Options) -> tuple[str, str]:
        window = literal(scalar(r.window))
        if isinstance(r, Pool):
            return f"layer = {call(self.function(r), window, **options)}", "layer(x)"
        words = [str(r.channels), str(r.out_channels), window]
        layer = call(self.function(r), *words, **options, bias=None if r.bias else False)
        if r.dtype != "float32":
            layer = f"{layer[:-1]}, dtype=torch.{DTYPES[r.dtype].name})"
        weights = '{"weight": w, "bias": b}' if r.bias else '{"weight": w}'
        return f"layer = {layer}", f"functional_call(layer, {weights}, x)"

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


def _lowering(native: Program | Unsupported, emulated: Program | None) -> Lowering:
    return Lowering(native, None if emulated == native else emulated)


def _strides(r: Request) -> Options:
    return {"stride": given(r.stride, 1), "dilation": given(r.dilation, 1)}


def _flat(pairs: Sequence[Pair]) -> tuple[int, ...]:
    return Padding(tuple(pairs)).last_axis_first


def _pad(pairs: Sequence[Pair], mode: str = "zeros", value: str = "") -> str:
    """The line that pads ``x``, or with negative numbers crops it; ``value`` is an expression."""
    words = f", value={value}" if value else ""
    if mode != "zeros":
        words = f", mode={literal(mode)}"
    return f"x = F.pad(x, {literal(_flat(pairs))}{words})"


def _nothing(r: Pool) -> bool:
    """Whether neither the input nor the output has elements."""
    return 0 in r.input_shape and 0 in r.output_shape


def _by_hand(r: Pool) -> tuple[Pool, list[str]]:
    """The pooling that is left after padding by hand, and the line that does it."""
    if r.padding_value is None or r.padding.none:
        return r, []
    line = _pad(r.padding.pairs, value=literal(r.padding_value) if r.padding_value else "")
    return on_padded(r, r.padding.pairs), [line]


def _cropped(r: Pool, before: list[str]) -> tuple[Pool, list[str]]:
    """The pooling that is left once what ceil mode must not reach again is cut off."""
    if not (r.ceil_mode and r.padding.negative):
        return r, before
    crop = tuple((min(low, 0), min(high, 0)) for low, high in r.padding.pairs)
    return on_padded(r, crop, positive(r.padding.pairs)), [*before, _pad(crop)]
