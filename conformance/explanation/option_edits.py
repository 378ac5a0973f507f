"""Edits of stride, dilation, window, and of how a pooling counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from conformance import words
from conformance.explanation.causes import Cause
from conformance.explanation.edits import Change, Edit
from conformance.request import Conv, Pool, Request


def stride_edits(request: Request) -> Iterator[Edit]:
    """Other strides and dilations."""
    ones = (1,) * request.rank
    yield from _axiswise(request, "stride-ignored", "stride", ones, "was ignored", 1.0)
    yield from _axiswise(request, "dilation-ignored", "dilation", ones, "was ignored", 1.0)
    if request.rank > 1:
        for part, cause in (
            ("stride", "stride-transposed"),
            ("dilation", "dilation-transposed"),
        ):
            values = getattr(request, part)[::-1]
            named: Cause = cause  # type: ignore[assignment]
            axes = range(request.rank)
            yield _edit(request, named, part, values, axes, f"the {part}s were exchanged", 1.1)
    if isinstance(request, Pool):
        yield from _axiswise(
            request, "stride-is-window", "stride", request.window, "was taken to be the window", 1.1
        )
    if request.stride != request.dilation:
        changes = [Change("stride", d, axis) for axis, d in enumerate(request.dilation)]
        changes += [Change("dilation", s, axis) for axis, s in enumerate(request.stride)]
        said = (
            f"stride {words.per_axis(request.dilation)} and dilation "
            f"{words.per_axis(request.stride)}"
        )
        yield Edit("stride-dilation-swapped", tuple(changes), said,
                   "stride and dilation were exchanged", 1.2)  # fmt: skip
    both = any(s > 1 and d > 1 for s, d in zip(request.stride, request.dilation))
    if both and isinstance(request, (Conv, Pool)):
        yield Edit("dilation-after-stride", (Change("starts", "after-stride"),),
                   "the dilation applied after the stride",
                   "as by a space-to-batch rewrite that strides within each phase",
                   1.1)  # fmt: skip


def pooling_edits(request: Request) -> Iterator[Edit]:
    """Other windows, rounding of the output size, and divisors."""
    if not isinstance(request, Pool):
        return
    if request.rank > 1:
        yield _edit(request, "window-transposed", "window", request.window[::-1],
                    range(request.rank), "the window's axes were exchanged", 1.1)  # fmt: skip
    if request.ceil_mode:
        yield Edit("ceil-ignored", (Change("ceil_mode", False),),
                   "floor instead of ceil mode", "the last windows are missing", 0.9)  # fmt: skip
        yield Edit("ceil-keeps-windows-in-padding", (Change("ceil", "every"),),
                   "a last window that starts in the padding at the end",
                   "ceil mode without the rule that drops it", 0.9)  # fmt: skip
    else:
        yield Edit("ceil-for-floor", (Change("ceil_mode", True),),
                   "ceil mode instead of floor", "", 1.1)  # fmt: skip
        yield Edit("ceil-for-floor", (Change("ceil_mode", True), Change("ceil", "every")),
                   "ceil mode instead of floor",
                   "with a last window that starts in the padding", 1.2)  # fmt: skip
    if request.kind == "lp":
        yield from _norm_edits(request)
    if request.indices:
        yield from _index_edits(request)
    if request.divisor is not None:
        yield from _divisor_edits(request)
    elif request.op == "avg_pool":
        counted = request.count_include_pad
        yield Edit("padding-not-counted" if counted else "padding-counted",
                   (Change("count_include_pad", not counted),),
                   f"the padding {'left out of' if counted else 'included in'} the count",
                   "", 0.9)  # fmt: skip
        yield Edit("divisor-not-clipped", (Change("divisor", "window"),),
                   f"every average divided by {_product(request.window)}",
                   "the divisor was not clipped to what the window meets", 1.0)  # fmt: skip


def _divisor_edits(request: Pool) -> Iterator[Edit]:
    for how, what in (
        ("padded", "what each window meets, padding included"),
        ("inside", "what each window meets of the input"),
        ("window", _product(request.window)),
    ):
        yield Edit("divisor-ignored", (Change("divisor", how),),
                   f"averages divided by {what} instead of {request.divisor}",
                   "the divisor was ignored", 0.9)  # fmt: skip


def _norm_edits(request: Pool) -> Iterator[Edit]:
    for how, what in (("signed", ""), ("signed-root", ", and a root with the sign of the sum")):
        if request.norm % 2:
            yield Edit("signed-powers", (Change("powers", how),),
                       f"powers of x instead of |x|{what}",
                       "terms of other signs cancel", 1.0)  # fmt: skip
    if request.norm != 1:
        yield Edit("norm-without-root", (Change("root", False),),
                   f"the sum of |x|^{request.norm:g} instead of its root", "", 1.1)  # fmt: skip
    if request.ceil_mode:
        yield Edit("overhang-scaled", (Change("overhang", "scaled"),),
                   "the norm of a window that overhangs scaled up to the whole window",
                   "an average over what it meets, times the window's size", 0.95)  # fmt: skip


def _index_edits(request: Pool) -> Iterator[Edit]:
    for how, what in (
        ("tensor", "the whole tensor"),
        ("image", "all channels of the image"),
        ("channels-last", "the image with its channels last"),
        ("channels-last-tensor", "the whole tensor with its channels last"),
        ("column-major", "the channel in column-major order"),
    ):
        yield Edit("index-layout", (Change("index", how),),
                   f"indices that count the elements of {what}",
                   "those of each channel are meant", 1.0)  # fmt: skip
    if not request.padding.none:
        yield Edit("index-of-padded", (Change("index", "padded"),),
                   "indices that count the elements of the padded input", "", 1.0)  # fmt: skip
    yield Edit("index-in-window", (Change("index", "window"),),
               "indices that count the elements of each window", "", 1.0)  # fmt: skip


def adaptive_edits(request: Pool) -> Iterator[Edit]:
    """Other windows of an adaptive pooling."""
    assert request.output_size is not None
    axes = list(zip(request.spatial, request.output_size))
    if not any(size % positions for size, positions in axes):
        return
    if all(size >= positions for size, positions in axes):
        strides = [size // positions for size, positions in axes]
        fixed = [size - (m - 1) * s for (size, m), s in zip(axes, strides)]
        yield Edit("adaptive-as-fixed-windows", (Change("windows", "fixed"),),
                   f"windows of {words.per_axis(fixed)}, {words.per_axis(strides)} apart",
                   "every window is as large as the last one must be", 1.0)  # fmt: skip
    for how, what in (
        ("floor", "windows that end at ⌊(i + 1)·n / m⌋"),
        ("ceil", "windows that start at ⌈i·n / m⌉"),
    ):
        yield Edit("adaptive-windows-rounded", (Change("windows", how),), what,
                   "i·n / m is rounded down at starts and up at ends", 1.0)  # fmt: skip


def _product(window: Sequence[int]) -> str:
    return "·".join(map(str, window))


def _axiswise(
    request: Request, cause: Cause, part: str, values: Sequence[int], what: str, cost: float
) -> Iterator[Edit]:
    """Other values on all axes that differ, then on each of several alone."""
    before = getattr(request, part)
    differing = [axis for axis, value in enumerate(values) if value != before[axis]]
    for axes in [differing, *([axis] for axis in differing if len(differing) > 1)]:
        if axes:
            extra = 0.05 if len(axes) < len(differing) else 0.0
            title = words.along(axes, request.rank)
            meaning = f"the {part}{' along the ' + title if title else ''} {what}"
            yield _edit(request, cause, part, values, axes, meaning, cost + extra)


def _edit(
    request: Request,
    cause: Cause,
    part: str,
    values: Sequence[int],
    axes: Sequence[int],
    meaning: str,
    cost: float,
) -> Edit:
    before = getattr(request, part)
    after = [values[axis] if axis in axes else value for axis, value in enumerate(before)]
    said = f"{part} {words.per_axis(after)} instead of {words.per_axis(before)}"
    changes = tuple(Change(part, values[axis], axis) for axis in axes)
    return Edit(cause, changes, said, meaning, cost)
