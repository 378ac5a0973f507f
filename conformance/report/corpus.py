"""What the cases of a run ask, from the case files that they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from conformance import cases, content, describe, predicates
from conformance.cases import Case
from conformance.records import Header
from conformance.report.model import Asked, Fact

FACTS = (
    "rank", "dtype", "padding", "padding_mode", "stride", "dilation", "window", "channels",
    "groups", "output_padding", "norm", "law", "bias", "depthwise", "ceil_mode",
    "count_include_pad", "unbatched", "symmetric", "mixed", "special", "empty",
)  # fmt: skip
"""What the page can be asked of a case; the names are those of `predicates.When`."""


def asked(
    header: Header, ids: Iterable[str], paths: Sequence[Path] = ()
) -> tuple[tuple[Asked, ...], tuple[str, ...]]:
    """What each case asks, and the names of case files that are not as they ran.

    Cases are looked for in the suite's own files, in ``paths`` and where the run had found them.

    Raises:
        ContentError: a case file is wrong.
    """
    wanted = list(dict.fromkeys(ids))
    names = dict.fromkeys(name.rpartition("/")[0] for name in wanted)
    stale = []
    files = []
    for name, file in _files(names, header, paths).items():
        if file is None or _digest(file) != header.cases.get(name, _digest(file)):
            stale.append(name)
        else:
            files.append(file)
    found = {case.id: case for case in cases.load(files)} if files else {}
    return tuple(_asked(name, found.get(name)) for name in wanted), tuple(stale)


def _files(names: Iterable[str], header: Header, paths: Sequence[Path]) -> dict[str, Path | None]:
    given = [*paths, *map(Path, header.selection.get("paths", ()))]
    folders = [content.root("cases"), *(path for path in given if path.is_dir())]
    alone = {path.stem: path for path in given if path.is_file()}
    result: dict[str, Path | None] = {}
    for name in names:
        places = (folder / f"{name}.yaml" for folder in folders)
        result[name] = next((place for place in places if place.is_file()), alone.get(name))
    return result


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def _asked(name: str, case: Case | None) -> Asked:
    if case is None:
        return Asked(name, "unknown", "", {})
    every: Mapping[str, Fact] = predicates.facts(case)
    op = str(every["op"])
    return Asked(name, op, describe.asked(case), {fact: every[fact] for fact in FACTS}, case)
