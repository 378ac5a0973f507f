"""How adapters write source text: only from validated numbers, booleans and words.

Everything here is about text, and about requests as far as text needs it; nothing runs.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from conformance.adapter import Layout, Program, parameters
from conformance.geometry import Pair, effective_window
from conformance.request import Padding, Pool, Request

LINE_LIMIT = 92


def source(
    request: Request,
    imports: str | Sequence[str] | Mapping[str, str],
    body: str,
    *,
    setup: str = "",
) -> Program:
    """A program from its imports, module-level lines, and the body of ``forward``.

    ``imports`` that map names to lines are left out where the text does not use the name. The
    last line of ``body`` is the expression or statement that gives the output: ``return`` is
    added to a body that has none.
    """
    if isinstance(imports, Mapping):
        text = f"{setup}\n{body}"
        imports = [line for name, line in imports.items() if re.search(rf"\b{name}\b", text)]
    lines = textwrap.dedent(body).strip().splitlines()
    if not any(line.lstrip().startswith("return ") for line in lines):
        lines[-1] = f"return {lines[-1]}"
    head = imports if isinstance(imports, str) else "\n".join(imports)
    parts = [textwrap.dedent(head).strip()]
    if setup:
        parts.append(textwrap.dedent(setup).strip())
    forward = f"def forward({', '.join(parameters(request))}):\n"
    parts.append("\n" + forward + textwrap.indent("\n".join(lines), "    "))
    text = re.sub(r"\n{2,}(?=def |@)", "\n\n\n", "\n\n".join(parts))
    return Program("\n".join(map(_folded, text.splitlines())) + "\n")


def _folded(line: str) -> str:
    """The line, with the arguments of the call that ends it on lines of their own if too long."""
    if len(line) <= LINE_LIMIT or not line.endswith(")"):
        return line
    depth, start, commas = 0, len(line), []
    while depth or start == len(line):
        start -= 1
        depth += (line[start] in ")]}") - (line[start] in "([{")
        if depth == 1 and line[start] == ",":
            commas.append(start)
    outer = line[: len(line) - len(line.lstrip())]
    inner = outer + "    "
    together = inner + line[start + 1 : -1]
    if len(together) <= LINE_LIMIT:
        return f"{line[: start + 1]}\n{together}\n{outer})"
    edges = [start, *reversed(commas), len(line) - 1]
    arguments = [line[low + 1 : high].strip() for low, high in pairwise(edges)]
    return "\n".join([line[: start + 1], *(f"{inner}{each}," for each in arguments), f"{outer})"])


def call(name: str, *arguments: str, **options: object) -> str:
    """The text of a call; options that are None are left out, strings are passed as literals."""
    words = [*arguments]
    words += [f"{key}={literal(value)}" for key, value in options.items() if value is not None]
    return f"{name}({', '.join(words)})"


def literal(value: object) -> str:
    """The Python literal of an option, for source text.

    Raises:
        TypeError: the value is not a number, a boolean, a short word, or a sequence of them. Source
            is built from nothing else, so a case file cannot inject code.
    """
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, (int, float)):
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if isinstance(value, str):
        if not value.replace("_", "").isalnum():
            raise TypeError(f"{value!r} is not a plain word")
        return f'"{value}"'
    if isinstance(value, tuple):
        inner = ", ".join(literal(item) for item in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    raise TypeError(f"{value!r} cannot stand in source text")


def gradients(names: Sequence[str]) -> str:
    """The left side of an assignment of gradients: ``dx, dw``, and ``(dx,)`` for only one."""
    listed = ", ".join(f"d{name}" for name in names)
    return listed if len(names) > 1 else f"({listed},)"


def given(values: tuple[int, ...], default: int) -> int | tuple[int, ...] | None:
    """An option of one number per axis as `scalar`, or None where it equals the default."""
    return None if all(value == default for value in values) else scalar(values)


def fitted_pads(r: Pool) -> tuple[Pair, ...]:
    """Padding with which the windows fit exactly, so that a pooling without ceil mode has as many.

    In ceil mode the end is padded for the window that overhangs, or cropped (a negative number)
    after the last window.
    """
    if not r.ceil_mode:
        return r.padding.pairs
    axes = zip(r.spatial, r.window, r.stride, r.dilation, r.padding.pairs, r.output_shape[2:])
    return tuple(
        (low, (count - 1) * stride + effective_window(window, dilation) - size - low)
        for size, window, stride, dilation, (low, _), count in axes
    )


def on_padded(r: Pool, pads: Sequence[Pair], rest: Sequence[Pair] = ()) -> Pool:
    """The pooling that is left on an input that is padded already; ``rest`` is its own padding."""
    sizes = (size + low + high for size, (low, high) in zip(r.spatial, pads))
    return replace(
        r,
        input_shape=(*r.input_shape[:2], *sizes),
        padding=Padding(tuple(rest) or ((0, 0),) * r.rank),
        padding_value=None,
    )


def scalar(values: tuple[int, ...]) -> int | tuple[int, ...]:
    """One number where all axes agree and there is more than one axis to say it for, else all."""
    return values[0] if len(set(values)) == 1 else values


def cropped(name: str, layout: Layout, pairs: Sequence[Pair]) -> str:
    """The text of ``name`` without what the pairs' negative sides cut off."""
    slices = [f"{max(-low, 0) or ''}:{min(high, 0) or ''}" for low, high in pairs]
    if all(each == ":" for each in slices):
        return name
    words = layout.spread(slices, ":")
    while words[-1] == ":":
        words = words[:-1]
    return f"{name}[{', '.join(words)}]"


def positive(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """The padding that remains after `cropped`."""
    return tuple((max(low, 0), max(high, 0)) for low, high in pairs)


def window_index(r: Pool, axis: int, arange: str) -> str:
    """The text of an index array (positions × window) of spatial axis ``axis``, once padded."""
    steps = [f"{arange}({r.output_shape[2 + axis]})[:, None]", f"{arange}({r.window[axis]})"]
    for place, factor in enumerate((r.stride[axis], r.dilation[axis])):
        if factor != 1:
            steps[place] = f"{factor} * {steps[place]}"
    return " + ".join(steps)
