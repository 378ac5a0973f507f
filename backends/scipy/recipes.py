"""From functions of one image and one kernel to the layers of deep learning.

A library of signal processing correlates two arrays: there are no examples, channels, groups,
strides or dilations. A recipe pads, writes the dilation into the kernel as zeros, correlates image
by image and channel by channel, adds up, takes every second result, and adds the bias.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from conformance.adapter import Cast, Lowering, Program, Unsupported, parameters
from conformance.dtypes import DTYPES
from conformance.geometry import Pair, effective_window
from conformance.request import Conv, ConvTranspose, PaddingMode, Pool, Request
from conformance.source import call, positive, source

from ..jax.recipes import ARRAY_FUNCTIONS, Recipes, dilated, fitted, plain_divisor

IMPORTS = {
    "np": "import numpy as np",
    "ndimage": "from scipy import ndimage",
    "signal": "from scipy import signal",
}
PRODUCTS = 2**27
"""Most products that are added up: about two seconds, for SciPy's loops are plain ones."""

CALLS = 2**17
"""Most calls of a function of one image and one kernel, a few microseconds each."""

MODES: Mapping[PaddingMode, str] = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
Kernel = TypeVar("Kernel", Conv, ConvTranspose)


class Filters(Recipes):
    """An API whose functions take one image and one kernel.

    ``ranks`` are the numbers of spatial axes that they work on.
    """

    cast = Cast("{x}.astype(np.{dtype})", "import numpy as np")
    functions: Mapping[str, str] = {name: f"np.{name}" for name in ARRAY_FUNCTIONS}
    ranks: Sequence[int] = (1, 2, 3)

    @abstractmethod
    def function(self, r: Request) -> str:
        """The function that does what is asked."""

    @abstractmethod
    def native(self, r: Conv | ConvTranspose) -> str | Unsupported:
        """The call for a request that `alone` lets pass, on ``x[0, 0]`` and ``w[0, 0]``."""

    @abstractmethod
    def correlation(self, image: str, kernel: str, r: Conv | Pool) -> str:
        """The cross-correlation of two expressions, once the image is padded by `padded`."""

    @abstractmethod
    def convolution(self, image: str, kernel: str) -> str:
        """The convolution of two expressions as far as they meet, see `surrounded`."""

    def surrounded(self, r: ConvTranspose) -> list[str]:
        """The lines that pad ``x`` for `convolution` to give all that there is."""
        return []

    def padded(self, r: Conv) -> list[str]:
        """The lines that pad ``x`` for `correlation`."""
        if r.padding.none:
            return []
        if r.padding.mode == "zeros":
            return [f"x = {self.pad(r)}"]
        widths = self.widths(positive(r.padding.pairs))
        return [f"x = {call('np.pad', 'x', widths, mode=MODES[r.padding.mode])}"]

    def summed(self, r: Conv) -> str:
        """The cross-correlation of ``image`` and ``kernel`` where it adds up their channels."""
        return ""

    def filtered(self, r: Pool) -> list[str]:
        """The lines that set ``y`` to the cross-correlation of each channel with ``window``."""
        each = self.correlation("channel", "window", r)
        return [f"y = [[{each} for channel in image] for image in x]", "y = np.array(y)"]

    def conv(self, r: Conv) -> Lowering:
        refused = self.refused(r)
        if refused is not None:
            return Lowering(refused)
        core = _without_holes(r)
        lines = [*self.padded(core), *_holes(r)]
        if DTYPES[r.dtype].complex:
            # Signal processing correlates with the conjugate.
            lines.append("w = w.conj()")
        if _single(r):
            lines.append(f"y = {self.correlation('x[0, 0]', 'w[0, 0]', core)}[None, None]")
        else:
            lines += self._layer(
                r, lambda image, kernel: self.correlation(image, kernel, core), self.summed(core)
            )
        result = "y" + strided(r.stride)
        return self._lowering(r, [*lines, result + self._bias(r)])

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        refused = self.refused(r)
        if refused is not None:
            return Lowering(refused)
        core = _without_holes(r)
        lines = _holes(r)
        lines += [*_spread("x", r.spatial, r.stride), *self.surrounded(core)]
        if _single(r):
            lines.append(f"y = {self.convolution('x[0, 0]', 'w[0, 0]')}[None, None]")
        else:
            lines += self._layer(r, self.convolution)
        return self._lowering(r, [*lines, *self.trimmed(r, "return y")])

    def avg_pool(self, r: Pool) -> Lowering:
        refused = self.refused(r)
        if refused is not None:
            return Lowering(refused)
        missing = Unsupported(f"{self.function(r)} leaves the division to its caller")
        return Lowering(missing, self.average(r))

    def average(self, r: Pool) -> Program:
        """Sums over a window of ones, divided by what counts."""
        before, rest = self.by_hand(r)
        crop, rest = self.crop(rest)
        count: list[str] = []
        if r.divisor is not None:
            rest = fitted(rest)
        elif rest.ceil_mode:
            count, rest = self.counted(rest)
        lines = [*before, *crop, *count, *_window(rest)]
        padding = [] if rest.padding.none else [f"x = {self.pad(rest)}"]
        sums, result = self.filtered(rest), "y" + strided(rest.stride)
        if plain_divisor(rest) or r.divisor is not None:
            lines += [*padding, *sums, f"{result} / {r.divisor or math.prod(r.window)}"]
        else:
            body = [f"    {line}" for line in (*padding, *sums, f"return {result}")]
            lines += ["def sums(x):", *body, "", "return sums(x) / sums(np.ones_like(x))"]
        return self.program(r, lines)

    def flipped_conv(self, r: Conv) -> Lowering:
        return Lowering(self.refused(r) or self._native(r))

    def refused(self, r: Request) -> Unsupported | None:
        """Why there is no program at all: functions of another rank, or too much for them."""
        name = self.function(r)
        if r.rank not in self.ranks:
            return Unsupported(f"{name} is {' and '.join(f'{rank}-D' for rank in self.ranks)}")
        depth = 1
        if not isinstance(r, Pool):
            depth = r.kernel_shape[1] if isinstance(r, Conv) else r.channels // r.groups
        products = math.prod(r.output_shape) * depth * math.prod(_span(r))
        if products > PRODUCTS:
            return Unsupported(f"too large for {name}: {products:,} products, at most {PRODUCTS:,}")
        calls = math.prod(r.output_shape[:2]) * depth
        if calls > CALLS:
            return Unsupported(f"too many channels for {name}: {calls:,} calls, at most {CALLS:,}")
        return None

    def program(self, r: Request, lines: Sequence[str]) -> Program:
        """A program; few functions know float16, which is computed in float32."""
        if lines[-1] in ("y", "return y") and lines[-2].startswith("y = "):
            lines = [*lines[:-2], lines[-2].removeprefix("y = ")]
        if 0 in (*r.output_shape, *r.input_shape[:2]):
            lines = [f"np.zeros({r.output_shape}, x.dtype)"]
            if not isinstance(r, Pool):
                lines[0] += self._bias(r)
        elif r.dtype == "float16":
            names = parameters(r)
            wide = ", ".join(f"{name}.astype(np.float32)" for name in names)
            last = lines[-1].removeprefix("return ")
            result = f"({last})" if " " in last else last
            lines = [f"{', '.join(names)} = {wide}", *lines[:-1]]
            lines.append(f"return {result}.astype(np.float16)")
        result = lines[-1].removeprefix("return ")
        return source(r, IMPORTS, "\n".join([*lines[:-1], f"return {result}"]))

    def alone(self, r: Conv | ConvTranspose) -> Unsupported | None:
        """Why a request is more than one call."""
        name = self.function(r)
        if not _single(r):
            return Unsupported(f"{name} takes one image and one kernel, without channels")
        if max(r.stride) > 1:
            return Unsupported(f"{name} has no stride")
        return Unsupported(f"{name} has no dilation") if dilated(r) else None

    def _native(self, r: Conv | ConvTranspose) -> Program | Unsupported:
        expression = self.alone(r) or self.native(r)
        if isinstance(expression, Unsupported):
            return expression
        return source(r, IMPORTS, f"{expression}[None, None]{' + b' * r.bias}")

    def _lowering(self, r: Conv | ConvTranspose, lines: Sequence[str]) -> Lowering:
        native, recipe = self._native(r), self.program(r, lines)
        return Lowering(native, None if recipe == native else recipe)

    def _layer(
        self, r: Conv | ConvTranspose, operator: Callable[[str, str], str], summed: str = ""
    ) -> list[str]:
        """The lines that set ``y``, from an operator on one channel, or one that adds them up."""
        lines, each = [], summed
        if not summed and r.channels == r.groups:
            each = operator("image[0]", "kernel[0]")
        elif not summed:
            lines = ["def layer(image, kernel):"]
            lines.append(f"    maps = [{operator('c', 'k')} for c, k in zip(image, kernel)]")
            lines += ["    return sum(maps)", ""]
            each = "layer(image, kernel)"
        kernels = "w" if isinstance(r, Conv) else "w.swapaxes(0, 1)"
        lines.append(f"y = [[{each} for kernel in {kernels}] for image in x]")
        if r.groups == 1:
            return [*lines, "y = np.array(y)"]
        lines = self.per_group(replace(r, bias=False), [*lines, "return np.array(y)"])
        return [*lines[:-1], lines[-1].replace("return ", "y = ", 1)]

    def _bias(self, r: Conv | ConvTranspose) -> str:
        return f" + {self.broadcast_bias(r)}" if r.bias else ""


