"""The coverage as tables for the terminal, and as JSON."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from conformance.coverage.axes import AXES, NAMED, RANKS
from conformance.coverage.counting import Column, Row
from conformance.request import Op

SHORT = {"float": "f", "bfloat": "bf", "int": "i", "uint": "u", "complex": "c"}
NONE, SENSELESS = "✗", "–"


def tables(rows: Sequence[Row], whole: bool) -> Iterator[RenderableType]:
    """A table for each operator, and why some of its cells make no sense.

    With ``whole`` a rank's cell has the core tier's cases before all; else the counts are of the
    core tier, which is all that was counted.
    """
    for op, group in itertools.groupby(rows, lambda row: row.op):
        own = tuple(group)
        yield _table(op, own, whole)
        for line in _reasons(op, own):
            yield Padding(Text(line), (0, 0, 0, 2))
        yield Text()
    yield Text(_summary(rows))


def _table(op: Op, rows: Sequence[Row], whole: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(op)
    for rank in RANKS:
        table.add_column(f"{rank}-D", justify="right", no_wrap=True)
    for dtype in NAMED:
        table.add_column(_short(dtype), justify="right", no_wrap=True)
    for row in rows:
        ranks = (_cell(row, rank, whole) for rank in RANKS)
        table.add_row(row.axis.name, *ranks, *(_cell(row, dtype, False) for dtype in NAMED))
    return table


def _cell(row: Row, column: Column, both: bool) -> Text:
    count = row.cells[column]
    if column in row.reasons:
        return Text(SENSELESS, style="dim")
    if not count.full:
        return Text(NONE, style="red")
    return Text(f"{count.core}/{count.full}" if both else str(count.full))


def _short(dtype: str) -> str:
    kind = dtype.rstrip("0123456789")
    return SHORT[kind] + dtype[len(kind) :]


def _reasons(op: Op, rows: Sequence[Row]) -> Iterator[str]:
    """Why dtypes make no sense, and then why other axes do not."""
    dtypes: dict[str, dict[str, None]] = {}
    whole = rows[0].reasons
    for dtype, why in whole.items():
        dtypes.setdefault(why.replace(dtype, "them"), {})[_short(dtype)] = None
    for why, names in dtypes.items():
        yield f"{SENSELESS} {', '.join(names)}: {why}"
    axes: dict[str, list[str]] = {}
    for row in rows:
        if row.axis.why and not whole.keys() >= row.reasons.keys():
            axes.setdefault(row.axis.why, []).append(row.axis.name)
    for why, listed in axes.items():
        yield f"{SENSELESS} {', '.join(listed)}: {why}"
    absent: dict[str, list[str]] = {}
    own = {row.axis.name for row in rows}
    for axis in AXES:
        if axis.name not in own and axis.name not in absent.get(axis.without, ()):
            absent.setdefault(axis.without, []).append(axis.name)
    for why, listed in absent.items():
        yield f"no row for {', '.join(listed)}: {why}"


def _summary(rows: Sequence[Row]) -> str:
    sensible = sum(len(RANKS) + len(NAMED) - len(row.reasons) for row in rows)
    missing = sum(len(row.missing) for row in rows)
    return (
        f"{sensible - missing:,} of {sensible:,} pairs have a case; {missing:,} have none ({NONE})"
    )


def to_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One object a row; `missing` names the ranks and dtypes that have no case and should."""
    return [
        {
            "op": row.op,
            "axis": row.axis.name,
            "group": row.axis.group,
            "ranks": {str(rank): _counts(row, rank) for rank in RANKS},
            "dtypes": {name: _counts(row, name) for name in NAMED if name not in row.reasons},
            "senseless": dict(row.reasons),
            "missing": [str(column) for column in row.missing],
        }
        for row in rows
    ]


def _counts(row: Row, column: Column) -> dict[str, int]:
    return {"core": row.cells[column].core, "full": row.cells[column].full}
