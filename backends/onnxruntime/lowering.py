"""The API: each request as a model of one node, or else of several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.adapter import (
    Api,
    Cast,
    Lowering,
    Program,
    Unsupported,
    batched,
    parameters,
)
from conformance.request import Conv, ConvTranspose, Pool, Request
from conformance.source import literal
from conformance.translation.spelled import Spelled

from . import pooling, recipes
from .graph import Node, Nodes, attributes, program, unless, verbatim

OPERATORS = {
    "conv": "Conv",
    "conv_transpose": "ConvTranspose",
    "max_pool": "MaxPool",
    "max_pool_indices": "MaxPool",
    "avg_pool": "AveragePool",
    "lp_pool": "LpPool",
    "global_max_pool": "GlobalMaxPool",
    "global_avg_pool": "GlobalAveragePool",
}
WORDS = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}
FLOATS = ("float64", "float32", "float16")
TYPES = {"MaxPool": (*FLOATS, "int8", "uint8")}
"""The element types that ONNX has an operator for, where they are not the floats alone."""

Options = dict[str, Any]


class OnnxRuntime(Api):
    """``onnx.helper`` makes the model, an ``InferenceSession`` runs it."""

    name = "onnxruntime"
    cast = Cast("{x}.astype(np.{dtype})", "import numpy as np")
    spoken = frozenset({"make_node"})

    def verbatim(self, r: Request, call: Spelled) -> Program:
        return verbatim(r, call.text)

    def conv(self, r: Conv) -> Lowering:
        return Lowering(self._native(Nodes(), r, {}), recipes.conv(r))

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        options: Options = {}
        if r.sized:
            options["output_shape"] = [*r.output_shape[2:]]
        elif r.padding.word not in ("same", "same_lower"):
            # What a word fixes already, ONNX would take for something to be added.
            options["output_padding"] = unless(r.output_padding, 0)
        return Lowering(self._native(Nodes(), r, options), recipes.conv_transpose(r))

    def max_pool(self, r: Pool) -> Lowering:
        return Lowering(self._pool(r), pooling.max_pool(r))

    def avg_pool(self, r: Pool) -> Lowering:
        count = {"count_include_pad": 1 if r.count_include_pad else None}
        native = self._pool(r, count)
        if r.divisor is not None:
            native = Unsupported("ONNX's AveragePool has no divisor of its own")
        return Lowering(native, pooling.avg_pool(r))

    def lp_pool(self, r: Pool) -> Lowering:
        native: Program | Unsupported = Unsupported("ONNX's LpPool takes a whole number as p")
        if r.norm == int(r.norm):
            native = self._pool(r, {"p": int(r.norm) if r.norm != 2 else None})
        return Lowering(native, pooling.lp_pool(r))

    def max_pool_indices(self, r: Pool) -> Lowering:
        native = self._pool(r)
        if r.input_shape[:2] != (1, 1):
            native = Unsupported("ONNX's MaxPool counts all elements of its input, not a channel's")
        return Lowering(native, pooling.max_pool_indices(r))

    def adaptive_pool(self, r: Pool) -> Lowering:
        recipe = pooling.max_pool(r) if r.kind == "max" else pooling.avg_pool(r)
        if r.op not in OPERATORS:
            return Lowering(Unsupported("ONNX has no adaptive pooling"), recipe)
        return Lowering(self._native(Nodes(), r, {}), recipe)

    def unbatched(self, r: Request) -> Lowering:
        whole = _runs(self.lower(replace(r, unbatched=False)))
        recipe = None if whole is None else batched(whole, r)
        return Lowering(Unsupported("ONNX's operators take arrays with a batch axis"), recipe)

    def mixed(self, r: Conv | ConvTranspose) -> Lowering:
        native = self.lower(replace(r, kernel_dtype=None)).native
        same = _runs(self.lower(replace(r, dtype=r.result_dtype, kernel_dtype=None)))
        return Lowering(native, None if same is None else self.cast.promoting(same, r))

    def _pool(self, r: Pool, more: Options | None = None) -> Program | Unsupported:
        nodes, own = pooling.by_hand(r)
        return self._native(nodes, own, {"ceil_mode": 1 if r.ceil_mode else None, **(more or {})})

    def _native(self, nodes: Nodes, r: Request, options: Options) -> Program | Unsupported:
        """The operator's node, after those that pad by hand."""
        name = OPERATORS[r.op]
        types = TYPES.get(name, FLOATS)
        if r.dtype not in types:
            *others, last = types
            listed = f"{', '.join(others)} and {last}"
            return Unsupported(f"ONNX's {name} takes {listed}, not {r.dtype}")
        if r.padding.mode != "zeros":
            return Unsupported(f"ONNX's {name} pads with zeros only")
        given = {**attributes(r), **_padding(r), **options}
        texts = {key: literal(value) for key, value in given.items() if value is not None}
        outputs = ["maxima", "y"] if isinstance(r, Pool) and r.indices else ["y"]
        inputs = literal([nodes.last, *parameters(r)[1:]])
        nodes.add(Node(name, inputs, literal(outputs), texts), "y")
        return program(r, nodes)


def _padding(r: Request) -> Options:
    if r.padding.word in WORDS:
        return {"auto_pad": WORDS[r.padding.word]}
    lows, highs = zip(*r.padding.pairs)
    return {"pads": None if r.padding.none else [*lows, *highs]}


def _runs(lowering: Lowering) -> Program | None:
    """What ONNX Runtime runs for sure: the recipe where there is one, else the one node."""
    program = lowering.emulated or lowering.native
    return program if isinstance(program, Program) else None
