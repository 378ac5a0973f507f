"""Poolings as programs of MXNet, and recipes for what it lacks."""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace

from conformance.adapter import Lowering, Program, Unsupported, batched, parameters
from conformance.dtypes import DTYPES
from conformance.request import Pool, Request
from conformance.source import call, cropped, fitted_pads, literal, on_padded, positive

from .lowering import MXNetApi, Options, widened, written

WINDOWS = """
def windows(size, positions):
    starts = [i * size // positions for i in range(positions)]
    ends = [-(-(i + 1) * size // positions) for i in range(positions)]
    return zip(starts, ends)
"""
GREATER = """
def greater(a, b):
    (x, i), (y, j) = a, b
    later = (y > x) + (y == x) * (j < i) + (y != y) * (x == x)
    return np.where(later, y, x), np.where(later, j, i)
"""


class MXNetPooling(MXNetApi):
    """The poolings that both APIs share."""

    @abstractmethod
    def norm(self, r: Pool) -> Program | Unsupported:
        """The API's own L^p pooling."""

    def summed(self, r: Pool) -> Program | Unsupported:
        """The API's own average divided by a number."""
        return Unsupported(f"{self.function(r)} divides by what it counts only")

    @abstractmethod
    def adaptive(self, r: Pool) -> Program | Unsupported:
        """The API's own adaptive or global pooling."""

    def unbatched(self, r: Request) -> Lowering:
        """Lower a batch of one, in a recipe where there is one: it takes more dtypes."""
        lowering = self.lower(replace(r, unbatched=False))
        program = lowering.emulated or lowering.native
        missing = Unsupported(f"{self.name} takes no arrays without a batch axis")
        if isinstance(program, Unsupported):
            return Lowering(missing)
        return Lowering(missing, _batched(program, r))

    def max_pool(self, r: Pool) -> Lowering:
        native = self.pooled(r, {"stride": r.stride, "ceil_mode": r.ceil_mode})
        own, before = self._exact(r)
        pads, floating = fitted_pads(own), DTYPES[r.dtype].floating
        lines = [*before, *self.filled(pads, _lowest(r))]
        reach = all(max(pair) < window for pair, window in zip(pads, r.window))
        if floating and reach and max(r.dilation) == 1 and positive(pads) != ((0, 0),) * r.rank:
            return Lowering(native, self.program(r, {"stride": r.stride}, lines))
        return Lowering(native, written(r, [*lines, *_maxima(r), "x"]))

    def avg_pool(self, r: Pool) -> Lowering:
        ceil = {"ceil_mode": r.ceil_mode, "count_include_pad": r.count_include_pad}
        if r.divisor is not None:
            native = self.summed(r)
            result = f"x / {r.divisor}" if r.divisor > 1 else "x"
            return Lowering(native, _wide(r, [*self._sums(r), result]))
        native = self.pooled(r, {"stride": r.stride, **ceil})
        own, lines = self._exact(r)
        pads, margins = own.padding.pairs, fitted_pads(own)
        if r.count_include_pad:
            lines += self.margins("x", pads)
            margins = tuple((0, high - end) for (_, high), (_, end) in zip(margins, pads))
        names = ["x"]
        if any(low or high for low, high in margins):
            names.append("ones")
            lines.append("ones = np.ones_like(x)")
            lines += [*self.margins("x", margins), *self.margins("ones", margins)]
        divisor = names[1:] or [str(math.prod(r.window))]
        for name in names:
            lines += _summed(r, name)
        return Lowering(native, written(r, [*lines, f"x / {divisor[0]}"]))

    def lp_pool(self, r: Pool) -> Lowering:
        norm = int(r.norm) if r.norm == int(r.norm) else r.norm
        if norm in (1, 2):
            power = "np.abs(x)" if norm == 1 else "x * x"
        elif norm > 1:
            power = f"np.abs(x) ** {norm}"
        else:
            # Its slope at 0 is infinite.
            power = f"np.where(x != 0, np.where(x != 0, np.abs(x), np.ones_like(x)) ** {norm}, x)"
        lines = [f"x = {power}", *self._sums(r)]
        if r.norm == 1:
            lines.append("x")
        else:
            # The slope of the root at 0 is infinite, too.
            root = f"np.where(x != 0, x, np.ones_like(x)) ** (1 / {norm})"
            lines.append(f"np.where(x != 0, {root}, x)")
        return Lowering(self.norm(r), _wide(r, lines))

    def max_pool_indices(self, r: Pool) -> Lowering:
        own, lines = self._exact(r)
        count, pads = math.prod(r.spatial), fitted_pads(own)
        number = f'np.arange({count}, dtype="int64").reshape({literal((1, 1, *r.spatial))})'
        lines.append(f"place = {cropped(number, self.layout, r.padding.pairs)}")
        if any(low < 0 or high < 0 for low, high in pads):
            lines.append(f"place = {cropped('place', self.layout, pads)}")
        if any(low > 0 or high > 0 for low, high in pads):
            widths = literal(self.layout.spread(positive(pads), (0, 0)))
            lines.append(f"place = np.pad(place - {count}, {widths}) + {count}")
        lines += self.filled(pads, _lowest(r))
        sizes = (size + low + high for size, (low, high) in zip(own.spatial, pads))
        shape = literal((*r.input_shape[:2], *sizes))
        lines.append(f"place = np.broadcast_to(place, {shape})")
        for each in _shifts(r):
            element, _, loop = each.partition(" for ")
            pair = f"({element}, place{element.removeprefix('x')})"
            lines.append(f"x, place = reduce(greater, [{pair} for {loop}])")
        native = Unsupported(f"{self.name} has no max pooling with indices")
        return Lowering(native, written(r, [*lines, "place"], [GREATER.strip()]))

    def adaptive_pool(self, r: Pool) -> Lowering:
        sizes = r.output_shape[2:]
        uneven = any(n % m for n, m in zip(r.spatial, sizes))
        if r.kind == "avg":
            return Lowering(self.adaptive(r), self._shares(r) if uneven else self._blocks(r))
        if set(r.output_shape[2:]) == {1}:
            return Lowering(self.adaptive(r), written(r, [*_maxima(_sliding(r)), "x"]))
        lines = []
        for axis, share in reversed(_each_window(r, "reduce(np.maximum, [{}])")):
            lines.append(f"x = np.stack([{share}], axis={axis})")
        return Lowering(self.adaptive(r), written(r, [*lines, "x"], [WINDOWS.strip()]))

    def pooled(self, r: Pool, options: Options) -> Program | Unsupported:
        """The pooling in the API's words, after padding by hand where the request says so."""
        if max(r.dilation) > 1:
            return Unsupported(f"{self.function(r)} has no dilation")
        if r.padding_value is None:
            return self.padded(r, r, options)
        lines = self.margins("x", r.padding.pairs, r.padding_value)
        return self.program(r, options, lines)

    def _sums(self, r: Pool) -> list[str]:
        """The lines that make ``x`` the sum of each window, padding counting as zeros."""
        own, lines = self._exact(r)
        return [*lines, *self.margins("x", fitted_pads(own)), *_summed(r, "x")]

    def _blocks(self, r: Pool) -> Program:
        """An adaptive average whose windows tile the input."""
        if set(r.output_shape[2:]) == {1}:
            axes = literal(tuple(range(2, 2 + r.rank)))
            return _wide(r, [f"x.mean(axis={axes}, keepdims=True)"])
        return _wide(r, [*_summed(_sliding(r), "x"), f"x / {math.prod(r.window)}"])

    def _shares(self, r: Pool) -> Program:
        """An adaptive average whose windows overlap or differ in size.

        MXNet's own sums carry a compensation, which makes NaN of infinities.
        """
        lines = ["def total(x):"]
        for axis, share in _each_window(r, "sum({})"):
            lines.append(f"    x = np.stack([{share}], axis={axis})")
        result = "return total(x) / total(np.ones_like(x))"
        return written(r, [*lines, "    return x", "", result], [WINDOWS.strip()])

    def _exact(self, r: Pool) -> tuple[Pool, list[str]]:
        """The pooling that is left after padding by hand and cropping, and the lines of these."""
        pads = r.padding.pairs
        if r.padding_value is not None:
            return on_padded(r, pads), self.filled(pads, literal(r.padding_value))
        crop = tuple((min(low, 0), min(high, 0)) for low, high in pads)
        return on_padded(r, crop, positive(pads)), self.margins("x", crop)


