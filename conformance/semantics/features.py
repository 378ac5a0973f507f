"""The features that the page has a row for: data in ``reports/semantics.yaml``, and their cases."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from conformance import content
from conformance.cases import Case
from conformance.document import Document, read_yaml
from conformance.schema import Identifier, Model

Sentence = Annotated[str, Field(min_length=1, max_length=300)]


class FeatureFields(Model):
    """A feature as it is written; ``cases`` are ids, or globs of ids."""

    name: Sentence
    rule: Sentence
    source: str | None = Field(None, description="of the rule; else its first case's")
    gradients: bool = Field(False, description="whether the rule is about gradients")
    cases: Annotated[list[str], Field(min_length=1)]


class TableFields(Model):
    """Features that belong together; links to their notes begin with ``key``."""

    name: Sentence
    key: Identifier
    features: Annotated[list[FeatureFields], Field(min_length=1)]


class FeatureFile(Model):
    """``reports/semantics.yaml``.

    Columns are in the ``order`` of backends, those of others behind them. ``without`` are APIs that
    have no column, ``apart`` those that have tables of their own.
    """

    order: list[str] = Field(default_factory=list)
    without: list[str] = Field(default_factory=list)
    apart: dict[str, list[str]] = Field(default_factory=dict)
    tables: Annotated[list[TableFields], Field(min_length=1)]


@dataclass(frozen=True)
class Feature:
    """A rule of the suite, about ``gradients`` or not, and the cases that stand for it."""

    name: str
    rule: str
    source: str
    cases: tuple[Case, ...] = field(repr=False)
    gradients: bool = False


@dataclass(frozen=True)
class Table:
    """Features that belong together; links to their notes begin with ``key``."""

    name: str
    key: str
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class Features:
    """All tables; the rest is that of `FeatureFile`."""

    tables: tuple[Table, ...]
    order: Sequence[str] = ()
    without: frozenset[str] = frozenset()
    apart: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases of all features, each once."""
        listed = (case for table in self.tables for each in table.features for case in each.cases)
        return tuple({case.id: case for case in listed}.values())


def home() -> Path:
    """The suite's own file of features."""
    return content.root("reports") / "semantics.yaml"


def load(corpus: Sequence[Case], file: Path | None = None) -> Features:
    """The features of a file, the suite's own by default, with their cases of a corpus.

    Raises:
        ContentError: the file is wrong: also where two features of a table share a name, or a
            pattern matches no case, or one of a law or a chain, which are no single requests.
    """
    document = read_yaml(file or home(), "it has 'tables'")
    fields: FeatureFile = document.validate(FeatureFile)
    tables = []
    for at, table in enumerate(fields.tables):
        features: dict[str, Feature] = {}
        for number, given in enumerate(table.features):
            place = ("tables", at, "features", number)
            if given.name in features:
                raise document.error(f"{given.name!r} is in this table twice", (*place, "name"))
            cases = tuple(_cases(document, corpus, given.cases, place))
            source = given.source or next((c.fields.source for c in cases if c.fields.source), "")
            features[given.name] = Feature(
                given.name, given.rule, source or "", cases, given.gradients
            )
        tables.append(Table(table.name, table.key, tuple(features.values())))
    return Features(tuple(tables), fields.order, frozenset(fields.without), fields.apart)


def _cases(
    document: Document, corpus: Sequence[Case], patterns: Sequence[str], place: content.Place
) -> Iterator[Case]:
    seen: set[str] = set()
    for number, pattern in enumerate(patterns):
        where = (*place, "cases", number)
        found = [case for case in corpus if fnmatch.fnmatchcase(case.id, pattern)]
        if not found:
            raise document.error(f"no case has the id {content.shown(pattern)}", where)
        for case in found:
            if case.chain is not None or case.fields.law is not None:
                raise document.error(f"{case.id} is a law or a chain, no single request", where)
            if case.id not in seen:
                seen.add(case.id)
                yield case
