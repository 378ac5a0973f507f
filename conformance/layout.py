"""Moves arrays between the suite's canonical axis order and an API's own."""

from __future__ import annotations

import numpy as np

from conformance.adapter import Layout
from conformance.dtypes import Array
from conformance.request import ConvTranspose, Pool, Request, View

CANONICAL = {"x": "NC*", "y": "NC*", "b": "O"}


def to_api(name: str, array: Array, request: Request, layout: Layout) -> Array:
    """A fresh contiguous array in the API's order; ``name`` is x, w, b or y."""
    own = handed(name, array, request)
    moved = own.transpose(axes(name, request, layout, own.ndim))
    return np.array(moved, order="C", copy=True)


def handed(name: str, array: Array, request: Request) -> Array:
    """The canonical array as frameworks get it: without its batch axis where that is left out."""
    return array[0] if request.unbatched and name in "xy" else array


def axes(name: str, request: Request, layout: Layout, rank: int) -> tuple[int, ...]:
    """The canonical axis that stands at each place of the API's order, for an array of ``rank``."""
    return _axes(*_orders(name, request, layout), rank)


def viewed(
    array: Array, request: Request, layout: Layout, view: View
) -> tuple[int, Array, tuple[slice, ...]]:
    """The axis on which an input in the API's order becomes a part of a longer array.

    Besides, that array, whose other part holds other values, and where in it the input lies.
    """
    canonical = 0 if view == "batch" else array.ndim - 1
    axis = axes("x", request, layout, array.ndim).index(canonical)
    place = (*(slice(None) for _ in range(axis)), slice(array.shape[axis], None))
    return axis, np.concatenate([array + array.dtype.type(1), array], axis), place


def from_api(name: str, array: Array, request: Request, layout: Layout) -> Array:
    """The array in canonical order.

    An array that does not have the rank that its name calls for stays as it is: its shape is
    then evidence.
    """
    canonical, own = _orders(name, request, layout)
    batched = not (request.unbatched and name in "xy")
    if array.ndim != (1 if name == "b" else request.rank + 1 + batched):
        return array
    moved = np.ascontiguousarray(array.transpose(_axes(own, canonical, array.ndim)))
    return moved if batched else moved[None]


def described(request: Request, layout: Layout) -> str:
    """The axis orders in words: ``x NHWC, w HWIO``."""
    axes = "DHW"[-request.rank :]
    words = [f"x {_orders('x', request, layout)[1].replace('*', axes)}"]
    if not isinstance(request, Pool):
        words.append(f"w {_orders('w', request, layout)[1].replace('*', axes)}")
    return ", ".join(words)


def _orders(name: str, request: Request, layout: Layout) -> tuple[str, str]:
    if name == "w":
        if isinstance(request, ConvTranspose):
            return "IO*", layout.transposed_kernel
        return "OI*", layout.kernel
    orders = CANONICAL[name], "O" if name == "b" else layout.data
    if request.unbatched and name in "xy":
        return orders[0].replace("N", ""), orders[1].replace("N", "")
    return orders


def _axes(source: str, target: str, rank: int) -> tuple[int, ...]:
    positions: dict[str, tuple[int, ...]] = {}
    axis = 0
    for letter in source:
        width = rank - len(source) + 1 if letter == "*" else 1
        positions[letter] = tuple(range(axis, axis + width))
        axis += width
    return tuple(axis for letter in target for axis in positions[letter])