def _wide(r: Pool, lines: Sequence[str]) -> Program:
    """The program of lines, in float32 where sums of float16 may leave the dtype."""
    if r.dtype != "float16":
        return written(r, lines)
    return written(r, widened(r, [*lines[:-1], f"y = {lines[-1]}"]))


def _lowest(r: Pool) -> str:
    """The text of the value that never wins a maximum."""
    return 'float("-inf")' if DTYPES[r.dtype].floating else f'onp.iinfo("{r.dtype}").min'


def _maxima(r: Pool) -> list[str]:
    """The lines that make ``x`` the maximum of each window, axis by axis."""
    return [f"x = reduce(np.maximum, [{each}])" for each in _shifts(r)]


def _summed(r: Pool, name: str) -> list[str]:
    """The lines that make ``name`` the sum of each window."""
    if max(r.dilation) > 1:
        return [f"{name} = sum({each})" for each in _shifts(r, name)]
    stride = r.stride if max(r.stride) > 1 else None
    sums = call("npx.pooling", name, kernel=r.window, pool_type="sum", stride=stride)
    return [f"{name} = {sums}"]


def _each_window(r: Pool, reduction: str) -> list[tuple[int, str]]:
    """For each axis, what reduces the elements of each of an adaptive pooling's windows."""
    return [
        (axis, f"{reduction.format(element)} for a, b in windows({size}, {positions})")
        for axis, (size, positions) in enumerate(zip(r.spatial, r.output_shape[2:]), 2)
        for element in [f"x[{':, ' * axis}k] for k in range(a, b)"]
    ]


