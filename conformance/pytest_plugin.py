"""Collects case files as pytest items: one item per case and target.

Known discrepancies are expected failures, stale entries failures, backends that are missing skips
(errors under ``--require-backends``). Case files are collected from the suite's own folder, from
the folders that the ini option ``conformance_cases`` names, and where one is named on the command
line.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from conformance import (
    cases,
    commands,
    content,
    describe,
    discovery,
    records,
    results,
    session,
    shards,
)
from conformance.adapter import CACHE
from conformance.cases import Case
from conformance.content import ContentError
from conformance.discovery import Target, UsageError
from conformance.records import BackendInfo, Header, Record
from conformance.results import Results
from conformance.shards import Shard
from conformance.workers import Workers

PROPERTY = "conformance"
SHARD = 250


class Failed(Exception):
    """A case whose outcome on a target is not as expected."""

    def __init__(self, case: Case, target: Target, unit: tuple[Record, ...]) -> None:
        super().__init__(case, target, unit)
        self.case, self.target, self.unit = case, target, unit


WORKERS = pytest.StashKey[Workers]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the suite's options."""
    group = parser.getgroup("conformance", "convolution and pooling conformance")
    group.addoption(
        "--conformance-backend",
        action="append",
        default=[],
        metavar="NAME",
        help="only this backend (may be repeated)",
    )
    group.addoption(
        "--conformance-backend-dir",
        action="append",
        default=[],
        metavar="DIR",
        help="a backend's folder outside of the suite (may be repeated)",
    )
    group.addoption(
        "--conformance-python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the interpreter that runs a backend (may be repeated)",
    )
    group.addoption(
        "--conformance-mode",
        action="append",
        default=[],
        metavar="NAME",
        help="only this mode, extra ones too; 'all' for all (may be repeated)",
    )
    group.addoption(
        "--conformance-tier",
        choices=("core", "full"),
        default="core",
        help="'full' collects everything",
    )
    group.addoption(
        "--conformance-shard", metavar="I/N", help="only the cases of the I-th of N shards"
    )
    group.addoption(
        "--conformance-out", metavar="DIR", help="also write results.jsonl into this folder"
    )
    group.addoption(
        "--require-backends",
        action="store_true",
        help="a backend or mode that does not run is an error, not a skip",
    )
    parser.addini("conformance_cases", "folders with case files", type="paths", default=[])


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep the items of one sort of worker together under ``pytest -n``, if not told otherwise."""
    if not config.pluginmanager.hasplugin("xdist") or hasattr(config, "workerinput"):
        return
    if config.option.numprocesses and config.option.dist == "no" and _concerned(config):
        config.option.dist = "loadgroup"


def pytest_configure(config: pytest.Config) -> None:
    """Let the workers of all of xdist's processes share what they compile."""
    if hasattr(config, "workerinput") or CACHE in os.environ:
        return
    folder = tempfile.TemporaryDirectory(prefix="conformance-")
    os.environ[CACHE] = folder.name

    def clean() -> None:
        del os.environ[CACHE]
        folder.cleanup()

    config.add_cleanup(clean)


def _concerned(config: pytest.Config) -> bool:
    if config.getini("conformance_cases"):
        return True
    return any(".yaml" in argument or "conformance" in argument for argument in config.args)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a case file."""
    if file_path.suffix != ".yaml":
        return None
    base = _base(file_path, parent.config)
    if base is None:
        return None
    collector: CaseFile = CaseFile.from_parent(parent, path=file_path)
    collector.base = base
    return collector


def _base(file: Path, config: pytest.Config) -> Path | None:
    """The folder that the ids of a file's cases are relative to; None for a foreign file."""
    for folder in (content.root("cases"), *map(Path, config.getini("conformance_cases"))):
        resolved = folder.resolve()
        if resolved in file.resolve().parents:
            return resolved
    named = {Path(argument.partition("::")[0]).resolve() for argument in config.args}
    return file.resolve().parent if file.resolve() in named else None


def _workers(config: pytest.Config) -> Workers:
    if WORKERS not in config.stash:
        given = {}
        for pair in config.getoption("conformance_python"):
            name, equals, path = pair.partition("=")
            if not equals:
                raise pytest.UsageError(f"--conformance-python {pair!r} is not NAME=PATH")
            given[name] = path
        try:
            folders = [Path(folder) for folder in config.getoption("conformance_backend_dir")]
            found = discovery.discover(folders, config.getoption("conformance_backend"))
            interpreters = discovery.interpreters(found, given)
            discovery.targets(found, modes=config.getoption("conformance_mode"))
        except (ContentError, UsageError) as error:
            raise pytest.UsageError(str(error)) from None
        workers = Workers({backend.name: backend for backend in found}, interpreters)
        config.stash[WORKERS] = workers
        config.add_cleanup(workers.close)
    return config.stash[WORKERS]


def _shard(config: pytest.Config) -> Shard:
    text = config.getoption("conformance_shard")
    try:
        return shards.parse(text) if text else Shard(1, 1)
    except UsageError as error:
        raise pytest.UsageError(f"--conformance-shard: {error}") from None


