"""The API ``keras.layers``: the same text on every engine of Keras."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conformance.adapter import Cast, Glue, Program, Unsupported
from conformance.dtypes import DTYPES
from conformance.geometry import effective_window
from conformance.request import Conv, ConvTranspose, Padding, Pool, Request
from conformance.source import call, cropped, given, literal, positive, scalar
from conformance.translation.spelled import Spelled

from ..jax.recipes import ARRAY_FUNCTIONS, dilated
from ..tensorflow.pooling import ChannelsLastPooling
from ..tensorflow.recipes import Lines
from .calls import CALLS

REDUCTIONS = ("max", "mean", "min")
MORE = ("abs", "cast", "clip", "max_pool", "reshape", "stack", "where", "zeros_like")
FUNCTIONS = (*ARRAY_FUNCTIONS, *REDUCTIONS, *MORE)


class KerasLayers(ChannelsLastPooling):
    """Layers, applied to weights that are given."""

    name = "keras.layers"
    shared = True
    glue = Glue(
        "keras.ops.relu({x})", "keras.ops.concatenate([{x}, {y}], {axis})", "keras.ops.sum({x})",
        {"keras": "import keras"},
    )  # fmt: skip
    imports: Mapping[str, str] = {"keras": "import keras"}
    cast = Cast('keras.ops.cast({x}, "{dtype}")', "import keras")
    calls = CALLS
    heads = ("keras.layers",)
    reflect = "reflect"
    valid = "valid"
    functions: Mapping[str, str] = {name: f"keras.ops.{name}" for name in FUNCTIONS}

    def pad(
        self, r: Request, value: str = "0", name: str = "x", padding: Padding | None = None
    ) -> str:
        padding = padding or r.padding
        text, added = cropped(name, self.layout, padding.pairs), positive(padding.pairs)
        if not any(map(any, added)):
            return text
        if value != "0":
            widths = self.widths(added)
            return call("keras.ops.pad", text, widths, f"constant_values={value}")
        symmetric = Padding(added).symmetric
        sides: object = added if symmetric is None else scalar(symmetric)
        if r.rank == 1 and symmetric is None:
            sides = added[0]
        layer = call(f"keras.layers.ZeroPadding{r.rank}D", literal(sides), dtype=_dtype(r))
        return f"{layer}({text})"

    def flattened(self, index: str) -> str:
        return f"keras.ops.ravel({index})"

    def least(self, r: Pool) -> str:
        dtype = DTYPES[r.dtype]
        floating = dtype.floating
        return literal(-dtype.largest if floating else int(np.iinfo(dtype.carrier).min))

    def absolute(self) -> str:
        # The slope at 0 is 1 on JAX.
        names = self.functions
        return f"{names['where']}(x == 0, 0, {names['abs']}(x))"

    def native(self, r: Request) -> Lines | Unsupported:
        if isinstance(r, Pool):
            return self._native_pool(r)
        name = f"keras.layers.{_kind(r)}"
        if r.padding.mode != "zeros" and not r.padding.none:
            return Unsupported(f"{name} pads with zeros only")
        if isinstance(r, ConvTranspose) and r.groups > 1:
            return Unsupported(f"{name} has no groups")
        padding = self._word(r)
        if padding is None:
            return Unsupported("keras.layers have only 'valid' and 'same' padding")
        return self._kernel(r, padding)

    def plain(self, r: Request) -> Lines:
        return self._pool(r, "valid") if isinstance(r, Pool) else self._kernel(r, "valid")

    def _word(self, r: Request) -> str | None:
        """The word by which Keras means what the request means."""
        if r.padding.word == "same":
            return "same"
        if isinstance(r, Conv) and r.rank == 1 and not r.padding.none:
            reach = effective_window(r.window[0], r.dilation[0]) - 1
            return "causal" if r.padding.pairs == ((reach, 0),) else None
        return "valid" if r.padding.none else None

    def _kernel(self, r: Conv | ConvTranspose, padding: str) -> Lines:
        options: dict[str, object] = {
            "strides": given(r.stride, 1),
            "padding": None if padding == "valid" else padding,
        }
        if isinstance(r, ConvTranspose) and padding == "valid":
            spans = map(effective_window, r.window, r.dilation)
            default = tuple(max(s - span, 0) for s, span in zip(r.stride, spans))
            extra = None if r.output_padding == default else scalar(r.output_padding)
            options["output_padding"] = extra
        options["dilation_rate"] = scalar(r.dilation) if dilated(r) else None
        if isinstance(r, Conv):
            options["groups"] = r.groups if r.groups > 1 else None
        options["use_bias"] = None if r.bias else False
        options["dtype"] = None if r.dtype == "float32" else r.dtype
        if not DTYPES[r.dtype].floating or DTYPES[r.dtype].complex:
            options["kernel_initializer"] = "zeros"
        features = str(r.out_channels)
        layer = call(f"keras.layers.{_kind(r)}", features, literal(scalar(r.window)), **options)
        return _applied(r, layer)

    def verbatim(self, r: Request, call: Spelled) -> Program | Unsupported:
        return self.program(r, _applied(r, call.text)) if call.layer else super().verbatim(r, call)

    def _native_pool(self, r: Pool) -> Lines | Unsupported:
        name = f"keras.layers.{_kind(r)}"
        if r.divisor is not None:
            return Unsupported(f"{name} divides by what it counts only")
        if r.ceil_mode:
            return Unsupported(f"{name} has no ceil mode")
        if dilated(r):
            return Unsupported(f"{name} has no dilation")
        padding = self._word(r)
        if padding is None:
            return Unsupported("keras.layers have only 'valid' and 'same' padding")
        if r.kind == "avg" and padding == "same" and r.count_include_pad and not r.padding.none:
            return Unsupported(f"{name} leaves the padding out of the count")
        return self._pool(r, padding)

    def adaptive(self, r: Pool) -> Lines | Unsupported:
        name, dtype = f"keras.layers.{_kind(r)}", _dtype(r)
        if r.op.startswith("global"):
            layer = call(name, keepdims=True, dtype=dtype)
        else:
            layer = call(name, literal(scalar(r.output_size or ())), dtype=dtype)
        return _applied(r, layer)

    def _pool(self, r: Pool, padding: str) -> Lines:
        layer = call(
            f"keras.layers.{_kind(r)}",
            literal(scalar(r.window)),
            strides=None if r.stride == r.window else scalar(r.stride),
            padding=None if padding == "valid" else padding,
            dtype=_dtype(r),
        )
        return _applied(r, layer)


def _applied(r: Request, layer: str) -> Lines:
    """The lines that make a layer, and those that apply it."""
    if isinstance(r, Pool):
        return f"layer = {layer}", ["return layer(x)"]
    shape = (None, *(None,) * r.rank, r.channels)
    weights = "[w, b]" if r.bias else "[w]"
    return (
        f"layer = {layer}\nlayer.build({literal(shape)})",
        [f"y, _ = layer.stateless_call({weights}, [], x)", "return y"],
    )


def _kind(r: Request) -> str:
    name = {
        "conv": "Conv{}D",
        "conv_transpose": "Conv{}DTranspose",
        "max_pool": "MaxPooling{}D",
        "avg_pool": "AveragePooling{}D",
        "adaptive_max_pool": "AdaptiveMaxPooling{}D",
        "adaptive_avg_pool": "AdaptiveAveragePooling{}D",
        "global_max_pool": "GlobalMaxPooling{}D",
        "global_avg_pool": "GlobalAveragePooling{}D",
    }[r.op]
    return name.format(r.rank)


def _dtype(r: Request) -> str | None:
    """The dtype of a layer that would otherwise cast floats to float32."""
    return r.dtype if DTYPES[r.dtype].floating and r.dtype != "float32" else None
