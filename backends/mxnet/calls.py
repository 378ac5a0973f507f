"""How MXNet is called: the signatures of ``npx`` (and ``nd``) and of Gluon's layers.

Source: the documentation that MXNet 1.9.1 generates for its operators, and
``mxnet/gluon/nn/conv_layers.py``: an operator's stride is 1, a pooling layer's its window.
"""

from __future__ import annotations

from typing import Any

from conformance import geometry
from conformance.translation.calls import CallError
from conformance.translation.reading import Draft, Fields
from conformance.translation.signatures import (
    CeilMode,
    Channels,
    Dilation,
    Dilations,
    Features,
    Flag,
    Groups,
    Ignored,
    KernelSize,
    KernelSizes,
    OutputPadding,
    PaddingNumbers,
    Stride,
    Strides,
    Table,
    Tensor,
    Unsaid,
    Window,
    Windows,
    Word,
)

CONVENTIONS = {"valid": False, "full": True}


def _layout(draft: Draft, layout: str | None) -> None:
    if layout is None:
        return
    axes = "DHW"[-draft.settle() :]
    if layout not in (f"NC{axes}", f"N{axes}C"):
        raise CallError(f"there are 'NC{axes}' and 'N{axes}C'", about="layout")
    if layout.endswith("C"):
        draft.note("the call's arrays are channels last")