class CaseFile(pytest.File):
    """A file of cases."""

    base: Path

    def collect(self) -> Iterable[pytest.Item]:
        """One item per case and target."""
        workers = _workers(self.config)
        try:
            loaded = cases.load_file(self.path.resolve(), self.base)
            session.check_calls(list(workers.backends.values()), loaded)
        except ContentError as error:
            raise self.CollectError(str(error)) from None
        tier = self.config.getoption("conformance_tier")
        targets = workers.targets(self.config.getoption("conformance_mode"))
        shard = _shard(self.config)
        for case in loaded:
            if case.id in shard and (tier == "full" or case.fields.tier == "core"):
                for target in targets:
                    name = f"{case.fields.id}[{target}]"
                    item: CaseItem = CaseItem.from_parent(self, name=name)
                    item.case, item.target, item.workers = case, target, workers
                    yield item


class CaseItem(pytest.Item):
    """A case on a target."""

    case: Case
    target: Target
    workers: Workers

    def runtest(self) -> None:
        """Run the case and raise what pytest makes of its outcome."""
        session.check_goldens([self.case], self.workers.references)
        unit = self.workers.run(self.case, self.target)
        self.user_properties.append((PROPERTY, [records.record_json(record) for record in unit]))
        if any(record.unexpected for record in unit):
            raise Failed(self.case, self.target, unit)
        missing = [record for record in unit if record.outcome == "not-run"]
        if missing:
            if self.config.getoption("require_backends"):
                raise Failed(self.case, self.target, unit)
            pytest.skip(f"{self.target.backend} did not run: {missing[0].note}")
        met = [record for record in unit if record.outcome == "known"]
        if met:
            pytest.xfail(f"{met[0].known}: {describe.outcome(met[0])}")
        if all(record.outcome == "unsupported" for record in unit):
            pytest.skip(unit[0].note)

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        """Where the case is written."""
        return self.path, self.case.line - 1, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What a maintainer needs of a failure."""
        if isinstance(excinfo.value, Failed):
            return explain(excinfo.value, self.workers)
        if isinstance(excinfo.value, (ContentError, UsageError)):
            return f"error: {excinfo.value}"
        return super().repr_failure(excinfo, style)


def explain(failed: Failed, workers: Workers) -> str:
    """Request, code, outcome, and the command that repeats it."""
    case = failed.case
    lines = [f"{content.display(case.file)}:{case.line}: {case.id} on {failed.target}"]
    lines.append(f"request: {describe.asked(case)}")
    for record in failed.unit:
        if not record.unexpected and record.outcome != "not-run":
            continue
        form = "" if record.form == "native" else f" ({record.form})"
        lines.append("")
        lines.append(f"{record.check}{form}: {record.outcome}: {describe.outcome(record)}")
        if record.explanation is not None and record.difference is not None:
            lines.append(f"meaning: {record.explanation}")
        if record.note and record.note not in describe.outcome(record):
            lines.append(record.note)
        if record.difference is not None:
            lines.append(f"shapes: {describe.shapes(record.difference)}")
            allowed = record.difference.allowed
            lines.append(f"allowed error: {allowed:.3g}" if allowed else "allowed error: none")
        if record.expected is not None and record.observed is not None:
            lines.append(f"expected: {_flat(record.expected)}")
            lines.append(f"observed: {_flat(record.observed)}")
        if record.source:
            lines += ["", *(f"    {line}" for line in record.source.rstrip().splitlines())]
        if record.error is not None and record.error.output:
            lines += ["", "it printed:", record.error.output[-2000:]]
    backend = workers.backends[failed.target.backend]
    interpreter = workers.interpreters[backend.name]
    python = interpreter.path if interpreter.origin == "--python" else None
    lines += ["", f"repeat it: {commands.run(case, failed.target, backend, python)}"]
    lines.append(f"as a script: {commands.repro(case, failed.target, backend, python)}")
    return "\n".join(lines)


def _flat(values: records.Values) -> str:
    text = " ".join(f"{value:g}" for value in values.data[:64])
    return f"{list(values.shape)} {text}{' …' if len(values.data) > 64 else ''}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Group the items of one sort of worker for xdist, in shards."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    counted: dict[str, int] = {}
    for item in items:
        if isinstance(item, CaseItem):
            kind = item.workers.kind(item.target)
            counted[kind] = counted.get(kind, -1) + 1
            item.add_marker(pytest.mark.xdist_group(f"{kind} {counted[kind] // SHARD}"))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the backends, once it is known that case files take part."""
    if not config.getini("conformance_cases") or hasattr(config, "workerinput"):
        return []
    workers = _workers(config)
    told = [
        f"{name} {found.version}" if found.path else f"{name} (not run)"
        for name, found in workers.interpreters.items()
    ]
    return [f"conformance: {', '.join(told)}"]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the results file."""
    config = session.config
    out = config.getoption("conformance_out", None)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if not out or hasattr(config, "workerinput") or reporter is None:
        return
    found = [
        records.record_from_json(fields)
        for reports in reporter.stats.values()
        for report in reports
        for name, unit in getattr(report, "user_properties", ())
        if name == PROPERTY and getattr(report, "when", "") == "call"
        for fields in unit
    ]
    workers = _workers(config)
    infos = tuple(map(BackendInfo.found, workers.interpreters.values()))
    header = Header.now({}, {"pytest": list(config.args)}, infos)
    results.write(Path(out) / results.NAME, Results(header, tuple(found)))
