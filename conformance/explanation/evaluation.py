"""What a meaning gives: the oracle's arrays of the edited request, with its departures.

Re-arrangements of an array (flips, transpositions, other orders of channels) are maps of indices;
their adjoints, which gradients need, follow from the map. Everything is computed as the oracle
does, in float64 or int64, and cast to the dtype at the end.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from conformance import oracle
from conformance.adapter import parameters
from conformance.dtypes import DTYPES, Array, cast
from conformance.explanation import reductions, rounding, windows
from conformance.explanation.edits import Meaning
from conformance.oracle.sliding import pad, pad_adjoint
from conformance.request import Conv, ConvTranspose, Padding, PaddingMode, Pool, Request

Map = Callable[[Array], Array]
EXPLICIT_ELEMENTS = 2**22
SPECIAL = (
    "starts",
    "windows",
    "ceil",
    "divisor",
    "fill",
    "skip",
    "nan",
    "start",
    "ties",
    "nan-gradient",
    "index",
    "powers",
    "root",
    "range",
    "overhang",
)


class Inapplicable(ValueError):
    """A departure that means nothing for this request, or costs too much to compute."""


@dataclass(frozen=True)
class Data:
    """The arrays of a computation in canonical layout, in the dtype's carrier."""

    arrays: tuple[Array, ...]
    cotangent: Array | None = None

    def magnitudes(self, request: Request) -> Data:
        """What error bounds are made of: absolute values, but of a maximum's input."""
        cotangent = None if self.cotangent is None else np.abs(self.cotangent)
        if isinstance(request, Pool) and request.kind == "max":
            return Data(self.arrays, cotangent)
        return Data(tuple(np.abs(array) for array in self.arrays), cotangent)


def evaluate(meaning: Meaning, data: Data, name: str) -> Array:
    """The array ``name`` (y, or the gradient of x, w, b), float64 or int64.

    Raises:
        Inapplicable: a departure does not go with the request.
        ValueError: the request has no meaning for the oracle.
    """
    computed = _Computation(meaning, data)
    with np.errstate(all="ignore"):
        result = computed.output() if name == "y" else computed.gradient(name)
        return _finished(meaning, _result_map(meaning, result))


def output_shape(meaning: Meaning) -> tuple[int, ...] | None:
    """Shape of the output where it can be told without computing it."""
    if meaning.any("result-order", "result-crop", "result-layout"):
        return None
    request = _kernel(meaning)[0]
    if meaning.any("ceil") and isinstance(request, Pool):
        return (*request.input_shape[:2], *windows.every_window(request))
    return request.output_shape


def finish(values: Array, dtype: str) -> Array:
    """The values rounded or wrapped into a dtype's carrier."""
    return cast(values, DTYPES[dtype])


