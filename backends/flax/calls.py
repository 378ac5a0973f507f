"""How Flax is called: the signatures of ``flax.linen`` and ``flax.nnx``.

Sources: https://flax.readthedocs.io/en/latest/api_reference/flax.linen/layers.html and
``flax/linen/linear.py``: padding is 'SAME' unless given, a pooling's stride is 1.
"""

from __future__ import annotations

from typing import Any

from conformance.geometry import effective_window
from conformance.translation.calls import CallError
from conformance.translation.reading import Draft, Fields
from conformance.translation.signatures import (
    Channels,
    Dilation,
    DType,
    Features,
    Flag,
    Groups,
    Ignored,
    KernelSize,
    NoDilation,
    Padding,
    PaddingSides,
    Stride,
    Strides,
    Table,
    Tensor,
    Unsaid,
    Windows,
)
from conformance.translation.signatures import (
    dtype as dtype_name,
)

from ..jax.calls import UNFLIPPED, padding_field, transposed

MODES = {"CIRCULAR": "circular", "REFLECT": "reflect"}


def _conv(
    draft: Draft, window: Any, padding: Any, strides: Any, dilation: Any, **options: Any
) -> Fields:
    rank = draft.settle(1 if isinstance(window, int) else len(window))
    dilation = draft.axes(dilation or 1, "dilation")
    spans = [*map(effective_window, draft.axes(window, "kernel"), dilation)]
    mode = None
    if isinstance(padding, str) and padding in MODES:
        mode = MODES[padding]
        padding = [((span - 1) // 2, span // 2) for span in spans]
    elif padding == "CAUSAL" and rank != 1:
        raise CallError("'CAUSAL' is for one spatial axis only", about="padding")
    return draft.kernel(
        "conv",
        window=window,
        padding="causal" if padding == "CAUSAL" else padding_field(padding),
        padding_mode=mode,
        stride=strides,
        dilation=dilation,
        **options,
    )


def _conv_transpose(
    draft: Draft,
    window: Any,
    padding: Any,
    strides: Any,
    dilation: Any,
    transpose_kernel: bool,
    **options: Any,
) -> Fields:
    if not transpose_kernel:
        raise CallError(UNFLIPPED)
    draft.settle(1 if isinstance(window, int) else len(window))
    means = transposed(draft, window, strides, dilation, padding)
    return draft.kernel("conv_transpose", window=window, **means, **options)


def linen_conv(
    draft: Draft,
    features: Features,
    kernel_size: KernelSize,
    strides: Stride = 1,
    padding: Padding = "SAME",
    input_dilation: NoDilation = 1,
    kernel_dilation: Dilation = 1,
    feature_group_count: Groups = 1,
    use_bias: Flag = True,
    mask: Unsaid = None,
    dtype: DType = None,
    param_dtype: DType = "float32",
    precision: Ignored = None,
    kernel_init: Ignored = None,
    bias_init: Ignored = None,
    promote_dtype: Ignored = None,
    conv_general_dilated: Unsaid = None,
    conv_general_dilated_cls: Unsaid = None,
    parent: Ignored = None,
    name: Ignored = None,
) -> Fields:
    """``nn.Conv``."""
    return _conv(
        draft,
        kernel_size,
        padding,
        strides,
        kernel_dilation,
        features=features,
        groups=feature_group_count,
        bias=use_bias,
        dtype=dtype_name(dtype) or dtype_name(param_dtype),
    )


def nnx_conv(
    draft: Draft,
    in_features: Channels,
    out_features: Features,
    kernel_size: KernelSize,
    strides: Stride = 1,
    *,
    padding: Padding = "SAME",
    input_dilation: NoDilation = 1,
    kernel_dilation: Dilation = 1,
    feature_group_count: Groups = 1,
    use_bias: Flag = True,
    mask: Unsaid = None,
    dtype: DType = None,
    param_dtype: DType = "float32",
    precision: Ignored = None,
    kernel_init: Ignored = None,
    bias_init: Ignored = None,
    conv_general_dilated: Unsaid = None,
    promote_dtype: Ignored = None,
    preferred_element_type: Unsaid = None,
    rngs: Ignored = None,
    kernel_metadata: Ignored = None,
    bias_metadata: Ignored = None,
) -> Fields:
    """``nnx.Conv``."""
    return _conv(
        draft,
        kernel_size,
        padding,
        strides,
        kernel_dilation,
        channels=in_features,
        features=out_features,
        groups=feature_group_count,
        bias=use_bias,
        dtype=dtype_name(dtype) or dtype_name(param_dtype),
    )


def linen_conv_transpose(
    draft: Draft,
    features: Features,
    kernel_size: KernelSize,
    strides: Stride = None,
    padding: Padding = "SAME",
    kernel_dilation: Dilation = None,
    use_bias: Flag = True,
    mask: Unsaid = None,
    dtype: DType = None,
    param_dtype: DType = "float32",
    precision: Ignored = None,
    kernel_init: Ignored = None,
    bias_init: Ignored = None,
    transpose_kernel: Flag = False,
    promote_dtype: Ignored = None,
    preferred_element_type: Unsaid = None,
    parent: Ignored = None,
    name: Ignored = None,
) -> Fields:
    """``nn.ConvTranspose``."""
    return _conv_transpose(
        draft,
        kernel_size,
        padding,
        strides,
        kernel_dilation,
        transpose_kernel,
        features=features,
        bias=use_bias,
        dtype=dtype_name(dtype) or dtype_name(param_dtype),
    )


def nnx_conv_transpose(
    draft: Draft,
    in_features: Channels,
    out_features: Features,
    kernel_size: KernelSize,
    strides: Stride = None,
    *,
    padding: Padding = "SAME",
    kernel_dilation: Dilation = None,
    use_bias: Flag = True,
    mask: Unsaid = None,
    dtype: DType = None,
    param_dtype: DType = "float32",
    precision: Ignored = None,
    kernel_init: Ignored = None,
    bias_init: Ignored = None,
    transpose_kernel: Flag = False,
    promote_dtype: Ignored = None,
    preferred_element_type: Unsaid = None,
    rngs: Ignored = None,
    kernel_metadata: Ignored = None,
    bias_metadata: Ignored = None,
) -> Fields:
    """``nnx.ConvTranspose``."""
    return _conv_transpose(
        draft,
        kernel_size,
        padding,
        strides,
        kernel_dilation,
        transpose_kernel,
        channels=in_features,
        features=out_features,
        bias=use_bias,
        dtype=dtype_name(dtype) or dtype_name(param_dtype),
    )


def _pool(draft: Draft, op: str, window: Any, strides: Any, padding: Any, **options: Any) -> Fields:
    rank = draft.settle(len(window))
    stride, padding = strides or (1,) * rank, padding_field(padding)
    return draft.pool(op, window, stride=stride, padding=padding, **options)


def max_pool(
    draft: Draft,
    inputs: Tensor,
    window_shape: Windows,
    strides: Strides = None,
    padding: PaddingSides = "VALID",
) -> Fields:
    """``nn.max_pool`` and ``nnx.max_pool``."""
    return _pool(draft, "max_pool", window_shape, strides, padding)


def avg_pool(
    draft: Draft,
    inputs: Tensor,
    window_shape: Windows,
    strides: Strides = None,
    padding: PaddingSides = "VALID",
    count_include_pad: Flag = True,
) -> Fields:
    """``nn.avg_pool`` and ``nnx.avg_pool``."""
    options = {"count_include_pad": count_include_pad}
    return _pool(draft, "avg_pool", window_shape, strides, padding, **options)


POOLS = {"max_pool": max_pool, "avg_pool": avg_pool}
REFUSED = {
    "min_pool": "it is a minimum; the suite has maxima, averages and norms",
    "pool": "it reduces by any function; the suite has maxima, averages and norms",
}
LINEN = Table(
    ("nn", "linen", "flax.linen"),
    {"Conv": linen_conv, "ConvTranspose": linen_conv_transpose, **POOLS},
    {"ConvLocal": "it has a kernel of its own at every position", **REFUSED},
)
NNX = Table(
    ("nnx", "flax.nnx"), {"Conv": nnx_conv, "ConvTranspose": nnx_conv_transpose, **POOLS}, REFUSED
)
