"""What others read: JUnit XML, a Markdown summary, JSON, badges, an Atom feed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from conformance import files, grouping
from conformance.diff import NONE, Diff
from conformance.discovery import UsageError
from conformance.formats import atom, badges, documents, junit, markdown
from conformance.formats.overview import Overview
from conformance.grouping import Entries, Group
from conformance.results import Results

Format = Literal["junit", "md", "json", "badge", "atom"]
FORMATS: tuple[Format, ...] = get_args(Format)


def write(
    results: Results,
    baseline: Diff | None,
    out: Path,
    formats: Sequence[Format] = (),
    entries: Entries = NONE,
    command: Callable[[Group], str] = grouping.repro_command,
) -> tuple[Path, ...]:
    """Write a run to files in ``out`` and return them: all ``formats`` where none is named.

    - ``junit``: ``junit.xml``,
    - ``md``: ``summary.md``,
    - ``json``: ``report.json``,
    - ``badge``: ``badges/<backend>.svg`` and ``badges/<backend>.json`` for each backend,
    - ``atom``: ``changes.atom``, where there is a ``baseline``: what changed since then.

    ``entries`` are the registries', ``command`` says how to reproduce a group's example. A file is
    replaced whole or not at all.

    Raises:
        ResultsError: a run's time is none.
        UsageError: a file cannot be written, or a feed is asked for without a baseline.
    """
    if "atom" in formats and baseline is None:
        raise UsageError("the format atom tells what changed: name an earlier run with --baseline")
    overview = Overview(results, baseline, entries, command)
    made = [file for each in dict.fromkeys(formats or FORMATS) for file in _made(each, overview)]
    return tuple(files.put(out / name, data, parents=True) for name, data in made)


def _made(form: Format, overview: Overview) -> Iterator[tuple[str, bytes]]:
    if form == "junit":
        yield "junit.xml", junit.junit(overview)
    elif form == "md":
        yield "summary.md", markdown.summary(overview).encode(errors="replace")
    elif form == "json":
        yield "report.json", documents.report(overview).encode()
    elif form == "badge":
        for name in overview.backends:
            shown = badges.badge(overview, name)
            stem = re.sub(r"[^\w.-]", "-", name)
            yield f"badges/{stem}.svg", badges.svg(shown)
            yield f"badges/{stem}.json", badges.endpoint(shown).encode()
    elif overview.baseline is not None:
        yield "changes.atom", atom.feed(overview, overview.baseline)
