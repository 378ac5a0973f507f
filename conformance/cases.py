"""Case files: defaults, matrix, and from each entry one or many cases."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Union

import pydantic
import yaml

from conformance import content, misfits, request, resolve, schema
from conformance.adapter import parameters
from conformance.chains import resolving
from conformance.chains.chain import Chain
from conformance.content import ContentError, Place
from conformance.data import TensorData
from conformance.document import Document, read_yaml
from conformance.dtypes import Array
from conformance.laws import catalogue
from conformance.request import Request
from conformance.translation.calls import CallError
from conformance.translation.spelled import Spelled, spelled

EXPANSION_LIMIT = 50_000
Spelling = Union[Request, Spelled]
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Case:
    """One request with its data and what the case's author said of it.

    Of a chain, ``request`` is that of its first operator.
    """

    id: str
    file: Path
    line: int
    fields: schema.Case = field(repr=False)
    request: Request
    inputs: tuple[TensorData, ...] = field(repr=False)
    cotangent: TensorData | None = field(repr=False)
    spellings: Mapping[str, Spelling] = field(repr=False)
    chain: Chain | None = field(default=None, repr=False)

    def arrays(self) -> tuple[Array, ...]:
        """The inputs x, w, b, made anew."""
        return tuple(tensor.array(self.request) for tensor in self.inputs)

    def cotangent_array(self) -> Array | None:
        """The cotangent of the VJP, in the output's shape; None where there is no VJP to check."""
        return None if self.cotangent is None else self.cotangent.array(self.request)

    def spelled(self, api: str) -> dict[str, Any] | None:
        """What an API's users write, as JSON values; None where the case does not say it."""
        spelling = self.spellings.get(api)
        if isinstance(spelling, Spelled):
            return {"call": spelling.text}
        return None if spelling is None else request.to_json(spelling)

    def respelled(self, api: str) -> Request | None:
        """The request that an API's users make instead, None where a call or nothing is said."""
        spelling = self.spellings.get(api)
        return None if isinstance(spelling, Spelled) else spelling

    @property
    def plain(self) -> Case:
        """The case without its law: its own request, to be compared with the oracle."""
        return replace(self, fields=self.fields.model_copy(update={"law": None}))

    def edited(self, edit: schema.Options) -> Request:
        """The request with some options changed.

        Raises:
            resolve.RequestError: the changed request has no meaning.
        """
        return resolve.request(self.fields, edit)


def resolved(fields: schema.Case, name: str, file: Path, line: int) -> Case:
    """The case that fields make.

    Raises:
        resolve.RequestError: they make no request; ``spelling/<API>/`` stands before the field of
            a spelling.
    """
    if fields.op == "chain":
        chain = resolving.chain(fields)
        tensors, cotangent = resolving.tensors(fields, chain), resolving.cotangent(fields, chain)
        first = chain.operators[0]
        return Case(name, file, line, fields, first, tensors, cotangent, {}, chain)
    resolving.refuse_steps(fields)
    asked = resolve.request(fields)
    inputs, cotangent = resolve.tensors(fields, asked), resolve.cotangent(fields, asked)
    if fields.law is not None:
        catalogue.check(fields.law, fields, asked)
        cotangent = None
    spellings = {api: _spelling(fields, asked, api) for api in fields.spelling}
    return Case(name, file, line, fields, asked, inputs, cotangent, spellings)


def _spelling(fields: schema.Case, asked: Request, api: str) -> Spelling:
    edit = fields.spelling[api]
    try:
        if isinstance(edit, str):
            return spelled(edit, parameters(asked))
        return resolve.request(fields, edit)
    except CallError as error:
        column = f"column {error.column}: " if error.column else ""
        raise resolve.RequestError(f"spelling/{api}/", f"{column}{error.message}") from None
    except resolve.RequestError as error:
        raise resolve.RequestError(f"spelling/{api}/{error.field}", error.message) from None


def written(case: Case) -> str:
    """A case file that holds the case; what loads it gives the same request and data."""
    fields = case.fields.model_dump(exclude_defaults=True, exclude_none=True)
    fields["id"] = case.id.rpartition("/")[2]
    first = [f"{name}: {_flow(fields.pop(name))}" for name in ("op", "source") if name in fields]
    ordered = {"id": fields.pop("id"), **fields}
    inner = [f"{name}: {_flow(value)}" for name, value in ordered.items()]
    lines = [*first, "cases:", f"  - {inner[0]}", *(f"    {line}" for line in inner[1:])]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    text: str = yaml.dump(
        value,
        Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper),
        default_flow_style=True,
        allow_unicode=True,
        sort_keys=False,
        width=2**30,
    )
    return text.strip().removesuffix("\n...")


