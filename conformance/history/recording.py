"""Adding a run: only what is not as in the run before is written.

The outcome of a subject (a case on a target, in a form and a check) in a run is that of its last
change up to that run; whether the run has the subject at all is in the run's set of subjects. A run
that is earlier than others leaves them as they were: where it changes what the next run with the
subject inherits, that run gets the change back.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from conformance.discovery import Target
from conformance.history import packing
from conformance.history.packing import Members
from conformance.records import Header, Record
from conformance.results import Results, key

Key = tuple[str, str, str, str, str, str]
Held = tuple[int, int]


@dataclass(frozen=True)
class Recorded:
    """A run's number, and how many of its outcomes changed, or are the first of their subject."""

    number: int
    changed: int = 0
    unseen: int = 0
    new: bool = True


def add(
    connection: sqlite3.Connection, results: Results, header: Header, revision: str
) -> Recorded:
    """Write a run into the tables, if it is not there; the header says when it is to have been."""
    created = packing.utc(header.created)
    digest = packing.digest(results)
    row = connection.execute("SELECT id FROM run WHERE digest = ?", (digest,)).fetchone()
    if row is not None:
        return Recorded(row[0], new=False)
    found = {key(record): record for record in results.records}
    subjects = _subjects(connection, found)
    members = packing.pack_set([subjects[about] for about in found])
    packed = packing.pack_header(header)
    values = (created, revision, results.complete, len(found), digest, packed, members)
    number = connection.execute(
        "INSERT INTO run (created, revision, complete, outcomes, digest, header, subjects) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        values,
    ).lastrowid
    assert number is not None
    before, after = _inherited(connection, created, number), _later(connection, created, number)
    signatures, details = _Interned(connection, SIGNATURE), _Interned(connection, DETAIL)
    changed = unseen = 0
    for about, record in found.items():
        subject = subjects[about]
        sign = signatures(packing.signature(record))
        held = before.get(subject)
        if held is not None and held[0] == sign:
            continue
        changed += held is not None
        unseen += held is None
        _change(connection, subject, number, (sign, details((packing.detail(record),))))
        follower = next((run for run, has in after if subject in has), None)
        if follower is not None and held is not None:
            _change(connection, subject, follower, held)
    _tally(connection, number, found)
    return Recorded(number, changed, unseen)


SIGNATURE = "signature (outcome, raw, known, cause, error)"
DETAIL = "detail (text)"
CASE = '"case" (name)'
TARGET = "target (backend, api, mode)"
SUBJECT = 'subject ("case", target, form, "check")'


class _Interned:
    """The rows of a table that holds each only once."""

    def __init__(self, connection: sqlite3.Connection, table: str) -> None:
        self._connection = connection
        name, columns = table.split(" ", 1)
        width = columns.count(",") + 1
        self._insert = f"INSERT INTO {table} VALUES ({', '.join('?' * width)})"
        rows = connection.execute(f"SELECT id, {columns.strip('()')} FROM {name}")
        self._ids = {row[1:]: row[0] for row in rows}

    def __call__(self, row: tuple[object, ...]) -> int:
        row = tuple(row)
        if row not in self._ids:
            self._ids[row] = self._connection.execute(self._insert, row).lastrowid
        return int(self._ids[row])


def _subjects(connection: sqlite3.Connection, about: Iterable[Key]) -> dict[Key, int]:
    cases, targets = _Interned(connection, CASE), _Interned(connection, TARGET)
    subjects = _Interned(connection, SUBJECT)
    return {
        (case, backend, api, mode, form, check): subjects(
            (cases((case,)), targets((backend, api, mode)), form, check)
        )
        for case, backend, api, mode, form, check in about
    }


def _inherited(connection: sqlite3.Connection, created: str, number: int) -> dict[int, Held]:
    """By subject, the signature and the detail that held before a run."""
    rows = connection.execute(
        "SELECT subject, signature, detail FROM change JOIN run ON run.id = run "
        "WHERE (created, run.id) < (?, ?) ORDER BY created, run.id",
        (created, number),
    )
    return {subject: (sign, text) for subject, sign, text in rows}


def _later(connection: sqlite3.Connection, created: str, number: int) -> list[tuple[int, Members]]:
    rows = connection.execute(
        "SELECT id, subjects FROM run WHERE (created, id) > (?, ?) ORDER BY created, id",
        (created, number),
    )
    return [(run, packing.unpack_set(packed)) for run, packed in rows]


def _change(connection: sqlite3.Connection, subject: int, run: int, held: Held) -> None:
    """Note what holds from a run on, if that run does not say otherwise itself."""
    connection.execute("INSERT OR IGNORE INTO change VALUES (?, ?, ?, ?)", (subject, run, *held))


def _tally(connection: sqlite3.Connection, run: int, found: dict[Key, Record]) -> None:
    counts = Counter((record.target, record.outcome) for record in found.values())
    targets = _Interned(connection, TARGET)
    for (target, outcome), number in counts.items():
        at = targets(_parts(target))
        connection.execute("INSERT INTO tally VALUES (?, ?, ?, ?)", (run, at, outcome, number))


def _parts(target: Target) -> tuple[str, str, str]:
    return target.backend, target.api, target.mode
