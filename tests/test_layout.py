"""Moving arrays between canonical order and an API's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from conformance import layout
from conformance.adapter import Layout, parameters
from conformance.request import Conv, ConvTranspose, Padding, Request
from tests.strategies import integer_cotangent, integer_data, requests

CHANNELS_LAST = Layout("N*C", "*IO", "*OI")
LAYOUTS = (Layout(), CHANNELS_LAST, Layout("N*C", "OI*", "*IO"), Layout("*NC", "I*O", "O*I"))


@settings(max_examples=60, deadline=None)
@given(request_=requests(), own=st.sampled_from(LAYOUTS))
def test_there_and_back(request_: Request, own: Layout) -> None:
    arrays = (*integer_data(request_), integer_cotangent(request_))
    for name, array in zip((*parameters(request_), "y"), arrays):
        moved = layout.to_api(name, array, request_, own)
        assert moved.flags.c_contiguous and moved.dtype == array.dtype
        assert not np.shares_memory(moved, array)
        assert_array_equal(layout.from_api(name, moved, request_, own), array)


def test_channels_last() -> None:
    one = ((1, 1),) * 2
    conv = Conv((2, 4, 5, 6), Padding(one), (1, 1), (1, 1), "float32", (8, 2, 3, 7), 2, True)
    shapes = {"x": (2, 4, 5, 6), "w": (8, 2, 3, 7), "b": (8,), "y": (2, 8, 5, 2)}
    moved = {
        name: layout.to_api(name, np.zeros(shape), conv, CHANNELS_LAST).shape
        for name, shape in shapes.items()
    }
    assert moved == {"x": (2, 5, 6, 4), "w": (3, 7, 2, 8), "b": (8,), "y": (2, 5, 2, 8)}


def test_transposed_kernels_have_their_own_order() -> None:
    request = ConvTranspose(
        (1, 4, 5), Padding(((0, 0),)), (1,), (1,), "float32", (4, 3, 2), (0,), 2
    )
    kernel = np.arange(24).reshape(4, 3, 2)
    moved = layout.to_api("w", kernel, request, CHANNELS_LAST)
    assert moved.shape == (2, 3, 4)
    assert moved[1, 2, 3] == kernel[3, 2, 1]


@pytest.mark.parametrize("name", ["x", "y", "w"])
def test_an_array_of_another_rank_stays_as_it_is(name: str) -> None:
    request = Conv((1, 1, 5, 5), Padding(((0, 0),) * 2), (1, 1), (1, 1), "float32", (1, 1, 3, 3))
    array = np.zeros((2, 3, 4))
    assert layout.from_api(name, array, request, CHANNELS_LAST) is array
