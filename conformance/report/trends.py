"""The last runs of a history beside each other: counts, versions, and what changed."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from conformance.history import History, Period, Trend
from conformance.records import EXPECTED
from conformance.report.model import Count, Night, Row, Trends, Turn

NIGHTS = 14
HEIGHT, STEP = 24, 12
"""Of the drawing: its height, and what it moves on with each run."""


def trends(history: History, backends: Sequence[str]) -> Trends:
    """The last runs in which one of the backends took part, and what changed in them.

    Raises:
        HistoryError: the history cannot be read.
    """
    counted = {name: history.trend(name) for name in backends}
    revisions = {run.number: run.revision for run in history.runs()}
    ran = {each.moment.run: each.moment for found in counted.values() for each in found}
    last = sorted(ran.values(), key=lambda moment: (moment.created, moment.run))[-NIGHTS:]
    nights = tuple(Night(each.run, each.date, revisions[each.run]) for each in last)
    rows = (_row(name, found, nights) for name, found in counted.items())
    later = {night.run for night in nights[1:]}
    turned = [
        (before, after)
        for before, after in _turns(history.periods(changed=True))
        if after.first.run in later and after.target.backend in counted
    ]
    return Trends(nights, tuple(row for row in rows if any(row.counts)), _told(turned))


def _row(backend: str, found: Sequence[Trend], nights: Sequence[Night]) -> Row:
    shown = {night.run for night in nights}
    counts: dict[int, Count] = {}
    version = ""
    for each in found:
        words = _words(each.counts)
        if each.moment.run in shown and set(words) - {"not-run"}:
            moved = each.moment.version != version or not counts
            counts[each.moment.run] = Count(each.moment.version, moved, words)
        version = each.moment.version or version
    row = tuple(counts.get(night.run) for night in nights)
    return Row(backend, row, _line(row))


def _words(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts in the words of the page's head."""
    words: dict[str, int] = defaultdict(int)
    for name, number in counts.items():
        words[name if name in EXPECTED else "unexpected"] += number
    return words


def _line(row: Sequence[Count | None]) -> str:
    """The points of a line through the numbers of discrepancies, for an SVG of `HEIGHT`."""
    most = max((count.discrepancies for count in row if count), default=0) or 1
    return " ".join(
        f"{(at + 0.5) * STEP:g},{HEIGHT - 3 - (HEIGHT - 6) * count.discrepancies / most:.1f}"
        for at, count in enumerate(row)
        if count is not None
    )


def _turns(periods: Sequence[Period]) -> Iterator[tuple[Period, Period]]:
    for before, after in itertools.pairwise(periods):
        if _about(before) == _about(after):
            yield before, after


def _about(period: Period) -> tuple[object, ...]:
    return period.case, period.target, period.form, period.check


def _told(pairs: Sequence[tuple[Period, Period]]) -> tuple[Turn, ...]:
    """Changes of a night that are alike, together; the latest night first."""
    groups: dict[tuple[object, ...], list[tuple[Period, Period]]] = defaultdict(list)
    for before, after in pairs:
        alike = (before.raw, before.outcome, after.raw, after.outcome, after.cause, before.cause)
        groups[after.first.created, after.first.run, after.target.backend, alike].append(
            (before, after)
        )
    found = sorted(groups.items(), key=lambda item: item[0][:2], reverse=True)
    return tuple(_turn(alike) for _, alike in found)


def _turn(alike: Sequence[tuple[Period, Period]]) -> Turn:
    before, after = alike[0]
    return Turn(
        after.first.date,
        after.target.backend,
        after.first.moved(before.last),
        f"{_outcome(before)} → {_outcome(after)}",
        after.detail if after.raw != "pass" else before.detail,
        len(alike),
        tuple(dict.fromkeys(period.case for _, period in alike)),
    )


def _outcome(period: Period) -> str:
    return period.outcome if period.raw in (period.outcome, "pass") else f"known: {period.raw}"
