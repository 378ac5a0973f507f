"""Issues: what got worse between two runs, one text for each backend and cause.

A text ends with a marker, a digest of backend and cause, so that a cause that has an open issue is
told there and is not opened again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pydantic

from conformance import changes, describe
from conformance.diff import NONE, NUMBERS, Change, Diff
from conformance.discovery import UsageError
from conformance.formats import markdown
from conformance.formats.texts import code, flat
from conformance.grouping import Entries

TITLE_LENGTH = 120
TABLE = 24 * 1024
LINES, LINE_LENGTH = 40, 300
"""A table and so many lines stay below the 65,536 characters of an issue."""
NEW = "new"


@dataclass(frozen=True)
class Issue:
    """What got worse on one backend for one cause; ``number`` is that of its open issue."""

    backend: str
    cause: str
    title: str
    body: str
    number: int | None = None

    @property
    def marker(self) -> str:
        """What the body of every issue of this backend and cause ends with."""
        return _marker(self.backend, self.cause)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.backend}-{_digest(self.backend, self.cause)}.md"


class Open(pydantic.BaseModel):
    """An open issue, as ``gh issue list --json number,body`` has it."""

    number: int
    body: str


def read_open(text: str, name: str) -> list[Open]:
    """The open issues.

    Raises:
        UsageError: the text is not what ``gh issue list --json number,body`` prints.
    """
    try:
        return pydantic.TypeAdapter(list[Open]).validate_json(text)
    except pydantic.ValidationError:
        told = f"{name}: is not what 'gh issue list --json number,body' prints"
        raise UsageError(told) from None


def issues(found: Diff, entries: Entries = NONE, known: Iterable[Open] = ()) -> list[Issue]:
    """One issue for each backend and cause of a regression, those in ``known`` with their number.

    Numbers in causes (addresses, line numbers) tell no causes apart.
    """
    numbers: dict[str, int] = {}
    for each in sorted(known, key=lambda each: each.number):
        for marker in re.findall(r"<!-- conformance: \w+ -->", each.body):
            numbers.setdefault(marker, each.number)
    result = []
    for (backend, cause), held in _regressions(found).items():
        body = "".join(_body(found, backend, held, entries)) + _marker(backend, cause) + "\n"
        title = flat(f"{backend}: {cause.removeprefix(f'{backend}: ')}", TITLE_LENGTH)
        number = numbers.get(_marker(backend, cause))
        result.append(Issue(backend, cause, title, body, number))
    return result


def index(found: Sequence[Issue]) -> str:
    """A line for each issue: the number of the open one or 'new', the file, the title; by tabs."""
    return "".join(f"{each.number or NEW}\t{each.file}\t{each.title}\n" for each in found)


def _regressions(found: Diff) -> dict[tuple[str, str], list[Change]]:
    held: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in found.changes:
        if change.worse:
            cause = NUMBERS.sub("#", changes.cause(change))
            held[change.record.backend, cause].append(change)
    return held


def _body(found: Diff, backend: str, held: list[Change], entries: Entries) -> Iterator[str]:
    old, new = (
        replace(header, backends=tuple(info for info in header.backends if info.name == backend))
        for header in (found.old, found.new)
    )
    part = replace(found, old=old, new=new, changes=tuple(held))
    groups = changes.grouped(part, entries)
    yield _unmentioned(markdown.differences(part, groups, limit=TABLE))
    yield "\n"
    for change in held[:LINES]:
        yield f"- {code(flat(changes.line(change), LINE_LENGTH))}\n"
    if len(held) > LINES:
        yield f"- … and {describe.plural(len(held) - LINES, 'outcome')} more\n"
    commands = dict.fromkeys(filter(None, map(changes.command, groups)))
    if commands:
        yield "\nFor the framework's maintainers:\n\n"
        yield "".join(f"    {flat(each, 2000)} --minimal --issue\n" for each in commands)
    yield "\n"


def _unmentioned(text: str) -> str:
    """Markdown in which nobody is mentioned; in code nobody is."""
    parts = re.split(r"(`[^`\n]*`)", text)
    return "".join(p if p.startswith("`") else p.replace("@", "&#64;") for p in parts)


def _digest(backend: str, cause: str) -> str:
    return hashlib.sha256(json.dumps([backend, cause]).encode()).hexdigest()[:16]


def _marker(backend: str, cause: str) -> str:
    return f"<!-- conformance: {_digest(backend, cause)} -->"
