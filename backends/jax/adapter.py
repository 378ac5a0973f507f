"""JAX: ``jax.lax``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from conformance.adapter import (
    CACHE,
    EAGER,
    Adapter,
    Api,
    Driver,
    Info,
    Layout,
    Lowering,
    Mode,
    Program,
    Unavailable,
    Unsupported,
)
from conformance.dtypes import DTYPES, Array
from conformance.request import Conv, ConvTranspose, Pool, Request
from conformance.source import call, gradients

from .calls import CALLS
from .lowering import X64, narrow, padding_option, transposed_word
from .pooling import JaxPooling
from .recipes import beyond, dilated, divisor, plain_divisor

PRECISIONS = {"cuda": "highest", "cuda-tf32": "tensorfloat32"}
# An empty list of platforms is JAX's own choice, a GPU where there is one.
EXTRA = (
    Mode("x32", extra=True),
    Mode("x64", extra=True),
    *(Mode(name, {"JAX_PLATFORMS": ""}, extra=True) for name in PRECISIONS),
)
FLAGS = ("jax_enable_x64", "jax_default_matmul_precision")
AXES = {1: "W", 2: "HW", 3: "DHW"}
BOTH = (
    "@jax.jit",
    "def both(dy, *inputs):",
    "    y, pull = jax.vjp(forward, *inputs)",
    "    return y, pull(dy)",
)


class Lax(JaxPooling):
    """The primitives' own functions."""

    name = "jax.lax"
    calls = CALLS
    heads = ("lax",)
    layout = Layout()
    pooling = "lax.reduce_window"
    transposing = "lax.conv_transpose"
    reduces_windows = True

    def conv(self, r: Conv) -> Lowering:
        native = self.program(r, self._conv(r, padding_option(r.padding)))
        if r.padding.mode == "zeros" or r.padding.none:
            if not beyond(r, r.padding.pairs):
                return Lowering(native)
            lines = [f"x = {self.pad(r)}", *self._conv(r, "VALID")]
            return Lowering(native, self.program(r, lines))
        missing = Unsupported("lax.conv_general_dilated pads with zeros only")
        lines = [self.pad_mode(r.padding), *self._conv(r, "VALID")]
        return Lowering(missing, self.program(r, lines))

    def _conv(self, r: Conv, padding: object) -> list[str]:
        expression = call(
            "lax.conv_general_dilated",
            "x",
            "w",
            window_strides=r.stride,
            padding=padding,
            rhs_dilation=r.dilation if dilated(r) else None,
            feature_group_count=r.groups if r.groups > 1 else None,
        )
        return self._biased(r, expression)

    def transposed(self, r: ConvTranspose) -> tuple[str, list[str]]:
        word, axes = transposed_word(r), AXES[r.rank]
        ends = zip(r.padding.pairs, r.output_padding)
        expression = call(
            "lax.conv_transpose",
            "x",
            "w",
            strides=r.stride,
            padding=word or [(low, high - extra) for (low, high), extra in ends],
            rhs_dilation=r.dilation if dilated(r) else None,
            dimension_numbers=(f"NC{axes}", f"OI{axes}", f"NC{axes}"),
            transpose_kernel=True,
            use_consistent_padding=None if word else True,
        )
        return "", self._biased(r, expression)

    def _biased(self, r: Conv | ConvTranspose, expression: str) -> list[str]:
        if not r.bias:
            return [f"return {expression}"]
        return [f"y = {expression}", f"return y + {self.broadcast_bias(r)}"]

    def maximum(self, r: Pool, padding: object) -> str:
        return f"return {self.reduce_window(r, padding, '-jnp.inf', 'lax.max')}"

    def average(self, r: Pool, padding: object) -> list[str]:
        total = self.reduce_window(r, padding, "0.0", "lax.add")
        if plain_divisor(r):
            return [f"return {total} / {divisor(r)}"]
        count = self.reduce_window(r, padding, "0.0", "lax.add", "jnp.ones_like(x)")
        return [f"total = {total}", f"count = {count}", "return total / count"]

    def unbatched(self, r: Request) -> Lowering:
        return self.batchless(r) if isinstance(r, Pool) else super().unbatched(r)


