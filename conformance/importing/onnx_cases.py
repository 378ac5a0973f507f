"""What an ONNX node test asks for, as a case of this suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.dtypes import DTYPES, Array
from conformance.geometry import effective_window
from conformance.importing.onnx_tests import Test

WORDS = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}
NO_OPERATOR: Mapping[str, str] = {
    "DeformConv": "the input is sampled at places that are data themselves",
    "MaxUnpool": "scatters by indices; there are no windows",
    "QLinearConv": "the output is scaled and rounded to a quantised type",
}


class LeftOut(Exception):
    """A test that is no case; the text says why."""


@dataclass(frozen=True)
class Draft:
    """A case to be: its operator, data, options in a case file's words, and golden.

    ``tensors`` are input, kernel and bias by name, ``tolerances`` the relative and absolute ones
    with which the golden may agree, the narrowest first.
    """

    name: str
    op: str
    source: str
    tensors: Mapping[str, Array]
    options: Mapping[str, Any]
    golden: Array
    note: str
    tolerances: tuple[tuple[float, float], ...]


def drafts(test: Test) -> list[Draft]:
    """The cases that a test becomes: one, or two where indices are returned with the maxima.

    Raises:
        LeftOut: the suite has no such operator, or the test asks for what it cannot say.
    """
    if test.operator in NO_OPERATOR:
        raise LeftOut(f"{test.operator}: {NO_OPERATOR[test.operator]}")
    convert = OPERATORS.get(test.operator)
    if convert is None:
        raise LeftOut(f"{test.operator} is none of the suite's operators")
    unsaid = [key for key in test.attributes if key not in SAID]
    if unsaid:
        raise LeftOut(f"{test.operator} with {', '.join(unsaid)} cannot be said")
    for array in (*test.inputs, *test.outputs):
        if array is not None and array.dtype.name not in DTYPES:
            raise LeftOut(f"the suite has no {array.dtype.name}")
    return convert(test)


SAID = frozenset(
    (
        "activation", "auto_pad", "ceil_mode", "count_include_pad", "dilations", "group",
        "kernel_shape", "output_padding", "output_shape", "p", "pads", "storage_order", "strides",
    )
)  # fmt: skip


def _conv(test: Test) -> list[Draft]:
    x, w, b = _operands(test)
    rank = x.ndim - 2
    options = {**_window(test, rank), **_groups(test)}
    return [_draft(test, "conv", options, x, w, b)]


def _conv_integer(test: Test) -> list[Draft]:
    """Integers less their zero points, convolved in int32."""
    x, w, *zeros = (*test.inputs, None, None)[:4]
    assert x is not None and w is not None
    x_zero, w_zero = (0 if zero is None else zero.astype(np.int32) for zero in zeros)
    if np.ndim(w_zero):
        w_zero = np.reshape(w_zero, (-1,) + (1,) * (w.ndim - 1))
    x, w = x.astype(np.int32) - x_zero, w.astype(np.int32) - w_zero
    options = {**_window(test, x.ndim - 2), **_groups(test)}
    note = "ConvInteger: the zero points are taken off the data, which are int32 throughout."
    return [_draft(test, "conv", options, x, w, None, note)]


def _causal_conv(test: Test) -> list[Draft]:
    """A depthwise convolution of a line behind its past, or behind zeros; the state is left out."""
    x, w, b, past = (*test.inputs, None, None)[:4]
    assert x is not None and w is not None
    if test.attributes.get("activation", "none") != "none":
        raise LeftOut("CausalConvWithState applies an activation")
    options: dict[str, Any] = {"padding": "causal"}
    note = "CausalConvWithState: a depthwise convolution; the state that it returns is left out."
    if past is not None:
        x, options = np.concatenate([past, x], axis=2), {}
        note = f"{note[:-1]}, the one that it takes stands before the data."
    if x.shape[1] > 1:
        options["groups"] = x.shape[1]
    return [_draft(test, "conv", options, x, w, b, note)]


def _conv_transpose(test: Test) -> list[Draft]:
    x, w, b = _operands(test)
    rank = x.ndim - 2
    options = {**_window(test, rank), **_groups(test)}
    extra = test.attributes.get("output_padding")
    if extra is not None and any(extra):
        options["output_padding"] = _scalar(extra)
    sizes = test.attributes.get("output_shape")
    if sizes is None:
        return [_draft(test, "conv_transpose", options, x, w, b)]
    note = "ONNX makes the padding from output_shape, the odd element at the start."
    upper = test.attributes.get("auto_pad") == "SAME_UPPER"
    options.pop("padding", None)
    pads = _made_padding(test, x, w, list(sizes)[-rank:], upper)
    if min(map(sum, pads)) >= 0:
        if any(map(any, pads)):
            options["padding"] = _sides(pads)
    else:
        note = "output_shape is more than there is; the rest is at the end."
        options["output_size"] = _scalar(list(sizes)[-rank:])
        options.pop("output_padding", None)
    return [_draft(test, "conv_transpose", options, x, w, b, note)]


def _made_padding(
    test: Test, x: Array, w: Array, sizes: list[int], upper: bool
) -> list[tuple[int, int]]:
    """ONNX's padding for an output size; a negative sum is what the output lacks."""
    rank = x.ndim - 2
    one, none = [1] * rank, [0] * rank
    axes = zip(
        x.shape[2:],
        w.shape[2:],
        test.attributes.get("strides", one),
        test.attributes.get("dilations", one),
        test.attributes.get("output_padding", none),
        sizes,
    )
    pads = []
    for size, window, stride, dilation, extra, wanted in axes:
        total = stride * (size - 1) + extra + effective_window(window, dilation) - wanted
        small, large = total // 2, total - total // 2
        pads.append((small, large) if upper else (large, small))
    return pads


