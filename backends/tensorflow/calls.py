"""How TensorFlow is called: the signatures of ``tf.nn``.

Source: https://www.tensorflow.org/api_docs/python/tf/nn. A padding word is that of the forward
convolution. A data format of None stands for channels last.
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
    Word,
)

from .formats import Format, length
from .pool_calls import max_pool_with_argmax, pool, pool_by_sides, pool_by_word


def _conv(
    draft: Draft,
    strides: Any,
    padding: Any,
    data_format: Any,
    dilations: Any,
    *said: int | None,
) -> Fields:
    of = Format(draft, data_format, *said)
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
    lengths = length(strides), length(dilations)
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
    of = Format(draft, data_format)
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
    of = Format(draft, data_format, len(output_shape) - 2)
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
        "max_pool_with_argmax": max_pool_with_argmax,
        "avg_pool": pool_by_word,
        "avg_pool{rank}d": pool_by_word,
        "pool": pool,
    },
    {
        "separable_conv2d": "it is two convolutions; translate each",
        "fractional_max_pool": "its windows are random",
        "fractional_avg_pool": "its windows are random",
    },
)
