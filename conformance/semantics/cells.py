"""What an API makes of a feature, in a word: from the records of its cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from conformance.known import Expectable
from conformance.semantics.implied import Implied

Word = Literal["crash", "differs", "no", "gradient differs", "no gradient", "recipe", "native"]
WORDS: tuple[Word, ...] = get_args(Word)
"""The worst first."""
FORWARD: Mapping[Expectable, Word] = {
    "rejected": "no",
    "unsupported": "no",
    "crash": "crash",
    "timeout": "crash",
    "wrong-shape": "differs",
    "wrong-dtype": "differs",
    "wrong-value": "differs",
}
VJP: Mapping[Expectable, Word] = {
    **dict.fromkeys(FORWARD, "gradient differs"),
    "rejected": "no gradient",
    "crash": "crash",
    "timeout": "crash",
}


@dataclass(frozen=True)
class State:
    """What an API makes of a case in a mode.

    ``recipe`` is true where the native form is there and is not right, and the recipe is.
    """

    word: Word
    recipe: bool = False

    @property
    def rank(self) -> int:
        """The worst state has the lowest."""
        return WORDS.index(self.word) * 2 + self.recipe


@dataclass(frozen=True)
class Part:
    """A state and the ranks of the cases that are in it; all of them where there are none.

    ``partly`` is true where other cases of the same rank are in better states.
    """

    state: State
    ranks: tuple[int, ...] = ()
    partly: bool = False


Parts = tuple[Part, ...]


@dataclass(frozen=True)
class Cell:
    """A feature on an API: in the usual modes, of which the first decides what is shown."""

    modes: Mapping[str, Parts]

    @property
    def parts(self) -> Parts:
        """What the first mode makes of it."""
        return next(iter(self.modes.values()))

    @property
    def differing(self) -> tuple[str, ...]:
        """The modes that make something else of it than the first."""
        return tuple(mode for mode, parts in self.modes.items() if parts != self.parts)

    @property
    def absent(self) -> bool:
        """Whether it is neither there nor to be had, in any mode."""
        return all(parts == (Part(State("no")),) for parts in self.modes.values())


def state(records: Sequence[Implied]) -> State:
    """What the records of a case on a target add up to."""
    native = _word(record for record in records if record.form == "native")
    emulated = [record for record in records if record.form == "emulated"]
    if native == "native" or not emulated:
        return State(native)
    recipe = _word(emulated)
    if native == "no":
        return State("recipe" if recipe == "native" else recipe)
    return State(native, recipe == "native")


def _word(records: Iterable[Implied]) -> Word:
    words: list[Word] = ["native"]
    for record in records:
        if record.outcome == "unsupported":
            words.append("no")
        kinds = FORWARD if record.check == "forward" else VJP
        words += [kinds[known.entry.expect.outcome] for known in record.entries]
    return min(words, key=WORDS.index)


def parts(states: Iterable[tuple[int, State]]) -> Parts:
    """The states of a feature's cases, given with their ranks, told apart where ranks differ."""
    by_rank: dict[int, set[State]] = {}
    for rank, each in states:
        by_rank.setdefault(rank, set()).add(each)
    worst: dict[int, Part] = {}
    for rank, found in sorted(by_rank.items()):
        worst[rank] = Part(min(found, key=lambda each: each.rank), partly=len(found) > 1)
    if len(set(worst.values())) == 1:
        return (next(iter(worst.values())),)
    grouped: dict[Part, list[int]] = {}
    for rank, part in worst.items():
        grouped.setdefault(part, []).append(rank)
    return tuple(Part(part.state, tuple(ranks), part.partly) for part, ranks in grouped.items())
