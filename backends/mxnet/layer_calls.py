"""How MXNet is called: the signatures of Gluon's layers.

Source: ``mxnet/gluon/nn/conv_layers.py`` of MXNet 1.9.1: a pooling layer's stride is its window.
"""

from __future__ import annotations

from conformance.translation.reading import Draft, Fields
from conformance.translation.signatures import (
    CeilMode,
    Channels,
    Dilation,
    Features,
    Flag,
    Groups,
    Ignored,
    KernelSize,
    OutputPadding,
    PaddingNumbers,
    Stride,
    Table,
    Unsaid,
    Window,
    Word,
)

from .calls import check_layout, global_pooling, pooled


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
    check_layout(draft, layout)
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
    check_layout(draft, layout)
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
    check_layout(draft, layout)
    return pooled(draft, "max", pool_size, strides, padding, ceil_mode)


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
    check_layout(draft, layout)
    return pooled(draft, "avg", pool_size, strides, padding, ceil_mode, count_include_pad)


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


def global_pool_layer(
    draft: Draft, layout: Word = None, *, prefix: Ignored = None, params: Ignored = None
) -> Fields:
    """``nn.GlobalMaxPool2D`` and ``nn.GlobalAvgPool2D``."""
    return global_pooling(draft, "max" if "Max" in draft.name else "avg", layout)


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
        "GlobalMaxPool{rank}D": global_pool_layer,
        "GlobalAvgPool{rank}D": global_pool_layer,
    },
    {
        "ReflectionPad2D": "it only pads; translate the operator behind it",
    },
)
