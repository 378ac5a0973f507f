"""From changes to periods."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conformance.discovery import Target
from conformance.dtypes import Array
from conformance.history import packing
from conformance.history.model import Moment, Period
from conformance.history.packing import Signature
from conformance.records import Header

NOT_RUN = "not-run"
FEW = 500
SUBJECTS = (
    'SELECT subject.id, name, backend, api, mode, form, "check" FROM subject '
    'JOIN "case" ON "case".id = "case" JOIN target ON target.id = target {} '
    'ORDER BY name, backend, api, mode, "check", form DESC'
)
CHANGES = (
    "SELECT subject, run, outcome, raw, known, cause, error, text FROM change "
    "JOIN signature ON signature.id = signature JOIN detail ON detail.id = detail {}"
)
Timeline = list[tuple[int, str, Header]]
Step = tuple[int, Signature, str]


@dataclass(frozen=True)
class _Subject:
    number: int
    case: str
    target: Target
    form: str
    check: str


def timeline(connection: sqlite3.Connection) -> Timeline:
    """Number, time and header of every run, the earliest first."""
    rows = connection.execute("SELECT id, created, header FROM run ORDER BY created, id")
    return [(number, created, packing.unpack_header(packed)) for number, created, packed in rows]


def moments(runs: Timeline, backend: str) -> list[Moment]:
    """Every run as a backend sees it, the earliest first."""
    found = []
    for number, created, header in runs:
        info = next((info for info in header.backends if info.name == backend), None)
        version, versions = ("", {}) if info is None else (info.version, dict(info.versions))
        found.append(Moment(number, created, version, versions))
    return found


def of_case(
    connection: sqlite3.Connection, case: str, target: str, not_run: bool
) -> tuple[Period, ...] | None:
    """The periods of a case on the targets whose name has a text in it; None of no such case."""
    subjects = _subjects(connection, "WHERE name = ?", (case,))
    if not subjects:
        return None
    chosen = [subject for subject in subjects if target in str(subject.target)]
    return tuple(period for each in _periods(connection, chosen, not_run) for period in each)


def of_all(connection: sqlite3.Connection, target: str, changed: bool) -> Iterator[Period]:
    """The periods of all cases, or of what did change; as `of_case`."""
    subjects = _subjects(connection, "", ())
    chosen = [subject for subject in subjects if target in str(subject.target)]
    for each in _periods(connection, chosen, not_run=False):
        if len(each) > changed:
            yield from each


def _subjects(connection: sqlite3.Connection, where: str, values: Sequence[str]) -> list[_Subject]:
    return [
        _Subject(number, case, Target(backend, api, mode), form, check)
        for number, case, backend, api, mode, form, check in connection.execute(
            SUBJECTS.format(where), values
        )
    ]


def _periods(
    connection: sqlite3.Connection, subjects: Sequence[_Subject], not_run: bool
) -> Iterator[list[Period]]:
    """The periods of each subject."""
    runs = timeline(connection)
    numbers = [subject.number for subject in subjects]
    ran = _ran(connection, runs, numbers)
    steps = _steps(connection, runs, numbers)
    seen: dict[str, list[Moment]] = {}
    for at, subject in enumerate(subjects):
        backend = subject.target.backend
        if backend not in seen:
            seen[backend] = moments(runs, backend)
        yield _joined(subject, seen[backend], np.flatnonzero(ran[:, at]), steps[at], not_run)


def _ran(connection: sqlite3.Connection, runs: Timeline, subjects: Sequence[int]) -> Array:
    """Whether a run has a subject, (runs, subjects)."""
    packed = dict(connection.execute("SELECT id, subjects FROM run"))
    return np.array(
        [packing.unpack_set(packed[number]).among(subjects) for number, _, _ in runs], bool
    ).reshape(len(runs), len(subjects))


def _steps(
    connection: sqlite3.Connection, runs: Timeline, subjects: Sequence[int]
) -> list[list[Step]]:
    """By subject, its changes: the run's place, what holds from there on, and the detail."""
    place = {number: at for at, (number, _, _) in enumerate(runs)}
    few = len(subjects) <= FEW
    where = f"WHERE subject IN ({', '.join('?' * len(subjects))})" if few else ""
    found: Mapping[int, list[Step]] = defaultdict(list)
    for subject, run, *sign, text in connection.execute(
        CHANGES.format(where), subjects if few else ()
    ):
        found[subject].append((place[run], Signature(*sign), text))
    return [sorted(found[subject], key=lambda step: step[0]) for subject in subjects]


def _joined(
    subject: _Subject, runs: Sequence[Moment], ran: Array, steps: Sequence[Step], not_run: bool
) -> list[Period]:
    """The periods of a subject: runs that tell the same and follow each other, as one."""
    starts = np.searchsorted(ran, [start for start, _, _ in steps])
    spans: list[tuple[Signature, str, list[int]]] = []
    for (_, sign, text), first, last in zip(steps, starts, [*starts[1:], len(ran)]):
        if first == last or (sign.raw == NOT_RUN and not not_run):
            continue
        if not spans or spans[-1][0] != sign:
            spans.append((sign, text, []))
        spans[-1][2].extend(ran[first:last].tolist())
    return [
        Period(
            subject.case, subject.target, subject.form, subject.check,  # type: ignore[arg-type]
            runs[among[0]], runs[among[-1]], len(among),
            sign.outcome, sign.raw, sign.known or None,  # type: ignore[arg-type]
            sign.cause, sign.error, packing.line(text),
        )
        for sign, text, among in spans
    ]  # fmt: skip
