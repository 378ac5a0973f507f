"""The survey as a page of GitHub's Markdown."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.cases import Case
from conformance.known import Known
from conformance.repro import templates
from conformance.semantics import features
from conformance.semantics.cells import Cell, Part, Word
from conformance.semantics.features import Features, Table
from conformance.semantics.reasons import Reason, reasons
from conformance.semantics.survey import Column, Row, Survey

SHOWN: dict[Word, str] = {
    "native": "✓",
    "recipe": "recipe",
    "no": "no",
    "differs": "**differs**",
    "crash": "**crash**",
    "gradient differs": "**∇ differs**",
    "no gradient": "no ∇",
}
NOTHING = "–"
RECIPE = "<sub>+\N{NO-BREAK SPACE}recipe</sub>"
ISSUE = re.compile(r"https://github\.com/[^/]+/([^/]+)/(?:issues|pull)/(\d+)$")


@dataclass(frozen=True)
class Line:
    """A feature in a table: what its name links to, and a text for each column."""

    name: str
    anchor: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class TableView:
    """A table as it is printed; ``absent`` are columns that have nothing of it."""

    name: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Panel:
    """Tables of some columns; the first has no name."""

    name: str
    tables: tuple[TableView, ...]


@dataclass(frozen=True)
class Note:
    """What there is to say of a feature."""

    anchor: str
    name: str
    rule: str
    source: str
    cases: tuple[Case, ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Links:
    """Links from the page's folder to the suite's files."""

    folder: Path

    def case(self, case: Case) -> str:
        """A case's line."""
        return f"{self.path(case.file)}#L{case.line}"

    def known(self, known: Known) -> str:
        """A registry entry's line."""
        return f"{self.path(known.file)}#L{known.line}"

    def path(self, file: Path) -> str:
        """A file."""
        return Path(os.path.relpath(file.resolve(), self.folder.resolve())).as_posix()


def markdown(survey: Survey, listed: Features, folder: Path) -> str:
    """The page's text, for a file in a folder.

    Raises:
        ContentError: the template is wrong.
    """
    return templates.rendered(
        "semantics.md.j2",
        panels=tuple(_panels(survey, listed)),
        notes=[(table.name, _notes(table, rows, survey)) for table, rows in survey.tables],
        forward=[column.label for column in survey.columns if not column.backend.gradients],
        backends=_backends(survey.columns),
        links=Links(folder),
        rows=features.home(),
        short=short,
        ranks=ranks,
        cases=len(listed.cases),
    )


def _panels(survey: Survey, features: Features) -> list[Panel]:
    apart = {api for listed in features.apart.values() for api in listed}
    panels = [("", [column.api not in apart for column in survey.columns])]
    for name, listed in features.apart.items():
        panels.append((name, [column.api in listed for column in survey.columns]))
    views = []
    for name, chosen in panels:
        tables = (_table(table, rows, survey, chosen) for table, rows in survey.tables)
        views.append(Panel(name, tuple(table for table in tables if table.columns)))
    return [panel for panel in views if panel.tables]


def _table(table: Table, rows: Sequence[Row], survey: Survey, chosen: Sequence[bool]) -> TableView:
    """A table of chosen columns, without rows and columns in which there is nothing."""
    numbers = [at for at, wanted in enumerate(chosen) if wanted]
    kept = [row for row in rows if not all(_absent(row, at, survey) for at in numbers)]
    absent = [at for at in numbers if all(_absent(row, at, survey) for row in rows)]
    shown = [at for at in numbers if at not in absent]
    lines = tuple(
        Line(
            row.feature.name,
            _anchor(table, row),
            tuple(
                _text(row.cells[at], _anchor(table, row))
                if survey.columns[at].concerns(row.feature)
                else NOTHING
                for at in shown
            ),
        )
        for row in kept
    )
    return TableView(
        table.name,
        tuple(_heading(survey.columns[at].label) for at in shown),
        lines,
        tuple(survey.columns[at].label for at in absent),
    )


def _absent(row: Row, at: int, survey: Survey) -> bool:
    return row.cells[at].absent or not survey.columns[at].concerns(row.feature)


def _heading(label: str) -> str:
    """A column's label on short lines."""
    head, *parts = label.replace(" (", "<br>(").replace("onnxrun", "onnx<br>run").split(".")
    return head + "".join(f"<br>.{part}" for part in parts)


def _anchor(table: Table, row: Row) -> str:
    """What a feature's note is found by."""
    plain = unicodedata.normalize("NFKC", f"{table.key} {row.feature.name}").lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def _text(cell: Cell, anchor: str) -> str:
    lines = [_part(part, anchor) for part in cell.parts]
    shared = all(part.state.recipe for part in cell.parts)
    if not shared:
        recipes = [f"<br>{RECIPE}" * part.state.recipe for part in cell.parts]
        lines = [line + recipe for line, recipe in zip(lines, recipes)]
    text = "<br>".join([*lines, *[RECIPE] * shared])
    return f"{text}[\\*](#{anchor})" if cell.differing else text


def _part(part: Part, anchor: str) -> str:
    """A word that leads to the note, and in small letters what it is confined to."""
    text = SHOWN[part.state.word]
    if part.state.word != "native":
        text = f"[{text}](#{anchor})"
    confined = ["in part"] * part.partly + [ranks(part.ranks)] * bool(part.ranks)
    return f"{text} <sub>{' '.join(confined)}</sub>" if confined else text


def ranks(given: Sequence[int]) -> str:
    """Numbers of spatial axes, as people say them."""
    return f"{','.join(map(str, given))}\N{NON-BREAKING HYPHEN}D"


def _notes(table: Table, rows: Sequence[Row], survey: Survey) -> list[Note]:
    return [
        Note(
            _anchor(table, row),
            row.feature.name,
            row.feature.rule,
            row.feature.source,
            row.feature.cases,
            reasons(row, survey.columns),
        )
        for row in rows
    ]


def _backends(columns: Sequence[Column]) -> list[tuple[Column, list[str]]]:
    """Each backend once, by its first column, with the labels of all of them."""
    found: dict[str, tuple[Column, list[str]]] = {}
    for column in columns:
        found.setdefault(column.backend.name, (column, []))[1].append(column.label)
    return list(found.values())


def short(url: str) -> str:
    """The text of a link: the issue's repository and number, the source file, or the site."""
    issue = ISSUE.match(url)
    if issue:
        return f"{issue[1]}#{issue[2]}"
    if "/blob/" in url:
        return url.partition("#")[0].rpartition("/")[2]
    return url.split("/")[2].removeprefix("www.")
