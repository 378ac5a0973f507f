"""Convolution and pooling from exchangeable ingredients, for any number of spatial axes.

Each axis has a table (positions × window): the input element that a window's element meets there,
or `PADDED` where it meets padding, or `ABSENT` where it meets nothing. A transposed convolution
has such tables too: an output element meets the input elements whose stamps cover it. A wrong
semantics changes one ingredient of a `Recipe`; gradients follow, because every ingredient is a
table or moves elements around.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from typing import Any, Literal

import numpy as np

from conformance.request import ConvTranspose, Pool, Request

from .formats import Array, stored, wide

PADDED, ABSENT = -1, -2

Move = Callable[[Array], Array]
Ends = Literal["floor", "ceil", "full"]
Element = tuple[tuple[int, ...], tuple[Array, ...], Array, Array]


def same(values: Array) -> Array:
    return values


@dataclass(frozen=True)
class Axis:
    """One spatial axis and the window that slides along it.

    ``adjoint`` is a transposed convolution's; ``by_hand`` says that the padding is data;
    ``rewritten`` starts windows where a wrong space-to-batch rewrite does. ``shared`` is the
    number of an adaptive pooling's positions, whose windows depart as ``shares`` says.
    """

    size: int
    window: int
    stride: int
    dilation: int
    low: int
    high: int
    extra: int = 0
    adjoint: bool = False
    ends: Ends = "floor"
    mode: str = "zeros"
    by_hand: bool = False
    rewritten: bool = False
    shared: int = 0
    shares: Literal["", "fixed", "floor", "ceil"] = ""

    @property
    def span(self) -> int:
        return (self.window - 1) * self.dilation + 1

    @property
    def positions(self) -> int:
        if self.shared:
            return self.shared
        if self.adjoint:
            full = (self.size - 1) * self.stride + self.span if self.size else 0
            return full - (self.low + self.high - self.extra if self.size else 0)
        room = self.size + self.low + self.high - self.span
        if self.ends == "floor":
            return room // self.stride + 1 if room >= 0 else 0
        count = math.ceil(room / self.stride) + 1
        end = self.size + self.low + (self.high if self.by_hand else min(self.high, 0))
        late = self.ends == "ceil" and (count - 1) * self.stride >= end
        return max(count - late, 0)

    def table(self) -> Array:
        """Source of every element of the window (columns) at every position (rows)."""
        if self.shared:
            bounds = [self._bounds(position) for position in range(self.shared)]
            longest = max(last - first for first, last in bounds)
            return np.array(
                [
                    [at if at < last else ABSENT for at in range(first, first + longest)]
                    for first, last in bounds
                ],
                int,
            ).reshape(self.shared, longest)
        rows = [
            [self._source(position, element) for element in range(self.window)]
            for position in range(self.positions)
        ]
        return np.array(rows, int).reshape(self.positions, self.window)

    def _bounds(self, position: int) -> tuple[int, int]:
        step = Fraction(self.size, self.shared)
        first, last = math.floor(position * step), math.ceil((position + 1) * step)
        if self.shares == "floor":
            last = math.floor((position + 1) * step)
        if self.shares == "ceil":
            first = math.ceil(position * step)
        if self.shares == "fixed":
            stride = self.size // self.shared
            first = position * stride
            last = first + self.size - (self.shared - 1) * stride
        return first, last

    def _source(self, position: int, element: int) -> int:
        if self.adjoint:
            source, rest = divmod(position + self.low - element * self.dilation, self.stride)
            return source if not rest and 0 <= source < self.size else ABSENT
        start = position * self.stride
        if self.rewritten:
            turn, rest = divmod(position, self.dilation)
            start = turn * self.stride * self.dilation + rest
        at = start - self.low + element * self.dilation
        if max(-self.low, 0) <= at < self.size + min(self.high, 0):
            return at
        if not -self.low <= at < self.size + self.high:
            return PADDED if self.rewritten else ABSENT
        return PADDED if self.mode == "zeros" else self._wrapped(at)

    def _wrapped(self, at: int) -> int:
        if self.mode == "circular":
            return at % self.size
        if self.mode == "replicate":
            return min(max(at, 0), self.size - 1)
        while not 0 <= at < self.size:
            at = -at if at < 0 else 2 * (self.size - 1) - at
        return at


@dataclass(frozen=True)
class Numbers:
    """What happens to inputs, products, partial sums and results; which maximum is taken."""

    load: Move = same
    product: Move = same
    step: Move = same
    save: Move = same
    greater: Callable[[Array, Array], Array] = np.maximum


@dataclass(frozen=True)
class Recipe:
    """One semantics of a request.

    ``before`` and ``after`` move elements of the inputs and of the result; ``fill`` is what a
    maximum or a sum reads in padding, None the operator's own padding, which is no data; ``start``
    what a maximum begins with, None what nothing is below;
    ``bias`` says how often the bias is added; ``index`` what the places of maxima count;
    ``powers``, ``root`` and ``scaled`` how a norm is taken, and ``kept`` that sums stay in the
    dtype.
    """

    request: Request
    axes: tuple[Axis, ...]
    word: str
    groups: int = 1
    channels: Literal["grouped", "interleaved", "tiled", "first"] = "grouped"
    fill: float | None = None
    start: float | None = None
    divisor: Literal["padded", "inside", "window", "given"] = "padded"
    skips_padding: bool = False
    bias: int = 1
    before: tuple[tuple[str, Move], ...] = ()
    after: tuple[Move, ...] = ()
    numbers: Numbers = Numbers()
    ties: Literal["first", "last", "all", "split"] = "first"
    nan_takes_gradient: bool = True
    noise: bool = False
    index: str = "channel"
    powers: Literal["absolute", "signed", "signed-root"] = "absolute"
    root: bool = True
    scaled: bool = False
    kept: bool = False

    @property
    def op(self) -> str:
        return self.request.op

    @property
    def lowest(self) -> float:
        dtype = self.request.dtype
        return np.iinfo(dtype).min if "int" in dtype else -np.inf

    @property
    def positions(self) -> tuple[int, ...]:
        return tuple(axis.positions for axis in self.axes)

    def ready(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """The inputs as the sums meet them."""
        names = ("x", "w", "b")
        return tuple(
            moved([move for target, move in self.before if target == name], self.load(array))
            for name, array in zip(names, arrays)
        )

    def load(self, array: Array) -> Array:
        return self.numbers.load(wide(array))

    def finish(self, values: Array) -> Array:
        """The values as they are stored."""
        if self.noise:
            return noise(values.shape, self.request.dtype)
        if self.op == "max_pool_indices":
            return values
        return stored(self.numbers.save(values), self.request.dtype)

    def in_dtype(self, values: Array) -> Array:
        """The values in the dtype, where sums are kept in it."""
        return stored(values, self.request.dtype).astype(float) if self.kept else values

    def elements(self, *lead: Any) -> Iterator[Element]:
        """For each element of the window its index, where it reads, what is input, what is there.

        The places index an input ``(N, C, *spatial)`` at the given batch and channel indices.
        """
        tables = [axis.table() for axis in self.axes]
        for index in np.ndindex(*(table.shape[1] for table in tables)):
            at = [table[:, k] for table, k in zip(tables, index)]
            inside = reduce(np.logical_and.outer, [rows >= 0 for rows in at])
            there = reduce(np.logical_and.outer, [rows != ABSENT for rows in at])
            places = np.ix_(*lead, *(np.maximum(rows, 0) for rows in at))
            yield index, places, inside, inside if self.skips_padding else there


def recipe(request: Request) -> Recipe:
    """The right semantics."""
    pool = request if isinstance(request, Pool) else None
    transposed = request if isinstance(request, ConvTranspose) else None
    extra = transposed.output_padding if transposed else (0,) * request.rank
    by_hand = pool is not None and pool.padding_value is not None
    shared = (pool and pool.output_size) or (0,) * request.rank
    axes = tuple(
        Axis(
            size,
            window,
            stride,
            dilation,
            low,
            high,
            more,
            adjoint=transposed is not None,
            ends="ceil" if pool and pool.ceil_mode else "floor",
            mode=request.padding.mode,
            by_hand=by_hand,
            shared=positions,
        )
        for size, window, stride, dilation, (low, high), more, positions in zip(
            request.spatial,
            request.window,
            request.stride,
            request.dilation,
            request.padding.pairs,
            extra,
            shared,
        )
    )
    plain = Recipe(request, axes, request.padding.word)
    if isinstance(request, Pool):
        counted = by_hand or request.count_include_pad
        fill = request.padding_value
        if fill is not None:
            fill = float(stored(np.array(float(fill)), request.dtype))
        divisor = "given" if request.divisor else "padded" if counted else "inside"
        return replace(plain, fill=fill, divisor=divisor)  # type: ignore[arg-type]
    return replace(plain, groups=request.groups, fill=0.0)


def moved(moves: Any, values: Array) -> Array:
    """The values after all moves."""
    return reduce(lambda array, move: move(array), moves, values)


def moved_back(moves: Any, cotangent: Array, shape: tuple[int, ...]) -> Array:
    """The adjoint of `moved`: every element's share goes to where it came from."""
    size = math.prod(shape)
    source = moved(moves, np.arange(1, size + 1).reshape(shape))
    total = np.zeros(size + 1, cotangent.dtype)
    np.add.at(total, source, cotangent)
    return total[1:].reshape(shape)


def noise(shape: tuple[int, ...], dtype: str) -> Array:
    """Numbers that differ from call to call."""
    return stored(np.random.default_rng().integers(-100, 100, shape), dtype)
