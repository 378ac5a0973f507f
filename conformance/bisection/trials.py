"""Trials: what a case gives on a target with one release of the framework, kept as they come."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.version import Version

from conformance import __version__, describe, discovery, grouping, session
from conformance.cases import Case
from conformance.discovery import Backend, Target
from conformance.records import Record
from conformance.supervisor import Limits
from conformance.workers import Workers

VERSION = 1
Step = tuple[str, str, str, str, str]
NOT_RUN = "not-run"
ORDER = ("pass", "unsupported")


@dataclass(frozen=True)
class Trial:
    """What one release gives.

    ``steps`` have form, check, outcome (before known discrepancies are considered), cause and error
    type of each record; ``line`` tells of the first that is neither a pass nor unsupported.
    ``versions`` is what was installed. ``problem`` says why the release could not be tested: it is
    empty where it was.
    """

    release: str
    versions: Mapping[str, str]
    steps: tuple[Step, ...] = ()
    line: str = ""
    problem: str = ""

    @property
    def answer(self) -> tuple[Step, ...] | None:
        """What releases are compared by; None where this one could not be tested."""
        return None if self.problem else self.steps

    @property
    def outcome(self) -> str:
        """The outcome in a word or a few: all that are worse than unsupported, else the best."""
        if self.problem:
            return "untested"
        told = dict.fromkeys(outcome for _, _, outcome, _, _ in self.steps)
        worst = [outcome for outcome in told if outcome not in ORDER]
        return ", ".join(worst) or next((each for each in ORDER if each in told), "nothing")


def trial(release: str, versions: Mapping[str, str], records: tuple[Record, ...]) -> Trial:
    """What the records of a case on a target say of a release."""
    missing = [record for record in records if record.raw == NOT_RUN]
    if missing:
        return Trial(release, dict(versions), problem=missing[0].note)
    steps = tuple(sorted(map(_step, records)))
    wrong = [record for record in records if record.raw not in ORDER]
    return Trial(release, dict(versions), steps, _line(wrong[0]) if wrong else "")


def run(
    case: Case, target: Target, backend: Backend, python: str, release: str, limits: Limits
) -> Trial:
    """Run a case on a target in an environment.

    A worker that does not start, or a framework that cannot be imported, is no outcome of the case.
    """
    interpreters = discovery.interpreters([backend], {backend.name: python})
    found = interpreters[backend.name]
    if found.path is None:
        return Trial(release, dict(found.versions), problem=found.problem)
    with Workers({backend.name: backend}, interpreters, limits) as workers:
        session.check_goldens([case], workers.references)
        return trial(release, found.versions, workers.run(case, target))


@dataclass(frozen=True)
class Notes:
    """The trials of a case on a target, one file each, so that none is lost or run again.

    They hold for the case, the adapter and the suite as they are: ``folder`` depends on all three.
    """

    folder: Path

    @classmethod
    def of(cls, home: Path, case: Case, target: Target, backend: Backend, made_of: str) -> Notes:
        """The notes on a case; ``made_of`` tells the environments apart."""
        digest = hashlib.sha256()
        for part in (str(VERSION), __version__, str(target), made_of, case.id):
            digest.update(part.encode() + b"\0")
        digest.update(case.file.read_bytes())
        for file in sorted(backend.folder.parent.glob("*/*.py")):
            digest.update(file.read_bytes())
        return cls(home / "bisections" / digest.hexdigest()[:24])

    def get(self, release: Version) -> Trial | None:
        """The trial of a release, None where there was none."""
        try:
            fields = json.loads((self.folder / f"{release}.json").read_text(encoding="utf-8"))
            steps = tuple((s[0], s[1], s[2], s[3], s[4]) for s in fields.pop("steps"))
            return Trial(steps=steps, **fields)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None

    def put(self, release: Version, found: Trial) -> None:
        """Note a trial: the file is there whole, or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=self.folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(asdict(found), stream)
            Path(draft).replace(self.folder / f"{release}.json")
        except BaseException:
            with contextlib.suppress(OSError):
                Path(draft).unlink()
            raise


def _step(record: Record) -> Step:
    cause = record.explanation.key if record.explanation else ""
    error = record.error.type if record.error else ""
    return record.form, record.check, record.raw, cause, error


def _line(record: Record) -> str:
    """What is wrong, in one line: what it means where that is known."""
    if record.explanation is not None and record.explanation.edits:
        return grouping.PREFIX.sub("", record.explanation.sentence)
    return describe.outcome(record)
