"""How TensorFlow is called: the poolings of ``tf.nn``.

Source: https://www.tensorflow.org/api_docs/python/tf/nn. An average under 'SAME' leaves the padding
out of the count, indices of maxima count the channels.
"""

from __future__ import annotations

from typing import Any

from conformance.translation.calls import CallError
from conformance.translation.reading import Draft, Fields
from conformance.translation.signatures import (
    Dilation,
    Ignored,
    PaddingSides,
    PaddingWord,
    Stride,
    Tensor,
    Unsaid,
    Window,
    Windows,
    Word,
)

from .formats import Format, length


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
    of = Format(draft, data_format, *said)
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
    count = length(ksize)
    if count is None or count == 3:
        return None
    return count if count == 2 else count - 2


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


def max_pool_with_argmax(
    draft: Draft,
    input: Tensor,
    ksize: Window,
    strides: Stride,
    padding: PaddingWord,
    data_format: Word = "NHWC",
    output_dtype: Ignored = None,
    include_batch_in_index: Unsaid = False,
    name: Ignored = None,
) -> Fields:
    """``tf.nn.max_pool_with_argmax``, of which the indices are taken."""
    data = draft.shapes.input
    if data is None or data[1:2] != (1,):
        raise CallError(
            "its indices count the channels, too; --input with a single channel is translated"
        )
    draft.note("of the call's two results the indices are taken")
    of = Format(draft, data_format)
    return draft.pool(
        "max_pool_indices",
        of.axes(ksize, "window"),
        stride=of.axes(strides, "stride"),
        padding=of.padding(padding),
    )
