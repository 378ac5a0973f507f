"""SciPy's and NumPy's functions against the oracle: natively where they say it, and by recipes."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from numpy.testing import assert_allclose, assert_array_equal

from conformance import geometry, oracle
from conformance.adapter import Api, Program
from conformance.dtypes import DTYPES, Array, cast
from conformance.request import Conv, Padding, PaddingMode, Pool, Request
from conformance.worker.loading import load_adapter
from tests.builders import conv, planes, pool, transposed
from tests.strategies import integer_data, requests

ADAPTER = load_adapter(Path(__file__).resolve().parents[1] / "backends" / "scipy")
APIS = {api.name: api for api in ADAPTER.apis}
CONVOLUTIONS = ("conv", "conv_transpose", "avg_pool")
FILTERS = ("max_pool", "avg_pool")
quick = settings(max_examples=60, deadline=None)


def output(program: Program, arrays: tuple[Array, ...]) -> Any:
    namespace: dict[str, Any] = {}
    exec(program.source, namespace)
    return namespace["forward"](*arrays)


def assert_right(program: Program, r: Request) -> None:
    arrays = integer_data(r)
    expected = cast(oracle.forward(r, *arrays), DTYPES[r.dtype])
    observed = output(program, arrays)
    assert observed.dtype == expected.dtype, program.source
    if r.op == "avg_pool":
        assert_allclose(observed, expected, rtol=4 * DTYPES[r.dtype].unit_roundoff, atol=1e-13)
    else:
        assert_array_equal(observed, expected, program.source)


def alone(r: Request) -> Request:
    """The request of one image and one kernel, at stride 1 and without dilation."""
    ones = (1,) * r.rank
    r = dataclasses.replace(r, input_shape=(1, 1, *r.spatial), dilation=ones)
    if isinstance(r, Pool):
        return r
    return dataclasses.replace(r, kernel_shape=(1, 1, *r.window), groups=1, stride=ones)


@pytest.mark.parametrize("name", APIS)
@quick
@given(request=requests(CONVOLUTIONS, dtypes=("float64", "float32", "float16", "int32", "int8")))
def test_recipes_give_exactly_the_result(name: str, request: Request) -> None:
    lowering = APIS[name].lower(request)
    if isinstance(lowering.emulated, Program):
        assert_right(lowering.emulated, request)
    else:
        assert isinstance(lowering.native, Program) or request.rank != 2 or "numpy" in name


@quick
@given(request=requests(FILTERS, dtypes=("float64", "float32", "float16")))
def test_pooling_recipes_give_exactly_the_result(request: Request) -> None:
    emulated = APIS["scipy.ndimage"].lower(request).emulated
    if emulated is not None:
        assert_right(emulated, request)


@pytest.mark.parametrize("name", APIS)
@quick
@given(request=requests((*CONVOLUTIONS, "max_pool"), dtypes=("float64", "int32"), empty=False))
def test_native_calls_give_exactly_the_result(name: str, request: Request) -> None:
    request = alone(request)
    padding = request.padding
    if isinstance(request, Conv) and padding.word in ("same", "same_lower"):
        axes = zip(request.spatial, request.window, request.stride, request.dilation)
        pairs = tuple(geometry.same_pads(*axis, padding.word == "same_lower") for axis in axes)
        request = dataclasses.replace(request, padding=Padding(pairs, padding.word, padding.mode))
    assume(min(request.output_shape) > 0)
    # NumPy's 'same' is as long as the longer operand.
    assume("numpy" not in name or request.window <= request.spatial)
    native = APIS[name].lower(request).native
    if isinstance(native, Program):
        assert_right(native, request)


def said(api: Api, r: Request) -> str:
    """The call of a native form, or why there is none."""
    native = api.lower(r).native
    if not isinstance(native, Program):
        return native.reason
    return native.source.strip().splitlines()[-1].strip().removeprefix("return ")


@pytest.mark.parametrize(
    ("name", "pads", "window", "call"),
    [
        ("numpy.correlate", (1, 1), 3, 'np.correlate(x[0, 0], w[0, 0], mode="same")'),
        ("numpy.correlate", (1, 0), 2, 'np.correlate(x[0, 0], w[0, 0], mode="same")'),
        ("numpy.correlate", (0, 1), 2, "np.correlate pads as 'valid', 'same' or 'full' do"),
        ("numpy.correlate", (0, 0), 2, "np.correlate(x[0, 0], w[0, 0])"),
        ("scipy.signal", (1, 0), 2, 'signal.correlate(x[0, 0], w[0, 0], mode="same")'),
        ("scipy.signal", (2, 2), 3, "signal.correlate(x[0, 0], w[0, 0])"),
        ("scipy.ndimage", (1, 0), 2, 'ndimage.correlate(x[0, 0], w[0, 0], mode="constant")'),
        (
            "scipy.ndimage",
            (0, 1),
            2,
            'ndimage.correlate(x[0, 0], w[0, 0], mode="constant", origin=-1)',
        ),
        ("scipy.ndimage", (0, 0), 3, "ndimage.correlate returns as many pixels as it is given"),
    ],
)
def test_the_odd_pixel_of_an_even_kernel(
    name: str, pads: tuple[int, int], window: int, call: str
) -> None:
    request = conv((1, 1, 6), (1, 1, window), (pads,))
    assert said(APIS[name], request).removesuffix("[None, None]") == call


def test_correlate2d_has_the_odd_pixel_at_the_other_end() -> None:
    first, last = (conv((1, 1, 6, 6), (1, 1, 2, 2), (p, p)) for p in ((1, 0), (0, 1)))
    call = 'correlate2d(x[0, 0], w[0, 0], mode="same")'
    assert call in said(APIS["scipy.signal.correlate2d"], last)
    assert call not in said(APIS["scipy.signal.correlate2d"], first)
    assert call.replace("2d", "") in said(APIS["scipy.signal"], first)


@pytest.mark.parametrize(
    ("mode", "pads", "words"),
    [
        ("zeros", 1, ('mode="same"', 'mode="constant"')),
        ("circular", 1, ('boundary="wrap"', 'mode="wrap"')),
        ("reflect", 1, ("has no boundary for 'reflect'", 'mode="mirror"')),
        ("replicate", 1, ('boundary="symm"', 'mode="reflect"')),
        ("replicate", 2, ("has no boundary for 'replicate'", 'mode="nearest"')),
    ],
)
def test_modes_have_other_names(mode: PaddingMode, pads: int, words: tuple[str, str]) -> None:
    window = 2 * pads + 1
    request = conv((1, 1, 6, 6), (1, 1, window, window), pads, mode=mode)
    for name, word in zip(("scipy.signal.correlate2d", "scipy.ndimage"), words):
        assert word in said(APIS[name], request)


@pytest.mark.parametrize("name", APIS)
def test_a_flipped_kernel_is_what_convolve_gives(name: str) -> None:
    rank = APIS[name].lower(conv((1, 1, 6), (1, 1, 3))).native
    shape = (1, 1, 6) if isinstance(rank, Program) or name == "scipy.ndimage" else (1, 1, 6, 5)
    window = (3,) * (len(shape) - 2)
    request = dataclasses.replace(conv(shape, (1, 1, *window), 1), flipped=True)
    lowering = APIS[name].lower(request)
    assert isinstance(lowering.native, Program)
    assert "convolve" in lowering.native.source
    assert lowering.emulated is None
    assert_right(lowering.native, request)


def test_a_full_convolution_is_a_transposed_one() -> None:
    request = transposed((1, 1, 5), (1, 1, 3))
    assert said(APIS["numpy.correlate"], request).startswith('np.convolve(x[0, 0], w[0, 0], mode="')
    same = transposed((1, 1, 5), (1, 1, 2), ((0, 1),))
    assert 'mode="same"' in said(APIS["scipy.signal"], same)
    assert "odd pixel at the other end" in said(APIS["scipy.ndimage"], same)


def test_windows_are_centred_on_pixels() -> None:
    x = planes([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    request = pool("max_pool", x.shape, 2, 1)
    native = APIS["scipy.ndimage"].lower(request).native
    assert isinstance(native, Program)
    assert_array_equal(output(native, (x,))[0, 0], [[5, 6], [8, 9]])
    wide = pool("max_pool", x.shape, 2, 1, 2)
    assert "centres its windows" in said(APIS["scipy.ndimage"], wide)


def test_what_would_take_minutes_is_refused() -> None:
    large = conv((1, 64, 112, 112), (64, 64, 3, 3), 1)
    for name in ("scipy.signal", "scipy.signal.correlate2d", "scipy.ndimage"):
        lowering = APIS[name].lower(large)
        assert lowering.emulated is None
        assert "462,422,016 products, at most 134,217,728" in said(APIS[name], large)
    assert "is 1-D" in said(APIS["numpy.correlate"], large)
    dense = conv((3136, 256, 1, 1), (64, 256, 1, 1))
    assert "51,380,224 calls, at most 131,072" in said(APIS["scipy.ndimage"], dense)


def test_recipes_correlate_with_what_is_given() -> None:
    request = dataclasses.replace(conv((1, 2, 4, 4), (2, 2, 2, 2)), dtype="complex128")
    arrays = integer_data(request)
    for name in ("scipy.signal", "scipy.signal.correlate2d", "scipy.ndimage"):
        emulated = APIS[name].lower(request).emulated
        assert emulated is not None
        assert_array_equal(output(emulated, arrays), oracle.forward(request, *arrays))
