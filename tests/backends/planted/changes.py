"""Changes of recipes, and what they are made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from .recipe import Axis, Recipe

Change = Callable[[Recipe], Iterable[Recipe]]
AxisChange = Callable[[Axis], Axis]
CONVS = ("conv", "conv_transpose")
POOLS = ("max_pool", "avg_pool", "lp_pool", "max_pool_indices")
MAXIMA = ("max_pool", "adaptive_max_pool", "global_max_pool")


def only(change: Change, *ops: str) -> Change:
    """The change, for some operators."""
    return lambda r: change(r) if r.op in ops else ()


def on_axes(change: AxisChange) -> Change:
    """The change on all axes."""
    return lambda r: [replace(r, axes=tuple(map(change, r.axes)))]


def on_some(change: AxisChange) -> Change:
    """The change on all axes, and on each axis alone."""

    def variants(r: Recipe) -> Iterator[Recipe]:
        yield from on_axes(change)(r)
        for at, axis in enumerate(r.axes):
            yield replace(r, axes=(*r.axes[:at], change(axis), *r.axes[at + 1 :]))

    return variants


def reversed_axes(*names: str) -> Change:
    """Some fields of the axes in the order of the last axis first."""

    def variants(r: Recipe) -> Iterator[Recipe]:
        pairs = zip(r.axes, reversed(r.axes))
        yield replace(
            r,
            axes=tuple(
                replace(axis, **{name: getattr(other, name) for name in names})
                for axis, other in pairs
            ),
        )

    return variants


def each(*changes: Change) -> Change:
    return lambda r: itertools.chain.from_iterable(change(r) for change in changes)


def altered(condition: Callable[[Recipe], bool] = lambda r: True, **parts: Any) -> Change:
    """Other parts of the recipe, where a condition holds."""
    return lambda r: [replace(r, **parts)] if condition(r) else []


def worded(words: str, change: Change) -> Change:
    return lambda r: change(r) if r.word in words.split() else ()


def pads(rule: Callable[[Axis], tuple[int, int]]) -> AxisChange:
    def change(axis: Axis) -> Axis:
        low, high = rule(axis)
        return replace(axis, low=low, high=high)

    return change
