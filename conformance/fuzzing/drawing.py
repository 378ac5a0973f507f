"""Hypothesis strategies for cases as a case file has them, weighted to the corners."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st

from conformance import cases, resolve, schema
from conformance.cases import Case
from conformance.dtypes import DTYPES
from conformance.fuzzing.requests import CORNERS, requests
from conformance.request import (
    ADAPTIVE_POOLS,
    ConvTranspose,
    Pool,
    Request,
    input_shapes,
)

Fields = dict[str, Any]
FIELDS = {"x": "input", "w": "kernel", "b": "bias"}
DRAWN = Path("drawn.yaml")
OPS = (
    *["conv"] * 6, *["conv_transpose"] * 4, *["max_pool"] * 3, *["avg_pool"] * 3, "lp_pool",
    "max_pool_indices", "adaptive_max_pool", "adaptive_avg_pool", "global_max_pool",
    "global_avg_pool",
)  # fmt: skip
RANKS = (1, 2, 2, 3)
FLOATS = ("float32", "float64", "float16", "bfloat16")
DTYPE_NAMES = (
    *["float32"] * 6, *["float64"] * 3, *["float16"] * 2, *["bfloat16"] * 2, *["int32"] * 2,
    "int8", "int16", "int64", "uint8", "complex64", "complex128",
)  # fmt: skip
"""Items are as likely as they are there often."""

SPECIAL = (float("nan"), float("inf"), float("-inf"), -0.0)
LEAST_NORMAL = {"float64": 2.0**-1022, "float32": 2.0**-126, "bfloat16": 2.0**-126}
LEAST_NORMAL["float16"] = 2.0**-14
SEEDS = st.integers(0, 2**16)


@st.composite
def drawn_cases(
    draw: st.DrawFn,
    ops: Sequence[str] = OPS,
    ranks: Sequence[int] = RANKS,
    dtypes: Sequence[str] = DTYPE_NAMES,
) -> Case:
    """Cases with a meaning: any request, with data that tell causes apart.

    A case's id is a digest of what it says.
    """
    request = draw(requests(ops, ranks, dtypes, room=CORNERS))
    fields = said(request)
    dtype = DTYPES[request.dtype]
    themes = _themes(request)
    theme = draw(st.sampled_from(themes))
    data = draw(_data(request, theme))
    for name, spec in data.items():
        fields[name] = {**fields.get(name, {}), **spec}
    if not isinstance(request, Pool) and draw(st.integers(0, 15)) == 0:
        fields["kernel"]["dtype"] = draw(st.sampled_from(dtypes))
    if theme == "real" and dtype.precision <= 16 and "max" not in request.op:
        fields |= draw(st.sampled_from(_SUMS))
    if request.input_shape[0] == 1 and draw(st.integers(0, 7)) == 0:
        fields["unbatched"] = True
    elif draw(st.integers(0, 15)) == 0:
        fields["view"] = draw(st.sampled_from(("batch", "width")))
    undefined = theme == "special" and request.op == "lp_pool"
    if dtype.floating and (undefined or draw(_THIRD)):
        fields["vjp"] = False
    try:
        return digested(schema.Case.model_validate({**fields, "id": "drawn"}))
    except resolve.RequestError:
        # A kernel's dtype may be too narrow for its data, or forbid an option.
        hypothesis.reject()


_SUMS: tuple[Fields, ...] = ({}, *[{"accumulation": "float32"}] * 2)
_THIRD = st.sampled_from((False, False, True))


def digested(fields: schema.Case) -> Case:
    """The case of some fields, whose id is a digest of them, so that no other case has it.

    Raises:
        resolve.RequestError: they make none.
    """
    text = repr(fields.model_dump(exclude_defaults=True, exclude={"id"}))
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    name = f"{fields.op}".replace("_", "-") + f"-{digest}"
    return cases.resolved(fields.model_copy(update={"id": name}), f"drawn/{name}", DRAWN, 1)


def said(request: Request) -> Fields:
    """A request in the words of a case file, as short as it can be said; without data.

    What resolves the words gives the request, but for a value that a pooling's input is padded
    with by hand, which no case can ask for.
    """
    shapes = input_shapes(request)
    fields: Fields = {"op": request.op}
    fields |= {} if request.dtype == "float32" else {"dtype": request.dtype}
    fields |= {FIELDS[name]: {"shape": list(shape)} for name, shape in shapes.items()}
    if isinstance(request, Pool) and request.op in ADAPTIVE_POOLS:
        if request.output_size is not None and request.op.startswith("adaptive"):
            fields["output_size"] = _short(request.output_size)
        return fields
    if "b" in shapes:
        fields["bias"] = {}
    fields |= _slide(request)
    if isinstance(request, Pool):
        return fields | _pooling(request)
    if request.groups > 1:
        fields["groups"] = request.groups
    if isinstance(request, ConvTranspose):
        if request.sized and min(request.output_shape[2:]) > 0:
            fields["output_size"] = _short(request.output_shape[2:])
        elif any(request.output_padding) and not request.padding.word.startswith("same"):
            fields["output_padding"] = _short(request.output_padding)
    elif request.padding.mode != "zeros":
        fields["padding_mode"] = request.padding.mode
    return fields


def _slide(request: Request) -> Fields:
    """Padding, stride and dilation."""
    fields: Fields = {}
    padding = request.padding
    if padding.word != "explicit":
        fields["padding"] = padding.word
    elif not padding.none:
        sides = [low if low == high else [low, high] for low, high in padding.pairs]
        fields["padding"] = sides[0] if len(set(map(str, sides))) == 1 and _one(sides) else sides
    if isinstance(request, Pool) or any(step != 1 for step in request.stride):
        fields["stride"] = _short(request.stride)
    if any(step != 1 for step in request.dilation):
        fields["dilation"] = _short(request.dilation)
    return fields


def _one(sides: Sequence[Any]) -> bool:
    return isinstance(sides[0], int)


def _pooling(request: Pool) -> Fields:
    fields: Fields = {"window": _short(request.window)}
    if request.ceil_mode:
        fields["ceil_mode"] = True
    if request.op == "avg_pool":
        fields |= {} if request.count_include_pad else {"count_include_pad": False}
        fields |= {} if request.divisor is None else {"divisor": request.divisor}
    if request.op == "lp_pool":
        fields["norm"] = request.norm
    return fields


def _short(numbers: Sequence[int]) -> Any:
    return numbers[0] if len(set(numbers)) == 1 else list(numbers)


def _themes(request: Request) -> Sequence[str]:
    """What the data may be like: exact sums half of the time."""
    dtype = DTYPES[request.dtype]
    themes = ["exact"] * 6 + ["seeded"] * 3 + ["ones", "ties", "ties"]
    if not dtype.name.startswith("uint") and not dtype.complex:
        themes += ["negative"]
    if dtype.floating:
        themes += ["real"] * (3 if dtype.precision > 16 else 12)
    else:
        themes += ["wide"] * 2
    if dtype.name in FLOATS:
        themes += ["special"] * 3 + ["lowest", "subnormal"]
    return themes


@st.composite
def _data(draw: st.DrawFn, request: Request, theme: str) -> Mapping[str, Fields]:
    """What a theme says of the tensors; of the others nothing."""
    shapes, dtype = input_shapes(request), DTYPES[request.dtype]
    names = [FIELDS[name] for name in shapes]
    if theme == "seeded":
        return {name: {"integers": {"seed": draw(SEEDS)}} for name in names}
    if theme == "ones":
        counts = math.prod(shapes["x"]) <= dtype.exact_limit
        return {"input": {"arange": True} if counts else {"constant": 1}}
    if theme == "ties":
        low = 0 if dtype.name.startswith("uint") else -1
        return {"input": {"integers": {"low": low, "high": 1, "seed": draw(SEEDS)}}}
    if theme == "negative":
        return {"input": {"integers": {"low": -9, "high": -1, "seed": draw(SEEDS)}}}
    if theme == "real":
        data = {name: {"normal": {"seed": draw(SEEDS)}} for name in names}
        return {**data, "cotangent": {"normal": {"seed": draw(SEEDS)}}}
    if theme == "wide":
        most = int(min(dtype.largest, 2**31))
        low = 0 if dtype.name.startswith("uint") else -most
        return {"input": {"integers": {"low": low, "high": most, "seed": draw(SEEDS)}}}
    if theme == "lowest":
        return {"input": {"constant": float("-inf")}}
    if theme == "subnormal":
        std = LEAST_NORMAL[dtype.name] / 4
        small = {"integers": {"low": -2, "high": 2, "seed": draw(SEEDS)}}
        return {name: dict(small) for name in names[1:2]} | {
            "input": {"normal": {"std": std, "seed": draw(SEEDS)}}
        }
    if theme == "special":
        name = draw(st.sampled_from([name for name in shapes if 0 not in shapes[name]] or [""]))
        if name:
            count = draw(st.integers(1, 3))
            at = st.tuples(*(st.integers(0, size - 1) for size in shapes[name]))
            elements = [
                {"at": list(draw(at)), "to": draw(st.sampled_from(SPECIAL))} for _ in range(count)
            ]
            return {FIELDS[name]: {"set": elements}}
    return {}
