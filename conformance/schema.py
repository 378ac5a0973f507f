"""The case file's schema, for validation and, as JSON Schema, for editors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function

from conformance.chains.chain import StepOp
from conformance.laws.names import LawName
from conformance.request import Op, PaddingMode, View

VERSION = 1


@dataclass(frozen=True)
class Wanted:
    """What a value must be, in a user's words: said where it is not, and in the JSON Schema."""

    words: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_wrap_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"description": self.words, **handler(core)}

    def _check(self, value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError as error:
            about_a_key = isinstance(value, dict) and any(
                part["type"] in ("missing", "value_error")
                or not value.keys().isdisjoint(part["loc"])
                for part in error.errors(include_url=False, include_input=False)
            )
            if about_a_key:
                raise
            raise PydanticCustomError("form", "must be {words}", {"words": self.words}) from None


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9{][A-Za-z0-9._{}+-]*$", max_length=200)]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
AnyOp = Literal[Op, "chain"]
Positive = Annotated[int, Field(ge=1, le=2**31)]
Count = Annotated[int, Field(ge=0, le=2**31)]
Amount = Annotated[int, Field(ge=-(2**20), le=2**20)]
PerAxis = Annotated[
    Union[Positive, Annotated[list[Positive], Field(min_length=1, max_length=3)]],
    Wanted("a whole number from 1 on, or a list of them, one per spatial axis"),
]
Sides = Annotated[list[Amount], Field(min_length=2, max_length=2)]
PaddingSpec = Annotated[
    Union[
        Literal["same", "same_lower", "valid", "causal"],
        Amount,
        Annotated[list[Union[Amount, Sides]], Field(min_length=1, max_length=3)],
    ],
    Wanted(
        "'same', 'same_lower', 'valid', 'causal', a whole number, or a list with a number or "
        "[before, after] per spatial axis"
    ),
]
OutputPadding = Annotated[
    Union[Count, list[Count]],
    Wanted("a whole number from 0 on, or a list of them, one per spatial axis"),
]
Norm = Annotated[
    Union[Annotated[float, Field(gt=0, allow_inf_nan=False)], Positive],
    Wanted("a finite number above 0"),
]
Shape = Annotated[list[Count], Wanted("a list of whole numbers from 0 on")]
Number = Annotated[Union[Annotated[int, Field(ge=-(2**63), lt=2**64)], float], Wanted("a number")]
Finite = Annotated[
    Union[
        Annotated[int, Field(ge=-(2**63), lt=2**63)], Annotated[float, Field(allow_inf_nan=False)]
    ],
    Wanted("a finite number"),
]
Literals = Annotated[
    Union[Number, list[Any], str], Wanted("a list of numbers, or a string of numbers")
]
Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Seed = Annotated[int, Field(ge=0, le=2**32)]
DTypeName = Literal[
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "complex64",
    "complex128",
]
Tier = Literal["core", "full"]


class Model(BaseModel):
    """Plain data: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Integers(Model):
    """Seeded uniform integers, both ends included; without ends chosen so that sums are exact."""

    low: Integer | None = None
    high: Integer | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _ends(self) -> Integers:
        if (self.low is None) != (self.high is None):
            raise ValueError("'low' and 'high' go together")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("'low' is greater than 'high'")
        return self


class Arange(Model):
    """``start, start + step, …`` in row-major order."""

    start: Finite = 0
    step: Finite = 1


class Normal(Model):
    """Seeded normal values: real data, judged by an error bound."""

    mean: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    std: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    seed: Seed | None = None


class Element(Model):
    """One element of a tensor that is set to a value of its own (NaN, infinity, -0.0)."""

    at: Shape
    to: Number


class Tensor(Model):
    """A tensor's data: ``values``, or a generator over a ``shape``; seeded integers by default.

    ``values`` are nested lists, or a string of numbers in row-major order with a ``shape``.
    """

    shape: Shape | None = None
    dtype: DTypeName | None = None
    values: Literals | None = None
    arange: Annotated[Arange | Literal[True], Wanted("true, or {start: …, step: …}")] | None = None
    integers: Integers | None = None
    normal: Normal | None = None
    constant: Number | None = None
    set: list[Element] = []

    @model_validator(mode="after")
    def _one_generator(self) -> Tensor:
        given = [
            name
            for name in ("values", "arange", "integers", "normal", "constant")
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise ValueError(f"{given[0]!r} and {given[1]!r} exclude each other")
        if isinstance(self.values, str) and self.shape is None:
            raise ValueError("'values' as a string needs a 'shape'")
        return self


class Operator(Model):
    """The options of the operators; each operator refuses those that mean nothing for it."""

    padding: PaddingSpec | None = None
    padding_mode: PaddingMode | None = None
    stride: PerAxis | None = None
    dilation: PerAxis | None = None
    groups: Positive | None = None
    output_padding: OutputPadding | None = None
    output_size: PerAxis | None = None
    window: PerAxis | None = None
    ceil_mode: bool | None = None
    count_include_pad: bool | None = None
    divisor: Positive | None = None
    norm: Norm | None = None


class StepSpec(Operator):
    """One step of a chain: an operator with its weights, or what stands between operators.

    It takes the result of the step before it, or those that ``of`` names.
    """

    op: StepOp
    name: Identifier | None = Field(None, description="by default the operator's and a number")
    of: (
        Annotated[Union[Identifier, list[Identifier]], Wanted("a step's name, or a list of them")]
        | None
    ) = None
    kernel: Tensor | None = None
    bias: Annotated[Tensor | bool, Wanted("true, false, or a tensor")] | None = None
    crop: PaddingSpec | None = Field(None, description="what is cut off on each side")


class Train(Model):
    """Gradient descent on all parameters."""

    steps: Annotated[int, Field(ge=1, le=1000)]
    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Options(Operator):
    """The options that an edit of a request may change: a spelling, or an explanation."""

    padding_value: Number | None = None
    flipped: bool | None = Field(
        None, description="the kernel flipped, which is what mathematics calls convolution"
    )


Spelling = Annotated[
    Union[Options, Annotated[str, Field(min_length=1, max_length=2000)]],
    Wanted("options that differ, or a call in quotes such as \"F.conv2d(x, w, padding='same')\""),
]


class Expect(Model):
    """Goldens: what the source prints. Checked against the oracle before anything runs."""

    shape: Shape | None = None
    output: Literals | None = None
    input_gradient: Literals | None = None
    kernel_gradient: Literals | None = None
    bias_gradient: Literals | None = None
    rtol: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    atol: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class Fields(Operator):
    """Everything that a case may say, and that ``defaults`` may say for all cases of a file."""

    op: AnyOp | None = None
    input: Tensor | None = None
    steps: (
        Annotated[
            list[Annotated[StepSpec | Literal["relu"], Wanted("a step, {op: …}, or relu")]],
            Field(min_length=1, max_length=100),
        ]
        | None
    ) = Field(None, description="of a chain")
    target: Tensor | None = Field(None, description="what a chain's squared error is against")
    train: Train | None = None
    kernel: Tensor | None = None
    bias: Annotated[Tensor | bool, Wanted("true, false, or a tensor")] | None = None
    cotangent: Tensor | None = None
    dtype: DTypeName | None = None
    unbatched: bool = Field(False, description="hand over arrays without the batch axis, of one")
    view: View | None = Field(
        None, description="hand over the input as a part of an array that is longer on this axis"
    )
    vjp: bool | None = Field(None, description="also check gradients; true for floating dtypes")
    law: Annotated[LawName, Wanted("a law; 'conformance laws' lists them")] | None = Field(
        None, description="compare results of one target with each other instead of the oracle's"
    )
    exact: Literal[True] | None = Field(
        None, description="claim that all sums are exact; refused where they are not"
    )
    accumulation: Literal["float32", "float64"] | None = Field(
        None, description="the dtype that sums are to be carried in; the case's own by default"
    )
    signed_zero: bool = Field(False, description="tell -0.0 from 0.0")
    expect: Expect | None = None
    spelling: dict[str, Spelling] = Field(
        {}, description="what an API's users write: where it cannot say the request, or instead"
    )
    source: str | None = Field(None, description="where the case comes from, best a link")
    note: str | None = None
    tags: list[Name] = []
    tier: Tier = "core"


class Case(Fields):
    """One case, after defaults and matrix."""

    id: Name


class Entry(Case):
    """One entry of ``cases``: a case, or with a matrix the product of the listed values.

    The id of an entry with a matrix names each key: ``same-{stride}``. Keys may reach into
    tensors: ``input.dtype``.
    """

    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] = {}
    exclude: list[dict[str, Any]] = []


class CaseFile(Model):
    """A file of cases.

    What a case says replaces what ``defaults`` say, key by key; ``null`` takes a default back.
    ``core`` names the cases, as a matrix expands them, that are in the core tier though the others
    beside them are not.
    """

    version: Literal[1] = 1
    op: AnyOp | None = None
    source: str | None = None
    defaults: Fields = Fields()
    core: list[str] = []
    cases: Annotated[list[Entry], Field(min_length=1)]
