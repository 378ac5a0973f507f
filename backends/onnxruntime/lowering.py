"""The API: each request as a model of one node, or else of several."""

from __future__ import annotations

from typing import Any

from conformance.adapter import Api, Lowering, Program, Unsupported, parameters
from conformance.request import Conv, ConvTranspose, Pool, Request

from . import recipes
from .graph import Nodes, program
from .recipes import attributes, by_hand, unless

OPERATORS = {
    "conv": "Conv",
    "conv_transpose": "ConvTranspose",
    "max_pool": "MaxPool",
    "avg_pool": "AveragePool",
}
WORDS = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}
FLOATS = ("float64", "float32", "float16")
TYPES = {"MaxPool": (*FLOATS, "int8", "uint8")}
"""The element types that ONNX has an operator for, where they are not the floats alone."""

Options = dict[str, Any]


class OnnxRuntime(Api):
    """``onnx.helper`` makes the model, an ``InferenceSession`` runs it."""

    name = "onnxruntime"

    def conv(self, r: Conv) -> Lowering:
        return Lowering(self._native(Nodes(), r, {}), recipes.conv(r))

    def conv_transpose(self, r: ConvTranspose) -> Lowering:
        # What a word fixes already, ONNX takes for something to be added.
        given = r.padding.word not in ("same", "same_lower")
        extra = unless(r.output_padding, 0) if given else None
        native = self._native(Nodes(), r, {"output_padding": extra})
        return Lowering(native, recipes.conv_transpose(r))

    def max_pool(self, r: Pool) -> Lowering:
        ceil = {"ceil_mode": 1 if r.ceil_mode else None}
        return Lowering(self._native(*by_hand(r), ceil), recipes.max_pool(r))

    def avg_pool(self, r: Pool) -> Lowering:
        options = {
            "ceil_mode": 1 if r.ceil_mode else None,
            "count_include_pad": 1 if r.count_include_pad else None,
        }
        return Lowering(self._native(*by_hand(r), options), recipes.avg_pool(r))

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
        padding = _padding(r)
        nodes.then(name, "y", *parameters(r)[1:], **{**attributes(r), **padding, **options})
        return program(r, nodes)


def _padding(r: Request) -> Options:
    if r.padding.word in WORDS:
        return {"auto_pad": WORDS[r.padding.word]}
    lows, highs = zip(*r.padding.pairs)
    return {"pads": None if r.padding.none else [*lows, *highs]}
