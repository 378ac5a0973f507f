"""The case file's schema, for validation and, as JSON Schema, for editors."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, model_validator

from conformance.request import Op, PaddingMode

VERSION = 1

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._{}+-]*$", max_length=200)]
Positive = Annotated[int, Field(ge=1, le=2**31)]
Count = Annotated[int, Field(ge=0, le=2**31)]
Amount = Annotated[int, Field(ge=-(2**20), le=2**20)]
PerAxis = Union[Positive, Annotated[list[Positive], Field(min_length=1, max_length=3)]]
Sides = Annotated[list[Amount], Field(min_length=2, max_length=2)]
PaddingSpec = Union[
    Literal["same", "same_lower", "valid"],
    Amount,
    Annotated[list[Union[Amount, Sides]], Field(min_length=1, max_length=3)],
]
Number = Union[int, float]
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
]
Tier = Literal["core", "full"]


class Model(BaseModel):
    """Plain data: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Integers(Model):
    """Seeded uniform integers, both ends included; without ends chosen so that sums are exact."""

    low: int | None = None
    high: int | None = None
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

    start: Number = 0
    step: Number = 1


class Normal(Model):
    """Seeded normal values: real data, judged by an error bound."""

    mean: float = 0.0
    std: Annotated[float, Field(gt=0)] = 1.0
    seed: Seed | None = None


class Element(Model):
    """One element of a tensor that is set to a value of its own (NaN, infinity, -0.0)."""

    at: list[Count]
    to: Number


class Tensor(Model):
    """A tensor's data: ``values``, or a generator over a ``shape``; seeded integers by default.

    ``values`` are nested lists, or a string of numbers in row-major order with a ``shape``.
    """

    shape: list[Count] | None = None
    dtype: DTypeName | None = None
    values: Number | list[Any] | str | None = None
    arange: Arange | Literal[True] | None = None
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


class Options(Model):
    """The options that an edit of a request may change: a spelling, or an explanation."""

    padding: PaddingSpec | None = None
    padding_mode: PaddingMode | None = None
    padding_value: Number | None = None
    stride: PerAxis | None = None
    dilation: PerAxis | None = None
    groups: Positive | None = None
    output_padding: Count | list[Count] | None = None
    window: PerAxis | None = None
    ceil_mode: bool | None = None
    count_include_pad: bool | None = None


class Expect(Model):
    """Goldens: what the source prints. Checked against the oracle before anything runs."""

    shape: list[Count] | None = None
    output: Number | list[Any] | str | None = None
    input_gradient: Number | list[Any] | str | None = None
    kernel_gradient: Number | list[Any] | str | None = None
    bias_gradient: Number | list[Any] | str | None = None
    rtol: Annotated[float, Field(ge=0)] = 0.0
    atol: Annotated[float, Field(ge=0)] = 0.0


class Fields(Model):
    """Everything that a case may say, and that ``defaults`` may say for all cases of a file."""

    op: Op | None = None
    input: Tensor | None = None
    kernel: Tensor | None = None
    bias: Tensor | bool | None = None
    cotangent: Tensor | None = None
    dtype: DTypeName | None = None
    padding: PaddingSpec | None = None
    padding_mode: PaddingMode | None = None
    stride: PerAxis | None = None
    dilation: PerAxis | None = None
    groups: Positive | None = None
    output_padding: Count | list[Count] | None = None
    window: PerAxis | None = None
    ceil_mode: bool | None = None
    count_include_pad: bool | None = None
    vjp: bool | None = Field(None, description="also check gradients; true for floating dtypes")
    exact: Literal[True] | None = Field(
        None, description="claim that all sums are exact; refused where they are not"
    )
    signed_zero: bool = Field(False, description="tell -0.0 from 0.0")
    expect: Expect | None = None
    spelling: dict[str, Options] = Field(
        {}, description="what an API's users write where the API cannot say the request"
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
    """A file of cases."""

    version: Literal[1] = 1
    op: Op | None = None
    source: str | None = None
    defaults: Fields = Fields()
    cases: Annotated[list[Entry], Field(min_length=1)]
