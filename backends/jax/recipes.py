"""Recipes for what an API cannot say, in the words that ``jnp``, ``tf`` and ``keras.ops`` share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from conformance.adapter import Api
from conformance.geometry import Pair, effective_window
from conformance.request import Conv, ConvTranspose, Padding, Pool, Request
from conformance.source import call, cropped, fitted_pads, literal, positive, window_index

ARRAY_FUNCTIONS = ("arange", "concatenate", "ones_like", "pad", "split", "sum", "take")
WINDOWS = """
def windows(sizes, positions):
    flat = []
    for at in np.ndindex(*positions):
        axes = [range(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(at, sizes, positions)]
        flat.append(np.ravel_multi_index(np.ix_(*axes), sizes).ravel())
    longest = max(map(len, flat))
    return np.stack([np.pad(each, (0, longest - len(each)), constant_values=-1) for each in flat])
"""
"""Flat indices of the elements of an adaptive pooling's windows: -1 stands for no element."""


class Recipes(Api):
    """Lines of source that pad by hand, split into groups, or gather windows.

    ``functions`` says what the API calls the array functions of `ARRAY_FUNCTIONS`.
    """

    functions: Mapping[str, str]

    def pad(
        self, r: Request, value: str = "0", name: str = "x", padding: Padding | None = None
    ) -> str:
        """The expression that crops ``name`` and pads it with a constant.

        The padding is the request's unless given.
        """
        padding = padding or r.padding
        text, pairs = cropped(name, self.layout, padding.pairs), positive(padding.pairs)
        if not any(map(any, pairs)):
            return text
        extra = [] if value == "0" else [f"constant_values={value}"]
        return call(self.functions["pad"], text, self.widths(pairs), *extra)

    def widths(self, pairs: Sequence[Pair]) -> str:
        """The text of the pairs of all axes."""
        return literal([list(pair) for pair in self.layout.spread(pairs, (0, 0))])

    def channel_axis(self, order: str, letter: str) -> int:
        """Where a channel axis is, from the start or from the end."""
        index = order.index(letter)
        return index if index < order.index("*") else index - len(order)

    def per_group(self, r: Conv | ConvTranspose, lines: Sequence[str]) -> list[str]:
        """Lines that split what ``lines`` take into groups and join what they return."""
        data = self.channel_axis(self.layout.data, "C")
        if isinstance(r, Conv):
            kernel = self.channel_axis(self.layout.kernel, "O")
        else:
            kernel = self.channel_axis(self.layout.transposed_kernel, "I")
        axes = [("x", data), ("w", kernel), ("b", 0)][: 2 + r.bias]
        split = self.functions["split"]
        parts = [f"{split}({name}, {r.groups}, axis={axis})" for name, axis in axes]
        return [
            f"def group({', '.join(name for name, _ in axes)}):",
            *(f"    {line}" for line in lines),
            "",
            f"y = map(group, {', '.join(parts)})",
            f"return {self.functions['concatenate']}(list(y), axis={data})",
        ]

    def trimmed(self, r: ConvTranspose, last: str) -> list[str]:
        """Lines that crop a transposed convolution without padding, pad it, and add the bias.

        ``last`` is the line that returns it, all of it and without a bias.
        """
        bare = replace(r, padding=Padding(((0, 0),) * r.rank), output_padding=(0,) * r.rank)
        pairs = []
        axes = zip(bare.output_shape[2:], r.padding.pairs, r.output_padding)
        for size, (low, high), extra in axes:
            before, behind = -low, extra - high
            # What one end is too short to crop, the padding of the other is without.
            short, over = min(size + before, 0), min(size + behind, 0)
            pairs.append((before - short + over, behind - over + short))
        margins = Padding(tuple(pairs))
        bias = f" + {self.broadcast_bias(r)}" if r.bias else ""
        result = last.removeprefix("return ")
        lines = [] if result == "y" else [f"y = {result}"]
        return [*lines, f"return {self.pad(r, name='y', padding=margins)}{bias}"]

    def broadcast_bias(self, r: Conv | ConvTranspose) -> str:
        """The bias as it adds to the output."""
        return "b" if self.layout.data.endswith("C") else f"b[:{', None' * r.rank}]"

    def by_hand(self, r: Pool) -> tuple[list[str], Pool]:
        """The line that pads by hand, where the request says so, and the pooling after it."""
        before = []
        if r.padding_value is not None and not r.padding.none:
            before.append(f"x = {self.pad(r, self.constant(r.padding_value))}")
            r = after(r.padding, replace(r, padding_value=None))
        floor = replace(r, ceil_mode=False)
        return before, floor if floor.output_shape == r.output_shape else r

    def constant(self, value: float) -> str:
        """The text of a constant for any dtype: whole ones have no point."""
        whole = math.isfinite(value) and value == int(value)
        return literal(int(value) if whole else value)

    def crop(self, r: Pool) -> tuple[list[str], Pool]:
        """The line that crops what negative padding cuts off, and the pooling after it."""
        if not r.padding.negative:
            return [], r
        cut = Padding(tuple((min(low, 0), min(high, 0)) for low, high in r.padding.pairs))
        return [f"x = {self.pad(r, padding=cut)}"], after(cut, r)

    def counted(self, r: Pool) -> tuple[list[str], Pool]:
        """An average in ceil mode: the line that pads what counts, and the pooling after it.

        What is left to pad is the last window's overhang, which does not count.
        """
        rest = fitted(r)
        if not r.count_include_pad:
            return [], rest
        ends = zip(r.padding.pairs, rest.padding.pairs)
        inside = Padding(tuple((low, min(high, end)) for (low, high), (_, end) in ends))
        lines = [] if inside.none else [f"x = {self.pad(r, padding=inside)}"]
        return lines, after(inside, replace(rest, count_include_pad=False))

    def gather(self, r: Pool) -> list[str]:
        """Lines that put the elements of each window side by side."""
        lines = []
        for axis in range(r.rank):
            index = self.flattened(window_index(r, axis, self.functions["arange"]))
            lines.append(f"x = {self.taken(axis, index)}")
        return lines

    def flattened(self, index: str) -> str:
        """The expression of an index array with one axis."""
        return f"({index}).ravel()"

    def gathered_average(self, r: Pool) -> list[str]:
        """The average of windows summed axis by axis: any dilation, any divisor."""
        lines = self.gathered_sum(r)
        if plain_divisor(r):
            return [*lines, f"return x / {divisor(r)}"]
        return [
            "def total(x):",
            *(f"    {line}" for line in [*lines, "return x"]),
            "",
            f"return total(x) / total({self.functions['ones_like']}(x))",
        ]

    def gathered_sum(self, r: Pool) -> list[str]:
        """Lines that make ``x`` the sum of each of its windows, axis by axis."""
        lines = [] if r.padding.none else [f"x = {self.pad(r)}"]
        for axis in range(r.rank):
            windows = self.taken(axis, window_index(r, axis, self.functions["arange"]))
            along = self.layout.data.index("*") + axis + 1
            lines.append(f"x = {call(self.functions['sum'], windows, axis=along)}")
        return lines

    def taken(self, axis: int, index: str) -> str:
        """The expression of the elements of a spatial axis of ``x`` that an index names."""
        take = self.functions["take"]
        return f"{take}(x, {index}, axis={self.layout.data.index('*') + axis})"


def plain_divisor(r: Pool) -> bool:
    """Whether the sum of every window of an average is divided by the same number."""
    return r.divisor is not None or r.count_include_pad or r.padding.none


def divisor(r: Pool) -> int:
    """The number that the sum of every window is divided by, where there is one for all."""
    return math.prod(r.window) if r.divisor is None else r.divisor


def uneven(r: Pool) -> bool:
    """Whether the windows of an adaptive pooling differ in size or overlap."""
    return any(size % count for size, count in zip(r.spatial, r.output_shape[2:]))


def dilated(r: Conv | ConvTranspose | Pool) -> bool:
    """Whether the dilation changes the window."""
    return any(d != 1 and k != 1 for k, d in zip(r.window, r.dilation))


def beyond(r: Request, pairs: Sequence[Pair]) -> bool:
    """Whether the padding crops, or is so wide that a window may lie in it altogether."""
    spans = (effective_window(*sizes) for sizes in zip(r.window, r.dilation))
    return any(min(pair) < 0 or max(pair) >= span for pair, span in zip(pairs, spans))


def fitted(r: Pool) -> Pool:
    """The pooling without ceil mode that has the same windows."""
    if not r.ceil_mode:
        return r
    return replace(r, ceil_mode=False, padding=Padding(fitted_pads(r)))


def after(done: Padding, r: Pool) -> Pool:
    """The pooling that is left for an input that is padded by ``done`` already."""
    sizes = tuple(size + low + high for size, (low, high) in zip(r.spatial, done.pairs))
    pairs = tuple(
        (low - before, high - behind)
        for (low, high), (before, behind) in zip(r.padding.pairs, done.pairs)
    )
    return replace(r, input_shape=(*r.input_shape[:2], *sizes), padding=Padding(pairs))
