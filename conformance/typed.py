"""Dataclasses from JSON values whose types are checked."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")
Check = Callable[[Any], bool]
NUMBERS: Mapping[Any, tuple[type, ...]] = {float: (int, float), complex: (int, float, complex)}


def made(kind: Callable[..., T], fields: Mapping[str, Any]) -> T:
    """An instance of a dataclass; sequences have to be tuples, and parts of its own made already.

    Raises:
        TypeError: a field is missing, is none of the class, or has a value of another type.
    """
    checks = _checks(kind)
    for name, value in fields.items():
        if name in checks and not checks[name](value):
            raise TypeError(f"{name} has a value of another type")
    return kind(**fields)


@cache
def _checks(kind: Any) -> Mapping[str, Check]:
    hints = typing.get_type_hints(kind)
    return {field.name: _check(hints[field.name]) for field in dataclasses.fields(kind)}


def _check(hint: Any) -> Check:
    """Whether a value is of the type that an annotation says."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda value: True
    if origin is Literal:
        return lambda value: isinstance(value, str) and value in args
    if origin in (Union, types.UnionType):
        parts = [_check(arg) for arg in args]
        return lambda value: any(part(value) for part in parts)
    if origin is tuple and args[1:] == (...,):
        each = _check(args[0])
        return lambda value: isinstance(value, tuple) and all(map(each, value))
    if origin is tuple:
        those = [_check(arg) for arg in args]
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(those)
            and all(part(item) for part, item in zip(those, value))
        )
    if origin is not None and issubclass(origin, Mapping):
        key, item = map(_check, args)
        return lambda value: (
            isinstance(value, dict)
            and all(key(name) and item(part) for name, part in value.items())
        )
    accepted = NUMBERS.get(hint, hint)
    return lambda value: isinstance(value, accepted)
