"""The page's model as compact JSON: an index of every outcome, and the details of discrepancies.

The index holds columns of numbers that point into tables of words; the details, which only a case's
view needs, hold programs, errors, arrays and arithmetic, each text and array once. Both are
deflated (zlib) and in base64, as a browser's ``DecompressionStream("deflate")`` reads them.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from conformance import cases, describe, grouping, layout, results
from conformance.adapter import Layout
from conformance.records import OUTCOMES, Record, Values
from conformance.report import drawing
from conformance.report.building import CHECKS, FORMS
from conformance.report.model import Asked, Cause, Page, Since
from conformance.side_by_side import arithmetic
from conformance.targets import called

LEVEL = 6


class Table:
    """Distinct values in the order of their first use."""

    def __init__(self) -> None:
        self.places: dict[Any, int] = {}

    def place(self, value: Any) -> int:
        """The value's number."""
        return self.places.setdefault(value, len(self.places))

    @property
    def values(self) -> list[Any]:
        """The values by number."""
        return list(self.places)


def packed(value: object) -> str:
    """JSON, deflated, in base64."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), LEVEL)).decode()


def index(page: Page) -> dict[str, Any]:
    """Every outcome as columns; ``cause`` is −1 where an outcome is no discrepancy."""
    rows = {each.id: at for at, each in enumerate(page.asked)}
    columns = {target: at for at, target in enumerate(page.targets)}
    cause_of = {
        id(record): number
        for number, cause in enumerate(page.causes)
        for record in cause.group.records
    }
    places = {id(record): at for at, record in enumerate(page.records)}
    texts = Table()
    said = {
        at: texts.place(grouping.sentence(record))
        for at, record in enumerate(page.records)
        if id(record) in cause_of
    }
    agreed = {
        f"{rows[case]} {CHECKS.index(check)}": texts.place(told)
        for (case, check), told in page.agreements.items()
    }
    names = list(dict.fromkeys(name for each in page.asked for name in each.facts))
    versions = {backend.info.name: backend.info.version for backend in page.backends}
    return {
        "outcomes": OUTCOMES,
        "forms": FORMS,
        "checks": CHECKS,
        "targets": [
            {
                **target.__dict__,
                "name": page.names[target.backend, target.api],
                "version": versions.get(target.backend, ""),
            }
            for target in page.targets
        ],
        "cases": {
            "id": [each.id for each in page.asked],
            "op": [each.op for each in page.asked],
            "words": [each.words for each in page.asked],
        },
        "facts": {name: _column(each.facts.get(name) for each in page.asked) for name in names},
        "case": [rows[record.case] for record in page.records],
        "target": [columns[record.target] for record in page.records],
        "form": [FORMS.index(record.form) for record in page.records],
        "check": [CHECKS.index(record.check) for record in page.records],
        "outcome": [OUTCOMES.index(record.outcome) for record in page.records],
        "raw": [OUTCOMES.index(record.raw) for record in page.records],
        "cause": [cause_of.get(id(record), -1) for record in page.records],
        "causes": [_cause(cause, places) for cause in page.causes],
        "said": said,
        "agreements": agreed,
        "texts": texts.values,
        "features": [
            {"op": each.op, "name": each.name, "case": rows[each.case]} for each in page.features
        ],
        "nights": 0 if page.trends is None else len(page.trends.nights),
        "marks": {} if page.since is None else page.since.marks,
        "compared": None
        if page.since is None
        else {
            "outcomes": page.since.found.compared,
            "versions": page.since.versions,
            "conclusion": page.since.conclusion,
        },
        "changes": [] if page.since is None else _changes(page.since, page.records),
    }


def _changes(since: Since, records: Sequence[Record]) -> list[dict[str, Any]]:
    """What changed, a row a cause; ``at`` are the outcomes of this run among them."""
    places = {results.key(record): at for at, record in enumerate(records)}
    rows = []
    for group in since.groups:
        after = [change.after for change in group.changes if change.after is not None]
        rows.append(
            {
                "kind": group.kind,
                "title": group.title,
                "worse": group.worse,
                "cause": group.cause,
                "sentence": group.sentence,
                "count": len(group.changes),
                "where": group.where,
                "targets": sorted({str(change.record.target) for change in group.changes}),
                "at": [places[about] for r in after if (about := results.key(r)) in places],
            }
        )
    return rows


def _column(values: Iterable[Any]) -> dict[str, Any]:
    """A fact by case: the distinct values, and which each case has."""
    # 1 and True are one key of a dict; a fact is either always or never a bool.
    table = Table()
    column = [table.place(value) for value in values]
    return {"values": table.values, "of": column}


def _cause(cause: Cause, places: dict[int, int]) -> dict[str, Any]:
    group = cause.group
    return {
        "key": group.cause,
        "kind": group.kind or "",
        "new": group.unexpected,
        "raw": cause.raw,
        "examples": [
            {"at": places[id(each.record)], "command": each.command, "script": each.script}
            for each in cause.examples
        ],
        "entries": [asdict(entry) for entry in cause.entries],
    }


def details(page: Page) -> dict[str, Any]:
    """What the views of cases show of discrepancies, by number of the outcome and of the case."""
    texts, arrays = Table(), Table()
    shown = set()
    outcomes: dict[int, dict[str, Any]] = {}
    for at, record in enumerate(page.records):
        if record.outcome in ("pass", "unsupported", "not-run"):
            if record.note:
                outcomes[at] = {"note": texts.place(record.note)}
            continue
        outcomes[at] = _outcome(record, texts, arrays)
        if at in page.commands:
            outcomes[at]["command"] = page.commands[at]
        shown.add(record.case)
    return {
        "outcomes": outcomes,
        "cases": {
            at: {**_asked(each), **_history(each, page)}
            for at, each in enumerate(page.asked)
            if each.id in shown or each.id in page.views or each.id in (page.periods or ())
        },
        "views": {
            at: page.views[each.id] for at, each in enumerate(page.asked) if each.id in page.views
        },
        "texts": texts.values,
        "arrays": [json.loads(text) for text in arrays.values],
    }


def _outcome(record: Record, texts: Table, arrays: Table) -> dict[str, Any]:
    found: dict[str, Any] = {"told": texts.place(describe.outcome(record))}
    if record.note:
        found["note"] = texts.place(record.note)
    if record.source:
        found["source"] = texts.place(record.source)
    if record.known:
        found["known"] = record.known
    if record.explanation is not None:
        found["meaning"] = str(record.explanation)
    if record.error is not None:
        error = record.error
        found["error"] = texts.place(str(error))
        if error.where or error.output:
            found["trace"] = texts.place("\n".join(filter(None, (error.where, error.output))))
    if record.difference is not None:
        fields = asdict(record.difference)
        found["difference"] = {name: plain(value) for name, value in fields.items()}
    for name, values in (("expected", record.expected), ("observed", record.observed)):
        if values is not None:
            found[name] = arrays.place(_values(values))
    return found


def _values(values: Values) -> str:
    head = f'"shape":{json.dumps(values.shape)},"dtype":{json.dumps(values.dtype)}'
    try:
        data = json.dumps(values.data, allow_nan=False)
    except (TypeError, ValueError):  # complex numbers, NaN, infinities
        data = json.dumps(plain(values.data))
    return f'{{{head},"data":{data}}}'


def _asked(each: Asked) -> dict[str, Any]:
    """A case's YAML, its arithmetic and the positions of its windows."""
    case = each.case
    if case is None:
        return {}
    fields: dict[str, Any] = {
        "yaml": cases.written(case),
        "source": case.fields.source or "",
        "note": case.fields.note or "",
    }
    if case.chain is None:
        request = case.request
        fields["layout"] = layout.described(request, Layout())
        fields["rules"] = arithmetic.rules(request)
        fields["op"] = request.op
        fields["axes"] = [
            {
                "name": grid.axis.name,
                "size": grid.size,
                "pads": grid.pads,
                "output": grid.axis.output,
                "steps": [f"{step.name}: {step}" for step in grid.axis.steps],
                "taps": grid.taps,
            }
            for grid in drawing.grids(request)
        ]
    return fields


def _history(each: Asked, page: Page) -> dict[str, Any]:
    """When a case's outcomes changed; nothing where no history was given."""
    if page.periods is None:
        return {}
    return {
        "history": [
            {
                "target": f"{called(page.names, period.target.backend, period.target.api)} "
                f"{period.target.mode}",
                "form": FORMS.index(period.form),
                "check": CHECKS.index(period.check),
                "first": [period.first.date, period.first.version],
                "last": [period.last.date, period.last.version],
                "runs": period.runs,
                "outcome": OUTCOMES.index(period.outcome),
                "raw": OUTCOMES.index(period.raw),
                "cause": period.cause or period.known or period.error,
            }
            for period in page.periods.get(each.id, ())
        ]
    }


def plain(value: Any) -> Any:
    """A number as JSON has it: NaN and infinities are words, complex numbers pairs."""
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, complex):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, float):
        if not math.isfinite(value):
            return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        if value.is_integer() and abs(value) < 2**53 and (value or math.copysign(1, value) > 0):
            return int(value)
    return value
