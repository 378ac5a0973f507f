"""What a schema's errors say, in words about the file and one sentence long."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import pydantic

from conformance.content import Place, shown


def explain(
    error: pydantic.ValidationError, data: Any, model: type[pydantic.BaseModel]
) -> tuple[str, Place]:
    """One sentence about the most telling error, and its place in ``data``.

    Where every branch of a union failed, the branches that got furthest are the telling ones.
    """
    errors = error.errors(include_url=False)
    places = [_place(entry, data) for entry in errors]
    deepest = [
        index
        for index, at in enumerate(places)
        if not any(len(other) > len(at) and other[: len(at)] == at for other in places)
    ]
    unknown = [index for index in deepest if errors[index]["type"] == "extra_forbidden"]
    index = (unknown or deepest)[0]
    entry, place = errors[index], places[index]
    if entry["type"] == "extra_forbidden":
        return f"unknown key {shown(place[-1])}{_instead(str(place[-1]), place, model)}", place
    if entry["type"] == "missing":
        return f"{place[-1] if place else 'value'!r} is missing", place[:-1]
    given = entry["input"]
    wanted = dict.fromkeys(_sentence(errors[i]) for i in deepest if places[i] == place)
    message = ", or ".join(text.removeprefix("must be ") for text in wanted)
    if all(text.startswith("must be ") for text in wanted):
        message = f"must be {message}"
    if entry["type"] == "value_error" and isinstance(given, Mapping):
        return message, place
    return f"{message} (got {shown(given)}{_hint(given, message)})", place


def _sentence(entry: Mapping[str, Any]) -> str:
    """What a pydantic error says, in words about the file."""
    context = entry.get("ctx", {})
    kind = entry["type"]
    simple = {
        "int_type": "must be a whole number",
        "int_parsing_size": "must be a number of fewer digits",
        "float_type": "must be a number",
        "finite_number": "must be finite",
        "bool_type": "must be true or false",
        "string_type": "must be text",
        "string_pattern_mismatch": "must be a name of letters, digits and . _ + -, the first "
        "a letter or a digit",
        "list_type": "must be a list",
        "dict_type": "must be a mapping, 'key: value'",
        "model_type": "must be a mapping, 'key: value'",
    }
    if kind in simple:
        return simple[kind]
    if kind == "literal_error":
        return f"must be {context['expected']}".replace("True", "true")
    if kind in ("greater_than_equal", "less_than_equal", "greater_than"):
        words = {"ge": "at least", "le": "at most", "gt": "greater than"}
        return "must be " + " and ".join(f"{words[at]} {context[at]:g}" for at in context)
    if kind in ("too_short", "too_long", "string_too_short", "string_too_long"):
        noun = "characters" if kind.startswith("string") else "entries"
        number, bound = context.get("min_length"), "at least"
        if number is None:
            number, bound = context["max_length"], "at most"
        return f"must have {bound} {number} {noun if number != 1 else noun[:-3] + 'y'}"
    return str(entry["msg"]).removeprefix("Value error, ")


def _hint(given: object, message: str) -> str:
    """Why YAML may have read something else than what was meant."""
    if isinstance(given, bool) and "text" in message:
        return "; put yes, no, on, off in quotes"
    if isinstance(given, (int, float)) and "text" in message:
        return "; put it in quotes"
    if isinstance(given, str) and "number" in message:
        try:
            float(given)
        except ValueError:
            return ""
        exponent = re.fullmatch(r"([+-]?\d+)(e[+-]?\d+)", given, re.IGNORECASE)
        if exponent:
            return f"; YAML reads this as text, write {exponent[1]}.0{exponent[2]}"
        return " as text; remove the quotes"
    return ""


def _instead(key: str, place: Place, model: type[pydantic.BaseModel]) -> str:
    """What an unknown key may have meant, or what there is."""
    there = sorted({name for at in _models(model, place[:-1]) for name in at.model_fields})
    near = difflib.get_close_matches(key.lower(), there, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    listed = ", ".join(there)
    return f"; there are {listed}" if len(listed) <= 160 else "; see 'conformance schema'"


def _models(model: type[pydantic.BaseModel], place: Place) -> list[type[pydantic.BaseModel]]:
    """The models that the part of the data at a place may be."""
    models = list(_within(model)) if issubclass(model, pydantic.RootModel) else [model]
    for part in place:
        fields = [at.model_fields[part] for at in models if part in at.model_fields]
        if fields:
            models = [at for one in fields for at in _within(one.annotation)]
    return models


def _within(annotation: Any) -> Iterator[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        if issubclass(annotation, pydantic.RootModel):
            yield from _within(annotation.model_fields["root"].annotation)
        else:
            yield annotation
    else:
        for part in get_args(annotation):
            yield from _within(part)


def _place(entry: Mapping[str, Any], data: Any) -> Place:
    """The part of a pydantic location that exists in the data: union branches are dropped."""
    place: list[str | int] = []
    location: Sequence[str | int] = entry["loc"]
    for index, part in enumerate(location):
        last = index == len(location) - 1
        listed = isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)
        if listed or (isinstance(data, Mapping) and part in data):
            data = data[part]
        elif not (last and entry["type"] == "missing"):
            continue
        place.append(part)
    return tuple(place)
