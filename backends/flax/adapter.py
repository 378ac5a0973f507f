"""Flax: ``flax.linen`` and ``flax.nnx``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from conformance.adapter import Glue, Info, Layout, Lowering, Program, Unsupported
from conformance.dtypes import DTYPES
from conformance.geometry import Pair, effective_window
from conformance.request import Conv, ConvTranspose, Padding, Pool, Request
from conformance.source import call, given, literal, scalar
from conformance.translation.spelled import Spelled

from ..jax.adapter import JaxAdapter
from ..jax.lowering import padding_option, transposed_word, wide
from ..jax.pooling import JaxPooling
from ..jax.recipes import beyond, plain_divisor
from .calls import LINEN, NNX

MODES = {"circular": "CIRCULAR", "reflect": "REFLECT"}
Options = dict[str, Any]


class Flax(JaxPooling):
    """What both APIs share: the options of the layers, and the pooling functions."""

    layout = Layout("N*C", "*IO", "*OI")
    module: str
    pooling = "Flax pooling"

    def unbatched(self, r: Request) -> Lowering:
        return self.batchless(r)

    @abstractmethod
    def layer(self, r: Conv | ConvTranspose, options: Options) -> tuple[str, list[str]]:
        """The lines before ``forward``, and those that apply a layer with these options."""

    def conv(self, r: Conv) -> Lowering:
        options = {**_sizes(r), "feature_group_count": r.groups if r.groups > 1 else None}
        mode = r.padding.mode
        if mode == "zeros" or r.padding.none:
            causal = r.padding.word == "causal" and r.rank == 1
            padding = "CAUSAL" if causal else _padding(r.padding)
            native = self._conv(r, {**options, "padding": padding})
            if not beyond(r, r.padding.pairs):
                return Lowering(native)
            pad = f"x = {self.pad(r)}"
            return Lowering(native, self._conv(r, {**options, "padding": "VALID"}, [pad]))
        emulated = self._conv(r, {**options, "padding": "VALID"}, [self.pad_mode(r.padding)])
        if mode not in MODES:
            return Lowering(Unsupported(f"{self.module}.Conv has no {mode} padding"), emulated)
        if r.padding.pairs != _around(r):
            reason = f"{self.module}.Conv pads {mode} by 'same' amounts at stride 1 only"
            return Lowering(Unsupported(reason), emulated)
        return Lowering(self._conv(r, {**options, "padding": MODES[mode]}), emulated)

    def _conv(self, r: Conv, options: Options, before: Sequence[str] = ()) -> Program:
        setup, lines = self.layer(r, options)
        return self.program(r, [*before, *lines], setup)

    def transposed(self, r: ConvTranspose) -> tuple[str, list[str]]:
        word = transposed_word(r)
        padding = _sides(_transposed_padding(r)) if word is None else word
        options = {**_sizes(r), "padding": None if word == "SAME" else padding}
        return self.layer(r, {**options, "transpose_kernel": True})

    def maximum(self, r: Pool, padding: object) -> str:
        return f"return {self._pool(r, 'max_pool', padding)}"

    def average(self, r: Pool, padding: object) -> list[str]:
        include = None if plain_divisor(r) else False
        return [f"return {self._pool(r, 'avg_pool', padding, count_include_pad=include)}"]

    def same_dtype(self, r: Pool, lines: list[str]) -> list[str]:
        # Flax divides by counts in JAX's default dtype, which is float64 in the mode x64.
        if plain_divisor(r) or wide(r.dtype):
            return lines
        return [*lines[:-1], f"{lines[-1]}.astype(x.dtype)"]

    def _pool(self, r: Pool, name: str, padding: object, **options: object) -> str:
        return call(
            f"{self.module}.{name}",
            "x",
            literal(r.window),
            strides=None if set(r.stride) == {1} else r.stride,
            padding=None if padding == "VALID" else padding,
            **options,
        )


def _glue(module: str, line: str) -> Glue:
    concatenate, total = "jnp.concatenate([{x}, {y}], {axis})", "jnp.sum({x})"
    imports = {module: line, "jnp": "import jax.numpy as jnp"}
    return Glue(f"{module}.relu({{x}})", concatenate, total, imports)


class Linen(Flax):
    """Layers whose parameters are given to ``apply``."""

    name = "flax.linen"
    calls = LINEN
    heads = ("nn",)
    module = "nn"
    glue = _glue("nn", "from flax import linen as nn")
    transposing = "nn.ConvTranspose"

    def layer(self, r: Conv | ConvTranspose, options: Options) -> tuple[str, list[str]]:
        return _applied(r, _construct("nn", r, [str(_features(r)[1])], options))

    def verbatim(self, r: Request, call: Spelled) -> Program | Unsupported:
        if isinstance(r, Pool) or not call.layer:
            return super().verbatim(r, call)
        setup, lines = _applied(r, call.text)
        return self.program(r, lines, setup)


class Nnx(Flax):
    """Layers that hold their parameters."""

    name = "flax.nnx"
    calls = NNX
    heads = ("nnx",)
    module = "nnx"
    glue = _glue("nnx", "from flax import nnx")
    transposing = "nnx.ConvTranspose"

    def layer(self, r: Conv | ConvTranspose, options: Options) -> tuple[str, list[str]]:
        initial = ["kernel_init=lambda *_: w", "bias_init=lambda *_: b"][: 1 + r.bias]
        features = [str(number) for number in _features(r)]
        layer = _construct("nnx", r, features, options, [*initial, "rngs=nnx.Rngs(0)"])
        return "", [f"layer = {layer}", "return layer(x)"]


def _applied(r: Conv | ConvTranspose, layer: str) -> tuple[str, list[str]]:
    weights = '{"kernel": w, "bias": b}' if r.bias else '{"kernel": w}'
    return f"layer = {layer}", [f'return layer.apply({{"params": {weights}}}, x)']


def _construct(
    module: str,
    r: Conv | ConvTranspose,
    features: list[str],
    options: Options,
    more: Sequence[str] = (),
) -> str:
    kind = "Conv" if isinstance(r, Conv) else "ConvTranspose"
    text = call(f"{module}.{kind}", *features, literal(r.window), **options)
    words = [text[:-1], *([] if r.bias else ["use_bias=False"])]
    words += [] if r.dtype == "float32" else [_dtype(r.dtype)]
    return ", ".join([*words, *more]) + ")"


def _dtype(dtype: str) -> str:
    """The dtype of the parameters, or of the computation where the initializers lack the dtype."""
    option = "param_dtype" if DTYPES[dtype].floating else "dtype"
    return f"{option}=jnp.{dtype}"


def _features(r: Conv | ConvTranspose) -> tuple[int, int]:
    """Input and output channels of one layer; a transposed convolution has one per group."""
    if isinstance(r, Conv):
        return r.channels, r.out_channels
    return r.channels // r.groups, r.kernel_shape[1]


def _around(r: Conv) -> tuple[Pair, ...]:
    """How much Flax pads in its modes: what keeps the size at stride 1."""
    reach = [effective_window(*sizes) - 1 for sizes in zip(r.window, r.dilation)]
    return tuple((each // 2, each - each // 2) for each in reach)


def _sizes(r: Conv | ConvTranspose) -> Options:
    return {"strides": given(r.stride, 1), "kernel_dilation": given(r.dilation, 1)}


def _padding(padding: Padding) -> object:
    """The padding option, None where it is the default."""
    option = padding_option(padding)
    if isinstance(option, list):
        return _sides(padding)
    return None if option == "SAME" else option


def _sides(padding: Padding) -> object:
    """Pairs, or one number per axis or for all where the sides agree."""
    return padding.pairs if padding.symmetric is None else scalar(padding.symmetric)


def _transposed_padding(r: ConvTranspose) -> Padding:
    """What pads the dilated input: `lax.conv_transpose` takes numbers as that by default."""
    axes = zip(r.window, r.dilation, r.padding.pairs, r.output_padding)
    return Padding(
        tuple(
            (reach - low, reach - high + extra)
            for reach, low, high, extra in (
                (effective_window(window, dilation) - 1, *pair, extra)
                for window, dilation, pair, extra in axes
            )
        )
    )


class FlaxAdapter(JaxAdapter):
    """Flax on JAX."""

    name = "flax"
    module = "flax"
    distributions = ("flax", "jax", "jaxlib", "numpy")
    apis = (Linen(), Nnx())

    def load(self) -> Info:
        import flax  # noqa: F401

        return super().load()


adapter = FlaxAdapter()
