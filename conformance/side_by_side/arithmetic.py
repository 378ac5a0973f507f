"""The output arithmetic of a request, axis by axis, with the numbers filled in.

Formulas are text: whole numbers, ``+ − · /``, parentheses, ``⌊ ⌋``, ``⌈ ⌉`` and ``max(a, b)``. They
state the rules of `conformance.geometry`, whose docstring names the sources, and never a rule of
their own: paddings and sizes come from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from conformance import geometry, words
from conformance.geometry import Pair
from conformance.request import ConvTranspose, Pool, Request

LISTED = 8


@dataclass(frozen=True)
class Step:
    """A quantity: its formulas, each equal to the next and all to ``value``, and what it means."""

    name: str
    formulas: tuple[str, ...]
    value: int
    remark: str = ""

    def __str__(self) -> str:
        text = " = ".join((*self.formulas, _number(self.value)))
        return f"{text}, {self.remark}" if self.remark else text


@dataclass(frozen=True)
class Axis:
    """One spatial axis; ``steps`` end with the output's size, which is also ``output``."""

    name: str
    size: int
    pads: Pair
    window: int
    stride: int
    dilation: int
    output_padding: int
    output: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class _Shown:
    """Which terms the formulas of a request have: those that some axis needs."""

    pads: bool
    extra: bool


def axes(request: Request) -> tuple[Axis, ...]:
    """The arithmetic of each spatial axis, the outermost first."""
    r, transposed = request, isinstance(request, ConvTranspose)
    extras = r.output_padding if isinstance(r, ConvTranspose) else (0,) * r.rank
    shown = _Shown(not r.padding.none, any(extras))
    bare = [
        Axis(
            words.AXES[r.rank][at],
            r.spatial[at],
            r.padding.pairs[at],
            r.window[at],
            r.stride[at],
            r.dilation[at],
            extras[at],
            r.output_shape[2 + at],
            (),
        )
        for at in range(r.rank)
    ]
    steps = _transposed if transposed else _shared if adaptive(r) else _positions
    return tuple(replace(axis, steps=tuple(steps(r, axis, shown))) for axis in bare)


def adaptive(request: Request) -> bool:
    """Whether windows share each axis among a number of positions, and do not slide."""
    return isinstance(request, Pool) and request.output_size is not None


def grouped(found: Sequence[Axis]) -> list[tuple[str, Axis]]:
    """Axes under their names, those that agree in everything but the name in one entry."""
    names: dict[Axis, list[str]] = {}
    for axis in found:
        names.setdefault(replace(axis, name=""), []).append(axis.name)
    return [(", ".join(named), axis) for axis, named in names.items()]


def rules(request: Request) -> tuple[str, ...]:
    """The formulas behind the numbers, in names: the padding word's, then the output's."""
    if adaptive(request):
        if request.output_shape[2:] == (1,) * request.rank:
            return ("the only window is the whole input",)
        return ("window i has the elements from ⌊i·input / output⌋ up to "
                "⌈(i + 1)·input / output⌉ − 1",)  # fmt: skip
    padded = "" if request.padding.none else " + pads"
    window = "effective window" if _dilated(request) else "window"
    word = request.padding.word
    odd = {"same": "after", "same_lower": "before"}.get(word, "")
    if isinstance(request, ConvTranspose):
        cropped = "" if request.padding.none else " − pads"
        extra = " + output padding" if any(request.output_padding) or request.sized else ""
        output = f"output = (input − 1)·stride + {window}{cropped}{extra}"
        total = f"max({window} − stride, 0)"
    else:
        ceil = isinstance(request, Pool) and request.ceil_mode
        left, right = "⌈⌉" if ceil else "⌊⌋"
        rest = ", but for a last window that would start in the padding after it" if ceil else ""
        output = f"output = {left}(input{padded} − {window}) / stride{right} + 1{rest}"
        total = f"max((⌈input / stride⌉ − 1)·stride + {window} − input, 0)"
    if word == "causal":
        return (f"'causal' pads {window} − 1 before and nothing after", output)
    if not odd:
        return (output,)
    return (f"'{word}' pads {total} in all, half on each side, an odd one {odd}", output)


