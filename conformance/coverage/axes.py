"""The axes of the coverage: which operators, ranks and dtypes each makes sense for, and why.

An axis is a predicate over a case. Every operator that it applies to, at each of its ranks and in
each of its dtypes, is to have a case; `reason` says why another dtype makes no sense.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from conformance.chains.resolving import WITHOUT_BOUND
from conformance.coverage import subject
from conformance.coverage.subject import Predicate, every, when
from conformance.dtypes import DTYPES
from conformance.make import make_request
from conformance.request import ADAPTIVE_POOLS, POOLS, Op

Outcome = Literal["request", "law", "chain"]
Ops = tuple[Op, ...]
Names = tuple[str, ...]

RANKS = (1, 2, 3)
ALL: Ops = get_args(Op)
KERNELS: Ops = ("conv", "conv_transpose")
POOLINGS: Ops = ("max_pool", "avg_pool", "lp_pool", "max_pool_indices")
SLIDING: Ops = (*KERNELS, *POOLINGS)
ADAPTIVE: Ops = ("adaptive_max_pool", "adaptive_avg_pool")
MAXIMA: Ops = ("max_pool", "max_pool_indices", "adaptive_max_pool", "global_max_pool")
SUMS: Ops = tuple(op for op in ALL if op not in MAXIMA)
DIFFERENTIABLE: Ops = tuple(op for op in ALL if op != "max_pool_indices")
CHAINED: Ops = tuple(op for op in DIFFERENTIABLE if op not in WITHOUT_BOUND)
NETWORKS: Ops = ("conv", "conv_transpose", "max_pool", "avg_pool", "global_avg_pool")

REAL: Names = ("float64", "float32", "float16", "bfloat16")
INTEGERS: Names = ("int8", "int16", "int32", "int64", "uint8")
COMPLEX: Names = ("complex64", "complex128")
NAMED: Names = (*REAL, *INTEGERS, *COMPLEX)
SIGNED: Names = (*REAL, *INTEGERS[:4])


@dataclass(frozen=True)
class Axis:
    """One row of an operator's table.

    ``dtypes`` are those that the axis makes sense for, where the operator has them; ``why`` is
    about the others. ``without`` is why the other operators have no such axis.
    """

    name: str
    group: str
    ops: Ops
    holds: Predicate
    without: str = ""
    dtypes: Names = NAMED
    why: str = ""
    outcome: Outcome = "request"


def _padding(word: str) -> Predicate:
    return when(padding=word)


WINDOW = "its windows follow from the output's size"
KERNEL = "poolings have no kernel"
ONLY_CONV = "only convolutions have it"
SPECIAL = "integers have no such numbers, and complex arithmetic no agreed rule for them"
GRADIENTS = "integers have no gradients, and frameworks disagree about complex ones"
CEIL = "only sliding poolings have a ceil mode"

AXES: tuple[Axis, ...] = (
    Axis("any", "", ALL, lambda s: True),
    Axis("window even", "window", SLIDING, subject.even_window, WINDOW),
    Axis("window odd", "window", SLIDING, subject.odd_window, WINDOW),
    Axis("window of one element", "window", SLIDING, when(window=1), WINDOW),
    Axis("window larger than the input", "window", SLIDING, subject.larger_window, WINDOW),
    Axis("stride beyond the window", "window", SLIDING, subject.skipping_stride, WINDOW),
    Axis("dilation", "window", SLIDING, when(dilation=">1"), WINDOW),
    Axis(
        "dilation with stride", "window", SLIDING, when(dilation=">1", stride=">1"), WINDOW
    ),
    Axis("groups", "kernel", KERNELS, subject.grouped, KERNEL),
    Axis("depthwise with multiplier", "kernel", KERNELS, subject.multiplied, KERNEL),
    Axis("bias", "kernel", KERNELS, when(bias=True), KERNEL),
    Axis("mixed dtypes", "kernel", KERNELS, when(mixed=True), KERNEL),
    Axis(
        "padding, symmetric", "padding", SLIDING,
        when(padding="explicit", symmetric=True), WINDOW,
    ),
    Axis(
        "padding, asymmetric", "padding", SLIDING,
        when(padding="explicit", symmetric=False), WINDOW,
    ),
    Axis("padding, negative", "padding", SLIDING, when(negative_padding=True), WINDOW),
    Axis(
        "padding, over-long", "padding", SLIDING[:-1], when(padding_reaches_window=True),
        "no element of the padding has an index, and adaptive windows have no padding",
    ),
    Axis(
        "padding beyond half the window", "padding", POOLINGS, when(wide_padding=True),
        "a rule of poolings whose windows slide",
    ),
    Axis("padding 'same'", "padding", SLIDING, _padding("same"), WINDOW),
    Axis("padding 'same_lower'", "padding", SLIDING, _padding("same_lower"), WINDOW),
    Axis("padding 'causal'", "padding", ("conv",), _padding("causal"), ONLY_CONV),
    *(
        Axis(
            f"padding mode {mode}", "padding", ("conv",),
            every(when(padding_mode=mode), subject.padded), ONLY_CONV,
        )
        for mode in ("reflect", "replicate", "circular")
    ),
    Axis(
        "output padding", "output size", ("conv_transpose",), when(output_padding=">0"),
        "only transposed convolutions have it",
    ),
    Axis(
        "output size given", "output size", ("conv_transpose",), when(sized=True),
        "only transposed convolutions have it",
    ),
    Axis(
        "ceil, last window over the edge", "ceil mode", POOLINGS,
        when(overhang=True, padded=False), CEIL,
    ),
    Axis(
        "ceil, over symmetric padding", "ceil mode", POOLINGS,
        every(when(overhang=True, symmetric=True), subject.padded), CEIL,
    ),
    Axis(
        "ceil, over asymmetric padding", "ceil mode", POOLINGS,
        every(when(overhang=True, symmetric=False), subject.padded), CEIL,
    ),
    Axis(
        "ceil, window in padding dropped", "ceil mode", POOLINGS, when(window_in_padding=True), CEIL
    ),
    Axis(
        "padding counted", "average", ("avg_pool",),
        every(when(count_include_pad=True, divisor=False), subject.padded),
        "averages alone are divided",
    ),
    Axis(
        "padding not counted", "average", ("avg_pool",),
        every(when(count_include_pad=False), subject.padded), "averages alone are divided",
    ),
    Axis(
        "divisor", "average", ("avg_pool",), when(divisor=True), "averages alone are divided"
    ),
    Axis("norm 1", "norm", ("lp_pool",), when(norm=1), "only L^p pooling has a norm"),
    Axis("norm 2", "norm", ("lp_pool",), when(norm=2), "only L^p pooling has a norm"),
    Axis("another norm", "norm", ("lp_pool",), subject.other_norm, "only L^p pooling has a norm"),
    Axis("windows side by side", "adaptive", ADAPTIVE, subject.even_shares, "its windows slide"),
    Axis("windows uneven", "adaptive", ADAPTIVE, when(uneven_windows=True), "its windows slide"),
    Axis(
        "more positions than elements", "adaptive", ADAPTIVE, subject.more_positions,
        "its windows slide",
    ),
    Axis("ties", "maximum", MAXIMA, subject.ties, "only maxima have ties"),
    *(
        axis
        for name, pools, holds, without in (
            ("batch 0", POOLS, subject.no_example, ""),
            ("channels 0", POOLS, subject.no_channel, ""),
            ("spatial 0", POOLINGS, subject.no_pixel, "there is no element to pool"),
        )
        for axis in (
            Axis(name, "empty", KERNELS, holds, without),
            Axis(name, "empty", pools, holds, without, ("float32",), "nothing is computed"),
        )
    ),
    Axis("unbatched", "empty", ALL, when(unbatched=True)),
    Axis("NaN", "values", ALL, subject.has_nan, "", REAL, SPECIAL),
    Axis("infinities", "values", ALL, subject.has_infinity, "", REAL, SPECIAL),
    Axis(
        "a window of −inf alone", "values", MAXIMA, subject.minus_infinity_windows,
        "minus infinity is neutral for maxima only", REAL, SPECIAL,
    ),
    Axis("−0.0", "values", ALL, subject.has_negative_zero, "", REAL, SPECIAL),
    Axis("subnormal numbers", "values", ALL, subject.has_subnormal, "", REAL, SPECIAL),
    Axis(
        "overflow in float16", "values", SUMS, subject.overflows, "maxima do not add", ("float16",),
        "it is float16 whose range sums leave",
    ),
    Axis(
        "negative data under padding", "values", ("max_pool", "max_pool_indices"),
        every(subject.all_negative, subject.padded),
        "only a maximum takes the padding's zeros for the greatest", SIGNED,
        "unsigned and complex numbers are not below zero",
    ),
    Axis("sum of 256 terms or more", "values", SUMS, subject.long_sum, "maxima do not add"),
    Axis(
        "VJP of the input", "gradients", DIFFERENTIABLE, subject.differentiated,
        "indices have no gradients", REAL, GRADIENTS,
    ),
    Axis(
        "VJP of the kernel", "gradients", KERNELS, subject.differentiated, KERNEL, REAL, GRADIENTS
    ),
    Axis(
        "VJP of the bias", "gradients", KERNELS,
        every(subject.differentiated, when(bias=True)), KERNEL, REAL, GRADIENTS,
    ),
    Axis(
        "VJP with ties", "gradients", tuple(op for op in MAXIMA if op != "max_pool_indices"),
        every(subject.differentiated, subject.ties), "only maxima have ties", REAL, GRADIENTS,
    ),
    Axis(
        "VJP with NaN", "gradients", tuple(op for op in DIFFERENTIABLE if op != "lp_pool"),
        every(subject.differentiated, subject.has_nan),
        "indices have no gradients, and no rule says what a norm that is NaN owes its terms",
        REAL, GRADIENTS,
    ),
    Axis(
        "VJP under padding", "gradients", SLIDING[:-1],
        every(subject.differentiated, subject.padded),
        "indices have no gradients, adaptive windows no padding", REAL, GRADIENTS,
    ),
    Axis("law", "together", ALL, lambda s: True, outcome="law"),
    Axis(
        "step of a composite", "together", CHAINED, lambda s: True,
        "no chain has it", ("float32",), "a step computes what the operator alone does",
        outcome="chain",
    ),
    Axis(
        "layer of a network's size", "together", NETWORKS, subject.of_a_network,
        "no layer of the networks here is one", ("float32",), "networks are defined in float32",
    ),
)  # fmt: skip


@cache
def refused(op: Op, dtype: str) -> str:
    """Why the operator has no such dtype; empty where it has."""
    options: dict[str, object] = {}
    if op in KERNELS:
        options["kernel"] = (1, 1, 1)
    elif op not in ADAPTIVE_POOLS:
        options["window"] = 1
    elif op.startswith("adaptive"):
        options["output_size"] = 1
    try:
        make_request(op, (1, 1, 1), dtype=dtype, **options)  # type: ignore[arg-type]
    except ValueError as error:
        return str(error).partition(": ")[2].partition(";")[0]
    return ""


def reason(axis: Axis, op: Op, dtype: str) -> str:
    """Why an operator's axis makes no sense in a dtype; empty where it does."""
    assert dtype in DTYPES
    return refused(op, dtype) or (axis.why if dtype not in axis.dtypes else "")
