"""Which law is which, what operators it speaks of, and how tight it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conformance import request
from conformance.dtypes import DTYPES, Array
from conformance.laws import convolution, kernels, pooling, symmetries
from conformance.laws.names import LawName
from conformance.laws.steps import Law, Steps, require
from conformance.request import ADAPTIVE_POOLS, Op, Pool, Request
from conformance.schema import Fields

CONV: tuple[Op, ...] = ("conv",)
TRANSPOSED: tuple[Op, ...] = ("conv_transpose",)
KERNELS = CONV + TRANSPOSED
MAXIMUM: tuple[Op, ...] = ("max_pool",)
MEAN: tuple[Op, ...] = ("avg_pool",)
LINEAR = MAXIMUM + MEAN
SLIDING: tuple[Op, ...] = (*LINEAR, "lp_pool")
MAXIMA: tuple[Op, ...] = (*MAXIMUM, "adaptive_max_pool", "global_max_pool")
POOLS: tuple[Op, ...] = (*SLIDING, *ADAPTIVE_POOLS)
SCALED: tuple[Op, ...] = (*LINEAR, *ADAPTIVE_POOLS)
INDICES: tuple[Op, ...] = ("max_pool_indices",)
FOREIGN = ("expect", "spelling", "vjp", "cotangent", "accumulation", "signed_zero", "view")


@dataclass(frozen=True)
class Stated:
    """A law, and the operators that it speaks of.

    ``bitwise`` says that it holds exactly on real data, too: both sides round alike.
    """

    law: Law
    ops: tuple[Op, ...]
    bitwise: bool = False


LAWS: Mapping[LawName, Stated] = {
    "pointwise-is-dense": Stated(convolution.pointwise_is_dense, CONV),
    "sum-over-window": Stated(convolution.sum_over_window, CONV),
    "grouped-is-concatenation": Stated(convolution.grouped_is_concatenation, CONV),
    "grouped-is-block-diagonal": Stated(convolution.grouped_is_block_diagonal, CONV),
    "depthwise-is-channel-by-channel": Stated(convolution.depthwise_is_channel_by_channel, CONV),
    "separable-is-one-convolution": Stated(convolution.separable_is_one_convolution, CONV),
    "kernel-gradient-is-convolution": Stated(convolution.kernel_gradient_is_convolution, CONV),
    "linear-in-input": Stated(kernels.linear_in_input, KERNELS + MEAN),
    "linear-in-kernel": Stated(kernels.linear_in_kernel, KERNELS),
    "bias-is-added": Stated(kernels.bias_is_added, KERNELS),
    "dilation-is-zeros-in-kernel": Stated(kernels.dilation_is_zeros_in_kernel, KERNELS),
    "transposed-is-vjp": Stated(kernels.transposed_is_vjp, TRANSPOSED),
    "transposed-is-convolution": Stated(kernels.transposed_is_convolution, TRANSPOSED),
    "strided-is-subsampled": Stated(symmetries.strided_is_subsampled, CONV + SLIDING),
    "same-strided-is-subsampled": Stated(symmetries.same_strided_is_subsampled, CONV + SLIDING),
    "padding-is-data": Stated(symmetries.padding_is_data, CONV + SLIDING),
    "batch-is-concatenation": Stated(symmetries.batch_is_concatenation, KERNELS + POOLS),
    "translation": Stated(symmetries.translation, KERNELS + SLIDING),
    "mirrored": Stated(symmetries.mirrored, KERNELS + POOLS),
    "axes-exchanged": Stated(symmetries.axes_exchanged, KERNELS + POOLS),
    "scales-exactly": Stated(symmetries.scales_exactly, KERNELS + SCALED, bitwise=True),
    "channels-are-independent": Stated(pooling.channels_are_independent, POOLS),
    "average-is-depthwise-convolution": Stated(pooling.average_is_depthwise_convolution, MEAN),
    "pooling-is-separable": Stated(pooling.pooling_is_separable, LINEAR),
    "pooling-is-idempotent": Stated(pooling.pooling_is_idempotent, LINEAR),
    "max-pool-shifts-with-input": Stated(pooling.max_pool_shifts_with_input, MAXIMA),
    "max-pool-is-monotone": Stated(pooling.max_pool_is_monotone, MAXIMA),
    "indices-point-to-maxima": Stated(pooling.indices_point_to_maxima, INDICES),
    "adaptive-is-windows": Stated(pooling.adaptive_is_windows, ADAPTIVE_POOLS),
    "unbatched-is-batched": Stated(symmetries.unbatched_is_batched, KERNELS + POOLS),
}


def stated(name: LawName, r: Request, arrays: Sequence[Array]) -> Steps:
    """A law on a request and its arrays; nothing is asked yet."""
    wide = DTYPES[r.dtype].wide
    return LAWS[name].law(r, *(np.asarray(array, wide) for array in arrays))


def check(name: LawName, fields: Fields, r: Request) -> None:
    """See that a law speaks of a case.

    Raises:
        RequestError: it does not.
    """
    ops = LAWS[name].ops
    require(r.op in ops, "law", f"{name!r} is a law of {', '.join(ops)}, not of {r.op}")
    default = Fields()
    for field in FOREIGN:
        message = f"a law compares results of one target with each other; remove {field!r}"
        require(getattr(fields, field) == getattr(default, field), field, message)
    mixed = not isinstance(r, Pool) and r.mixed
    require(not mixed, "kernel.dtype", "a law is about operands of one dtype")
    alone = not r.unbatched or name == "unbatched-is-batched"
    require(alone, "unbatched", "this law is about batches; remove it")
    shapes = request.input_shapes(r).values()
    message = "nothing follows for an empty input or output; make it larger"
    require(not any(0 in shape for shape in (*shapes, r.output_shape)), "input", message)
    steps = stated(name, r, [np.broadcast_to(np.zeros(()), shape) for shape in shapes])
    # Up to its first question a law computes nothing.
    next(steps)
    steps.close()
