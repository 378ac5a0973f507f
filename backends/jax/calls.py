"""How JAX is called: the signatures of ``jax.lax``, and what Flax shares with them.

Sources: https://docs.jax.dev/en/latest/jax.lax.html and, for what the documentation leaves open,
``jax/_src/lax/convolution.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from conformance.geometry import effective_window
from conformance.translation.calls import CallError, Symbol, Value
from conformance.translation.reading import Draft, Fields, transposed_ends
from conformance.translation.signatures import (
    Dilations,
    Flag,
    Function,
    Groups,
    Ignored,
    NoDilation,
    Number,
    PaddingSides,
    Parameter,
    Strides,
    Table,
    Tensor,
    Unsaid,
    Windows,
)

PAIRS = ("NC", "OI", "NC")
WORDS = {"SAME": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}
UNFLIPPED = (
    "without transpose_kernel=True the kernel is not flipped, and that is not the transposed "
    "convolution of the suite, which is the gradient of a convolution"
)


def _orders(value: Value) -> bool:
    if not isinstance(value, tuple) or len(value) != len(PAIRS):
        return False
    return all(isinstance(each, str) for each in value)


DimensionNumbers = Annotated[
    Any, Parameter("three words in quotes, such as ('NCHW', 'OIHW', 'NCHW')", _orders)
]


def padding_field(padding: Any) -> Any:
    """What a padding means in a case's words.

    Raises:
        CallError: there is no such word.
    """
    if not isinstance(padding, str):
        return padding
    if padding.upper() not in WORDS:
        raise CallError("there are 'SAME', 'SAME_LOWER' and 'VALID', or pairs", about="padding")
    return WORDS[padding.upper()]


def transposed(
    draft: Draft,
    window: int | tuple[int, ...],
    stride: Any,
    dilation: Any,
    padding: Any,
    consistent: bool = False,
) -> Fields:
    """The fields of ``lax.conv_transpose``'s options.

    Numbers pad the input between whose elements the stride has put zeros, unless ``consistent``;
    words are those of the convolution that is transposed.

    Raises:
        CallError: the padding has another form.
    """
    draft.settle()
    stride, dilation = draft.axes(stride or 1, "stride"), draft.axes(dilation or 1, "dilation")
    spans = [*map(effective_window, draft.axes(window, "kernel"), dilation)]
    options: Fields = {"stride": stride, "dilation": dilation}
    if padding == "SAME":
        return {**options, "padding": "same"}
    if padding == "VALID":
        extra = [max(step - span, 0) for step, span in zip(stride, spans)]
        return {**options, "output_padding": extra if any(extra) else None}
    if isinstance(padding, str):
        raise CallError("there are 'SAME' and 'VALID', or numbers", about="padding")
    pairs = sides(draft, padding)
    if not consistent:
        pairs = [(span - 1 - low, span - 1 - high) for span, (low, high) in zip(spans, pairs)]
    ends, more = transposed_ends(pairs, stride, dilation)
    return {**options, "padding": ends, "output_padding": more if any(more) else None}


def sides(draft: Draft, padding: Any) -> list[tuple[int, int]]:
    """A pair per axis from a number for all axes, or a number or a pair for each.

    Raises:
        CallError: there are more or fewer than the axes.
    """
    many: tuple[Any, ...] = draft.axes(padding, "padding")
    return [(side, side) if isinstance(side, int) else (side[0], side[1]) for side in many]


def _layout(draft: Draft, numbers: Sequence[str] | None) -> int | None:
    """The number of axes that dimension numbers say; any order of batch and channels will do."""
    if numbers is None:
        return None
    axes = "".join(letter for letter in numbers[0] if letter not in PAIRS[0])
    orders = zip(numbers, PAIRS)
    alike = all(
        "".join(letter for letter in order if letter not in both) == axes
        and sorted(order) == sorted({*axes, *both})
        for order, both in orders
    )
    if not (alike and axes.isalnum()):
        raise CallError(
            "three orders with the same spatial axes in the same order are needed, such as "
            "('NCHW', 'OIHW', 'NCHW')",
            about="dimension_numbers",
        )
    if [*numbers] != [both + axes for both in PAIRS]:
        draft.note(f"the call's arrays are {numbers[0]}, its kernel {numbers[1]}")
    return len(axes)


def conv(
    draft: Draft,
    lhs: Tensor,
    rhs: Tensor,
    window_strides: Strides,
    padding: PaddingSides,
    precision: Ignored = None,
    preferred_element_type: Unsaid = None,
) -> Fields:
    """``lax.conv``."""
    return conv_general_dilated(draft, lhs, rhs, window_strides, padding)


def conv_with_general_padding(
    draft: Draft,
    lhs: Tensor,
    rhs: Tensor,
    window_strides: Strides,
    padding: PaddingSides,
    lhs_dilation: NoDilation,
    rhs_dilation: Dilations,
    precision: Ignored = None,
    preferred_element_type: Unsaid = None,
) -> Fields:
    """``lax.conv_with_general_padding``."""
    return conv_general_dilated(
        draft, lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation
    )


def conv_general_dilated(
    draft: Draft,
    lhs: Tensor,
    rhs: Tensor,
    window_strides: Strides,
    padding: PaddingSides,
    lhs_dilation: NoDilation = None,
    rhs_dilation: Dilations = None,
    dimension_numbers: DimensionNumbers = None,
    feature_group_count: Groups = 1,
    batch_group_count: Unsaid = 1,
    precision: Ignored = None,
    preferred_element_type: Unsaid = None,
    out_sharding: Ignored = None,
) -> Fields:
    """``lax.conv_general_dilated``."""
    draft.settle(_layout(draft, dimension_numbers), len(window_strides))
    return draft.kernel(
        "conv",
        groups=feature_group_count,
        stride=draft.axes(window_strides, "stride"),
        padding=padding_field(padding),
        dilation=rhs_dilation,
    )


def conv_transpose(
    draft: Draft,
    lhs: Tensor,
    rhs: Tensor,
    strides: Strides,
    padding: PaddingSides,
    rhs_dilation: Dilations = None,
    dimension_numbers: DimensionNumbers = None,
    transpose_kernel: Flag = False,
    precision: Ignored = None,
    preferred_element_type: Unsaid = None,
    use_consistent_padding: Flag = False,
) -> Fields:
    """``lax.conv_transpose``."""
    if not transpose_kernel:
        raise CallError(UNFLIPPED)
    draft.settle(_layout(draft, dimension_numbers), len(strides))
    window = draft.kernel_shape("conv_transpose")[2:]
    options = transposed(draft, window, strides, rhs_dilation, padding, use_consistent_padding)
    return draft.kernel("conv_transpose", **options)


def reduce_window(
    draft: Draft,
    operand: Tensor,
    init_value: Number,
    computation: Function,
    window_dimensions: Windows,
    window_strides: Strides = None,
    padding: PaddingSides = "VALID",
    base_dilation: NoDilation = None,
    window_dilation: Dilations = None,
) -> Fields:
    """``lax.reduce_window``, as a maximum."""
    assert isinstance(computation, Symbol)
    name = computation.text.rpartition(".")[2]
    if name not in ("max", "maximum"):
        more = "; 'lax.add' gives sums, not averages" if name == "add" else ""
        raise CallError(f"only lax.max is a pooling here{more}", computation.column)
    if init_value != -math.inf:
        raise CallError("a maximum starts at -jnp.inf", about="init_value")
    last = len(window_dimensions) > 2 and window_dimensions[1] != 1 == window_dimensions[-1]
    first = 1 if last else 2
    rank = draft.settle(len(window_dimensions) - 2)
    inner = slice(first, first + rank)

    def spatial(values: Any, one: Any, about: str) -> Any:
        if values is None or isinstance(values, str):
            return values
        outer = (*values[:first], *values[first + rank :])
        if len(values) != rank + 2 or any(each != one for each in outer):
            raise CallError(
                f"one entry per axis is needed, {one} for batch and channels", about=about
            )
        return values[inner]

    window = spatial(window_dimensions, 1, "window")
    if last:
        draft.note("the call's arrays are channels last")
    return draft.pool(
        "max_pool",
        window,
        stride=spatial(window_strides, 1, "stride") or (1,) * rank,
        padding=spatial(padding_field(padding), (0, 0), "padding"),
        dilation=spatial(window_dilation, 1, "dilation"),
    )


CALLS = Table(
    ("lax", "jax.lax"),
    {
        "conv": conv,
        "conv_with_general_padding": conv_with_general_padding,
        "conv_general_dilated": conv_general_dilated,
        "conv_transpose": conv_transpose,
        "reduce_window": reduce_window,
    },
    {
        "conv_general_dilated_local": "it has a kernel of its own at every position",
        "conv_general_dilated_patches": "it takes the windows apart and computes nothing",
    },
)
