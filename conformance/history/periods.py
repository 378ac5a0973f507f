"""From changes to periods."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from conformance.discovery import Target
from conformance.history import packing
from conformance.history.model import Moment, Period
from conformance.history.packing import Signature
from conformance.records import Header

NOT_RUN = "not-run"


@dataclass(frozen=True)
class _Subject:
    number: int
    case: str
    target: Target
    form: str
    check: str


Timeline = list[tuple[int, str, Header]]


def timeline(connection: sqlite3.Connection) -> Timeline:
    """Number, time and header of every run, the earliest first."""
    rows = connection.execute("SELECT id, created, header FROM run ORDER BY created, id")
    return [(number, created, packing.unpack_header(packed)) for number, created, packed in rows]


def moments(runs: Timeline, backend: str) -> dict[int, Moment]:
    """Every run as a backend sees it, by number, the earliest first."""
    found = {}
    for number, created, header in runs:
        info = next((info for info in header.backends if info.name == backend), None)
        version, versions = ("", {}) if info is None else (info.version, dict(info.versions))
        found[number] = Moment(number, created, version, versions)
    return found


def of_case(
    connection: sqlite3.Connection, case: str, target: str, not_run: bool
) -> tuple[Period, ...] | None:
    """The periods of a case on the targets whose name has a text in it; None of no such case."""
    rows = connection.execute(
        'SELECT subject.id, backend, api, mode, form, "check" FROM subject '
        'JOIN "case" ON "case".id = "case" JOIN target ON target.id = target '
        'WHERE name = ? ORDER BY backend, api, mode, "check", form DESC',
        (case,),
    ).fetchall()
    if not rows:
        return None
    subjects = [
        _Subject(number, case, Target(backend, api, mode), form, check)
        for number, backend, api, mode, form, check in rows
        if target in str(Target(backend, api, mode))
    ]
    ran = _ran(connection, [subject.number for subject in subjects])
    runs = timeline(connection)
    seen: dict[str, Mapping[int, Moment]] = {}
    found: list[Period] = []
    for subject in subjects:
        backend = subject.target.backend
        if backend not in seen:
            seen[backend] = moments(runs, backend)
        changes = _changes(connection, subject.number)
        found += _joined(subject, seen[backend], ran[subject.number], changes, not_run)
    return tuple(found)


def _ran(connection: sqlite3.Connection, subjects: list[int]) -> dict[int, set[int]]:
    """By subject, the runs that have it."""
    ran: dict[int, set[int]] = {subject: set() for subject in subjects}
    for run, packed in connection.execute("SELECT id, subjects FROM run"):
        members = packing.unpack_set(packed)
        for subject in subjects:
            if subject in members:
                ran[subject].add(run)
    return ran


def _changes(connection: sqlite3.Connection, subject: int) -> dict[int, tuple[Signature, str]]:
    rows = connection.execute(
        "SELECT run, outcome, raw, known, cause, error, text FROM change "
        "JOIN signature ON signature.id = signature JOIN detail ON detail.id = detail "
        "WHERE subject = ?",
        (subject,),
    )
    return {row[0]: (Signature(*row[1:6]), row[6]) for row in rows}


def _joined(
    subject: _Subject,
    runs: Mapping[int, Moment],
    ran: set[int],
    changes: Mapping[int, tuple[Signature, str]],
    not_run: bool,
) -> list[Period]:
    """The periods of a subject: runs that tell the same and follow each other, as one."""
    spans: list[tuple[Signature, str, list[Moment]]] = []
    held: tuple[Signature, str] | None = None
    for number, moment in runs.items():
        held = changes.get(number, held)
        if number not in ran or held is None or (held[0].raw == NOT_RUN and not not_run):
            continue
        if not spans or spans[-1][0] != held[0]:
            spans.append((*held, []))
        spans[-1][2].append(moment)
    return [_period(subject, *span) for span in spans]


def _period(subject: _Subject, sign: Signature, text: str, among: list[Moment]) -> Period:
    return Period(
        subject.case, subject.target, subject.form, subject.check,  # type: ignore[arg-type]
        among[0], among[-1], len(among),
        sign.outcome, sign.raw, sign.known or None,  # type: ignore[arg-type]
        sign.cause, sign.error, packing.line(text),
    )  # fmt: skip
