"""The history's file: its tables, its version, transactions, and what can be wrong with it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from conformance import content
from conformance.results import ResultsError

VERSION = 1
APPLICATION = 0x636F6E66
PATIENCE = 600.0
TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    created TEXT NOT NULL,
    revision TEXT NOT NULL,
    complete INTEGER NOT NULL,
    outcomes INTEGER NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    header BLOB NOT NULL,
    subjects BLOB NOT NULL
);
CREATE TABLE "case" (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE target (
    id INTEGER PRIMARY KEY,
    backend TEXT NOT NULL,
    api TEXT NOT NULL,
    mode TEXT NOT NULL,
    UNIQUE (backend, api, mode)
);
CREATE TABLE subject (
    id INTEGER PRIMARY KEY,
    "case" INTEGER NOT NULL REFERENCES "case",
    target INTEGER NOT NULL REFERENCES target,
    form TEXT NOT NULL,
    "check" TEXT NOT NULL,
    UNIQUE ("case", target, form, "check")
);
CREATE TABLE signature (
    id INTEGER PRIMARY KEY,
    outcome TEXT NOT NULL,
    raw TEXT NOT NULL,
    known TEXT NOT NULL,
    cause TEXT NOT NULL,
    error TEXT NOT NULL,
    UNIQUE (outcome, raw, known, cause, error)
);
CREATE TABLE detail (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE change (
    subject INTEGER NOT NULL REFERENCES subject,
    run INTEGER NOT NULL REFERENCES run,
    signature INTEGER NOT NULL REFERENCES signature,
    detail INTEGER NOT NULL REFERENCES detail,
    PRIMARY KEY (subject, run)
) WITHOUT ROWID;
CREATE TABLE tally (
    run INTEGER NOT NULL REFERENCES run,
    target INTEGER NOT NULL REFERENCES target,
    outcome TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (run, target, outcome)
) WITHOUT ROWID;
"""


class HistoryError(ResultsError):
    """A history that is none, is damaged or of a newer suite, or has no such run or case."""


class Store:
    """The connection to a history's file.

    The rollback journal is SQLite's usual one: between transactions the file by itself is the whole
    history, and can be copied.
    """

    def __init__(self, path: Path, *, create: bool = False, patience: float = PATIENCE) -> None:
        """Open a history, or create one where there is none and ``create`` allows it.

        Raises:
            HistoryError: there is none, or the file is not a history that this suite reads.
        """
        self.path = path
        if not create and not path.exists():
            raise HistoryError(
                f"{content.display(path)}: there is no history here; 'conformance history add' "
                "begins one"
            )
        with self.reported():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self.connection = sqlite3.connect(path, timeout=patience, isolation_level=None)
            except (OSError, sqlite3.OperationalError) as error:
                raise HistoryError(
                    f"{content.display(path)}: cannot be opened: "
                    f"{getattr(error, 'strerror', None) or error}"
                ) from None
            try:
                self._check()
            except BaseException:
                self.connection.close()
                raise

    def _check(self) -> None:
        if self._version() is None:
            with self.transaction():
                if self._version() is None:
                    for statement in TABLES.split(";"):
                        self.connection.execute(statement)
                    self.connection.execute(f"PRAGMA application_id = {APPLICATION}")
                    self.connection.execute(f"PRAGMA user_version = {VERSION}")

    def _version(self) -> int | None:
        """The version of the file, None where it is empty."""
        name = content.display(self.path)
        (application,) = self.connection.execute("PRAGMA application_id").fetchone()
        (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables and not application:
            return None
        if application != APPLICATION:
            raise HistoryError(f"{name}: is no history but a database of another program")
        if version != VERSION:
            raise HistoryError(
                f"{name}: has version {version}, this suite reads {VERSION}; use the suite that "
                "wrote it, or a newer one"
            )
        return VERSION

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change the history: all of it on leaving, nothing on an error; others wait meanwhile."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """Tell SQLite's complaints about the file in a sentence.

        Raises:
            HistoryError: there was one.
        """
        name = content.display(self.path)
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise HistoryError(f"{name}: is being written by another process") from None
            raise HistoryError(f"{name}: cannot be used: {error}") from None
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error):
                raise HistoryError(f"{name}: is no history: {error}") from None
            raise HistoryError(
                f"{name}: is damaged ({error}); restore a copy, or begin anew with another file"
            ) from None
