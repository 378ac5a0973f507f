"""How Keras is called: the signatures of ``keras.layers``.

Source: https://keras.io/api/layers/: padding is 'valid' or 'same', a pooling's stride is its
window, an average under 'same' leaves the padding out of the count.
"""

from __future__ import annotations

from typing import Any

from conformance.geometry import effective_window
from conformance.translation.calls import CallError
from conformance.translation.reading import Draft, Fields, transposed_ends
from conformance.translation.signatures import (
    Dilation,
    DType,
    Features,
    Flag,
    Groups,
    Ignored,
    InputShape,
    KernelSize,
    Multiplier,
    OutputPadding,
    OutputSize,
    PaddingWord,
    Stride,
    Table,
    Unsaid,
    Window,
    Word,
)
from conformance.translation.signatures import (
    dtype as dtype_name,
)

FORMATS = (None, "channels_last", "channels_first")


def _prepare(draft: Draft, padding: str, data_format: str | None, input_shape: Any) -> str:
    """The padding's word, once what the other options say is noted."""
    if data_format not in FORMATS:
        raise CallError("there are 'channels_last' and 'channels_first'", about="data_format")
    first = data_format == "channels_first"
    if first:
        draft.note("the call's arrays are channels first")
    if input_shape is not None and draft.shapes.input is None:
        sizes = input_shape if first else (input_shape[-1], *input_shape[:-1])
        draft.fill((1, *sizes))
    if padding.lower() not in ("valid", "same"):
        raise CallError("there are 'valid' and 'same'", about="padding")
    return padding.lower()


def _unmixed(draft: Draft, strides: Any, dilation: Any) -> None:
    if max(draft.axes(strides, "stride")) > 1 and max(draft.axes(dilation, "dilation")) > 1:
        raise CallError("Keras refuses strides together with dilations", about="dilation")


def conv(
    draft: Draft,
    filters: Features,
    kernel_size: KernelSize,
    strides: Stride = 1,
    padding: PaddingWord = "valid",
    data_format: Word = None,
    dilation_rate: Dilation = 1,
    groups: Groups = 1,
    activation: Unsaid = None,
    use_bias: Flag = True,
    kernel_initializer: Ignored = "glorot_uniform",
    bias_initializer: Ignored = "zeros",
    kernel_regularizer: Ignored = None,
    bias_regularizer: Ignored = None,
    activity_regularizer: Ignored = None,
    kernel_constraint: Ignored = None,
    bias_constraint: Ignored = None,
    *,
    name: Ignored = None,
    dtype: DType = None,
    trainable: Ignored = True,
    input_shape: InputShape = None,
) -> Fields:
    """``keras.layers.Conv2D``."""
    causal = draft.rank == 1 and padding.lower() == "causal"
    word = _prepare(draft, "valid" if causal else padding, data_format, input_shape)
    _unmixed(draft, strides, dilation_rate)
    return draft.kernel(
        "conv",
        window=kernel_size,
        features=filters,
        groups=groups,
        stride=strides,
        padding="causal" if causal else word,
        dilation=dilation_rate,
        bias=use_bias,
        dtype=dtype_name(dtype),
    )


def depthwise_conv(
    draft: Draft,
    kernel_size: KernelSize,
    strides: Stride = 1,
    padding: PaddingWord = "valid",
    depth_multiplier: Multiplier = 1,
    data_format: Word = None,
    dilation_rate: Dilation = 1,
    activation: Unsaid = None,
    use_bias: Flag = True,
    depthwise_initializer: Ignored = "glorot_uniform",
    bias_initializer: Ignored = "zeros",
    depthwise_regularizer: Ignored = None,
    bias_regularizer: Ignored = None,
    activity_regularizer: Ignored = None,
    depthwise_constraint: Ignored = None,
    bias_constraint: Ignored = None,
    *,
    name: Ignored = None,
    dtype: DType = None,
    trainable: Ignored = True,
    input_shape: InputShape = None,
) -> Fields:
    """``keras.layers.DepthwiseConv2D``."""
    return draft.kernel(
        "conv",
        window=kernel_size,
        groups=None,
        multiplier=depth_multiplier,
        stride=strides,
        padding=_prepare(draft, padding, data_format, input_shape),
        dilation=dilation_rate,
        bias=use_bias,
        dtype=dtype_name(dtype),
    )


