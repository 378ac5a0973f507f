"""What a backend implements: its APIs, its modes, and how its arrays and gradients work.

A backend is a folder with an ``adapter.py`` that defines ``adapter``, an instance of a subclass of
`Adapter`. The module must not import its framework at the top: the suite reads it to list what it
offers, and prints the code that an API would run, on machines that lack the framework. `load`
imports it, in a worker process that runs the backend's own interpreter.

This module needs NumPy only, from 1.23 on.
"""

from __future__ import annotations

import math
import re
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from conformance.dtypes import DTYPES, Array
from conformance.geometry import Pair, effective_window
from conformance.request import Conv, ConvTranspose, Padding, Pool, Request

Form = Literal["native", "spelled", "emulated"]

LINE_LIMIT = 92


@dataclass(frozen=True)
class Program:
    """Source text that defines ``forward``, as a user of the framework would write it.

    ``forward`` takes ``x``, then the kernel ``w`` and the bias ``b`` where the request has them,
    all in the API's layout, and returns the output. The text that is shown is the text that runs.
    """

    source: str


@dataclass(frozen=True)
class Unsupported:
    """The API has no way to say the request; ``reason`` says what is missing."""

    reason: str


@dataclass(frozen=True)
class Lowering:
    """An API's answer to a request.

    ``native`` is the API's own spelling. ``emulated`` is a recipe that gets the same result with
    help (padding first, cropping after); it is tried where the native spelling is missing or does
    not give the right result.
    """

    native: Program | Unsupported
    emulated: Program | None = None


@dataclass(frozen=True)
class Layout:
    """Axis orders; ``*`` stands for the spatial axes, ``I`` and ``O`` for a kernel's channels.

    The transposed kernel's ``I`` is the channel axis of the transposed convolution's input.
    """

    data: str = "NC*"
    kernel: str = "OI*"
    transposed_kernel: str = "IO*"

    def spread(self, values: Sequence[Any], other: Any) -> tuple[Any, ...]:
        """One entry per data axis: the values on the spatial axes, ``other`` elsewhere."""
        before, after = self.data.split("*")
        return (*(other for _ in before), *values, *(other for _ in after))


@dataclass(frozen=True)
class Mode:
    """A way to run an API; ``environment`` is set before the worker starts."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)


EAGER = Mode("eager")


class Api(ABC):
    """One way that a user calls a framework, such as ``torch.nn.functional``."""

    name: str
    layout: Layout = Layout()

    def lower(self, request: Request) -> Lowering:
        """The request in this API's words."""
        if isinstance(request, Conv):
            return self.conv(request)
        if isinstance(request, ConvTranspose):
            return self.conv_transpose(request)
        return self.max_pool(request) if request.op == "max_pool" else self.avg_pool(request)

    def conv(self, r: Conv) -> Lowering:
        """Lower a convolution."""
        return self._missing("convolution")

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        """Lower a transposed convolution."""
        return self._missing("transposed convolution")

    def max_pool(self, r: Pool) -> Lowering:
        """Lower a max pooling."""
        return self._missing("max pooling")

    def avg_pool(self, r: Pool) -> Lowering:
        """Lower an average pooling."""
        return self._missing("average pooling")

    def _missing(self, what: str) -> Lowering:
        return Lowering(Unsupported(f"{self.name} has no {what}"))


@dataclass(frozen=True)
class Info:
    """The framework as loaded.

    ``versions`` names the distributions that matter, the framework's own first; ``build`` holds
    the flags that may change results (oneDNN, XLA, x64, …).
    """

    versions: Mapping[str, str]
    build: Mapping[str, str]
    device: str
    threads: str


class Adapter(ABC):
    """A backend: a framework, its APIs and its modes.

    ``module`` is the import that shows that the framework is there and ``distributions`` are the
    installed packages whose versions identify it, the framework's own first. ``environment`` is
    set in every worker of the backend. ``seconds_per_case`` is a rough guess of what a small case
    costs; the runner starts with what takes longest. ``dtypes`` are those that the framework has
    arrays of.
    """

    name: str
    module: str
    distributions: tuple[str, ...]
    apis: tuple[Api, ...]
    modes: tuple[Mode, ...] = (EAGER,)
    environment: Mapping[str, str] = {}
    seconds_per_case: float = 0.005
    dtypes: frozenset[str] = frozenset(DTYPES)

    @abstractmethod
    def load(self) -> Info:
        """Import the framework.

        Raises:
            ImportError: the framework is not installed, or is broken.
        """

    @abstractmethod
    def tensor(self, array: Array, dtype: str) -> Any:
        """A fresh framework tensor with the array's values in ``dtype`` (see `dtypes`)."""

    @abstractmethod
    def array(self, tensor: Any) -> tuple[Array, str]:
        """The tensor's values, carried as in `dtypes`, and the name of its own dtype.

        It waits for the result: an error that the framework raises late is raised here.
        """

    @abstractmethod
    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Any],
        cotangent: Any | None,
        mode: str,
    ) -> Iterator[Any]:
        """Yield the output, then a tuple of gradients, one per input.

        ``program`` is the namespace after its source has run. The gradients (the VJP) belong to
        ``cotangent``; without one, and where the consumer stops after the output, there are none.
        An error before the first yield is one of the forward pass, one after it of the VJP.
        """


