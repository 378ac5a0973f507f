"""Pooling as programs of PyTorch, by its own operators and by recipes."""

from __future__ import annotations

import math

from conformance import geometry
from conformance.adapter import Lowering, Program, Unsupported
from conformance.dtypes import DTYPES
from conformance.request import Pool
from conformance.source import call, fitted_pads, literal, on_padded, positive, scalar, source

from .convolution import IMPORTS, Convolutions, Options, flat, lowering, pad_line, strides


class Pooling(Convolutions):
    """The poolings of both APIs."""

    def max_pool(self, r: Pool) -> Lowering:
        own, before = _by_hand(r)
        options = {**strides(r), **_step(r)}
        native = self.padded(r, own, {**options, "ceil_mode": r.ceil_mode or None}, before)
        if _nothing(r):
            return Lowering(native, self._reshaped(r))
        before = [*before, *_fitted(own, _lowest(r))]
        if DTYPES[r.dtype].floating or r.rank > 1:
            return lowering(native, self.recipe(r, options, before))
        # max_pool1d knows integers only where it returns indices, too.
        options["return_indices"] = True
        return lowering(native, self.recipe(r, options, before, "{y}[0]"))

    def max_pool_indices(self, r: Pool) -> Lowering:
        options = {**strides(r), **_step(r), "ceil_mode": r.ceil_mode or None}
        padding = self.padding(r)
        native: Program | Unsupported
        if isinstance(padding, Unsupported):
            native = padding
        else:
            options = {**options, **padding, "return_indices": True}
            native = self.program(r, options, after="{y}[1]")
        return Lowering(native, self._reshaped(r, "int64") if _nothing(r) else self._places(r))

    def avg_pool(self, r: Pool) -> Lowering:
        own, before = _by_hand(r)
        options = {
            **_step(r),
            "ceil_mode": r.ceil_mode or None,
            "count_include_pad": None if r.count_include_pad else False,
            "divisor_override": r.divisor,
        }
        native: Program | Unsupported = Unsupported(f"{self.function(r)} has no dilation")
        if r.divisor is not None and r.rank == 1:
            native = Unsupported(f"{self.function(r)} has no divisor_override")
        elif max(r.dilation) == 1:
            native = self.padded(r, own, options, before)
        if _nothing(r):
            return Lowering(native, self._reshaped(r))
        own, crop = _cropped(own)
        return Lowering(native, self._average(r, own, [*before, *crop]))

    def lp_pool(self, r: Pool) -> Lowering:
        """Powers keep their sign in PyTorch, so that odd norms need absolute values first."""
        options = _step(r)
        native: Program | Unsupported = self.program(
            r, {**options, "ceil_mode": r.ceil_mode or None}
        )
        if not r.padding.none:
            native = Unsupported(f"{self.function(r)} has no padding")
        if max(r.dilation) > 1:
            native = Unsupported(f"{self.function(r)} has no dilation")
        if _nothing(r):
            return Lowering(native, self._reshaped(r))
        lines = _fitted(r)
        if max(r.dilation) == 1 and not (_narrow(r) and r.rank == 3):
            return Lowering(native, self.program(r, options, [*lines, "x = x.abs()"]))
        norm = f"torch.linalg.vector_norm({_unfolded('x', r)}, {_norm(r)}, dim=-1)"
        return Lowering(native, source(r, IMPORTS, "\n".join([*lines, norm])))

    def adaptive_pool(self, r: Pool) -> Lowering:
        """The recipe pools one axis after the other, the last one first: ties stay in order."""
        assert r.output_size is not None
        wide = r.dtype == "uint16"
        lines = ["x = x.long()"] if wide else []
        for axis in range(-1, -1 - r.rank, -1):
            size, positions = r.spatial[axis], r.output_size[axis]
            if positions == 1:
                lines.append(f"x = {_reduced('x', r, axis, keepdim=True)}")
            elif positions != size:
                windows = literal(geometry.adaptive_windows(size, positions))
                part = _reduced(f"x[..., a:b{', :' * (-1 - axis)}]", r, axis)
                lines.append(f"x = torch.stack([{part} for a, b in {windows}], {axis})")
        lines.append(f"x.to(torch.{r.dtype})" if wide else "x")
        return Lowering(self.program(r, {}), source(r, IMPORTS, "\n".join(lines)))

    def _reshaped(self, r: Pool, dtype: str = "") -> Program:
        """A pooling of nothing: no elements in the shape of the output."""
        cast = f".to(torch.{dtype})" if dtype else ""
        sizes = ", ".join(map(str, r.output_shape[2:]))
        return source(r, IMPORTS, f"x.reshape(*x.shape[:-{r.rank}], {sizes}){cast}")

    def _average(self, r: Pool, own: Pool, before: list[str]) -> Program:
        """Averages of an input that is padded first; sums by counts where the counts differ.

        Narrow floats of volumes are widened: avg_pool3d does not know them, their sums overflow.
        """
        pads, margins = own.padding.pairs, fitted_pads(own)
        wide = r.rank == 3 and _narrow(r)
        narrowed = f"{{y}}.to(torch.{r.dtype})" if wide else "{y}"
        lines = before = ["x = x.float()", *before] if wide else before
        if r.divisor is not None:
            lines = [*before, pad_line(margins)] if any(flat(margins)) else before
            margins = ((0, 0),) * r.rank
        elif r.count_include_pad and any(flat(pads)):
            lines = [*before, pad_line(pads)]
            margins = tuple((0, high - end) for (_, high), (_, end) in zip(margins, pads))
        same = not any(flat(margins))
        own_way = max(r.dilation) == 1 and (r.divisor is None or r.rank > 1)
        if same and own_way and (wide or lines != before):
            options = {**_step(r), "divisor_override": r.divisor}
            return self.program(r, options, lines, after=narrowed)
        options = {**strides(r), "groups": r.channels if r.channels > 1 else None}
        window = ", ".join(map(str, (r.channels, 1, *r.window)))
        lines = [*lines, f"window = x.new_ones({window})"]

        def sums(operand: str) -> str:
            return call(f"F.conv{r.rank}d", operand, "window", **options)

        if same:
            average = f"{sums('x')} / {r.divisor or math.prod(r.window)}"
            lines.append(narrowed.format(y=f"({average})") if wide else average)
        else:
            pairs = literal(flat(margins))
            lines.append("sums = " + sums(f"F.pad(x, {pairs})"))
            lines.append("counts = " + sums(f"F.pad(torch.ones_like(x), {pairs})"))
            lines.append(narrowed.format(y="(sums / counts)") if wide else "sums / counts")
        return source(r, IMPORTS, "\n".join(lines))

    def _places(self, r: Pool) -> Program:
        """The place of the first maximum, found among windows of values and windows of places."""
        sizes = ", ".join(map(str, r.spatial))
        lines = [f"places = torch.arange({math.prod(r.spatial)}).view({sizes})"]
        lines += [
            *_fitted(r, "-1", "places"),
            *_fitted(r, _lowest(r)),
            f"places = {_unfolded('places', r)}",
            f"values = {_unfolded('x', r)}",
            "largest = values.amax(-1, keepdim=True)",
            "found = ((values == largest) | values.isnan()) & (places >= 0)",
            "first = found.int().argmax(-1, keepdim=True)",
            "places.expand_as(values).gather(-1, first).squeeze(-1)",
        ]
        return source(r, IMPORTS, "\n".join(lines))


