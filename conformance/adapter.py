"""What a backend implements: its APIs, its modes, and how its arrays and gradients work.

A backend is a folder with an ``adapter.py`` that defines ``adapter``, an instance of a subclass of
`Adapter`. The module must not import its framework at the top: the suite reads it to list what it
offers, and prints the code that an API would run, on machines that lack the framework. `load`
imports it, in a worker process that runs the backend's own interpreter.

This module needs NumPy only, from 1.23 on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from conformance.dtypes import DTYPES, Array
from conformance.request import Conv, ConvTranspose, Pool, Request
from conformance.translation.signatures import Table
from conformance.translation.spelled import Spelled

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

    def spread(self, values: Sequence[Any], other: Any) -> tuple[Any, ...]:
        """One entry per data axis: the values on the spatial axes, ``other`` elsewhere."""
        before, after = self.data.split("*")
        return (*(other for _ in before), *values, *(other for _ in after))


@dataclass(frozen=True)
class Mode:
    """A way to run an API: eager, compiled, on a device, without a library.

    A backend's first mode is its users' default. ``environment`` is set before the worker starts;
    what needs no variable, `Adapter.enter` sets up, so that modes share workers. A run takes the
    modes that are not ``extra``; the others are slow, or need what few machines have, and have to
    be asked for by name (``--mode``). Their outcomes and their entries in the registry count where
    they run. A case may take ``patience`` times as long as the time limit says.
    """

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    extra: bool = False
    patience: float = 1.0


EAGER = Mode("eager")


@dataclass(frozen=True)
class Cast:
    """The expression that casts the tensor ``{x}`` to ``{dtype}``, and the import that it needs."""

    expression: str
    needs: str

    def promoting(self, program: Program, r: Conv | ConvTranspose) -> Program:
        """The program on operands that are cast to the dtype which they have together."""
        together = r.result_dtype
        names = parameters(r)
        operands = [
            name if r.dtype_of(name) == together else self.expression.format(x=name, dtype=together)
            for name in names
        ]
        text = program.source.replace("\ndef forward(", "\ndef promoted(", 1).rstrip()
        if self.needs not in text.splitlines():
            text = f"{self.needs}\n{text}"
        head = f"def forward({', '.join(names)}):"
        return Program(f"{text}\n\n\n{head}\n    return promoted({', '.join(operands)})\n")


@dataclass(frozen=True)
class Glue:
    """What a framework calls that which stands between operators in a network.

    Each is an expression of tensors ``{x}`` and ``{y}``: the positive part, both tensors one after
    the other along ``{axis}``, the sum of all elements. ``imports`` map the names that they use to
    lines. A framework without automatic differentiation has an explicit VJP.
    """

    relu: str
    concatenate: str
    total: str
    imports: Mapping[str, str]
    explicit_vjp: bool = False


class Unavailable(Exception):
    """A mode cannot run here: ``mode NAME`` and this text, such as 'needs …', are a sentence."""


class Api(ABC):
    """One way that a user calls a framework, such as ``torch.nn.functional``.

    ``calls`` are those of its functions that can be read: `lower`'s inverse. ``heads`` are the
    modules of these whose calls a case may spell, as `verbatim` imports them. ``cast`` is how its
    users change a tensor's dtype, None where it has no recipe for operands of two dtypes. ``glue``
    is what its users write between operators, None where it has no chains. ``shared`` is True
    where other backends have an API of this name, too: a framework on several engines.
    """

    name: str
    shared: bool = False
    layout: Layout = Layout()
    calls: Table = Table()
    heads: tuple[str, ...] = ()
    cast: Cast | None = None
    glue: Glue | None = None

    def lower(self, request: Request) -> Lowering:
        """The request in this API's words."""
        if request.unbatched:
            return self.unbatched(request)
        if not isinstance(request, Pool) and request.mixed:
            return self.mixed(request)
        if isinstance(request, Conv):
            return self.flipped_conv(request) if request.flipped else self.conv(request)
        if isinstance(request, ConvTranspose):
            return self.conv_transpose(request)
        if request.output_size is not None:
            return self.adaptive_pool(request)
        operators = {"max_pool": self.max_pool, "avg_pool": self.avg_pool, "lp_pool": self.lp_pool}
        return operators.get(request.op, self.max_pool_indices)(request)

    @property
    def spoken(self) -> frozenset[str]:
        """The names of the calls that a case may spell."""
        return frozenset(self.calls.everything(self.heads))

    def verbatim(self, r: Request, call: Spelled) -> Program | Unsupported:
        """The program of a call that is written in `spoken` words."""
        return Unsupported(f"{self.name} has no programs of calls")

    def conv(self, r: Conv) -> Lowering:
        """Lower a convolution."""
        return self._missing("convolution")

    def flipped_conv(self, r: Conv) -> Lowering:
        """Lower a convolution that flips the kernel, where users write one by mistake."""
        return self._missing("convolution with a flipped kernel")

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        """Lower a transposed convolution."""
        return self._missing("transposed convolution")

    def max_pool(self, r: Pool) -> Lowering:
        """Lower a max pooling."""
        return self._missing("max pooling")

    def avg_pool(self, r: Pool) -> Lowering:
        """Lower an average pooling."""
        return self._missing("average pooling")

    def lp_pool(self, r: Pool) -> Lowering:
        """Lower an L^p pooling: the norm of order ``r.norm`` of each window."""
        return self._missing("L^p pooling")

    def max_pool_indices(self, r: Pool) -> Lowering:
        """Lower a max pooling that returns where the maxima are, in int64.

        An index counts the elements of its channel in row-major order, padding left out.
        """
        return self._missing("max pooling with indices")

    def adaptive_pool(self, r: Pool) -> Lowering:
        """Lower a pooling to ``r.output_size`` positions: adaptive, or global (one position)."""
        return self._missing(f"{r.op.partition('_')[0]} {r.kind} pooling")

    def unbatched(self, r: Request) -> Lowering:
        """Lower a request whose arrays come without their batch axis.

        An API that takes them as they are returns the lowering of the batched request's text.
        """
        lowering = self.lower(replace(r, unbatched=False))
        native = lowering.native if isinstance(lowering.native, Program) else lowering.emulated
        missing = Unsupported(f"{self.name} takes no arrays without a batch axis")
        return Lowering(missing, None if native is None else batched(native, r))

    def mixed(self, r: Conv | ConvTranspose) -> Lowering:
        """Lower a convolution whose input and kernel differ in their dtype.

        The native text is that of one dtype; the recipe casts the operands first.
        """
        native = self.lower(replace(r, kernel_dtype=None)).native
        same = self.lower(replace(r, dtype=r.result_dtype, kernel_dtype=None))
        program = same.native if isinstance(same.native, Program) else same.emulated
        if program is None or self.cast is None:
            return Lowering(native)
        return Lowering(native, self.cast.promoting(program, r))

    def _missing(self, what: str) -> Lowering:
        return Lowering(Unsupported(f"{self.name} has no {what}"))


