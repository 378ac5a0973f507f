"""Runs cases on targets: workers side by side, each with its queue, results as they come.

A lane is a thread that drives one worker at a time. It takes the kind of worker (a backend with
its environment variables) that has most work left, and when that has none, the next; towards the
end several lanes share a kind's queue, each with a worker of its own.
"""

from __future__ import annotations

import math
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, Union

from conformance import judge, predicates, reference, units
from conformance.cases import Case
from conformance.chains import expected
from conformance.discovery import Backend, Interpreter, Target
from conformance.inquiry import Searches
from conformance.known import Registry
from conformance.laws.tolerance import Tolerance, tolerance
from conformance.predicates import Facts
from conformance.records import BackendInfo, Record
from conformance.reference import Expected
from conformance.supervisor import (
    DEFAULTS,
    Broken,
    Interrupted,
    Job,
    Launch,
    Limits,
    Supervisor,
)
from conformance.units import Unit
from conformance.worker.protocol import Message

CACHE_BYTES = 512 * 2**20
WORTH_SHARING = 2.0
PATIENCE = 0.2
KNOWN_TO_HANG = 5.0  # seconds

Work = tuple[Case, Target]
Event = Union[BackendInfo, tuple[Record, ...]]
Answer = TypeVar("Answer", Expected, Tolerance)


class References:
    """The oracle's answers, computed once per case; the least recently used are dropped first."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit, self._held = limit, 0
        self._answers: OrderedDict[str, Expected | Tolerance] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, case: Case) -> Expected:
        """The answer to a case."""
        of = reference.expected if case.chain is None else expected.expected
        return self._answer(case.id, lambda: of(case))

    def tolerance(self, case: Case) -> Tolerance:
        """How far both sides of a case's law may be apart."""
        return self._answer(f"{case.id}: {case.fields.law}", lambda: tolerance(case))

    def _answer(self, key: str, compute: Callable[[], Answer]) -> Answer:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]  # type: ignore[return-value]
        answer = compute()
        with self._lock:
            if key not in self._answers:
                self._answers[key] = answer
                self._held += answer.nbytes
                while self._held > self._limit and len(self._answers) > 1:
                    self._held -= self._answers.popitem(last=False)[1].nbytes
        return answer


@dataclass
class Kind:
    """A sort of worker and its queue; ``unavailable`` are modes that it cannot run, and why."""

    backend: Backend
    python: str
    mode: str
    modes: set[str] = field(default_factory=set)
    unavailable: Mapping[str, str] = field(default_factory=dict)
    work: deque[Work] = field(default_factory=deque)
    lanes: int = 0
    done: int = 0
    spent: float = 0.0
    startup: float = 3.0
    broken: str = ""

    @property
    def remaining(self) -> float:
        """Seconds of work left, by what was seen so far."""
        each = self.spent / self.done if self.done else self.backend.seconds_per_case
        return each * len(self.work)


@dataclass(frozen=True)
class Plan:
    """Everything that a run needs to know; ``work`` is in the order in which it is to be done."""

    work: Sequence[Work]
    backends: Sequence[Backend]
    interpreters: Mapping[str, Interpreter]
    jobs: int = 1
    threads: int = 1
    limits: Limits = DEFAULTS
    cache: Path | None = None


