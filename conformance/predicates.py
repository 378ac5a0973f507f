"""Predicates over cases: what an entry of a registry says of the cases that it speaks of."""

from __future__ import annotations

import fnmatch
import operator
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

import pydantic
from pydantic import Field

from conformance.cases import Case
from conformance.explanation.windows import every_window
from conformance.geometry import effective_window
from conformance.laws.names import LawName
from conformance.request import Conv, ConvTranspose, Padding, PaddingMode, Pool, View
from conformance.schema import AnyOp, DTypeName, Model, Wanted
from conformance.translation.spelled import Spelled

Facts = Mapping[str, Any]
COMPARISON = re.compile(r"(<=|>=|==|!=|<|>)\s*(-?[0-9]{1,18})")
OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _comparison(value: str) -> str:
    if not COMPARISON.fullmatch(value):
        raise ValueError("not a comparison")
    return value


Numeric = Annotated[
    Union[int, Annotated[str, pydantic.AfterValidator(_comparison)]],
    Wanted("a whole number or a comparison such as '>1'"),
]
Names = Annotated[
    Union[str, Annotated[list[str], Field(min_length=1)]], Wanted("a name, or a list of names")
]
Numerics = Annotated[
    Union[Numeric, list[Numeric]],
    Wanted("a whole number, a comparison such as '>1', or a list of such"),
]
OF_CHAINS = ("case", "rank", "dtype", "special", "law", "checks", "tag", "spelled")
PaddingFact = Literal["same", "same_lower", "valid", "causal", "explicit"]


class When(Model):
    """A predicate over a case; every key given must hold, a list means any of its items.

    Numbers may be compared: ``stride: ">1"``. Over several axes the largest number counts.
    """

    case: Union[Names, None] = Field(None, description="glob over case ids")
    op: Union[AnyOp, list[AnyOp], None] = None
    rank: Union[Numerics, None] = None
    dtype: Union[DTypeName, list[DTypeName], None] = None
    padding: Union[PaddingFact, list[PaddingFact], None] = Field(
        None, description="the case's word; 'explicit' is numbers that are not all zero"
    )
    padded: bool | None = Field(None, description="whether anything is padded or cropped")
    symmetric: bool | None = Field(None, description="whether both sides of each axis agree")
    negative_padding: bool | None = None
    padding_mode: Union[PaddingMode, list[PaddingMode], None] = None
    stride: Union[Numerics, None] = None
    uniform_stride: bool | None = None
    dilation: Union[Numerics, None] = Field(
        None, description="of axes whose window has more than one element"
    )
    uneven_dilation: bool | None = Field(None, description="whether axes are dilated differently")
    batch: Union[Numerics, None] = Field(None, description="examples in the input")
    channels: Union[Numerics, None] = Field(None, description="of the input")
    out_channels: Union[Numerics, None] = Field(None, description="of the output")
    extent: Union[Numerics, None] = Field(None, description="the input's smallest spatial size")
    groups: Union[Numerics, None] = None
    depthwise: bool | None = None
    bias: bool | None = None
    output_padding: Union[Numerics, None] = None
    output_padding_reaches_stride: bool | None = None
    window: Union[Numerics, None] = None
    ceil_mode: bool | None = None
    overhang: bool | None = Field(None, description="whether ceil mode adds a partial window")
    window_in_padding: bool | None = Field(
        None, description="whether ceil mode drops a last window that starts in the padding"
    )
    count_include_pad: bool | None = None
    divisor: bool | None = Field(None, description="whether averages divide by a given number")
    norm: Union[Numerics, None] = None
    uneven_windows: bool | None = Field(
        None, description="whether an adaptive pooling's windows differ in size or overlap"
    )
    whole_axis: bool | None = Field(
        None, description="whether an adaptive pooling has one position, or one element, on an axis"
    )
    unbatched: bool | None = None
    view: Union[View, list[View], None] = Field(
        None, description="the axis on which the input is a part of a longer array"
    )
    sized: bool | None = Field(None, description="whether the case names the output's size")
    padding_reaches_window: bool | None = Field(
        None, description="whether a window can lie in the padding altogether"
    )
    no_position: bool | None = Field(None, description="whether the window fits nowhere")
    wide_padding: bool | None = Field(None, description="pooling padding over half of the window")
    empty: bool | None = Field(None, description="whether the output has no elements")
    mixed: bool | None = Field(None, description="whether input and kernel differ in dtype")
    promoted: bool | None = Field(
        None, description="whether the kernel's dtype gives the output another than the input's"
    )
    special: bool | None = Field(None, description="whether the data hold NaN or infinities")
    nan: bool | None = Field(None, description="whether the data hold NaN")
    law: Union[LawName, list[LawName], None] = None
    tag: Union[Names, None] = None
    spelled_padding: Union[PaddingFact, list[PaddingFact], None] = Field(
        None, description="the padding word of the API's own spelling; for form 'spelled'"
    )


def facts(case: Case) -> Facts:
    """What a predicate can ask of a case; the keys are those of `When`.

    ``checks`` are those that the case's outcomes are of. Of a chain, which has many operators, only
    what is about all of it is a fact.
    """
    if case.chain is None:
        return _facts(case)
    known = {name: value for name, value in _facts(case).items() if name in OF_CHAINS}
    return {**dict.fromkeys(When.model_fields), **known, "op": "chain"}


