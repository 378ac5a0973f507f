"""One run from start to end: selection, goldens, workers, results file."""

from __future__ import annotations

import difflib
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from conformance import (
    content,
    discovery,
    predicates,
    reference,
    results,
    selection,
    shards,
)
from conformance.cases import Case
from conformance.content import ContentError
from conformance.discovery import Backend, Interpreter, Target
from conformance.known import Known
from conformance.records import BackendInfo, Header, Record
from conformance.reference import GoldenError
from conformance.results import Results, ResultsError, Writer
from conformance.runner import Plan, References, Runner, unmatched
from conformance.selection import Selection
from conformance.shards import Shard
from conformance.supervisor import DEFAULTS, Limits
from conformance.translation.spelled import Spelled


@dataclass(frozen=True)
class Options:
    """What ``conformance run`` was asked for."""

    paths: tuple[Path, ...] = ()
    backends: tuple[str, ...] = ()
    backend_dirs: tuple[Path, ...] = ()
    apis: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    tier: str = "core"
    expression: str = ""
    jobs: int = 1
    threads: int = 1
    out: Path = Path("reports/latest")
    resume: bool = False
    shard: Shard | None = None
    durations: Path | None = None
    pythons: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = DEFAULTS
    cache: Path | None = None


@dataclass(frozen=True)
class Session:
    """A run that is ready to start."""

    options: Options
    backends: tuple[Backend, ...]
    interpreters: Mapping[str, Interpreter]
    selection: Selection
    references: References
    header: Header
    before: tuple[Record, ...] = ()

    @property
    def work(self) -> list[tuple[Case, Target]]:
        """What is still to be run."""
        done = {(record.case, record.target) for record in self.before}
        return [work for work in self.selection.work if (work[0].id, work[1]) not in done]


@dataclass(frozen=True)
class Finished:
    """What a run gave; ``stale`` are the registry entries that met nothing."""

    results: Results
    stale: tuple[str, ...]
    interrupted: bool
    path: Path
    remaining: int = 0


def prepare(options: Options) -> Session:
    """Load and check everything that a run needs, before anything runs.

    Raises:
        ContentError, UsageError, ResultsError: bad input.
    """
    backends = tuple(discovery.discover(options.backend_dirs, options.backends))
    interpreters = discovery.interpreters(backends, options.pythons)
    chosen = selection.select(
        options.paths,
        backends,
        apis=options.apis,
        modes=options.modes,
        tier=options.tier,
        expression=options.expression,
    )
    check_calls(backends, chosen.corpus)
    if not options.paths:
        check_registries(backends, chosen.corpus)
        if not options.backends:
            check_spellings(backends, chosen.corpus)
    earlier = results.read(options.durations).records if options.durations else ()
    chosen = shards.restricted(chosen, options.shard, earlier)
    references = References()
    check_goldens(chosen.cases, references)
    header = _header(options, backends, interpreters, chosen)
    before: tuple[Record, ...] = ()
    if options.resume:
        before = _resume(options.out / results.NAME, header)
    return Session(options, backends, interpreters, chosen, references, header, before)


def check_registries(backends: Sequence[Backend], corpus: Sequence[Case]) -> None:
    """Refuse registry entries that match no case of the whole suite.

    Raises:
        ContentError: such an entry.
    """
    facts = [predicates.facts(case) for case in corpus]
    for backend in backends:
        backend.registry.check_corpus(facts, backend.apis, list(backend.modes))


def check_spellings(backends: Sequence[Backend], corpus: Sequence[Case]) -> None:
    """Refuse spellings for an API that no backend has.

    Raises:
        ContentError: such a spelling.
    """
    apis = {api for backend in backends for api in backend.apis}
    for case in corpus:
        for api in case.spellings:
            if api not in apis:
                raise ContentError(
                    f"{case.id}: 'spelling' names the API {api!r}; there are "
                    f"{', '.join(sorted(apis))}",
                    case.file,
                    case.line,
                )


def check_calls(backends: Sequence[Backend], corpus: Sequence[Case]) -> None:
    """Refuse spelled calls of names that their API does not know.

    Raises:
        ContentError: such a call.
    """
    spoken = {api: names for backend in backends for api, names in backend.spoken.items()}
    for case in corpus:
        for api, said in case.spellings.items():
            if isinstance(said, Spelled) and said.name not in spoken.get(api, [said.name]):
                near = difflib.get_close_matches(said.name, spoken[api], 1)
                there = f"did you mean {near[0]}?" if near else "it knows none of that name"
                raise ContentError(
                    f"{case.id}: spelling: {api} has no call {content.shown(said.name)}; {there}",
                    case.file,
                    case.line,
                )


