"""Why a cell says what it says: what an API has no words for, and what its registry knows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.adapter import Form
from conformance.known import Expectable, Known
from conformance.schema import Options
from conformance.semantics.implied import Implied
from conformance.semantics.survey import Column, Row

FORWARD: Mapping[Expectable, str] = {
    "rejected": "refused",
    "unsupported": "not there",
    "crash": "kills the process",
    "timeout": "never ends",
    "wrong-shape": "another shape",
    "wrong-dtype": "another dtype",
    "wrong-value": "other values",
}
VJP: Mapping[Expectable, str] = {
    **FORWARD,
    "rejected": "no gradient",
    "crash": "the gradient kills the process",
    "timeout": "the gradient never ends",
    "wrong-shape": "a gradient of another shape",
    "wrong-dtype": "a gradient of another dtype",
    "wrong-value": "another gradient",
}
FORMS: Mapping[Form, str] = {
    "native": "",
    "emulated": "the recipe: ",
    "spelled": "what ported code says: ",
}
KINDS = {
    "by-design": "by design",
    "bug": "a bug",
    "numerical": "numerical",
    "unsupported": "unsupported",
}
QUALIFIED = re.compile(r"\w+(\.\w+)+")


@dataclass(frozen=True)
class Reason:
    """A reason that some columns share.

    ``outcome`` is empty where the API has no words for the request. ``modes``, and ``cases`` or
    ``ranks``, are those that it is confined to, empty where it is not.
    """

    columns: tuple[str, ...]
    outcome: str
    why: str
    entries: tuple[Known, ...] = ()
    modes: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()
    cases: tuple[str, ...] = ()

    @property
    def evidence(self) -> tuple[str, ...]:
        """The entries' links, each once; commands stay in the registry."""
        found: dict[str, None] = {}
        for known in self.entries:
            given = known.entry.evidence
            found.update(dict.fromkeys([given] if isinstance(given, str) else given))
        return tuple(text for text in found if text.startswith("http") and " " not in text)


@dataclass
class _Gathered:
    """Where one reason is met: by column, the modes and cases; ``checks`` are those it spoils."""

    places: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    entries: dict[str, list[Known]] = field(default_factory=dict)
    checks: set[str] = field(default_factory=set)


_Scope = tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]


@dataclass(frozen=True)
class _Key:
    """What reasons agree in, to be one."""

    form: Form
    outcome: Expectable | None
    why: str


def reasons(row: Row, columns: Sequence[Column]) -> tuple[Reason, ...]:
    """The reasons of a row's cells, in the order of columns."""
    gathered: dict[_Key, _Gathered] = {}
    for column, records in zip(columns, row.records):
        for record in records if column.concerns(row.feature) else ():
            for key, known in _told(record):
                held = gathered.setdefault(key, _Gathered())
                place = (record.target.mode, record.case.id)
                held.places.setdefault(column.label, []).append(place)
                held.checks.add(record.check)
                entries = held.entries.setdefault(column.label, [])
                if known is not None and known not in entries:
                    entries.append(known)
    usual = {column.label: column.backend.usual_modes for column in columns}
    found = [each for key, held in gathered.items() for each in _shared(row, key, held, usual)]
    order = [column.label for column in columns]
    return tuple(sorted(found, key=lambda reason: order.index(reason.columns[0])))


def _told(record: Implied) -> Iterator[tuple[_Key, Known | None]]:
    if record.missing and record.form == "native":
        yield _Key(record.form, None, _predicate(record.missing)), None
    for known in record.entries:
        yield _Key(record.form, known.entry.expect.outcome, known.entry.why), known


def _shared(
    row: Row, key: _Key, held: _Gathered, usual: Mapping[str, Sequence[str]]
) -> Iterator[Reason]:
    """One reason for all columns that have it in the same modes and cases."""
    scopes: dict[_Scope, list[str]] = {}
    for label, places in held.places.items():
        modes = tuple(mode for mode in usual[label] if mode in {mode for mode, _ in places})
        confined = () if len(modes) == len(usual[label]) else modes
        scopes.setdefault((confined, *_extent(row, {case for _, case in places})), []).append(label)
    for (modes, ranks, cases), labels in scopes.items():
        entries = {known.where: known for label in labels for known in held.entries[label]}
        outcome = _outcome(key, held.checks, entries.values()) if key.outcome else ""
        yield Reason(
            tuple(labels),
            outcome,
            _sentence(key.why),
            tuple(entries.values()),
            modes,
            ranks,
            cases,
        )


def _extent(row: Row, met: set[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The ranks that a reason is confined to, else the cases; nothing where it is met in all."""
    cases = row.feature.cases
    if all(case.id in met for case in cases):
        return (), ()
    ranks = {case.request.rank for case in cases if case.id in met}
    if all(case.id in met for case in cases if case.request.rank in ranks):
        return tuple(sorted(ranks)), ()
    return (), tuple(case.id for case in cases if case.id in met)


def _outcome(key: _Key, checks: set[str], entries: Iterable[Known]) -> str:
    assert key.outcome is not None
    words = (FORWARD if "forward" in checks else VJP)[key.outcome]
    first, *_ = entries
    cause = _cause(first)
    loose = "" if first.entry.stable else ", on some machines or in some runs"
    return f"{FORMS[key.form]}{words}{cause}{loose}; {KINDS[first.entry.kind]}"


def _cause(known: Known) -> str:
    """The name of the difference, where the registry has one."""
    because = known.entry.expect.because
    if because is None:
        return ""
    if isinstance(because, Options):
        edit = because.model_dump(exclude_none=True)
        given = ", ".join(f"{name}: {str(value).lower()}" for name, value in edit.items())
        return f" (those of `{given}`)"
    names = [because] if isinstance(because, str) else because
    return f" ({' and '.join(f'`{name}`' for name in names)})"


def _predicate(missing: str) -> str:
    """What is missing, without the name of the function that misses it: ranks share the rest."""
    name, _, rest = missing.partition(" ")
    return rest if QUALIFIED.fullmatch(name) else missing


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?")) else f"{line}."
