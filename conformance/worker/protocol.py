"""Frames that travel between the runner and a worker.

A frame is a fixed prefix (magic, length of the header, length of the payload), a JSON header, and
the raw bytes of the arrays that the header describes, in C order. Nothing is pickled: a worker
cannot make the runner execute anything, and a malformed frame is recognised as one.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.dtypes import Array

VERSION = 1
PREFIX = struct.Struct("<4sIQ")
MAGIC = b"CNF1"
HEADER_LIMIT = 64 * 2**20
PAYLOAD_LIMIT = 8 * 2**30


class ProtocolError(Exception):
    """The bytes received are not a frame of this protocol."""


@dataclass(frozen=True)
class Message:
    """A header and its arrays."""

    header: dict[str, Any]
    arrays: tuple[Array, ...] = ()


def encode(message: Message) -> list[bytes | memoryview]:
    """The frame as buffers to be written one after the other; arrays are not copied."""
    arrays = [np.ascontiguousarray(array).reshape(array.shape) for array in message.arrays]
    shapes = [{"dtype": array.dtype.str, "shape": array.shape} for array in arrays]
    header = json.dumps({**message.header, "arrays": shapes}).encode()
    size = sum(array.nbytes for array in arrays)
    buffers: list[bytes | memoryview] = [PREFIX.pack(MAGIC, len(header), size) + header]
    buffers += [array.reshape(-1).view(np.uint8).data for array in arrays if array.nbytes]
    return buffers


def lengths(prefix: bytes) -> tuple[int, int]:
    """Lengths of header and payload.

    Raises:
        ProtocolError: the prefix is not one, or the lengths are beyond the limits.
    """
    magic, header, payload = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise ProtocolError(f"a frame begins with {MAGIC!r}, these bytes with {magic!r}")
    if header > HEADER_LIMIT or payload > PAYLOAD_LIMIT:
        raise ProtocolError(f"a frame of {header} + {payload} bytes is over the limit")
    return header, payload


def decode(header: bytes, payload: bytes | bytearray | memoryview) -> Message:
    """The message of a frame.

    Raises:
        ProtocolError: the header is not JSON, or the arrays do not fit the payload.
    """
    try:
        fields = json.loads(header)
        described: Sequence[dict[str, Any]] = fields.pop("arrays")
        arrays, offset = [], 0
        for entry in described:
            dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
            count = math.prod(shape)
            part = np.frombuffer(payload, dtype, count, offset) if count else np.empty(0, dtype)
            arrays.append(part.reshape(shape))
            offset += count * dtype.itemsize
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"malformed frame: {error}") from error
    if offset != len(payload):
        raise ProtocolError(f"the arrays take {offset} bytes, the payload has {len(payload)}")
    return Message(fields, tuple(arrays))
