"""The laws by name, each with the words for its other side.

    the convolution = the sum of shifted 1×1 convolutions

The names are stable: cases ask for them, and registries match on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from conformance.request import Op

LawName = Literal[
    "pointwise-is-dense",
    "sum-over-window",
    "grouped-is-concatenation",
    "grouped-is-block-diagonal",
    "depthwise-is-channel-by-channel",
    "separable-is-one-convolution",
    "kernel-gradient-is-convolution",
    "linear-in-input",
    "linear-in-kernel",
    "bias-is-added",
    "dilation-is-zeros-in-kernel",
    "transposed-is-vjp",
    "transposed-is-convolution",
    "strided-is-subsampled",
    "same-strided-is-subsampled",
    "padding-is-data",
    "batch-is-concatenation",
    "translation",
    "mirrored",
    "axes-exchanged",
    "scales-exactly",
    "channels-are-independent",
    "average-is-depthwise-convolution",
    "pooling-is-separable",
    "pooling-is-idempotent",
    "max-pool-shifts-with-input",
    "max-pool-is-monotone",
    "indices-point-to-maxima",
    "adaptive-is-windows",
    "unbatched-is-batched",
]
OPERATORS: Mapping[Op, str] = {
    "conv": "the convolution",
    "conv_transpose": "the transposed convolution",
    "max_pool": "the max pooling",
    "avg_pool": "the average pooling",
    "lp_pool": "the L^p pooling",
    "max_pool_indices": "the max pooling with indices",
    "adaptive_max_pool": "the adaptive max pooling",
    "adaptive_avg_pool": "the adaptive average pooling",
    "global_max_pool": "the global max pooling",
    "global_avg_pool": "the global average pooling",
}


@dataclass(frozen=True)
class Words:
    """What a law compares: ``other`` with ``own``, the operator itself where that is empty.

    ``{}`` in ``own`` stands for the operator.
    """

    other: str
    own: str = "{}"

    def of(self, op: Op) -> tuple[str, str]:
        """Both sides, for an operator: the other way, and the case's own request."""
        return self.other.format(OPERATORS[op]), self.own.format(OPERATORS[op])

    def equation(self, op: Op | None = None) -> str:
        """The law as an equation; without an operator for any that it speaks of."""
        operator = "the result" if op is None else OPERATORS[op]
        own, other = (side.format(operator).rstrip(",") for side in (self.own, self.other))
        return f"{own} = {other}"


WORDS: Mapping[LawName, Words] = {
    "pointwise-is-dense": Words("the dense layer on every pixel"),
    "sum-over-window": Words("the sum of shifted 1×1 convolutions"),
    "grouped-is-concatenation": Words("the concatenation of the groups' convolutions"),
    "grouped-is-block-diagonal": Words("the dense convolution with a block-diagonal kernel"),
    "depthwise-is-channel-by-channel": Words("the convolution of each channel alone"),
    "separable-is-one-convolution": Words(
        "the dense convolution with the product of the kernels",
        "the depthwise convolution and then the 1×1 convolution",
    ),
    "kernel-gradient-is-convolution": Words(
        "the convolution of the input with the cotangent", "the gradient of the kernel"
    ),
    "linear-in-input": Words("the sum over two parts of the input"),
    "linear-in-kernel": Words("the sum over two parts of the kernel"),
    "bias-is-added": Words("{} without the bias, and then the bias"),
    "dilation-is-zeros-in-kernel": Words("{} with zeros between the kernel's elements"),
    "transposed-is-vjp": Words("the gradient of the convolution's input"),
    "transposed-is-convolution": Words("the convolution of the input with zeros in between"),
    "strided-is-subsampled": Words("every stride-th position of {} at stride 1"),
    "same-strided-is-subsampled": Words("every stride-th position of {} padded 'same' at stride 1"),
    "padding-is-data": Words("{} of the padded input"),
    "batch-is-concatenation": Words("the concatenation of each example's result"),
    "translation": Words("{} of the shifted input, shifted back,"),
    "mirrored": Words("{} of the mirrored input, mirrored back,"),
    "axes-exchanged": Words("{} with its axes in reverse order"),
    "scales-exactly": Words("{} of the scaled input", "{}, scaled,"),
    "channels-are-independent": Words("the pooling of each channel alone"),
    "average-is-depthwise-convolution": Words("the depthwise convolution with a constant kernel"),
    "pooling-is-separable": Words("the pooling along one axis after the other"),
    "pooling-is-idempotent": Words("the pooling of its own result, repeated,"),
    "max-pool-shifts-with-input": Words("the max pooling of the lowered input, raised again,"),
    "max-pool-is-monotone": Words(
        "the greater of the max poolings of two inputs", "the max pooling of their maximum"
    ),
    "indices-point-to-maxima": Words("the input at the indices of the maxima", "the max pooling"),
    "adaptive-is-windows": Words("the pooling with windows side by side"),
    "unbatched-is-batched": Words("{} of a batch of one"),
}
