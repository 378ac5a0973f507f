"""Convolutions as programs of MXNet: what ``mxnet.npx`` and ``mxnet.gluon`` share."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from conformance.adapter import Api, Cast, Lowering, Program, Unsupported, parameters
from conformance.dtypes import DTYPES
from conformance.geometry import Pair, effective_window
from conformance.request import Conv, ConvTranspose, Request
from conformance.source import call, cropped, literal, positive, source

Options = dict[str, Any]
NPX_WORDS: Mapping[str, tuple[str, Any]] = {
    "stride": ("stride", 1),
    "padding": ("pad", 0),
    "dilation": ("dilate", 1),
    "output_padding": ("adj", 0),
    "sizes": ("target_shape", None),
    "groups": ("num_group", 1),
    "ceil_mode": ("pooling_convention", False),
    "count_include_pad": ("count_include_pad", True),
}
WIDE = {"float16": "float32", "int8": "float64", "uint8": "float64", "int32": "float64"}


class MXNetApi(Api):
    """Everything but how one operator is written."""

    cast = Cast('{x}.astype("{dtype}")', "from mxnet import npx")

    @abstractmethod
    def function(self, r: Request) -> str:
        """The operator's name."""

    @abstractmethod
    def operator(self, r: Request, options: Options) -> tuple[list[str], list[str], str]:
        """The lines before ``forward``, its first lines, and the expression on ``x``."""

    def sized(self, r: ConvTranspose) -> bool:
        """Whether the API takes the output's size instead of paddings that mean the same."""
        return False

    def program(
        self,
        r: Request,
        options: Options,
        before: Sequence[str] = (),
        after: Sequence[str] = (),
        operand: Request | None = None,
    ) -> Program:
        """One operator, for ``operand`` where the lines around it change the request."""
        setup, first, expression = self.operator(operand or r, options)
        last = [f"y = {expression}", *after] if after else [expression]
        return written(r, [*first, *before, *last], setup)

    def recipe(self, r: Conv, options: Options, before: Sequence[str]) -> Program:
        """A program after lines that pad, in a wider dtype where there are no kernels for it."""
        if r.dtype not in WIDE:
            return self.program(r, options, before)
        expression = npx_call(r, options)
        return written(r, widened(r, [*before, f"y = {expression}"]))

    def padded(
        self, r: Request, own: Request, options: Options, before: Sequence[str] = ()
    ) -> Program | Unsupported:
        """The operator with its own padding, that of ``own``."""
        if own.padding.mode != "zeros":
            return Unsupported(f"{self.function(r)} pads with zeros only")
        if own.padding.symmetric is None:
            return Unsupported(f"{self.function(r)} takes one padding per axis, not one per side")
        return self.program(r, {"padding": own.padding.symmetric, **options}, before)

    def conv(self, r: Conv) -> Lowering:
        options = {"stride": r.stride, "dilation": r.dilation, "groups": r.groups}
        native = self.padded(r, r, options)
        if r.padding.none and r.dtype not in WIDE:
            return Lowering(native)
        return Lowering(native, self.recipe(r, options, self._extended(r)))

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        options = {"stride": r.stride, "dilation": r.dilation, "groups": r.groups}
        native = self.padded(r, r, {**options, "output_padding": r.output_padding})
        both = any(s > 1 and d > 1 for s, d in zip(r.stride, r.dilation))
        missing = both or r.rank == 3 or r.dtype in WIDE
        if self.sized(r):
            sizes = self.program(r, {**options, "sizes": r.output_shape[2:]})
            if isinstance(native, Program) and not missing:
                return Lowering(sizes, native)
            return Lowering(sizes, self._as_convolution(r))
        if missing:
            return Lowering(native, self._as_convolution(r))
        margins = _margins(r)
        if not any(low or high for low, high in margins):
            return Lowering(native)
        after = self.margins("y", margins)
        if not r.bias or positive(margins) == ((0, 0),) * r.rank:
            return Lowering(native, self.program(r, options, after=after))
        after.append(f"y = y + b.reshape({', '.join(['-1'] + ['1'] * r.rank)})")
        return Lowering(native, self.program(r, options, (), after, replace(r, bias=False)))

    def _as_convolution(self, r: ConvTranspose) -> Program:
        """A convolution with the flipped kernel over an input with zeros between its elements.

        Deconvolution itself has no dilation in 3-D, gives wrong sums without oneDNN where stride
        and dilation meet on one axis, and with it no gradient where its inputs are computed.
        """
        lines, sizes = [], [*r.input_shape]
        for axis, stride in enumerate(r.stride, 2):
            if stride > 1:
                apart = (math.prod(sizes[:axis]), sizes[axis], 1, math.prod(sizes[axis + 1 :]))
                gaps = ((0, 0), (0, 0), (0, stride - 1), (0, 0))
                lines.append(f"x = np.pad(x.reshape({literal(apart)}), {literal(gaps)})")
                sizes[axis] *= stride
        if lines:
            lines.append(f"x = x.reshape({literal(tuple(sizes))})")
        reach = [effective_window(*each) - 1 for each in zip(r.window, r.dilation)]
        axes = zip(reach, r.padding.pairs, r.output_padding, r.stride)
        pads = [(at - low, at - high + more - (s - 1)) for at, (low, high), more, s in axes]
        lines += self.margins("x", pads)
        groups = r.groups
        if groups == 1:
            lines.append("w = w.swapaxes(0, 1)")
        else:
            split = (groups, r.channels // groups, *r.kernel_shape[1:])
            merged = (r.out_channels, r.channels // groups, *r.window)
            lines.append(
                f"w = w.reshape({literal(split)}).swapaxes(1, 2).reshape({literal(merged)})"
            )
        lines.append(f"w = np.flip(w, {literal(tuple(range(2, r.rank + 2)))})")
        options: Options = {
            "kernel": r.window,
            "num_filter": r.out_channels,
            "dilate": r.dilation if max(r.dilation) > 1 else None,
            "num_group": groups if groups > 1 else None,
            "no_bias": None if r.bias else True,
        }
        lines.append(f"y = {call('npx.convolution', *parameters(r), **options)}")
        return written(r, widened(r, lines) if r.dtype in WIDE else lines)

    def margins(self, name: str, pairs: Sequence[Pair], value: float = 0) -> list[str]:
        """Lines that crop ``name`` where sides are negative, and pad it where they are positive."""
        text = cropped(name, self.layout, pairs)
        lines = [f"{name} = {text}"] if text != name else []
        if not any(low or high for low, high in positive(pairs)):
            # Max pooling of a view gets a wrong gradient.
            lines = [f"{line}.copy()" for line in lines if name == "x"] or lines
        else:
            widths = literal(self.layout.spread(positive(pairs), (0, 0)))
            words = f", constant_values={literal(value)}" if value else ""
            lines.append(f"{name} = np.pad({name}, {widths}{words})")
        return lines

    def filled(self, pairs: Sequence[Pair], value: str) -> list[str]:
        """As `_margins`, with a value: ``np.pad`` itself pads with zeros whatever it is told."""
        lines = self.margins("x", pairs)
        if value in ("0", "0.0") or not lines or "np.pad" not in lines[-1]:
            return lines
        inside = lines[-1].removeprefix("x = ").replace("np.pad(x", "np.pad(np.ones_like(x)")
        fill = f"x = np.where(inside, x, np.full_like(x, {value}))"
        return [*lines[:-1], f"inside = {inside}", lines[-1], fill]

    def _extended(self, r: Conv) -> list[str]:
        """Lines that pad a convolution's input in its mode."""
        if r.padding.mode == "zeros":
            return self.margins("x", r.padding.pairs)
        mode = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[r.padding.mode]
        return [
            f'x = np.take(x, np.array(onp.pad(onp.arange({size}), {pair}, "{mode}")), axis={axis})'
            for axis, (size, pair) in enumerate(zip(r.spatial, r.padding.pairs), 2)
            if pair != (0, 0)
        ]


def _margins(r: ConvTranspose) -> tuple[Pair, ...]:
    """What is added to all of the output, and cropped: never more than there is.

    A crop that reaches beyond the end takes away from what is added there.
    """
    margins = []
    axes = zip(r.spatial, r.stride, r.window, r.dilation, r.padding.pairs, r.output_padding)
    for size, stride, window, dilation, (low, high), rest in axes:
        whole = max((size - 1) * stride + effective_window(window, dilation), 0)
        before, after = -low, rest - high
        if -before > whole:
            before, after = -whole, after + before + whole
        elif -after > whole:
            before, after = before + after + whole, -whole
        margins.append((before, after))
    return tuple(margins)


def widened(r: Request, lines: Sequence[str]) -> list[str]:
    """Lines that compute ``y`` in a wider dtype, with the casts to it and back."""
    wide = [f'{name}.astype("{WIDE[r.dtype]}")' for name in parameters(r)]
    back = "" if DTYPES[r.dtype].floating else '.astype("int64")'
    narrow = f'y = y{back}.astype("{DTYPES[r.dtype].name}")'
    return [f"{', '.join(parameters(r))} = {', '.join(wide)}", *lines, narrow]


def options_said(
    words: Mapping[str, tuple[str, Any]], options: Options, write: Any = tuple
) -> Options:
    """The options under the API's own names, without those that equal its defaults."""
    result: Options = {}
    for key, (name, default) in words.items():
        value = options.get(key, default)
        if isinstance(value, tuple):
            if value != default and set(value) != {default}:
                result[name] = write(value)
        elif value != default:
            result[name] = value
    return result


def npx_call(r: Conv | ConvTranspose, options: Options) -> str:
    """The call of ``npx.convolution`` or ``npx.deconvolution``."""
    words = options_said(NPX_WORDS, options)
    kernel = {"kernel": r.window, "num_filter": r.out_channels}
    default = isinstance(r, ConvTranspose)
    words["no_bias"] = None if default != r.bias else not r.bias
    name = "npx.deconvolution" if isinstance(r, ConvTranspose) else "npx.convolution"
    return call(name, *parameters(r), **kernel, **words)


def written(r: Request, lines: Sequence[str], setup: Sequence[str] = ()) -> Program:
    """The program, with ``np`` and its like imported where they are used."""
    text = "\n".join([*setup, *lines])
    used = [name for name in ("autograd", "nd", "np", "npx") if re.search(rf"\b{name}\b", text)]
    imports = [] if "reduce(" not in text else ["from functools import reduce\n"]
    imports += ["import numpy as onp"] if "onp." in text else []
    imports.append(f"from mxnet import {', '.join(sorted({*used, 'npx'}))}")
    imports += ["from mxnet.gluon import nn"] if re.search(r"\bnn\.", text) else []
    last = lines[-1]
    if last.startswith(("x = ", "y = ")):
        lines = [*lines[:-1], last[4:]]
    before = "\n".join(["npx.set_np()", *setup]).replace("\ndef ", "\n\n\ndef ")
    return source(r, imports, "\n".join(lines), setup=before)
