"""How JAX programs are put together: what ``jax.lax`` and Flax share."""

from __future__ import annotations

import copy
import math
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

from conformance import geometry
from conformance.adapter import Cast, Glue, Lowering, Program, Unsupported
from conformance.dtypes import DTYPES
from conformance.request import Conv, ConvTranspose, Padding, Request
from conformance.source import call, literal, source
from conformance.translation.spelled import Spelled

from .recipes import ARRAY_FUNCTIONS, Recipes, beyond

IMPORTS = {
    "jax": "import jax",
    "jnp": "import jax.numpy as jnp",
    "np": "import numpy as np",
    "nn": "from flax import linen as nn",
    "nnx": "from flax import nnx",
    "lax": "from jax import lax",
}
WORDS = {"same": "SAME", "same_lower": "SAME_LOWER", "valid": "VALID"}
MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
X64 = 'jax.config.update("jax_enable_x64", True)\n'


def wide(dtype: str) -> bool:
    """Whether JAX has the dtype only with ``jax_enable_x64``."""
    return dtype in ("float64", "int64", "complex128")


def widened(program: Program) -> Program:
    """The program with the line that gives JAX 64 bits."""
    text = program.source.replace("\n\n\ndef forward(", f"\n\n{X64}\n\ndef forward(", 1)
    return Program(text if "import jax\n" in text else f"import jax\n{text}")


def narrow(program: Program) -> Program:
    """The program without the line that gives JAX 64 bits, and without an import only for it."""
    source = program.source.replace(X64, "", 1)
    if source != program.source:
        source = re.sub(r"\n{3,}def ", r"\n\n\ndef ", source)
        if not re.search(r"\bjax\.", source.replace("jax.numpy", "")):
            source = source.replace("import jax\n", "", 1)
    return Program(source)


def short(dtype: str) -> bool:
    """Whether sums of the dtype are to be carried in float32."""
    return DTYPES[dtype].floating and DTYPES[dtype].precision < DTYPES["float32"].precision


def padding_option(padding: Padding) -> object:
    """The framework's word where the case used one, else pairs."""
    return WORDS.get(padding.word) or ("VALID" if padding.none else list(padding.pairs))


def transposed_word(r: ConvTranspose) -> str | None:
    """'SAME' or 'VALID' where JAX means by it what the request means."""
    axes = list(zip(r.window, r.stride, r.dilation))
    meant = list(zip(r.padding.pairs, r.output_padding))
    if r.padding.word == "same" and meant == [geometry.transposed_same(*axis) for axis in axes]:
        return "SAME"
    rests = [max(s - geometry.effective_window(k, d), 0) for k, s, d in axes]
    return "VALID" if meant == [((0, 0), rest) for rest in rests] else None


class JaxApi(Recipes):
    """An API on JAX arrays."""

    cast = Cast("{x}.astype(jnp.{dtype})", "import jax.numpy as jnp")
    glue = Glue(
        "jax.nn.relu({x})", "jnp.concatenate([{x}, {y}], {axis})", "jnp.sum({x})",
        {"jax": "import jax", "jnp": "import jax.numpy as jnp"},
    )  # fmt: skip
    functions: Mapping[str, str] = {name: f"jnp.{name}" for name in ARRAY_FUNCTIONS}
    transposing: str

    @abstractmethod
    def transposed(self, r: ConvTranspose) -> tuple[str, list[str]]:
        """The lines before ``forward``, and those that return the result, without groups."""

    def batchless(self, r: Request) -> Lowering:
        """The request's text in a layout without the batch axis, for functions that need none."""
        single = copy.copy(self)
        single.layout = replace(self.layout, data=self.layout.data.replace("N", ""))
        return single.lower(replace(r, unbatched=False))

    def program(self, r: Request, lines: Sequence[str], setup: str = "") -> Program:
        """A program from the lines of ``forward`` and those before it."""
        setup = (X64 if wide(r.dtype) or wide(r.result_dtype) else "") + setup
        return source(r, IMPORTS, "\n".join(lines), setup=setup)

    def verbatim(self, r: Request, call: Spelled) -> Program | Unsupported:
        if call.layer:
            return Unsupported(f"{call.name} is not given x")
        return self.program(r, [f"return {call.text}"])

    def pad_mode(self, padding: Padding) -> str:
        """The line that pads ``x`` in a mode."""
        pad = call("jnp.pad", "x", self.widths(padding.pairs), mode=MODES[padding.mode])
        return f"x = {pad}"

    def widths(self, pairs: Sequence[tuple[int, int]]) -> str:
        return literal(list(self.layout.spread(pairs, (0, 0))))

    def constant(self, value: float) -> str:
        if math.isfinite(value):
            return super().constant(value)
        return "-jnp.inf" if value < 0 else f"jnp.{value}"

    def mixed(self, r: Conv | ConvTranspose) -> Lowering:
        lowering = super().mixed(r)
        if isinstance(lowering.native, Program) and wide(r.dtype_of("w")) and not wide(r.dtype):
            return replace(lowering, native=widened(lowering.native))
        return lowering

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        setup, lines = self.transposed(r)
        single = r.groups == 1
        native: Program | Unsupported = Unsupported(f"{self.transposing} has no groups")
        if single:
            native = self.program(r, lines, setup)
        ends = zip(r.padding.pairs, r.output_padding)
        if not beyond(r, [(low, high - extra) for (low, high), extra in ends]):
            if single:
                return Lowering(native)
            return Lowering(native, self.program(r, self.per_group(r, lines), setup))
        plain = replace(
            r, padding=Padding(((0, 0),) * r.rank), output_padding=(0,) * r.rank, bias=False
        )
        setup, lines = self.transposed(plain)
        lines = lines if single else self.per_group(plain, lines)
        return Lowering(native, self.program(r, [*lines[:-1], *self.trimmed(r, lines[-1])], setup))
