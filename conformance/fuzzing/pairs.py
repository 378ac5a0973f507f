"""Which pairs of axes of the coverage the drawn cases have together, operator by operator."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import cache

from conformance.cases import Case
from conformance.coverage.axes import AXES, NAMED, RANKS, Axis, reason, refused
from conformance.coverage.subject import Subject
from conformance.request import Op

Pair = tuple[str, str, str]
ANY = "any"
LARGE = "layer of a network's size"


def pairs(case: Case) -> frozenset[Pair]:
    """The pairs of axes that a case has: with the operator, two names in order.

    Axes are those of `conformance coverage` (options, data, gradients), the rank and the dtype.
    """
    subject = Subject(case, case.request)
    op, dtype = case.request.op, case.request.dtype
    met = [axis.name for axis in _axes(op) if _sensible(axis, op, dtype) and axis.holds(subject)]
    told = sorted((*met, f"{case.request.rank}-D", *([dtype] if dtype in NAMED else [])))
    return frozenset((op, one, other) for one, other in itertools.combinations(told, 2))


def possible(ops: Sequence[Op]) -> int:
    """How many pairs there are; some of them contradict each other."""
    return sum(len(frozenset(_possible(op))) for op in ops)


@cache
def _axes(op: Op) -> tuple[Axis, ...]:
    """The axes that single cases of an operator, of small data, can have."""
    return tuple(
        axis
        for axis in AXES
        if op in axis.ops and axis.outcome == "request" and axis.name not in (ANY, LARGE)
    )


@cache
def _sensible(axis: Axis, op: Op, dtype: str) -> bool:
    return dtype in NAMED and not reason(axis, op, dtype)


def _possible(op: Op) -> Iterator[tuple[str, str]]:
    names = [axis.name for axis in _axes(op)]
    dtypes = [dtype for dtype in NAMED if not refused(op, dtype)]
    ranks = [f"{rank}-D" for rank in RANKS]
    yield from itertools.combinations(names, 2)
    yield from itertools.product(names, ranks)
    yield from itertools.product(ranks, dtypes)
    for axis in _axes(op):
        yield from ((axis.name, dtype) for dtype in dtypes if _sensible(axis, op, dtype))