def _max_pool(test: Test) -> list[Draft]:
    x, rank = _input(test)
    options = {**_pooling(test, rank), **_ceil(test)}
    found = [_draft(test, "max_pool", options, x)]
    indices = test.outputs[1] if len(test.outputs) > 1 else None
    if indices is None:
        return found
    if test.attributes.get("storage_order", 0):
        note = "The indices, which count columns first (storage_order 1), are left out."
        return [_draft(test, "max_pool", options, x, note=note)]
    per_channel = indices % int(np.prod(x.shape[2:]))
    note = "ONNX counts the whole tensor, which is taken off here: a channel's own elements count."
    maxima = _draft(test, "max_pool_indices", options, x, note=note, golden=per_channel)
    return [*found, maxima]


def _avg_pool(test: Test) -> list[Draft]:
    x, rank = _input(test)
    options = {**_pooling(test, rank), **_ceil(test)}
    if not test.attributes.get("count_include_pad", 0):
        options["count_include_pad"] = False
    return [_draft(test, "avg_pool", options, x)]


def _lp_pool(test: Test) -> list[Draft]:
    x, rank = _input(test)
    norm = test.attributes.get("p", 2)
    options = {**_pooling(test, rank), **_ceil(test), "norm": norm}
    return [_draft(test, "lp_pool", options, x)]


def _global(op: str) -> Callable[[Test], list[Draft]]:
    return lambda test: [_draft(test, op, {}, _input(test)[0])]


OPERATORS: Mapping[str, Callable[[Test], list[Draft]]] = {
    "Conv": _conv,
    "ConvInteger": _conv_integer,
    "CausalConvWithState": _causal_conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _avg_pool,
    "LpPool": _lp_pool,
    "GlobalMaxPool": _global("global_max_pool"),
    "GlobalAveragePool": _global("global_avg_pool"),
}


def _draft(
    test: Test,
    op: str,
    options: Mapping[str, Any],
    x: Array,
    w: Array | None = None,
    b: Array | None = None,
    note: str = "",
    golden: Array | None = None,
) -> Draft:
    tensors = {"input": x, "kernel": w, "bias": b}
    given = {name: array for name, array in tensors.items() if array is not None}
    output = test.outputs[0] if golden is None else golden
    assert output is not None
    name = f"{test.name}.indices" if golden is not None else test.name
    tolerances = ((0.0, 0.0), (1e-6, 0.0), (1e-5, 0.0), (1e-4, 0.0), (test.rtol, test.atol))
    return Draft(name, op, test.source, given, options, output, note, tolerances)


def _operands(test: Test) -> tuple[Array, Array, Array | None]:
    x, w, b = (*test.inputs, None)[:3]
    assert x is not None and w is not None
    return x, w, b


def _input(test: Test) -> tuple[Array, int]:
    x = test.inputs[0]
    assert x is not None
    return x, x.ndim - 2


def _window(test: Test, rank: int) -> dict[str, Any]:
    """Padding, stride and dilation, each where it is not the default."""
    attributes = test.attributes
    options: dict[str, Any] = {}
    word = attributes.get("auto_pad", "NOTSET")
    pads = attributes.get("pads")
    if word in WORDS:
        options["padding"] = WORDS[word]
    elif pads is not None and any(pads):
        options["padding"] = _sides(list(zip(pads[:rank], pads[rank:])))
    for name, key in (("strides", "stride"), ("dilations", "dilation")):
        values = attributes.get(name)
        if values is not None and any(value != 1 for value in values):
            options[key] = _scalar(values)
    return options


def _pooling(test: Test, rank: int) -> dict[str, Any]:
    """A pooling's window first; its stride is always said, as its default differs."""
    window = {"window": _scalar(test.attributes["kernel_shape"])}
    return {**window, "stride": 1, **_window(test, rank)}


def _ceil(test: Test) -> dict[str, Any]:
    return {"ceil_mode": True} if test.attributes.get("ceil_mode", 0) else {}


def _groups(test: Test) -> dict[str, Any]:
    groups = test.attributes.get("group", 1)
    return {"groups": groups} if groups > 1 else {}


def _scalar(values: Any) -> Any:
    """One number where all axes agree."""
    return values[0] if len(set(values)) == 1 else [*values]


def _sides(pairs: list[tuple[int, int]]) -> Any:
    """Padding in a case file's words: a number, one per axis, or two per axis."""
    if any(low != high for low, high in pairs):
        return [list(pair) for pair in pairs]
    return _scalar([low for low, _ in pairs])
