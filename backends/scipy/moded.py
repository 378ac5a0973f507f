"""Functions that take a word for how far image and kernel overlap: valid, same, full.

``same`` is the middle of ``full``. Where an even kernel has no middle, `scipy.signal.correlate` and
`numpy.correlate` put the odd pixel at the start, `scipy.signal.correlate2d` at the end.

Sources: https://docs.scipy.org/doc/scipy/reference/signal.html#convolution,
https://numpy.org/doc/stable/reference/generated/numpy.correlate.html.
"""

from __future__ import annotations

from collections.abc import Mapping

from conformance.adapter import Lowering, Unsupported
from conformance.request import Conv, ConvTranspose, Pool, Request
from conformance.source import call

from .recipes import Filters, full, same


class Moded(Filters):
    """What the functions with a ``mode`` share.

    ``correlate`` and ``convolve`` are their names, ``options`` what a recipe gives them besides
    the mode, and ``odd_first`` says whether ``same`` has the odd pixel at the start.
    """

    correlate: str
    convolve: str
    options: Mapping[str, str] = {}
    odd_first: bool = True
    default: str = "full"

    def function(self, r: Request) -> str:
        if isinstance(r, ConvTranspose) or (isinstance(r, Conv) and r.flipped):
            return self.convolve
        return self.correlate

    def native(self, r: Conv | ConvTranspose) -> str | Unsupported:
        mode = self._transposed_mode(r) if isinstance(r, ConvTranspose) else self._mode(r)
        boundary = None if r.padding.none else self.boundary(r)
        if isinstance(boundary, Unsupported):
            return boundary
        if mode is None:
            return Unsupported(f"{self.function(r)} pads as 'valid', 'same' or 'full' do")
        return self._call(self.function(r), "x[0, 0]", "w[0, 0]", mode, boundary=boundary)

    def boundary(self, r: Conv | ConvTranspose) -> str | Unsupported | None:
        """The word for what stands in the padding, None where it is zeros."""
        if r.padding.mode == "zeros":
            return None
        return Unsupported(f"{self.function(r)} pads with zeros only")

    def correlation(self, image: str, kernel: str, r: Conv | Pool) -> str:
        return self._call(self.correlate, image, kernel, "valid", **self.options)

    def convolution(self, image: str, kernel: str) -> str:
        return self._call(self.convolve, image, kernel, "full", **self.options)

    def max_pool(self, r: Pool) -> Lowering:
        return Lowering(Unsupported(f"{self.name} has sums of products only"))

    def _call(self, name: str, image: str, kernel: str, mode: str, **options: str | None) -> str:
        word = None if mode == self.default and name == self.correlate else mode
        return call(name, image, kernel, mode=word, **options)

    def _mode(self, r: Conv) -> str | None:
        pads = r.padding
        # A kernel that is flipped meets the other end of an even window.
        own = same(r.window, self.odd_first or r.flipped)
        if pads.none:
            return "valid"
        if pads.pairs == own:
            return "same"
        return "full" if pads.pairs == full(r.window) else None

    def _transposed_mode(self, r: ConvTranspose) -> str | None:
        pads = r.padding
        if any(r.output_padding):
            return None
        if pads.none:
            return "full"
        if pads.pairs == same(r.window, odd_first=False):
            return "same"
        return "valid" if pads.pairs == full(r.window) else None


class Signal(Moded):
    """``scipy.signal.correlate`` and ``scipy.signal.convolve``, on any number of axes.

    They choose by size between sums and Fourier transforms, of which the latter round: recipes ask
    for sums.
    """

    name = "scipy.signal"
    correlate = "signal.correlate"
    convolve = "signal.convolve"
    options: Mapping[str, str] = {"method": "direct"}

    def summed(self, r: Conv) -> str:
        # An axis that both have in full is added up.
        return f"{self.correlation('image', 'kernel', r)}[0]"

    def filtered(self, r: Pool) -> list[str]:
        return [f"y = {self.correlation('x', 'window[None, None]', r)}"]


class Signal2d(Moded):
    """``scipy.signal.correlate2d`` and ``scipy.signal.convolve2d``, which know boundaries."""

    name = "scipy.signal.correlate2d"
    correlate = "signal.correlate2d"
    convolve = "signal.convolve2d"
    ranks = (2,)
    odd_first = False

    def boundary(self, r: Conv | ConvTranspose) -> str | Unsupported | None:
        if r.padding.mode == "circular":
            return "wrap"
        # The edge itself is repeated first, and only then what is behind it.
        if r.padding.mode == "replicate" and max(map(max, r.padding.pairs)) == 1:
            return "symm"
        if r.padding.mode == "zeros":
            return None
        return Unsupported(f"{self.function(r)} has no boundary for '{r.padding.mode}'")


class NumPy(Moded):
    """``numpy.correlate`` and ``numpy.convolve``, on one axis."""

    name = "numpy.correlate"
    correlate = "np.correlate"
    convolve = "np.convolve"
    ranks = (1,)
    default = "valid"
