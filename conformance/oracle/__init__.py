"""The reference: what a request means, in NumPy, and the gradients of it.

Results are in `DType.wide` (float64, complex128 or int64), not yet rounded or wrapped to the
request's dtype (`dtypes.cast` does that; int64 arithmetic wraps, so wrapping once at the end is
the same). Sources of the rules: `conformance.geometry` for shapes and padding; StableHLO
``convolution``, ``reduce_window`` and ``select_and_scatter``; PyTorch ``AvgPool2d`` for the
divisor in ceil mode (the window is clipped to the padded input).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.dtypes import DTYPES, Array
from conformance.oracle.adaptive import adaptive_contended_vjp, adaptive_pool, adaptive_pool_vjp
from conformance.oracle.correlation import (
    BUFFER_BYTES,
    conv,
    conv_transpose,
    conv_transpose_vjp,
    conv_vjp,
)
from conformance.oracle.norm import norm, norm_vjp
from conformance.oracle.pooling import indices, pool, pool_contended_vjp, pool_vjp
from conformance.request import Conv, Pool, Request

__all__ = ["BUFFER_BYTES", "contended_vjp", "forward", "vjp"]


def forward(request: Request, x: Array, w: Array | None = None, b: Array | None = None) -> Array:
    """The request's output, ``request.output_shape`` in canonical order, float64 or int64.

    The indices of maxima are int64. Besides its arguments, a padded copy of the input and the
    result, it holds at most `BUFFER_BYTES` of gathered windows, or one window where that is larger.

    Raises:
        ValueError: the average of an integer dtype; a mode other than zeros on an empty axis; a
            transposed convolution whose padding crops more than there is.
    """
    x, w, b = (_wide(request, array) for array in (x, w, b))
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(request, Pool):
            return _pooling(request)[0](request, x)
        if isinstance(request, Conv):
            return conv(request, x, w, b)
        return conv_transpose(request, x, w, b)


def vjp(
    request: Request, cotangent: Array, x: Array, w: Array | None = None, b: Array | None = None
) -> tuple[Array, ...]:
    """Gradients with respect to x, and w and b where the request has them, float64 or int64.

    ``cotangent`` has the output's shape. A maximum's share goes to the first greatest element of
    its window in row-major order, the first NaN where there is one. An L^p norm of 0 has the
    gradient 0.

    Raises:
        ValueError: as in `forward`, and for the indices of maxima, which have no gradient.
    """
    cotangent, x, w, b = (_wide(request, array) for array in (cotangent, x, w, b))
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(request, Pool):
            return (_pooling(request)[1](request, cotangent, x),)
        if isinstance(request, Conv):
            return conv_vjp(request, cotangent, x, w, b)
        return conv_transpose_vjp(request, cotangent, x, w, b)


def contended_vjp(request: Pool, sure: Array, contended: Array, x: Array, error: Array) -> Array:
    """What is added up for each element by the windows whose maximum it is, or can be, float64.

    Each element of ``x`` is known up to its ``error``. A window that has one greatest element all
    the same gives it its share of ``sure``; where several elements can be it, each that can gets
    one of ``contended``. Both have the output's shape, the result the input's: with bounds for them
    it bounds the gradient's error, with magnitudes its magnitude.
    """
    of = pool_contended_vjp if request.output_size is None else adaptive_contended_vjp
    with np.errstate(invalid="ignore"):
        return of(request, sure, contended, x, error)


def _pooling(request: Pool) -> tuple[Callable[..., Array], Callable[..., Array]]:
    """A pooling's output and the gradient of it."""
    if request.output_size is not None:
        return adaptive_pool, adaptive_pool_vjp
    if request.kind == "lp":
        return norm, norm_vjp
    return indices if request.indices else pool, pool_vjp


def _wide(request: Request, array: Array | None) -> Any:
    if array is None:
        return None
    dtype = request.dtype if isinstance(request, Pool) else request.result_dtype
    return np.asarray(array, DTYPES[dtype].wide)
