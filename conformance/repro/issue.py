"""Issues: what a framework's issue form asks for, filled in, as Markdown."""

from __future__ import annotations

import re

import numpy as np

from conformance import describe
from conformance.discovery import Backend
from conformance.dtypes import Array
from conformance.literals import WIDTH
from conformance.repro import assertions, templates
from conformance.repro.reproduction import Reproduction
from conformance.repro.script import quoted, wrapped

TEMPLATE = "issue.md.j2"
SHOWN = 64
PLACES = 5
LOG_LINES = 40
TITLE_LENGTH = 120


def report(found: Reproduction, backend: Backend) -> str:
    """The text of an issue, by the backend's own template where it has one.

    Raises:
        ContentError: the template is wrong.
    """
    entry = None if found.known is None else found.known.entry
    links = [] if entry is None else [entry.evidence]
    if entry is not None and not isinstance(entry.evidence, str):
        links = list(entry.evidence)
    return templates.rendered(
        TEMPLATE,
        backend.folder,
        title=title(found),
        sentence=_plain(found.headline),
        expected=_plain(_expected(found)),
        observed=_plain(_observed(found)),
        request=describe.request(found.case.request),
        script=_fenced(_brief(found), "python"),
        log=_fenced(_log(found), "text"),
        versions=dict(found.info["versions"]),
        python=found.info["python"],
        system=found.versions[-1],
        device=found.info["device"],
        build=dict(found.info["build"]),
        entry=entry,
        links=links,
        api=found.target.api,
        mode=found.target.mode,
    )


def title(found: Reproduction) -> str:
    """The operator and what is wrong with it, in a line."""
    record = found.record
    if record.error is not None or record.raw == "pass":
        short = describe.outcome(record)
    elif found.explained:
        kind = record.raw.replace("-", " ")
        short = f"{kind}: {found.meaning.partition(': ')[2] or found.meaning}"
    else:
        short = f"{record.raw.replace('-', ' ')}: {found.difference}"
    text = f"{found.operator}: {short}"
    return text if len(text) <= TITLE_LENGTH else f"{text[: TITLE_LENGTH - 1]}…"


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is and in which nobody is mentioned, but for fenced code."""
    parts = re.split(r"(```.*?```)", text, flags=re.S)
    return "".join(part if part.startswith("```") else escaped(part) for part in parts)


def escaped(text: str) -> str:
    """Text without emphasis, tags, links and mentions."""
    return re.sub(r"[*<]|\](?=[(\[])", r"\\\g<0>", text).replace("@", "&#64;")


def _expected(found: Reproduction) -> str:
    (first, *_) = found.wanted
    shape = list(found.moved(first.name, first.values).shape)
    if found.record.difference is None:
        return f"An output of shape {shape}." if first.name == "y" else f"Shape {shape}."
    return _array(found, first.name, first.values)


def _observed(found: Reproduction) -> str:
    if found.record.difference is None or found.observed is None:
        return f"{found.difference}."
    (first, *_) = found.wanted
    return _array(found, first.name, found.observed)


def _array(found: Reproduction, name: str, values: Array) -> str:
    """An array's shape and values, or of a large one what is at the first wrong places."""
    own = found.moved(name, values)
    shape = list(own.shape)
    if 0 in shape:
        return f"shape {shape}, without elements"
    if own.size <= SHOWN:
        text = np.array2string(own.squeeze(), separator=", ", max_line_width=WIDTH)
        return f"shape {shape}\n\n```text\n{text}\n```"
    reference = found.wanted[0]
    wrong = None
    if found.observed is not None:
        signed = found.case.fields.signed_zero
        wrong = assertions.wrong(reference, found.observed, signed)
    if wrong is None:
        return f"shape {shape}"
    places = np.argwhere(found.moved(name, wrong))[:PLACES].tolist()
    told = "\n".join(f"{place}: {own[tuple(place)]}" for place in places)
    return f"shape {shape}, and at\n\n```text\n{told}\n```"


def _brief(found: Reproduction) -> str:
    """The script with one sentence on top: an issue has the rest in places of its own."""
    lines = [*wrapped(found.headline, WIDTH - 3), "", *wrapped(f"Written by {found.writer}")]
    before, after = quoted(found.about), quoted("\n".join(lines))
    return found.script.replace(f'"""{before}\n"""', f'"""{after}\n"""', 1)


def _log(found: Reproduction) -> str:
    """What the script printed last."""
    if found.ending is None:
        return found.difference
    lines = found.ending.errors.strip().splitlines()
    starts = [at for at, line in enumerate(lines) if line.startswith("Traceback")]
    kept = lines[starts[0] if starts else 0 :][-LOG_LINES:]
    last = found.ending.last
    return "\n".join(kept if last in kept else [*kept, last])


def _fenced(text: str, language: str) -> str:
    """A block of code; its fence is longer than any inside."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.strip()}\n{fence}"
