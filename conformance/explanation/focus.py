"""A part of a large question: one image, and few of the output's channels.

Batch and output channels do not touch each other, so that most edits show in a part as they do in
the whole, at a fraction of the work. What is found there is confirmed on the whole.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from conformance.compare import right
from conformance.dtypes import Array
from conformance.explanation.evaluation import Data
from conformance.reference import Reference
from conformance.request import ConvTranspose, Pool, Request

CHANNELS = 2


def part(
    request: Request, data: Data, reference: Reference, observed: Array
) -> tuple[Request, Data, Reference, Array] | None:
    """The question about one image and two output channels that are wrong.

    None where there is no such part: gradients mix what it separates, and so do groups.
    """
    values = reference.values
    grouped = not isinstance(request, Pool) and request.groups > 1
    if reference.name != "y" or grouped or observed.ndim != values.ndim:
        return None
    if observed.shape[:2] != values.shape[:2] or 0 in values.shape[:2]:
        return None
    image, channels = _wrong(reference, observed)
    cut: Any = (slice(image, image + 1), channels)
    inputs = [data.arrays[0][image : image + 1], *data.arrays[1:]]
    changes: dict[str, Any] = {"input_shape": (1, *request.input_shape[1:])}
    if isinstance(request, Pool):
        inputs[0] = inputs[0][:, channels]
        changes["input_shape"] = inputs[0].shape
    else:
        transposed = isinstance(request, ConvTranspose)
        inputs[1] = inputs[1][:, channels] if transposed else inputs[1][channels]
        inputs[2:] = [array[channels] for array in inputs[2:]]
        changes["kernel_shape"] = inputs[1].shape
    smaller: Request = dataclasses.replace(request, **changes)
    allowed = None if reference.allowed is None else reference.allowed[cut]
    expected = dataclasses.replace(
        reference, values=values[cut], exact=reference.exact[cut], allowed=allowed
    )
    return smaller, Data(tuple(inputs)), expected, np.ascontiguousarray(observed[cut])


def _wrong(reference: Reference, observed: Array) -> tuple[int, list[int]]:
    """An image and channels in which the result is wrong."""
    if observed.shape != reference.values.shape:
        return 0, list(range(min(CHANNELS, observed.shape[1])))
    wrong = ~right(reference, observed)
    image = int(np.argmax(wrong.any(axis=tuple(range(1, wrong.ndim)))))
    hit = wrong[image].any(axis=tuple(range(1, wrong.ndim - 1)))
    order = np.argsort(~hit, kind="stable")[:CHANNELS]
    return image, sorted(map(int, order))
