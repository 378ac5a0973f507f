"""Every feature on every API, from what the adapters say and what the registries know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from conformance import predicates
from conformance.cases import Case
from conformance.discovery import Backend, Target
from conformance.predicates import Facts
from conformance.semantics.cells import Cell, parts, state
from conformance.semantics.features import Feature, Features, Table
from conformance.semantics.implied import Asked, Implied
from conformance.side_by_side.lowerings import Said, Speakers
from conformance.translation.spelled import Spelled

BASE_PYTHON = "3.11"


@dataclass(frozen=True)
class Column:
    """An API of a backend, at the versions that the suite pins; ``label`` names no other column."""

    backend: Backend
    api: str
    label: str
    versions: Mapping[str, str]

    def concerns(self, feature: Feature) -> bool:
        """Whether there is anything to say: of gradients only where the backend has some."""
        return self.backend.gradients or not feature.gradients


@dataclass(frozen=True)
class Row:
    """A feature, the cell of each column, and the records that these are made of."""

    feature: Feature
    cells: tuple[Cell, ...]
    records: tuple[tuple[Implied, ...], ...] = field(repr=False)


@dataclass(frozen=True)
class Survey:
    """The page's content: tables with a row per feature, all with the same columns."""

    columns: tuple[Column, ...]
    tables: tuple[tuple[Table, tuple[Row, ...]], ...]


def pins(backend: Backend) -> dict[str, str]:
    """The versions that a backend's environment has on the suite's own Python, its own first."""
    versions: dict[str, str] = {}
    if backend.requirements.is_file():
        for line in backend.requirements.read_text(encoding="utf-8").splitlines():
            try:
                requirement = Requirement(line.partition("#")[0].strip())
            except InvalidRequirement:
                continue
            marker, python = requirement.marker, {"python_version": BASE_PYTHON}
            if marker is None or marker.evaluate(python):
                for specifier in requirement.specifier:
                    versions[canonicalize_name(requirement.name)] = specifier.version
    names = map(canonicalize_name, backend.distributions)
    return {name: versions[name] for name in names if name in versions}


def survey(features: Features, backends: Sequence[Backend]) -> Survey:
    """Ask every adapter how it says every case, and take the rest from the registries.

    Raises:
        ContentError: an adapter fails.
    """
    columns = _columns(backends, features)
    facts = {case.id: predicates.facts(case) for case in features.cases}
    with Speakers(backends) as speakers:
        asking = [_Asking(column, speakers, facts) for column in columns]
        tables = tuple(
            (table, tuple(_row(feature, asking) for feature in table.features))
            for table in features.tables
        )
    return Survey(columns, tables)


def _columns(backends: Sequence[Backend], features: Features) -> tuple[Column, ...]:
    """In the order that the features ask for, those apart behind the others."""
    listed = {name: at for at, name in enumerate(features.order)}
    apart = {api for apis in features.apart.values() for api in apis}
    ordered = sorted(backends, key=lambda backend: listed.get(backend.name, len(listed)))
    sharing = Counter(api for backend in backends for api in backend.apis)
    columns = [
        Column(backend, api, f"{api} ({backend.name})" if sharing[api] > 1 else api, pins(backend))
        for backend in ordered
        for api in backend.apis
        if api not in features.without
    ]
    return tuple(sorted(columns, key=lambda column: column.api in apart))


@dataclass(frozen=True)
class _Asking:
    """A column, and what is needed to fill it in."""

    column: Column
    speakers: Speakers
    facts: Mapping[str, Facts]

    def _spelled(self, case: Case, said: Said) -> Said | None:
        backend, api = self.column.backend, self.column.api
        spelling = case.spellings.get(api)
        if spelling is None:
            return None
        if isinstance(spelling, Spelled):
            program = self.speakers.verbatim(backend, api, case.request, spelling)
            return replace(said, native=program, missing="")
        return self.speakers.ask(backend, api, [spelling])[0]

    def records(self, case: Case) -> Iterator[Implied]:
        """The records of a case in every usual mode."""
        backend, api = self.column.backend, self.column.api
        (said,) = self.speakers.ask(backend, api, [case.request])
        spelled = self._spelled(case, said)
        version = next(iter(self.column.versions.values()), "")
        registry = backend.registry.at(version)
        for mode in backend.usual_modes:
            target = Target(backend.name, api, mode)
            asked = Asked(
                case, self.facts[case.id], target, registry, said, spelled, backend.gradients
            )
            yield from asked.records()


def _row(feature: Feature, asking: Sequence[_Asking]) -> Row:
    cells, records = [], []
    for each in asking:
        found = tuple(record for case in feature.cases for record in each.records(case))
        cells.append(_cell(found))
        records.append(found)
    return Row(feature, tuple(cells), tuple(records))


def _cell(records: Sequence[Implied]) -> Cell:
    by_mode: dict[str, dict[str, list[Implied]]] = {}
    for record in records:
        by_mode.setdefault(record.target.mode, {}).setdefault(record.case.id, []).append(record)
    return Cell(
        {
            mode: parts((found[0].case.request.rank, state(found)) for found in by_case.values())
            for mode, by_case in by_mode.items()
        }
    )