def batched(program: Program, r: Request) -> Program:
    """The program on a batch of one, for an unbatched request."""
    text = program.source.replace("\ndef forward(", "\ndef batched(", 1).rstrip()
    names = parameters(r)
    inputs = ", ".join(("x[None]", *names[1:]))
    body = f"def forward({', '.join(names)}):\n    return batched({inputs})[0]\n"
    return Program(f"{text}\n\n\n{body}")


@dataclass(frozen=True)
class Info:
    """The framework as loaded, in a mode.

    ``versions`` names the distributions that matter, the framework's own first; ``build`` holds
    the flags that may change results (oneDNN, XLA, x64, …).
    """

    versions: Mapping[str, str]
    build: Mapping[str, str]
    device: str
    threads: str


@dataclass(frozen=True)
class Driver:
    """How a user runs a program outside of the suite: the text around it, for scripts.

    ``tensor`` is the expression of a tensor made from a C-contiguous or transposed NumPy array,
    ``array`` that of a NumPy array made from a tensor; ``{}`` stands for the operand, and bfloat16
    values are float32 in NumPy. ``dtype`` is what a tensor's ``dtype`` equals where it is right.
    ``run`` are the lines that set the output ``y`` from the tensors ``x``, ``w``, ``b`` and, where
    the VJP is wanted, the gradients ``dx``, ``dw``, ``db`` that belong to the cotangent ``dy``.

    ``imports`` and ``setup`` stand before the program, ``helpers`` (definitions) after it.
    ``tensors`` are the expressions of those tensors, by name, that have another dtype than the
    output; adapters leave them out. ``numpy`` is the name of NumPy where programs use ``np`` for
    something else.
    """

    imports: tuple[str, ...]
    tensor: str
    run: tuple[str, ...]
    array: str
    dtype: str
    setup: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    numpy: str = "np"
    tensors: Mapping[str, str] = field(default_factory=dict)


CACHE = "CONFORMANCE_CACHE"


class Adapter(ABC):
    """A backend: a framework, its APIs and its modes.

    ``module`` is the import that shows that the framework is there, ``engine`` another one that it
    runs on, and ``distributions`` are the installed packages whose versions identify it, the
    framework's own first, under each name that it has. ``environment`` is set in every worker of
    the backend. ``seconds_per_case`` is a rough guess of what a small case costs; the runner starts
    with what takes longest. ``dtypes`` are those that the framework has arrays of. The environment
    variable `CACHE` names a folder where compiled programs may be kept for other workers of the
    same framework.

    ``gradients`` is False for a backend that only infers: its outputs are checked, no VJP is asked
    for (`run` gets no cotangent, `driver` no ``vjp``) and no outcome is recorded for one, because
    what nobody offers is neither right nor wrong; the summary says so once.
    """

    name: str
    module: str
    engine: str = ""
    distributions: tuple[str, ...]
    apis: tuple[Api, ...]
    modes: tuple[Mode, ...] = (EAGER,)
    environment: Mapping[str, str] = {}
    seconds_per_case: float = 0.005
    dtypes: frozenset[str] = frozenset(DTYPES)
    gradients: bool = True

    @abstractmethod
    def load(self) -> Info:
        """Import the framework, and tell how it is set.

        The worker asks once more in each mode, after `enter`.

        Raises:
            ImportError: the framework is not installed, or is broken.
        """

    def enter(self, mode: str) -> None:  # noqa: B027 - most modes need nothing
        """Set the loaded framework up for a mode, whatever was entered or has run before.

        It is called after `load`, and then before the source of each program runs.

        Raises:
            Unavailable: the mode cannot run here. Its outcomes are not run, those of the other
                modes are not touched.
        """

    def program(self, program: Program, mode: str) -> Program:
        """What an API says, as its users write it in a mode."""
        return program

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

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver | None:
        """What `tensor`, `run` and `array` do, as text; None where there are no scripts.

        ``names`` are those of the program's inputs. The framework is not loaded.
        """
        return None


def parameters(request: Request) -> tuple[str, ...]:
    """Names of the arguments of ``forward``."""
    if isinstance(request, Pool):
        return ("x",)
    return ("x", "w", "b") if request.bias else ("x", "w")
