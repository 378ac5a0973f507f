"""A case side by side as Markdown, as a page, and as JSON.

The JSON's keys, of which none goes away or changes its meaning within a version:

``version``
    1.
``case``, ``words``, ``layout``, ``source``, ``note``
    The case's id, its request in words, the axis order of its shapes, what its author says of it.
``request``
    The request with everything resolved; ``padding.pairs`` are the two sides of each axis.
``rules``, ``axes``
    The output arithmetic: in names, and per spatial axis (outermost first) ``name``, ``size``,
    ``pads`` (before, after), ``window``, ``stride``, ``dilation``, ``output_padding``, ``output``
    and ``steps`` (``name``, ``formulas`` that are equal to each other, ``value``, ``remark``).
``output``
    The output's shape.
``chain``
    Of operators put together the steps, as ``request`` is of a single one; else null.
``apis``
    One entry per API: ``backend``, ``version`` (with ``installed`` false the one that the suite
    pins, empty where it pins none), ``api``, ``layout``, ``way`` ('native', 'recipe' or 'none'),
    ``code`` (a program that defines ``forward``; empty for 'none'), ``line`` (its operator call);
    ``modes`` (``mode``, ``way``, ``reason``, ``known``: the registry's entry), the first of which
    chose the code; ``verified`` (``text``, ``right``) or null; ``obvious`` or null: ``origin``
    ('case', 'nearest', 'native'), ``change``, ``effect`` ('same', 'same-values', 'wrong-shape',
    'wrong-value', or for 'native' the outcome that the registry expects), ``gives``, ``line``,
    ``code``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import jinja2
import pygments
from markupsafe import Markup
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from conformance import content, request
from conformance.chains import chain
from conformance.side_by_side import arithmetic, excerpts
from conformance.side_by_side.arithmetic import Axis, Step
from conformance.side_by_side.show import Entry, Obvious, SideBySide, Verdict

VERSION = 1
WAYS = {"native": "native", "recipe": "recipe", "none": "no way"}
LINK = re.compile(r"https?://[^\s<>\"'`\\|()\[\]]+")


@dataclass(frozen=True)
class Row:
    """An axis, or several that agree, as a table shows it."""

    name: str
    numbers: tuple[int, ...]
    steps: tuple[Step, ...]

    @property
    def lines(self) -> list[str]:
        """The steps as text, named where there are several."""
        if len(self.steps) == 1:
            return [str(self.steps[0])]
        return [f"{step.name}: {step}" for step in self.steps]


def axis_table(view: SideBySide) -> tuple[list[str], list[Row]]:
    """The heads of the columns of numbers, and the rows; what is 1 or 0 everywhere is left out."""
    columns: dict[str, Callable[[Axis], int]] = {"input": lambda axis: axis.size}
    if not arithmetic.adaptive(view.request):
        columns |= {
            "pad before": lambda axis: axis.pads[0],
            "pad after": lambda axis: axis.pads[1],
            "window": lambda axis: axis.window,
            "stride": lambda axis: axis.stride,
        }
    if any(axis.dilation > 1 for axis in view.axes):
        columns["dilation"] = lambda axis: axis.dilation
    if any(axis.output_padding for axis in view.axes):
        columns["output padding"] = lambda axis: axis.output_padding
    columns["output"] = lambda axis: axis.output
    rows = [
        Row(name, tuple(number(axis) for number in columns.values()), axis.steps)
        for name, axis in arithmetic.grouped(view.axes)
    ]
    return list(columns), rows


def framework(entry: Entry) -> str:
    """The backends and their versions, and whether these are what the suite pins."""
    return ", ".join(map(_framework, (entry, *entry.also)))


def _framework(entry: Entry) -> str:
    pinned = "" if entry.installed or not entry.version else " (pinned)"
    return f"{entry.backend} {entry.version}".strip() + pinned


def about_code(entry: Entry) -> list[str]:
    """Where the code is right, and in which layouts."""
    where: list[str] = []
    for each in (entry, *entry.also):
        where += [each.verified] if each.right else [_framework(each), each.verified]
    return [part for part in (*where, entry.layout) if part]


def essence(entry: Entry) -> str:
    """What of the code says most: the operator's call, after what a recipe does beside it."""
    call = excerpts.operator_call(entry.code)
    if entry.way != "recipe":
        return call
    beside = excerpts.help_line(entry.code)
    return beside if call in beside else f"{beside}; {call}"


def as_json(view: SideBySide) -> str:
    """The view as JSON; the module's docstring describes it."""
    fields = {
        "version": VERSION,
        "case": view.case,
        "words": view.words,
        "layout": view.layout,
        "source": view.source,
        "note": view.note,
        "request": request.to_json(view.request),
        "rules": view.rules,
        "axes": [asdict(axis) for axis in view.axes],
        "output": (view.chain or view.request).output_shape,
        "chain": None if view.chain is None else chain.to_json(view.chain),
        "apis": [_entry_json(entry) for entry in view.entries],
    }
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def _entry_json(entry: Entry) -> dict[str, Any]:
    obvious, verified = entry.obvious, None
    if entry.verified:
        verified = {"text": entry.verified, "right": entry.right}
    return {
        "backend": entry.backend,
        "version": entry.version,
        "installed": entry.installed,
        "api": entry.api,
        "layout": entry.layout,
        "way": entry.way,
        "code": entry.code,
        "line": excerpts.operator_call(entry.code),
        "modes": [asdict(verdict) for verdict in entry.verdicts],
        "verified": verified,
        "obvious": None if obvious is None else {**asdict(obvious), "line": obvious.line},
    }


