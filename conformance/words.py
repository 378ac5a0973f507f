"""The words for parts of a request: axes, paddings, one number per axis."""

from __future__ import annotations

import re
from collections.abc import Sequence

from conformance.geometry import Pair

AXES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
STACK = ("File ", "Detected at node", "Graph execution error", "[[{{node", "[bt]")
NOISE = re.compile(r"\x1b\[\d*m|\{\{function_node [^}]*\}\}")
ARRAYS = {"y": "output", "x": "gradient of x", "w": "gradient of w", "b": "gradient of b"}


def array(name: str) -> str:
    """What an array is called: a gradient, but for those that have a name in words."""
    return ARRAYS.get(name) or (name if " " in name or name == "losses" else f"gradient of {name}")


def pairs(padding: Sequence[Pair]) -> str:
    """``(0, 1)``; an axis whose sides differ as ``low+high``."""
    sides = (f"{low}+{high}" if low != high else str(low) for low, high in padding)
    return f"({', '.join(sides)})"


def per_axis(values: Sequence[int]) -> str:
    """``2`` where all axes agree, else ``3×4``."""
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def along(axes: Sequence[int], rank: int) -> str:
    """The names of spatial axes, nothing where these are all of several: ``height``."""
    if len(axes) == rank > 1:
        return ""
    return " and ".join(AXES[rank][axis] for axis in axes)


def essence(message: str) -> str:
    """An error's message on one line, without the stack that some frameworks put into it."""
    lines = [NOISE.sub("", line).strip() for line in message.strip().splitlines()]
    told = [line for line in lines if line and not line.startswith(STACK)]
    if lines and lines[0].startswith("Traceback"):
        told = [line for line in told if "Error: " in line][-1:] or told
    return " ".join(told)
