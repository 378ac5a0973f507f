"""A run explains what it finds: planted semantics, through workers and into the results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from conformance import results
from conformance.dtypes import Array
from conformance.records import Record
from conformance.request import ConvTranspose, Pool, Request
from tests.backends.planted.semantics import chosen
from tests.planting import Planting, plantings
from tests.support import HERE
from tests.wishes import WISHES

NAMES = {"x": "input", "w": "kernel", "b": "bias"}
FLAT = {"input": {"shape": [1, 1, 6, 6], "constant": 2}, "vjp": False}
ONES: dict[str, Any] = {"shape": [2, 2, 3], "constant": 1}
AMBIGUOUS: dict[str, tuple[str, dict[str, Any]]] = {
    "window-or-result-transposed": (
        "result-transposed",
        {**FLAT, "op": "max_pool", "window": [2, 3]},
    ),
    "kernel-or-result-transposed": (
        "result-transposed",
        {**FLAT, "op": "conv", "kernel": {"shape": [1, 1, 2, 3], "constant": 1}},
    ),
    "replicated-or-not-counted": (
        "padding-mode",
        {**FLAT, "op": "avg_pool", "window": 3, "padding": 1, "dtype": "float64"},
    ),
    "groups-or-bias": (
        "bias-twice",
        {
            "op": "conv",
            "input": {"shape": [1, 4, 9], "constant": 1},
            "kernel": ONES,
            "bias": {"constant": 6},
            "groups": 2,
            "vjp": False,
        },
    ),
}


def case(planting: Planting) -> dict[str, Any]:
    """A planting as a case file has it."""
    tensors = {NAMES[name]: _tensor(array) for name, array in zip(NAMES, planting.arrays)}
    more: dict[str, Any] = {"vjp": False}
    if planting.cotangent is not None:
        more = {"cotangent": _tensor(planting.cotangent)}
    if planting.accumulation:
        more["accumulation"] = planting.accumulation
    return {**_options(planting.request), **tensors, **more}


def _tensor(array: Array) -> dict[str, Any]:
    values = " ".join(map(repr, array.reshape(-1).tolist()))
    return {"shape": list(array.shape), "values": values}


def _options(request: Request) -> dict[str, Any]:
    if isinstance(request, Pool) and request.output_size is not None:
        size = {"output_size": list(request.output_size)} if "adaptive" in request.op else {}
        return {"op": request.op, "dtype": request.dtype, **size}
    padding = request.padding
    pairs = [list(pair) for pair in padding.pairs]
    options: dict[str, Any] = {
        "op": request.op,
        "dtype": request.dtype,
        "padding": pairs if padding.word == "explicit" else padding.word,
        "stride": list(request.stride),
        "dilation": list(request.dilation),
    }
    if isinstance(request, Pool):
        options |= {"window": list(request.window), "ceil_mode": request.ceil_mode}
        if request.op == "avg_pool":
            options["count_include_pad"] = request.count_include_pad
            options |= {"divisor": request.divisor} if request.divisor else {}
        if request.op == "lp_pool":
            options["norm"] = request.norm
        return options
    options["groups"] = request.groups
    if not isinstance(request, ConvTranspose):
        options["padding_mode"] = padding.mode
    elif not padding.word.startswith("same"):
        options["output_padding"] = list(request.output_padding)
    return options


def run(out: Path, entries: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, Record]:
    """Run cases, each with one cause planted; what is wrong in each."""
    file = out / "planted.yaml"
    cases = [{"id": f"{name}.1", **entry} for name, (_, entry) in entries.items()]
    file.write_text(yaml.safe_dump({"cases": cases}), encoding="utf-8")
    words = [f"/{name}.1 and planted.{cause}/" for name, (cause, _) in entries.items()]
    command = [sys.executable, "-m", "conformance", "run", str(file), "--out", str(out)]
    command += ["--backend-dir", str(HERE / "backends" / "planted"), "--backend", "planted"]
    command += ["--jobs", "2", "-k", " or ".join(words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1, done.stderr
    found = results.read(out / "results.jsonl").records
    wrong = [record for record in found if record.raw.startswith("wrong-")]
    return {record.case.split("/")[1].removesuffix(".1"): record for record in wrong}


@pytest.fixture(scope="module")
def sown() -> dict[str, Planting]:
    """One request for each cause, with what the adapter plants in it."""
    return {
        cause: next(plantings((cause,), np.random.default_rng(at), pick=chosen))
        for at, cause in enumerate(WISHES)
    }


@pytest.fixture(scope="module")
def reaped(
    sown: dict[str, Planting], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Record]:
    entries = {cause: (cause, case(planting)) for cause, planting in sown.items()}
    noise = {**FLAT, "op": "conv", "kernel": {"shape": [1, 1, 3, 3]}}
    entries |= {"unstable": ("unstable", noise), "right": ("right", noise)}
    return run(tmp_path_factory.mktemp("planted"), {**entries, **AMBIGUOUS})


@pytest.mark.parametrize("cause", WISHES)
def test_a_run_names_what_was_planted(
    sown: dict[str, Planting], reaped: dict[str, Record], cause: str
) -> None:
    explanation = reaped[cause].explanation
    assert explanation is not None
    meant = explanation.causes and sown[cause].means(explanation.causes, np.random.default_rng(0))
    assert explanation.key == cause or meant, (explanation, sown[cause].request)


def test_what_is_right_is_not_explained(reaped: dict[str, Record]) -> None:
    assert "right" not in reaped


def test_what_differs_from_run_to_run_is_unstable(reaped: dict[str, Record]) -> None:
    explanation = reaped["unstable"].explanation
    assert explanation is not None
    assert explanation.key == "unstable"


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_ambiguous_data_are_resolved_by_telling_ones(reaped: dict[str, Record], name: str) -> None:
    explanation = reaped[name].explanation
    assert explanation is not None
    assert explanation.key == AMBIGUOUS[name][0]
    assert not explanation.others