def load(paths: Iterable[Path], root: Path | None = None) -> list[Case]:
    """The cases of files and folders, in the order of their paths.

    Ids are relative to ``root`` (the suite's ``cases`` folder when a path lies there, else the
    folder that was named).

    Raises:
        ContentError: a file is wrong, or two cases have one id.
    """
    cases: list[Case] = []
    seen: dict[str, Case] = {}
    for file, base in _files(paths, root):
        for case in load_file(file, base):
            if case.id in seen:
                first = seen[case.id]
                if (first.file, first.line) == (case.file, case.line):
                    continue
                where = f"{content.display(first.file)}:{first.line}"
                raise ContentError(f"the id {case.id!r} is taken by {where}", file, case.line)
            seen[case.id] = case
            cases.append(case)
    return cases


def _files(paths: Iterable[Path], root: Path | None) -> Iterator[tuple[Path, Path]]:
    home = (root or content.root("cases")).resolve()
    done: set[Path] = set()
    for path in paths:
        if not os.path.exists(path):
            raise ContentError("no such file or folder", path)
        resolved = path.resolve()
        if resolved == home or home in resolved.parents:
            base = home
        else:
            base = resolved if resolved.is_dir() else resolved.parent
        found = sorted(resolved.rglob("*.yaml")) if resolved.is_dir() else [resolved]
        if not found:
            raise ContentError("no case files (*.yaml) in this folder", path)
        for file in found:
            if file not in done:
                done.add(file)
                yield file, base


def load_file(file: Path, base: Path) -> list[Case]:
    """The cases of one file.

    Raises:
        ContentError: the file is wrong; it names line and place.
    """
    document = read_yaml(file)
    parsed: schema.CaseFile = document.validate(schema.CaseFile)
    try:
        prefix = file.relative_to(base).with_suffix("").as_posix()
    except ValueError:
        prefix = file.stem
    shared = {**_given(document, ("op", "source")), **(document.data.get("defaults") or {})}
    cases: list[Case] = []
    seen: dict[str, int] = {}
    core = _core(document, parsed.core)
    for index, entry in enumerate(parsed.cases):
        for values, origins in _expand(document, index, entry):
            fields = {**shared, **values}
            if fields["id"] in core:
                _promote(document, fields, core.pop(fields["id"]))
            case = _Draft(document, index, prefix, fields, origins).case()
            if case.id in seen:
                raise document.error(
                    f"the id {case.id!r} is taken by line {seen[case.id]}", ("cases", index, "id")
                )
            seen[case.id] = case.line
            cases.append(case)
    for name, at in core.items():
        raise document.error(f"there is no case {content.shown(name)} here", ("core", at))
    return cases


def _core(document: Document, names: Sequence[str]) -> dict[str, int]:
    """Where each case of the file's ``core`` stands there."""
    found: dict[str, int] = {}
    for at, name in enumerate(names):
        if found.setdefault(name, at) != at:
            raise document.error(f"{content.shown(name)} is there twice", ("core", at))
    return found


def _promote(document: Document, fields: dict[str, Any], at: int) -> None:
    if fields.get("tier", "core") == "core":
        message = f"{content.shown(fields['id'])} is in core without this line"
        raise document.error(message, ("core", at))
    fields["tier"] = "core"


def _given(document: Document, names: Iterable[str]) -> dict[str, Any]:
    return {name: document.data[name] for name in names if name in document.data}


