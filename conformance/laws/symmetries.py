"""Laws of every operator: what moving, mirroring, scaling or splitting the input does.

Sources: the operators' definitions; `conformance.geometry` for where 'same' pads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from conformance import geometry
from conformance.dtypes import DTYPES, Array
from conformance.geometry import effective_window
from conformance.laws.steps import Steps, ask, each, explicit, no_padding, on_axes, require
from conformance.oracle.sliding import pad
from conformance.request import Conv, ConvTranspose, Pool, Request

FACTOR = -2
"""What inputs are scaled by: the powers of two round as 1 does, whatever their sign."""

Range = tuple[int, int]


def strided_is_subsampled(r: Conv | Pool, x: Array, *weights: Array) -> Steps:
    """A stride skips positions: those that are left are the same as at stride 1."""
    require(max(r.stride) > 1, "stride", "at stride 1 nothing is skipped; use a larger one")
    _require_floor(r)
    own = yield ask(r, x, *weights)
    dense = yield ask(r, x, *weights, stride=(1,) * r.rank, padding=explicit(r.padding))
    return own, _every(dense, r.stride, (0,) * r.rank, own.shape)


def same_strided_is_subsampled(r: Conv | Pool, x: Array, *weights: Array) -> Steps:
    """'same' at a stride skips positions of 'same' at stride 1, from an offset on.

    The offset is how much less is padded before the first element. It is 0, and the strided result
    the plain subsampling that people expect, where the stride divides the size less one; with an
    odd window at stride 2 and an even size it is 1.
    """
    word = r.padding.word
    require(
        word in ("same", "same_lower"),
        "padding",
        "this law is about 'same' and 'same_lower'; use one",
    )
    require(max(r.stride) > 1, "stride", "at stride 1 nothing is skipped; use a larger one")
    require(r.padding.mode == "zeros", "padding_mode", "this law is about zeros; remove it")
    _require_floor(r)
    own = yield ask(r, x, *weights)
    ones = (1,) * r.rank
    axes = zip(r.spatial, r.window, ones, r.dilation)
    pairs = tuple(geometry.same_pads(*axis, lower=word == "same_lower") for axis in axes)
    dense = yield ask(r, x, *weights, stride=ones, padding=replace(r.padding, pairs=pairs))
    offset = tuple(low - less for (low, _), (less, _) in zip(pairs, r.padding.pairs))
    return own, _every(dense, r.stride, offset, own.shape)


def padding_is_data(r: Conv | Pool, x: Array, *weights: Array) -> Steps:
    """Padding and then the operator without padding."""
    require(not r.padding.none, "padding", "there is none to be made data; give some")
    _require_floor(r)
    fill = 0.0
    if isinstance(r, Pool):
        dtype = DTYPES[r.dtype]
        message = "what is not counted is no data; use a max pooling, or count it"
        counted = r.kind != "avg" or r.count_include_pad or r.divisor is not None
        require(counted, "count_include_pad", message)
        if r.kind == "max":
            fill = -np.inf if dtype.floating else np.iinfo(dtype.carrier).min
    own = yield ask(r, x, *weights)
    padded = pad(x, r.padding.pairs, r.padding.mode, fill)
    plain = yield ask(r, padded, *weights, padding=no_padding(r.rank))
    return own, plain


def batch_is_concatenation(r: Request, x: Array, *weights: Array) -> Steps:
    """Each example's result is its own."""
    require(len(x) > 1, "input", "one example is the batch itself; use more")
    own = yield ask(r, x, *weights)
    parts = yield from each(ask(r, x[[example]], *weights) for example in range(len(x)))
    return own, np.concatenate(parts)


def unbatched_is_batched(r: Request, x: Array, *weights: Array) -> Steps:
    """One image without the axis of the batch is the same as a batch of one."""
    require(r.unbatched, "unbatched", "this law is about arrays without the axis; set it")
    own = yield ask(r, x, *weights)
    batched = yield ask(r, x, *weights, unbatched=False)
    return own, batched


def translation(r: Request, x: Array, *weights: Array) -> Steps:
    """A shifted input has a shifted result, away from the borders.

    The input moves by a stride (a transposed convolution's by 1), the result by 1 (a stride).
    """
    inner = list(_inner(r))
    message = "no result is away from all borders; make the input larger"
    require(all(first <= last for first, last in inner), "input", message)
    own = yield ask(r, x, *weights)
    transposed = isinstance(r, ConvTranspose)
    moved, seen = ((1,) * r.rank, r.stride) if transposed else (r.stride, (1,) * r.rank)
    shifted = np.roll(x, [-step for step in moved], tuple(range(2, r.rank + 2)))
    other = yield ask(r, shifted, *weights)
    places = [slice(first, last + 1) for first, last in inner]
    later = [slice(part.start + by, part.stop + by) for part, by in zip(places, seen)]
    return own[on_axes(*later)], other[on_axes(*places)]


