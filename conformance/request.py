"""Requests: what one case asks of a framework, with every default and 'same' resolved.

A request holds shapes and options, never data. Its layout is canonical: inputs are ``(N, C,
*spatial)``, convolution kernels ``(O, C / groups, *window)``, transposed-convolution kernels
``(C, O / groups, *window)``. Standard library only: requests travel to the workers as JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args

from conformance import geometry
from conformance.geometry import Pair
from conformance.promotion import promoted

PoolOp = Literal[
    "max_pool",
    "avg_pool",
    "lp_pool",
    "max_pool_indices",
    "adaptive_max_pool",
    "adaptive_avg_pool",
    "global_max_pool",
    "global_avg_pool",
]
Op = Literal["conv", "conv_transpose", PoolOp]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
View = Literal["batch", "width"]
PaddingWord = Literal["same", "same_lower", "valid", "causal", "explicit"]
POOLS: tuple[PoolOp, ...] = get_args(PoolOp)
OPS: tuple[str, ...] = ("conv", "conv_transpose", *POOLS)
ADAPTIVE_POOLS: tuple[PoolOp, ...] = POOLS[4:]


@dataclass(frozen=True)
class Padding:
    """Elements added before and after each spatial axis; negative ones crop.

    ``pairs`` is what the request means, ``word`` how the case said it: an adapter may write the
    framework's own word, and the meaning stays the suite's.
    """

    pairs: tuple[Pair, ...]
    word: PaddingWord = "explicit"
    mode: PaddingMode = "zeros"

    @property
    def symmetric(self) -> tuple[int, ...] | None:
        """One number per axis, or None where the two sides differ."""
        if any(low != high for low, high in self.pairs):
            return None
        return tuple(low for low, _ in self.pairs)

    @property
    def none(self) -> bool:
        """Whether nothing is padded or cropped."""
        return not any(low or high for low, high in self.pairs)

    @property
    def negative(self) -> bool:
        """Whether some side is cropped."""
        return any(low < 0 or high < 0 for low, high in self.pairs)

    @property
    def last_axis_first(self) -> tuple[int, ...]:
        """Flat ``(low, high)`` pairs beginning with the last axis, as ``torch`` pads."""
        return tuple(side for pair in reversed(self.pairs) for side in pair)


@dataclass(frozen=True)
class _Windowed:
    """What convolution and pooling share: a window that slides over an input.

    ``unbatched`` says that the framework gets and gives arrays without the axis N, which is one
    image here. ``dtype`` is the input's; a kernel's may differ from it.
    """

    input_shape: tuple[int, ...]
    padding: Padding
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    dtype: str
    unbatched: bool = field(default=False, kw_only=True)

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.input_shape) - 2

    @property
    def spatial(self) -> tuple[int, ...]:
        """Sizes of the input's spatial axes."""
        return self.input_shape[2:]

    @property
    def channels(self) -> int:
        """Number of input channels."""
        return self.input_shape[1]

    @property
    def result_dtype(self) -> str:
        """The output's dtype, which is the bias' as well."""
        return self.dtype

    def dtype_of(self, name: str) -> str:
        """The dtype of x, w, b, y or of the gradient of one of them."""
        return {"x": self.dtype}.get(name, self.result_dtype)


@dataclass(frozen=True)
class _Kerneled(_Windowed):
    """What convolutions share: a kernel, which may have a dtype of its own."""

    kernel_dtype: str | None = field(default=None, kw_only=True)

    @property
    def mixed(self) -> bool:
        """Whether input and kernel differ in their dtype."""
        return self.kernel_dtype not in (None, self.dtype)

    @property
    def result_dtype(self) -> str:
        """The output's dtype, that of input and kernel together."""
        return promoted(self.dtype, self.kernel_dtype or self.dtype)

    def dtype_of(self, name: str) -> str:
        """The dtype of x, w, b, y or of the gradient of one of them."""
        return self.kernel_dtype or self.dtype if name == "w" else super().dtype_of(name)


