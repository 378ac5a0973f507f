"""What a call asks, as the fields of a case: shapes that it does not say are filled in here.

Used in the workers, by the readers of the backends' calls: `Draft` is what a reader is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.geometry import Pair, effective_window
from conformance.translation.calls import CallError

SIZE, LARGEST_SIZE = 32, 4096
CHANNELS = 3
AXES = {1: "W", 2: "H,W", 3: "D,H,W"}
Fields = dict[str, Any]


@dataclass(frozen=True)
class Shapes:
    """What is known besides the call: shapes in the suite's canonical order.

    The input is (N, C, spatial sizes), the kernel (O, C / groups, window), that of a transposed
    convolution (C, O / groups, window).
    """

    input: tuple[int, ...] | None = None
    kernel: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Place:
    """An argument's name, and its column where the call writes it."""

    name: str
    column: int | None = None


@dataclass(frozen=True)
class Reading:
    """What a call asks.

    ``fields`` are those of a case, as a case file would say them; ``places`` the arguments that
    say them; ``notes`` what a reader of the result should know.
    """

    api: str
    fields: Fields
    places: Mapping[str, Place]
    notes: tuple[str, ...] = ()


@dataclass
class Draft:
    """A request in the making.

    ``rank`` is the number of spatial axes that the function's name says; `settle` finds it where
    the name does not.
    """

    name: str
    rank: int | None
    shapes: Shapes
    notes: list[str] = field(default_factory=list)

    def settle(self, *said: int | None) -> int:
        """The number of spatial axes: what the arguments ``said``, or what the shapes say.

        Raises:
            CallError: nothing says it, or it is not 1, 2 or 3.
        """
        known = [self.rank, *said]
        known += [len(shape) - 2 for shape in (self.shapes.kernel, self.shapes.input) if shape]
        rank = next((each for each in known if each is not None), None)
        if rank is None:
            raise CallError(f"how many axes {self.name} works on is not in the call; use --input")
        if rank not in AXES:
            raise CallError(f"1 to 3 spatial axes are needed, {self.name} is given {rank}")
        self.rank = rank
        return rank

    def axes(self, value: int | tuple[int, ...], about: str) -> tuple[int, ...]:
        """One number per spatial axis; ``about`` is the field that the value is for.

        Raises:
            CallError: there are more or fewer.
        """
        rank = self.settle()
        if isinstance(value, int):
            return (value,) * rank
        if len(value) != rank:
            raise CallError(f"one number per spatial axis is needed, {rank}", about=about)
        return value

    def kernel(
        self,
        op: str,
        *,
        window: int | tuple[int, ...] | None = None,
        channels: int | None = None,
        features: int | None = None,
        groups: int | None = 1,
        multiplier: int = 1,
        **options: Any,
    ) -> Fields:
        """The fields of a convolution: what the call leaves open comes from `Shapes`.

        ``groups`` None means one per channel, each with ``multiplier`` outputs. ``options`` are
        the other fields, None where the call leaves them at the suite's own default.

        Raises:
            CallError: the kernel's shape is neither in the call nor given, or both disagree.
        """
        rank = self.settle()
        given = self._shape("kernel", _order(op))
        sizes = None if window is None else self.axes(window, "kernel")
        if given is not None:
            said = (*_channel_sizes(op, channels, features, groups), *(sizes or (None,) * rank))
            if any(here is not None and here != there for here, there in zip(said, given)):
                text = ",".join("…" if here is None else str(here) for here in said)
                raise CallError(f"--kernel is {_commas(given)}, the call's is {text}")
            sizes = given[2:]
        sizes = self.kernel_shape(op)[2:] if sizes is None else sizes
        whole = self._shape("input", "N,C")
        if channels is not None and whole is not None and channels != whole[1]:
            raise CallError(f"--input has {whole[1]} channels, the call {channels}")
        if channels is None:
            channels = self._channels(op, whole, given, groups, multiplier)
        if groups is None:
            groups, features = channels, multiplier * channels
        if given is None:
            first, second = _channel_sizes(op, channels, features, groups)
            assert first is not None and second is not None
            given = (first, second, *sizes)
        fields = {"kernel": {"shape": list(given)}, **_given(options)}
        if groups > 1:
            fields["groups"] = groups
        return self._fields(op, whole, channels, sizes, fields)

    def kernel_shape(self, op: str) -> tuple[int, ...]:
        """The kernel's shape where the call does not say it.

        Raises:
            CallError: it is not given, or has more or fewer axes.
        """
        shape = self._shape("kernel", _order(op))
        if shape is None:
            wanted = f"--kernel {_order(op)},{AXES[self.settle()]}"
            raise CallError(f"the kernel's shape is not in the call; add {wanted}")
        return shape

    def pool(self, op: str, window: int | tuple[int, ...], **options: Any) -> Fields:
        """The fields of a pooling; ``options`` as in `kernel`.

        Raises:
            CallError: the window does not fit the number of axes.
        """
        self.settle()
        sizes = self.axes(window, "window")
        whole = self._shape("input", "N,C")
        fields = {"window": list(sizes), **_given(options)}
        if op == "max_pool":
            fields.pop("count_include_pad", None)
        return self._fields(op, whole, whole[1] if whole else CHANNELS, sizes, fields)

    def adaptive(self, op: str, **options: Any) -> Fields:
        """The fields of an adaptive or global pooling; ``options`` as in `kernel`.

        Raises:
            CallError: the input does not have the number of axes.
        """
        rank, whole = self.settle(), self._shape("input", "N,C")
        channels = whole[1] if whole else CHANNELS
        return self._fields(op, whole, channels, (1,) * rank, _given(options))

    def adapted(self, kind: str, sizes: int | tuple[int | None, ...] | None) -> Fields:
        """The fields of a pooling of ``kind`` to ``sizes`` positions, None where all are kept.

        One position on every axis is global pooling.

        Raises:
            CallError: the sizes do not fit the number of axes.
        """
        rank = self.settle()
        several = sizes if isinstance(sizes, tuple) else (sizes,) * rank
        if len(several) != rank:
            raise CallError(f"one number per spatial axis is needed, {rank}", about="output_size")
        whole = self._shape("input", "N,C")
        fields = self._fields("", whole, whole[1] if whole else CHANNELS, (1,) * rank, {})
        spatial = fields["input"]["shape"][2:]
        counts = [own if size is None else size for size, own in zip(several, spatial)]
        if set(counts) == {1}:
            return {**fields, "op": f"global_{kind}_pool"}
        return {**fields, "op": f"adaptive_{kind}_pool", "output_size": counts}

    def fill(self, shape: tuple[int, ...]) -> None:
        """Take an input's shape from the call."""
        self.shapes = replace(self.shapes, input=shape)

    def note(self, text: str) -> None:
        """Say something about the result, once."""
        if text not in self.notes:
            self.notes.append(text)

    def _channels(
        self,
        op: str,
        whole: tuple[int, ...] | None,
        given: tuple[int, ...] | None,
        groups: int | None,
        multiplier: int,
    ) -> int:
        """Input channels that the call does not say."""
        if whole is not None:
            return whole[1]
        if given is None:
            return CHANNELS if groups in (1, None) else 2 * (groups or 1)
        if op == "conv_transpose":
            return given[0]
        return given[0] // multiplier if groups is None else given[1] * groups

    def _fields(
        self,
        op: str,
        whole: tuple[int, ...] | None,
        channels: int,
        window: Sequence[int],
        fields: Fields,
    ) -> Fields:
        """The fields with an input: the given one, or one on which the window fits."""
        if whole is None:
            dilation = self.axes(_tupled(fields.get("dilation", 1)), "dilation")
            spans = map(effective_window, window, dilation)
            sizes = (max(SIZE, span if span <= LARGEST_SIZE else 0) for span in spans)
            whole = (1, channels, *sizes)
            self.note(
                f"the call leaves the input open: {_commas(whole)} is taken, --input says another"
            )
        return {"op": op, "input": {"shape": list(whole)}, **fields}

    def _shape(self, which: str, first: str) -> tuple[int, ...] | None:
        shape: tuple[int, ...] | None = getattr(self.shapes, which)
        rank = self.settle()
        if shape is not None and len(shape) != rank + 2:
            wanted = f"{first},{AXES[rank]}"
            raise CallError(f"--{which} for {self.name} is {wanted}, not {_commas(shape)}")
        return shape