class _Computation:
    """One evaluation: the inputs as the meaning reads them, then the operator on them."""

    def __init__(self, meaning: Meaning, data: Data) -> None:
        self.meaning = meaning
        request, kernel_maps = _kernel(meaning)
        self.names = parameters(meaning.request)
        self.maps: dict[str, list[Map]] = {name: [] for name in self.names}
        self.maps["x"] = _input_maps(meaning)
        if "w" in self.maps:
            self.maps["w"] = kernel_maps
        narrow = meaning.get("wraps")
        if narrow is not None and isinstance(request, Pool):
            request = dataclasses.replace(request, dtype=narrow)
        self.request = request
        dtype = request.dtype if isinstance(request, Pool) else request.result_dtype
        wide = DTYPES[dtype].wide
        self.original = tuple(np.asarray(array, wide) for array in data.arrays)
        self.cotangent = None if data.cotangent is None else np.asarray(data.cotangent, wide)
        arrays = [_through(self.maps[n], a) for n, a in zip(self.names, self.original)]
        self.arrays = [self._numbers(array) for array in arrays]
        factor = meaning.get("bias")
        self.bias_factor = 1 if factor is None else int(factor)
        if len(self.arrays) > 2:
            self.arrays[2] = self.arrays[2] * self.bias_factor

    def _numbers(self, array: Array) -> Array:
        """The array after departures in the numbers that go in."""
        narrow = self.meaning.get("wraps")
        if narrow is not None and isinstance(self.request, Pool):
            array = rounding.wrapped(array, narrow)
        precision = self.meaning.get("inputs")
        if precision is not None:
            array = rounding.rounded(array, precision)
        if self.meaning.get("subnormals") in ("inputs", "all"):
            array = rounding.flushed(array, DTYPES[self.request.dtype])
        if self.meaning.any("nan") and not isinstance(self.request, Pool):
            array = np.where(np.isnan(array), 0, array)
        return array

    def output(self) -> Array:
        """The output, canonical, before departures in the result."""
        y = self._special() if self.meaning.any(*SPECIAL) else None
        if y is None:
            y = oracle.forward(self.request, *self.arrays)
        return _through(_output_maps(self.meaning), y)

    def gradient(self, name: str) -> Array:
        """The gradient of one input."""
        if self.cotangent is None:
            raise Inapplicable("no cotangent")
        maps = _output_maps(self.meaning)
        shape = self.request.output_shape
        cotangent = _adjoint(maps, self.cotangent, shape) if maps else self.cotangent
        if self.meaning.any(*SPECIAL):
            gradients = self._special_vjp(cotangent)
        else:
            if cotangent.shape != shape:
                raise Inapplicable("the cotangent has another shape")
            gradients = oracle.vjp(self.request, cotangent, *self.arrays)
        at = self.names.index(name)
        own = gradients[at]
        if name == "b":
            own = own * self.bias_factor
        return _adjoint(self.maps[name], own, self.original[at].shape)

    def _slide(self, request: Conv | Pool) -> windows.Windows:
        positions = None
        if self.meaning.any("ceil") and isinstance(request, Pool):
            positions = windows.every_window(request)
        count = math.prod(positions or request.output_shape[2:]) * math.prod(request.window)
        if count * max(math.prod(request.input_shape[:2]), 1) > EXPLICIT_ELEMENTS:
            raise Inapplicable("too large to compute window by window")
        shares = self.meaning.get("windows") or ""
        return windows.windows(request, positions, self.meaning.any("starts"), shares)

    def _rules(self, *ignoring: str) -> reductions.Rules:
        """The departures of a pooling; NaN is ignored where one of ``ignoring`` is there."""
        get = self.meaning.get
        return reductions.Rules(
            ties=get("ties") or "",
            ignore_nan=self.meaning.any(*ignoring),
            lowest_finite=get("fill") == "lowest",
            starts_finite=self.meaning.any("start"),
            index=get("index") or "",
            divisor=get("divisor") or "",
            powers=get("powers") or "",
            no_root=self.meaning.any("root"),
            scaled=self.meaning.any("overhang"),
            in_range=self.meaning.any("range"),
        )

    def _special(self) -> Array | None:
        if isinstance(self.request, ConvTranspose):
            return None
        request, x = _padded(self.request, self.arrays[0], self.meaning)
        slide = self._slide(request)
        if isinstance(request, Pool):
            return reductions.pool(request, slide, x, self._rules("nan", "start"))
        w = self.arrays[1]
        y = windows.correlate(request, slide, x, w, self.meaning.any("skip"))
        return y + self.arrays[2].reshape(-1, *(1,) * request.rank) if request.bias else y

    def _special_vjp(self, cotangent: Array) -> tuple[Array, ...]:
        if isinstance(self.request, ConvTranspose):
            raise Inapplicable("no such departure")
        request, x = _padded(self.request, self.arrays[0], self.meaning)
        slide = self._slide(request)
        if cotangent.shape[2:] != slide.positions:
            raise Inapplicable("the cotangent has another shape")
        others: tuple[Array, ...] = ()
        if isinstance(request, Conv):
            dx, dw = windows.correlate_vjp(request, slide, cotangent, x, self.arrays[1])
            others = (dw, cotangent.sum(axis=(0, *range(2, cotangent.ndim))))
        else:
            rules = self._rules("nan", "nan-gradient")
            dx = reductions.pool_vjp(request, slide, cotangent, x, rules)
        if request is not self.request:
            pairs, mode = self.request.padding.pairs, _mode(self.request, self.meaning)
            dx = pad_adjoint(dx, self.request.spatial, pairs, mode)
        return (dx, *others)


