"""What laws are written in: a request and its result, one after the other.

A law is a generator. It yields what it asks for, is sent the results, and returns both sides. Its
first question is the case's own request, or a variant of it; before that it refuses what it cannot
speak of. Whoever drives it decides what the results are: those of a target, or bounds of them.
For the latter a law makes arrays from arrays by sums, products with numbers that are not negative,
and by moving elements only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any

from conformance import request
from conformance.dtypes import DTYPES, Array
from conformance.request import Padding, Pool, Request
from conformance.resolve import RequestError

Sides = tuple[Array, Array]
Steps = Generator["Ask", Array, Sides]
Law = Callable[..., Steps]


@dataclass(frozen=True)
class Ask:
    """A request on arrays, float64 or int64: its output, or a gradient that a cotangent gives.

    ``gradient`` is x or w, empty for the output.
    """

    request: Request
    arrays: tuple[Array, ...]
    cotangent: Array | None = None
    gradient: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what is wanted."""
        if self.gradient:
            return request.input_shapes(self.request)[self.gradient]
        return self.request.output_shape


def ask(r: Request, x: Array, *weights: Array, **changes: Any) -> Ask:
    """A request like ``r`` for the arrays given: x, and w and b where it has them."""
    shapes: dict[str, Any] = {"input_shape": x.shape}
    if not isinstance(r, Pool):
        shapes |= {"kernel_shape": weights[0].shape, "bias": len(weights) > 1}
    return Ask(replace(r, **{**shapes, **changes}), (x, *weights))


def drive(steps: Steps, answer: Callable[[Ask], Array]) -> Sides:
    """Both sides of a law, each question answered at once."""
    question = next(steps)
    while True:
        result = answer(question)
        try:
            question = steps.send(result)
        except StopIteration as end:
            sides: Sides = end.value
            return sides


def each(questions: Iterable[Ask]) -> Generator[Ask, Array, list[Array]]:
    """The results of several questions, for ``yield from``."""
    results = []
    for question in questions:
        result = yield question
        results.append(result)
    return results


def require(condition: bool, field: str, message: str) -> None:
    """Refuse a case that a law says nothing about.

    Raises:
        RequestError: the condition does not hold.
    """
    if not condition:
        raise RequestError(field, message)


def require_real(r: Request) -> None:
    """Refuse what has no gradients, or conventions instead of a gradient.

    Raises:
        RequestError: the dtype is one of integers, or complex.
    """
    dtype = DTYPES[r.dtype]
    message = f"this law is about gradients; use a real dtype instead of {r.dtype}"
    require(dtype.floating and not dtype.complex, "dtype", message)


def no_padding(rank: int) -> Padding:
    """The padding of what is padded already."""
    return Padding(((0, 0),) * rank)


def explicit(padding: Padding) -> Padding:
    """The same padding in numbers, for a request in which a word would mean other ones."""
    return replace(padding, word="explicit")


def on_axes(*parts: Any) -> tuple[Any, ...]:
    """An index that takes batch and channels whole, and a part of each spatial axis."""
    return (slice(None), slice(None), *parts)