@dataclass(frozen=True)
class Conv(_Kerneled):
    """Cross-correlation with a kernel of shape ``(O, C / groups, *window)``.

    ``flipped`` is what mathematics calls convolution: the kernel is read from its end, along every
    spatial axis. No case asks for it; a spelling may be it.
    """

    kernel_shape: tuple[int, ...]
    groups: int = 1
    bias: bool = False
    flipped: bool = False
    op: Op = "conv"

    @property
    def window(self) -> tuple[int, ...]:
        """The kernel's spatial sizes."""
        return self.kernel_shape[2:]

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return self.kernel_shape[0]

    @property
    def depthwise(self) -> bool:
        """Whether each input channel has kernels of its own."""
        return self.groups == self.channels and self.groups > 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape ``(N, O, *positions)``."""
        return (self.input_shape[0], self.out_channels, *_positions(self))


@dataclass(frozen=True)
class ConvTranspose(_Kerneled):
    """The adjoint of `Conv` with respect to its input; kernel ``(C, O / groups, *window)``.

    ``sized`` says that the case named the output's size, from which the output padding follows.
    """

    kernel_shape: tuple[int, ...]
    output_padding: tuple[int, ...]
    groups: int = 1
    bias: bool = False
    sized: bool = False
    op: Op = "conv_transpose"

    @property
    def window(self) -> tuple[int, ...]:
        """The kernel's spatial sizes."""
        return self.kernel_shape[2:]

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return self.kernel_shape[1] * self.groups

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape ``(N, O, *sizes)``."""
        sizes = map(
            geometry.transposed_output_size,
            self.spatial,
            self.window,
            self.stride,
            self.dilation,
            self.padding.pairs,
            self.output_padding,
        )
        return (self.input_shape[0], self.out_channels, *sizes)


@dataclass(frozen=True)
class Pool(_Windowed):
    """A reduction of each channel over windows: maximum, its index, average, or L^p norm.

    ``padding_value`` is None for the operator's own padding (minus infinity for the maximum,
    zero for the others); a number says that the input is padded by hand with that value before
    a pooling without padding. ``divisor`` replaces the number that averages divide by. ``norm``
    is the p of the L^p norm. The index of a maximum counts the elements of its channel's
    unpadded input in row-major order.

    An adaptive pooling has an ``output_size``, and windows as `geometry.adaptive_windows` says;
    its ``window`` is the largest of them, and stride and dilation mean nothing. A global one is
    adaptive with one position.
    """

    window: tuple[int, ...]
    ceil_mode: bool = False
    count_include_pad: bool = True
    padding_value: float | None = None
    divisor: int | None = None
    norm: float = 2.0
    output_size: tuple[int, ...] | None = None
    op: PoolOp = "max_pool"

    @property
    def kind(self) -> Literal["max", "avg", "lp"]:
        """Which reduction."""
        if self.op == "lp_pool":
            return "lp"
        return "max" if "max" in self.op else "avg"

    @property
    def indices(self) -> bool:
        """Whether the output is where the maxima are."""
        return self.op == "max_pool_indices"

    @property
    def result_dtype(self) -> str:
        """The output's dtype; indices are int64."""
        return "int64" if self.indices else self.dtype

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape ``(N, C, *positions)``."""
        if self.output_size is not None:
            return (*self.input_shape[:2], *self.output_size)
        by_hand = self.ceil_mode and self.padding_value is not None
        request = _with_padded_input(self) if by_hand else self
        return (*self.input_shape[:2], *_positions(request, self.ceil_mode))


Request = Union[Conv, ConvTranspose, Pool]


def input_shapes(request: Request) -> dict[str, tuple[int, ...]]:
    """Shapes of the request's inputs x, w, b, as many as it has, by name."""
    shapes = {"x": request.input_shape}
    if not isinstance(request, Pool):
        shapes["w"] = request.kernel_shape
        if request.bias:
            shapes["b"] = (request.out_channels,)
    return shapes


def _positions(request: Conv | Pool, ceil_mode: bool = False) -> tuple[int, ...]:
    return tuple(
        geometry.output_size(size, window, stride, dilation, pads, ceil_mode)
        for size, window, stride, dilation, pads in zip(
            request.spatial,
            request.window,
            request.stride,
            request.dilation,
            request.padding.pairs,
        )
    )


def _with_padded_input(request: Pool) -> Pool:
    """The pooling that is left once the input is padded by hand."""
    pairs = request.padding.pairs
    sizes = (size + low + high for size, (low, high) in zip(request.spatial, pairs))
    return dataclasses.replace(
        request,
        input_shape=(*request.input_shape[:2], *sizes),
        padding=Padding(((0, 0),) * len(pairs)),
    )


def to_json(request: Request) -> dict[str, Any]:
    """The request as JSON values; `from_json` is the inverse."""
    return dataclasses.asdict(request)


def from_json(fields: Mapping[str, Any]) -> Request:
    """The request that `to_json` wrote."""
    values = {key: _tuples(value) for key, value in fields.items()}
    values["padding"] = Padding(**values["padding"])
    if fields["op"] == "conv":
        return Conv(**values)
    if fields["op"] == "conv_transpose":
        return ConvTranspose(**values)
    return Pool(**values)


def _tuples(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, Mapping):
        return {key: _tuples(item) for key, item in value.items()}
    return value