def _expand(
    document: Document, index: int, entry: schema.Entry
) -> Iterator[tuple[dict[str, Any], dict[Place, Place]]]:
    """The entry's mapping once per combination, and where in the file each matrix value stands."""
    place: Place = ("cases", index)
    raw = dict(document.data["cases"][index])
    matrix: Mapping[str, list[Any]] = raw.pop("matrix", {})
    excluded: list[Mapping[str, Any]] = raw.pop("exclude", [])
    _check_matrix(document, place, entry.id, matrix)
    for number, row in enumerate(excluded):
        for name, value in row.items():
            if not any(_equal(value, there) for there in matrix.get(name, [])):
                where = (*place, "exclude", number, name)
                raise document.error(f"the matrix has no {name}: {content.shown(value)}", where)
    empty = True
    for chosen in itertools.product(*(range(len(listed)) for listed in matrix.values())):
        row = {name: matrix[name][at] for name, at in zip(matrix, chosen)}
        if any(all(_equal(row[name], value) for name, value in no.items()) for no in excluded):
            continue
        empty = False
        values: dict[str, Any] = {**raw, "id": _fill(entry.id, row)}
        origins: dict[Place, Place] = {}
        for name, at in zip(matrix, chosen):
            head, _, tail = name.partition(".")
            origins[(head, tail) if tail else (head,)] = (*place, "matrix", name, at)
            if tail:
                base = values.get(head, (document.data.get("defaults") or {}).get(head)) or {}
                if not isinstance(base, Mapping):
                    message = f"{head!r} is {content.shown(base)} here and has no {tail!r}"
                    raise document.error(message, (*place, "matrix", name))
                values[head] = {**base, tail: row[name]}
            else:
                values[head] = row[name]
        yield values, origins
    if empty:
        raise document.error("every combination is excluded", (*place, "exclude"))


def _check_matrix(
    document: Document, place: Place, template: str, matrix: Mapping[str, list[Any]]
) -> None:
    """Refuse a matrix that the id does not name, or that names what a case does not have."""
    names = PLACEHOLDER.findall(template)
    total = 1
    for name, listed in matrix.items():
        if name.partition(".")[0] not in schema.Fields.model_fields:
            message = f"{content.shown(name)} is not a field of a case"
            raise document.error(message, (*place, "matrix", name))
        if name not in names:
            raise document.error(f"with this matrix the id must name '{{{name}}}'", (*place, "id"))
        total *= len(listed)
    for name in names:
        if name not in matrix:
            raise document.error(f"'{{{name}}}' is not in the matrix", (*place, "id"))
    if set("{}") & set(PLACEHOLDER.sub("", template)):
        raise document.error("a '{' or '}' without the other", (*place, "id"))
    if total > EXPANSION_LIMIT:
        message = f"{total:,} combinations; at most {EXPANSION_LIMIT:,}"
        raise document.error(message, (*place, "matrix"))


def _equal(one: Any, other: Any) -> bool:
    """Equality that tells true from 1, as YAML does."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _fill(template: str, row: Mapping[str, Any]) -> str:
    return PLACEHOLDER.sub(lambda match: _slug(row[match[1]]), template)


def _slug(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "x".join(
            "+".join(map(_slug, item)) if isinstance(item, (list, tuple)) else _slug(item)
            for item in value
        )
    if isinstance(value, Mapping):
        return "-".join(f"{_slug(key)}-{_slug(item)}" for key, item in value.items())
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"[^A-Za-z0-9._+-]", "-", text)


@dataclass(frozen=True)
class _Draft:
    """One combination's values on their way to a case."""

    document: Document
    index: int
    prefix: str
    values: dict[str, Any]
    origins: dict[Place, Place]

    def case(self) -> Case:
        try:
            fields = schema.Case.model_validate(self.values)
        except pydantic.ValidationError as error:
            message, place = misfits.explain(error, self.values, schema.Case)
            raise self._error(message, place) from None
        line = self.document.line(("cases", self.index))
        try:
            return resolved(fields, f"{self.prefix}/{fields.id}", self.document.file, line)
        except resolve.RequestError as error:
            *spelling, field = error.field.split("/")
            place = (*spelling, *filter(None, field.split(".")))
            parts = (int(part) if str(part).isdecimal() else part for part in place)
            raise self._error(error.message, tuple(parts)) from None

    def _error(self, message: str, place: Place) -> ContentError:
        """An error at the place in the file where the value at fault was written."""
        for origin, written in self.origins.items():
            if place[: len(origin)] == origin:
                return self.document.error(message, (*written, *place[len(origin) :]))
        case: Place = ("cases", self.index)
        bases: tuple[Place, ...] = (case, ("defaults",), ())
        for base in bases:
            if place and (*base, place[0]) in self.document.lines:
                return self.document.error(message, (*base, *place))
        for origin, written in self.origins.items():
            if place[:1] == origin[:1]:
                return self.document.error(message, written)
        return self.document.error(message, (*case, *place))