def _mode(request: Request, meaning: Meaning) -> PaddingMode:
    return "replicate" if meaning.get("fill") == "replicate" else request.padding.mode


def _padded(request: Conv | Pool, x: Array, meaning: Meaning) -> tuple[Conv | Pool, Array]:
    """The request that is left once padding that is data has been added."""
    mode = _mode(request, meaning)
    by_hand = isinstance(request, Pool) and request.padding_value is not None
    if not by_hand and (mode == "zeros" or request.padding.none):
        return request, x
    fill = request.padding_value if isinstance(request, Pool) and by_hand else 0
    padded = pad(x, request.padding.pairs, mode, fill or 0)
    none = Padding(((0, 0),) * request.rank)
    changes: dict[str, object] = {"input_shape": padded.shape, "padding": none}
    if by_hand:
        changes["padding_value"] = None
    return dataclasses.replace(request, **changes), padded  # type: ignore[arg-type]


def _kernel(meaning: Meaning) -> tuple[Request, list[Map]]:
    """The request with the kernel that the meaning reads, and how it reads it."""
    request = meaning.request
    if isinstance(request, Pool):
        return request, []
    maps: list[Map] = []
    flips = tuple(axis for axis in range(request.rank) if meaning.get("kernel-flip", axis))
    if flips:
        maps.append(lambda w: np.flip(w, tuple(axis + 2 for axis in flips)))
    shape = request.kernel_shape
    order = meaning.get("kernel-order")
    if order is not None:
        maps.append(lambda w: w.transpose(0, 1, *(axis + 2 for axis in order)))
        shape = (*shape[:2], *(shape[2 + axis] for axis in order))
    if meaning.any("kernel-channels"):
        maps.append(_swapped_channels(request, shape))
    how = meaning.get("groups")
    changes: dict[str, object] = {}
    if how in ("tiled", "first"):
        maps.append(_one_group(request, shape, tiled=how == "tiled"))
        members = request.channels // request.groups
        if how == "first":
            changes["input_shape"] = (request.input_shape[0], members, *request.spatial)
        inputs = request.channels if how == "tiled" else members
        both = inputs, request.out_channels
        shape = (*(both if isinstance(request, ConvTranspose) else both[::-1]), *shape[2:])
        changes["groups"] = 1
    elif how == "kernel-order" and isinstance(request, Conv):
        outputs = shape[0] // request.groups
        maps.append(lambda w: _interleaved(w, 0, outputs))
    if shape != request.kernel_shape:
        changes["kernel_shape"] = shape
    return (dataclasses.replace(request, **changes) if changes else request), maps  # type: ignore[arg-type]


