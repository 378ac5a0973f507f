"""The search itself: where, in an ordered row of releases, an outcome changes.

As ``git bisect`` does: halving, passing over what cannot be tested. Nothing here knows what a
release is or how it is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Change(Generic[Item]):
    """The last item with another answer, the first with the bad end's, what lies untested between.

    ``between`` is empty where the change is pinned down.
    """

    before: Item
    after: Item
    between: tuple[Item, ...] = ()


def other_end(items: Sequence[Item], bad: int, ask: Callable[[Item], Answer | None]) -> int | None:
    """The position of an item before the bad one with another answer; None where none was found.

    Steps back double (1, 2, 4, … items). Where an item cannot be tested (None), those nearer are
    tried, for what is older is seldom better; then what lies before it, in steps that double again.
    """
    wanted = ask(items[bad])
    same, untested, step = bad, -1, 1
    while same > 0:
        if same - untested > 1:
            at = max(same - step, untested + 1)
            answer = ask(items[at])
            if answer is None:
                untested, step = at, max((same - at) // 2, 1)
                continue
        else:
            older = _tested_before(items, untested, ask)
            if older is None:
                return None
            at, answer = older
            untested = -1
        if answer != wanted:
            return at
        same, step = at, step * 2
    return None


def _tested_before(
    items: Sequence[Item], end: int, ask: Callable[[Item], Answer | None]
) -> tuple[int, Answer] | None:
    """The nearest item that can be tested of those in doubling steps before an end."""
    step, at = 1, end
    while at > 0:
        at, step = max(at - step, 0), step * 2
        answer = ask(items[at])
        if answer is not None:
            return at, answer
    return None


def narrow(
    items: Sequence[Item], good: int, bad: int, ask: Callable[[Item], Answer | None]
) -> Change[Item]:
    """Where between two positions the answer becomes that of the bad end.

    The ends' answers are known to differ. Items that cannot be tested (None) are passed over, the
    nearest to the middle is asked instead.
    """
    wanted = ask(items[bad])
    low, high = good, bad
    untested: set[int] = set()
    while True:
        step = 1 if high > low else -1
        inside = [at for at in range(low + step, high, step) if at not in untested]
        if not inside:
            between = items[min(low, high) + 1 : max(low, high)]
            return Change(items[low], items[high], tuple(between))
        middle = (low + high) / 2
        at = min(inside, key=lambda each: (abs(each - middle), each))
        answer = ask(items[at])
        if answer is None:
            untested.add(at)
        elif answer == wanted:
            high = at
        else:
            low = at
