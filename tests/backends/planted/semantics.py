"""Wrong semantics by the name of their cause: each is a list of changed recipes.

A cause that cannot show in a recipe gives none. Changes compose, so pairs can be planted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from conformance.request import Request

from .arithmetic import ARITHMETIC
from .changes import MAXIMA, POOLS, Change, altered, each, on_axes, on_some, only, reversed_axes
from .padding import PADDING
from .places import PLACES
from .recipe import Axis, Recipe, recipe


def planted(names: Iterable[str], request: Request) -> list[Recipe]:
    """The recipes of a request with all the named semantics in it; none where one cannot be."""
    changed = [recipe(request)]
    for name in names:
        changed = [
            other
            for one in changed
            for other in PLANTED[name](one)
            if (other != one or name == "right") and possible(other)
        ]
    return list(dict.fromkeys(changed))


def possible(r: Recipe) -> bool:
    """Whether the sizes and the padding mode have a meaning."""
    return min(r.positions) >= 0 and all(map(paddable, r.axes))


def paddable(axis: Axis) -> bool:
    longest = {"replicate": np.inf, "circular": axis.size, "reflect": axis.size - 1}
    sides = axis.low, axis.high
    if axis.mode == "zeros" or not any(sides):
        return True
    return axis.size > 0 and min(sides) >= 0 and max(sides) <= longest[axis.mode]


def chosen(names: tuple[str, ...], request: Request) -> Recipe:
    """One of the recipes, always the same for a request.

    Raises:
        LookupError: there is none.
    """
    recipes = planted(names, request)
    if not recipes:
        raise LookupError(f"no {' and '.join(names)} can be planted in this")
    return recipes[zlib.crc32(repr(request).encode()) % len(recipes)]


def ending(before: str, after: str) -> Change:
    change = only(on_axes(partial(replace, ends=after)), *POOLS)
    return lambda r: change(r) if r.axes[0].ends == before else ()


def counting(before: str, after: str) -> Change:
    return altered(lambda r: r.op == "avg_pool" and r.divisor in before, divisor=after)


def gradient_of_maximum(**parts: Any) -> Change:
    return altered(lambda r: r.op in MAXIMA, **parts)


def normed(**parts: Any) -> Change:
    return altered(lambda r: r.op == "lp_pool", **parts)


def indexed(*layouts: str) -> Change:
    changes = (altered(lambda r: r.op == "max_pool_indices", index=layout) for layout in layouts)
    return each(*changes)


def sharing(*ways: str) -> Change:
    """Other windows of an adaptive pooling, where each can be."""

    def variants(r: Recipe) -> Iterator[Recipe]:
        for way in ways:
            if way != "fixed" or all(axis.size >= axis.shared > 0 for axis in r.axes):
                yield from on_axes(partial(replace, shares=way))(r)

    return lambda r: variants(r) if r.axes[0].shared else ()


def summed(r: Recipe) -> bool:
    return "avg" in r.op or r.op == "lp_pool"


def biased(r: Recipe) -> bool:
    return bool(getattr(r.request, "bias", False))


PLANTED: dict[str, Change] = {
    "right": lambda r: [r],
    "window-transposed": only(reversed_axes("window"), *POOLS),
    "stride-ignored": on_some(partial(replace, stride=1)),
    "stride-transposed": reversed_axes("stride"),
    "stride-is-window": only(on_axes(lambda a: replace(a, stride=a.window)), *POOLS),
    "dilation-ignored": on_some(partial(replace, dilation=1)),
    "dilation-transposed": reversed_axes("dilation"),
    "dilation-after-stride": only(on_axes(partial(replace, rewritten=True)), "conv"),
    "stride-dilation-swapped": on_axes(lambda a: replace(a, stride=a.dilation, dilation=a.stride)),
    "bias-dropped": altered(biased, bias=0),
    "bias-twice": altered(biased, bias=2),
    "ceil-ignored": ending("ceil", "floor"),
    "ceil-for-floor": ending("floor", "ceil"),
    "ceil-keeps-windows-in-padding": ending("ceil", "full"),
    "padding-counted": counting("inside", "padded"),
    "padding-not-counted": counting("padded", "inside"),
    "divisor-not-clipped": counting("inside padded", "window"),
    "divisor-ignored": each(*(counting("given", way) for way in ("padded", "inside", "window"))),
    "signed-powers": each(normed(powers="signed"), normed(powers="signed-root")),
    "norm-without-root": normed(root=False),
    "overhang-scaled": normed(scaled=True),
    "sums-out-of-range": altered(summed, kept=True),
    "index-layout": indexed(
        "tensor", "image", "channels-last", "channels-last-tensor", "column-major"
    ),
    "index-of-padded": indexed("padded"),
    "index-in-window": indexed("window"),
    "adaptive-as-fixed-windows": sharing("fixed"),
    "adaptive-windows-rounded": sharing("floor", "ceil"),
    "ties-split": gradient_of_maximum(ties="split"),
    "ties-to-all": gradient_of_maximum(ties="all"),
    "ties-to-last": altered(lambda r: r.op in (*MAXIMA, "max_pool_indices"), ties="last"),
    "nan-gets-no-gradient": gradient_of_maximum(nan_takes_gradient=False),
    "unstable": altered(noise=True),
    **PADDING,
    **PLACES,
    **ARITHMETIC,
}
