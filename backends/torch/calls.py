"""How PyTorch is called: the signatures of ``torch.nn`` and ``torch.nn.functional``.

Defaults as documented at https://docs.pytorch.org/docs/stable/nn.html: a pooling's stride is its
window, a layer has a bias.
"""

from __future__ import annotations

from typing import Any

from conformance.translation.calls import CallError
from conformance.translation.reading import Draft, Fields
from conformance.translation.signatures import (
    CeilMode,
    Channels,
    Dilation,
    Divisor,
    DType,
    Features,
    Flag,
    Groups,
    Ignored,
    KernelSize,
    Norm,
    OutputPadding,
    PaddingMode,
    PaddingNumbers,
    PaddingNumbersOrWord,
    Sizes,
    Stride,
    Table,
    Tensor,
    Unsaid,
    Window,
)
from conformance.translation.signatures import (
    dtype as dtype_name,
)

MODES = ("zeros", "reflect", "replicate", "circular")


def _conv(draft: Draft, padding: Any, stride: Any, **options: Any) -> Fields:
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise CallError("there are 'same' and 'valid', or numbers", about="padding")
        if padding == "same" and max(draft.axes(stride, "stride")) > 1:
            message = "PyTorch refuses 'same' at strides above 1; write the numbers"
            raise CallError(message, about="padding")
    return draft.kernel("conv", padding=padding, stride=stride, **options)


def _mode(mode: str) -> str | None:
    if mode not in MODES:
        raise CallError(f"there are {', '.join(map(repr, MODES))}", about="padding_mode")
    return None if mode == "zeros" else mode


def conv_layer(
    draft: Draft,
    in_channels: Channels,
    out_channels: Features,
    kernel_size: KernelSize,
    stride: Stride = 1,
    padding: PaddingNumbersOrWord = 0,
    dilation: Dilation = 1,
    groups: Groups = 1,
    bias: Flag = True,
    padding_mode: PaddingMode = "zeros",
    device: Ignored = None,
    dtype: DType = None,
) -> Fields:
    """``nn.Conv2d``; ``in_channels`` is None in its lazy form."""
    return _conv(
        draft,
        padding,
        stride,
        window=kernel_size,
        channels=in_channels,
        features=out_channels,
        groups=groups,
        dilation=dilation,
        bias=bias,
        padding_mode=_mode(padding_mode),
        dtype=dtype_name(dtype),
    )


def lazy_conv_layer(
    draft: Draft,
    out_channels: Features,
    kernel_size: KernelSize,
    stride: Stride = 1,
    padding: PaddingNumbersOrWord = 0,
    dilation: Dilation = 1,
    groups: Groups = 1,
    bias: Flag = True,
    padding_mode: PaddingMode = "zeros",
    device: Ignored = None,
    dtype: DType = None,
) -> Fields:
    """``nn.LazyConv2d``."""
    sizes = (None, out_channels, kernel_size, stride, padding, dilation, groups)
    return conv_layer(draft, *sizes, bias, padding_mode, device, dtype)


def conv(
    draft: Draft,
    input: Tensor,
    weight: Tensor,
    bias: Tensor = None,
    stride: Stride = 1,
    padding: PaddingNumbersOrWord = 0,
    dilation: Dilation = 1,
    groups: Groups = 1,
) -> Fields:
    """``F.conv2d``."""
    bias = bias is not None
    return _conv(draft, padding, stride, groups=groups, dilation=dilation, bias=bias)


def conv_transpose_layer(
    draft: Draft,
    in_channels: Channels,
    out_channels: Features,
    kernel_size: KernelSize,
    stride: Stride = 1,
    padding: PaddingNumbers = 0,
    output_padding: OutputPadding = 0,
    groups: Groups = 1,
    bias: Flag = True,
    dilation: Dilation = 1,
    padding_mode: PaddingMode = "zeros",
    device: Ignored = None,
    dtype: DType = None,
) -> Fields:
    """``nn.ConvTranspose2d``; ``in_channels`` is None in its lazy form."""
    if _mode(padding_mode) is not None:
        raise CallError("a transposed convolution has only 'zeros'", about="padding_mode")
    return draft.kernel(
        "conv_transpose",
        window=kernel_size,
        channels=in_channels,
        features=out_channels,
        groups=groups,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        bias=bias,
        dtype=dtype_name(dtype),
    )


