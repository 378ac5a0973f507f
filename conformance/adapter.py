"""What a backend implements: its APIs, its modes, and how its arrays and gradients work.

A backend is a folder with an ``adapter.py`` that defines ``adapter``, an instance of a subclass of
`Adapter`. The module must not import its framework at the top: the suite reads it to list what it
offers, and prints the code that an API would run, on machines that lack the framework. `load`
imports it, in a worker process that runs the backend's own interpreter.

This module needs NumPy only, from 1.23 on.
"""

from __future__ import annotations

import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from conformance.dtypes import Array
from conformance.request import Conv, ConvTranspose, Pool, Request

Form = Literal["native", "spelled", "emulated"]


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
    set in every worker of the backend.
    """

    name: str
    module: str
    distributions: tuple[str, ...]
    apis: tuple[Api, ...]
    modes: tuple[Mode, ...] = (EAGER,)
    environment: Mapping[str, str] = {}

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
    request: Request, imports: str | Sequence[str], body: str, *, setup: str = ""
) -> Program:
    """A program from its imports, module-level lines, and the body of ``forward``.

    The last line of ``body`` is the expression or statement that gives the output: ``return`` is
    added to a body that has none.
    """
    lines = textwrap.dedent(body).strip().splitlines()
    if not any(line.lstrip().startswith("return ") for line in lines):
        lines[-1] = f"return {lines[-1]}"
    head = imports if isinstance(imports, str) else "\n".join(imports)
    parts = [textwrap.dedent(head).strip()]
    if setup:
        parts.append(textwrap.dedent(setup).strip())
    forward = f"def forward({', '.join(parameters(request))}):\n"
    parts.append("\n" + forward + textwrap.indent("\n".join(lines), "    "))
    return Program("\n\n".join(parts) + "\n")


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
        return repr(value) if abs(value) != float("inf") else f'float("{value}")'
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


def scalar(values: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number where all axes agree and there is more than one axis to say it for, else all."""
    return values[0] if len(set(values)) == 1 else values


ForwardFunction = Callable[..., Any]
