"""Random requests in which a planted wrong semantics shows, and what it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from conformance import geometry
from conformance.compare import compare
from conformance.dtypes import Array
from conformance.reference import Expected, Reference, expect
from conformance.request import OPS, Conv, ConvTranspose, Padding, PaddingWord, Pool, Request
from tests import planting_data as data
from tests.backends.planted import compute
from tests.backends.planted.recipe import Recipe
from tests.backends.planted.semantics import planted

Random = np.random.Generator
Pick = Callable[[tuple[str, ...], Request], Recipe]
CONVS = ("conv", "conv_transpose")
POOLS = ("max_pool", "avg_pool")
FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int8", "int32")
ATTEMPTS = 400
SIZES = {1: (6, 14), 2: (4, 8), 3: (3, 5)}
MODES = ("reflect", "replicate", "circular")


@dataclass(frozen=True)
class Wish:
    """What the requests of a cause are drawn from; ``array`` is the one that is wrong."""

    ops: tuple[str, ...] = OPS
    ranks: tuple[int, ...] = (1, 2, 3)
    dtypes: tuple[str, ...] = FLOATS + INTEGERS
    words: tuple[str, ...] = ("explicit", "explicit", "same", "same_lower", "valid")
    pads: tuple[int, ...] = (-1, 0, 0, 1, 1, 2, 2, 3)
    windows: tuple[int, ...] = (1, 2, 2, 3, 3)
    strides: tuple[int, ...] = (1, 1, 2, 3)
    dilations: tuple[int, ...] = (1, 1, 2, 3)
    groups: tuple[int, ...] = (1, 1, 2, 3)
    depthwise: bool = False
    modes: tuple[str, ...] = ("zeros",) * 5 + MODES
    bias: tuple[bool, ...] = (False, True)
    ceil: tuple[bool, ...] = (False, False, True)
    counted: tuple[bool, ...] = (True, False)
    made: data.Data = data.usual
    array: str = "y"
    accumulation: str | None = None


PADDED = Wish(words=("explicit",), pads=(0, 1, 1, 2, 3), windows=(2, 3, 3))
EVEN = Wish(words=("explicit",), pads=(0, 1, 2, 3), windows=(2, 3))
STRIDED = Wish(strides=(1, 2, 2, 3))
DILATED = Wish(
    dilations=(1, 2, 2, 3), windows=(2, 2, 3), words=("explicit", "same"), pads=(0, 1, 2)
)
KERNEL = Wish(ops=CONVS, windows=(1, 2, 3))
GROUPS = Wish(ops=CONVS, groups=(2, 2, 3))
MAXIMA = Wish(ops=("max_pool",))
MEANS = Wish(ops=("avg_pool",), dtypes=FLOATS, pads=(0, 1, 2), windows=(2, 3))
TIES = replace(
    MAXIMA, dtypes=FLOATS, windows=(2, 3, 3), made=data.tied, array="x", pads=(0, 1), ceil=(False,)
)
WISHES: dict[str, Wish] = {
    "padding-dropped": replace(PADDED, words=("explicit", "explicit", "same", "same_lower")),
    "padding-other-side": replace(PADDED, words=("explicit", "explicit", "same", "same_lower")),
    "padding-transposed": replace(PADDED, ranks=(2, 3)),
    "same-lower": Wish(words=("same",), windows=(2, 3)),
    "same-upper": Wish(words=("same_lower",), windows=(2, 3)),
    "same-ignores-stride": Wish(
        ops=("conv", *POOLS), words=("same", "same_lower"), strides=(1, 2, 3), windows=(2, 3)
    ),
    "same-ignores-dilation": Wish(
        ops=("conv", *POOLS), words=("same", "same_lower"), dilations=(1, 2, 2, 3), windows=(2, 3)
    ),
    "padding-split": replace(PADDED, words=("explicit", "explicit", "same", "same_lower")),
    "padding-is-same": PADDED,
    "padding-symmetric": PADDED,
    "padding-twice": PADDED,
    "padding-off-by-one": PADDED,
    "negative-padding-ignored": replace(PADDED, pads=(-2, -1, 0, 1, 2), modes=("zeros",)),
    "padding-of-the-dilated-input": replace(PADDED, ops=("conv_transpose",)),
    "padded-with-zero": replace(
        PADDED, ops=("max_pool",), ceil=(False,), made=data.below_zero, words=("explicit", "same")
    ),
    "padded-with-lowest": replace(
        PADDED, ops=("max_pool",), ceil=(False,), made=data.minus_infinite, dtypes=FLOATS
    ),
    "padding-mode": replace(PADDED, ops=("conv", "conv", "conv", *POOLS), ceil=(False,)),
    "padding-skipped": replace(
        PADDED, ops=("conv",), dtypes=FLOATS, made=data.special_kernel, modes=("zeros",)
    ),
    "kernel-flipped": KERNEL,
    "kernel-transposed": replace(KERNEL, ranks=(2, 3)),
    "kernel-channels-swapped": KERNEL,
    "window-transposed": Wish(ops=POOLS, ranks=(2, 3), windows=(1, 2, 3)),
    "stride-ignored": STRIDED,
    "stride-transposed": replace(STRIDED, ranks=(2, 3)),
    "stride-is-window": Wish(ops=POOLS, windows=(2, 3)),
    "dilation-ignored": DILATED,
    "dilation-transposed": replace(DILATED, ranks=(2, 3)),
    "dilation-after-stride": replace(DILATED, ops=("conv",), strides=(1, 2, 2)),
    "stride-dilation-swapped": replace(DILATED, strides=(1, 2, 3)),
    "groups-interleaved": GROUPS,
    "groups-ignored": GROUPS,
    "depthwise-multiplier-order": replace(GROUPS, groups=(2, 3, 4), depthwise=True),
    "bias-dropped": Wish(ops=CONVS, bias=(True,)),
    "bias-twice": Wish(ops=CONVS, bias=(True,)),
    "ceil-ignored": Wish(ops=POOLS, ceil=(True,), strides=(2, 3)),
    "ceil-for-floor": Wish(ops=POOLS, ceil=(False,), strides=(2, 3)),
    "ceil-keeps-windows-in-padding": Wish(
        ops=POOLS, ceil=(True,), strides=(2, 3), words=("explicit",), pads=(0, 1, 2, 3),
        windows=(1, 2, 3), counted=(True,),
    ),
    "padding-counted": replace(MEANS, counted=(False,), words=("explicit", "same")),
    "padding-not-counted": replace(MEANS, counted=(True,), words=("explicit", "same")),
    "divisor-not-clipped": replace(MEANS, ceil=(True, False), strides=(1, 2, 3)),
    "output-padding-other-end": Wish(ops=("conv_transpose",), strides=(1, 2, 3)),
    "output-padding-dropped": Wish(ops=("conv_transpose",), strides=(1, 2, 3)),
    "result-shifted": Wish(),
    "result-cropped": Wish(),
    "result-transposed": Wish(ranks=(2, 3)),
    "result-layout": Wish(),
    "input-layout": Wish(),
    "integer-wraps": Wish(
        ops=(*CONVS, "max_pool"), dtypes=("int32",), pads=(0, 1), windows=(2, 3), dilations=(1,),
        made=data.wide_integers,
    ),
    "integer-saturates": Wish(
        ops=(*CONVS, "max_pool"), dtypes=("int8", "int32"), pads=(0, 1), made=data.wide_integers
    ),
    "accumulates-in-storage-dtype": Wish(
        ops=(*CONVS, "avg_pool"), dtypes=("float16", "bfloat16"), windows=(2, 3),
        made=data.normal, accumulation="float32",
    ),
    "lower-precision": Wish(dtypes=FLOATS, made=data.fine),
    "nan-ignored": Wish(
        ops=(*CONVS, "max_pool"), dtypes=FLOATS, windows=(2, 3), made=data.with_nan
    ),
    "subnormals-flushed": Wish(
        ops=(*CONVS, "max_pool"), dtypes=FLOATS, made=data.near_subnormal
    ),
    "ties-split": TIES,
    "ties-to-all": TIES,
    "ties-to-last": TIES,
    "nan-gets-no-gradient": replace(TIES, made=data.with_nan),
    "all-zero": Wish(),
}  # fmt: skip


PAIRS = (
    ("kernel-flipped", "padding-dropped"),
    ("kernel-flipped", "bias-dropped"),
    ("kernel-flipped", "padding-other-side"),
    ("kernel-flipped", "same-lower"),
    ("kernel-flipped", "output-padding-dropped"),
    ("kernel-flipped", "stride-transposed"),
    ("kernel-transposed", "bias-twice"),
    ("stride-ignored", "bias-dropped"),
    ("stride-ignored", "padding-dropped"),
    ("stride-ignored", "dilation-ignored"),
    ("stride-transposed", "padding-transposed"),
    ("dilation-ignored", "padding-dropped"),
    ("dilation-ignored", "kernel-flipped"),
    ("groups-ignored", "padding-dropped"),
    ("groups-interleaved", "bias-dropped"),
    ("padding-other-side", "padding-not-counted"),
    ("ceil-ignored", "padding-dropped"),
    ("padded-with-zero", "stride-ignored"),
    ("window-transposed", "padding-dropped"),
)


def joint(causes: tuple[str, ...]) -> Wish:
    """What suits all causes: of two choices the one that is a wish."""
    plain, first, *others = Wish(), *(WISHES[cause] for cause in causes)
    for other in others:
        for each in fields(Wish):
            if getattr(first, each.name) == getattr(plain, each.name):
                first = replace(first, **{each.name: getattr(other, each.name)})
    return first


@dataclass(frozen=True)
class Planting:
    """A request, its data, and the array that a planted semantics gives for one of its results."""

    causes: tuple[str, ...]
    request: Request
    semantics: Recipe = field(repr=False)
    arrays: tuple[Array, ...] = field(repr=False)
    cotangent: Array | None = field(repr=False)
    array: str
    observed: Array = field(repr=False)
    accumulation: str | None = None

    @property
    def reference(self) -> Reference:
        """What is right."""
        expected = expect(self.request, self.arrays, self.cotangent, self.accumulation)
        return named(expected, self.array)

    def means(self, names: tuple[str, ...], random: Random) -> bool:
        """Whether a semantics with these names gives the same, here and on any fresh data."""
        made = joint(self.causes).made
        fresh = [made(random, self.request) for _ in range(2)]
        return any(
            all(
                np.array_equal(
                    result(other, arrays, self.cotangent, self.array),
                    result(self.semantics, arrays, self.cotangent, self.array),
                    equal_nan=self.request.dtype in FLOATS,
                )
                for arrays in (self.arrays, *fresh)
            )
            for other in planted(names, self.request)
        )


def result(
    semantics: Recipe, arrays: tuple[Array, ...], cotangent: Array | None, array: str
) -> Array:
    """The output, or a gradient; empty where the cotangent does not have the output's shape."""
    output = compute.forward(semantics, *arrays)
    if cotangent is None or array == "y":
        return output
    if output.shape != cotangent.shape:
        return output[:0]
    return compute.vjp(semantics, cotangent, *arrays)["xwb".index(array)]


