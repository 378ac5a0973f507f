"""What an axis of the coverage asks of a case: its request, its facts, its small data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from conformance import oracle, predicates
from conformance.cases import Case
from conformance.dtypes import DTYPES, Array
from conformance.explanation.windows import windows
from conformance.geometry import effective_window
from conformance.predicates import Facts, When
from conformance.reductions import terms
from conformance.request import Conv, ConvTranspose, Pool, Request

SMALL, LONG, LARGE = 4096, 256, 10_000
"""Elements of data that are looked at; terms of a long sum; elements of a network's image."""


@dataclass(frozen=True)
class Subject:
    """A case and one of its requests, of which a chain has several."""

    case: Case
    request: Request

    @property
    def outcome(self) -> str:
        """What the case is a case of: the request itself, a law, or a chain."""
        if self.case.chain is not None:
            return "chain"
        return "request" if self.case.fields.law is None else "law"

    @cached_property
    def facts(self) -> Facts:
        """What registries can ask of the case."""
        return predicates.facts(self.case)

    @cached_property
    def arrays(self) -> tuple[Array, ...]:
        """The inputs x, w, b in their carriers; none where one of them is large."""
        if any(math.prod(tensor.shape) > SMALL for tensor in self.case.inputs):
            return ()
        return self.case.arrays()

    @property
    def x(self) -> Array:
        """The input, empty where the data are large."""
        return self.arrays[0] if self.arrays else np.empty(0)

    @cached_property
    def met(self) -> tuple[Array, Array]:
        """What each window of a pooling meets, ``(N, C, positions, elements)``, and what is input.

        Both are empty where the data are large or have no element.
        """
        if not isinstance(self.request, Pool) or not self.x.size:
            return np.empty((0, 0, 0, 1)), np.empty((0, 1), bool)
        slide = windows(self.request)
        return slide.values(self.x, 0), slide.inside


Predicate = Callable[[Subject], bool]


def when(**wanted: object) -> Predicate:
    """What an entry of a registry can say with the same words."""
    model = When.model_validate(wanted)
    return lambda s: predicates.holds(model, s.facts)


def every(*parts: Predicate) -> Predicate:
    """Whether all of them hold."""
    return lambda s: all(part(s) for part in parts)


def even_window(s: Subject) -> bool:
    """Whether a side of the window is even."""
    return any(k % 2 == 0 for k in s.request.window)


def odd_window(s: Subject) -> bool:
    """Whether a side of the window is odd, and not 1."""
    return any(k % 2 == 1 and k > 1 for k in s.request.window)


def larger_window(s: Subject) -> bool:
    """Whether the window is larger than the input, which has some element."""
    r = s.request
    axes = zip(r.spatial, r.window, r.dilation)
    return any(effective_window(k, d) > size > 0 for size, k, d in axes)


def skipping_stride(s: Subject) -> bool:
    """Whether the stride leaves out elements between two windows."""
    r = s.request
    axes = zip(r.stride, r.window, r.dilation)
    return any(stride > effective_window(k, d) for stride, k, d in axes)


def grouped(s: Subject) -> bool:
    """Whether there are several groups of several channels."""
    r = s.request
    return not isinstance(r, Pool) and 1 < r.groups < r.channels


def multiplied(s: Subject) -> bool:
    """Whether each channel has several kernels of its own."""
    r = s.request
    return not isinstance(r, Pool) and 1 < r.groups == r.channels < r.out_channels


def padded(s: Subject) -> bool:
    """Whether zeros, or what stands for them, are added on some side."""
    return any(max(pair) > 0 for pair in s.request.padding.pairs)


def other_norm(s: Subject) -> bool:
    """Whether the norm is neither 1 nor 2."""
    return s.facts["norm"] not in (None, 1, 2)


def even_shares(s: Subject) -> bool:
    """Whether the windows of an adaptive pooling stand side by side, of one size."""
    r = s.request
    assert isinstance(r, Pool) and r.output_size is not None
    return all(n % m == 0 for n, m in zip(r.spatial, r.output_size))


