"""The page's model as one HTML file."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from conformance import content, describe
from conformance.report import building, packing
from conformance.report.model import Page

STYLES = ("tokens", "page", "parts", "case")
SCRIPTS = (
    "dom", "data", "query", "state", "theme", "overview", "causes", "outcomes", "heatmap",
    "windows", "code", "side_by_side", "case", "main",
)  # fmt: skip
"""The parts of the script, each of one idea, in the order in which they stand in the page."""


def html(page: Page) -> str:
    """The page: self-contained, with a policy that lets nothing else run or load."""
    style = "".join(_read(f"styles/{name}.css") for name in STYLES)
    script = '"use strict";\n{\n' + "".join(_read(f"scripts/{name}.js") for name in SCRIPTS) + "}\n"
    return _environment().get_template("report.html.j2").render(
        page=page,
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
        index=packing.packed(packing.index(page)),
        details=packing.packed(packing.details(page)),
        headline=building.headline(page),
        totals=building.totals(page.records),
        matrix=building.matrix(page),
        revision=building.revision(page.header),
    )  # fmt: skip


def _read(name: str) -> str:
    return (_folder() / name).read_text(encoding="utf-8")


def _folder() -> Path:
    return content.root("reports") / "report"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_folder()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda value: f"{value:,}",
        "day": _day,
        "listing": describe.listing,
    }
    return environment


def _day(created: str) -> str:
    """A time of day in UTC as a reader says it; what is no time stays as it is."""
    try:
        return datetime.fromisoformat(created).strftime("%-d %B %Y, %H:%M UTC")
    except ValueError:
        return created
