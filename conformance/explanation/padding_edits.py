"""Edits of where and how a request pads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conformance import geometry, words
from conformance.explanation.causes import Cause
from conformance.explanation.edits import Change, Edit
from conformance.geometry import Pair
from conformance.request import ConvTranspose, Pool, Request


def padding_edits(request: Request) -> Iterator[Edit]:
    """Other paddings that a request is taken for, the likelier first."""
    pairs, rank = request.padding.pairs, request.rank
    zero: tuple[Pair, ...] = ((0, 0),) * rank
    word = request.padding.word
    if word == "causal":
        yield from _causal(request)
    clipped = tuple((max(low, 0), max(high, 0)) for low, high in pairs)
    yield from _axiswise(request, "negative-padding-ignored", clipped, "not cropped", 0.95)
    yield from _axiswise(request, "padding-dropped", zero, "dropped", 1.0)
    if word in ("same", "same_lower"):
        yield from _words(request)
    turned = tuple((high, low) for low, high in pairs)
    yield from _axiswise(request, "padding-other-side", turned, "moved to the other side", 1.1)
    if not isinstance(request, ConvTranspose) and word != "same":
        same = _same(request)
        yield from _axiswise(request, "padding-is-same", same, "taken for 'same'", 1.1)
    if isinstance(request, ConvTranspose):
        yield from _transposed(request)
        if word != "same":
            yield from _transposed_same(request)
    yield from _one_side(request)
    if rank > 1:
        yield _all(request, "padding-transposed", pairs[::-1],
                   "the paddings of the axes were exchanged", 1.2)  # fmt: skip
    for choose, what in (
        (lambda p: (max(p), max(p)), "made symmetric by its larger side"),
        (lambda p: (min(p), min(p)), "made symmetric by its smaller side"),
        (lambda p: (p[0], p[0]), "made symmetric by its first side"),
        (lambda p: (p[1], p[1]), "made symmetric by its last side"),
    ):
        equal = tuple(map(choose, pairs))
        yield from _axiswise(request, "padding-symmetric", equal, what, 1.4)
    yield from _splits(request)
    twice = tuple((2 * low, 2 * high) for low, high in pairs)
    yield from _axiswise(request, "padding-twice", twice, "applied twice", 1.5)
    for by, amount in ((1, "more"), (-1, "less")):
        for low, high, where in ((0, by, " at the end"), (by, 0, " at the start"), (by, by, "")):
            other = tuple((start + low, end + high) for start, end in pairs)
            what = f"one {amount}{where}"
            yield from _axiswise(request, "padding-off-by-one", other, what, 1.55)


def fill_edits(request: Request) -> Iterator[Edit]:
    """Other values that padding has."""
    if request.padding.none or (isinstance(request, Pool) and request.indices):
        return
    if isinstance(request, Pool):
        if request.kind == "max" and request.padding_value is None:
            yield Edit("padded-with-zero", (Change("padding_value", 0.0),),
                       "padding of zeros instead of minus infinity",
                       "zeros took part in the maximum", 1.0)  # fmt: skip
            yield Edit("padded-with-lowest", (Change("fill", "lowest"),),
                       "padding of the lowest finite number instead of minus infinity",
                       "windows of nothing but padding give that number", 1.1)  # fmt: skip
        if request.padding_value is None:
            yield Edit("padding-mode", (Change("fill", "replicate"),),
                       "padding by the nearest element", "the edge was repeated", 1.5)  # fmt: skip
        return
    if isinstance(request, ConvTranspose):
        return
    for mode in ("zeros", "replicate", "reflect", "circular"):
        if mode != request.padding.mode:
            said = f"padding mode {mode!r} instead of {request.padding.mode!r}"
            yield Edit("padding-mode", (Change("padding_mode", mode),), said, "", 1.2)
    if request.padding.mode == "zeros":
        yield Edit("padding-skipped", (Change("skip", True),),
                   "the padding left out of the sums",
                   "0 · inf and 0 · NaN at the border were not computed", 1.5)  # fmt: skip


def _words(request: Request) -> Iterator[Edit]:
    """Other meanings of 'same'."""
    lower = request.padding.word == "same_lower"
    other = tuple((high, low) for low, high in request.padding.pairs)
    cause: Cause = "same-upper" if lower else "same-lower"
    said = "SAME_UPPER instead of SAME_LOWER" if lower else "SAME_LOWER instead of SAME_UPPER"
    where = "end" if lower else "start"
    changes = tuple(Change("padding", pair, axis) for axis, pair in enumerate(other))
    yield Edit(cause, changes, said, f"the odd pixel of the padding is at the {where}", 0.8)
    if isinstance(request, ConvTranspose):
        return
    sizes = request.spatial, request.window
    unstrided = tuple(
        geometry.same_pads(size, k, 1, d, lower) for size, k, d in zip(*sizes, request.dilation)
    )
    yield _all(request, "same-ignores-stride", unstrided,
               "'same' was computed as for stride 1", 0.9)  # fmt: skip
    undilated = tuple(
        geometry.same_pads(size, k, s, 1, lower) for size, k, s in zip(*sizes, request.stride)
    )
    yield _all(request, "same-ignores-dilation", undilated,
               "'same' was computed as for dilation 1", 0.9)  # fmt: skip


def _causal(request: Request) -> Iterator[Edit]:
    """Other places of causal padding."""
    pairs = request.padding.pairs
    yield _all(request, "causal-at-the-end", tuple((high, low) for low, high in pairs),
               "the causal padding is at the end", 0.9)  # fmt: skip
    whole = tuple((low, low) for low, _ in pairs)
    even = tuple((low // 2, low - low // 2) for low, _ in pairs)
    odd = tuple((low - low // 2, low // 2) for low, _ in pairs)
    for other, what in ((whole, "on both sides"), (even, "parted evenly"), (odd, "parted evenly")):
        meaning = f"the causal padding is {what}"
        yield _all(request, "causal-on-both-sides", other, meaning, 0.9)


def _same(request: Request) -> tuple[Pair, ...]:
    axes = zip(request.spatial, request.window, request.stride, request.dilation)
    return tuple(geometry.same_pads(*axis) for axis in axes)


def _transposed(request: ConvTranspose) -> Iterator[Edit]:
    pairs, extra = request.padding.pairs, request.output_padding
    spans = list(map(geometry.effective_window, request.window, request.dilation))
    dilated = tuple((span - 1 - low, span - 1 - high) for span, (low, high) in zip(spans, pairs))
    yield from _axiswise(request, "padding-of-the-dilated-input", dilated,
                         "applied to the dilated input", 1.0)  # fmt: skip
    if not any(extra):
        return
    start = tuple((low - more, high + more) for (low, high), more in zip(pairs, extra))
    yield _all(request, "output-padding-other-end", start,
               "the output padding is at the start instead of the end", 0.9)  # fmt: skip
    changes = tuple(Change("output_padding", 0, axis) for axis in range(request.rank))
    yield Edit("output-padding-dropped", changes, f"output padding 0 instead of "
               f"{words.per_axis(extra)}", "", 1.0)  # fmt: skip


def _transposed_same(request: ConvTranspose) -> Iterator[Edit]:
    rank = request.rank
    same = list(map(geometry.transposed_same, request.window, request.stride, request.dilation))
    for axes in [range(rank), *([axis] for axis in range(rank) if rank > 1)]:
        changes = [Change("padding", same[axis][0], axis) for axis in axes]
        changes += [Change("output_padding", same[axis][1], axis) for axis in axes]
        pairs = [same[a][0] if a in axes else p for a, p in enumerate(request.padding.pairs)]
        said = f"padding {words.pairs(pairs)}, which is 'same',"
        said += f" instead of {words.pairs(request.padding.pairs)}"
        yield Edit("padding-is-same", tuple(changes), said, "", 1.1)


def _one_side(request: Request) -> Iterator[Edit]:
    pairs = request.padding.pairs
    for side, kept in (("start", 1), ("end", 0)):
        other = tuple((0, p[1]) if kept else (p[0], 0) for p in pairs)
        yield from _axiswise(
            request, "padding-dropped", other, f"dropped at the {side}", 1.15, of=pairs
        )


def _splits(request: Request) -> Iterator[Edit]:
    """The same number of elements, parted between the sides in another way."""
    totals = [low + high for low, high in request.padding.pairs]
    if min(totals) < 0:
        return
    for choose, what in (
        (lambda total: (0, total), "put at the end only"),
        (lambda total: (total, 0), "put at the start only"),
        (lambda total: (total // 2, total - total // 2), "split evenly, the odd pixel last"),
        (lambda total: (total - total // 2, total // 2), "split evenly, the odd pixel first"),
    ):
        yield from _axiswise(request, "padding-split", tuple(map(choose, totals)), what, 1.3)


def _axiswise(
    request: Request,
    cause: Cause,
    pairs: Sequence[Pair],
    what: str,
    cost: float,
    of: Sequence[Pair] = (),
) -> Iterator[Edit]:
    """The other padding on all axes that differ, then on each of several alone."""
    differing = [axis for axis, pair in enumerate(pairs) if pair != request.padding.pairs[axis]]
    for axes in [differing, *([axis] for axis in differing if len(differing) > 1)]:
        if axes:
            extra = 0.05 if len(axes) < len(differing) else 0.0
            title = words.along(axes, request.rank)
            meaning = f"the {title + ' ' if title else ''}padding was {what}"
            yield _edit(request, cause, pairs, axes, meaning, cost + extra)


def _all(request: Request, cause: Cause, pairs: Sequence[Pair], meaning: str, cost: float) -> Edit:
    return _edit(request, cause, pairs, range(request.rank), meaning, cost)


def _edit(
    request: Request,
    cause: Cause,
    pairs: Sequence[Pair],
    axes: Sequence[int],
    meaning: str,
    cost: float,
) -> Edit:
    before = request.padding.pairs
    after = tuple(pairs[axis] if axis in axes else pair for axis, pair in enumerate(before))
    said = f"padding {words.pairs(after)} instead of {words.pairs(before)}"
    return Edit(cause, tuple(Change("padding", pairs[a], a) for a in axes), said, meaning, cost)
