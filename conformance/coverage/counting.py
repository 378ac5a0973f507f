"""How many cases cover each operator, axis, rank and dtype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Union

from conformance.cases import Case
from conformance.coverage.axes import ALL, AXES, NAMED, RANKS, Axis, reason
from conformance.coverage.subject import Subject
from conformance.request import Op

Column = Union[int, str]
Tally = Counter[tuple[Op, str, Column]]
COLUMNS: tuple[Column, ...] = (*RANKS, *NAMED)


@dataclass(frozen=True)
class Count:
    """Numbers of cases: in the core tier, and in all."""

    core: int
    full: int


@dataclass(frozen=True)
class Row:
    """One operator's axis: cases by rank and by dtype.

    A dtype's ``reasons`` say why no case is asked for.
    """

    op: Op
    axis: Axis
    cells: Mapping[Column, Count]
    reasons: Mapping[str, str]

    @property
    def missing(self) -> tuple[Column, ...]:
        """The ranks and dtypes that are to have a case and have none."""
        return tuple(
            column
            for column in COLUMNS
            if column not in self.reasons and not self.cells[column].full
        )


def coverage(cases: Iterable[Case]) -> tuple[Row, ...]:
    """The table: a row for each operator and each axis that it has, in the order of both."""
    core: Tally = Counter()
    full: Tally = Counter()
    for case in cases:
        keys = set(_keys(case))
        full.update(keys)
        if case.fields.tier == "core":
            core.update(keys)
    return tuple(_row(op, axis, core, full) for op in ALL for axis in AXES if op in axis.ops)


def _keys(case: Case) -> Iterator[tuple[Op, str, Column]]:
    requests = (case.request,) if case.chain is None else case.chain.operators
    for request in requests:
        subject = Subject(case, request)
        for axis in AXES:
            if request.op not in axis.ops or axis.outcome != subject.outcome:
                continue
            if not reason(axis, request.op, request.dtype) and axis.holds(subject):
                yield request.op, axis.name, request.rank
                yield request.op, axis.name, request.dtype


def _row(op: Op, axis: Axis, core: Tally, full: Tally) -> Row:
    cells = {
        column: Count(core[op, axis.name, column], full[op, axis.name, column])
        for column in COLUMNS
    }
    reasons = {dtype: why for dtype in NAMED if (why := reason(axis, op, dtype))}
    return Row(op, axis, cells, reasons)
