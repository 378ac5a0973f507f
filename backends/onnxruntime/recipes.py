"""Recipes for convolutions: models of several nodes for what one node does not give.

Where ONNX Runtime convolves the element type, a Pad node helps; else (double, integers) windows
are gathered and contracted with the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conformance.adapter import Program, parameters
from conformance.dtypes import DTYPES
from conformance.request import Conv, ConvTranspose, PaddingMode, Pool, Request
from conformance.source import literal, window_index

from .graph import AXES, Node, Nodes, attributes, program

KERNELS = frozenset({"float32", "float16"})
"""The element types that ONNX Runtime convolves."""

MODES: dict[PaddingMode, str] = {
    "zeros": "",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
}
POSITIONS, WINDOW = "pqr", "ijk"


def conv(r: Conv) -> Program | None:
    """Padding first; where no kernel convolves, a contraction of windows."""
    nodes, mode = Nodes(), MODES[r.padding.mode]
    if r.channels == 0 or 0 in r.output_shape:
        return _empty(nodes, r)
    if r.dtype not in KERNELS:
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
        zero = 1 if 0 in (*split, *r.kernel_shape) else None
        split_to = nodes.constant("split", f"np.array({split})")
        nodes.then("Reshape", "groups", split_to, allowzero=zero)
        own, other = r.kernel_shape[:2]
        parts = [r.groups, own // r.groups, other, *r.window]
        parts_to = nodes.constant("parts", f"np.array({parts})")
        nodes.aside("Reshape", kernel, "w_groups", parts_to, allowzero=zero)
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


def _empty(nodes: Nodes, r: Conv) -> Program:
    """Sums of nothing: zeros, and the bias. Einsum ends the process where an operand is empty."""
    nodes.last = nodes.constant("sums", f"np.zeros({literal(r.output_shape)}, {literal(r.dtype)})")
    if r.bias:
        _add_bias(nodes, r, "b")
    return program(r, nodes)


def _wide(r: Request) -> str:
    """The element type in which Einsum contracts: integers wrap when they are cast back."""
    return r.dtype if DTYPES[r.dtype].floating else "int64"


def _add_bias(nodes: Nodes, r: Conv | ConvTranspose, bias: str) -> None:
    sizes, zero = [-1, *(1,) * r.rank], None
    if r.out_channels == 0:
        # -1 is no number where there are no elements.
        sizes[0], zero = 0, 1
    shape = nodes.constant("per_channel", f"np.array({sizes})")
    nodes.aside("Reshape", bias, "bias", shape, allowzero=zero)
    nodes.then("Add", "biased", "bias")