class Runner:
    """One run of a plan."""

    def __init__(self, plan: Plan, references: References | None = None) -> None:
        self.plan = plan
        self.references = references or References()
        self.searches = Searches()
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._facts: dict[str, Facts] = {}
        self._registries: dict[str, Registry] = {}
        self._infos: dict[str, BackendInfo] = {}
        self._events: queue.SimpleQueue[object] = queue.SimpleQueue()

    def stop(self) -> None:
        """End all workers soon; the records so far stay."""
        self.stopped.set()

    def run(self) -> Iterator[Event]:
        """Yield, as they come, what loading told of each backend and the records of each unit.

        Raises:
            Exception: an error of the suite itself, in whatever thread it happened.
        """
        kinds = list(self._kinds())
        yield from self._missing()
        count = max(1, min(self.plan.jobs, sum(len(kind.work) for kind in kinds)))
        lanes = [
            threading.Thread(target=self._guarded, args=(kinds,), daemon=True) for _ in range(count)
        ]
        for lane in lanes:
            lane.start()
        running = count
        try:
            while running:
                event = self._events.get()
                if event is None:
                    running -= 1
                elif isinstance(event, BaseException):
                    raise event
                else:
                    yield event  # type: ignore[misc]
        finally:
            self.stop()
            for lane in lanes:
                lane.join()

    def _kinds(self) -> Iterator[Kind]:
        backends = {backend.name: backend for backend in self.plan.backends}
        kinds: dict[tuple[str, str], Kind] = {}
        chosen: dict[Target, Kind] = {}
        for case, target in self.plan.work:
            if target not in chosen:
                backend = backends[target.backend]
                path = self.plan.interpreters[backend.name].path
                if path is None:
                    continue
                launch = self._launch(backend, path, target.mode)
                about = (backend.name, repr(sorted(launch.environment.items())))
                chosen[target] = kinds.setdefault(about, Kind(backend, path, target.mode))
            chosen[target].modes.add(target.mode)
            chosen[target].work.append((case, target))
        yield from kinds.values()

    def _launch(self, backend: Backend, python: str, mode: str) -> Launch:
        return backend.launch(python, mode, self.plan.threads, self.plan.cache)

    def _missing(self) -> Iterator[Event]:
        """Records for backends that have no interpreter."""
        for case, target in self.plan.work:
            interpreter = self.plan.interpreters[target.backend]
            if interpreter.path is None:
                yield (judge.not_run(case, target, interpreter.problem),)

    def _guarded(self, kinds: Sequence[Kind]) -> None:
        try:
            while not self.stopped.is_set():
                kind = self._choose(kinds)
                if kind is not None:
                    self._drive(kind)
                elif not any(kind.work for kind in kinds):
                    break
                else:
                    self.stopped.wait(PATIENCE)
        except Interrupted:
            pass
        except BaseException as error:
            self._events.put(error)
        finally:
            self._events.put(None)

    def _choose(self, kinds: Sequence[Kind]) -> Kind | None:
        with self._lock:
            open_kinds = [kind for kind in kinds if kind.work]
            fresh = [kind for kind in open_kinds if not kind.lanes]
            shared = [
                kind
                for kind in open_kinds
                if kind.lanes and kind.remaining / (kind.lanes + 1) > WORTH_SHARING * kind.startup
            ]
            candidates = fresh or shared
            if not candidates:
                return None
            kind = max(candidates, key=lambda kind: kind.remaining / (kind.lanes + 1))
            kind.lanes += 1
            return kind

    def _drive(self, kind: Kind) -> None:
        launch = self._launch(kind.backend, kind.python, kind.mode)
        limits = kind.backend.limits(kind.mode, self.plan.limits)
        supervisor = Supervisor(launch, limits, self.stopped)
        begun: dict[int, Unit] = {}
        try:
            self._loaded(kind, supervisor)
            for unit in run_units(supervisor, lambda: self._next(kind, begun)):
                del begun[id(unit)]
                records = unit.records
                with self._lock:
                    kind.done += 1
                    kind.spent += sum(record.seconds for record in records)
                self._events.put(tuple(records))
        except Broken as error:
            with self._lock:
                kind.work.extendleft((unit.case, unit.target) for unit in begun.values())
            self._give_up(kind, str(error))
        finally:
            with self._lock:
                kind.lanes -= 1
            supervisor.close()

    def _loaded(self, kind: Kind, supervisor: Supervisor) -> None:
        info = supervisor.start()
        name = kind.backend.name
        interpreter = self.plan.interpreters[name]
        with self._lock:
            kind.startup = max(float(info.get("seconds", 1.0)) * 1.5, 0.5)
            version = next(iter(info["versions"].values()))
            self._registries.setdefault(name, kind.backend.registry.at(version))
            held = self._infos.get(name)
            modes = dict(held.info) if held else {}
            for mode in sorted(kind.modes):
                told = info["modes"].get(mode)
                if told is not None:
                    modes[mode] = {key: told[key] for key in ("build", "device", "threads")}
            self._infos[name] = BackendInfo(
                name, version, info["versions"], info["python"], interpreter.origin, "", modes,
                kind.backend.gradients,
            )  # fmt: skip
            self._events.put(self._infos[name])
            kind.unavailable = info["unavailable"]

    def _next(self, kind: Kind, begun: dict[int, Unit]) -> Unit | None:
        while True:
            try:
                case, target = kind.work.popleft()
            except IndexError:
                return None
            if target.mode not in kind.unavailable:
                break
            self._events.put((judge.not_run(case, target, kind.unavailable[target.mode]),))
        registry = self._registries[kind.backend.name]
        facts = self._facts.setdefault(case.id, predicates.facts(case))
        unit = units.unit(case, facts, target, registry, self.references, self.searches)
        begun[id(unit)] = unit
        return unit

    def _give_up(self, kind: Kind, reason: str) -> None:
        """The rest of a kind's queue is not run."""
        interpreter = self.plan.interpreters[kind.backend.name]
        with self._lock:
            rest, kind.work = list(kind.work), deque()
        if kind.backend.name not in self._infos:
            version = interpreter.version
            info = BackendInfo(
                kind.backend.name, version, dict(interpreter.versions), interpreter.python,
                interpreter.origin, reason,
            )  # fmt: skip
            self._events.put(info)
        for case, target in rest:
            self._events.put((judge.not_run(case, target, reason),))