class JaxAdapter(Adapter):
    """JAX's arrays, compiler and reverse-mode differentiation.

    Programs of 64-bit dtypes switch ``jax_enable_x64`` on. In the mode ``x32`` they do not, which
    is what JAX does of itself; in ``x64`` it is on for all dtypes. ``cuda-tf32`` lets a CUDA device
    round float32 to TF32, ``cuda`` does not. The extra modes are eager.
    """

    name = "jax"
    module = "jax"
    distributions: tuple[str, ...] = ("jax", "jaxlib", "numpy")
    apis: tuple[Api, ...] = (Lax(),)
    modes = (EAGER, Mode("jit"), *EXTRA)
    environment: Mapping[str, str] = {"JAX_PLATFORMS": "cpu"}

    def load(self) -> Info:
        # XLA's CPU client takes the size of its thread pool from NPROC only.
        threads = os.environ.get("OMP_NUM_THREADS")
        if threads:
            os.environ.setdefault("NPROC", threads)
        from importlib.metadata import version

        import jax

        config: Any = jax.config
        if CACHE in os.environ and not config.jax_compilation_cache_dir:
            config.update("jax_compilation_cache_dir", os.environ[CACHE])
            config.update("jax_persistent_cache_min_compile_time_secs", 0)
            config.update("jax_persistent_cache_min_entry_size_bytes", -1)
        return Info(
            versions={name: version(name) for name in self.distributions},
            build={
                "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
                **{name: str(getattr(config, name)) for name in FLAGS},
            },
            device=str(jax.devices()[0].platform),
            threads=os.environ.get("NPROC") or str(os.cpu_count()),
        )

    def enter(self, mode: str) -> None:
        import jax

        if mode in PRECISIONS and jax.default_backend() != "gpu":
            raise Unavailable("needs a CUDA device, and there is none")
        config: Any = jax.config
        config.update("jax_enable_x64", mode == "x64")
        config.update("jax_default_matmul_precision", PRECISIONS.get(mode))

    def program(self, program: Program, mode: str) -> Program:
        return narrow(program) if mode in ("x32", "x64") else program

    def tensor(self, array: Array, dtype: str) -> Any:
        import jax.numpy as jnp

        return jnp.array(array, dtype=dtype)

    def array(self, tensor: Any) -> tuple[Array, str]:
        import numpy as np

        dtype = DTYPES.get(tensor.dtype.name)
        values = np.asarray(tensor)
        return values if dtype is None else values.astype(dtype.carrier), tensor.dtype.name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Any],
        cotangent: Any | None,
        mode: str,
    ) -> Iterator[Any]:
        forward = program["forward"]
        if cotangent is None:
            yield _forward(forward, inputs, mode)
            return
        evaluate = _compiled if mode == "jit" else _eager
        try:
            output, gradients = evaluate(forward, inputs, cotangent)
        except Exception as error:
            yield _forward(forward, inputs, mode)
            raise error
        yield output
        yield gradients()

    def driver(
        self, program: Program, names: Sequence[str], dtype: str, mode: str, vjp: bool
    ) -> Driver:
        inputs, jit = ", ".join(names), mode == "jit"
        run = [f"y = {'jax.jit(forward)' if jit else 'forward'}({inputs})"]
        if vjp and jit:
            listed = gradients(names).strip("()")
            run = [f"y, ({listed}) = both(dy, {inputs})"]
        elif vjp:
            run = [f"y, pull = jax.vjp(forward, {inputs})", f"{gradients(names)} = pull(dy)"]
        short = dtype == "bfloat16"
        setup = [X64.strip()] if mode == "x64" else []
        if precision := PRECISIONS.get(mode):
            setup.append(f'jax.config.update("jax_default_matmul_precision", "{precision}")')
        imports = ["import jax"] if vjp or jit or setup else []
        return Driver(
            (*imports, "import jax.numpy as jnp"),
            "jnp.array({}, dtype=jnp.bfloat16)" if short else "jnp.array({})",
            tuple(run),
            "np.asarray({}, dtype=np.float32)" if short else "np.asarray({})",
            f"jnp.{dtype}",
            setup=tuple(setup),
            helpers=BOTH if vjp and jit else (),
        )


def _forward(forward: Callable[..., Any], inputs: Sequence[Any], mode: str) -> Any:
    import jax

    return jax.jit(forward)(*inputs) if mode == "jit" else forward(*inputs)


def _eager(
    forward: Callable[..., Any], inputs: Sequence[Any], cotangent: Any
) -> tuple[Any, Callable[[], tuple[Any, ...]]]:
    import jax

    output, pull = jax.vjp(forward, *inputs)
    return output, lambda: pull(cotangent)


def _compiled(
    forward: Callable[..., Any], inputs: Sequence[Any], cotangent: Any
) -> tuple[Any, Callable[[], tuple[Any, ...]]]:
    """Output and gradients by one compiled function: compiling takes longer than running."""
    import jax

    def both(inputs: Sequence[Any], cotangent: Any) -> tuple[Any, tuple[Any, ...]]:
        output, pull = jax.vjp(forward, *inputs)
        return output, pull(cotangent)

    if jax.eval_shape(forward, *inputs).shape != cotangent.shape:
        return jax.jit(forward)(*inputs), tuple
    output, gradients = jax.jit(both)(inputs, cotangent)
    return output, lambda: gradients


adapter = JaxAdapter()
