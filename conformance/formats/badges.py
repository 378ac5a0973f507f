"""A badge per backend: an SVG, and JSON for shields.io's endpoint badges.

What the colour says, the words say too (https://shields.io/badges/endpoint-badge).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from conformance.formats.overview import Overview, Tally
from conformance.formats.texts import flat
from conformance.records import BackendInfo

SVG = "http://www.w3.org/2000/svg"
HEIGHT, PAD, SIZE = 20, 6, 11
NARROW, WIDE = "fijlrt.,:;|!'()[]/ ·", "mwMW%@✓"
LABEL = "#3c4043"
GOOD, BAD, NOTHING = "#1b6e36", "#b3261e", "#5f6368"
"""White text on each has a contrast of more than 5 : 1."""


@dataclass(frozen=True)
class Badge:
    """What a badge says; ``failed`` where something is unexpected or nothing ran."""

    label: str
    message: str
    colour: str
    failed: bool


def badge(overview: Overview, name: str) -> Badge:
    """The badge of a backend that the run's header names."""
    info, tally = overview.backends[name]
    label = flat(f"{name} {info.version}".rstrip(), 60)
    ran = any(number for word, number in tally.counts.items() if word != "not-run")
    if not ran and not tally.recipes:
        return Badge(label, "not run", NOTHING, True)
    failed = bool(tally.unexpected) or not overview.results.complete
    return Badge(label, _message(info, tally, overview), BAD if failed else GOOD, failed)


def _message(info: BackendInfo, tally: Tally, overview: Overview) -> str:
    counts = tally.counts
    parts = [
        f"{counts['pass']:,} pass",
        f"{counts['known']:,} known",
        f"{tally.unexpected:,} unexpected",
    ]
    if counts["not-run"] or info.problem:
        parts.append(f"{counts['not-run']:,} not run")
    if not overview.results.complete:
        parts.append("interrupted")
    return " · ".join(parts)


def endpoint(shown: Badge) -> str:
    """What shields.io's ``/endpoint`` draws a badge of, as JSON."""
    fields = {
        "schemaVersion": 1,
        "label": shown.label,
        "message": shown.message,
        "color": shown.colour.removeprefix("#"),
        "isError": shown.failed,
    }
    return json.dumps(fields) + "\n"


def svg(shown: Badge) -> bytes:
    """The badge as a picture that a screen reader can read, too."""
    left, right = (_width(text) + 2 * PAD for text in (shown.label, shown.message))
    told = f"{shown.label}: {shown.message}"
    root = ET.Element(
        "svg", {
            "xmlns": SVG, "width": str(left + right), "height": str(HEIGHT), "role": "img",
            "aria-label": told,
        },
    )  # fmt: skip
    ET.SubElement(root, "title").text = told
    for x, width, colour in ((0, left, LABEL), (left, right, shown.colour)):
        size = {"x": str(x), "width": str(width), "height": str(HEIGHT)}
        ET.SubElement(root, "rect", {**size, "fill": colour})
    style = {
        "fill": "#fff",
        "font-family": "Verdana,DejaVu Sans,sans-serif",
        "font-size": f"{SIZE}",
    }
    texts = ET.SubElement(root, "g", style)
    for x, width, text in ((PAD, left, shown.label), (left + PAD, right, shown.message)):
        place = {"x": str(x), "y": "14", "textLength": str(width - 2 * PAD)}
        ET.SubElement(texts, "text", place).text = text
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _width(text: str) -> int:
    """About as wide as a text is in that font; ``textLength`` makes it exact."""
    return round(sum(4 if c in NARROW else 10 if c in WIDE else 7 for c in text))