def more_positions(s: Subject) -> bool:
    """Whether an adaptive pooling has more positions than the input has elements."""
    r = s.request
    assert isinstance(r, Pool) and r.output_size is not None
    return any(m > n for n, m in zip(r.spatial, r.output_size))


def no_example(s: Subject) -> bool:
    """Whether the batch is empty."""
    return s.request.input_shape[0] == 0


def no_channel(s: Subject) -> bool:
    """Whether the input has no channel."""
    return s.request.channels == 0


def no_pixel(s: Subject) -> bool:
    """Whether the input has no extent along an axis."""
    return 0 in s.request.spatial


def has_nan(s: Subject) -> bool:
    """Whether an input holds a NaN."""
    return any(np.isnan(array).any() for array in s.arrays)


def has_infinity(s: Subject) -> bool:
    """Whether an input holds an infinity."""
    return any(np.isinf(array).any() for array in s.arrays)


def minus_infinity_windows(s: Subject) -> bool:
    """Whether some window meets minus infinity and nothing else."""
    values, inside = s.met
    alone = np.where(inside, np.isneginf(values), True).all(axis=-1)
    return bool((alone & inside.any(axis=-1)).any())


def has_negative_zero(s: Subject) -> bool:
    """Whether the data hold -0.0."""
    real = [array for array in s.arrays if array.dtype.kind == "f"]
    return any(((array == 0) & np.signbit(array)).any() for array in real)


def has_subnormal(s: Subject) -> bool:
    """Whether an input holds a number below the least normal one of its dtype."""
    for tensor, array in zip(s.case.inputs, s.arrays):
        if not DTYPES[tensor.dtype].floating:
            continue
        least = float(np.finfo(DTYPES[tensor.dtype].carrier).tiny)
        if ((array != 0) & (_size(array) < least)).any():
            return True
    return False


def overflows(s: Subject) -> bool:
    """Whether finite data have a sum, in some order of its terms, beyond the dtype."""
    r = s.request
    if not s.x.size or not all(np.isfinite(array).all() for array in s.arrays):
        return False
    size = [_size(array) for array in s.arrays]
    largest = DTYPES[r.result_dtype].largest
    if isinstance(r, Pool):
        power = r.norm if r.kind == "lp" else 1
        values, inside = s.met
        sums = np.where(inside, np.abs(values.astype(np.float64)) ** power, 0).sum(axis=-1)
    else:
        sums = oracle.forward(r, *size)
    return bool((sums > largest).any())


def _size(array: Array) -> Array:
    """Magnitudes in float64, of complex numbers too."""
    return np.asarray(np.abs(array if np.iscomplexobj(array) else array.astype(np.float64)))


def all_negative(s: Subject) -> bool:
    """Whether all data are below zero, so that a padding of zeros is above them."""
    return s.x.size > 0 and bool((s.x < 0).all())


def long_sum(s: Subject) -> bool:
    """Whether an element of the output is the sum of many terms."""
    return terms(s.request)["y"] >= LONG


def ties(s: Subject) -> bool:
    """Whether some window's maximum is there twice."""
    values, inside = s.met
    if not values.size:
        return False
    if values.dtype.kind == "f":
        lowest: float = -np.inf
    else:
        lowest = np.iinfo(values.dtype).min
    values = np.where(inside, values, np.asarray(lowest, values.dtype))
    maxima = (values == values.max(axis=-1, keepdims=True)) & inside
    return bool((maxima.sum(axis=-1) > 1).any())


def differentiated(s: Subject) -> bool:
    """Whether gradients are compared."""
    return s.case.cotangent is not None


def with_bias(s: Subject) -> bool:
    """Whether the request has a bias."""
    return isinstance(s.request, (Conv, ConvTranspose)) and s.request.bias


def of_a_network(s: Subject) -> bool:
    """Whether the image is of the size that networks have."""
    return math.prod(s.request.input_shape) >= LARGE
