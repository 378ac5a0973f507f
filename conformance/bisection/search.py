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
    """The position of an item with another answer than the bad one, going back in larger steps.

    The steps double (1, 2, 4, … items), the last is to the very first; None where none differs.
    ``ask`` answers None where an item cannot be tested; such an item is passed over by one.
    """
    wanted = ask(items[bad])
    step, at = 1, bad
    while at > 0:
        at = max(at - step, 0)
        answer = ask(items[at])
        if answer is None:
            step = 1
        elif answer != wanted:
            return at
        else:
            step *= 2
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