def _batched(program: Program, r: Request) -> Program:
    """The program on a batch of one, which is no view: max pooling one gets a wrong gradient."""
    text = batched(program, r).source.rstrip()
    head = text.rpartition("\n")[0]
    names = ", ".join(parameters(r))
    lines = ["x = np.expand_dims(x, 0)", f"return np.squeeze(batched({names}), 0)"]
    text = "\n".join([head, *(f"    {line}" for line in lines)])
    if not re.search(r"^from mxnet import .*\bnp\b", text, re.M):
        text = text.replace("from mxnet import", "from mxnet import np,", 1)
    return Program(f"{text}\n")


def _sliding(r: Pool) -> Pool:
    """An adaptive pooling as one whose windows are side by side."""
    sizes = (count * window for count, window in zip(r.output_shape[2:], r.window))
    return replace(
        r,
        input_shape=(*r.input_shape[:2], *sizes),
        stride=r.window,
        output_size=None,
        op="max_pool" if r.kind == "max" else "avg_pool",
    )


def _shifts(r: Pool, name: str = "x") -> Iterator[str]:
    """For each axis, the last one first, the elements of its windows as strided slices."""
    axes = zip(range(2, 2 + r.rank), r.window, r.stride, r.dilation, r.output_shape[2:])
    for axis, window, stride, dilation, count in reversed(list(axes)):
        if window == stride == 1:
            continue
        steps = f"{window}" if dilation == 1 else f"0, {window * dilation}, {dilation}"
        part = f"i : i + {max((count - 1) * stride + 1, 0)}" + (
            f" : {stride}" if stride > 1 else ""
        )
        yield f"{name}[{':, ' * axis}{part}] for i in range({steps})"
