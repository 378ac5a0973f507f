"""How many terms make up an element of each array of a request."""

from __future__ import annotations

import math

from conformance import geometry
from conformance.request import Conv, ConvTranspose, Pool, Request


def _sharing(request: Pool) -> int:
    """Most windows that an element is in."""
    if request.output_size is None:
        return math.prod(request.window)
    most = 1
    for size, positions in zip(request.spatial, request.output_size):
        windows = geometry.adaptive_windows(size, positions)
        most *= max((sum(a <= i < b for a, b in windows) for i in range(size)), default=1)
    return most


def terms(request: Request) -> dict[str, int]:
    """Number of terms that are summed into one element: of y, and of the gradients of x, w, b."""
    window = math.prod(request.window)
    if isinstance(request, Pool):
        return {"y": window, "x": _sharing(request)}
    positions = math.prod(request.output_shape[2:])
    batch = request.input_shape[0]
    per_group = request.channels // request.groups, request.out_channels // request.groups
    bias = {"b": batch * positions} if request.bias else {}
    if isinstance(request, Conv):
        return {
            "y": per_group[0] * window + request.bias,
            "x": per_group[1] * window,
            "w": batch * positions,
            **bias,
        }
    assert isinstance(request, ConvTranspose)
    return {
        "y": per_group[0] * window + request.bias,
        "x": per_group[1] * window,
        "w": batch * math.prod(request.spatial),
        **bias,
    }
