"""How a run's header, the set of its outcomes, and an outcome's particulars are stored."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import zlib
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from conformance import describe, records
from conformance.dtypes import Array
from conformance.explanation import Explanation
from conformance.records import Failed, Header, Record
from conformance.results import Results, key

LINE = 300


class Signature(NamedTuple):
    """What makes two outcomes of a case the same; empty where there is no such thing."""

    outcome: str
    raw: str
    known: str
    cause: str
    error: str


def signature(record: Record) -> Signature:
    """The signature of an outcome."""
    return Signature(
        record.outcome,
        record.raw,
        record.known or "",
        record.explanation.key if record.explanation else "",
        record.error.type if record.error else "",
    )


def detail(record: Record) -> str:
    """What else is kept of an outcome at the beginning of a period, as JSON."""
    told: dict[str, Any] = {}
    if record.raw != "pass":
        told["line"] = _short(describe.outcome(record))
    if record.note:
        told["note"] = _short(record.note)
    if record.error is not None:
        told["message"] = _short(record.error.message)
    if record.explanation is not None:
        kept = dataclasses.asdict(record.explanation)
        told["explanation"] = {name: kept[name] for name in ("sentence", "edits")}
    return json.dumps(told, sort_keys=True, ensure_ascii=False) if told else ""


def line(text: str) -> str:
    """What a detail tells, in one line."""
    told = json.loads(text) if text else {}
    sentence = told.get("explanation", {}).get("sentence", "") if "message" not in told else ""
    return sentence or told.get("line", "")


def restored(subject: tuple[str, str, str, str, str, str], sign: Signature, text: str) -> Record:
    """The record that a signature and a detail keep; arrays, sources and times are not kept."""
    told = json.loads(text) if text else {}
    explanation = None
    if sign.cause:
        kept = told.get("explanation", {})
        explanation = Explanation(sign.cause, kept["sentence"], tuple(kept["edits"]))
    error = Failed(sign.error, told.get("message", "")) if sign.error else None
    return Record(
        *subject,  # type: ignore[arg-type]
        outcome=sign.outcome,  # type: ignore[arg-type]
        raw=sign.raw,  # type: ignore[arg-type]
        known=sign.known or None,
        note=told.get("note", ""),
        error=error,
        explanation=explanation,
    )


def digest(results: Results) -> bytes:
    """What tells a run from all others."""
    rows = sorted([*key(record), *signature(record)] for record in results.records)
    text = json.dumps([records.header_json(results.header), results.complete, rows])
    return hashlib.sha256(text.encode()).digest()


def pack_header(header: Header) -> bytes:
    """A header in few bytes."""
    return zlib.compress(json.dumps(records.header_json(header)).encode(), 9)


def unpack_header(packed: bytes) -> Header:
    """The header that `pack_header` packed."""
    return records.header_from_json(json.loads(zlib.decompress(packed)))


def pack_set(numbers: Collection[int]) -> bytes:
    """A set of small numbers in few bytes: a bit for each up to the largest, compressed."""
    bits = np.zeros(max(numbers, default=0) + 1, bool)
    bits[list(numbers)] = True
    return zlib.compress(np.packbits(bits).tobytes(), 9)


def unpack_set(packed: bytes) -> Members:
    """The set that `pack_set` packed."""
    return Members(np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8)).astype(bool))


@dataclasses.dataclass(frozen=True, eq=False)
class Members:
    """A set of small numbers."""

    bits: Array

    def __contains__(self, number: int) -> bool:
        return number < len(self.bits) and bool(self.bits[number])

    def among(self, numbers: Sequence[int]) -> Array:
        """Which of some numbers are in it."""
        wide = np.zeros(max(len(self.bits), max(numbers, default=0) + 1), bool)
        wide[: len(self.bits)] = self.bits
        return wide[list(numbers)]


def utc(created: str) -> str:
    """A time as runs are ordered by: ISO 8601, in UTC, to the second.

    Raises:
        ValueError: the text is no time.
    """
    moment = datetime.datetime.fromisoformat(created.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.astimezone(datetime.timezone.utc).isoformat(timespec="seconds")


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= LINE else words[: LINE - 1] + "…"