def check_goldens(cases: Sequence[Case], references: References) -> None:
    """Compare every golden with the oracle: no verdict could be trusted otherwise.

    A law's claim to be exact is held against its tolerance.

    Raises:
        ContentError: a golden and the oracle disagree.
    """
    for case in cases:
        if case.fields.expect is not None or case.fields.exact:
            try:
                if case.fields.law is not None:
                    references.tolerance(case)
                else:
                    reference.check_goldens(case, references(case))
            except GoldenError as error:
                raise ContentError(f"{case.id}: {error}", case.file, case.line) from None


def run(session: Session, progress: Callable[[Sequence[Record]], None]) -> Finished:
    """Run a session, writing its results as they come; Ctrl-C and SIGTERM end it in order.

    What backends compile is kept for the run, or in the folder that the options name.
    """
    if session.options.cache is not None:
        return _run(session, progress, session.options.cache)
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        return _run(session, progress, Path(folder))


def _run(session: Session, progress: Callable[[Sequence[Record]], None], cache: Path) -> Finished:
    path = session.options.out / results.NAME
    records = list(session.before)
    infos = {info.name: info for info in session.header.backends}
    work = session.work
    plan = Plan(
        work,
        session.backends,
        session.interpreters,
        session.options.jobs,
        session.options.threads,
        session.options.limits,
        cache,
    )
    runner = Runner(plan, session.references)
    interrupted = False
    done: set[tuple[str, Target]] = set()
    results.write(path, Results(session.header, session.before, complete=False))
    with Writer(path) as writer, terminable():
        try:
            for event in runner.run():
                if isinstance(event, BackendInfo):
                    infos[event.name] = event
                    writer.backend(event)
                    continue
                writer.add(event)
                records.extend(event)
                done.add((event[0].case, event[0].target))
                progress(event)
        except KeyboardInterrupt:
            interrupted = True
        else:
            writer.finish()
    order = {work: at for at, work in enumerate((c.id, t) for c, t in session.selection.work)}
    records.sort(key=lambda record: order.get((record.case, record.target), len(order)))
    header = replace(session.header, backends=tuple(infos.values()))
    stale = []
    if session.selection.whole and not interrupted:
        stale = unmatched(session.backends, infos.values(), records)
    outcome = Results(header, tuple(records), complete=not interrupted)
    return Finished(outcome, tuple(stale), interrupted, path, len(work) - len(done))


def entries(backends: Sequence[Backend]) -> dict[tuple[str, str], Known]:
    """Registry entries by backend and id."""
    return {
        (backend.name, entry.entry.id): entry
        for backend in backends
        for entry in backend.registry.entries
    }


def _header(
    options: Options,
    backends: Sequence[Backend],
    interpreters: Mapping[str, Interpreter],
    chosen: Selection,
) -> Header:
    asked: dict[str, object] = {
        "paths": [str(path) for path in options.paths],
        "apis": list(options.apis),
        "modes": list(options.modes),
        "tier": options.tier,
        "expression": options.expression,
        "jobs": options.jobs,
        "threads": options.threads,
    }
    if options.shard is not None:
        asked["shard"] = str(options.shard)
    infos = [BackendInfo.found(interpreters[backend.name]) for backend in backends]
    return Header.now(chosen.digests, asked, infos)


def _resume(path: Path, header: Header) -> tuple[Record, ...]:
    """The records of an earlier run that stay; outcomes that did not run are tried again."""
    if not path.exists():
        raise ResultsError(f"{path}: there is no run to resume here; run without --resume")
    held = results.read(path)
    changed = results.changed(held.header, header)
    if changed:
        raise ResultsError(f"{path}: {changed} changed since; run without --resume")
    before, now = (each.selection.get("shard") for each in (held.header, header))
    if before != now:
        raise ResultsError(
            f"{path}: is {_shard(before)}, not {_shard(now)}; run without --resume, or elsewhere"
        )
    versions = {info.name: info.version for info in held.header.backends}
    for info in header.backends:
        ran = versions.get(info.name, info.version)
        if ran and info.version and ran != info.version:
            raise ResultsError(
                f"{path}: ran {info.name} {ran}, now there is {info.version}; run without --resume"
            )
    return tuple(record for record in held.records if record.outcome != "not-run")


def _shard(text: object) -> str:
    return f"shard {text}" if text else "a whole run"


@contextmanager
def terminable() -> Iterator[None]:
    """Make SIGTERM end a run as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
