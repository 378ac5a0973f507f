"""The source of ONNX models: nodes, the constants that they take, and the session that runs them.

A model's weights are its initializers, as in an exported model, so that ONNX Runtime's graph
optimisations and prepacked weights take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.adapter import Program, parameters
from conformance.dtypes import DTYPES
from conformance.geometry import Pair
from conformance.request import Pool, Request
from conformance.source import call, literal, source

OPSET, IR_VERSION = 22, 10
"""The operators' latest versions, and the model format that goes with them.

Stated in every program: ``onnx`` writes newer models by default than ONNX Runtime reads.
"""

ELEMENTS: Mapping[str, str] = {
    **{name: f"TensorProto.{name.upper()}" for name in DTYPES},
    "float64": "TensorProto.DOUBLE",
    "float32": "TensorProto.FLOAT",
}
AXES = ("plane", "row", "column")
IMPORTED = "from onnxruntime import InferenceSession, SessionOptions"
OPTIONS = "options = SessionOptions()"
HELPERS = ("make_graph", "make_model", "make_node", "make_opsetid", "make_tensor_value_info")
IMPORTS = {
    "np": "import numpy as np",
    "TensorProto": "from onnx import TensorProto",
    "make_graph": f"from onnx.helper import {', '.join(HELPERS)}",
    "from_array": "from onnx.numpy_helper import from_array",
    "InferenceSession": IMPORTED,
}


@dataclass(frozen=True)
class Node:
    """An operator with its inputs and outputs (the texts of two lists) and attributes."""

    operator: str
    inputs: str
    outputs: str
    attributes: Mapping[str, str]

    def text(self, outputs: str) -> str:
        """The call that makes it."""
        words = [f"{name}={value}" for name, value in self.attributes.items()]
        return call("make_node", literal(self.operator), self.inputs, outputs, *words)


@dataclass
class Nodes:
    """Nodes that turn ``x`` into ``y``, each taking the one before.

    ``last`` is the name of what the last one gives, ``constants`` are expressions of NumPy arrays
    by name, and ``lines`` stand before everything.
    """

    last: str = "x"
    listed: list[Node] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def then(self, operator: str, name: str, *others: str, **options: object) -> None:
        """Append a node that takes the last one's output, and other tensors."""
        inputs = literal([self.last, *others])
        self.add(Node(operator, inputs, literal([name]), _said(options)), name)

    def add(self, node: Node, name: str) -> None:
        """Append a node; ``name`` is its output that the next one takes."""
        self.listed.append(node)
        self.last = name

    def aside(
        self, operator: str, operand: str, name: str, *others: str, **options: object
    ) -> None:
        """Append a node that does not take the last one's output."""
        attributes = _said(options)
        self.listed.append(Node(operator, literal([operand, *others]), literal([name]), attributes))

    def cast(self, name: str, old: str, new: str) -> None:
        """Append a node that converts the last one's output, unless it has the type already."""
        if new != old:
            self.convert(self.last, name, new)
            self.last = name

    def convert(self, operand: str, name: str, dtype: str) -> None:
        """Append a node that converts a tensor, which need not be the last one's output."""
        to = {"to": ELEMENTS[dtype]}
        self.listed.append(Node("Cast", literal([operand]), literal([name]), to))

    def constant(self, name: str, text: str) -> str:
        """Add a constant; its name."""
        self.constants[name] = text
        return name

    def axis(self, number: int) -> str:
        """Add a constant that names one axis; its name."""
        return self.constant(f"axis{number}", f"np.array([{number}])")

    def pad(
        self, pairs: Sequence[Pair], value: str = "", mode: str = "", name: str = "padded"
    ) -> None:
        """Append a node that pads the spatial axes, and crops them where numbers are negative."""
        if not any(map(any, pairs)):
            return
        lows, highs = zip(*pairs)
        widths = f"np.array({literal([0, 0, *lows, 0, 0, *highs])})"
        others = [self.constant(f"{name}_by", widths)]
        if value:
            others.append(self.constant(f"{name}_with", value))
        self.then("Pad", name, *others, mode=mode or None)


def attributes(r: Request) -> dict[str, Any]:
    """What an operator's node says beside its padding; ONNX's default stride is 1 everywhere."""
    if isinstance(r, Pool) and r.output_size is not None:
        return {}
    groups = 1 if isinstance(r, Pool) else r.groups
    return {
        "kernel_shape": [*r.window] if isinstance(r, Pool) else None,
        "strides": unless(r.stride, 1),
        "dilations": unless(r.dilation, 1),
        "group": groups if groups > 1 else None,
    }


def unless(values: tuple[int, ...], default: int) -> list[int] | None:
    """An attribute, or None where it equals ONNX's default."""
    return None if all(value == default for value in values) else [*values]


def program(r: Request, nodes: Nodes) -> Program:
    """The program that runs the nodes, which take x, and the weights w and b."""
    if not nodes.listed:
        nodes.then("Identity", "y")
    *first, last = nodes.listed
    texts = [
        *(node.text(node.outputs) for node in first),
        last.text(_renamed(last.outputs, nodes.last)),
    ]
    return _run(r, texts, nodes.lines, nodes.constants)


def verbatim(r: Request, node: str) -> Program:
    """The program that runs one node, which the text makes."""
    return _run(r, [node], [], {})


def _run(
    r: Request, texts: Sequence[str], lines: Sequence[str], constants: Mapping[str, str]
) -> Program:
    setup = [*lines]
    if len(texts) == 1:
        setup.append(f"node = {texts[0]}")
    else:
        setup += ["nodes = [", *(f"    {text}," for text in texts), "]"]
    held = [f'from_array({name}, "{name}")' for name in parameters(r)[1:]]
    if constants:
        setup.append("constants = [")
        setup += [f'    from_array({text}, "{name}"),' for name, text in constants.items()]
        setup.append("]")
    if constants and held:
        held = ["*constants", *held]
    weights = [f"[{', '.join(held)}]"] if held else ["constants"] * bool(constants)
    graph = [
        "[node]" if len(texts) == 1 else "nodes",
        literal(r.op),
        f'[make_tensor_value_info("x", {ELEMENTS[r.dtype]}, x.shape)]',
        f'[make_tensor_value_info("y", {ELEMENTS[r.result_dtype]}, None)]',
        *weights,
    ]
    opset = f'[make_opsetid("", {OPSET})]'
    body = [
        f"graph = make_graph({', '.join(graph)})",
        f"model = make_model(graph, opset_imports={opset}, ir_version={IR_VERSION})",
        "session = InferenceSession(",
        '    model.SerializeToString(), options, providers=["CPUExecutionProvider"]',
        ")",
        'return session.run(None, {"x": x})[0]',
    ]
    setup.append(OPTIONS)
    return source(r, IMPORTS, "\n".join(body), setup="\n".join(setup))


def _said(options: Mapping[str, object]) -> dict[str, str]:
    """The texts of the attributes that are given."""
    return {key: literal(value) for key, value in options.items() if value is not None}


def _renamed(outputs: str, name: str) -> str:
    """The last node's outputs, of which one is the model's."""
    return outputs.replace(f'"{name}"', '"y"')