def named(expected: Expected, array: str) -> Reference:
    """One of the expected arrays."""
    references = (expected.output, *(expected.gradients or ()))
    return next(reference for reference in references if reference.name == array)


def plantings(
    causes: tuple[str, ...], random: Random, array: str = "", pick: Pick | None = None
) -> Iterator[Planting]:
    """Requests in which the causes, together and each of them, show in an array.

    ``pick`` chooses among the semantics of the causes, at random unless given.
    """
    wish = joint(causes)
    if array:
        ops = tuple(op for op in wish.ops if op in CONVS or array == "x")
        wish = replace(wish, ops=ops, dtypes=("float32", "float64"), array=array)
    misses = 0
    while misses < ATTEMPTS:
        found = _planting(causes, random, wish, pick)
        misses = 0 if found else misses + 1
        if found:
            yield found
    raise AssertionError(f"{causes} do not show in {ATTEMPTS} requests")


def _planting(
    causes: tuple[str, ...], random: Random, wish: Wish, pick: Pick | None
) -> Planting | None:
    request = draw(random, wish)
    if request is None or math.prod(request.output_shape) < 8:
        return None
    candidates = planted(causes, request)
    if not candidates:
        return None
    semantics = pick(causes, request) if pick else candidates[random.integers(len(candidates))]
    arrays = wish.made(random, request)
    cotangent = data.cotangent(random, request) if wish.array != "y" else None
    observed = result(semantics, arrays, cotangent, wish.array)
    found = Planting(
        causes, request, semantics, arrays, cotangent, wish.array, observed, wish.accumulation
    )
    parts = [planted((cause,), request) for cause in causes] if len(causes) > 1 else []
    shown = observed.size >= 8 and not _right(found, observed)
    return found if shown and all(_each_shows(found, part) for part in parts) else None


