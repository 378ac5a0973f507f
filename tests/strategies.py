"""Hypothesis strategies for valid requests, and data for them."""

from __future__ import annotations

import numpy as np

from conformance.data import integer_range
from conformance.dtypes import DTYPES, Array, cast
from conformance.fuzzing.requests import requests
from conformance.request import Pool, Request

__all__ = ["integer_cotangent", "integer_data", "real_data", "requests"]


def integer_data(request: Request, seed: int = 0) -> tuple[Array, ...]:
    """The request's inputs x, w, b in canonical order: integers whose sums are exact.

    Where the dtype is too narrow for that, integers from -1 (0 for unsigned dtypes) to 1.
    """
    shapes: list[tuple[int, ...]] = [request.input_shape]
    if not isinstance(request, Pool):
        shapes.append(request.kernel_shape)
        if request.bias:
            shapes.append((request.out_channels,))
    random = np.random.default_rng(seed)
    return tuple(_integers(random, request, shape) for shape in shapes)


def integer_cotangent(request: Request, seed: int = 0) -> Array:
    """A cotangent of the request's output, as `integer_data`."""
    return _integers(np.random.default_rng(seed + 1_000_000), request, request.output_shape)


def real_data(request: Request, seed: int = 0) -> tuple[Array, ...]:
    """The request's inputs, normally distributed."""
    random = np.random.default_rng(seed)
    return tuple(
        cast(random.normal(size=array.shape), DTYPES[request.dtype])
        for array in integer_data(request, seed)
    )


def _integers(random: np.random.Generator, request: Request, shape: tuple[int, ...]) -> Array:
    dtype = DTYPES[request.dtype]
    high = integer_range(request, dtype)
    low = 0 if dtype.name.startswith("uint") else -high
    return random.integers(low, high, shape, endpoint=True).astype(dtype.carrier)
