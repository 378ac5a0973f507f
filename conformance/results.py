"""Results files: JSON lines, one header and then one line per record.

Every unit's records are appended in one write, and its first line says how many they are: a runner
that is killed can at worst leave a last unit cut short; readers drop that one and say so.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from conformance import content, records
from conformance.records import BackendInfo, Header, Record
from conformance.typed import made

NAME = "results.jsonl"
OF_ONE_JOB = ("shard", "jobs", "threads")
Key = tuple[str, str, str, str, str, str]


class ResultsError(Exception):
    """A results file that is not one, or several that do not belong together."""


@dataclass(frozen=True)
class Results:
    """A results file's content.

    ``complete`` is False where the run was interrupted, ``truncated`` is True where its last unit
    was cut short and left out.
    """

    header: Header
    records: tuple[Record, ...]
    complete: bool = True
    truncated: bool = False


class Writer:
    """Appends to a results file."""

    def __init__(self, path: Path, header: Header | None = None) -> None:
        """Create the file with a header, or continue an existing one without."""
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if header else os.O_APPEND)
        self.path = path
        self._file = os.open(path, flags, 0o644)
        if header is not None:
            self._append(records.header_json(header))

    def add(self, unit: Sequence[Record]) -> None:
        """Write the records of one unit."""
        first, *others = map(records.record_json, unit)
        self._append({**first, "unit": len(unit)}, *others)

    def copy(self, held: Iterable[Record]) -> None:
        """Write records of many units."""
        self._append(*map(records.record_json, held))

    def backend(self, info: BackendInfo) -> None:
        """Write what is known of a backend once its framework is loaded."""
        self._append({"kind": "backend", **asdict(info)})

    def finish(self) -> None:
        """Mark the run as complete."""
        self._append({"kind": "end"})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, *lines: object) -> None:
        text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
        data = memoryview(text.encode())
        while data:
            data = data[os.write(self._file, data) :]


def read(path: Path) -> Results:
    """A results file.

    Raises:
        ResultsError: it does not exist, is no results file, has another version, or is corrupt;
            the line is named.
    """
    name = content.display(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ResultsError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ResultsError(f"{name}: is no results file: not UTF-8 text") from None
    lines = text.split("\n")
    truncated = bool(lines.pop())
    if not lines:
        raise ResultsError(f"{name}: is no results file: it has no header line")
    header: Header | None = None
    found: list[Record] = []
    backends: dict[str, BackendInfo] = {}
    complete = False
    missing = unit = 0
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            kind = fields["kind"]
            if number == 1:
                if kind != "header":
                    raise ValueError
                if fields["version"] != records.VERSION:
                    raise ResultsError(
                        f"{name}: has version {content.shown(fields['version'])}, this suite "
                        f"reads {records.VERSION}; run it again with this suite"
                    )
                header = records.header_from_json(fields)
            elif kind == "record":
                if "unit" in fields:
                    missing = unit = int(fields.pop("unit"))
                found.append(records.record_from_json(fields))
                missing -= 1
            elif kind == "backend":
                info = made(BackendInfo, {key: fields[key] for key in fields if key != "kind"})
                backends[info.name] = info
            elif kind == "end":
                complete = True
            else:
                raise ValueError
            if kind != "end" and number > 1:
                complete = False
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            what = "header" if number == 1 else "record"
            raise ResultsError(f"{name}:{number}: is no {what} of a results file") from None
    assert header is not None
    if missing > 0:
        del found[missing - unit :]
        truncated = True
    merged = tuple(backends.get(info.name, info) for info in header.backends)
    return Results(replace(header, backends=merged), tuple(found), complete, truncated)


def merge(parts: Sequence[tuple[Path, Results]]) -> Results:
    """One run from the parts that several jobs ran: other backends, or other cases.

    A record is taken from where the backend ran; the same record twice must say the same.

    Raises:
        ResultsError: the parts are of other case files or suite versions, or contradict each other.
    """
    for (first_path, first), (path, part) in itertools.combinations(parts, 2):
        what = changed(first.header, part.header)
        if what:
            raise ResultsError(
                f"{content.display(path)} and {content.display(first_path)} do not belong "
                f"together: {what} differs"
            )
    chosen: dict[Key, tuple[Path, Record]] = {}
    backends: dict[str, tuple[Path, BackendInfo]] = {}
    for path, part in parts:
        for info in part.header.backends:
            held = backends.get(info.name)
            if held is None or (held[1].problem and not info.problem):
                backends[info.name] = (path, info)
            elif info.version == held[1].version and not info.problem:
                together = replace(held[1], info={**held[1].info, **info.info})
                backends[info.name] = (held[0], together)
            elif not info.problem:
                raise ResultsError(
                    f"{content.display(path)} ran {info.name} {info.version}, "
                    f"{content.display(held[0])} {held[1].version}; merge runs of one version"
                )
        for record in part.records:
            _choose(chosen, path, record)
    kept = [record for _, record in chosen.values()]
    ran = {(r.case, r.target) for r in kept if r.outcome != "not-run"}
    kept = [r for r in kept if r.outcome != "not-run" or (r.case, r.target) not in ran]
    header = replace(
        parts[0][1].header,
        created=min(part.header.created for _, part in parts),
        cases={name: digest for _, part in parts for name, digest in part.header.cases.items()},
        backends=tuple(info for _, (_, info) in sorted(backends.items())),
        selection=_whole(parts[0][1].header.selection),
    )
    complete = all(part.complete for _, part in parts)
    return Results(header, tuple(kept), complete and not absent_shards(p for _, p in parts))


def absent_shards(parts: Iterable[Results]) -> list[str]:
    """Shards of which no part is there, though others of the same backends and selection are."""
    groups: dict[str, tuple[int, set[int]]] = {}
    for part in parts:
        told = str(part.header.selection.get("shard", "1/1"))
        number, _, count = told.partition("/")
        names = [info.name for info in part.header.backends]
        asked = {k: v for k, v in part.header.selection.items() if k not in OF_ONE_JOB}
        about = json.dumps([count, names, asked])
        groups.setdefault(about, (int(count), set()))[1].add(int(number))
    return sorted(
        f"{number}/{count}"
        for count, held in groups.values()
        for number in range(1, count + 1)
        if number not in held
    )


def _whole(selection: Mapping[str, Any]) -> dict[str, Any]:
    """A run's selection, its shard left out."""
    return {name: value for name, value in selection.items() if name != "shard"}


