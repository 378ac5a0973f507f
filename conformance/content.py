"""Content files: where they lie, YAML with line numbers, and errors that name file and line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic
import yaml

NODE_LIMIT = 1_000_000
DEPTH_LIMIT = 32
FILE_LIMIT = 32 * 2**20
SCALARS = ("str", "int", "float", "bool", "null")

Place = tuple[str | int, ...]


class ContentError(Exception):
    """A mistake in a file that a user wrote: what, where, and what would be right."""

    def __init__(
        self, message: str, file: Path, line: int | None = None, place: Place = ()
    ) -> None:
        super().__init__(message, file, line, place)
        self.message, self.file, self.line, self.place = message, file, line, place

    def __str__(self) -> str:
        where = f"{display(self.file)}:{self.line}" if self.line else display(self.file)
        path = f"{dotted(self.place)}: " if self.place else ""
        return f"{where}: {path}{self.message}"


def display(path: Path) -> str:
    """The path as a user would type it from the current folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:
        return str(path)
    return str(path) if relative.startswith(os.pardir) else relative


def dotted(place: Place) -> str:
    """A place in a document as ``cases[2].padding``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def root(kind: str) -> Path:
    """The folder of the suite's own ``cases``, ``backends`` or ``reports``.

    An installed wheel carries them inside the package, a checkout beside it.
    """
    package = Path(__file__).resolve().parent
    inside = package / kind
    return inside if inside.is_dir() else package.parent / kind


@dataclass(frozen=True)
class Document:
    """A YAML file's data and the line on which each of its parts begins."""

    file: Path
    data: Any
    lines: Mapping[Place, int] = field(repr=False)

    def line(self, place: Place) -> int:
        """The line of the innermost part of ``place`` that the file has."""
        for end in range(len(place), -1, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return 1

    def error(self, message: str, place: Place = ()) -> ContentError:
        """An error about one part of this file."""
        return ContentError(message, self.file, self.line(place), place)

    def validate(self, model: type[pydantic.BaseModel]) -> Any:
        """The data as ``model``.

        Raises:
            ContentError: the data do not fit; about the first misfit.
        """
        try:
            return model.model_validate(self.data)
        except pydantic.ValidationError as error:
            message, place = explain(error, self.data)
            raise self.error(message, place) from None


def read_yaml(file: Path) -> Document:
    """Read a YAML file of plain data.

    Raises:
        ContentError: it cannot be read, is not YAML, repeats a key, holds anything but plain data,
            or is larger, deeper, or (through aliases) more extensive than the limits.
    """
    try:
        if file.stat().st_size > FILE_LIMIT:
            raise ContentError(f"larger than {FILE_LIMIT // 2**20} MiB; split the file", file)
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ContentError(f"cannot be read: {error.strerror or error}", file) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ContentError("not UTF-8 text", file, line) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = None
    try:
        reader = loader(text)
        node = reader.get_single_node()
        if node is None:
            raise ContentError("empty; a case file has at least 'cases'", file, 1)
        builder = _Builder(file, reader)
        return Document(file, builder.build(node, ()), builder.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "not YAML"
        raise ContentError(f"not YAML: {problem}", file, mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise ContentError(f"not YAML: {str(error).splitlines()[0]}", file) from None
    except RecursionError:
        raise ContentError(f"nested more than {DEPTH_LIMIT} levels deep", file) from None
    finally:
        if reader is not None:
            reader.dispose()


class _Builder:
    """Turns YAML nodes into plain data, noting where each part begins."""

    def __init__(self, file: Path, reader: Any) -> None:
        self.file, self.reader = file, reader
        self.lines: dict[Place, int] = {}
        self.nodes = 0

    def build(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        self.nodes += 1
        if self.nodes > NODE_LIMIT:
            raise ContentError(
                f"more than {NODE_LIMIT:,} values once aliases are expanded; give data as "
                "'values: \"1 2 3 …\"' or generate it",
                self.file,
                line,
                place,
            )
        if len(place) > DEPTH_LIMIT:
            raise ContentError(f"nested more than {DEPTH_LIMIT} levels deep", self.file, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, place)
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise ContentError("a key must be a word", self.file, line, place)
            if key == "<<":
                raise ContentError(
                    "merge keys ('<<') are not supported; use 'defaults'", self.file, line, place
                )
            if key in result:
                raise ContentError(f"{key!r} is given twice; keep one", self.file, line, place)
            self.lines[(*place, key)] = line
            result[key] = self.build(value_node, (*place, key))
        return result

    def _sequence(self, node: yaml.SequenceNode, place: Place) -> list[Any]:
        return [self.build(item, (*place, index)) for index, item in enumerate(node.value)]

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        kind = node.tag.rpartition(":")[2]
        line = node.start_mark.line + 1
        if kind not in SCALARS:
            raise ContentError(
                f"{str(node.value)[:40]!r} is read as a {kind}; put it in quotes",
                self.file,
                line,
                place,
            )
        try:
            return self.reader.construct_object(node)
        except (ValueError, OverflowError, KeyError):
            raise ContentError(
                f"{str(node.value)[:40]!r} is not a valid {kind}", self.file, line, place
            ) from None


def explain(error: pydantic.ValidationError, data: Any) -> tuple[str, Place]:
    """One sentence about the most telling error, and its place in ``data``.

    Where every branch of a union failed, the branch that got furthest is the telling one.
    """
    errors = error.errors(include_url=False)
    places = [_place(entry["loc"], data) for entry in errors]
    unknown = [i for i, entry in enumerate(errors) if entry["type"] == "extra_forbidden"]
    index = unknown[0] if unknown else 0
    entry, place = errors[index], places[index]
    same = [other for other, at in zip(errors, places) if at == place]
    if entry["type"] == "extra_forbidden":
        return f"unknown key {place[-1]!r}", place
    if entry["type"] == "missing":
        return f"{place[-1] if place else 'value'!r} is missing", place
    given = _short(entry["input"])
    wanted = list(dict.fromkeys(_sentence(other) for other in same))
    return f"{' or '.join(wanted)} (got {given})", place


def _sentence(entry: Mapping[str, Any]) -> str:
    message = str(entry["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _place(location: Sequence[str | int], data: Any) -> Place:
    """The part of a pydantic location that exists in the data: union branches are dropped."""
    place: list[str | int] = []
    for index, part in enumerate(location):
        if _has(data, part):
            data = data[part]
        elif index < len(location) - 1 or not isinstance(data, Mapping) or isinstance(part, int):
            continue
        place.append(part)
    return tuple(place)


def _has(data: Any, part: str | int) -> bool:
    if isinstance(data, Mapping):
        return part in data
    return isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)
