"""The signatures that calls are read by, and what they are read as, against the frameworks."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance import discovery, reference, request, resolve, schema
from conformance.adapter import Api
from conformance.cases import Case
from conformance.content import root
from conformance.discovery import Backend, Interpreter
from conformance.translation import signatures
from conformance.translation.calls import parse
from conformance.translation.reading import Shapes
from conformance.translation.signatures import Parameter
from conformance.worker.loading import load_adapter
from tests import as_written
from tests.support import HERE

APIS = [(backend, api) for backend, apis in as_written.BACKENDS.items() for api in apis]
SIGNATURES = """
import importlib, inspect, json, re, sys
path, *names = sys.argv[1:]
base, _, rest = path.partition(".")
module = importlib.import_module(base)
try:
    module = importlib.import_module(path)
except ImportError:
    for part in rest.split("."):
        module = getattr(module, part)

def plain(value):
    if isinstance(value, (tuple, list)):
        return value[0] if len(set(value)) == 1 else list(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return value.__name__ if isinstance(value, type) else "?"

def described(function):
    try:
        own = inspect.signature(function)
        if list(own.parameters) == ["args", "kwargs"] and inspect.isclass(function):
            own = inspect.signature(function.__init__)
    except ValueError:
        own = None
    if own is None or list(own.parameters) == ["args", "kwargs"]:
        text = re.search(r"\\w+\\((.*?)\\)", function.__doc__, re.DOTALL)[1].replace("*,", "")
        own = eval(f"inspect.signature(lambda {text}: 0)")
    return [
        [p.name, p.kind.name, p.default is not p.empty, None if p.default is p.empty
         else plain(p.default)]
        for p in own.parameters.values() if p.name not in ("self", "args", "kwargs")
    ]

found = {name: described(getattr(module, name)) for name in names if hasattr(module, name)}
print("signatures " + json.dumps(found))
"""
pytestmark = pytest.mark.xdist_group("as-written")


def _api(backend: str, name: str) -> Api:
    adapter = load_adapter(root("backends") / backend)
    return next(api for api in adapter.apis if api.name == name)


@cache
def _found() -> tuple[dict[str, Backend], dict[str, Interpreter]]:
    backends = discovery.discover()
    return {each.name: each for each in backends}, discovery.interpreters(backends)


def _run(backend: str, script: str | Path, *arguments: str, text: str = "") -> list[Any]:
    """What a script prints in a backend's interpreter: JSON after a word."""
    backends, interpreters = _found()
    python = interpreters[backend].path
    assert python is not None
    launch = backends[backend].launch(python, next(iter(backends[backend].modes)), 1)
    start = [str(script)] if isinstance(script, Path) else ["-c", script]
    done = subprocess.run(
        [python, *start, *arguments], input=text, capture_output=True, text=True, check=False,
        timeout=500, env={**os.environ, **launch.environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = (line.partition(" ") for line in done.stdout.splitlines())
    return [json.loads(rest) for word, _, rest in lines if word in ("answer", "signatures")]


@pytest.mark.parametrize(
    ("backend", "name"),
    [pytest.param(*each, marks=pytest.mark.backend(each[0]), id=each[1]) for each in APIS],
)
def test_readers_have_the_frameworks_signatures(backend: str, name: str) -> None:
    table = _api(backend, name).calls
    readers = {each.rpartition(".")[2]: each for each in table.names()}
    [found] = _run(backend, SIGNATURES, as_written.MODULES[name], *readers)
    legacy = {"Convolution", "Deconvolution", "Pooling", "AdaptiveAvgPooling2D"}
    absent = legacy if name == "mxnet.npx" else set()
    assert readers.keys() - found.keys() == absent
    for function, theirs in found.items():
        ours = signatures.parameters(table.reader(function))
        _assert_alike(f"{name}.{function}", ours, theirs)


def _assert_alike(
    function: str,
    ours: Mapping[str, tuple[inspect.Parameter, Parameter]],
    theirs: list[list[Any]],
) -> None:
    keyword_only = inspect.Parameter.KEYWORD_ONLY
    positional = [key for key, (each, _) in ours.items() if each.kind is not keyword_only]
    assert positional == [key for key, kind, _, _ in theirs if kind != "KEYWORD_ONLY"], function
    for key, kind, optional, default in theirs:
        assert key in ours, f"{function}: {key}"
        own, takes = ours[key]
        assert (kind == "KEYWORD_ONLY") == (own.kind is keyword_only), f"{function}: {key}"
        anything = takes.wanted == "anything"
        by_rank = key in ("data_format", "layout") and own.default is None
        generated = function.startswith("mxnet.npx")
        if not (anything or by_rank or generated):
            assert optional == (own.default is not own.empty), f"{function}: {key}"
            assert not optional or default in (own.default, "?"), f"{function}: {key}"


def _asked(api: Api, text: str, shapes: Shapes) -> Case:
    reading = api.calls.read(api.name, parse(text), shapes)
    fields = schema.Case.model_validate({"id": "written", **reading.fields})
    resolved = resolve.request(fields)
    inputs = resolve.tensors(fields, resolved)
    return Case(text, Path("written"), 1, fields, resolved, inputs, None, {})


@pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=pytest.mark.backend(name)) for name in as_written.BACKENDS]
)
def test_calls_give_what_they_are_read_as(backend: str) -> None:
    written = [each for each in as_written.WRITTEN if each[0] in as_written.BACKENDS[backend]]
    tasks, wanted = [], []
    for name, text, input_shape, kernel_shape in written:
        case = _asked(_api(backend, name), text, Shapes(input_shape, kernel_shape))
        arrays = case.arrays()
        wanted.append(reference.expect(case.request, arrays).output)
        task: dict[str, Any] = {"api": name, "source": as_written.TEMPLATES[name].format(call=text)}
        task["request"] = request.to_json(case.request)
        task["arrays"] = [array.tolist() for array in arrays]
        tasks.append(json.dumps(task))
    folder = str(root("backends") / backend)
    answers = _run(backend, HERE / "verbatim.py", folder, text="\n".join(tasks) + "\n")
    assert len(answers) == len(written)
    for (_, text, _, _), reply, right in zip(written, answers, wanted):
        assert "error" not in reply, f"{text}: {reply['error']}"
        output = np.array(reply["output"])
        assert output.shape == right.values.shape, text
        allowed = 0.0 if right.allowed is None else right.allowed
        assert (np.abs(output - right.values) <= allowed).all(), text
