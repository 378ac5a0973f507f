"""How TensorFlow is called: the signatures of ``tf.nn``.

Source: https://www.tensorflow.org/api_docs/python/tf/nn. A padding word is that of the forward
convolution; an average under 'SAME' leaves the padding out of the count. A data format of None
stands for channels last.
"""

from __future__ import annotations

from typing import Any

from conformance import geometry
from conformance.geometry import effective_window, transposed_same
from conformance.translation.calls import CallError
from conformance.translation.reading import Draft, Fields, transposed_ends
from conformance.translation.signatures import (
    Dilation,
    Ignored,
    OutputShape,
    PaddingSides,
    PaddingWord,
    Stride,
    Strides,
    Table,
    Tensor,
    Window,
    Windows,
    Word,
)

WORDS = {"SAME": "same", "VALID": "valid"}
FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


class _Format:
    """Where the spatial axes are among all axes."""

    def __init__(self, draft: Draft, data_format: str | None, *said: int | None) -> None:
        known = {name: rank for rank, names in FORMATS.items() for name in names}
        if data_format is not None and data_format not in known:
            raise CallError(f"there are {', '.join(known)}", about="data_format")
        rank = draft.settle(known[data_format] if data_format else None, *said)
        if data_format is not None and known[data_format] != rank:
            raise CallError(f"{draft.name} takes {' or '.join(FORMATS[rank])}", about="data_format")
        self.draft, self.rank = draft, rank
        self.first = data_format is not None and data_format[1] == "C"
        if self.first:
            draft.note("the call's arrays are channels first")

    def inner(self, values: Any) -> Any:
        """The entries of the spatial axes, of values for all axes."""
        return values[2:] if self.first else values[1:-1]

    def outer(self, values: Any) -> tuple[Any, Any]:
        """The entries of batch and channels."""
        return values[0], values[1 if self.first else -1]

    def axes(self, values: Any, about: str, default: int = 1) -> tuple[int, ...]:
        """A number for all axes, one per spatial axis, or one per axis of the tensor."""
        values = default if values is None else values
        if isinstance(values, tuple) and len(values) == self.rank + 2:
            if self.outer(values) != (1, 1):
                raise CallError("batch and channels are given 1", about=about)
            values = self.inner(values)
        if isinstance(values, tuple) and len(values) == 1:
            values = values[0]
        return self.draft.axes(values, about)

    def padding(self, padding: Any) -> Any:
        """The padding in a case's words."""
        if isinstance(padding, str):
            if padding not in WORDS:
                raise CallError("there are 'SAME' and 'VALID'", about="padding")
            return WORDS[padding]
        if len(padding) != self.rank + 2 or self.outer(padding) != ((0, 0), (0, 0)):
            message = "a pair per axis is needed, (0, 0) for batch and channels"
            raise CallError(message, about="padding")
        return self.inner(padding)


def _conv(
    draft: Draft,
    strides: Any,
    padding: Any,
    data_format: Any,
    dilations: Any,
    *said: int | None,
) -> Fields:
    of = _Format(draft, data_format, *said)
    return draft.kernel(
        "conv",
        groups=_groups(draft),
        stride=of.axes(strides, "stride"),
        padding=of.padding(padding),
        dilation=of.axes(dilations, "dilation"),
    )


def _groups(draft: Draft) -> int:
    """TensorFlow has no argument for groups: the channels of input and kernel say how many."""
    data, kernel = draft.shapes.input, draft.shapes.kernel
    if data is None or kernel is None or min(len(data), len(kernel)) < 2 or not kernel[1]:
        return 1
    return data[1] // kernel[1] if data[1] and data[1] % kernel[1] == 0 else 1


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, tuple) and len(value) > 1 else None


