"""Wrong semantics of padding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from .changes import (
    Change,
    altered,
    each,
    on_axes,
    on_some,
    only,
    pads,
    reversed_axes,
    worded,
)
from .formats import FORMATS
from .recipe import Axis, Recipe


def same_total(axis: Axis, stride: int, window: int) -> int:
    """Padding in all for as many outputs as the input has strides."""
    if axis.adjoint:
        return max(window - stride, 0)
    outputs = -(-axis.size // stride)
    return max((outputs - 1) * stride + window - axis.size, 0)


def halves(total: int, lower: bool = False) -> tuple[int, int]:
    half = (total + lower) // 2
    return half, total - half


def as_same(axis: Axis) -> Axis:
    total = same_total(axis, axis.stride, axis.span)
    extra = max(axis.stride - axis.span, 0) if axis.adjoint else 0
    return replace(pads(lambda _: halves(total))(axis), extra=extra)


def same_otherwise(total: Callable[[Axis], int]) -> Change:
    """'Same' padding of another total."""

    def variants(r: Recipe) -> Iterable[Recipe]:
        if not r.word.startswith("same") or r.axes[0].adjoint:
            return ()
        lower = r.word == "same_lower"
        return on_axes(pads(lambda axis: halves(total(axis), lower)))(r)

    return variants


def symmetric(r: Recipe) -> Iterator[Recipe]:
    for side in (max, min, lambda pair: pair[0], lambda pair: pair[1]):
        yield from on_some(pads(lambda a, side=side: (side((a.low, a.high)),) * 2))(r)  # type: ignore[misc]


def other_mode(r: Recipe) -> Iterator[Recipe]:
    """The other padding modes; for the windows of pooling only the edge repeated."""
    modes = ("zeros", "reflect", "replicate", "circular") if r.op == "conv" else ("replicate",)
    floored = r.divisor == "padded" and r.axes[0].ends == "floor"
    plain = r.op == "conv" or (floored and r.op != "max_pool_indices")
    if plain and not any(a.adjoint or a.by_hand for a in r.axes):
        for mode in modes:
            yield from on_axes(partial(replace, mode=mode))(r)


def lowest_padding(r: Recipe) -> Iterator[Recipe]:
    if r.request.dtype in FORMATS and r.fill is None:
        yield replace(r, fill=-FORMATS[r.request.dtype].largest)


def is_max(r: Recipe) -> bool:
    return r.op == "max_pool" and r.fill is None


PADDING: dict[str, Change] = {
    "padding-dropped": each(
        on_some(pads(lambda a: (0, 0))),
        on_some(pads(lambda a: (min(a.low, 0), a.high))),
        on_some(pads(lambda a: (a.low, min(a.high, 0)))),
    ),
    "padding-other-side": on_some(pads(lambda a: (a.high, a.low))),
    "padding-transposed": reversed_axes("low", "high"),
    "same-lower": worded("same", on_axes(pads(lambda a: halves(a.low + a.high, lower=True)))),
    "same-upper": worded("same_lower", on_axes(pads(lambda a: halves(a.low + a.high)))),
    "same-ignores-stride": same_otherwise(lambda a: a.span - 1),
    "same-ignores-dilation": same_otherwise(lambda a: same_total(a, a.stride, a.window)),
    "causal-at-the-end": worded("causal", on_axes(pads(lambda a: (0, a.low)))),
    "causal-on-both-sides": worded(
        "causal",
        each(
            on_axes(pads(lambda a: (a.low, a.low))),
            on_axes(pads(lambda a: halves(a.low))),
            on_axes(pads(lambda a: halves(a.low, lower=True))),
        ),
    ),
    "padding-split": each(
        on_some(pads(lambda a: (0, a.low + a.high))),
        on_some(pads(lambda a: (a.low + a.high, 0))),
        on_some(pads(lambda a: halves(a.low + a.high))),
        on_some(pads(lambda a: halves(a.low + a.high, lower=True))),
    ),
    "padding-is-same": worded("explicit valid", on_some(as_same)),
    "padding-symmetric": symmetric,
    "padding-twice": on_some(pads(lambda a: (2 * a.low, 2 * a.high))),
    "padding-off-by-one": each(
        on_some(pads(lambda a: (a.low + 1, a.high))),
        on_some(pads(lambda a: (a.low, a.high + 1))),
        on_some(pads(lambda a: (a.low + 1, a.high + 1))),
        on_some(pads(lambda a: (a.low - 1, a.high))),
        on_some(pads(lambda a: (a.low, a.high - 1))),
    ),
    "negative-padding-ignored": on_some(pads(lambda a: (max(a.low, 0), max(a.high, 0)))),
    "padding-of-the-dilated-input": only(
        on_axes(pads(lambda a: (a.span - 1 - a.low, a.span - 1 - a.high))), "conv_transpose"
    ),
    "padded-with-zero": altered(is_max, fill=0.0),
    "padded-with-lowest": only(lowest_padding, "max_pool"),
    "padding-mode": other_mode,
    "padding-skipped": only(altered(skips_padding=True), "conv"),
    "output-padding-other-end": only(
        on_axes(pads(lambda a: (a.low - a.extra, a.high + a.extra))), "conv_transpose"
    ),
    "output-padding-dropped": only(on_axes(partial(replace, extra=0)), "conv_transpose"),
}
