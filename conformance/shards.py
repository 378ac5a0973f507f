"""Shards of a run: the cases that one of several jobs takes.

A case belongs to the shard that wins its rendezvous (highest random weight): of the hashes of its
id with every shard's number, the highest. That depends on nothing else, so that no case moves when
others are added, removed or selected otherwise, and with one shard more only those move that it
gets. [Thaler & Ravishankar, "Using name-based mappings to increase hit rates", 1998]

Hashes even out numbers, not seconds: few cases (a large layer that XLA compiles) take much of the
time. With the durations of an earlier run the slowest cases, those that took half of its time, are
placed instead: the longest first, each on the shard that has least so far, beginning with what the
hashed cases bring (longest processing time first). That depends on the earlier run and the targets
only: a case that it does not know is hashed and moves no other, and other durations move slow cases
only.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from conformance.discovery import Target, UsageError
from conformance.records import Record
from conformance.selection import Selection

PLACED = 0.5
"""The part of all seconds that the slowest cases make up, which are placed one by one."""


@dataclass(frozen=True)
class Shard:
    """Shard ``number`` of ``count``, from 1; ``placed`` has the shards of the slowest cases."""

    number: int
    count: int
    placed: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def __contains__(self, case: str) -> bool:
        shard = self.placed.get(case)
        return self.number == (hashed(case, self.count) if shard is None else shard)

    def balanced(self, seconds: Mapping[str, float]) -> Shard:
        """The shard with the slowest cases placed by what they took before."""
        return replace(self, placed=place(seconds, self.count))


def parse(text: str) -> Shard:
    """The shard that ``I/N`` names.

    Raises:
        UsageError: the text is no shard.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        raise UsageError(f"shard {text!r}: I/N is needed, the I-th of N shards, such as 1/4")
    return Shard(number, count)


def hashed(case: str, count: int) -> int:
    """The shard, of so many, that wins a case by its hash."""
    return max(range(1, count + 1), key=lambda shard: _weight(case, shard))


def place(seconds: Mapping[str, float], count: int) -> dict[str, int]:
    """The shards of the slowest cases."""
    slowest = sorted(seconds, key=lambda case: (-seconds[case], case))
    limit, spent, placed = PLACED * sum(seconds.values()), 0.0, []
    for case in slowest:
        if spent >= limit:
            break
        spent += seconds[case]
        placed.append(case)
    load = dict.fromkeys(range(1, count + 1), 0.0)
    for case in slowest[len(placed) :]:
        load[hashed(case, count)] += seconds[case]
    result = {}
    for case in placed:
        shard = min(load, key=lambda each: (load[each], each))
        result[case] = shard
        load[shard] += seconds[case]
    return result


def durations(records: Iterable[Record], targets: Iterable[Target]) -> dict[str, float]:
    """Seconds that each case took on some targets, of those that took any."""
    wanted, seconds = set(targets), defaultdict[str, float](float)
    for record in records:
        if record.target in wanted and record.seconds > 0:
            seconds[record.case] += record.seconds
    return dict(seconds)


def restricted(
    selection: Selection, shard: Shard | None, earlier: Iterable[Record] = ()
) -> Selection:
    """The part of a selection that a shard takes, balanced by an earlier run's records."""
    if shard is None:
        return selection
    own = shard.balanced(durations(earlier, selection.targets))
    kept = tuple(case for case in selection.cases if case.id in own)
    return replace(selection, cases=kept, whole=False)


def _weight(case: str, shard: int) -> bytes:
    return hashlib.sha256(f"{shard} {case}".encode()).digest()
