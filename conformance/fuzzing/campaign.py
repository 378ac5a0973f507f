"""A campaign: every backend's share of the time, until it is over or interrupted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from conformance.discovery import Backend, Interpreter, Target
from conformance.fuzzing import filing, journal
from conformance.fuzzing.findings import Finding
from conformance.fuzzing.journal import Journal, Line
from conformance.fuzzing.ledger import Ledger
from conformance.fuzzing.outcomes import SUITE
from conformance.fuzzing.proposing import Proposal, proposal
from conformance.fuzzing.shares import Share
from conformance.fuzzing.stream import Stream
from conformance.inquiry import Searches
from conformance.runner import References
from conformance.session import terminable
from conformance.supervisor import Interrupted, Limits
from conformance.workers import Workers

SLICE = 4.0
PATIENCE = 0.2
GRACE = 45.0
REFERENCES = 64 * 2**20


@dataclass(frozen=True)
class Plan:
    """What is fuzzed, for how long, and where it is kept.

    ``seconds`` is the time, ``most`` the number of cases after which a backend ends before it.
    """

    backends: Sequence[Backend]
    interpreters: dict[str, Interpreter]
    targets: Sequence[Target]
    stream: Stream
    seconds: float
    out: Path
    jobs: int = 1
    most: int | None = None
    limits: Limits = field(default_factory=Limits)
    pythons: dict[str, str] = field(default_factory=dict)


class Campaign:
    """A plan on its way. ``shares`` and ``ledger`` can be read at any time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        earlier = journal.read(plan.out / journal.NAME)
        self.notes = Journal(plan.out / journal.NAME)
        self.ledger = Ledger(self.notes, earlier)
        self.stopped = threading.Event()
        self.shares = self._shares(earlier)
        self.started = time.monotonic()
        self.files: dict[int, Path] = {}
        self._lock = threading.Lock()
        self._busy: set[int] = set()
        self._lanes = 0
        # Not join: interrupted, it takes a thread for ended that is not (bpo-45274).
        self._ended = threading.Event()
        self._error: BaseException | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def run(self, tell: Callable[[], None]) -> bool:
        """Run it; whether it was interrupted. ``tell`` is called again and again meanwhile.

        Raises:
            Exception: an error of the suite itself.
        """
        self.started = time.monotonic()
        end = self.started + self.plan.seconds
        self._lanes = max(1, min(self.plan.jobs, len(self.shares)))
        lanes = [
            threading.Thread(target=self._guarded, args=(end,), daemon=True)
            for _ in range(self._lanes)
        ]
        interrupted = False
        self.notes.add("campaign", self._told())
        for lane in lanes:
            lane.start()
        with terminable():
            try:
                while not self._ended.wait(PATIENCE):
                    tell()
                    if time.monotonic() > end + GRACE:
                        self.stopped.set()
            except KeyboardInterrupt:
                interrupted = True
        self._end()
        if self._error is not None:
            raise self._error
        return interrupted

    def _end(self) -> None:
        self.stopped.set()
        self._ended.wait()
        for share in self.shares:
            share.workers.close()
        self.place()
        for backend in self.plan.backends:
            self.file(backend)
        self.notes.close()

    def place(self) -> None:
        """Note how far each backend is in the stream."""
        at = {share.name: list(share.at) for share in self.shares}
        self.notes.add("place", {"seed": self.plan.stream.seed, "at": at})

    def file(self, backend: Backend) -> None:
        """Write the case files of a backend's findings, and the entries that they would have."""
        there = {finding.number for finding in self.ledger.findings}
        for number in self.files.keys() - there:
            self._clear(self.files.pop(number))
        proposals: list[tuple[Finding, Proposal]] = []
        for finding in self.ledger.findings:
            if finding.backend != backend.name or finding.state in ("gone", "registered"):
                continue
            self._file(finding)
            if finding.key.startswith(SUITE):
                continue
            evidence = self.repro(finding)
            shares = [share for share in self.shares if share.backend is backend]
            passing = [facts for share in shares for facts in share.passes(finding)]
            modes = [t.mode for share in shares for t in share.targets if t.api == finding.api]
            proposals.append((finding, proposal(finding, passing, modes, evidence)))
        filing.file_entries(self.plan.out, backend.name, proposals)

    def _file(self, finding: Finding) -> None:
        version = self.plan.interpreters[finding.backend].version
        told = f"{finding.sentence}\nFound by conformance fuzz: {finding.target}, {version}"
        path = filing.file_case(self.plan.out, finding, told)
        before = self.files.get(finding.number)
        self.files[finding.number] = path
        self._clear(before)

    def _clear(self, path: Path | None) -> None:
        """Remove a case file that was written and is no finding's any more."""
        if path is not None and path not in self.files.values():
            path.unlink(missing_ok=True)

    def repro(self, finding: Finding) -> str:
        """The command that shows a finding."""
        backend = next(each for each in self.plan.backends if each.name == finding.backend)
        python = self.plan.pythons.get(backend.name)
        return filing.repro(self.files[finding.number], finding, backend, python)

    def _guarded(self, end: float) -> None:
        try:
            while not self.stopped.is_set() and time.monotonic() < end:
                at = self._choose()
                if at is None:
                    if all(share.over for share in self.shares):
                        return
                    self.stopped.wait(PATIENCE)
                    continue
                try:
                    self._turn(self.shares[at], end)
                finally:
                    with self._lock:
                        self._busy.discard(at)
        except Interrupted:
            pass
        except BaseException as error:
            self._error = error
            self.stopped.set()
        finally:
            with self._lock:
                self._lanes -= 1
                if not self._lanes:
                    self._ended.set()

    def _turn(self, share: Share, end: float) -> None:
        before = len(self.ledger.new)
        share.run(min(end, time.monotonic() + SLICE))
        with self._lock:
            self.place()
            if len(self.ledger.new) != before:
                for finding in self.ledger.new:
                    if finding.backend == share.backend.name:
                        self._file(finding)

    def _choose(self) -> int | None:
        """The share that has had the least time, of those that no other lane runs."""
        with self._lock:
            free = [at for at, s in enumerate(self.shares) if at not in self._busy and not s.over]
            if not free:
                return None
            chosen = min(free, key=lambda at: self.shares[at].spent)
            self._busy.add(chosen)
            return chosen

    def _shares(self, earlier: Sequence[Line]) -> list[Share]:
        plan = self.plan
        references, searches = References(REFERENCES), Searches()
        places: dict[str, list[int]] = {}
        for line in earlier:
            if line["kind"] == "place" and line["seed"] == plan.stream.seed:
                places = {**places, **line["at"]}
        found = []
        for backend in plan.backends:
            kinds: dict[str, list[Target]] = {}
            for target in plan.targets:
                if target.backend == backend.name:
                    environment = repr(sorted(backend.modes[target.mode].environment.items()))
                    kinds.setdefault(environment, []).append(target)
            for targets in kinds.values():
                workers = Workers(
                    {backend.name: backend}, plan.interpreters, plan.limits, references, searches,
                    stopped=self.stopped,
                )  # fmt: skip
                share = Share(
                    backend, tuple(targets), workers, plan.stream, self.ledger, most=plan.most
                )
                number, place = places.get(share.name, (0, 0))
                share.at = number, place
                found.append(share)
        return found

    def _told(self) -> Line:
        plan = self.plan
        return {
            "seed": plan.stream.seed,
            "seconds": plan.seconds,
            "targets": [str(target) for target in plan.targets],
            "versions": {name: each.version for name, each in plan.interpreters.items()},
        }