def gather(files: Iterable[Path], *, whole: bool = False) -> Results:
    """The run that results files hold together.

    A folder stands for its own results, or for those of its subfolders where it has none.

    Raises:
        ResultsError: as `read` and `merge`; with ``whole`` also where a last line is cut short.
    """
    paths: list[Path] = []
    for file in files:
        nested = sorted(file.glob(f"*/{NAME}")) if not (file / NAME).exists() else []
        paths += (nested or [file / NAME]) if file.is_dir() else [file]
    parts = [(path, read(path)) for path in paths]
    for path, part in parts:
        if whole and part.truncated:
            raise ResultsError(
                f"{content.display(path)}: its last line is cut short; finish the run with "
                "'conformance run --resume'"
            )
    return merge(parts)


def changed(one: Header, other: Header) -> str:
    """What keeps two runs from being one: the suite's version, or a case file; else nothing."""
    if one.suite != other.suite:
        return "the suite's version"
    for name in one.cases.keys() & other.cases.keys():
        if one.cases[name] != other.cases[name]:
            return f"the case file {name}"
    return ""


def mention(merged: Results, names: Iterable[str]) -> Results:
    """The results with every backend that has none named as missing."""
    held = {info.name for info in merged.header.backends}
    absent = tuple(
        BackendInfo(name, "", {}, "", "", "no results were given")
        for name in names
        if name not in held
    )
    backends = (*merged.header.backends, *absent)
    return replace(merged, header=replace(merged.header, backends=backends))


def key(record: Record) -> Key:
    """What a record is about."""
    return (record.case, record.backend, record.api, record.mode, record.form, record.check)


def _choose(chosen: dict[Key, tuple[Path, Record]], path: Path, record: Record) -> None:
    about = key(record)
    held = chosen.get(about)
    if held is None or held[1].outcome == "not-run":
        chosen[about] = (path, record)
    elif record.outcome not in ("not-run", held[1].outcome):
        raise ResultsError(
            f"{content.display(path)} and {content.display(held[0])} contradict each other: "
            f"{record.case} on {record.target} is {record.outcome} and {held[1].outcome}"
        )


def write(path: Path, results: Results) -> None:
    """Write a results file whole; an existing one is replaced at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    with Writer(draft, results.header) as writer:
        writer.copy(results.records)
        if results.complete:
            writer.finish()
    draft.replace(path)