def conv_transpose(
    draft: Draft,
    filters: Features,
    kernel_size: KernelSize,
    strides: Stride = 1,
    padding: PaddingWord = "valid",
    output_padding: OutputPadding = None,
    data_format: Word = None,
    dilation_rate: Dilation = 1,
    activation: Unsaid = None,
    use_bias: Flag = True,
    kernel_initializer: Ignored = "glorot_uniform",
    bias_initializer: Ignored = "zeros",
    kernel_regularizer: Ignored = None,
    bias_regularizer: Ignored = None,
    activity_regularizer: Ignored = None,
    kernel_constraint: Ignored = None,
    bias_constraint: Ignored = None,
    *,
    name: Ignored = None,
    dtype: DType = None,
    trainable: Ignored = True,
    input_shape: InputShape = None,
) -> Fields:
    """``keras.layers.Conv2DTranspose``."""
    word = _prepare(draft, padding, data_format, input_shape)
    _unmixed(draft, strides, dilation_rate)
    options = _transposed(draft, word, kernel_size, strides, dilation_rate, output_padding)
    return draft.kernel(
        "conv_transpose",
        window=kernel_size,
        features=filters,
        bias=use_bias,
        dtype=dtype_name(dtype),
        **options,
    )


def conv_transpose_3d(
    draft: Draft,
    filters: Features,
    kernel_size: KernelSize,
    strides: Stride = 1,
    padding: PaddingWord = "valid",
    data_format: Word = None,
    output_padding: OutputPadding = None,
    dilation_rate: Dilation = 1,
    activation: Unsaid = None,
    use_bias: Flag = True,
    kernel_initializer: Ignored = "glorot_uniform",
    bias_initializer: Ignored = "zeros",
    kernel_regularizer: Ignored = None,
    bias_regularizer: Ignored = None,
    activity_regularizer: Ignored = None,
    kernel_constraint: Ignored = None,
    bias_constraint: Ignored = None,
    *,
    name: Ignored = None,
    dtype: DType = None,
    trainable: Ignored = True,
    input_shape: InputShape = None,
) -> Fields:
    """``keras.layers.Conv3DTranspose``: as in 2-D, in another order."""
    return conv_transpose(
        draft,
        filters,
        kernel_size,
        strides,
        padding,
        output_padding,
        data_format,
        dilation_rate,
        use_bias=use_bias,
        dtype=dtype,
        input_shape=input_shape,
    )


def _transposed(
    draft: Draft, word: str, window: Any, strides: Any, dilation: Any, output_padding: Any
) -> Fields:
    """What a padding word and an output padding mean.

    The output's length is ``(n - 1) * stride`` and the effective window more, or under 'same' one
    or none more by whether that is odd; output padding is added to it (keras's
    ``compute_conv_transpose_output_shape``). TensorFlow then pads as the convolution that leads
    back from that length.
    """
    stride, dilation = draft.axes(strides, "stride"), draft.axes(dilation, "dilation")
    options: Fields = {"stride": stride, "dilation": dilation}
    spans = [*map(effective_window, draft.axes(window, "kernel"), dilation)]
    if output_padding is None:
        if word == "same":
            return {**options, "padding": "same"}
        extra = [max(step - span, 0) for step, span in zip(stride, spans)]
        return {**options, "output_padding": extra if any(extra) else None}
    more = draft.axes(output_padding, "output_padding")
    if any(not 0 <= each < step for each, step in zip(more, stride)):
        message = "Keras takes numbers from 0 up to the stride, without it"
        raise CallError(message, about="output_padding")
    if word == "valid":
        return {**options, "output_padding": more}
    ends = []
    for span, step, each in zip(spans, stride, more):
        rest = span % 2 + each
        if not 1 <= rest <= step:
            message = "no input leads to this size under 'same' with this window and stride"
            raise CallError(message, about="output_padding")
        low = max(span - rest, 0) // 2
        ends.append((low, span - rest - low))
    pairs, extras = transposed_ends(ends, stride, dilation)
    return {**options, "padding": pairs, "output_padding": extras if any(extras) else None}


