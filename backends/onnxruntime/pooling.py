"""Recipes for poolings: windows are gathered axis by axis, and what they hold is reduced.

This knows every element type, window and padding, and NaN, which ONNX Runtime's poolings ignore.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from conformance.adapter import Program
from conformance.dtypes import DTYPES
from conformance.geometry import Pair
from conformance.request import Pool
from conformance.source import fitted_pads, literal, on_padded, positive, window_index

from .graph import AXES, Node, Nodes, attributes, program


def max_pool(r: Pool) -> Program:
    """The maxima of shifted inputs: NaN wins, and nothing else does in the padding."""
    nodes, own = _cropped(*by_hand(r))
    floating = DTYPES[r.dtype].floating
    wide = r.dtype if floating or r.dtype == "int64" else "int32"
    nodes.cast("wide", r.dtype, wide)
    lowest = "-np.inf" if floating else f"np.iinfo({literal(r.dtype)}).min"
    nodes.pad(_reach(own), f"np.array({lowest}, {literal(wide)})")
    for axis, name in _gathered(nodes, own):
        parts = f'[f"{name}{{i}}" for i in range({own.window[axis]})]'
        split = {"axis": str(axis + 3), "num_outputs": str(own.window[axis])}
        nodes.add(Node("Split", literal([nodes.last]), parts, split), "")
        nodes.add(Node("Max", parts, literal([f"{name}_max"]), {}), f"{name}_max")
        nodes.then("Squeeze", f"{name}_maxima", nodes.axis(axis + 3))
    nodes.cast("y", wide, r.dtype)
    return program(r, nodes)


def avg_pool(r: Pool) -> Program:
    """Sums of windows, divided by the number of elements that count."""
    nodes, own = _cropped(*by_hand(r))
    nodes.pad(_reach(own))
    counts, number = [], 1
    for axis, name in _summed(nodes, own):
        count = _counts(own, axis, f"{name}s")
        if count is None:
            number *= own.window[axis]
        else:
            nodes.lines.append(f"{name}_counts = {count}")
            after = r.rank - 1 - axis
            counts.append(f"{name}_counts" + (f"[:{', None' * after}]" if after else ""))
    if r.divisor is not None:
        counts, number = [], r.divisor
    text, dtype = " * ".join([*counts, str(number)][: len(counts) or 1]), literal(r.dtype)
    if counts and number > 1:
        text += f" * {number}"
    counted = f"({text}).astype({dtype})" if counts else f"np.array({text}, {dtype})"
    nodes.then("Div", "y", nodes.constant("counts", counted))
    return program(r, nodes)


def lp_pool(r: Pool) -> Program:
    """The root of sums of powers."""
    nodes, own = _cropped(Nodes(), r)
    nodes.then("Abs", "sizes")
    nodes.then("Pow", "powers", _typed(nodes, "norm", literal(r.norm), r.dtype))
    nodes.pad(_reach(own))
    for _ in _summed(nodes, own):
        pass
    nodes.then("Pow", "y", _typed(nodes, "root", literal(1 / r.norm), r.dtype))
    return program(r, nodes)


def max_pool_indices(r: Pool) -> Program | None:
    """The indices of the whole tensor, counted anew in each channel."""
    if r.padding.negative or 0 in r.output_shape[1:] or r.dtype == "int64":
        return None
    nodes = Nodes()
    if not DTYPES[r.dtype].floating:
        nodes.cast("wide", r.dtype, "float64")
    inputs, outputs = literal([nodes.last]), literal(["maxima", "indices"])
    options = {**attributes(r), "ceil_mode": 1 if r.ceil_mode else None}
    lows, highs = zip(*r.padding.pairs)
    options["pads"] = None if r.padding.none else [*lows, *highs]
    given = {key: literal(value) for key, value in options.items() if value is not None}
    nodes.add(Node("MaxPool", inputs, outputs, given), "indices")
    nodes.then("Mod", "y", nodes.constant("size", f"np.array({math.prod(r.spatial)})"))
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


def _reach(r: Pool) -> tuple[Pair, ...]:
    """The padding with which all windows lie inside; adaptive ones take one element from there."""
    if r.output_size is None:
        return fitted_pads(r)
    return tuple((0, 1 if n % m else 0) for n, m in zip(r.spatial, r.output_size))


def _gathered(nodes: Nodes, r: Pool) -> Iterator[tuple[int, str]]:
    """Gather the windows of each axis, to be reduced before the next one's: its number and name."""
    for axis, name in enumerate(AXES[-r.rank :]):
        nodes.lines += _indices(r, axis, f"{name}s")
        index = nodes.constant(f"{name}s", f"{name}s")
        nodes.then("Gather", f"{name}_windows", index, axis=2 + axis)
        yield axis, name


def _indices(r: Pool, axis: int, name: str) -> Iterator[str]:
    """Lines that make the index array (positions × window) of one padded axis."""
    if r.output_size is None or r.spatial[axis] % r.output_size[axis] == 0:
        yield f"{name} = {window_index(r, axis, 'np.arange')}"
        return
    size, count = r.spatial[axis], r.output_size[axis]
    starts = f"np.arange({count})[:, None] * {size} // {count}"
    ends = f"-(-np.arange(1, {count + 1})[:, None] * {size} // {count})"
    yield f"{name} = {starts} + np.arange({r.window[axis]})"
    yield f"{name} = np.where({name} < {ends}, {name}, {size})"


def _summed(nodes: Nodes, r: Pool) -> Iterator[tuple[int, str]]:
    for axis, name in _gathered(nodes, r):
        nodes.then("ReduceSum", f"{name}_sums", nodes.axis(axis + 3), keepdims=0)
        yield axis, name


def _counts(r: Pool, axis: int, index: str) -> str | None:
    """How many elements count in each window along an axis; None where all do."""
    size = r.spatial[axis]
    if r.output_size is not None:
        return f"({index} < {size}).sum(1)" if size % r.output_size[axis] else None
    (low, high), (_, end) = r.padding.pairs[axis], fitted_pads(r)[axis]
    total = size + low + end
    before = 0 if r.count_include_pad else max(low, 0)
    inside = size + low + min(high, end) if r.count_include_pad else size + min(low, 0)
    inside = min(inside, total - before)
    around = before, total - before - inside
    return f"np.pad(np.ones({inside}), {around})[{index}].sum(1)" if any(around) else None


def _typed(nodes: Nodes, name: str, text: str, dtype: str) -> str:
    """Add a constant of one number; its name."""
    return nodes.constant(name, f"np.array({text}, {literal(dtype)})")
