"""`History`: adding runs to the file, and asking it."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from conformance import content
from conformance.discovery import Target
from conformance.history import packing, periods, recording
from conformance.history.model import Added, Moment, Period, Run, Trend
from conformance.history.packing import Signature
from conformance.history.store import PATIENCE, HistoryError, Store
from conformance.records import OUTCOMES
from conformance.results import Results

RUN = "SELECT id, created, revision, complete, outcomes, header FROM run"
BY_TIME = "ORDER BY created, id"


class History:
    """The outcomes of many runs in one file."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def open(cls, path: Path, *, create: bool = False, patience: float = PATIENCE) -> History:
        """The history in a file; with ``create`` it is begun where there is none.

        Processes that add at the same time wait for each other, at most ``patience`` seconds.

        Raises:
            HistoryError: there is none, or the file is not a history that this suite reads.
        """
        return cls(Store(path, create=create, patience=patience))

    def close(self) -> None:
        """Close the file."""
        self._store.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, results: Results, revision: str = "", date: str = "") -> Added:
        """Add a run, whole or not at all; the very same run is not added twice.

        Runs are in the order of their start, in whatever order they are added.

        Args:
            results: What a run or a merge of several gave.
            revision: The suite's revision, such as a commit.
            date: The day or the time (ISO 8601) to keep it under instead of its start.

        Raises:
            HistoryError: the run does not say when it was, or the file cannot be written.
        """
        told = date or results.header.created
        try:
            created = packing.utc(told)
        except ValueError:
            raise HistoryError(
                f"the run says it was made at {content.shown(told)}, which is no time"
            ) from None
        header = replace(results.header, created=created) if date else results.header
        with self._reading(), self._store.transaction() as connection:
            done = recording.add(connection, results, header, revision)
            row = connection.execute(f"{RUN} WHERE id = ?", (done.number,)).fetchone()
            return Added(_run(row), done.changed, done.unseen, done.new)

    def runs(self) -> tuple[Run, ...]:
        """All runs, the earliest first."""
        with self._reading() as connection:
            return tuple(map(_run, connection.execute(f"{RUN} {BY_TIME}")))

    def run(self, number: int | None = None) -> Run:
        """A run by its number, the latest where none is given.

        Raises:
            HistoryError: there is no such run.
        """
        with self._reading() as connection:
            if number is None:
                text, values = "ORDER BY created DESC, id DESC LIMIT 1", ()
            else:
                text, values = "WHERE id = ?", (number,)  # type: ignore[assignment]
            row = connection.execute(f"{RUN} {text}", values).fetchone()
        if row is None:
            what = "run" if number is None else f"run {number}"
            raise HistoryError(f"{content.display(self._store.path)}: has no {what}")
        return _run(row)

    def cases(self) -> tuple[str, ...]:
        """The ids of all cases that ever ran, in order."""
        with self._reading() as connection:
            return tuple(
                name for (name,) in connection.execute('SELECT name FROM "case" ORDER BY 1')
            )

    def case(self, case: str, target: str = "", *, not_run: bool = False) -> tuple[Period, ...]:
        """What a case gave and when it changed: by target, form and check, the earliest first.

        Args:
            case: The case's id.
            target: Only targets whose name, ``backend/api/mode``, has this in it.
            not_run: Tell also when the backend did not run.

        Raises:
            HistoryError: no run has the case.
        """
        with self._reading() as connection:
            found = periods.of_case(connection, case, target, not_run)
        if found is None:
            raise HistoryError(f"{content.display(self._store.path)}: no run has a case {case!r}")
        return found

    def periods(self, target: str = "", *, changed: bool = False) -> tuple[Period, ...]:
        """The periods of all cases, as `case` has them, at once.

        Args:
            target: As for `case`.
            changed: Only of what did change: where there is more than one period.
        """
        with self._reading() as connection:
            return tuple(periods.of_all(connection, target, changed))

    def trend(self, backend: str, target: str = "") -> tuple[Trend, ...]:
        """How many outcomes of each sort a backend had in each run, the earliest first.

        Runs that say nothing of the backend are left out. ``target`` is as for `case`.
        """
        query = (
            "SELECT run, api, mode, outcome, number FROM tally JOIN target ON target.id = target "
            "WHERE backend = ?"
        )
        counts: dict[int, Counter[str]] = defaultdict(Counter)
        with self._reading() as connection:
            for run, api, mode, outcome, number in connection.execute(query, (backend,)):
                if target in str(Target(backend, api, mode)):
                    counts[run][outcome] += number
            moments = periods.moments(periods.timeline(connection), backend)
        return tuple(
            Trend(moment, {name: n for name in OUTCOMES if (n := counts[moment.run][name])})
            for moment in moments
            if moment.run in counts
        )

    def moments(self, backend: str) -> tuple[Moment, ...]:
        """All runs as a backend sees them, the earliest first."""
        with self._reading() as connection:
            return tuple(periods.moments(periods.timeline(connection), backend))

    def results(self, number: int | None = None) -> Results:
        """A run as it was added, the latest where no number is given: enough for a comparison.

        Records have no arrays, no source and no times; texts are cut to a line, and are those of
        the first of the runs that gave the same.

        Raises:
            HistoryError: there is no such run.
        """
        run = self.run(number)
        query = (
            'SELECT subject, name, backend, api, mode, form, "check", '
            "outcome, raw, known, cause, error, text "
            "FROM change JOIN run ON run.id = run JOIN subject ON subject.id = subject "
            'JOIN "case" ON "case".id = "case" JOIN target ON target.id = target '
            "JOIN signature ON signature.id = signature JOIN detail ON detail.id = detail "
            "WHERE (created, run.id) <= (?, ?) ORDER BY created, run.id"
        )
        with self._reading() as connection:
            (packed,) = connection.execute(
                "SELECT subjects FROM run WHERE id = ?", (run.number,)
            ).fetchone()
            members = packing.unpack_set(packed)
            held = {
                row[0]: row[1:]
                for row in connection.execute(query, (run.created, run.number))
                if row[0] in members
            }
            records = tuple(
                packing.restored(row[:6], Signature(*row[6:11]), row[11]) for row in held.values()
            )
        return Results(run.header, records, run.complete)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._store.reported():
            try:
                yield self._store.connection
            except (zlib.error, json.JSONDecodeError, UnicodeDecodeError) as error:
                raise sqlite3.DatabaseError(str(error)) from None


def _run(row: tuple[int, str, str, int, int, bytes]) -> Run:
    number, created, revision, complete, outcomes, header = row
    return Run(number, created, revision, bool(complete), outcomes, packing.unpack_header(header))
