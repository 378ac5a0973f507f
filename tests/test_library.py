"""The suite as a library: what a framework's own test can call on a failure."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import conformance
from conformance import Explanation, explain, make_request, oracle
from conformance.dtypes import DTYPES, Array, cast
from conformance.request import Request


def integers(*shape: int, seed: int = 0, dtype: str = "float32") -> Array:
    values = np.random.default_rng(seed).integers(-8, 8, shape, endpoint=True)
    return values.astype(DTYPES[dtype].carrier)


def conv(**options: Any) -> Request:
    return make_request("conv", (1, 2, 8, 7), kernel=(3, 2, 3, 3), **options)


X, W, B = integers(1, 2, 8, 7), integers(3, 2, 3, 3, seed=1), integers(3, seed=2)


def given(request: Request, *arrays: Array, dtype: str = "float32") -> Array:
    return cast(oracle.forward(request, *arrays), DTYPES[dtype])


def asked(observed: Array, request: Request, *arrays: Array, **options: Any) -> Explanation:
    explanation = explain(observed, request, arrays, **options)
    assert explanation is not None
    return explanation


def test_a_right_result_needs_no_explanation() -> None:
    request = conv(padding="same", stride=2)
    assert explain(given(request, X, W), request, (X, W)) is None


def test_the_sentence_says_what_was_computed_instead() -> None:
    told = asked(given(conv(padding=[0, 1]), X, W), conv(padding=[1, 1]), X, W)
    assert told.key == "padding-dropped"
    assert told.causes == ("padding-dropped",)
    assert told.edits == ({"cause": "padding-dropped", "padding": [[0, 0]]},)
    assert str(told) == (
        "equals the request with padding (0, 1) instead of (1, 1): the height padding was dropped"
    )


def test_two_errors_are_told_apart() -> None:
    observed = given(conv(padding=1, bias=False), X, W[:, :, ::-1, ::-1])
    told = asked(observed, conv(padding=1, bias=True), X, W, B)
    assert told.key == "bias-dropped+kernel-flipped"
    assert "the kernel flipped" in told.sentence
    assert "the bias was dropped" in told.sentence


def test_gradients_are_explained_in_the_same_words() -> None:
    request = conv(padding="same", stride=2)
    dy = integers(*request.output_shape, seed=3)
    gradients = oracle.vjp(conv(padding=[[1, 0], [1, 1]], stride=2), dy, X, W)
    for name, gradient in zip("xw", gradients):
        told = asked(gradient.astype("float32"), request, X, W, cotangent=dy, array=name)
        assert told.key == "same-lower"
        assert told.sentence.startswith(f"the gradient of {name} equals that of the request with")


@pytest.mark.parametrize(
    ("factor", "part"), [(1j, "0+1j times what is expected"), (complex("nan"), "they are NaN")]
)
def test_complex_values_are_compared_as_such(factor: complex, part: str) -> None:
    x, w = (integers(*a.shape, seed=7) + 1j * a for a in (X, W))
    request = conv(padding=1, dtype="complex64")
    right = oracle.forward(request, x, w).astype("complex64")
    told = asked((right * factor).astype("complex64"), request, x, w)
    assert part in str(told)


def test_a_dtype_alone_may_be_wrong() -> None:
    request = conv(padding=1)
    told = asked(given(request, X, W).astype("float64"), request, X, W)
    assert told.key == "result-dtype"
    assert told.sentence == "equals the request with a result in float64 instead of float32"
    wrong = given(conv(padding=0), X, W).astype("float64")
    assert asked(wrong, request, X, W).key == "padding-dropped+result-dtype"


def test_what_the_data_cannot_tell_apart_is_said() -> None:
    x, w = np.ones((1, 1, 6), np.float32), np.ones((1, 1, 3), np.float32)
    request = make_request("conv", x.shape, kernel=w.shape, padding=[[0, 1]])
    told = asked(np.full((1, 1, 5), 3, np.float32), request, x, w)
    assert told.key == "padding-mode"
    assert "'replicate' instead of 'zeros'" in told.sentence
    assert len(told.others) == 2
    assert "(ambiguous: or equals the request with padding mode 'reflect'" in str(told)


def test_two_names_of_one_meaning_are_not_ambiguous() -> None:
    """At stride 1 a result without its first and last row is one without padding."""
    told = asked(given(conv(padding=1), X, W)[:, :, 1:-1], conv(padding=1), X, W)
    assert (told.key, told.others) == ("padding-dropped", ())


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda y: np.pad(y, ((0, 0), (0, 0), (0, 1), (0, 0))), "1 more along the height"),
        (lambda y: y[0], "3 axes instead of 4"),
        (lambda y: 3 * y + (np.arange(3) == 1).reshape(3, 1, 1), "all 168 values differ"),
        (lambda y: np.where(np.arange(3).reshape(3, 1, 1) == 2, -y, y), "only channel 2 differs"),
        (lambda y: np.where(np.arange(8).reshape(8, 1) == 7, y + 9, y), "only the last position"),
        (lambda y: y * np.float32(1.5), "they are 1.5 times what is expected"),
        (lambda y: y * np.float32(np.nan), "they are NaN"),
        (lambda y: y + 9 * (np.arange(8) % 2).reshape(8, 1), "every 2. position along the height"),
    ],
)
def test_what_nothing_explains_is_described(change: Any, part: str) -> None:
    request = conv(padding=1)
    told = asked(change(given(request, X, W)).astype("f4"), request, X, W)
    assert told.key.startswith("unexplained: ")
    assert told.edits == ()
    assert part in told.sentence


@pytest.mark.parametrize("dtype", ["uint32", "bool", "complex64", "float8_e4m3fn"])
def test_a_dtype_that_the_suite_lacks(dtype: str) -> None:
    request = make_request("max_pool", (1, 1, 9), window=2, stride=1, dtype="float16")
    x = np.arange(9).reshape(1, 1, 9).astype("f2")
    carrier = "f4" if dtype.startswith("float8") else dtype
    right = given(request, x, dtype="float16").astype(carrier)
    told = asked(right, request, x, dtype=dtype)
    assert told.key == ("unexplained: some" if dtype == "bool" else "result-dtype")
    assert dtype in str(told) or dtype == "bool"
    assert asked(np.flip(right, 2), request, x, dtype=dtype).key.startswith("unexplained")


def test_a_result_without_elements_has_no_name() -> None:
    told = asked(np.zeros((1, 0, 8, 7), np.float32), conv(padding=1), X, W)
    assert told.key == "unexplained: shape"
    assert "channels 0 instead of 3" in told.sentence


def test_a_result_of_nothing_but_nan_has_no_name() -> None:
    request = conv(padding=1)
    assert asked(np.full_like(given(request, X, W), np.nan), request, X, W).edits == ()


def test_bfloat16_travels_as_float32() -> None:
    x, w = integers(1, 2, 8, 7) / 4, integers(3, 2, 3, 3, seed=1) / 4
    request = conv(padding=1, dtype="bfloat16")
    observed = given(conv(padding=0), x, w, dtype="bfloat16")
    assert asked(observed, request, x, w).key == "padding-dropped"


@pytest.mark.parametrize(
    ("arrays", "options", "sentence"),
    [
        ((X,), {}, r"the request has x \[1, 2, 8, 7\], w \[3, 2, 3, 3\]; got \[1, 2, 8, 7\]"),
        ((X, W.T), {}, r"got \[1, 2, 8, 7\], \[3, 3, 2, 3\]"),
        ((X, W), {"array": "b"}, "the request has no array 'b'; it has y, x, w"),
        ((X, W), {"array": "x"}, "a gradient needs the cotangent that it belongs to"),
        ((X, W), {"cotangent": X}, r"the cotangent has the output's shape \[1, 3, 6, 5\]"),
    ],
)
def test_arrays_that_do_not_fit(arrays: Any, options: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        explain(np.zeros((1, 3, 6, 5), np.float32), conv(), arrays, **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"padding": "valid", "strid": 2}, "strid: unknown key 'strid'; did you mean 'stride'"),
        ({"stride": 0}, "stride: must be a whole number from 1 on"),
        ({"groups": 3}, "groups: 3 groups do not divide 2 input channels"),
        ({"dtype": "float8"}, "dtype: must be "),
        ({"window": 3}, "window: conv has no 'window'; remove it"),
    ],
)
def test_a_wrong_option_is_named(options: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        conv(**options)


def test_every_public_name_is_there() -> None:
    for name in conformance.__all__:
        assert getattr(conformance, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'explian'"):
        conformance.explian  # noqa: B018


def test_importing_the_package_is_cheap() -> None:
    """A worker lives in environments that have NumPy and little else."""
    code = "import sys, conformance; print('pydantic' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_large_request_is_explained_by_a_part_of_it() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-8, 8, shape).astype("f4") for shape in ((2, 16, 40, 40), (24, 16, 3, 3)))
    right, wrong = (
        make_request("conv", x.shape, kernel=w.shape, padding=pads, stride=2)
        for pads in (1, [[1, 2], [1, 1]])
    )
    told = asked(given(wrong, x, w), right, x, w)
    assert told.key == "padding-off-by-one"
    flipped = asked(given(right, x, w[..., ::-1]), right, x, w)
    assert (flipped.key, flipped.others) == ("kernel-flipped", ())
    assert "along the width" in flipped.sentence
