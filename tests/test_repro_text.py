"""Every adapter's driver makes scripts that parse and read well; no framework is needed."""

from __future__ import annotations

import ast
import itertools
import sys
from typing import Any

import pytest

from conformance import cases, content, discovery, reference, request
from conformance.adapter import Driver, Layout
from conformance.cases import Case
from conformance.discovery import Target
from conformance.reference import Expected
from conformance.repro import script
from conformance.supervisor import Launch, Worker
from conformance.worker.protocol import Message


def assert_well_formed(text: str, program: str) -> None:
    """It parses, says something, and is no wider than 100 columns where the suite writes."""
    assert ast.get_docstring(ast.parse(text))
    assert all(line == line.rstrip() for line in text.splitlines())
    body = text.partition('\n"""\n')[2]
    own = [line for line in body.splitlines() if line not in program.splitlines()]
    assert max(map(len, own)) <= 100
    assert "\n\n\n\n" not in body


@pytest.mark.parametrize(
    "name",
    [
        "numpy", "torch", "jax", "flax", "tensorflow", "mxnet", "onnxruntime", "scipy",
        "keras_torch", "keras_jax",
    ],
)  # fmt: skip
def test_every_backend_writes_scripts_that_are_well_formed(name: str) -> None:
    (backend,) = discovery.discover(names=[name])
    everything = cases.load([content.root("cases") / part for part in ("tutorials", "edge")])
    worker = Worker(Launch(backend.name, backend.folder, sys.executable, {}))
    try:
        worker.receive(60)
        for case, target in itertools.product(everything[::7], backend.targets):
            expected = reference.expected(case)
            checks = {False, backend.gradients and case.cotangent is not None}
            for form, vjp in itertools.product(("native", "emulated"), checks):
                told = driven(worker, case, target, form, vjp)
                if told["driver"] is not None:
                    text = written(told, case, expected, vjp)
                    assert_well_formed(text, told["source"])
                    assert ("expected_dx" in text) == vjp
    finally:
        worker.stop()


def driven(worker: Worker, case: Case, target: Target, form: str, vjp: bool) -> dict[str, Any]:
    header = {
        "type": "drive",
        "api": target.api,
        "mode": target.mode,
        "request": request.to_json(case.request),
        "spelled": None,
        "forms": [form],
        "vjp": vjp,
    }
    worker.send(Message(header))
    reply = worker.receive(60)
    assert reply is not None
    return reply.header


def written(told: dict[str, Any], case: Case, expected: Expected, vjp: bool) -> str:
    arrays = list(zip(case.inputs, expected.arrays))
    if vjp and case.cotangent is not None and expected.cotangent is not None:
        arrays.append((case.cotangent, expected.cotangent))
    references = [expected.output, *((expected.gradients or ()) if vjp else ())]
    return script.Script(
        about="About.",
        program=told["source"],
        driver=Driver(**told["driver"]),
        layout=Layout(**told["layout"]),
        environment={},
        request=case.request,
        tensors=arrays,
        results=[script.Result(each) for each in references],
    ).text()