def strided(steps: Sequence[int], first: Sequence[int] = (), ends: Sequence[int] = ()) -> str:
    """The text of an index that takes every so manyth result; ``ends`` of 0 are left open."""
    axes = zip(first or (0,) * len(steps), ends or (0,) * len(steps), steps)
    slices = [
        f"{start or ''}:{end or ''}" + (f":{step}" if step > 1 else "") for start, end, step in axes
    ]
    while slices and slices[-1] == ":":
        slices.pop()
    return f"[:, :, {', '.join(slices)}]" if slices else ""


def same(window: Sequence[int], odd_first: bool) -> tuple[Pair, ...]:
    """What a function pads for 'same': the odd pixel of an even kernel at the start, or the end."""
    sides = ((k // 2, (k - 1) // 2) for k in window)
    return tuple(pair if odd_first else pair[::-1] for pair in sides)


def full(window: Sequence[int]) -> tuple[Pair, ...]:
    """What is padded where each element of the kernel meets each of the image."""
    return tuple((k - 1, k - 1) for k in window)


def _single(r: Conv | ConvTranspose) -> bool:
    return r.input_shape[:2] == r.kernel_shape[:2] == (1, 1)


def _span(r: Request) -> tuple[int, ...]:
    return tuple(map(effective_window, r.window, r.dilation))


def _without_holes(r: Kernel) -> Kernel:
    shape = (*r.kernel_shape[:2], *_span(r))
    return replace(r, kernel_shape=shape, dilation=(1,) * r.rank)


def _holes(r: Conv | ConvTranspose) -> list[str]:
    """The lines that write the dilation into the kernel."""
    return _spread("w", r.window, r.dilation)


def _spread(name: str, sizes: Sequence[int], steps: Sequence[int]) -> list[str]:
    """The lines that put zeros between the elements of an array."""
    lines = []
    for axis, (size, step) in enumerate(zip(sizes, steps), 2):
        if size > 1 and step > 1:
            places = f"np.arange(1, {size})"
            places = places if step == 2 else f"np.repeat({places}, {step - 1})"
            lines.append(f"{name} = np.insert({name}, {places}, 0, axis={axis})")
    return lines


def _window(r: Pool) -> list[str]:
    """The lines that make the window of ones, of the rank of an image."""
    if not dilated(r):
        return [f"window = np.ones({r.window}, x.dtype)"]
    steps = [d if k > 1 else 1 for k, d in zip(r.window, r.dilation)]
    index = ", ".join(f"::{step}" for step in steps)
    return [f"window = np.zeros({_span(r)}, x.dtype)", f"window[{index}] = 1"]