def _pool(
    draft: Draft, op: str, window: Any, strides: Any, padding: str, data_format: Any, dtype: Any
) -> Fields:
    word = _prepare(draft, padding, data_format, None)
    return draft.pool(
        op,
        window,
        stride=strides,
        padding=word,
        count_include_pad=False if word == "same" else None,
        dtype=dtype_name(dtype),
    )


def max_pool(
    draft: Draft,
    pool_size: Window = 2,
    strides: Stride = None,
    padding: PaddingWord = "valid",
    data_format: Word = None,
    name: Ignored = None,
    *,
    dtype: DType = None,
    trainable: Ignored = True,
) -> Fields:
    """``keras.layers.MaxPooling2D``."""
    return _pool(draft, "max_pool", pool_size, strides, padding, data_format, dtype)


def avg_pool(
    draft: Draft,
    pool_size: Window,
    strides: Stride = None,
    padding: PaddingWord = "valid",
    data_format: Word = None,
    name: Ignored = None,
    *,
    dtype: DType = None,
    trainable: Ignored = True,
) -> Fields:
    """``keras.layers.AveragePooling2D``."""
    return _pool(draft, "avg_pool", pool_size, strides, padding, data_format, dtype)


def adaptive_pool(
    draft: Draft,
    output_size: OutputSize,
    data_format: Word = None,
    *,
    name: Ignored = None,
    dtype: DType = None,
    trainable: Ignored = True,
) -> Fields:
    """``keras.layers.AdaptiveMaxPooling2D`` and ``AdaptiveAveragePooling2D``."""
    _prepare(draft, "valid", data_format, None)
    op = "adaptive_max_pool" if "Max" in draft.name else "adaptive_avg_pool"
    return draft.adaptive(op, output_size=output_size, dtype=dtype_name(dtype))


def global_pool(
    draft: Draft,
    data_format: Word = None,
    keepdims: Flag = False,
    *,
    name: Ignored = None,
    dtype: DType = None,
    trainable: Ignored = True,
) -> Fields:
    """``keras.layers.GlobalMaxPooling2D`` and ``GlobalAveragePooling2D``."""
    _prepare(draft, "valid", data_format, None)
    if not keepdims:
        draft.note("the call's result has no spatial axes; here they have one element each")
    op = "global_max_pool" if "Max" in draft.name else "global_avg_pool"
    return draft.adaptive(op, dtype=dtype_name(dtype))


CALLS = Table(
    ("keras.layers", "layers", "tf.keras.layers", "tensorflow.keras.layers"),
    {
        "Conv{rank}D": conv,
        "Convolution{rank}D": conv,
        "DepthwiseConv1D": depthwise_conv,
        "DepthwiseConv2D": depthwise_conv,
        "Conv1DTranspose": conv_transpose,
        "Conv2DTranspose": conv_transpose,
        "Conv3DTranspose": conv_transpose_3d,
        "MaxPooling{rank}D": max_pool,
        "MaxPool{rank}D": max_pool,
        "AveragePooling{rank}D": avg_pool,
        "AvgPool{rank}D": avg_pool,
        "AdaptiveMaxPooling{rank}D": adaptive_pool,
        "AdaptiveAveragePooling{rank}D": adaptive_pool,
        "GlobalMaxPooling{rank}D": global_pool,
        "GlobalMaxPool{rank}D": global_pool,
        "GlobalAveragePooling{rank}D": global_pool,
        "GlobalAvgPool{rank}D": global_pool,
    },
    {
        "SeparableConv{rank}D": "it is two convolutions; translate each",
    },
)
