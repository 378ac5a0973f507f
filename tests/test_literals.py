"""Numbers, arrays and generators as source: what the text evaluates to is bit for bit the same."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conformance import literals, schema
from conformance.data import BFLOAT16, DataError, TensorData
from conformance.dtypes import DTYPES, Array
from conformance.repro.script import ROUNDING
from conformance.request import Request
from tests.builders import conv, pool
from tests.profiles import PROFILE

INT64 = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.one_of(
    st.integers(-10, 10),
    st.integers(-300, 300),
    INT64,
    st.floats(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
)
SEEDS = st.none() | st.integers(0, 2**32)


@st.composite
def specs(draw: st.DrawFn, dtype: str) -> schema.Tensor:
    kind = draw(st.sampled_from(("constant", "arange", "integers", "drawn", "normal")))
    if kind == "constant":
        return schema.Tensor(constant=draw(NUMBERS | st.floats()))
    if kind == "arange":
        return schema.Tensor(arange=schema.Arange(start=draw(NUMBERS), step=draw(NUMBERS)))
    if kind == "integers":
        low, high = sorted((draw(INT64), draw(INT64 | st.integers(-10, 10))))
        return schema.Tensor(integers=schema.Integers(low=low, high=high, seed=draw(SEEDS)))
    if kind == "normal":
        mean, std = draw(st.floats(-1e5, 1e5)), draw(st.floats(1e-5, 1e5))
        return schema.Tensor(normal=schema.Normal(mean=mean, std=std, seed=draw(SEEDS)))
    return schema.Tensor(integers=schema.Integers(seed=draw(SEEDS)))


@st.composite
def tensors(draw: st.DrawFn) -> tuple[TensorData, Request]:
    dtype = draw(st.sampled_from(list(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=3, max_size=5)))
    request: Request = conv(shape, (2, shape[1], *(3,) * len(shape[2:])), dtype=dtype)
    if draw(st.booleans()):
        request = pool("max_pool", shape, 2, dtype=dtype)
    return TensorData(draw(st.sampled_from("xwby")), shape, dtype, draw(specs(dtype))), request


def evaluated(text: str, name: str | None = None) -> Array:
    scope: dict[str, object] = {"numpy": np}
    exec(ROUNDING.format(name=BFLOAT16, numpy="numpy"), scope)
    exec(text if name else f"value = {text}", scope)
    value = scope[name or "value"]
    assert isinstance(value, np.ndarray)
    return value


def assert_same(one: Array, other: Array) -> None:
    assert (one.dtype, one.shape) == (other.dtype, other.shape)
    if one.dtype.kind == "c":
        assert_same(one.real, other.real)
        assert_same(one.imag, other.imag)
        return
    bits = [np.ascontiguousarray(each).view(f"u{each.itemsize}") for each in (one, other)]
    same = bits[0] == bits[1]
    if one.dtype.kind == "f":
        same |= np.isnan(one) & np.isnan(other)
    assert same.all()


@settings(PROFILE)
@given(tensors())
def test_an_expression_gives_the_generated_array(drawn: tuple[TensorData, Request]) -> None:
    tensor, request = drawn
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            tensor.check()
            values = tensor.array(request)
        except (DataError, OverflowError):
            assume(False)
        links = tensor.expression(request, tensor.shape, "numpy")
        assert_same(values, evaluated("".join(links)))


def test_literal_data_have_no_expression() -> None:
    spec = schema.Tensor(values=[[[1, 2]]])
    assert TensorData("x", (1, 1, 2), "float32", spec).expression(conv((1, 1, 2), (1, 1, 1)),
                                                                  (1, 1, 2)) == ()  # fmt: skip


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    dtype = draw(st.sampled_from([each.carrier.name for each in DTYPES.values()]))
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
    width = np.dtype(dtype).itemsize
    size = math.prod(shape)
    if draw(st.booleans()):
        small = st.lists(st.integers(0, 9), min_size=size, max_size=size)
        return np.array(draw(small)).astype(dtype).reshape(shape)
    data = draw(st.binary(min_size=size * width, max_size=size * width))
    return np.frombuffer(data, dtype).reshape(shape)


@settings(PROFILE)
@given(arrays())
def test_an_array_survives(values: Array) -> None:
    lines = literals.array("value", values, "numpy")
    assert max(map(len, lines)) <= literals.WIDTH
    assert_same(values, evaluated("\n".join(lines), "value"))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.ones((1, 1, 3, 5), np.float32), "np.ones((1, 1, 3, 5), np.float32)"),
        (np.full((4,), np.nan, np.float32), "np.full((4,), np.nan, np.float32)"),
        (np.zeros((2, 0, 1), np.int8), "np.zeros((2, 0, 1), np.int8)"),
        (
            np.array([[0.1, -0.0, 7]], np.float32),
            "np.array([0.1, -0.0, 7], dtype=np.float32).reshape(1, 3)",
        ),
        (np.array([1e300, -np.inf]), "np.array([1e+300, -np.inf], dtype=np.float64)"),
    ],
)
def test_an_array_reads_well(values: Array, text: str) -> None:
    assert literals.array("a", values) == [f"a = {text}"]


def test_a_long_chain_gets_a_line_a_call() -> None:
    links = ("np.random.default_rng(0)", ".normal(0, 1, (1, 2, 3))", ".transpose(0, 2, 1)")
    assert literals.assigned("x", links) == [f"x = {''.join(links)}"]
    assert literals.assigned("x" * 50, links)[1:] == [
        "    np.random.default_rng(0)",
        "    .normal(0, 1, (1, 2, 3))",
        "    .transpose(0, 2, 1)",
        ")",
    ]