def page(view: SideBySide) -> str:
    """A self-contained page: no script, nothing loaded."""
    columns, rows = axis_table(view)
    return (
        _environment()
        .get_template("show.html.j2")
        .render(view=view, columns=columns, rows=rows, title=f"{view.case} side by side")
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(content.root("reports")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "python": _highlighted,
        "abridged": excerpts.abridged,
        "about_code": about_code,
        "essence": essence,
        "remarks": remarks,
        "said": said,
        "breakable": lambda text: Markup(".<wbr>").join(text.split(".")),
        "slug": lambda text: re.sub(r"[^A-Za-z0-9.-]+", "-", text),
    }
    environment.tests["link"] = lambda text: bool(LINK.fullmatch(text))
    style = Markup(environment.get_template("show.css.j2").render())
    digest = hashlib.sha256(style.encode()).digest()
    environment.globals |= {
        "ways": WAYS,
        "style": style,
        "style_hash": "sha256-" + base64.b64encode(digest).decode(),
    }
    return environment


def _highlighted(code: str) -> Markup:
    return Markup(pygments.highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)))


def markdown(view: SideBySide) -> str:
    """GitHub-flavoured Markdown."""
    columns, rows = axis_table(view)
    parts = [f"# {_plain(view.case)}", _plain(view.words)]
    parts.append(f"Layout of these shapes: {view.layout}; each API's own stands by its code.")
    if view.note:
        parts.append(f"*{_plain(view.note)}*")
    if view.source:
        link = LINK.fullmatch(view.source)
        parts.append(f"Source: {f'<{view.source}>' if link else _plain(view.source)}")
    aligned = ["---", *["--:"] * len(columns), "---"]
    table = [["axis", *columns, "arithmetic"], aligned]
    table += [[row.name, *map(str, row.numbers), "<br>".join(row.lines)] for row in rows]
    parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in table))
    parts.append("\n".join(f"- {rule}" for rule in view.rules))
    parts.append(_overview(view))
    parts += [_section(entry) for entry in view.entries]
    return "\n\n".join(parts) + "\n"


def _overview(view: SideBySide) -> str:
    lines = [
        "| API | how | exactly this | what the obvious spelling gives |",
        "| --- | --- | --- | --- |",
    ]
    for entry in view.entries:
        obvious = entry.obvious
        instead = "" if obvious is None else _plain(said(obvious))
        call = _code(essence(entry)) if entry.code else ""
        cells = _plain(entry.api), WAYS[entry.way], call, instead
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _section(entry: Entry) -> str:
    """One API: its code, why it is so, and what the obvious spelling gives."""
    about = [WAYS[entry.way], *about_code(entry)]
    parts = [f"## {_plain(entry.api)}", _plain(" · ".join(filter(None, about)))]
    parts += [_plain(line) for line in remarks(entry)]
    if entry.code:
        parts.append(_fenced(excerpts.abridged(entry.code)))
    if entry.obvious is not None:
        parts += [
            f"The obvious spelling: {_plain(said(entry.obvious))}.",
            _fenced(entry.obvious.line),
        ]
    return "\n\n".join(parts)


def remarks(entry: Entry) -> list[str]:
    """Why the code is not native or has other words, and in which modes all is otherwise."""
    first = entry.verdicts[0]
    lines = [_reason(first)] if first.reason else []
    for verdict in entry.others:
        reason = f": {_reason(verdict)}" if verdict.reason else ""
        lines.append(f"in mode {verdict.mode}: {WAYS[verdict.way]}{reason}")
    return lines


def _reason(verdict: Verdict) -> str:
    return f"{verdict.reason} ({verdict.known})" if verdict.known else verdict.reason


def said(obvious: Obvious) -> str:
    """What was changed and what it gives."""
    return f"{obvious.change or 'the native one'} → {obvious.gives}"


def _plain(text: str) -> str:
    """Text on one line, with an escape where Markdown or HTML would read something into it."""
    text = " ".join(text.split())
    special = r"[\\`*<|~]|&(?=[#\w])|\](?=[\[(:])|(?<!\w)_|_(?!\w)|^[#>+=-]|(?<=^\d)[.)]"
    return re.sub(special, r"\\\g<0>", text)


def _code(text: str) -> str:
    """Inline code, in a table's cell, too."""
    text, fence = text.replace("|", "\\|"), "`" * (_longest_run(text) + 1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def _fenced(code: str) -> str:
    fence = "`" * max(_longest_run(code) + 1, 3)
    return f"{fence}python\n{code.rstrip()}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


FORMATS: Mapping[str, Callable[[SideBySide], str]] = {
    "md": markdown,
    "html": page,
    "json": as_json,
}
