"""Edits: small departures from a request, and what a request means under several of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from conformance import geometry
from conformance.explanation.causes import Cause
from conformance.geometry import Pair
from conformance.request import Conv, ConvTranspose, Padding, Pool, Request

PER_AXIS = ("stride", "dilation", "window", "output_padding")
OPTIONS = ("padding_mode", "padding_value", "ceil_mode", "count_include_pad")


@dataclass(frozen=True)
class Change:
    """One part that is different; ``axis`` is a spatial axis where the part has one value each.

    Parts that are fields of a request are replaced there; the others (``kernel``, ``bias``,
    ``ties``, …) are departures, of which `evaluation` knows the meaning.
    """

    part: str
    value: Any
    axis: int | None = None


@dataclass(frozen=True)
class Edit:
    """A named departure from a request.

    ``said`` is the change in words ("padding (0, 0) instead of (0, 1)"), ``meaning`` what it
    amounts to ("the width padding was dropped"). ``cost`` orders explanations, the likelier first.
    """

    cause: Cause
    changes: tuple[Change, ...]
    said: str = field(compare=False)
    meaning: str = field(compare=False, default="")
    cost: float = field(compare=False, default=1.0)

    @cached_property
    def places(self) -> frozenset[tuple[str, int | None]]:
        """What the edit touches; two edits that touch the same do not go together."""
        return frozenset((change.part, change.axis) for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """The edit as data: the cause, and each part's new value (None on axes that stay)."""
        parts: dict[str, Any] = {}
        for change in self.changes:
            value = list(change.value) if isinstance(change.value, tuple) else change.value
            if change.axis is None:
                parts[change.part] = value
            else:
                listed = parts.setdefault(change.part, [])
                listed += [None] * (change.axis + 1 - len(listed))
                listed[change.axis] = value
        return {"cause": self.cause, **parts}


@dataclass(frozen=True)
class Meaning:
    """A request, and the departures that are no field of it: by part and axis."""

    request: Request
    departures: tuple[tuple[tuple[str, int | None], Any], ...] = ()

    @cached_property
    def _departures(self) -> Mapping[tuple[str, int | None], Any]:
        return dict(self.departures)

    def get(self, part: str, axis: int | None = None) -> Any:
        """A departure's value, None where there is none."""
        return self._departures.get((part, axis))

    def any(self, *parts: str) -> bool:
        """Whether some of these parts depart."""
        return any(part in parts for (part, _), _ in self.departures)

    @property
    def canonical(self) -> Meaning:
        """The same meaning in the one way in which all that mean the same are written."""
        r = self.request
        dilation = tuple(d if k > 1 else 1 for d, k in zip(r.dilation, r.window))
        padding = Padding(_reached(r), "explicit", "zeros" if r.padding.none else r.padding.mode)
        changes: dict[str, Any] = {"dilation": dilation, "padding": padding}
        if isinstance(r, Conv):
            sizes = zip(r.stride, r.output_shape[2:])
            changes["stride"] = tuple(s if count > 1 else 1 for s, count in sizes)
        return Meaning(dataclasses.replace(r, **changes), self.departures)


def _reached(request: Request) -> tuple[Pair, ...]:
    """The padding as far as windows reach: what lies beyond the last window means nothing."""
    pairs = request.padding.pairs
    if isinstance(request, ConvTranspose):
        return pairs
    if isinstance(request, Pool) and (request.ceil_mode or request.output_size is not None):
        return pairs
    counts = request.output_shape[2:]
    if 0 in counts:
        return pairs
    axes = zip(request.spatial, request.window, request.stride, request.dilation, counts, pairs)
    return tuple(
        (low, (count - 1) * stride + geometry.effective_window(window, dilation) - size - low)
        for size, window, stride, dilation, count, (low, _) in axes
    )


def applied(request: Request, edits: Iterable[Edit]) -> Meaning:
    """What the request means under the edits, which touch different places.

    Raises:
        ValueError: an edit does not fit the request.
    """
    fields: dict[str, Any] = {}
    pairs = list(request.padding.pairs)
    per_axis = {name: list(getattr(request, name, ())) for name in PER_AXIS}
    departures: dict[tuple[str, int | None], Any] = {}
    mode = request.padding.mode
    touched = False
    for edit in edits:
        for change in edit.changes:
            if change.part == "padding":
                pairs[change.axis or 0] = change.value
                touched = True
            elif change.part == "padding_mode":
                mode, touched = change.value, True
            elif change.part in PER_AXIS:
                per_axis[change.part][change.axis or 0] = change.value
                fields[change.part] = tuple(per_axis[change.part])
            elif change.part in OPTIONS:
                fields[change.part] = change.value
            else:
                departures[change.part, change.axis] = change.value
    if touched:
        fields["padding"] = Padding(tuple(pairs), "explicit", mode)
    edited = dataclasses.replace(request, **fields) if fields else request
    if not _meaningful(edited):
        raise ValueError("no such request")
    return Meaning(edited, tuple(sorted(departures.items(), key=repr)))


def _meaningful(request: Request) -> bool:
    sizes = request.spatial
    pairs = request.padding.pairs
    if isinstance(request, ConvTranspose):
        return min(request.output_shape) >= 0
    if any(size + min(low, 0) + min(high, 0) < 0 for size, (low, high) in zip(sizes, pairs)):
        return False
    if request.padding.mode != "zeros":
        limits = {"reflect": -1, "circular": 0}
        for size, pair in zip(sizes, pairs):
            limit = limits.get(request.padding.mode)
            if min(pair) < 0 or (max(pair) > 0 and size == 0):
                return False
            if limit is not None and max(pair) > max(size + limit, 0):
                return False
    if isinstance(request, Pool) and request.ceil_mode:
        return min(request.output_shape) >= 0
    return True