def _each_shows(whole: Planting, parts: list[Recipe]) -> bool:
    """Whether none of one cause's semantics gives what all give together, or what is right."""
    for part in parts:
        array = result(part, whole.arrays, whole.cotangent, whole.array)
        if np.array_equal(array, whole.observed) or _right(whole, array):
            return False
    return True


def _right(planting: Planting, observed: Array) -> bool:
    verdict = compare(planting.reference, observed, planting.request.dtype)
    return verdict.outcome == "pass"


def draw(random: Random, wish: Wish) -> Request | None:
    """A request, or None where the draw has no meaning."""

    def one(values: tuple[Any, ...]) -> Any:
        return values[random.integers(len(values))]

    op, rank, dtype = one(wish.ops), one(wish.ranks), one(wish.dtypes)
    if op == "avg_pool" and dtype not in FLOATS:
        return None
    least, most = SIZES[rank]
    axes = range(rank)
    spatial = tuple(int(random.integers(least, most, endpoint=True)) for _ in axes)
    window = tuple(one(wish.windows) for _ in axes)
    stride, dilation = (
        tuple(one(wish.strides) for _ in axes),
        tuple(one(wish.dilations) for _ in axes),
    )
    batch, groups = one((1, 1, 2)), one(wish.groups)
    if op in POOLS:
        shape = (batch, one((1, 2, 3)), *spatial)
        padding = _padding(one, wish, spatial, window, stride, dilation)
        spans = map(geometry.effective_window, window, dilation)
        fits = all(
            span <= size + low + high
            for span, size, (low, high) in zip(spans, spatial, padding.pairs)
        )
        counted = op == "max_pool" or one(wish.counted)
        return Pool(
            shape, padding, stride, dilation, dtype, window, fits and one(wish.ceil), counted, op=op
        )  # fmt: skip
    inputs = 1 if wish.depthwise else one((1, 2, 3))
    outputs = one((2, 3)) if wish.depthwise else one((1, 2, 3))
    shape = (batch, inputs * groups, *spatial)
    if op == "conv":
        padding = _padding(one, wish, spatial, window, stride, dilation, one(wish.modes))
        kernel = (outputs * groups, inputs, *window)
        return Conv(shape, padding, stride, dilation, dtype, kernel, groups, one(wish.bias))
    padding, extra = _transposed_padding(one, wish, window, stride, dilation)
    kernel = (inputs * groups, outputs, *window)
    request = ConvTranspose(
        shape, padding, stride, dilation, dtype, kernel, extra, groups, one(wish.bias)
    )
    return request if min(request.output_shape) > 0 else None


