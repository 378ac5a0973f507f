"""Maxima of numbers that are known up to an error: which elements can be one, and what they get."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from conformance.dtypes import Array


def shares(
    windows: Iterable[tuple[Any, Any]],
    sure: Array,
    contended: Array,
    x: Array,
    error: Array,
    inside: Array,
) -> Array:
    """What is added up for each element of ``x`` by the windows whose maximum it is, or can be.

    Each element is known up to its ``error``. A window that has one greatest element all the same
    gives it its share of ``sure``; where several elements can be it, each that can gets one of
    ``contended``. Equal elements without error are as `pool_vjp` has them: the first gets it all.
    ``windows`` are the indices of each position, and of the window's part of ``x``; ``inside`` says
    of which elements there are shares, ``(*spatial)``.
    """
    result = np.zeros(x.shape, sure.dtype)
    for position, block in windows:
        target = result[block]
        rows = (*x.shape[:2], math.prod(target.shape[2:]))
        seen, off = x[block].reshape(rows), error[block].reshape(rows)
        reachable = np.broadcast_to(inside, x.shape)[block].reshape(rows)
        can = ~(seen + off < (seen - off).max(axis=-1, keepdims=True))
        several = can.sum(axis=-1, keepdims=True) > 1
        several &= (can & (off != 0)).any(axis=-1, keepdims=True)
        wins = (seen == seen.max(axis=-1, keepdims=True)) & reachable
        wins &= wins.cumsum(axis=-1) == 1
        given = np.where(several, 0, sure[position][..., None]) * wins
        given += np.where(several & can & reachable, contended[position][..., None], 0)
        target += given.reshape(target.shape)
    return result
