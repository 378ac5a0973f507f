"""L^p pooling: the p-norm of each window, padding counting as zeros."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.dtypes import Array
from conformance.oracle import pooling
from conformance.request import Pool


def norm(request: Pool, x: Array) -> Array:
    """``(sum of |x|^p)^(1/p)`` of each window, ``(N, C, *positions)`` (ONNX ``LpPool``)."""
    result: Array = _sums(request, np.abs(x) ** request.norm) ** (1 / request.norm)
    return result


def norm_vjp(request: Pool, cotangent: Array, x: Array) -> Array:
    """Gradient of `norm`: ``sign(x) |x|^(p-1) / y^(p-1)`` of each share, and 0 where y is 0.

    What is in no window has the gradient 0, infinity as well.
    """
    y = norm(request, x)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(y == 0, 0, cotangent / y ** (request.norm - 1))
        slope = np.where(x == 0, 0, np.sign(x) * np.abs(x) ** (request.norm - 1))
    windows = pooling.pool_vjp(_summing(request), np.ones_like(share), np.zeros_like(x))
    slope = np.where(windows == 0, 0, slope)
    return slope * pooling.pool_vjp(_summing(request), share, x)


def _sums(request: Pool, x: Array) -> Array:
    return pooling.pool(_summing(request), x)


def _summing(request: Pool) -> Pool:
    """The pooling that adds up each window."""
    return replace(request, op="avg_pool", divisor=1)