def lazy_conv_transpose_layer(
    draft: Draft,
    out_channels: Features,
    kernel_size: KernelSize,
    stride: Stride = 1,
    padding: PaddingNumbers = 0,
    output_padding: OutputPadding = 0,
    groups: Groups = 1,
    bias: Flag = True,
    dilation: Dilation = 1,
    padding_mode: PaddingMode = "zeros",
    device: Ignored = None,
    dtype: DType = None,
) -> Fields:
    """``nn.LazyConvTranspose2d``."""
    sizes = (None, out_channels, kernel_size, stride, padding, output_padding, groups)
    return conv_transpose_layer(draft, *sizes, bias, dilation, padding_mode, device, dtype)


def conv_transpose(
    draft: Draft,
    input: Tensor,
    weight: Tensor,
    bias: Tensor = None,
    stride: Stride = 1,
    padding: PaddingNumbers = 0,
    output_padding: OutputPadding = 0,
    groups: Groups = 1,
    dilation: Dilation = 1,
) -> Fields:
    """``F.conv_transpose2d``."""
    return draft.kernel(
        "conv_transpose",
        groups=groups,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        bias=bias is not None,
    )


def _pool(draft: Draft, op: str, window: Any, padding: Any, **options: Any) -> Fields:
    sizes = zip(draft.axes(padding, "padding"), draft.axes(window, "window"))
    if any(2 * pad > size for pad, size in sizes):
        raise CallError("PyTorch pools with at most half of the window", about="padding")
    return draft.pool(op, window, padding=padding, **options)


def _max_pool(draft: Draft, window: Any, padding: Any, indices: bool, **options: Any) -> Fields:
    if indices:
        draft.note("of the two results that the call gives, the indices are meant")
    return _pool(draft, "max_pool_indices" if indices else "max_pool", window, padding, **options)


def max_pool_layer(
    draft: Draft,
    kernel_size: Window,
    stride: Stride = None,
    padding: PaddingNumbers = 0,
    dilation: Dilation = 1,
    return_indices: Flag = False,
    ceil_mode: CeilMode = False,
) -> Fields:
    """``nn.MaxPool2d``."""
    options = {"stride": stride, "dilation": dilation, "ceil_mode": ceil_mode}
    return _max_pool(draft, kernel_size, padding, return_indices, **options)


def max_pool(
    draft: Draft,
    input: Tensor,
    kernel_size: Window,
    stride: Stride = None,
    padding: PaddingNumbers = 0,
    dilation: Dilation = 1,
    ceil_mode: CeilMode = False,
    return_indices: Flag = False,
) -> Fields:
    """``F.max_pool2d``."""
    options = {"stride": stride, "dilation": dilation, "ceil_mode": ceil_mode}
    return _max_pool(draft, kernel_size, padding, return_indices, **options)


def avg_pool_1d_layer(
    draft: Draft,
    kernel_size: Window,
    stride: Stride = None,
    padding: PaddingNumbers = 0,
    ceil_mode: CeilMode = False,
    count_include_pad: Flag = True,
) -> Fields:
    """``nn.AvgPool1d``."""
    options = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return _pool(draft, "avg_pool", kernel_size, padding, stride=stride, **options)


def avg_pool_layer(
    draft: Draft,
    kernel_size: Window,
    stride: Stride = None,
    padding: PaddingNumbers = 0,
    ceil_mode: CeilMode = False,
    count_include_pad: Flag = True,
    divisor_override: Divisor = None,
) -> Fields:
    """``nn.AvgPool2d``."""
    options = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    options |= {"stride": stride, "divisor": divisor_override}
    return _pool(draft, "avg_pool", kernel_size, padding, **options)


