"""Edits of how tensors are read, computed with, and written."""

from __future__ import annotations

from collections.abc import Iterator

from conformance import words
from conformance.dtypes import DTYPES, DType
from conformance.explanation.causes import Cause
from conformance.explanation.edits import Change, Edit
from conformance.explanation.rounding import PRECISIONS
from conformance.request import Conv, Pool, Request, input_shapes

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32")


def kernel_edits(request: Request) -> Iterator[Edit]:
    """Other readings of kernel, groups and bias."""
    if isinstance(request, Pool):
        return
    rank = request.rank
    wide = [axis for axis in range(rank) if request.window[axis] > 1]
    for axes in [wide, *([axis] for axis in wide if len(wide) > 1)]:
        if axes:
            title = words.along(axes, rank) if len(axes) < len(wide) else ""
            meaning = "convolution instead of cross-correlation" if not title else ""
            if not isinstance(request, Conv):
                meaning = "not the adjoint of a cross-correlation" if not title else ""
            yield Edit("kernel-flipped", tuple(Change("kernel-flip", True, a) for a in axes),
                       f"the kernel flipped{' along the ' + title if title else ''}", meaning,
                       1.0 + 0.05 * bool(title))  # fmt: skip
    if rank > 1 and max(request.window) > 1:
        yield Edit("kernel-transposed", (Change("kernel-order", _reversed(rank)),),
                   "the kernel transposed", "its spatial axes were exchanged", 1.1)  # fmt: skip
    if min(request.kernel_shape[0] // request.groups, request.kernel_shape[1]) > 1:
        yield Edit("kernel-channels-swapped", (Change("kernel-channels", "swapped"),),
                   "the kernel's input and output channels exchanged", "", 1.1)  # fmt: skip
    if request.groups > 1:
        yield from _group_edits(request)
    if request.bias:
        yield Edit("bias-dropped", (Change("bias", 0),), "no bias", "the bias was dropped", 1.0)
        yield Edit("bias-twice", (Change("bias", 2),), "twice the bias",
                   "the bias was added twice", 1.0)  # fmt: skip


def _group_edits(request: Request) -> Iterator[Edit]:
    assert not isinstance(request, Pool)
    groups = request.groups
    depthwise = isinstance(request, Conv) and request.depthwise
    outputs = request.out_channels // groups
    if outputs > 1:
        cause: Cause = "depthwise-multiplier-order" if depthwise else "groups-interleaved"
        said = "the outputs of the groups interleaved"
        meaning = ""
        if depthwise:
            said = "the multiplier outside of the channels"
            meaning = "output c·m + j stands at j·C + c"
        yield Edit(cause, (Change("groups", "interleaved-output"),), said, meaning, 1.0)
    if depthwise and outputs > 1:
        yield Edit("depthwise-multiplier-order", (Change("groups", "kernel-order"),),
                   "the kernel read with the multiplier outside of the channels", "",
                   1.1)  # fmt: skip
    if request.channels > groups:
        yield Edit("groups-interleaved", (Change("groups", "interleaved-input"),),
                   "the input channels of the groups interleaved",
                   f"group i reads the channels i, i + {groups}, …", 1.0)  # fmt: skip
        if outputs > 1:
            yield Edit("groups-interleaved", (Change("groups", "interleaved"),),
                       "the input and output channels of the groups interleaved", "",
                       1.1)  # fmt: skip
    for how, meaning, cost in (
        ("tiled", "every output sums over all channels", 1.0),
        ("first", "every output reads the first channels", 1.1),
    ):
        said = f"one group instead of {groups}"
        yield Edit("groups-ignored", (Change("groups", how),), said, meaning, cost)


def layout_edits(request: Request, name: str) -> Iterator[Edit]:
    """The input, or the result, with its elements elsewhere."""
    rank = request.rank
    if name == "b":
        return
    if request.channels > 1:
        yield Edit("input-layout", (Change("input-layout", "channels-last"),),
                   "the input's memory read with the channels last", "", 1.4)  # fmt: skip
    if rank > 1:
        yield Edit("result-transposed", (Change("result-order", _reversed(rank)),),
                   "the result transposed", "its spatial axes were exchanged", 1.4)  # fmt: skip
    yield Edit("result-layout", (Change("result-layout", "shape"),),
               "the result with its channels last", "", 1.4)  # fmt: skip
    yield Edit("result-layout", (Change("result-layout", "memory"),),
               "the result stored with its channels last",
               "its memory was not re-ordered", 1.4)  # fmt: skip
    shape = request.output_shape if name == "y" else input_shapes(request)[name]
    for axis, size in enumerate(shape[2:]):
        if size < 2:
            continue
        title = words.AXES[rank][axis]
        for side, value in (("first", (1, 0)), ("last", (0, 1)), ("first and last", (1, 1))):
            yield Edit("result-cropped", (Change("result-crop", value, axis),),
                       f"the result without its {side} along the {title}", "", 1.7)  # fmt: skip
        for by in (1, -1):
            for how in ("zeros", "around"):
                where = "towards the end" if by > 0 else "towards the start"
                fill = "zeros follow" if how == "zeros" else "what falls out comes in again"
                yield Edit("result-shifted", (Change("result-shift", (by, how), axis),),
                           f"the result shifted by one {where} along the {title}", fill,
                           1.7)  # fmt: skip


def number_edits(request: Request, name: str) -> Iterator[Edit]:
    """Other arithmetic."""
    indices = isinstance(request, Pool) and request.indices
    dtype = DTYPES[request.dtype if indices else request.dtype_of(name)]
    if dtype.floating:
        yield from _precision_edits(dtype, indices)
        for what in ("inputs",) if indices else ("inputs", "outputs", "all"):
            where = "" if what == "all" else f" in its {what}"
            yield Edit("subnormals-flushed", (Change("subnormals", what),),
                       f"subnormal numbers{where} flushed to zero", "", 0.75)  # fmt: skip
        if isinstance(request, Pool) and request.kind != "max":
            summed = "powers and their sums" if request.kind == "lp" else "sums"
            yield Edit("sums-out-of-range", (Change("range", "storage"),),
                       f"{summed} in {request.dtype}, beyond its range",
                       "the result itself is within it", 0.7)  # fmt: skip
    elif not indices:
        yield Edit("integer-saturates", (Change("saturates", dtype.name),),
                   f"sums clipped at the limits of {dtype.name}", "instead of wrapped",
                   1.0)  # fmt: skip
        for narrow in INTEGERS:
            if DTYPES[narrow].precision < dtype.precision:
                yield Edit("integer-wraps", (Change("wraps", narrow),),
                           f"sums wrapped in {narrow}", "", 1.5)  # fmt: skip
                yield Edit("integer-saturates", (Change("saturates", narrow),),
                           f"sums clipped at the limits of {narrow}", "", 1.5)  # fmt: skip
    if dtype.floating and (not isinstance(request, Pool) or request.kind == "max"):
        yield Edit("nan-ignored", (Change("nan", "ignored"),), "NaN ignored", "", 1.2)
    largest = isinstance(request, Pool) and request.kind == "max" and not indices
    if dtype.floating and largest and name == "y":
        yield Edit("starts-from-lowest", (Change("start", "lowest"),),
                   "a maximum that starts from the lowest finite number",
                   "what is not greater, NaN and minus infinity, is never taken", 1.3)  # fmt: skip
    yield Edit("all-zero", (Change("zero", True),), "nothing but zeros", "", 3.0)


def _precision_edits(dtype: DType, indices: bool) -> Iterator[Edit]:
    for precision in PRECISIONS:
        bits = 11 if precision == "tf32" else DTYPES[precision].precision
        narrower = bits < dtype.precision or (bits == dtype.precision and precision != dtype.name)
        if not narrower:
            continue
        inputs = Change("inputs", precision)
        yield Edit("lower-precision", (inputs,), f"its inputs rounded to {precision}", "", 1.6)
        if precision != "tf32" and not indices:
            yield Edit("lower-precision", (inputs, Change("outputs", precision)),
                       f"everything in {precision}", "", 1.65)  # fmt: skip


def tie_edits(request: Request, name: str) -> Iterator[Edit]:
    """Other shares of a maximum's gradient, or another place of it."""
    if not isinstance(request, Pool) or request.kind != "max":
        return
    if request.indices:
        yield Edit("ties-to-last", (Change("ties", "last"),),
                   "the place of the last of equal maxima", "the suite's rule is the first",
                   0.95)  # fmt: skip
        return
    if name != "x":
        return
    for cause, rule, said in (
        ("ties-split", "split", "the gradient of ties split among them"),
        ("ties-to-all", "all", "the whole gradient given to every one of equal maxima"),
        ("ties-to-last", "last", "the gradient of ties given to the last"),
    ):
        named: Cause = cause  # type: ignore[assignment]
        yield Edit(named, (Change("ties", rule),), said, "the suite's rule is the first", 1.0)
    yield Edit("nan-gets-no-gradient", (Change("nan-gradient", "ignored"),),
               "the gradient of a window with NaN given to its greatest number", "",
               1.0)  # fmt: skip


def _reversed(rank: int) -> tuple[int, ...]:
    return tuple(range(rank))[::-1]