def _facts(case: Case) -> Facts:
    r = case.request
    pool = isinstance(r, Pool)
    return {
        "case": case.id,
        "op": r.op,
        "rank": r.rank,
        "dtype": r.dtype,
        "padding": _word(r.padding),
        "padded": not r.padding.none,
        "symmetric": r.padding.symmetric is not None,
        "negative_padding": r.padding.negative,
        "padding_mode": r.padding.mode,
        "stride": max(r.stride),
        "uniform_stride": len(set(r.stride)) == 1,
        "dilation": max(d if k > 1 else 1 for d, k in zip(r.dilation, r.window)),
        "batch": 1 if r.unbatched else r.input_shape[0],
        "channels": r.channels,
        "out_channels": r.channels if isinstance(r, Pool) else r.out_channels,
        "extent": min(r.spatial),
        "groups": 1 if isinstance(r, Pool) else r.groups,
        "depthwise": isinstance(r, Conv) and r.depthwise,
        "bias": not isinstance(r, Pool) and r.bias,
        "output_padding": max(r.output_padding) if isinstance(r, ConvTranspose) else 0,
        "output_padding_reaches_stride": isinstance(r, ConvTranspose)
        and any(more >= stride for more, stride in zip(r.output_padding, r.stride)),
        "window": max(r.window),
        "ceil_mode": isinstance(r, Pool) and r.ceil_mode,
        "overhang": isinstance(r, Pool) and _overhang(r),
        "window_in_padding": isinstance(r, Pool)
        and r.ceil_mode
        and every_window(r) != r.output_shape[2:],
        "count_include_pad": isinstance(r, Pool) and r.count_include_pad,
        "uneven_dilation": len(set(r.dilation)) > 1,
        "divisor": isinstance(r, Pool) and r.divisor is not None,
        "norm": r.norm if isinstance(r, Pool) and r.kind == "lp" else None,
        "uneven_windows": isinstance(r, Pool)
        and r.output_size is not None
        and any(n % m for n, m in zip(r.spatial, r.output_size)),
        "whole_axis": isinstance(r, Pool)
        and r.output_size is not None
        and 1 in (*r.spatial, *r.output_size),
        "unbatched": r.unbatched,
        "view": case.fields.view,
        "sized": isinstance(r, ConvTranspose) and r.sized,
        "padding_reaches_window": any(
            max(pair) >= effective_window(k, d)
            for pair, k, d in zip(r.padding.pairs, r.window, r.dilation)
        ),
        "no_position": 0 in r.output_shape[2:] and 0 not in r.spatial,
        "wide_padding": pool and any(2 * max(p) > k for p, k in zip(r.padding.pairs, r.window)),
        "empty": 0 in r.output_shape,
        "mixed": not isinstance(r, Pool) and r.mixed,
        "promoted": not isinstance(r, Pool) and r.result_dtype != r.dtype,
        "special": _meets(case, "nan", "inf"),
        "nan": _meets(case, "nan"),
        "law": case.fields.law,
        "checks": _checks(case),
        "tag": tuple(case.fields.tags),
        "spelled": {
            api: None if isinstance(said, Spelled) else _word(said.padding)
            for api, said in case.spellings.items()
        },
    }


def _checks(case: Case) -> tuple[str, ...]:
    if case.fields.law is not None:
        return ("law",)
    return ("forward",) if case.cotangent is None else ("forward", "vjp")


def _word(padding: Padding) -> str:
    return "valid" if padding.word == "explicit" and padding.none else padding.word


def holds(when: When, facts: Facts, api: str = "") -> bool:
    """Whether a case's facts satisfy a predicate, for one API."""
    for name in when.model_fields_set:
        wanted = getattr(when, name)
        if wanted is None:
            continue
        options = wanted if isinstance(wanted, list) else [wanted]
        fact = facts["spelled"].get(api) if name == "spelled_padding" else facts[name]
        if not any(_satisfies(name, fact, option) for option in options):
            return False
    return True


def _satisfies(name: str, fact: Any, option: Any) -> bool:
    if name == "case":
        return fnmatch.fnmatchcase(fact, option)
    if name == "tag":
        return option in fact
    if isinstance(option, str) and (comparison := COMPARISON.fullmatch(option)):
        return fact is not None and bool(OPERATORS[comparison[1]](fact, int(comparison[2])))
    return bool(fact == option)


def _overhang(request: Pool) -> bool:
    return request.ceil_mode and any(
        (positions - 1) * stride + (window - 1) * dilation + 1 > size + sum(pair)
        for positions, stride, window, dilation, size, pair in zip(
            request.output_shape[2:],
            request.stride,
            request.window,
            request.dilation,
            request.spatial,
            request.padding.pairs,
        )
    )


def _meets(case: Case, *words: str) -> bool:
    for tensor in case.inputs:
        spec = tensor.spec
        numbers = [spec.constant, spec.values, *(element.to for element in spec.set)]
        if any(word in str(number) for number in numbers for word in words):
            return True
    return False
