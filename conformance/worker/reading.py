"""Reads one call for one backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from conformance.adapter import Adapter
from conformance.content import shown
from conformance.translation import calls, signatures
from conformance.translation.calls import CallError
from conformance.translation.reading import Reading, Shapes


def read(adapter: Adapter, header: Mapping[str, Any]) -> dict[str, Any]:
    """What a call asks, or why it cannot be read: the message, and its column where there is one.

    The header holds the ``call``'s text, the ``apis`` that it may belong to, and the shapes of
    ``input`` and ``kernel`` or None.
    """
    tables = {api.name: api.calls for api in adapter.apis if api.name in header["apis"]}
    shapes = (header[name] for name in ("input", "kernel"))
    given = Shapes(*(None if shape is None else tuple(shape) for shape in shapes))
    try:
        return asdict(_read(adapter.name, tables, header["call"], given))
    except CallError as error:
        return {"error": error.message, "column": error.column}


def _read(
    backend: str, tables: Mapping[str, signatures.Table], text: str, shapes: Shapes
) -> Reading:
    if not any(table.readers for table in tables.values()):
        raise CallError(f"{backend} cannot read calls yet")
    call = calls.parse(text)
    known = {api: table for api, table in tables.items() if table.knows(call.name)}
    if not known:
        where = " or ".join(tables)
        hint = signatures.suggestion(call.name, tables)
        raise CallError(f"{where} has no call {shown(call.name)}; {hint}", 1)
    if len(known) > 1:
        raise CallError(f"{shown(call.name)} may be {' or '.join(known)}; name the API", 1)
    [(api, table)] = known.items()
    return table.read(api, call, shapes)
