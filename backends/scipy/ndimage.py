"""``scipy.ndimage``: filters whose output has the size of their input.

The window is centred on each pixel, an even one half a pixel further to the start, and ``origin``
moves it. What stands behind the border is a ``mode``: 'reflect', the default, repeats the edge (it
is NumPy's 'symmetric'), 'mirror' does not (NumPy's 'reflect').

Source: https://docs.scipy.org/doc/scipy/reference/ndimage.html#filters
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from conformance.adapter import Lowering, Program, Unsupported
from conformance.dtypes import DTYPES
from conformance.geometry import effective_window
from conformance.request import Conv, ConvTranspose, PaddingMode, Pool, Request
from conformance.source import call, scalar, source

from ..jax.recipes import after, dilated, fitted
from .recipes import IMPORTS, Filters, same, strided

MODES: dict[PaddingMode, str] = {
    "zeros": "constant",
    "reflect": "mirror",
    "replicate": "nearest",
    "circular": "wrap",
}


class NdImage(Filters):
    """``ndimage.correlate``, ``ndimage.maximum_filter`` and their like."""

    name = "scipy.ndimage"

    def function(self, r: Request) -> str:
        if isinstance(r, Pool):
            return f"ndimage.{'maximum' if r.kind == 'max' else 'uniform'}_filter"
        convolve = isinstance(r, ConvTranspose) or r.flipped
        return "ndimage.convolve" if convolve else "ndimage.correlate"

    def native(self, r: Conv | ConvTranspose) -> str | Unsupported:
        if isinstance(r, ConvTranspose):
            return self._transposed(r)
        name = self.function(r)
        options = self._kept(r)
        if options is None:
            return Unsupported(f"{name} returns as many pixels as it is given")
        if r.flipped and options["origin"] is not None:
            return Unsupported(f"{name} has an even kernel's odd pixel at the other end")
        return call(name, "x[0, 0]", "w[0, 0]", **options)

    def _transposed(self, r: ConvTranspose) -> str | Unsupported:
        name = self.function(r)
        if any(r.output_padding) or r.output_shape[2:] != r.spatial:
            return Unsupported(f"{name} returns as many pixels as it is given")
        if r.padding.pairs != same(r.window, odd_first=True):
            return Unsupported(f"{name} has an even kernel's odd pixel at the other end")
        return call(name, "x[0, 0]", "w[0, 0]", mode="constant")

    def _kept(self, r: Conv) -> dict[str, object] | None:
        """The options of a correlation that keeps the size, None where it does not.

        They say where an even window is, too.
        """
        pairs = r.padding.pairs
        if any(sum(pair) != k - 1 or min(pair) < 0 for pair, k in zip(pairs, r.window)):
            return None
        mode = MODES[r.padding.mode]
        if r.padding.mode == "replicate" and max(map(max, pairs)) <= 1:
            # As long as the edge alone is repeated, the default does the same.
            mode = "reflect"
        centre = same(r.window, odd_first=not r.flipped)
        origin = tuple(low - middle for (low, _), (middle, _) in zip(pairs, centre))
        return {"mode": mode, "origin": scalar(origin) if any(origin) else None}

    def padded(self, r: Conv) -> list[str]:
        return super().padded(r) if self._kept(r) is None else []

    def correlation(self, image: str, kernel: str, r: Conv | Pool) -> str:
        kept = self._kept(r) if isinstance(r, Conv) else None
        if kept is not None:
            return call("ndimage.correlate", image, kernel, **kept)
        inner = _inner(r.window)
        index = f"[{', '.join(inner)}]" if set(inner) != {":"} else ""
        return call("ndimage.correlate", image, kernel, mode="constant") + index

    def surrounded(self, r: ConvTranspose) -> list[str]:
        if max(r.window) == 1:
            return []
        return [f"x = np.pad(x, {self.widths(same(r.window, odd_first=True))})"]

    def convolution(self, image: str, kernel: str) -> str:
        return call("ndimage.convolve", image, kernel, mode="constant")

    def filtered(self, r: Pool) -> list[str]:
        inner = _inner([effective_window(k, d) for k, d in zip(r.window, r.dilation)])
        index = f"[:, :, {', '.join(inner)}]" if set(inner) != {":"} else ""
        expression = call("ndimage.correlate", "x", "window[None, None]", mode="constant")
        return [f"y = {expression}{index}"]

    def max_pool(self, r: Pool) -> Lowering:
        by_hand = r.padding_value is not None and not r.padding.none
        value = f"cval={r.padding_value}" if by_hand else "cval=-np.inf"
        refused = self._outside(r)
        if by_hand and r.ceil_mode:
            refused = Unsupported(f"{self.function(r)} has one value behind the border")
        native = refused or source(r, IMPORTS, "\n".join(self._maximum(r, value)))
        before, rest = self.by_hand(r)
        crop, rest = self.crop(rest)
        rest = fitted(rest)
        lines = [*before, *crop]
        if not rest.padding.none:
            lowest = "-np.inf" if DTYPES[r.dtype].floating else "np.iinfo(x.dtype).min"
            lines.append(f"x = {self.pad(rest, lowest)}")
        lines += self._maximum(after(rest.padding, rest))
        return self._lowered(native, self.program(r, lines))

    def avg_pool(self, r: Pool) -> Lowering:
        return self._lowered(self._uniform(r), self.average(r))

    def _uniform(self, r: Pool) -> Program | Unsupported:
        name = self.function(r)
        if dilated(r):
            return Unsupported(f"{name} has no dilation")
        if r.divisor is not None or replace(r, ceil_mode=False).output_shape != r.output_shape:
            return Unsupported(f"{name} divides by the whole window")
        if not (r.count_include_pad or r.padding.none):
            return Unsupported(f"{name} counts the padding")
        value = None if r.padding.none or not r.padding_value else r.padding_value
        words = {"mode": "constant", "cval": value}
        expression = call(name, "x", size=(1, 1, *r.window), **words)
        return self._outside(r) or source(r, IMPORTS, expression + _positions(r))

    def _maximum(self, r: Pool, value: str = "") -> list[str]:
        lines, size = [], f"size={(1, 1, *r.window)}"
        if dilated(r):
            shape = (1, 1, *(effective_window(k, d) for k, d in zip(r.window, r.dilation)))
            lines = [f"footprint = np.zeros({shape}, bool)"]
            lines.append(f"footprint{strided(r.dilation)} = True")
            size = "footprint=footprint"
        words = ['mode="constant"', value] if value else []
        return [*lines, call(self.function(r), "x", size, *words) + _positions(r)]

    def _outside(self, r: Pool) -> Unsupported | None:
        """Why the windows are not all over pixels of the input."""
        name = self.function(r)
        if r.padding.negative:
            return Unsupported(f"{name} does not crop")
        if 0 in r.output_shape[2:]:
            return Unsupported(f"{name} has a result for every pixel")
        for n, first, step, count in zip(r.spatial, _first(r), r.stride, r.output_shape[2:]):
            if first < 0 or first + (count - 1) * step >= n:
                return Unsupported(f"{name} centres its windows on the pixels of its input")
        return None

    def _lowered(self, native: Program | Unsupported, recipe: Program) -> Lowering:
        return Lowering(native, None if recipe == native else recipe)


def _inner(window: Sequence[int]) -> list[str]:
    """The slices of the pixels around which the window is inside of the image."""
    return [f"{low or ''}:{-high or ''}" for low, high in same(window, odd_first=True)]


def _first(r: Pool) -> list[int]:
    """The pixel that the first window is centred on, by axis."""
    axes = zip(r.window, r.dilation, r.padding.pairs)
    return [effective_window(k, d) // 2 - low for k, d, (low, _) in axes]


def _positions(r: Pool) -> str:
    """The index of the pixels that windows are centred on."""
    first = _first(r)
    ends = []
    for n, start, step, count in zip(r.spatial, first, r.stride, r.output_shape[2:]):
        ends.append(0 if start + count * step >= n else start + (count - 1) * step + 1)
    return strided(r.stride, first, ends)