def _padding(
    one: Callable[[tuple[Any, ...]], Any],
    wish: Wish,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    mode: Any = "zeros",
) -> Padding:
    word: PaddingWord = one(wish.words) if mode == "zeros" else "explicit"
    if word == "valid":
        return Padding(((0, 0),) * len(spatial), word)
    if word != "explicit":
        axes = zip(spatial, window, stride, dilation)
        return Padding(
            tuple(geometry.same_pads(*axis, word == "same_lower") for axis in axes), word
        )
    pairs = tuple((one(wish.pads), one(wish.pads)) for _ in spatial)
    if mode != "zeros":
        most = [size - (mode == "reflect") for size in spatial]
        pairs = tuple(
            (min(max(low, 0), top), min(max(high, 0), top)) for (low, high), top in zip(pairs, most)
        )
    return Padding(pairs, "explicit", mode)


def _transposed_padding(
    one: Callable[[tuple[Any, ...]], Any],
    wish: Wish,
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[Padding, tuple[int, ...]]:
    word: PaddingWord = one(wish.words)
    if word in ("same", "same_lower"):
        axes = zip(window, stride, dilation)
        resolved = [geometry.transposed_same(*axis, word == "same_lower") for axis in axes]
        return Padding(tuple(pair for pair, _ in resolved), word), tuple(e for _, e in resolved)
    extra = tuple(one(tuple(range(max(pair)))) for pair in zip(stride, dilation))
    pairs = tuple(
        (one(wish.pads), one(wish.pads)) if word == "explicit" else (0, 0) for _ in stride
    )
    return Padding(pairs, word), extra