def _positions(request: Request, axis: Axis, shown: _Shown) -> Iterator[Step]:
    """How often a window fits."""
    yield from _effective(axis)
    word = request.padding.word
    if word in ("same", "same_lower"):
        count = -(-axis.size // axis.stride)
        yield Step("positions", (f"⌈{axis.size} / {axis.stride}⌉",), count)
        need = f"({count} − 1)·{axis.stride} + {_span(axis)} − {axis.size}"
        yield from _split(f"max({need}, 0)", axis.pads, word == "same_lower")
    if word == "causal":
        yield Step("pad before", (f"{_span(axis)} − 1",), axis.pads[0])
    padded = axis.size + sum(axis.pads)
    text = str(axis.size) + (_plus(axis.pads[0]) + _plus(axis.pads[1])) * shown.pads
    if isinstance(request, Pool) and request.padding_value is not None and shown.pads:
        yield Step("padded", (text,), padded, f"padded by hand with {request.padding_value:g}")
        text, axis = str(padded), replace(axis, size=padded, pads=(0, 0))
    ceil = isinstance(request, Pool) and request.ceil_mode
    yield from (_ceil if ceil else _floor)(axis, text)


def _shared(request: Request, axis: Axis, shown: _Shown) -> Iterator[Step]:
    """How windows share the axis."""
    size, count = axis.size, axis.output
    if count == 1:
        remark = f"one window of all {size} elements" if size > 1 else "its only element"
    elif size % count == 0:
        yield Step("window", (f"{size} / {count}",), size // count)
        remark = "windows side by side"
    else:
        windows = geometry.adaptive_windows(size, count)
        told = [str(a) if b - a == 1 else f"{a}–{b - 1}" for a, b in windows[:LISTED]]
        rest = ", …" if count > LISTED else ""
        remark = f"windows that overlap: the elements {', '.join(told)}{rest}"
        if count > size:
            remark = f"windows that repeat: the elements {', '.join(told)}{rest}"
    yield Step("output", (), count, remark)


def _floor(axis: Axis, padded: str) -> Iterator[Step]:
    size, span = axis.size + sum(axis.pads), _span(axis)
    formulas = _quotients(padded, size, axis, "⌊⌋")
    if size >= span:
        yield Step("output", formulas, axis.output)
        return
    remark = f"a window of {span} does not fit into {size}"
    yield Step("output", tuple(f"max({text}, 0)" for text in formulas), axis.output, remark)


def _ceil(axis: Axis, padded: str) -> Iterator[Step]:
    size, stride = axis.size + sum(axis.pads), axis.stride
    room = size - _span(axis)
    count = -(-room // stride) + 1
    formulas = _quotients(padded, size, axis, "⌈⌉")
    if count == axis.output and room % stride == 0:
        yield Step("output", formulas, count, "the windows fit: ceil mode adds none")
        return
    yield Step("windows", formulas, count)
    end = axis.size + axis.pads[0] + min(axis.pads[1], 0)
    kept = count == axis.output
    remark = f"{'before' if kept else 'not before'} {end}, the end of the input"
    yield Step("last start", (f"({_number(count)} − 1)·{stride}",), (count - 1) * stride, remark)
    if kept:
        yield Step("output", (), count, "with the last window, which overhangs")
    else:
        text = f"{_number(count)} − 1"
        formula = text if count >= 1 else f"max({text}, 0)"
        yield Step("output", (formula,), axis.output, "without the last window")


def _quotients(padded: str, size: int, axis: Axis, brackets: str) -> tuple[str, ...]:
    """The number of positions on ``size`` elements, ``padded`` in text, first in all its terms."""
    text, room = padded + _minus(_span(axis)), _number(size - _span(axis))
    if axis.stride == 1:
        return (f"{text} + 1",)
    left, right = brackets[0], brackets[1]
    whole = f"{left}({text}) / {axis.stride}{right} + 1"
    return whole, f"{left}{room} / {axis.stride}{right} + 1"


def _transposed(request: Request, axis: Axis, shown: _Shown) -> Iterator[Step]:
    """How far the spread-out windows reach."""
    yield from _effective(axis)
    word = request.padding.word
    if word in ("same", "same_lower"):
        reach = f"{_span(axis)} − {axis.stride}"
        yield from _split(f"max({reach}, 0)", axis.pads, word == "same_lower")
        if shown.extra:
            rest = f"max({axis.stride} − {_span(axis)}, 0)"
            yield Step("output padding", (rest,), axis.output_padding)
    if axis.size == 0:
        yield Step("output", (), axis.output, "there is no element to spread")
        return
    rest = _plus(_span(axis))
    rest += (_minus(axis.pads[0]) + _minus(axis.pads[1])) * shown.pads
    sized = isinstance(request, ConvTranspose) and request.sized
    rest += _plus(axis.output_padding) * (shown.extra and not sized)
    spread = (axis.size - 1) * axis.stride
    formulas = f"({axis.size} − 1)·{axis.stride}{rest}", f"{spread}{rest}"
    if not sized:
        yield Step("output", formulas, axis.output)
        return
    smallest = axis.output - axis.output_padding
    yield Step("smallest output", formulas, smallest)
    least = _number(smallest) if smallest >= 0 else f"({_number(smallest)})"
    yield Step("output padding", (f"{axis.output} − {least}",), axis.output_padding)
    yield Step("output", (f"{_number(smallest)} + {axis.output_padding}",), axis.output)


def _effective(axis: Axis) -> Iterator[Step]:
    if axis.dilation > 1 and axis.window > 1:
        formula = f"({axis.window} − 1)·{axis.dilation} + 1"
        yield Step("effective window", (formula,), _span(axis))


def _split(formula: str, pads: Pair, lower: bool) -> Iterator[Step]:
    """The total padding and its two sides."""
    total, small, large = sum(pads), min(pads), max(pads)
    yield Step("total padding", (formula,), total)
    halves = [
        Step("pad before", (f"⌊{total} / 2⌋",), small),
        Step("pad after", (f"{total} − {small}",), large),
    ]
    if lower:
        names = ("pad after", "pad before")
        halves = [replace(half, name=name) for half, name in zip(halves, names)]
    yield from halves


def _dilated(request: Request) -> bool:
    return any(d > 1 and k > 1 for d, k in zip(request.dilation, request.window))


def _span(axis: Axis) -> int:
    return geometry.effective_window(axis.window, axis.dilation)


def _plus(value: int) -> str:
    return f" {'−' if value < 0 else '+'} {abs(value)}"


def _minus(value: int) -> str:
    return f" {'+' if value < 0 else '−'} {abs(value)}"


def _number(value: int) -> str:
    return f"−{-value}" if value < 0 else str(value)