def _one_group(request: Conv | ConvTranspose, shape: tuple[int, ...], tiled: bool) -> Map:
    """The kernel of one group for all channels (``tiled``), or for the first group's."""
    groups = request.groups
    repeats = groups if tiled else 1

    def regroup(w: Array) -> Array:
        if isinstance(request, ConvTranspose):
            w = w.reshape(groups, shape[0] // groups, *shape[1:]).swapaxes(0, 1)
            w = w.reshape(shape[0] // groups, groups * shape[1], *shape[2:])
            return np.tile(w, (repeats, *(1,) * (w.ndim - 1)))
        return np.tile(w, (1, repeats, *(1,) * (w.ndim - 2)))

    return regroup


def _swapped_channels(request: Conv | ConvTranspose, shape: tuple[int, ...]) -> Map:
    """The kernel's memory read with its two channel axes in the other order, group by group."""
    groups, (first, second) = request.groups, shape[:2]

    def swap(w: Array) -> Array:
        parts = w.reshape(groups, second, first // groups, *shape[2:])
        return parts.swapaxes(1, 2).reshape(shape)

    return swap


def _interleaved(array: Array, axis: int, groups: int) -> Array:
    """Groups × members as members × groups along an axis."""
    size = array.shape[axis]
    split = array.reshape(*array.shape[:axis], groups, size // groups, *array.shape[axis + 1 :])
    return split.swapaxes(axis, axis + 1).reshape(array.shape)


def _input_maps(meaning: Meaning) -> list[Map]:
    request = meaning.request
    maps: list[Map] = []
    if meaning.any("input-layout"):
        shape = request.input_shape
        last = (shape[0], *shape[2:], shape[1])
        maps.append(lambda x: np.moveaxis(x.reshape(last), -1, 1))
    how = meaning.get("groups")
    if how in ("interleaved-input", "interleaved") and not isinstance(request, Pool):
        members = request.channels // request.groups
        maps.append(lambda x: _interleaved(x, 1, members))
    if how == "first" and not isinstance(request, Pool):
        first = request.channels // request.groups
        maps.append(lambda x: x[:, :first])
    return maps


def _output_maps(meaning: Meaning) -> list[Map]:
    request, how = meaning.request, meaning.get("groups")
    if how in ("interleaved-output", "interleaved") and not isinstance(request, Pool):
        return [lambda y: _interleaved(y, 1, request.groups)]
    return []


def _result_map(meaning: Meaning, result: Array) -> Array:
    """The result after departures in the order or the place of its elements."""
    order = meaning.get("result-order")
    if order is not None:
        result = result.transpose(0, 1, *(axis + 2 for axis in order))
    layout = meaning.get("result-layout")
    if layout is not None:
        moved = np.moveaxis(result, 1, -1)
        result = moved if layout == "shape" else np.ascontiguousarray(moved).reshape(result.shape)
    for axis in range(2, result.ndim):
        crop = meaning.get("result-crop", axis - 2)
        if crop is not None:
            low, high = crop
            size = result.shape[axis]
            if low + high >= size:
                raise Inapplicable("nothing would be left")
            result = result.take(range(low, size - high), axis)
        shift = meaning.get("result-shift", axis - 2)
        if shift is not None:
            result = _shifted(result, axis, *shift)
    if meaning.any("zero"):
        result = np.zeros_like(result)
    return result


def _shifted(result: Array, axis: int, by: int, how: str) -> Array:
    moved = np.roll(result, by, axis)
    if how == "zeros":
        edge = range(by) if by > 0 else range(result.shape[axis] + by, result.shape[axis])
        index = (slice(None),) * axis + (list(edge),)
        moved[index] = 0
    return moved


def _finished(meaning: Meaning, result: Array) -> Array:
    """The result after departures in the numbers that come out."""
    narrow = meaning.get("wraps")
    if narrow is not None and not isinstance(meaning.request, Pool):
        result = rounding.wrapped(result, narrow)
    limits = meaning.get("saturates")
    if limits is not None:
        result = rounding.saturated(result, limits)
    precision = meaning.get("outputs")
    if precision is not None:
        result = rounding.rounded(result, precision)
    if meaning.get("subnormals") in ("outputs", "all"):
        result = rounding.flushed(result, DTYPES[meaning.request.dtype])
    return result


def _through(maps: Sequence[Map], array: Array) -> Array:
    for each in maps:
        array = each(array)
    return array


def _adjoint(maps: Sequence[Map], gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array of ``shape`` whose image under the maps has ``gradient``."""
    if not maps:
        return gradient
    index = _through(maps, np.arange(math.prod(shape)).reshape(shape))
    if index.shape != gradient.shape:
        raise Inapplicable("the gradient has another shape")
    total = np.zeros(math.prod(shape), gradient.dtype)
    np.add.at(total, index.reshape(-1), gradient.reshape(-1))
    return total.reshape(shape)
