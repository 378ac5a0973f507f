"""Holds the page against the outcomes of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from conformance.discovery import Target
from conformance.records import BackendInfo, Record
from conformance.results import Results
from conformance.semantics.implied import Implied
from conformance.semantics.survey import Column, Survey

Unit = tuple[str, Target]


@dataclass(frozen=True)
class Agreement:
    """What a comparison gave: a sentence for each outcome in which cell and run disagree.

    ``compared`` of the page's ``total`` cases on targets were in the run.
    """

    disagreements: tuple[str, ...]
    compared: int
    total: int


def agreement(survey: Survey, run: Results) -> Agreement:
    """Compare every record that the page's cells imply with the run's.

    What did not run is not compared; of a backend whose version is another than the page's, that is
    the only disagreement.
    """
    infos = {info.name: info for info in run.header.backends}
    ran: dict[Unit, list[Record]] = {}
    for record in run.records:
        if record.outcome != "not-run":
            ran.setdefault((record.case, record.target), []).append(record)
    backends = {target.backend for _, target in ran}
    found = {column.backend.name: _version(column, infos) for column in survey.columns}
    others = [text for name, text in found.items() if text and name in backends]
    total: set[Unit] = set()
    for table, rows in survey.tables:
        for row in rows:
            for column, implied in zip(survey.columns, row.records):
                units = _units(implied)
                total |= units.keys()
                if not found[column.backend.name]:
                    cell = f"{table.name}, {row.feature.name}, {column.label}"
                    others += [f"{cell}: {text}" for text in _differences(units, ran)]
    return Agreement(tuple(others), len(total & ran.keys()), len(total))


def _version(column: Column, infos: Mapping[str, BackendInfo]) -> str:
    """How the page's version of a framework differs from the run's; empty where it does not."""
    name, info = column.backend.name, infos.get(column.backend.name)
    pinned = next(iter(column.versions.values()), "")
    if info is None or not pinned or _public(info.version) == _public(pinned):
        return ""
    return f"{name}: the page is about {pinned}, the run about {info.version}"


def _public(version: str) -> str:
    try:
        return Version(version).public
    except InvalidVersion:
        return version


def _units(implied: Iterable[Implied]) -> dict[Unit, list[Implied]]:
    units: dict[Unit, list[Implied]] = {}
    for each in implied:
        units.setdefault((each.case.id, each.target), []).append(each)
    return units


def _differences(
    units: Mapping[Unit, Sequence[Implied]], ran: Mapping[Unit, Sequence[Record]]
) -> Iterator[str]:
    for unit, implied in units.items():
        if unit in ran:
            yield from _of_unit(unit, implied, ran[unit])


def _of_unit(unit: Unit, implied: Sequence[Implied], records: Sequence[Record]) -> Iterator[str]:
    """Where something unstable passed, what follows from its failure need not be there."""
    there = {(record.form, record.check): record for record in records}
    wanted = {(each.form, each.check): each for each in implied}
    loose = any(each.unstable and _passed(there.get(about)) for about, each in wanted.items())
    for about in dict.fromkeys([*wanted, *there]):
        each, record = wanted.get(about), there.get(about)
        if loose and (each is None or each.unstable or record is None):
            continue
        if each is None or record is None or not _agrees(each, record):
            implies = "nothing" if each is None else _said(each)
            gave = "nothing" if record is None else " ".join(filter(None, _gave(record)))
            what = f"{unit[0]} on {unit[1]}, {' '.join(about)}"
            yield f"{what}: {implies} on the page, {gave} in the run"


def _passed(record: Record | None) -> bool:
    return record is not None and record.outcome == "pass"


def _agrees(each: Implied, record: Record) -> bool:
    if each.outcome != record.outcome:
        return False
    return not each.entries or record.known in {known.entry.id for known in each.entries}


def _said(each: Implied) -> str:
    names = " or ".join(known.entry.id for known in each.entries)
    return f"{each.outcome} {names}".rstrip()


def _gave(record: Record) -> tuple[str, str]:
    return record.outcome, record.known or ""