def source(
    request: Request,
    imports: str | Sequence[str] | Mapping[str, str],
    body: str,
    *,
    setup: str = "",
) -> Program:
    """A program from its imports, module-level lines, and the body of ``forward``.

    ``imports`` that map names to lines are left out where the text does not use the name. The
    last line of ``body`` is the expression or statement that gives the output: ``return`` is
    added to a body that has none.
    """
    if isinstance(imports, Mapping):
        text = f"{setup}\n{body}"
        imports = [line for name, line in imports.items() if re.search(rf"\b{name}\b", text)]
    lines = textwrap.dedent(body).strip().splitlines()
    if not any(line.lstrip().startswith("return ") for line in lines):
        lines[-1] = f"return {lines[-1]}"
    head = imports if isinstance(imports, str) else "\n".join(imports)
    parts = [textwrap.dedent(head).strip()]
    if setup:
        parts.append(textwrap.dedent(setup).strip())
    forward = f"def forward({', '.join(parameters(request))}):\n"
    parts.append("\n" + forward + textwrap.indent("\n".join(lines), "    "))
    text = "\n\n".join(parts)
    return Program("\n".join(map(_folded, text.splitlines())) + "\n")


def _folded(line: str) -> str:
    """The line, with the arguments of the call that ends it on lines of their own if too long."""
    if len(line) <= LINE_LIMIT or not line.endswith(")"):
        return line
    depth, start, commas = 0, len(line), []
    while depth or start == len(line):
        start -= 1
        depth += (line[start] in ")]}") - (line[start] in "([{")
        if depth == 1 and line[start] == ",":
            commas.append(start)
    outer = line[: len(line) - len(line.lstrip())]
    inner = outer + "    "
    together = inner + line[start + 1 : -1]
    if len(together) <= LINE_LIMIT:
        return f"{line[: start + 1]}\n{together}\n{outer})"
    edges = [start, *reversed(commas), len(line) - 1]
    arguments = [line[low + 1 : high].strip() for low, high in pairwise(edges)]
    return "\n".join([line[: start + 1], *(f"{inner}{each}," for each in arguments), f"{outer})"])


def parameters(request: Request) -> tuple[str, ...]:
    """Names of the arguments of ``forward``."""
    if isinstance(request, Pool):
        return ("x",)
    return ("x", "w", "b") if request.bias else ("x", "w")


def call(name: str, *arguments: str, **options: object) -> str:
    """The text of a call; options that are None are left out, strings are passed as literals."""
    words = [*arguments]
    words += [f"{key}={literal(value)}" for key, value in options.items() if value is not None]
    return f"{name}({', '.join(words)})"


def literal(value: object) -> str:
    """The Python literal of an option, for source text.

    Raises:
        TypeError: the value is not a number, a boolean, a short word, or a sequence of them. Source
            is built from nothing else, so a case file cannot inject code.
    """
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, (int, float)):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, str):
        if not value.replace("_", "").isalnum():
            raise TypeError(f"{value!r} is not a plain word")
        return f'"{value}"'
    if isinstance(value, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    raise TypeError(f"{value!r} cannot stand in source text")


def given(values: tuple[int, ...], default: int) -> int | tuple[int, ...] | None:
    """An option of one number per axis as `scalar`, or None where it equals the default."""
    return None if all(value == default for value in values) else scalar(values)


def fitted_pads(r: Pool) -> tuple[Pair, ...]:
    """Padding with which the windows fit exactly, so that a pooling without ceil mode has as many.

    In ceil mode the end is padded for the window that overhangs, or cropped (a negative number)
    after the last window.
    """
    if not r.ceil_mode:
        return r.padding.pairs
    axes = zip(r.spatial, r.window, r.stride, r.dilation, r.padding.pairs, r.output_shape[2:])
    return tuple(
        (low, (count - 1) * stride + effective_window(window, dilation) - size - low)
        for size, window, stride, dilation, (low, _), count in axes
    )


def on_padded(r: Pool, pads: Sequence[Pair], rest: Sequence[Pair] = ()) -> Pool:
    """The pooling that is left on an input that is padded already; ``rest`` is its own padding."""
    sizes = (size + low + high for size, (low, high) in zip(r.spatial, pads))
    return replace(
        r,
        input_shape=(*r.input_shape[:2], *sizes),
        padding=Padding(tuple(rest) or ((0, 0),) * r.rank),
        padding_value=None,
    )


def scalar(values: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number where all axes agree and there is more than one axis to say it for, else all."""
    return values[0] if len(set(values)) == 1 else values


def cropped(name: str, layout: Layout, pairs: Sequence[Pair]) -> str:
    """The text of ``name`` without what the pairs' negative sides cut off."""
    slices = [f"{max(-low, 0) or ''}:{min(high, 0) or ''}" for low, high in pairs]
    if all(each == ":" for each in slices):
        return name
    words = layout.spread(slices, ":")
    while words[-1] == ":":
        words = words[:-1]
    return f"{name}[{', '.join(words)}]"


def positive(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The padding that remains after `cropped`."""
    return tuple((max(low, 0), max(high, 0)) for low, high in pairs)


def window_index(r: Pool, axis: int, arange: str) -> str:
    """The text of an index array (positions × window) of spatial axis ``axis``, once padded."""
    steps = [f"{arange}({r.output_shape[2 + axis]})[:, None]", f"{arange}({r.window[axis]})"]
    for place, factor in enumerate((r.stride[axis], r.dilation[axis])):
        if factor != 1:
            steps[place] = f"{factor} * {steps[place]}"
    return " + ".join(steps)


ForwardFunction = Callable[..., Any]
