"""The questions of a law, or the steps of a chain, as cases of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from conformance import cases, options, oracle, schema
from conformance.adapter import parameters
from conformance.cases import Case
from conformance.dtypes import DTYPES, Array, cast
from conformance.laws.catalogue import stated
from conformance.laws.steps import Ask, drive
from conformance.request import Request

FIELDS = {"x": "input", "w": "kernel", "b": "bias"}
OPTIONS = (
    "stride",
    "dilation",
    "window",
    "groups",
    "ceil_mode",
    "count_include_pad",
    "divisor",
    "norm",
    "output_size",
    "output_padding",
)


def questions(case: Case) -> list[Case]:
    """What a case's law asks for, in order, on the data that a right target would be asked on."""
    assert case.fields.law is not None
    asked: list[Ask] = []

    def answer(ask: Ask) -> Array:
        asked.append(ask)
        if ask.cotangent is None:
            return oracle.forward(ask.request, *ask.arrays)
        gradients = oracle.vjp(ask.request, ask.cotangent, *ask.arrays)
        return gradients[parameters(ask.request).index(ask.gradient)]

    drive(stated(case.fields.law, case.request, case.arrays()), answer)
    return [question(case, number, ask) for number, ask in enumerate(asked, 1)]


def question(case: Case, number: int, ask: Ask) -> Case:
    """One question of a case's law, or one step of its chain, by its number, as a case."""
    what = "step" if case.chain else "question"
    note = f"{what} {number} of the {'chain' if case.chain else f'law {case.fields.law}'}"
    own = case.chain is None and ask.request == case.request
    if own and _same(ask.arrays, case.arrays()):
        # Its data are told as the case tells them.
        fields = {**case.fields.model_dump(exclude_unset=True), "law": None}
    else:
        fields = {"op": ask.request.op, "dtype": ask.request.dtype, **_options(ask.request)}
        for name, array in zip(parameters(ask.request), ask.arrays):
            fields[FIELDS[name]] = _tensor(array, ask.request.dtype)
    fields |= {"id": f"{case.fields.id}-{what}-{number}", "note": note, "vjp": False}
    if ask.cotangent is not None:
        fields |= {"vjp": True, "cotangent": _tensor(ask.cotangent, ask.request.dtype)}
    parsed = schema.Case.model_validate(fields)
    return cases.resolved(parsed, f"{case.id}-{what}-{number}", case.file, case.line)


def _same(arrays: tuple[Array, ...], others: tuple[Array, ...]) -> bool:
    return all(map(np.array_equal, arrays, others))


def _tensor(array: Array, dtype: str) -> dict[str, Any]:
    values = cast(array, DTYPES[dtype]).reshape(-1).tolist()
    return {"shape": list(array.shape), "values": " ".join(map(repr, values))}


def _options(r: Request) -> dict[str, Any]:
    """The options of a request as a case says them."""
    own = options.OWN[r.op]
    told = {name: getattr(r, name, None) for name in OPTIONS if name in own}
    if "padding" in own:
        word, pairs = r.padding.word, [list(pair) for pair in r.padding.pairs]
        told["padding"] = pairs if word == "explicit" else word
        told["padding_mode"] = r.padding.mode
        if r.op == "conv_transpose":
            # The output padding says it, but for the words that say it themselves.
            told["output_size"] = None
            told["output_padding"] = None if word.startswith("same") else told["output_padding"]
    given = {name: value for name, value in told.items() if value is not None}
    given["unbatched"] = r.unbatched
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in given.items()
    }
