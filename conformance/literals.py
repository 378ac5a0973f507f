"""Numbers, arrays and expressions as Python source, laid out as a formatter would.

Text is made from numbers only. A decimal literal is the shortest that gives the very number in the
array's dtype; every array's text evaluates to the array, bit for bit (NaNs as the canonical NaN).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np

from conformance.dtypes import Array

WIDTH = 100
INTEGRAL = 10**15
Shape = tuple[int, ...]


def number(value: complex, carrier: str = "float64", numpy: str = "np") -> str:
    """The literal of a number of the NumPy dtype ``carrier``; ``numpy`` is the module's name."""
    if isinstance(value, complex):
        part = np.empty(0, carrier).real.dtype.name
        told = [number(each, part, numpy) for each in (value.real, value.imag)]
        return told[0] if told[1] == "0" else f"complex({', '.join(told)})"
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return f"{numpy}.nan" if math.isnan(value) else f"{'-' * (value < 0)}{numpy}.inf"
    if value == int(value) and abs(value) < INTEGRAL:
        return "-0.0" if value == 0 and math.copysign(1, value) < 0 else str(int(value))
    kind = np.dtype(carrier).type
    short = str(kind(value))
    return short if kind(float(short)) == kind(value) else repr(value)


def sizes(shape: Sequence[int]) -> str:
    """A shape or an index as a tuple."""
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def array(name: str, values: Array, numpy: str = "np") -> list[str]:
    """The lines that set ``name`` to an array: literals, without axes of one element, reshaped."""
    dtype, shape = f"{numpy}.{values.dtype.name}", values.shape
    if (filled := _filled(values, numpy)) is not None:
        return assigned(name, (filled,))
    kept = [size for size in shape if size != 1]
    listed = values.reshape(kept).tolist()
    tail = "" if len(kept) == len(shape) else f".reshape({', '.join(map(str, shape))})"
    text = _Text(values.dtype.name, numpy)
    line = f"{name} = {numpy}.array({text.flat(listed)}, dtype={dtype}){tail}"
    if len(line) <= WIDTH:
        return [line]
    inner = text.block(listed, 4)
    return [f"{name} = {numpy}.array(", *inner, f"    dtype={dtype},", f"){tail}"]


def table(name: str, values: Mapping[Shape, Sequence[str]], remark: str) -> list[str]:
    """The lines that set ``name`` to a dictionary from indices to a value, or to several."""
    told = {
        sizes(at): each[0] if len(each) == 1 else f"({', '.join(each)})"
        for at, each in values.items()
    }
    return [f"{name} = {{  # {remark}", *(f"    {at}: {text}," for at, text in told.items()), "}"]


def full(shape: Shape, value: complex, carrier: str, numpy: str = "np") -> str:
    """A call for an array with one value everywhere."""
    text = number(value, carrier, numpy)
    if text in ("0", "1"):
        return f"{numpy}.{'ones' if text == '1' else 'zeros'}({sizes(shape)}, {numpy}.{carrier})"
    return f"{numpy}.full({sizes(shape)}, {text}, {numpy}.{carrier})"


def assigned(name: str, links: Sequence[str]) -> list[str]:
    """The lines that set ``name`` to a chain of calls, a call a line where it does not fit one."""
    line = f"{name} = {''.join(links)}"
    if len(line) <= WIDTH:
        return [line]
    head, *rest = links
    return [f"{name} = (", f"    {head}", *(f"    {link}" for link in rest), ")"]


def _filled(values: Array, numpy: str) -> str | None:
    """A call for an array without elements, or all of whose elements are one."""
    flat = np.ascontiguousarray(values).reshape(-1)
    bits = flat.view(np.uint8).reshape(flat.size, flat.itemsize)
    if flat.size and not (bits == bits[0]).all():
        return None
    value = flat[0].item() if flat.size else 0
    return full(values.shape, value, values.dtype.name, numpy)


class _Text:
    """Nested lists of one dtype as text."""

    def __init__(self, carrier: str, numpy: str) -> None:
        self.carrier, self.numpy = carrier, numpy

    def flat(self, item: object) -> str:
        """On one line."""
        if isinstance(item, list):
            return f"[{', '.join(map(self.flat, item))}]"
        assert isinstance(item, (int, float, complex))
        return number(item, self.carrier, self.numpy)

    def block(self, item: list[object], indent: int) -> list[str]:
        """On lines of their own, as few as fit, with a comma at the end."""
        margin, line = " " * indent, self.flat(item)
        if indent + len(line) < WIDTH:
            return [f"{margin}{line},"]
        inner: list[str] = []
        if isinstance(item[0], list):
            for part in item:
                assert isinstance(part, list)
                inner += self.block(part, indent + 4)
        else:
            deeper = f"{margin}    "
            inner = textwrap.wrap(
                line[1:-1] + ",", WIDTH, initial_indent=deeper, subsequent_indent=deeper,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
        return [f"{margin}[", *inner, f"{margin}],"]
