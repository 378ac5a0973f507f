"""How MXNet is called: the signatures of ``npx`` (and ``nd``).

Source: the documentation that MXNet 1.9.1 generates for its operators, whose strides are 1.
"""

from __future__ import annotations

from typing import Any

from conformance import geometry
from conformance.geometry import transposed_output_size
from conformance.translation.calls import CallError
from conformance.translation.reading import Draft, Fields
from conformance.translation.signatures import (
    Dilations,
    Features,
    Flag,
    Groups,
    Ignored,
    KernelSizes,
    Order,
    OutputPadding,
    OutputSize,
    OutputSizes,
    PaddingNumbers,
    Strides,
    Table,
    Tensor,
    Windows,
    Word,
)

CONVENTIONS = {"valid": False, "full": True}


def check_layout(draft: Draft, layout: str | None) -> None:
    """Note where the channels are.

    Raises:
        CallError: there is no such layout.
    """
    if layout is None:
        return
    axes = "DHW"[-draft.settle() :]
    if layout not in (f"NC{axes}", f"N{axes}C"):
        raise CallError(f"there are 'NC{axes}' and 'N{axes}C'", about="layout")
    if layout.endswith("C"):
        draft.note("the call's arrays are channels last")


def pooled(
    draft: Draft, kind: str, window: Any, stride: Any, padding: Any, ceil: bool, count: bool = True
) -> Fields:
    """The fields of a pooling whose windows slide; a sum is an average divided by 1.

    Raises:
        CallError: ceil mode would keep a window that no case keeps.
    """
    options: Fields = {"padding": padding, "ceil_mode": ceil}
    if kind in ("avg", "sum"):
        options["count_include_pad"] = count
    if kind == "sum":
        kind, options["divisor"] = "avg", 1
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
    check_layout(draft, layout)
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
    target_shape: OutputSizes = None,
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
    check_layout(draft, layout)
    if target_shape is not None:
        pad, adj = _targeted(draft, target_shape, kernel, stride or 1, dilate or 1)
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


def _targeted(
    draft: Draft, sizes: Any, window: Any, stride: Any, dilation: Any
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The padding and the output padding that MXNet takes for an output of that size.

    Source: ``InferPad`` in ``src/operator/nn/deconvolution-inl.h``.
    """
    data = draft.shapes.input
    if data is None:
        raise CallError("it belongs to an input; add --input", about="output_size")
    steps = (draft.axes(each, "stride") for each in (window, stride, dilation))
    axes = zip(data[2:], *steps, draft.axes(sizes, "output_size"))
    rests = [transposed_output_size(n, k, s, d, (0, 0), 0) - size for n, k, s, d, size in axes]
    if min(rests) < 0:
        raise CallError("it is above the largest output", about="output_size")
    return tuple(-(-rest // 2) for rest in rests), tuple(rest % 2 for rest in rests)


def pooling(
    draft: Draft,
    data: Tensor,
    kernel: Windows = None,
    pool_type: Word = "max",
    global_pool: Flag = False,
    cudnn_off: Ignored = False,
    pooling_convention: Word = "valid",
    stride: Strides = None,
    pad: PaddingNumbers = None,
    p_value: Order = None,
    count_include_pad: Flag = True,
    layout: Word = None,
    out: Ignored = None,
    name: Ignored = None,
) -> Fields:
    """``npx.pooling``."""
    if pool_type not in ("max", "avg", "sum", "lp"):
        raise CallError("there are 'max', 'avg', 'sum' and 'lp'", about="pool_type")
    if global_pool:
        return global_pooling(draft, pool_type, layout, kernel)
    if kernel is None:
        raise CallError(f"{draft.name} needs 'kernel'")
    if pool_type == "lp" and p_value != 2:
        raise CallError("2 is translated; powers of odd order keep their signs", about="norm")
    if pooling_convention not in CONVENTIONS:
        raise CallError("'valid' and 'full' are translated", about="pooling_convention")
    rank = draft.settle(len(kernel))
    check_layout(draft, layout)
    sizes = (kernel, stride or (1,) * rank, pad or 0)
    return pooled(draft, pool_type, *sizes, CONVENTIONS[pooling_convention], count_include_pad)


def global_pooling(draft: Draft, kind: str, layout: str | None, kernel: Any = None) -> Fields:
    """A global pooling, for which kernel, strides and padding mean nothing."""
    if kind not in ("max", "avg"):
        raise CallError("'max' and 'avg' are translated", about="pool_type")
    draft.settle(None if kernel is None else len(kernel))
    check_layout(draft, layout)
    return draft.adaptive(f"global_{kind}_pool")


def adaptive_pooling(
    draft: Draft,
    data: Tensor,
    output_size: OutputSize = (),
    out: Ignored = None,
    name: Ignored = None,
) -> Fields:
    """``nd.contrib.AdaptiveAvgPooling2D``."""
    return draft.adaptive("adaptive_avg_pool", output_size=output_size or 1)


ARRAYS = ("nd", "mx.nd", "mxnet.nd", "sym", "mx.sym", "mxnet.sym")
NPX = Table(
    ("npx", "mx.npx", "mxnet.npx", *ARRAYS, *(f"{each}.contrib" for each in ARRAYS)),
    {
        "convolution": convolution,
        "deconvolution": deconvolution,
        "pooling": pooling,
        "Convolution": convolution,
        "Deconvolution": deconvolution,
        "Pooling": pooling,
        "AdaptiveAvgPooling2D": adaptive_pooling,
    },
)
