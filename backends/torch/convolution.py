"""Convolutions as programs, and what programs of both of PyTorch's APIs have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from conformance import geometry
from conformance.adapter import Api, Lowering, Program, Unsupported, parameters
from conformance.dtypes import DTYPES
from conformance.geometry import Pair
from conformance.request import Conv, ConvTranspose, Padding, Request, input_shapes
from conformance.source import given, literal, positive, source

IMPORTS = {
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "nn": "from torch import nn",
    "functional_call": "from torch.func import functional_call",
}
ORDER = ("stride", "padding", "output_padding", "dilation", "groups", "ceil_mode")
Options = dict[str, Any]


class Convolutions(Api):
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

    def extent(self, r: ConvTranspose) -> Options:
        """The output's size as options of the operator."""
        return {"output_padding": given(r.output_padding, 0)}

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
        options = {**strides(r), "groups": r.groups if r.groups > 1 else None}
        native = self.padded(r, r, options)
        pad = r.padding
        if empty := _emptied(r):
            return Lowering(native, empty)
        if r.channels == 0:
            return Lowering(native, self._with_channels(r, options))
        if pad.word == "same" and pad.symmetric and pad.mode == "zeros":
            padding = given(pad.symmetric, 0)
            return lowering(native, self.recipe(r, {"padding": padding, **options}))
        lines = [] if pad.none else [pad_line(pad.pairs, pad.mode)]
        return lowering(native, self.recipe(r, options, lines))

    def _with_channels(self, r: Conv, options: Options) -> Program:
        """A convolution of no channels as one of a channel of zeros for each group."""
        channel = (0, 0) * r.rank + (0, 1)
        pads = literal((*flat(r.padding.pairs), 0, r.groups))
        lines = [f"x = F.pad(x, {pads})", f"w = F.pad(w, {literal(channel)})"]
        operand = replace(r, input_shape=(r.input_shape[0], r.groups, *r.spatial))
        return self.program(r, options, lines, operand=operand)

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        options = {**strides(r), "groups": r.groups if r.groups > 1 else None}
        native = self.padded(r, r, {**self.extent(r), **options})
        if empty := _emptied(r):
            return Lowering(native, empty)
        margins = tuple(
            (-low, rest - high) for (low, high), rest in zip(r.padding.pairs, r.output_padding)
        )
        crop = _margins(r, margins)
        lines, plain = [], r
        if r.channels == 0:
            # Of no channels as of one of zeros for each group.
            channels = (0, 0) * r.rank + (0, r.groups)
            lines = [f"x = F.pad(x, {channels})", f"w = F.pad(w, {(0, 0, *channels)})"]
            plain = replace(r, input_shape=(r.input_shape[0], r.groups, *r.spatial))
            plain = replace(plain, kernel_shape=(r.groups, *r.kernel_shape[1:]))
        if not r.bias or max(flat(margins)) <= 0:
            return lowering(native, self.recipe(r, options, lines, crop, plain))
        plain = replace(plain, bias=False)
        shift = f" + b.view({', '.join(['-1'] + ['1'] * r.rank)})"
        return lowering(native, self.recipe(r, options, lines, crop + shift, plain))


def lowering(native: Program | Unsupported, emulated: Program | None) -> Lowering:
    """Both programs, the recipe only where it differs."""
    return Lowering(native, None if emulated == native else emulated)


def _emptied(r: Conv | ConvTranspose) -> Program | None:
    """An operand without elements in the shape of an output without."""
    operand = next((x for x, shape in input_shapes(r).items() if 0 in shape), None)
    if operand is None or 0 not in r.output_shape:
        return None
    sizes = ", ".join(map(str, r.output_shape[1:]))
    cast = f".to(torch.{r.result_dtype})" if r.dtype_of(operand) != r.result_dtype else ""
    return source(r, IMPORTS, f"{operand}.reshape(*x.shape[:-{r.rank + 1}], {sizes}){cast}")


def _margins(r: ConvTranspose, pairs: Sequence[Pair]) -> str:
    """Padding and cropping of ``{y}``: at once, unless more is cropped than there is before it."""
    if not any(flat(pairs)):
        return "{y}"
    spans = (geometry.effective_window(k, d) for k, d in zip(r.window, r.dilation))
    sizes = ((n - 1) * step + span for n, step, span in zip(r.spatial, r.stride, spans))
    if all(-min(pair) <= size for pair, size in zip(pairs, sizes)):
        return f"F.pad({{y}}, {literal(flat(pairs))})"
    crop = tuple((min(low, 0), min(high, 0)) for low, high in pairs)
    return f"F.pad(F.pad({{y}}, {literal(flat(positive(pairs)))}), {literal(flat(crop))})"


def strides(r: Request) -> Options:
    """Stride and dilation as options."""
    return {"stride": given(r.stride, 1), "dilation": given(r.dilation, 1)}


def flat(pairs: Sequence[Pair]) -> tuple[int, ...]:
    """The pairs as ``F.pad`` takes them: flat, beginning with the last axis."""
    return Padding(tuple(pairs)).last_axis_first


def pad_line(pairs: Sequence[Pair], mode: str = "zeros", value: str = "", name: str = "x") -> str:
    """The line that pads a tensor, or crops it by negative numbers; ``value`` is an expression."""
    words = f", value={value}" if value else ""
    if mode != "zeros":
        words = f", mode={literal(mode)}"
    return f"{name} = F.pad({name}, {literal(flat(pairs))}{words})"
