"""Rounding and wrapping into the dtypes that cases use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal

from conformance.dtypes import DTYPES, Array, cast

BFLOAT16 = DTYPES["bfloat16"]
LARGEST = (2 - 2.0**-7) * 2.0**127


def test_precision_is_the_carriers() -> None:
    for dtype in DTYPES.values():
        if dtype.floating and dtype.name == dtype.carrier.name:
            assert dtype.precision == np.finfo(dtype.carrier).nmant + 1
            assert dtype.largest == float(np.finfo(dtype.carrier).max)
            assert dtype.unit_roundoff == float(np.finfo(dtype.carrier).eps) / 2
    assert BFLOAT16.largest == LARGEST


@pytest.mark.parametrize("name", sorted(DTYPES))
def test_cast_gives_the_carrier(name: str) -> None:
    dtype = DTYPES[name]
    values = np.arange(4).astype(np.float64 if dtype.floating else np.int64).reshape(2, 2)
    result = cast(values, dtype)
    assert result.dtype == dtype.carrier
    assert_array_equal(result, values)


@pytest.mark.parametrize("name", [name for name, dtype in DTYPES.items() if dtype.floating])
def test_integers_up_to_the_exact_limit_are_exact(name: str) -> None:
    dtype = DTYPES[name]
    limit = dtype.exact_limit
    values = np.array([limit, limit - 1, -limit, -limit + 1], np.float64)
    assert_array_equal(cast(values, dtype).astype(dtype.wide), values)
    if limit < 2**53:
        assert cast(np.array([limit + 1.0]), dtype)[0] == limit


@pytest.mark.parametrize("name", [name for name, dtype in DTYPES.items() if not dtype.floating])
@given(value=st.integers(-(2**63), 2**63 - 1))
def test_integers_wrap(name: str, value: int) -> None:
    dtype = DTYPES[name]
    result = int(cast(np.array([value], np.int64), dtype)[0])
    assert (result - value) % 2 ** (8 * dtype.carrier.itemsize) == 0
    assert np.iinfo(dtype.carrier).min <= result <= dtype.largest or name == "int64"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("float16", 65519.0, 65504.0),
        ("float16", 65520.0, np.inf),
        ("float16", 2.0**-25, 0.0),
        ("float32", 3.5e38, np.inf),
        ("bfloat16", LARGEST, LARGEST),
        ("bfloat16", LARGEST + 2.0**118, LARGEST),
        ("bfloat16", LARGEST + 2.0**119, np.inf),
        ("bfloat16", -1e300, -np.inf),
        ("bfloat16", np.inf, np.inf),
        ("bfloat16", 257.0, 256.0),
        ("bfloat16", 259.0, 260.0),
        ("bfloat16", 2.0**-133, 2.0**-133),
        ("bfloat16", 2.0**-134, 0.0),
        ("bfloat16", 1e-300, 0.0),
    ],
)
def test_rounding(name: str, value: float, expected: float) -> None:
    assert cast(np.array([value]), DTYPES[name])[0] == np.float32(expected)


def test_bfloat16_keeps_nan_and_the_sign_of_zero() -> None:
    result = cast(np.array([np.nan, -np.nan, -0.0, -1e-300]), BFLOAT16)
    assert np.isnan(result[:2]).all()
    assert np.signbit(result[2:]).all() and (result[2:] == 0).all()


def test_bfloat16_is_rounded_once() -> None:
    """Just above a tie: a detour over float32 rounds to the tie first, then to even."""
    tie = 1 + 2.0**-8
    assert cast(np.array([tie]), BFLOAT16)[0] == 1
    assert cast(np.array([tie + 2.0**-40]), BFLOAT16)[0] == 1 + 2.0**-7
    assert cast(np.array([1 + 3 * 2.0**-8 - 2.0**-40]), BFLOAT16)[0] == 1 + 2.0**-7


@given(hnp.arrays(np.float64, 8, elements=st.floats(-LARGEST, LARGEST)))
def test_bfloat16_is_nearest(values: Array) -> None:
    rounded = cast(values, BFLOAT16)
    bits = rounded.view(np.uint32)
    assert (bits & np.uint32(0xFFFF) == 0).all()
    error = np.abs(rounded.astype(np.float64) - values)
    for step in (np.uint32(0x10000), np.uint32(0xFFFF0000)):
        with np.errstate(over="ignore", invalid="ignore"):
            neighbour = (bits + step).view(np.float32).astype(np.float64)
            farther = np.abs(neighbour - values)
        assert (error <= farther)[np.isfinite(neighbour)].all()


@pytest.mark.framework("torch")
@given(hnp.arrays(np.float32, 16))
def test_bfloat16_as_torch(values: Array) -> None:
    import torch

    expected = torch.from_numpy(values).to(torch.bfloat16).to(torch.float32).numpy()
    assert_array_equal(cast(values.astype(np.float64), BFLOAT16), expected)


@pytest.mark.framework("torch")
@given(hnp.arrays(np.float64, 16))
def test_float16_and_float32_as_torch(values: Array) -> None:
    import torch

    single = cast(values, DTYPES["float32"])
    # PyTorch goes from float64 to float16 by way of float32, which rounds twice.
    for name, source in (("float32", values), ("float16", single)):
        expected = torch.from_numpy(values).to(getattr(torch, name)).numpy()
        assert_array_equal(cast(source, DTYPES[name]), expected)
