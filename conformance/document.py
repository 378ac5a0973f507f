"""YAML files of plain data, with the line of each of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic
import yaml

from conformance import misfits
from conformance.content import ContentError, Place, shown

NODE_LIMIT = 1_000_000
DEPTH_LIMIT = 32
FILE_LIMIT = 32 * 2**20
MESSAGE_LIMIT = 200
SCALARS = ("str", "int", "float", "bool", "null")
UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE
# What libyaml says of common mistakes, and what to do about each.
REMEDIES = {
    "mapping values are not allowed": "a ':' where no key can be; check the indentation, or put "
    "the value in quotes",
    "did not find expected key": "check the indentation and the quotes",
    "did not find expected '-' indicator": "check the indentation",
    "did not find expected ',' or ']'": "a '[' is not closed, or a ',' is missing",
    "did not find expected ',' or '}'": "a '{' is not closed, or a ',' is missing",
    "expected <document start>": "this is no part of what is above; check the indentation",
    "could not find expected ':'": "a key without its ':'; check the indentation and the quotes",
    "block sequence entries": "a '-' where no list can be; check the indentation",
    "alphabetic or numeric": "an '&' or '*' without a name; put it in quotes",
    "found another document": "one document is allowed; remove the '---'",
    "found undefined alias": "an alias '*…' without its anchor '&…'; put it in quotes if it is "
    "none",
    "tab character": "a tab; indent with spaces",
    "found unexpected end of stream": "a quote is not closed",
}


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
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 1] + "…"
        return ContentError(message, self.file, self.line(place), place)

    def validate(self, model: type[pydantic.BaseModel]) -> Any:
        """The data as ``model``.

        Raises:
            ContentError: the data do not fit; about the first misfit.
        """
        try:
            return model.model_validate(self.data)
        except pydantic.ValidationError as error:
            message, place = misfits.explain(error, self.data, model)
            raise self.error(message, place) from None


def read_yaml(file: Path, empty: str = "a case file has at least 'cases'") -> Document:
    """Read a YAML file of plain data; ``empty`` says what an empty file lacks.

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
    odd = UNPRINTABLE.search(text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        raise ContentError(f"not YAML: the control character {odd[0]!r}", file, line)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reader = None
    try:
        _check_depth(file, text, loader)
        reader = loader(text)
        node = reader.get_single_node()
        if node is None:
            raise ContentError(f"empty; {empty}", file, 1)
        builder = _Builder(file, reader)
        return Document(file, builder.build(node, ()), builder.lines)
    except yaml.YAMLError as error:
        raise _not_yaml(error, file, text) from None
    except RecursionError:
        raise ContentError(f"nested more than {DEPTH_LIMIT} levels deep", file) from None
    finally:
        if reader is not None:
            reader.dispose()


def _check_depth(file: Path, text: str, loader: Any) -> None:
    """Refuse deep nesting before the document is composed: libyaml's composer recurses in C."""
    reader = loader(text)
    depth = 0
    try:
        while reader.check_event():
            event = reader.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > DEPTH_LIMIT + 1:
                line = event.start_mark.line + 1
                raise ContentError(f"nested more than {DEPTH_LIMIT} levels deep", file, line)
    finally:
        reader.dispose()


def _not_yaml(error: yaml.YAMLError, file: Path, text: str) -> ContentError:
    if not isinstance(error, yaml.MarkedYAMLError):
        return ContentError(f"not YAML: {str(error).splitlines()[0]}", file)
    mark = error.problem_mark or error.context_mark
    problem = error.problem or error.context or "it cannot be parsed"
    lines = text.splitlines() or [""]
    at = min(mark.line, len(lines) - 1) if mark else 0
    if "cannot start any token" in problem and mark:
        character = lines[at][mark.column : mark.column + 1]
        if character == "\t":
            problem = "a tab; indent with spaces"
        else:
            problem = f"no value begins with {character!r}; put it in quotes"
    else:
        problem = next((text for said, text in REMEDIES.items() if said in problem), problem)
    return ContentError(f"not YAML: {problem}", file, at + 1)


class _Builder:
    """Turns YAML nodes into plain data, noting where each part begins."""

    def __init__(self, file: Path, reader: Any) -> None:
        self.file, self.reader = file, reader
        self.lines: dict[Place, int] = {}
        self.sizes: dict[int, int] = {}

    def build(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if not place:
            self._size(node)
        if len(place) > DEPTH_LIMIT:
            raise ContentError(
                f"nested more than {DEPTH_LIMIT} levels deep through its aliases", self.file, line
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, place)
        return self._scalar(node, place)

    def _size(self, node: yaml.Node) -> int:
        """Number of values in a node once aliases are expanded; refused above the limit."""
        if isinstance(node, yaml.ScalarNode):
            return 1
        size = self.sizes.get(id(node))
        if size is None:
            self.sizes[id(node)] = 0
            parts = node.value
            if isinstance(node, yaml.MappingNode):
                parts = [value for _, value in parts]
            size = self.sizes[id(node)] = 1 + sum(map(self._size, parts))
        line = node.start_mark.line + 1
        if size == 0:
            raise ContentError("an alias refers to what it is a part of", self.file, line)
        if size > NODE_LIMIT:
            message = (
                f"more than {NODE_LIMIT:,} values once aliases are expanded; give data as "
                "'values: \"1 2 3 …\"' or generate it"
            )
            raise ContentError(message, self.file, line)
        return size

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
                raise ContentError(f"{shown(key)} is given twice; keep one", self.file, line, place)
            self.lines[(*place, key)] = line
            result[key] = self.build(value_node, (*place, key))
        return result

    def _sequence(self, node: yaml.SequenceNode, place: Place) -> list[Any]:
        return [self.build(item, (*place, index)) for index, item in enumerate(node.value)]

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        kind = node.tag.rpartition(":")[2]
        line = node.start_mark.line + 1
        text = shown(str(node.value), 40)
        if not node.tag.startswith("tag:yaml.org,2002:"):
            raise ContentError(f"no tag {shown(node.tag, 40)} is known", self.file, line, place)
        if kind not in SCALARS:
            message = f"{text} is read as a {shown(kind)[1:-1]}; put it in quotes"
            raise ContentError(message, self.file, line, place)
        try:
            return self.reader.construct_object(node)
        except (ValueError, OverflowError, LookupError):
            raise ContentError(f"{text} is not a valid {kind}", self.file, line, place) from None