def run_units(supervisor: Supervisor, next_unit: Callable[[], Unit | None]) -> Iterator[Unit]:
    """Run units on a worker, each with as many requests as it needs; yield them as they end.

    Raises:
        Broken, Interrupted: see `Supervisor.run`.
    """
    follow: deque[Job] = deque()

    def job(unit: Unit, message: Message) -> Job:
        hangs = unit.registry.hangs(unit.facts, unit.target.api, unit.target.mode)
        return Job(message, unit, KNOWN_TO_HANG if hangs else math.inf)

    def next_job() -> Job | None:
        if follow:
            return follow.popleft()
        unit = next_unit()
        return None if unit is None else job(unit, unit.message())

    for done, reply in supervisor.run(next_job):
        unit: Unit = done.token
        more = unit.take(reply)
        if more is None:
            yield unit
        else:
            follow.append(job(unit, more))


def unmatched(
    backends: Iterable[Backend], infos: Iterable[BackendInfo], records: Iterable[Record]
) -> list[str]:
    """Entries that speak of the versions and modes that ran and met no record of a complete run.

    An entry speaks of its modes that are not extra, or of its extra ones where it has no others.
    """
    versions = {info.name: info.version for info in infos if not info.problem}
    met: set[tuple[str, str | None]] = set()
    ran: set[tuple[str, str]] = set()
    for record in records:
        met.add((record.backend, record.known))
        if record.outcome != "not-run":
            ran.add((record.backend, record.mode))
    found = []
    for backend in backends:
        version = versions.get(backend.name)
        if version is None:
            continue
        for entry in backend.registry.at(version).entries:
            modes = entry.modes(backend.usual_modes)
            if (
                entry.entry.stable
                and (backend.name, entry.entry.id) not in met
                and all((backend.name, mode) in ran for mode in modes)
            ):
                found.append(
                    f"{entry.where}: entry {entry.entry.id!r} met no outcome of {backend.name} "
                    f"{version}; correct or remove it"
                )
    return found
