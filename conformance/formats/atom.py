"""An Atom feed of what changed since the baseline (RFC 4287): an entry per cause."""

from __future__ import annotations

import uuid
from html import escape
from xml.etree import ElementTree as ET

from conformance import changes, describe
from conformance.changes import Changed
from conformance.diff import Diff
from conformance.formats.overview import Overview
from conformance.formats.texts import clean, flat
from conformance.formats.times import moment

ATOM = "http://www.w3.org/2005/Atom"
NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:conformance:changes")
KINDS = ("new", "stopped", "changed", "fixed")
LINES = 20


def feed(overview: Overview, found: Diff) -> bytes:
    """The feed; without changes it has no entries.

    An entry's id is that of the title, the cause and the baseline: the same change keeps it from
    run to run while the baseline stays.

    Raises:
        ResultsError: a run's time is none.
    """
    updated = moment(found.new.created).isoformat()
    root = ET.Element("feed", {"xmlns": ATOM})
    _text(root, "id", NAMES.urn)
    _text(root, "title", "Conformance of convolution and pooling: changes")
    _text(root, "updated", updated)
    author = ET.SubElement(root, "author")
    _text(author, "name", "conformance")
    generator = ET.SubElement(root, "generator", version=flat(found.new.suite))
    generator.text = "conformance"
    for each in overview.changed:
        if each.kind in KINDS:
            root.append(_entry(each, found, updated))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _entry(each: Changed, found: Diff, updated: str) -> ET.Element:
    entry = ET.Element("entry")
    about = "\n".join([found.old.created, each.title, each.cause])
    identity = uuid.uuid5(NAMES, about.encode(errors="backslashreplace").decode())
    _text(entry, "id", identity.urn)
    outcomes = describe.plural(len(each.changes), "outcome")
    backends = sorted({change.record.backend for change in each.changes})
    _text(entry, "title", flat(f"{each.title}: {each.cause} ({outcomes}: {', '.join(backends)})"))
    _text(entry, "updated", updated)
    for term in (each.kind, *backends):
        ET.SubElement(entry, "category", term=flat(term))
    content = ET.SubElement(entry, "content", type="html")
    content.text = _html(each, found)
    return entry


def _html(each: Changed, found: Diff) -> str:
    told = [f"<p>{_said(each.sentence)}</p>"]
    ran = {change.record.backend for change in each.changes}
    versions = [changes.versions(backend) for backend in found.backends if backend.name in ran]
    told.append(f"<p>{_said('; '.join(versions))}</p>")
    command = changes.command(each)
    if command:
        told.append(f"<p>To reproduce it: <code>{_said(command)}</code></p>")
    lines = [f"<li>{_said(changes.line(change))}</li>" for change in each.changes[:LINES]]
    if len(each.changes) > LINES:
        lines.append(f"<li>… and {len(each.changes) - LINES:,} more</li>")
    return clean("\n".join([*told, "<ul>", *lines, "</ul>"]))


def _said(text: str) -> str:
    return escape(flat(text, 1000))


def _text(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text
