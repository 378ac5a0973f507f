"""The cases of a campaign: a stream that a seed fixes, drawn a batch at a time.

Every backend goes through the same cases in the same order, each at its own pace; those of the
last batches are kept, older ones are drawn again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis.strategies import SearchStrategy

from conformance import predicates
from conformance.cases import Case
from conformance.fuzzing.pairs import Pair, pairs
from conformance.predicates import Facts

BATCH = 100
KEPT = 64
BYTES = 4096
DRAWING = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Drawn:
    """A case with what is asked of it again and again."""

    case: Case

    @cached_property
    def facts(self) -> Facts:
        """What registries can ask of it."""
        return predicates.facts(self.case)

    @cached_property
    def pairs(self) -> frozenset[Pair]:
        """The pairs of axes that it has."""
        return pairs(self.case)


@dataclass
class Stream:
    """The cases of a strategy and a seed. Threads may share it."""

    strategy: SearchStrategy[Case]
    seed: int
    _held: OrderedDict[int, tuple[Drawn, ...]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def batch(self, number: int) -> Sequence[Drawn]:
        """The cases of a batch, each once; the same whenever it is asked for."""
        with self._lock:
            if number in self._held:
                self._held.move_to_end(number)
                return self._held[number]
            found = tuple(map(Drawn, draw(self.strategy, f"{self.seed} {number}")))
            self._held[number] = found
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
            return found


def draw(strategy: SearchStrategy[Case], seed: str) -> list[Case]:
    """Some cases of a strategy, fixed by a seed; each once.

    Each is drawn by itself from random bytes: what Hypothesis draws in a row of its own is for the
    most part a variation of what went before.
    """
    found: dict[str, Case] = {}
    random = Random(seed)

    @DRAWING
    @hypothesis.given(strategy)
    def keep(case: Case) -> None:
        found.setdefault(case.id, case)

    for _ in range(BATCH):
        keep.hypothesis.fuzz_one_input(random.randbytes(BYTES))  # type: ignore[attr-defined]
    return list(found.values())