def transposed_ends(
    ends: Sequence[Pair], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[list[list[int]], list[int]]:
    """Padding and output padding from what a full transposed convolution loses at both ends.

    A negative number at the end appends. Where the start loses more, and output padding can say
    the difference (it is less than the stride or the dilation), it does: the padding is then
    symmetric, as most frameworks want it.
    """
    pairs, extras = [], []
    for (low, high), s, d in zip(ends, stride, dilation):
        extra = low - high if 0 < low - high < max(s, d) else 0
        pairs.append([low, high + extra])
        extras.append(extra)
    return pairs, extras


def _order(op: str) -> str:
    return "I,O" if op == "conv_transpose" else "O,I"


def _channel_sizes(
    op: str, channels: int | None, features: int | None, groups: int | None
) -> tuple[int | None, int | None]:
    """The first two sizes of a kernel, as far as they are known.

    Raises:
        CallError: the groups do not divide the channels.
    """
    if groups is None:
        return features, 1
    first, second = (channels, features) if op == "conv_transpose" else (features, channels)
    for number, title in ((channels, "input"), (features, "output")):
        if number is not None and number % groups:
            message = f"{groups} groups do not divide {number} {title} channels"
            raise CallError(message, about="groups")
    return first, None if second is None else second // groups


def _given(options: Mapping[str, Any]) -> Fields:
    """The options that say something, with lists for tuples as a file has them."""
    return {name: _listed(value) for name, value in options.items() if value is not None}


def _listed(value: Any) -> Any:
    return [_listed(each) for each in value] if isinstance(value, (tuple, list)) else value


def _tupled(value: int | Sequence[int]) -> int | tuple[int, ...]:
    return value if isinstance(value, int) else tuple(value)


def _commas(shape: Sequence[int]) -> str:
    return ",".join(map(str, shape))