def avg_pool_1d(
    draft: Draft,
    input: Tensor,
    kernel_size: Window,
    stride: Stride = None,
    padding: PaddingNumbers = 0,
    ceil_mode: CeilMode = False,
    count_include_pad: Flag = True,
) -> Fields:
    """``F.avg_pool1d``."""
    return avg_pool_1d_layer(draft, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool(
    draft: Draft,
    input: Tensor,
    kernel_size: Window,
    stride: Stride = None,
    padding: PaddingNumbers = 0,
    ceil_mode: CeilMode = False,
    count_include_pad: Flag = True,
    divisor_override: Divisor = None,
) -> Fields:
    """``F.avg_pool2d``."""
    words = (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return avg_pool_layer(draft, *words)


def lp_pool_layer(
    draft: Draft,
    norm_type: Norm,
    kernel_size: Window,
    stride: Stride = None,
    ceil_mode: CeilMode = False,
) -> Fields:
    """``nn.LPPool2d``, as far as it is a norm.

    Raises:
        CallError: PyTorch gives something else than the norm.
    """
    if norm_type % 2:
        message = "PyTorch takes powers of x, not of |x|: only an even number makes a norm of them"
        raise CallError(message, about="norm")
    if ceil_mode:
        message = "PyTorch scales the norm of a window that overhangs up to the whole window"
        raise CallError(message, about="ceil_mode")
    return draft.pool("lp_pool", kernel_size, stride=stride, norm=norm_type)


def lp_pool(
    draft: Draft,
    input: Tensor,
    norm_type: Norm,
    kernel_size: Window,
    stride: Stride = None,
    ceil_mode: CeilMode = False,
) -> Fields:
    """``F.lp_pool2d``, as `lp_pool_layer`."""
    return lp_pool_layer(draft, norm_type, kernel_size, stride, ceil_mode)


def adaptive_avg_pool_layer(draft: Draft, output_size: Sizes) -> Fields:
    """``nn.AdaptiveAvgPool2d``."""
    return draft.adapted("avg", output_size)


def adaptive_avg_pool(draft: Draft, input: Tensor, output_size: Sizes) -> Fields:
    """``F.adaptive_avg_pool2d``."""
    return draft.adapted("avg", output_size)


def adaptive_max_pool_layer(
    draft: Draft, output_size: Sizes, return_indices: Unsaid = False
) -> Fields:
    """``nn.AdaptiveMaxPool2d``."""
    return draft.adapted("max", output_size)


def adaptive_max_pool(
    draft: Draft, input: Tensor, output_size: Sizes, return_indices: Unsaid = False
) -> Fields:
    """``F.adaptive_max_pool2d``."""
    return draft.adapted("max", output_size)


LAYERS = Table(
    ("nn", "torch.nn"),
    {
        "Conv{rank}d": conv_layer,
        "LazyConv{rank}d": lazy_conv_layer,
        "ConvTranspose{rank}d": conv_transpose_layer,
        "LazyConvTranspose{rank}d": lazy_conv_transpose_layer,
        "MaxPool{rank}d": max_pool_layer,
        "AvgPool1d": avg_pool_1d_layer,
        "AvgPool2d": avg_pool_layer,
        "AvgPool3d": avg_pool_layer,
        "AdaptiveAvgPool{rank}d": adaptive_avg_pool_layer,
        "AdaptiveMaxPool{rank}d": adaptive_max_pool_layer,
        "LPPool{rank}d": lp_pool_layer,
    },
)
FUNCTIONS = Table(
    ("F", "nn.functional", "torch.nn.functional", "functional", "torch"),
    {
        "conv{rank}d": conv,
        "conv_transpose{rank}d": conv_transpose,
        "max_pool{rank}d": max_pool,
        "avg_pool1d": avg_pool_1d,
        "avg_pool2d": avg_pool,
        "avg_pool3d": avg_pool,
        "adaptive_avg_pool{rank}d": adaptive_avg_pool,
        "adaptive_max_pool{rank}d": adaptive_max_pool,
        "lp_pool{rank}d": lp_pool,
    },
)