def mirrored(r: Request, x: Array, *weights: Array) -> Steps:
    """Input, kernel and padding mirrored on all axes mirror the result."""
    flip = on_axes(*(slice(None, None, -1),) * r.rank)
    turned = tuple((high, low) for low, high in r.padding.pairs)
    changes: dict[str, Any] = {}
    if isinstance(r, ConvTranspose):
        turned = tuple(
            (high - more, low) for (low, high), more in zip(r.padding.pairs, r.output_padding)
        )
        changes |= {"output_padding": (0,) * r.rank, "sized": False}
    elif not (isinstance(r, Pool) and r.output_size is not None):
        _require_floor(r)
        message = "some of the padded input is left over at the end; mirrored, at the start"
        require(not any(_rests(r)), "stride", message)
    own = yield ask(r, x, *weights)
    kernel = tuple(array[flip] for array in weights[:1])
    padding = replace(r.padding, pairs=turned, word="explicit")
    other = yield ask(r, x[flip], *kernel, *weights[1:], padding=padding, **changes)
    return own, other[flip]


def axes_exchanged(r: Request, x: Array, *weights: Array) -> Steps:
    """Height is treated as width is: everything with its axes in reverse order."""
    require(r.rank > 1, "input", "there is one axis only; use two or three")
    order = (0, 1, *range(r.rank + 1, 1, -1))
    own = yield ask(r, x, *weights)
    kernel = tuple(array.transpose(order) for array in weights[:1])
    names = ["stride", "dilation"]
    names += ["window"] if isinstance(r, Pool) else []
    names += ["output_padding"] if isinstance(r, ConvTranspose) else []
    names += ["output_size"] if isinstance(r, Pool) and r.output_size is not None else []
    changes: dict[str, Any] = {name: getattr(r, name)[::-1] for name in names}
    changes["padding"] = replace(r.padding, pairs=r.padding.pairs[::-1])
    other = yield ask(r, x.transpose(order), *kernel, *weights[1:], **changes)
    return own, other.transpose(order)


def scales_exactly(r: Request, x: Array, *weights: Array) -> Steps:
    """Twice the input gives twice the result, on real data too: every rounding is the same.

    The factor of a sum is negative, as rounding to nearest does not ask for the sign.
    """
    maximum = isinstance(r, Pool) and r.kind == "max"
    floating = DTYPES[r.dtype].floating or not maximum
    require(floating, "dtype", "the greatest of integers that wrap is another one; use a float")
    factor = abs(FACTOR) if maximum else FACTOR
    own = yield ask(r, x, *weights)
    scaled = [*weights[:1], *(factor * bias for bias in weights[1:])]
    other = yield ask(r, factor * x, *scaled)
    return factor * own, other


def _require_floor(r: Conv | Pool) -> None:
    ceil = isinstance(r, Pool) and r.ceil_mode
    require(not ceil, "ceil_mode", "this law is about windows that fit; remove it")


def _every(
    dense: Array, steps: tuple[int, ...], offset: tuple[int, ...], shape: tuple[int, ...]
) -> Array:
    """Every so many positions, as many as the shape has."""
    parts = (slice(first, None, step) for first, step in zip(offset, steps))
    kept: Array = dense[on_axes(*parts)]
    return kept[tuple(slice(0, size) for size in shape)]


def _rests(r: Conv | Pool) -> Iterator[int]:
    """Elements of each padded axis that the last window does not reach."""
    for size, k, s, d, pads in zip(r.spatial, r.window, r.stride, r.dilation, r.padding.pairs):
        room = size + sum(pads) - effective_window(k, d)
        yield room % s if room >= 0 else 1


def _inner(r: Request) -> Iterator[Range]:
    """For each axis the first and the last position that neither border reaches, moved or not."""
    positions = r.output_shape[2:]
    axes = zip(r.spatial, r.window, r.stride, r.dilation, r.padding.pairs, positions)
    for size, k, s, d, (low, high), count in axes:
        span = effective_window(k, d)
        if isinstance(r, ConvTranspose):
            # Beyond what the first element adds to, and before what the last one does.
            yield max(span - s - low, 0), min((size - 1) * s - low, count - s) - 1
        else:
            end = size + min(high, 0)
            yield max(-(-low // s), 0), min((end - s - span + low) // s, count - 2)
