"""Padding and output-shape arithmetic of windows that slide along one axis.

This is the only place where the suite says how many positions a window has and where padding
goes. Standard library only: adapters use it too, in every backend's interpreter.

Sources of the rules:

* windows and strides: StableHLO ``convolution`` and ``reduce_window`` (a window that does not fit
  gives no output, never a negative size); ONNX ``Conv``; Dumoulin & Visin, "A guide to convolution
  arithmetic for deep learning" (arXiv:1603.07285).
* 'same': ONNX ``auto_pad=SAME_UPPER`` (output ceil(n / s), the odd pixel at the end) and
  ``SAME_LOWER`` (the odd pixel at the start).
* ceil mode: PyTorch ``MaxPool2d``: "sliding windows are allowed to go off-bounds if they start
  within the left padding or the input; sliding windows that would start in the right padded
  region are ignored".
* adaptive pooling: PyTorch ``AdaptiveAvgPool2d`` (``start_index`` and ``end_index`` in
  ``aten/src/ATen/native/AdaptivePooling.h``); Keras ``AdaptiveAveragePooling2D``.
* transposed 'same' and 'valid': the gradient of the forward convolution (TensorFlow
  ``conv2d_transpose``).
"""

from __future__ import annotations

Pair = tuple[int, int]


def effective_window(window: int, dilation: int) -> int:
    """Number of input elements that a dilated window spans."""
    return (window - 1) * dilation + 1 if window else 0


def output_size(
    size: int, window: int, stride: int, dilation: int, pads: Pair, ceil_mode: bool = False
) -> int:
    """Number of window positions along one axis of ``size`` elements.

    A window larger than the padded axis has no position; ceil mode adds one last, partly
    overhanging window unless it would start in the padding at the end.
    """
    padded = size + pads[0] + pads[1]
    room = padded - effective_window(window, dilation)
    if not ceil_mode:
        return room // stride + 1 if room >= 0 else 0
    count = -(-room // stride) + 1
    if (count - 1) * stride >= size + pads[0] + min(pads[1], 0):
        count -= 1
    return max(count, 0)


def same_pads(size: int, window: int, stride: int, dilation: int, lower: bool = False) -> Pair:
    """Padding that gives ``ceil(size / stride)`` positions; the odd pixel at the end.

    With ``lower`` the odd pixel is at the start (ONNX ``SAME_LOWER``).
    """
    positions = -(-size // stride)
    total = max((positions - 1) * stride + effective_window(window, dilation) - size, 0)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def adaptive_windows(size: int, positions: int) -> tuple[Pair, ...]:
    """Start and end (excluded) of each window that shares ``size`` elements among ``positions``.

    Window i goes from floor(i·size / positions) to ceil((i + 1)·size / positions): windows overlap
    where the division leaves a rest, and repeat where there are more positions than elements.
    """
    return tuple((i * size // positions, -(-(i + 1) * size // positions)) for i in range(positions))


def transposed_output_size(
    size: int, window: int, stride: int, dilation: int, pads: Pair, output_padding: int
) -> int:
    """Length of a transposed convolution's output; negative when the padding crops too much."""
    if size == 0:
        return 0
    full = (size - 1) * stride + effective_window(window, dilation)
    return full - pads[0] - pads[1] + output_padding


def transposed_same(
    window: int, stride: int, dilation: int, lower: bool = False
) -> tuple[Pair, int]:
    """Padding and output padding with which a transposed convolution gives ``size * stride``.

    It is the gradient of the forward 'same' convolution over ``size * stride`` elements, so the
    padding does not depend on the size. A window shorter than the stride leaves a rest at the
    end, which is output padding.
    """
    effective = effective_window(window, dilation)
    total = max(effective - stride, 0)
    small, large = total // 2, total - total // 2
    return ((large, small) if lower else (small, large)), max(stride - effective, 0)
