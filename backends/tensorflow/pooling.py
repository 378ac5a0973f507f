"""What ``tf.nn`` and Keras share: recipes for poolings."""

from __future__ import annotations

import math
from dataclasses import replace
from operator import mul

from conformance.adapter import Lowering, Unsupported
from conformance.dtypes import DTYPES
from conformance.request import Padding, Pool
from conformance.source import call, cropped, literal, window_index

from ..jax.recipes import after, beyond, dilated, fitted, plain_divisor, uneven
from .recipes import ChannelsLastApi, Lines

WINDOWS = """
def windows(size, positions):
    starts = [i * size // positions for i in range(positions)]
    ends = [-(-(i + 1) * size // positions) for i in range(positions)]
    return zip(starts, ends)
"""


class ChannelsLastPooling(ChannelsLastApi):
    """An API that pools with the channels last; `ChannelsLastApi` says what its hooks give."""

    def adaptive(self, r: Pool) -> Lines | Unsupported:
        """The API's own adaptive or global pooling."""
        return Unsupported(f"{self.name} has no {r.op.partition('_')[0]} pooling")

    def argmax(self, r: Pool) -> Lines | Unsupported:
        """The API's own indices of maxima."""
        return Unsupported(f"{self.name} has no max pooling with indices")

    def max_pool(self, r: Pool) -> Lowering:
        before, r = self.by_hand(r)
        crop, rest = self.crop(r)
        rest = fitted(rest)
        lines = [*before, *crop]
        if not rest.padding.none:
            lines.append(f"x = {self.pad(rest, self.lowest(r))}")
        rest = after(rest.padding, rest)
        if dilated(rest):
            lines += self.gather(rest)
            sizes = map(mul, rest.output_shape[2:], rest.window)
            rest = replace(
                rest,
                input_shape=(*r.input_shape[:2], *sizes),
                stride=rest.window,
                dilation=(1,) * r.rank,
            )
        setup, pool = self._maximum(rest)
        empty = beyond(r, r.padding.pairs) or (dilated(r) and not r.padding.none)
        if DTYPES[r.dtype].floating and empty:
            # TensorFlow starts a maximum from the lowest finite number. NaN is no such, and y comes
            # first, as its dtype is what a number takes.
            start = f"{self.functions['where']}(~(y <= {self.least(r)}), y, {literal(-math.inf)})"
            pool = [*pool[:-1], f"y = {pool[-1].removeprefix('return ')}", f"return {start}"]
        native = self._after(before, self.native(r))
        return self.lowering(r, native, (setup, [*lines, *pool]))

    def avg_pool(self, r: Pool) -> Lowering:
        before, r = self.by_hand(r)
        native = self._after(before, self.native(r))
        crop, rest = self.crop(_wide(r))
        if r.divisor is not None:
            setup, lines = self._sum(fitted(rest), r.divisor)
        else:
            count, rest = self.counted(rest) if r.ceil_mode else ([], rest)
            setup, lines = self._average(rest)
            lines = [*count, *lines]
        return self.lowering(r, native, (setup, [*before, *self._widened(r, [*crop, *lines])]))

    def lp_pool(self, r: Pool) -> Lowering:
        names, norm = self.functions, int(r.norm) if r.norm == int(r.norm) else r.norm
        where, size = names["where"], f"{names['abs']}(x)"
        if norm in (1, 2):
            power = self.absolute() if norm == 1 else "x * x"
        elif norm > 1:
            power = f"{size} ** {norm}"
        else:
            # Its slope at 0 is infinite.
            power = f"{where}(x != 0, {where}(x != 0, {size}, 1) ** {norm}, x)"
        crop, rest = self.crop(_wide(r))
        setup, lines = self._sum(fitted(rest))
        if norm != 1:
            # The slope of the root at 0 is infinite, too.
            lines = [*lines[:-1], f"y = {lines[-1].removeprefix('return ')}"]
            lines.append(f"return {where}(y != 0, {where}(y != 0, y, 1) ** (1 / {norm}), y)")
        native = Unsupported(f"{self.name} has no L^p pooling")
        lines = self._widened(r, [f"x = {power}", *crop, *lines])
        return self.lowering(r, native, (setup, lines))

    def max_pool_indices(self, r: Pool) -> Lowering:
        native = self.argmax(r)
        if isinstance(native, Unsupported):
            return self.lowering(r, native, self._indices(r))
        setup, lines = native
        planes = "" if r.channels < 2 else f" // {r.channels}"
        return self.lowering(r, native, (setup, [*lines[:-1], f"{lines[-1]}{planes}"]))

    def adaptive_pool(self, r: Pool) -> Lowering:
        native = self.adaptive(r)
        if r.kind == "avg":
            setup, lines = self._shares(r) if uneven(r) else self._blocks(_wide(r))
            return self.lowering(r, native, (setup, self._widened(r, lines)))
        lines = []
        axes = zip(r.spatial, r.output_shape[2:], r.window)
        for axis, (size, positions, longest) in enumerate(axes):
            if size % positions:
                each = f"for a, b in windows({size}, {positions}) for k in range({longest})"
                lines.append(f"x = {self.taken(axis, f'[min(a + k, b - 1) {each}]')}")
        setup, pool = self._maximum(_sliding(r))
        setup = "\n".join(filter(None, [WINDOWS.strip() if lines else "", setup]))
        return self.lowering(r, native, (setup, [*lines, *pool]))

    def lowest(self, r: Pool) -> str:
        """The text of the value that never wins a maximum."""
        return 'float("-inf")' if DTYPES[r.dtype].floating else self.least(r)

    def least(self, r: Pool) -> str:
        """The text of the least number of the request's dtype, of those that are finite."""
        return "x.dtype.min"

    def absolute(self) -> str:
        """The text of the absolute values of ``x``, with a slope of 0 at 0."""
        return f"{self.functions['abs']}(x)"

    def _maximum(self, r: Pool) -> Lines:
        """The lines that return a maximum without padding and dilation."""
        return self._slices(r) if r.rank == 3 else self.plain(r)

    def _slices(self, r: Pool) -> Lines:
        """The lines of a 3-D maximum by 2-D ones: of each slice, then across the slices.

        The 3-D one has fewer dtypes, and its gradient goes to each of several equal elements.
        """
        batch, channels, positions = *r.input_shape[:2], r.output_shape[2:]
        pool, reshape = self.functions["max_pool"], self.functions["reshape"]
        valid = literal(self.valid)
        return "", [
            f"y = {reshape}(x, {[batch * r.spatial[0], *r.spatial[1:], channels]})",
            f"y = {pool}(y, {r.window[1:]}, {r.stride[1:]}, {valid})",
            f"y = {reshape}(y, {[batch, r.spatial[0], math.prod(positions[1:]), channels]})",
            f"y = {pool}(y, {(r.window[0], 1)}, {(r.stride[0], 1)}, {valid})",
            f"return {reshape}(y, {[batch, *positions, channels]})",
        ]

    def _average(self, r: Pool) -> Lines:
        """The lines that return an average; in 3-D there is none of float64."""
        if (r.rank == 3 and r.dtype == "float64") or dilated(r) or not plain_divisor(r):
            return "", self.gathered_average(r)
        lines = [] if r.padding.none else [f"x = {self.pad(r)}"]
        setup, pool = self.plain(r)
        return setup, [*lines, *pool]

    def _sum(self, r: Pool, divisor: int = 1) -> Lines:
        """The lines that return the sum of each window, divided.

        An average is exact where the number of its elements is a power of two.
        """
        count = math.prod(r.window)
        if (r.rank == 3 and r.dtype == "float64") or dilated(r) or count & (count - 1):
            lines = self.gathered_sum(r)
            return "", [*lines, "return x" if divisor == 1 else f"return x / {divisor}"]
        lines = [] if r.padding.none else [f"x = {self.pad(r)}"]
        setup, pool = self.plain(replace(r, op="avg_pool", divisor=None))
        shared = math.gcd(count, divisor)
        count, divisor = count // shared, divisor // shared
        scale = f" * {count}" * (count > 1) + f" / {divisor}" * (divisor > 1)
        return setup, [*lines, *pool[:-1], f"{pool[-1]}{scale}"]

    def _indices(self, r: Pool) -> Lines:
        """The lines that return where maxima are, among the elements that are no padding."""
        names, count = self.functions, math.prod(r.spatial)
        number = call(names["arange"], str(count), dtype="int64")
        shape = list(self.layout.spread(r.spatial, 1))
        lines = [f"place = {names['reshape']}({number}, {shape})"]
        if r.padding.negative:
            both = (cropped(name, self.layout, r.padding.pairs) for name in ("x", "place"))
            lines.append(f"x, place = {', '.join(both)}")
            _, r = self.crop(r)
        rest = fitted(r)
        if not rest.padding.none:
            lines.append(f"x = {self.pad(rest, self.lowest(r))}")
            lines.append(f"place = {self.pad(rest, str(count), 'place')}")
        rest, first = after(rest.padding, rest), self.layout.data.index("*")
        for axis in reversed(range(r.rank)):
            index = window_index(rest, axis, names["arange"])
            lines.append(f"x, place = reduced(x, place, {index}, {first + axis})")
        top = "(x == top) | (x != x)" if DTYPES[r.dtype].floating else "x == top"
        take, greatest, least = names["take"], names["max"], names["min"]
        setup = [
            "def reduced(x, place, index, axis):",
            f"    x, place = {take}(x, index, axis=axis), {take}(place, index, axis=axis)",
            f"    top = {greatest}(x, axis=axis + 1, keepdims=True)",
            f"    place = {names['where']}({top}, place, {count})",
            f"    return {greatest}(x, axis=axis + 1), {least}(place, axis=axis + 1)",
        ]
        return "\n".join(setup), [*lines, "return place"]

    def _blocks(self, r: Pool) -> Lines:
        """The lines of an adaptive average whose windows tile the input."""
        if set(r.output_shape[2:]) == {1}:
            first = self.layout.data.index("*")
            axes = list(range(first, first + r.rank))
            return "", [f"return {call(self.functions['mean'], 'x', axis=axes, keepdims=True)}"]
        return self._average(_sliding(r))

    def _shares(self, r: Pool) -> Lines:
        """The lines of an adaptive average whose windows overlap or differ in size."""
        names, first = self.functions, self.layout.data.index("*")
        lines = ["def total(x):"]
        for axis, sizes in enumerate(zip(r.spatial, r.output_shape[2:]), first):
            part = call(names["sum"], f"x[{':, ' * axis}a:b]", axis=axis)
            shares = f"[{part} for a, b in windows({sizes[0]}, {sizes[1]})]"
            lines.append(f"    x = {call(names['stack'], shares, axis=axis)}")
        result = f"return total(x) / total({names['ones_like']}(x))"
        return WINDOWS.strip(), [*lines, "    return x", "", result]

    def _widened(self, r: Pool, lines: list[str]) -> list[str]:
        """The lines, computing in a dtype whose sums hold what the request's averages hold."""
        wide, cast = _wide(r).dtype, self.functions["cast"]
        if wide == r.dtype:
            return lines
        result = f"return {cast}({lines[-1].removeprefix('return ')}, {literal(r.dtype)})"
        return [f"x = {cast}(x, {literal(wide)})", *lines[:-1], result]

    def _after(self, before: list[str], native: Lines | Unsupported) -> Lines | Unsupported:
        if isinstance(native, Unsupported):
            return native
        return native[0], [*before, *native[1]]


def _wide(r: Pool) -> Pool:
    """The pooling in float32, where its own dtype is narrower."""
    return replace(r, dtype="float32") if r.dtype in ("float16", "bfloat16") else r


def _sliding(r: Pool) -> Pool:
    """An adaptive pooling as one whose windows are side by side."""
    sizes = map(mul, r.output_shape[2:], r.window)
    return replace(
        r,
        input_shape=(*r.input_shape[:2], *sizes),
        padding=Padding(((0, 0),) * r.rank),
        stride=r.window,
        output_size=None,
        op="max_pool" if r.kind == "max" else "avg_pool",
    )