def _pool(
    draft: Draft, kind: str, window: Any, stride: Any, padding: Any, ceil: bool, count: bool = True
) -> Fields:
    options = {"padding": padding, "ceil_mode": ceil, "count_include_pad": count}
    fields = draft.pool(f"{kind}_pool", window, stride=stride, **options)
    strides = window if stride is None else stride
    axes = (draft.axes(each, "window") for each in (window, strides, padding))
    for size, span, step, pad in zip(fields["input"]["shape"][2:], *axes):
        rounded = -(-(size + 2 * pad - span) // step) + 1
        if ceil and rounded != geometry.output_size(size, span, step, 1, (pad, pad), True):
            message = (
                f"on {size} elements MXNet keeps a last window that lies in the padding; ceil "
                "mode here, PyTorch's, leaves it out"
            )
            raise CallError(message, about="ceil_mode")
    return fields


def _biased(bias: Any, no_bias: bool) -> bool:
    if (bias is None) != no_bias:
        raise CallError("a bias is given, or else no_bias=True")
    return not no_bias


def convolution(
    draft: Draft,
    data: Tensor,
    weight: Tensor,
    bias: Tensor = None,
    kernel: KernelSizes = None,
    stride: Strides = None,
    dilate: Dilations = None,
    pad: PaddingNumbers = None,
    num_filter: Features = None,
    num_group: Groups = 1,
    workspace: Ignored = 1024,
    no_bias: Flag = False,
    cudnn_tune: Ignored = None,
    cudnn_off: Ignored = False,
    layout: Word = None,
    out: Ignored = None,
    name: Ignored = None,
) -> Fields:
    """``npx.convolution``."""
    if kernel is None or num_filter is None:
        raise CallError(f"{draft.name} needs 'kernel' and 'num_filter'")
    draft.settle(len(kernel))
    _layout(draft, layout)
    return draft.kernel(
        "conv",
        window=kernel,
        features=num_filter,
        groups=num_group,
        stride=stride,
        padding=pad,
        dilation=dilate,
        bias=_biased(bias, no_bias),
    )


def deconvolution(
    draft: Draft,
    data: Tensor,
    weight: Tensor,
    bias: Tensor = None,
    kernel: KernelSizes = None,
    stride: Strides = None,
    dilate: Dilations = None,
    pad: PaddingNumbers = None,
    adj: OutputPadding = None,
    target_shape: Unsaid = None,
    num_filter: Features = None,
    num_group: Groups = 1,
    workspace: Ignored = 512,
    no_bias: Flag = True,
    cudnn_tune: Ignored = None,
    cudnn_off: Ignored = False,
    layout: Word = None,
    out: Ignored = None,
    name: Ignored = None,
) -> Fields:
    """``npx.deconvolution``."""
    if kernel is None or num_filter is None:
        raise CallError(f"{draft.name} needs 'kernel' and 'num_filter'")
    draft.settle(len(kernel))
    _layout(draft, layout)
    return draft.kernel(
        "conv_transpose",
        window=kernel,
        features=num_filter,
        groups=num_group,
        stride=stride,
        padding=pad,
        dilation=dilate,
        output_padding=adj,
        bias=_biased(bias, no_bias),
    )


def pooling(
    draft: Draft,
    data: Tensor,
    kernel: Windows = None,
    pool_type: Word = "max",
    global_pool: Unsaid = False,
    cudnn_off: Ignored = False,
    pooling_convention: Word = "valid",
    stride: Strides = None,
    pad: PaddingNumbers = None,
    p_value: Unsaid = None,
    count_include_pad: Flag = True,
    layout: Word = None,
    out: Ignored = None,
    name: Ignored = None,
) -> Fields:
    """``npx.pooling``."""
    if kernel is None:
        raise CallError(f"{draft.name} needs 'kernel'")
    if pool_type not in ("max", "avg"):
        raise CallError("'max' and 'avg' are translated", about="pool_type")
    if pooling_convention not in CONVENTIONS:
        raise CallError("'valid' and 'full' are translated", about="pooling_convention")
    rank = draft.settle(len(kernel))
    _layout(draft, layout)
    sizes = (kernel, stride or (1,) * rank, pad or 0)
    return _pool(draft, pool_type, *sizes, CONVENTIONS[pooling_convention], count_include_pad)


def conv_layer(
    draft: Draft,
    channels: Features,
    kernel_size: KernelSize,
    strides: Stride = 1,
    padding: PaddingNumbers = 0,
    dilation: Dilation = 1,
    groups: Groups = 1,
    layout: Word = None,
    activation: Unsaid = None,
    use_bias: Flag = True,
    weight_initializer: Ignored = None,
    bias_initializer: Ignored = "zeros",
    in_channels: Channels = 0,
    *,
    prefix: Ignored = None,
    params: Ignored = None,
) -> Fields:
    """``nn.Conv2D``."""
    _layout(draft, layout)
    return draft.kernel(
        "conv",
        window=kernel_size,
        channels=in_channels or None,
        features=channels,
        groups=groups,
        stride=strides,
        padding=padding,
        dilation=dilation,
        bias=use_bias,
    )


def conv_transpose_layer(
    draft: Draft,
    channels: Features,
    kernel_size: KernelSize,
    strides: Stride = 1,
    padding: PaddingNumbers = 0,
    output_padding: OutputPadding = 0,
    dilation: Dilation = 1,
    groups: Groups = 1,
    layout: Word = None,
    activation: Unsaid = None,
    use_bias: Flag = True,
    weight_initializer: Ignored = None,
    bias_initializer: Ignored = "zeros",
    in_channels: Channels = 0,
    *,
    prefix: Ignored = None,
    params: Ignored = None,
) -> Fields:
    """``nn.Conv2DTranspose``."""
    _layout(draft, layout)
    return draft.kernel(
        "conv_transpose",
        window=kernel_size,
        channels=in_channels or None,
        features=channels,
        groups=groups,
        stride=strides,
        padding=padding,
        dilation=dilation,
        output_padding=output_padding,
        bias=use_bias,
    )


def max_pool_layer(
    draft: Draft,
    pool_size: Window = 2,
    strides: Stride = None,
    padding: PaddingNumbers = 0,
    layout: Word = None,
    ceil_mode: CeilMode = False,
    *,
    prefix: Ignored = None,
    params: Ignored = None,
) -> Fields:
    """``nn.MaxPool1D`` and ``nn.MaxPool2D``."""
    _layout(draft, layout)
    return _pool(draft, "max", pool_size, strides, padding, ceil_mode)


def max_pool_3d_layer(
    draft: Draft,
    pool_size: Window = 2,
    strides: Stride = None,
    padding: PaddingNumbers = 0,
    ceil_mode: CeilMode = False,
    layout: Word = None,
    *,
    prefix: Ignored = None,
    params: Ignored = None,
) -> Fields:
    """``nn.MaxPool3D``."""
    return max_pool_layer(draft, pool_size, strides, padding, layout, ceil_mode)


def avg_pool_1d_layer(
    draft: Draft,
    pool_size: Window = 2,
    strides: Stride = None,
    padding: PaddingNumbers = 0,
    layout: Word = None,
    ceil_mode: CeilMode = False,
    count_include_pad: Flag = True,
    *,
    prefix: Ignored = None,
    params: Ignored = None,
) -> Fields:
    """``nn.AvgPool1D``."""
    _layout(draft, layout)
    return _pool(draft, "avg", pool_size, strides, padding, ceil_mode, count_include_pad)


def avg_pool_layer(
    draft: Draft,
    pool_size: Window = 2,
    strides: Stride = None,
    padding: PaddingNumbers = 0,
    ceil_mode: CeilMode = False,
    layout: Word = None,
    count_include_pad: Flag = True,
    *,
    prefix: Ignored = None,
    params: Ignored = None,
) -> Fields:
    """``nn.AvgPool2D`` and ``nn.AvgPool3D``."""
    sizes = (pool_size, strides, padding, layout)
    return avg_pool_1d_layer(draft, *sizes, ceil_mode, count_include_pad)


WHOLE = "its window is the whole input, whatever the size"
NPX = Table(
    ("npx", "mx.npx", "mxnet.npx", "nd", "mx.nd", "mxnet.nd", "sym", "mx.sym", "mxnet.sym"),
    {
        "convolution": convolution,
        "deconvolution": deconvolution,
        "pooling": pooling,
        "Convolution": convolution,
        "Deconvolution": deconvolution,
        "Pooling": pooling,
    },
)
GLUON = Table(
    ("nn", "gluon.nn", "mx.gluon.nn", "mxnet.gluon.nn"),
    {
        "Conv{rank}D": conv_layer,
        "Conv{rank}DTranspose": conv_transpose_layer,
        "MaxPool1D": max_pool_layer,
        "MaxPool2D": max_pool_layer,
        "MaxPool3D": max_pool_3d_layer,
        "AvgPool1D": avg_pool_1d_layer,
        "AvgPool2D": avg_pool_layer,
        "AvgPool3D": avg_pool_layer,
    },
    {
        "GlobalMaxPool{rank}D": WHOLE,
        "GlobalAvgPool{rank}D": WHOLE,
        "ReflectionPad2D": "it only pads; translate the operator behind it",
    },
)
