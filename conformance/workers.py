"""Runs single cases, one after the other, on workers that stay alive between them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance import discovery, judge, predicates, units
from conformance.cases import Case
from conformance.discovery import Backend, Interpreter, Target
from conformance.inquiry import Searches
from conformance.predicates import Facts
from conformance.records import Record
from conformance.runner import References, run_units
from conformance.supervisor import DEFAULTS, Broken, Failure, Job, Limits, Supervisor
from conformance.worker.protocol import Message


@dataclass
class Workers:
    """Backends, and a worker of each sort that stays alive from one case to the next.

    Once ``stopped`` is set, whatever waits for a worker raises `supervisor.Interrupted`.
    """

    backends: dict[str, Backend]
    interpreters: dict[str, Interpreter]
    limits: Limits = DEFAULTS
    references: References = field(default_factory=References)
    searches: Searches = field(default_factory=Searches)
    facts: dict[str, Facts] = field(default_factory=dict)
    workers: dict[str, Supervisor] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def targets(self, modes: Sequence[str] = ()) -> list[Target]:
        """Every target of every backend in some modes, in the usual ones where none is named.

        Raises:
            UsageError: no backend has one of the modes.
        """
        return discovery.targets(list(self.backends.values()), modes=modes)

    def kind(self, target: Target) -> str:
        """The sort of worker that runs a target: targets with the same environment share one."""
        backend = self.backends[target.backend]
        return f"{target.backend} {sorted(backend.modes[target.mode].environment.items())}"

    def supervisor(self, target: Target) -> Supervisor:
        """The worker that runs a target, started.

        Raises:
            Broken: the backend is missing, or its worker does not start, or it cannot run the mode.
        """
        interpreter = self.interpreters[target.backend]
        if interpreter.path is None:
            raise Broken(interpreter.problem)
        kind = self.kind(target)
        if kind in self.broken:
            raise Broken(self.broken[kind])
        if kind not in self.workers:
            backend = self.backends[target.backend]
            launch = backend.launch(interpreter.path, target.mode, 1)
            limits = backend.limits(target.mode, self.limits)
            self.workers[kind] = Supervisor(launch, limits, self.stopped)
        try:
            self.workers[kind].start()
        except Broken as error:
            self.broken[kind] = str(error)
            raise
        if reason := self.workers[kind].info["unavailable"].get(target.mode):
            raise Broken(reason)
        return self.workers[kind]

    def loaded(self, target: Target) -> bool:
        """Whether a target's framework was loaded, so that at most its mode is missing."""
        kind = self.kind(target)
        return kind in self.workers and kind not in self.broken

    def run(self, case: Case, target: Target) -> tuple[Record, ...]:
        """The records of a case on a target."""
        try:
            supervisor = self.supervisor(target)
        except Broken as error:
            return (judge.not_run(case, target, str(error)),)
        try:
            version = next(iter(supervisor.info["versions"].values()))
            facts = self.facts.setdefault(case.id, predicates.facts(case))
            registry = self.backends[target.backend].registry.at(version)
            unit = units.unit(case, facts, target, registry, self.references, self.searches)
            waiting = deque([unit])
            ended = next(run_units(supervisor, lambda: waiting.popleft() if waiting else None))
        except Broken as error:
            self.broken.setdefault(self.kind(target), str(error))
            return (judge.not_run(case, target, str(error)),)
        return tuple(ended.records)

    def ask(self, target: Target, message: Message) -> Message | Failure:
        """What a target's worker replies to a message.

        Raises:
            Broken: see `supervisor`.
        """
        waiting = deque([Job(message)])
        replies = self.supervisor(target).run(lambda: waiting.popleft() if waiting else None)
        return next(reply for _, reply in replies)

    def close(self) -> None:
        """End all workers."""
        for supervisor in self.workers.values():
            supervisor.close()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
