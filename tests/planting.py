"""Random requests in which a planted wrong semantics shows, and what it gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance import geometry, oracle
from conformance.compare import compare
from conformance.dtypes import Array
from conformance.reference import Expected, Reference, expect
from conformance.request import (
    ADAPTIVE_POOLS,
    Conv,
    ConvTranspose,
    Padding,
    PaddingWord,
    Pool,
    Request,
)
from tests import planting_data as data
from tests.backends.planted import compute
from tests.backends.planted.recipe import Recipe
from tests.backends.planted.semantics import planted
from tests.builders import adaptive
from tests.wishes import CONVS, FLOATS, Wish, joint

Random = np.random.Generator
Pick = Callable[[tuple[str, ...], Request], Recipe]
ATTEMPTS = 400
SIZES = {1: (6, 14), 2: (4, 8), 3: (3, 5)}


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
    def dtype(self) -> str:
        """The observed array's."""
        return self.request.result_dtype if self.array == "y" else self.request.dtype

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
        ops = tuple(op for op in ops if op != "max_pool_indices")
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
    verdict = compare(planting.reference, observed, planting.dtype)
    return verdict.outcome == "pass"


def draw(random: Random, wish: Wish) -> Request | None:
    """A request, or None where the draw has no meaning."""

    def one(values: tuple[Any, ...]) -> Any:
        return values[random.integers(len(values))]

    op, rank, dtype = one(wish.ops), one(wish.ranks), one(wish.dtypes)
    if ("avg" in op or op == "lp_pool") and dtype not in FLOATS:
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
    if op in ADAPTIVE_POOLS:
        sizes = tuple(int(random.integers(1, size + 2)) for size in spatial)
        shape = (batch, one((1, 2, 3)), *spatial)
        return adaptive(op, shape, sizes if "adaptive" in op else 1, dtype=dtype)
    if op not in CONVS:
        shape = (batch, one((1, 2, 3)), *spatial)
        padding = _padding(one, wish, spatial, window, stride, dilation)
        spans = map(geometry.effective_window, window, dilation)
        fits = all(
            span <= size + low + high
            for span, size, (low, high) in zip(spans, spatial, padding.pairs)
        )
        counted = op != "avg_pool" or one(wish.counted)
        result = Pool(
            shape, padding, stride, dilation, dtype, window, fits and one(wish.ceil), counted,
            divisor=one(wish.divisors) if op == "avg_pool" else None,
            norm=one(wish.norms) if op == "lp_pool" else 2.0, op=op,
        )  # fmt: skip
        nowhere = result.indices and (oracle.forward(result, np.zeros(shape)) < 0).any()
        return None if nowhere else result
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
    if word == "causal":
        spans = map(geometry.effective_window, window, dilation)
        return Padding(tuple((span - 1, 0) for span in spans), word)
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
