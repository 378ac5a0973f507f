"""Adaptive and global pooling: windows that share an axis among a number of positions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance import geometry
from conformance.dtypes import Array
from conformance.oracle import contention
from conformance.request import Pool


def adaptive_pool(request: Pool, x: Array) -> Array:
    """Maximum or average of each window, ``(N, C, *output_size)``."""
    y: Array = np.empty(request.output_shape, x.dtype)
    axes = tuple(range(2, x.ndim))
    for position, block in _windows(request):
        seen = x[block]
        y[position] = seen.max(axis=axes) if request.kind == "max" else seen.mean(axis=axes)
    return y


def adaptive_pool_vjp(request: Pool, cotangent: Array, x: Array) -> Array:
    """Gradient of `adaptive_pool`: to the first maximum (first NaN), or in equal shares."""
    dx = np.zeros(x.shape, cotangent.dtype)
    for position, block in _windows(request):
        share, seen, target = cotangent[position], x[block], dx[block]
        if request.kind == "avg":
            target += (share / math.prod(seen.shape[2:])).reshape(
                *share.shape, *(1,) * request.rank
            )
            continue
        # NumPy's argmax is the first maximum, the first NaN where there is one.
        first = seen.reshape(*seen.shape[:2], math.prod(seen.shape[2:])).argmax(axis=-1)
        for image, channel in np.ndindex(*first.shape):
            place = np.unravel_index(first[image, channel], seen.shape[2:])
            target[(image, channel, *place)] += share[image, channel]
    return dx


def adaptive_contended_vjp(
    request: Pool, sure: Array, contended: Array, x: Array, error: Array
) -> Array:
    """As `adaptive_pool_vjp` of a maximum, of numbers known up to an error: `contention.shares`."""
    inside = np.ones(x.shape[2:], bool)
    return contention.shares(_windows(request), sure, contended, x, error, inside)


def _windows(request: Pool) -> Iterator[tuple[Any, Any]]:
    """Indices of each position, and of the part of the input that its window is."""
    assert request.output_size is not None
    axes = [
        [slice(*pair) for pair in geometry.adaptive_windows(size, positions)]
        for size, positions in zip(request.spatial, request.output_size)
    ]
    for position, block in zip(np.ndindex(*request.output_size), itertools.product(*axes)):
        yield (slice(None), slice(None), *position), (slice(None), slice(None), *block)
