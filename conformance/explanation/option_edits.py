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
    if request.op == "avg_pool":
        counted = request.count_include_pad
        yield Edit("padding-not-counted" if counted else "padding-counted",
                   (Change("count_include_pad", not counted),),
                   f"the padding {'left out of' if counted else 'included in'} the count",
                   "", 0.9)  # fmt: skip
        yield Edit("divisor-not-clipped", (Change("divisor", "window"),),
                   f"every average divided by {_product(request.window)}",
                   "the divisor was not clipped to what the window meets", 1.0)  # fmt: skip


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