def _narrow(r: Pool) -> bool:
    return DTYPES[r.dtype].precision < DTYPES["float32"].precision


def words(r: Pool) -> list[str]:
    """What a pooling is told besides its options."""
    if r.output_size is not None:
        return [literal(scalar(r.output_size))]
    window = literal(scalar(r.window))
    return [_norm(r), window] if r.kind == "lp" else [window]


def _step(r: Pool) -> Options:
    return {"stride": None if r.stride == r.window else scalar(r.stride)}


def _norm(r: Pool) -> str:
    return literal(int(r.norm) if r.norm == int(r.norm) else r.norm)


def _nothing(r: Pool) -> bool:
    """Whether neither the input nor the output has elements."""
    return 0 in r.input_shape and 0 in r.output_shape


def _by_hand(r: Pool) -> tuple[Pool, list[str]]:
    """The pooling that is left after padding by hand, and the line that does it."""
    if r.padding_value is None or r.padding.none:
        return r, []
    line = pad_line(r.padding.pairs, value=literal(r.padding_value) if r.padding_value else "")
    return on_padded(r, r.padding.pairs), [line]


def _cropped(r: Pool, name: str = "x") -> tuple[Pool, list[str]]:
    """The pooling that is left once what ceil mode must not reach again is cut off."""
    if not (r.ceil_mode and r.padding.negative):
        return r, []
    crop = tuple((min(low, 0), min(high, 0)) for low, high in r.padding.pairs)
    return on_padded(r, crop, positive(r.padding.pairs)), [pad_line(crop, name=name)]


def _fitted(r: Pool, value: str = "", name: str = "x") -> list[str]:
    """Lines that pad a tensor so that the windows fit."""
    own, lines = _cropped(r, name)
    pads = fitted_pads(own)
    return [*lines, pad_line(pads, value=value, name=name)] if any(flat(pads)) else lines


def _lowest(r: Pool) -> str:
    """What no maximum is but of padding alone."""
    return 'float("-inf")' if DTYPES[r.dtype].floating else "torch.iinfo(x.dtype).min"


def _unfolded(name: str, r: Pool) -> str:
    """The windows of a padded tensor, ``(…, *positions, elements)``."""
    text = name
    for window, stride, dilation in zip(r.window, r.stride, r.dilation):
        text += f".unfold(-{r.rank}, {geometry.effective_window(window, dilation)}, {stride})"
    if max(r.dilation) > 1:
        steps = [f"::{step}" if step > 1 else ":" for step in r.dilation]
        text += f"[..., {', '.join(steps)}]"
    return f"{text}.flatten(-{r.rank})"


def _reduced(operand: str, r: Pool, axis: int, keepdim: bool = False) -> str:
    kept = ", keepdim=True" if keepdim else ""
    if r.kind == "avg":
        return f"{operand}.mean({axis}{kept})"
    return f"{operand}.max({axis}{kept}).values"
