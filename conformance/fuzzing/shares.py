"""A backend's share of a campaign: its workers, its place in the stream, what it has run."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from conformance import predicates
from conformance.cases import Case
from conformance.discovery import Backend, Target
from conformance.fuzzing.findings import Finding
from conformance.fuzzing.ledger import Ledger
from conformance.fuzzing.outcomes import SUITE, Guarded
from conformance.fuzzing.pairs import Pair
from conformance.fuzzing.proposing import learned
from conformance.fuzzing.shrinking import Run, kin, same, shrunk
from conformance.fuzzing.stream import Drawn, Stream
from conformance.judge import RequestUnit
from conformance.known import Known, Registry
from conformance.predicates import Facts, When
from conformance.records import Record
from conformance.runner import run_units
from conformance.supervisor import Broken
from conformance.workers import Workers

PASSES = 400
FAULTS = ("crash", "timeout")


@dataclass
class Share:
    """One sort of worker of a backend, and the targets that it runs.

    ``at`` is its place in the stream: a batch, and a case of it. ``outcomes`` counts records,
    ``avoided`` cases that are known to end the process. ``passing`` are the facts of cases that
    passed last, by API, form and check. ``spent`` are the seconds that it has had, ``running``
    those in which it ran cases of the stream. ``broken`` says why it cannot go on.
    """

    backend: Backend
    targets: tuple[Target, ...]
    workers: Workers
    stream: Stream
    ledger: Ledger
    at: tuple[int, int] = (0, 0)
    most: int | None = None
    spent: float = 0.0
    running: float = 0.0
    cases: int = 0
    avoided: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    pairs: set[Pair] = field(default_factory=set)
    passing: dict[tuple[str, str, str], deque[Facts]] = field(default_factory=dict)
    broken: str = ""
    version: str = ""
    _registry: Registry = field(default_factory=lambda: Registry(""))
    _deadly: Mapping[Target, tuple[Known, ...]] = field(default_factory=dict)
    _fatal: dict[int, tuple[set[str], When]] = field(default_factory=dict)
    _replayed: bool = False

    @property
    def name(self) -> str:
        """The backend, and its mode where it has a worker apart."""
        modes = dict.fromkeys(target.mode for target in self.targets)
        apart = len({target.mode for target in self.backend.targets}) > len(modes)
        return f"{self.backend.name} {'+'.join(modes)}" if apart else self.backend.name

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.broken) or (self.most is not None and self.cases >= self.most)

    def run(self, until: float) -> None:
        """Run cases until a time of the monotonic clock, or until something new is found.

        What is new is shrunk before this returns.

        Raises:
            Interrupted: the campaign is being stopped.
        """
        begun = time.monotonic()
        try:
            until += self._load()
            begun = time.monotonic()
            self._replay()
            fresh = self._slice(until)
            for finding in fresh:
                if finding.state == "new":
                    self.shrink(finding)
        except Broken as error:
            self.broken = str(error)
        finally:
            self.spent += time.monotonic() - begun

    def shrink(self, finding: Finding) -> None:
        """Note the smallest case that has a finding's cause."""
        case, record = shrunk(finding, self._once(finding.target))
        targets = list(self.targets)
        if record.raw in FAULTS:
            targets = [target for target in targets if target.api != finding.api][:1]
        units_there = [self._once(target)(case) for target in targets]
        also = [found for unit in units_there for found in kin(finding, unit)]
        self.ledger.shrink(finding, case, record, also)

    def _load(self) -> float:
        """Start the worker; leave out modes that it cannot run. The seconds that it took."""
        begun = time.monotonic()
        if self.version:
            self.workers.supervisor(self.targets[0])
            return time.monotonic() - begun
        loaded, problem = [], ""
        for target in self.targets:
            try:
                self.workers.supervisor(target)
                loaded.append(target)
            except Broken as error:
                problem = str(error)
        if not loaded:
            raise Broken(problem)
        self.targets = tuple(loaded)
        info = self.workers.supervisor(loaded[0]).info
        self.version = next(iter(info["versions"].values()))
        self._registry = self.backend.registry.at(self.version)
        self._deadly = {
            target: self._registry.deadly(target.api, target.mode) for target in self.targets
        }
        return time.monotonic() - begun

    def _replay(self) -> None:
        """Run again what earlier campaigns found, and shrink what they had no time for."""
        if self._replayed:
            return
        self._replayed = True
        for finding in self.ledger.findings:
            if finding.state != "earlier" or finding.target not in self.targets:
                continue
            unit = self._once(finding.target)(finding.case)
            records = unit.records
            if next(same(finding, unit), None) is not None:
                self.ledger.settle(finding, "still")
                if not finding.shrunk:
                    self.shrink(finding)
            elif any(record.outcome == "known" for record in records):
                self.ledger.settle(finding, "registered")
            else:
                self.ledger.settle(finding, "gone")

    def _slice(self, until: float) -> list[Finding]:
        fresh: list[Finding] = []
        waiting: deque[Guarded] = deque()

        def next_unit() -> Guarded | None:
            while not waiting:
                if fresh or self.over or time.monotonic() >= until:
                    return None
                drawn = self._next()
                self.cases += 1
                self.pairs |= drawn.pairs
                for unit in self._units(drawn):
                    if unit.fault is None:
                        waiting.append(unit)
                    else:
                        fresh.extend(self.ledger.take(unit))
            return waiting.popleft()

        begun = time.monotonic()
        for unit in self._ran(self.targets[0], next_unit):
            fresh += self.ledger.take(unit)
            self._count(unit)
            if any(record.raw in FAULTS for record in unit.records):
                self._learn()
        self.running += time.monotonic() - begun
        return fresh

    def _next(self) -> Drawn:
        number, place = self.at
        batch = self.stream.batch(number)
        while place >= len(batch):
            number, place = number + 1, 0
            batch = self.stream.batch(number)
        self.at = number, place + 1
        return batch[place]

    def _ran(self, target: Target, next_unit: Callable[[], Guarded | None]) -> Iterator[Guarded]:
        for unit in run_units(self.workers.supervisor(target), next_unit):
            assert isinstance(unit, Guarded)
            yield unit

    def _units(self, drawn: Drawn) -> Iterator[Guarded]:
        for target in self.targets:
            if self._kills(drawn.facts, target):
                self.avoided += 1
                continue
            yield self._unit(drawn.case, drawn.facts, target)

    def _kills(self, facts: Facts, target: Target) -> bool:
        """Whether a case is known to end the process, so that a restart would tell nothing new."""
        known = [known.entry.when for known in self._deadly[target]]
        found = [when for apis, when in self._fatal.values() if target.api in apis]
        return any(predicates.holds(when, facts, target.api) for when in (*known, *found))

    def _learn(self) -> None:
        """Note of which cases it is clear by now that they end the process.

        A cause that was met twice is enough, where its cases can be told from those that pass.
        """
        for finding in self.ledger.findings:
            fatal = finding.backend == self.backend.name and finding.record.raw in FAULTS
            if not fatal or finding.count < 2 or finding.key.startswith(SUITE):
                continue
            passing = list(self.passes(finding))
            when = When.model_validate(dict(learned(finding.failing, passing)))
            if passing and not any(predicates.holds(when, facts) for facts in passing):
                self._fatal[finding.number] = finding.apis, when

    def _unit(self, case: Case, facts: Facts, target: Target) -> Guarded:
        workers = self.workers
        return Guarded(
            RequestUnit(case, facts, target, self._registry, workers.references, workers.searches)
        )

    def _once(self, target: Target) -> Run:
        def run(case: Case) -> Guarded:
            unit = self._unit(case, predicates.facts(case), target)
            if unit.fault is not None:
                return unit
            waiting = deque([unit])
            return next(self._ran(target, lambda: waiting.popleft() if waiting else None))

        return run

    def _count(self, unit: Guarded) -> None:
        records: Sequence[Record] = unit.records
        self.outcomes.update(record.outcome for record in records)
        for record in records:
            if record.outcome == "pass":
                about = record.api, record.form, record.check
                self.passing.setdefault(about, deque(maxlen=PASSES)).append(unit.facts)

    def passes(self, finding: Finding) -> Iterator[Facts]:
        """The facts of cases that passed last where a finding's do not."""
        for (api, form, check), held in list(self.passing.items()):
            if api in finding.apis and form in finding.forms and check in finding.checks:
                yield from list(held)
