"""Recipes: models of several nodes for what one node does not give.

Where the operator has a kernel for the element type, a Pad node helps it. Elsewhere (no
convolution of double or of integers, no maximum that knows NaN) windows are gathered, and other
operators contract or reduce them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from conformance.adapter import Program, parameters
from conformance.dtypes import DTYPES
from conformance.geometry import Pair
from conformance.request import Conv, ConvTranspose, PaddingMode, Pool, Request
from conformance.source import fitted_pads, literal, on_padded, positive, window_index

from .graph import Node, Nodes, program

KERNELS = frozenset({"float32", "float16"})
"""The element types that ONNX Runtime convolves."""

MODES: dict[PaddingMode, str] = {
    "zeros": "",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}
AXES = ("plane", "row", "column")
POSITIONS, WINDOW = "pqr", "ijk"


def conv(r: Conv) -> Program | None:
    """Padding first; where no kernel convolves, a contraction of windows."""
    nodes, mode = Nodes(), MODES[r.padding.mode]
    if r.dtype not in KERNELS or 0 in (r.channels, *r.output_shape[2:]):
        weights = _widened(nodes, r)
        nodes.pad(r.padding.pairs, mode=mode)
        slid = Pool(r.input_shape, r.padding, r.stride, r.dilation, r.dtype, r.window)
        for axis, name in enumerate(AXES[-r.rank :]):
            nodes.lines.append(f"{name}s = {window_index(slid, axis, 'np.arange')}")
        return _contracted(nodes, r, weights)
    if r.padding.none:
        return None
    nodes.pad(r.padding.pairs, mode=mode)
    nodes.then("Conv", "y", *parameters(r)[1:], **attributes(r))
    return program(r, nodes)


def conv_transpose(r: ConvTranspose) -> Program | None:
    """All of the output, then cropped and padded; or as `conv`, a contraction."""
    nodes = Nodes()
    if r.dtype not in KERNELS:
        weights = _widened(nodes, r)
        nodes.pad(((0, 1),) * r.rank)
        nodes.lines += _spread(r)
        return _contracted(nodes, r, weights)
    ends = zip(r.padding.pairs, r.output_padding)
    margins = tuple((-low, extra - high) for (low, high), extra in ends)
    if not any(map(any, margins)):
        return None
    apart = r.bias and max(map(max, margins)) > 0
    taken = parameters(r)[1 : 2 if apart else 3]
    nodes.then("ConvTranspose", "all", *taken, **attributes(r))
    nodes.pad(margins)
    if apart:
        _add_bias(nodes, r, "b")
    return program(r, nodes)


def max_pool(r: Pool) -> Program:
    """The maxima of shifted inputs: NaN wins, and nothing else does in the padding."""
    nodes, own = _cropped(*by_hand(r))
    floating = DTYPES[r.dtype].floating
    wide = r.dtype if floating or r.dtype == "int64" else "int32"
    nodes.cast("wide", r.dtype, wide)
    lowest = "-np.inf" if floating else f"np.iinfo({literal(wide)}).min"
    pads = fitted_pads(own)
    nodes.pad(pads, f"np.array({lowest}, {literal(wide)})")
    for axis, name in _gathers(nodes, own):
        parts = f'[f"{name}{{i}}" for i in range({own.window[axis]})]'
        split = {"axis": str(axis + 3), "num_outputs": str(own.window[axis])}
        nodes.add(Node("Split", literal([nodes.last]), parts, split), "")
        nodes.add(Node("Max", parts, literal([f"{name}_max"]), {}), f"{name}_max")
        nodes.then("Squeeze", f"{name}_maxima", nodes.axis(axis + 3))
    nodes.cast("y", wide, r.dtype)
    return program(r, nodes)


def avg_pool(r: Pool) -> Program:
    """Sums of windows by the number of elements that count."""
    nodes, own = _cropped(*by_hand(r))
    pads, counted = fitted_pads(own), _counted(own)
    nodes.pad(pads)
    factors = []
    for axis, name in _gathers(nodes, own):
        nodes.then("ReduceSum", f"{name}_sums", nodes.axis(axis + 3), keepdims=0)
        inside, (low, high) = counted[axis]
        if low or high:
            ones = f"np.pad(np.ones({inside}), {(low, high)})"
            nodes.lines.append(f"{name}_counts = {ones}[{name}s].sum(1)")
            factors.append(f"{name}_counts{_trailing(r.rank - 1 - axis)}")
        else:
            factors.append(str(own.window[axis]))
    numbers = [int(factor) for factor in factors if factor.isdigit()]
    factors = [factor for factor in factors if not factor.isdigit()]
    if math.prod(numbers) > 1 or not factors:
        factors.append(str(math.prod(numbers)))
    nodes.then("Div", "y", nodes.constant("counts", _typed(" * ".join(factors), r.dtype)))
    return program(r, nodes)


def by_hand(r: Pool) -> tuple[Nodes, Pool]:
    """The node that pads by hand, where the request says so, and the pooling after it."""
    nodes = Nodes()
    if r.padding_value is None or r.padding.none:
        return nodes, r
    value = f"np.array({literal(r.padding_value)}, {literal(r.dtype)})"
    nodes.pad(r.padding.pairs, value if r.padding_value else "", name="by_hand")
    return nodes, on_padded(r, r.padding.pairs)


def _cropped(nodes: Nodes, r: Pool) -> tuple[Nodes, Pool]:
    """The pooling that is left once what ceil mode must not reach again is cut off."""
    if not (r.ceil_mode and r.padding.negative):
        return nodes, r
    crop = tuple((min(low, 0), min(high, 0)) for low, high in r.padding.pairs)
    nodes.pad(crop, name="cropped")
    return nodes, on_padded(r, crop, positive(r.padding.pairs))


def attributes(r: Request) -> dict[str, Any]:
    """What an operator's node says beside its padding; ONNX's default stride is 1 everywhere."""
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


def _widened(nodes: Nodes, r: Conv | ConvTranspose) -> list[str]:
    """Cast everything to what can be contracted; the names of the weights."""
    wide = _wide(r)
    weights = [*parameters(r)[1:]]
    if wide != r.dtype:
        for at, name in enumerate(weights):
            weights[at] = f"{name}_wide"
            nodes.convert(name, f"{name}_wide", wide)
    nodes.cast("wide", r.dtype, wide)
    return weights


def _spread(r: ConvTranspose) -> Iterator[str]:
    """Lines that say which input element each element of the kernel meets at each position.

    Where there is none it is the zero behind the last one.
    """
    for axis, name in enumerate(AXES[-r.rank :]):
        index, size, stride = f"{name}s", r.spatial[axis], r.stride[axis]
        low = r.padding.pairs[axis][0]
        steps = f"np.arange({r.window[axis]})"
        if r.dilation[axis] > 1:
            steps = f"{r.dilation[axis]} * {steps}"
        shift = f" {'+' if low > 0 else '-'} {abs(low)}" if low else ""
        yield f"{index} = np.arange({r.output_shape[2 + axis]})[:, None]{shift} - {steps}"
        inside, element = f"(0 <= {index}) & ({index} < {size * stride})", index
        if stride > 1:
            inside, element = f"{inside} & ({index} % {stride} == 0)", f"{index} // {stride}"
        yield f"{index} = np.where({inside}, {element}, {size})"


def _contracted(nodes: Nodes, r: Conv | ConvTranspose, weights: Sequence[str]) -> Program:
    """Gather the windows, whose indices the lines make, and contract them with the kernel."""
    for axis, name in enumerate(AXES[-r.rank :]):
        index = nodes.constant(f"{name}s", f"{name}s")
        nodes.then("Gather", f"{name}_windows", index, axis=2 + 2 * axis)
    positions, window, group, zero = POSITIONS[: r.rank], WINDOW[: r.rank], "", None
    kernel, *bias = weights
    if r.groups > 1:
        group, (batch, *counts) = "g", (r.input_shape[0], *r.output_shape[2:])
        sizes = [size for pair in zip(counts, r.window) for size in pair]
        split = [batch, r.groups, r.channels // r.groups, *sizes]
        zero = 1 if 0 in split else None
        split_to = nodes.constant("split", f"np.array({split})")
        nodes.then("Reshape", "groups", split_to, allowzero=zero)
        own, other = r.kernel_shape[:2]
        parts = [r.groups, own // r.groups, other, *r.window]
        nodes.aside("Reshape", kernel, "w_groups", nodes.constant("parts", f"np.array({parts})"))
        kernel = "w_groups"
    mixed = "".join(map("".join, zip(positions, window)))
    channels = "oc" if isinstance(r, Conv) else "co"
    terms = f"n{group}c{mixed},{group}{channels}{window}->n{group}o{positions}"
    inputs = literal([nodes.last, kernel])
    nodes.add(Node("Einsum", inputs, '["sums"]', {"equation": f'"{terms}"'}), "sums")
    if r.groups > 1:
        shape = nodes.constant("shape", f"np.array({[*r.output_shape]})")
        nodes.then("Reshape", "joined", shape, allowzero=zero)
    if bias:
        _add_bias(nodes, r, bias[0])
    nodes.cast("y", _wide(r), r.dtype)
    return program(r, nodes)


def _wide(r: Request) -> str:
    """The element type in which Einsum contracts: integers wrap when they are cast back."""
    return r.dtype if DTYPES[r.dtype].floating else "int64"


def _add_bias(nodes: Nodes, r: Conv | ConvTranspose, bias: str) -> None:
    shape = nodes.constant("per_channel", f"np.array({[-1, *(1,) * r.rank]})")
    nodes.aside("Reshape", bias, "bias", shape)
    nodes.then("Add", "biased", "bias")


def _gathers(nodes: Nodes, r: Pool) -> Iterator[tuple[int, str]]:
    """Gather the windows of each axis; they are to be reduced before the next."""
    for axis, name in enumerate(AXES[-r.rank :]):
        nodes.lines.append(f"{name}s = {window_index(r, axis, 'np.arange')}")
        index = nodes.constant(f"{name}s", f"{name}s")
        nodes.then("Gather", f"{name}_windows", index, axis=2 + axis)
        yield axis, name


def _counted(r: Pool) -> list[tuple[int, Pair]]:
    """How many elements of each padded axis count, and how many before and behind do not."""
    result = []
    for size, (low, high), (_, end) in zip(r.spatial, r.padding.pairs, fitted_pads(r)):
        before = 0 if r.count_include_pad else max(low, 0)
        total = size + low + end
        inside = size + low + min(high, end) if r.count_include_pad else size + min(low, 0)
        inside = min(inside, total - before)
        result.append((inside, (before, total - before - inside)))
    return result


def _trailing(axes: int) -> str:
    return f"[:{', None' * axes}]" if axes else ""


def _typed(text: str, dtype: str) -> str:
    if text.isdigit():
        return f"np.array({text}, {literal(dtype)})"
    whole = f"({text})" if " " in text else text
    return f"{whole}.astype({literal(dtype)})"
