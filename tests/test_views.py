"""Inputs that are parts of longer arrays: what the framework is handed, and what scripts say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from conformance import cases, describe, discovery, layout, predicates, request
from conformance.adapter import Adapter, Api, Info, Layout, Lowering, Program
from conformance.cases import Case
from conformance.discovery import Target
from conformance.dtypes import Array
from conformance.repro import Wish, choose, reproduce
from conformance.request import Request, View
from conformance.worker.execution import execute
from conformance.worker.protocol import Message
from conformance.workers import Workers
from tests.strategies import integer_data, requests

LAYOUTS = (Layout(), Layout("N*C", "*IO", "*OI"))
VIEWS: tuple[View, ...] = ("batch", "width")
FILE = """
op: max_pool
cases:
  - id: a
    input: {shape: [2, 1, 4]}
    window: 2
    view: VIEW
"""


@settings(max_examples=60, deadline=None)
@given(request_=requests(), own=st.sampled_from(LAYOUTS), view=st.sampled_from(VIEWS))
def test_the_place_in_the_longer_array_holds_the_input(
    request_: Request, own: Layout, view: View
) -> None:
    array = layout.to_api("x", integer_data(request_)[0], request_, own)
    axis, longer, place = layout.viewed(array, request_, own, view)
    assert_array_equal(longer[place], array)
    assert longer.dtype == array.dtype
    assert longer.shape[axis] == 2 * array.shape[axis]
    assert longer.size == 2 * array.size
    canonical = request_.input_shape[0 if view == "batch" else -1]
    assert array.shape[axis] == canonical
    other = np.delete(longer, np.arange(array.shape[axis], longer.shape[axis]), axis)
    assert not (other == array).any()


class Recorded(Api):
    """Hands the input back."""

    name = "m.recorded"

    def lower(self, request: Request) -> Lowering:
        return Lowering(Program("def forward(x):\n    return x\n"))


class Recording(Adapter):
    """Keeps what its programs are handed."""

    name = "recording"
    module = "numpy"
    distributions = ("numpy",)
    apis = (Recorded(),)

    def __init__(self) -> None:
        self.handed: list[Array] = []

    def load(self) -> Info:
        return Info({"numpy": np.__version__}, {}, "cpu", "1")

    def tensor(self, array: Array, dtype: str) -> Array:
        return array.astype(dtype)

    def array(self, tensor: Array) -> tuple[Array, str]:
        return tensor, tensor.dtype.name

    def run(
        self,
        program: Mapping[str, Any],
        inputs: Sequence[Array],
        cotangent: Array | None,
        mode: str,
    ) -> Iterator[Array]:
        self.handed += inputs
        yield program["forward"](*inputs)


def loaded(tmp_path: Path, view: str) -> Case:
    file = tmp_path / "views.yaml"
    file.write_text(FILE.replace("VIEW", view))
    return cases.load([file])[0]


@pytest.mark.parametrize("view", VIEWS)
def test_the_framework_is_handed_a_part_of_an_array_that_is_larger(
    tmp_path: Path, view: View
) -> None:
    case, adapter = loaded(tmp_path, view), Recording()
    header = {"api": "m.recorded", "mode": "eager", "request": request.to_json(case.request)}
    for named in (view, None):
        message = Message({**header, "vjp": False, "view": named}, case.arrays())
        assert_array_equal(execute(adapter, message).arrays[0], case.arrays()[0])
    part, whole = adapter.handed
    assert part.base is not None and part.base.size == 2 * part.size
    assert part.flags.c_contiguous == (view == "batch")
    assert whole.base is None


def test_what_is_said_of_it(tmp_path: Path) -> None:
    case = loaded(tmp_path, "width")
    assert "the input is a part of an array of twice the width" in describe.asked(case)
    assert predicates.facts(case)["view"] == "width"
    assert cases.load_file(_written(case, tmp_path), tmp_path)[0].fields == case.fields


def _written(case: Case, tmp_path: Path) -> Path:
    file = tmp_path / "again.yaml"
    file.write_text(cases.written(case))
    return file


@pytest.mark.parametrize("view", VIEWS)
def test_the_script_hands_over_the_same_part(tmp_path: Path, view: View) -> None:
    case = loaded(tmp_path, view)
    found = discovery.discover(names=["numpy"])
    target = Target("numpy", "numpy.loops", "eager")
    with Workers({b.name: b for b in found}, discovery.interpreters(found)) as workers:
        record = choose(workers.run(case, target), Wish())
        assert record is not None
        script = reproduce(workers, case, target, record)
    assert script.agrees
    index = "[2:]" if view == "batch" else "[:, :, 4:]"
    axis = 0 if view == "batch" else 2
    assert f"np.concatenate([x + 1, x], axis={axis}){index}" in script.script