def conv1d(
    draft: Draft,
    input: Tensor,
    filters: Tensor,
    stride: Stride,
    padding: PaddingWord,
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.conv1d``."""
    return _conv(draft, stride, padding, data_format, dilations)


def conv2d(
    draft: Draft,
    input: Tensor,
    filters: Tensor,
    strides: Stride,
    padding: PaddingSides,
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.conv2d``."""
    return _conv(draft, strides, padding, data_format, dilations)


def conv3d(
    draft: Draft,
    input: Tensor,
    filters: Tensor,
    strides: Strides,
    padding: PaddingWord,
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.conv3d``."""
    return _conv(draft, strides, padding, data_format, dilations)


def convolution(
    draft: Draft,
    input: Tensor,
    filters: Tensor,
    strides: Stride = None,
    padding: PaddingWord = "VALID",
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.convolution``."""
    lengths = _length(strides), _length(dilations)
    return _conv(draft, strides, padding, data_format, dilations, *lengths)


def depthwise_conv2d(
    draft: Draft,
    input: Tensor,
    filter: Tensor,
    strides: Strides,
    padding: PaddingSides,
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.depthwise_conv2d``."""
    of = _Format(draft, data_format)
    data, kernel = draft.shapes.input, draft.shapes.kernel
    channels = data[1] if data is not None and len(data) > 1 else 0
    return draft.kernel(
        "conv",
        groups=None,
        multiplier=max(kernel[0] // channels, 1) if kernel and channels else 1,
        stride=of.axes(strides, "stride"),
        padding=of.padding(padding),
        dilation=of.axes(dilations, "dilation"),
    )


def _transpose(
    draft: Draft, output_shape: Any, strides: Any, padding: Any, data_format: Any, dilations: Any
) -> Fields:
    of = _Format(draft, data_format, len(output_shape) - 2)
    if len(output_shape) != of.rank + 2:
        raise CallError("the sizes of all axes are needed", about="output_padding")
    batch, features = of.outer(output_shape)
    sizes = of.inner(output_shape)
    stride, dilation = of.axes(strides, "stride"), of.axes(dilations, "dilation")
    kernel = draft.kernel_shape("conv_transpose")
    spans = [*map(effective_window, kernel[2:], dilation)]
    word = of.padding(padding)
    if word == "same":
        pads = [geometry.same_pads(*each, 1) for each in zip(sizes, spans, stride)]
    else:
        pads = [(0, 0)] * of.rank if word == "valid" else [(low, high) for low, high in word]
    counts = [
        geometry.output_size(size, span, step, 1, pair)
        for size, span, step, pair in zip(sizes, spans, stride, pads)
    ]
    _fill_input(draft, (batch, kernel[0], *counts))
    rests = [
        size - geometry.transposed_output_size(count, span, step, 1, pair, 0)
        for size, count, span, step, pair in zip(sizes, counts, spans, stride, pads)
    ]
    options: Fields = {"stride": stride, "dilation": dilation}
    own = [transposed_same(k, s, d) for k, s, d in zip(kernel[2:], stride, dilation)]
    if word == "same" and own == [*zip(pads, rests)]:
        options["padding"] = "same"
    else:
        ends = [(low, high - rest) for (low, high), rest in zip(pads, rests)]
        pairs, extras = transposed_ends(ends, stride, dilation)
        options |= {"padding": pairs, "output_padding": extras if any(extras) else None}
    groups = max(features // kernel[1], 1) if kernel[1] else 1
    return draft.kernel("conv_transpose", features=features, groups=groups, **options)


def _fill_input(draft: Draft, shape: tuple[int, ...]) -> None:
    """Note the input that an output's shape leads back to.

    Raises:
        CallError: another one is given, or there is none.
    """
    if 0 in shape[2:]:
        message = "no input leads to this shape; make it as large as the kernel"
        raise CallError(message, about="output_padding")
    given = draft.shapes.input
    if given is not None and (given[0], *given[2:]) != (shape[0], *shape[2:]):
        text = ",".join(map(str, shape))
        raise CallError(f"it belongs to --input {text}", about="output_padding")
    draft.fill(given or shape)


def conv_transpose(
    draft: Draft,
    input: Tensor,
    filters: Tensor,
    output_shape: OutputShape,
    strides: Stride,
    padding: PaddingWord = "SAME",
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.conv1d_transpose``, in 3-D, and ``tf.nn.conv_transpose``."""
    return _transpose(draft, output_shape, strides, padding, data_format, dilations)


def conv2d_transpose(
    draft: Draft,
    input: Tensor,
    filters: Tensor,
    output_shape: OutputShape,
    strides: Stride,
    padding: PaddingSides = "SAME",
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.conv2d_transpose``."""
    return _transpose(draft, output_shape, strides, padding, data_format, dilations)


def _pool(
    draft: Draft,
    kind: str,
    window: Any,
    strides: Any,
    padding: Any,
    data_format: Any,
    dilations: Any = None,
    *said: int | None,
) -> Fields:
    of = _Format(draft, data_format, *said)
    dilation = of.axes(dilations, "dilation")
    if padding == "SAME" and max(dilation) > 1:
        raise CallError("tf.nn.pool has no 'SAME' with dilations", about="padding")
    return draft.pool(
        f"{kind}_pool",
        of.axes(window, "window"),
        stride=of.axes(strides, "stride"),
        padding=of.padding(padding),
        dilation=dilation,
        count_include_pad=False if kind == "avg" and padding == "SAME" else None,
    )


def pool_by_word(
    draft: Draft,
    input: Tensor,
    ksize: Window,
    strides: Stride,
    padding: PaddingWord,
    data_format: Word = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.avg_pool2d``: the average, and the maximum in 3-D, have no explicit padding."""
    return pool_by_sides(draft, input, ksize, strides, padding, data_format)


def pool_by_sides(
    draft: Draft,
    input: Tensor,
    ksize: Window,
    strides: Stride,
    padding: PaddingSides,
    data_format: Word = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.max_pool2d``."""
    kind = "max" if "max" in draft.name else "avg"
    said = _window_rank(ksize) if draft.rank is None and data_format is None else None
    return _pool(draft, kind, ksize, strides, padding, data_format, None, said)


def _window_rank(ksize: Any) -> int | None:
    """The number of axes where a window says it: three entries may be 1-D's all or 3-D's inner."""
    length = _length(ksize)
    if length is None or length == 3:
        return None
    return length if length == 2 else length - 2


def pool(
    draft: Draft,
    input: Tensor,
    window_shape: Windows,
    pooling_type: Word,
    strides: Stride = None,
    padding: PaddingWord = "VALID",
    data_format: Word = None,
    dilations: Dilation = None,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.pool``."""
    if pooling_type not in ("MAX", "AVG"):
        raise CallError("there are 'MAX' and 'AVG'", about="pooling_type")
    kind, rank = pooling_type.lower(), len(window_shape)
    return _pool(draft, kind, window_shape, strides, padding, data_format, dilations, rank)


CALLS = Table(
    ("tf.nn", "nn", "tensorflow.nn"),
    {
        "conv1d": conv1d,
        "conv2d": conv2d,
        "conv3d": conv3d,
        "convolution": convolution,
        "depthwise_conv2d": depthwise_conv2d,
        "conv1d_transpose": conv_transpose,
        "conv2d_transpose": conv2d_transpose,
        "conv3d_transpose": conv_transpose,
        "conv_transpose": conv_transpose,
        "max_pool": pool_by_sides,
        "max_pool1d": pool_by_sides,
        "max_pool2d": pool_by_sides,
        "max_pool3d": pool_by_word,
        "avg_pool": pool_by_word,
        "avg_pool{rank}d": pool_by_word,
        "pool": pool,
    },
    {
        "max_pool_with_argmax": "it gives indices as well; use tf.nn.max_pool2d",
        "separable_conv2d": "it is two convolutions; translate each",
        "fractional_max_pool": "its windows are random",
        "fractional_avg_pool": "its windows are random",
    },
)
