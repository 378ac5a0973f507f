"""Every known discrepancy has a script, which ends in its backend as the suite says."""

from __future__ import annotations

import ast
import itertools
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from conformance import cases, content, discovery, predicates, repro
from conformance.cases import Case
from conformance.discovery import Backend, Target
from conformance.known import Known
from conformance.predicates import Facts
from conformance.records import Record
from conformance.repro import Reproduction
from conformance.workers import Workers
from tests.profiles import NIGHTLY, PROFILE
from tests.test_repro_text import assert_well_formed

HEADINGS = {
    "torch": ("### 🐛 Describe the bug", "### Versions"),
    "jax": ("### Description", "### System info (python version, jaxlib version"),
    "flax": ("### System information", "### Steps to reproduce:"),
    "tensorflow": ("### Current behavior?", "### Relevant log output"),
    "mxnet": ("## Description", "## Environment"),
    "onnxruntime": ("### Describe the issue", "### Execution Provider"),
    "keras_torch": ("### To reproduce", "### Versions"),
    "keras_jax": ("### To reproduce", "### Versions"),
    "scipy": ("### Describe your issue.", "### SciPy/NumPy/Python version and system information"),
}


APIS = {
    "torch": ("torch.nn.functional", "torch.nn"),
    "jax": ("jax.lax",),
    "flax": ("flax.linen", "flax.nnx"),
    "tensorflow": ("tf.nn", "keras.layers"),
    "mxnet": ("mxnet.npx", "mxnet.gluon"),
    "onnxruntime": ("onnxruntime",),
    "keras_torch": ("keras.layers",),
    "keras_jax": ("keras.layers",),
    "scipy": ("scipy.signal", "scipy.signal.correlate2d", "scipy.ndimage", "numpy.correlate"),
}


TARGETS = [
    pytest.param(backend, api, marks=pytest.mark.backend(backend))
    for backend, apis in APIS.items()
    for api in apis
]


Corpus = Sequence[tuple[Case, Facts]]
SPLIT = 4
PARTS = [
    pytest.param(backend, part, marks=pytest.mark.backend(backend))
    for backend in APIS
    for part in range(SPLIT)
]


def corpus() -> Corpus:
    """All cases with their facts: those of core before the others, small ones first.

    What is known of a law's questions, or of a chain's steps, is known of cases of their own.
    """

    def effort(case: Case) -> tuple[bool, int]:
        return case.fields.tier != "core", sum(math.prod(t.shape) for t in case.inputs)

    found = sorted(cases.load([content.root("cases")]), key=effort)
    plain = [case for case in found if case.chain is None and case.fields.law is None]
    return [(case, predicates.facts(case)) for case in plain]


def listed(names: str | Sequence[str] | None, default: Sequence[str] = ()) -> Sequence[str]:
    return default if names is None else [names] if isinstance(names, str) else names


def met(
    workers: Workers, backend: Backend, entry: Known, apis: Sequence[str], corpus: Corpus
) -> Iterator[tuple[Case, Target, Record]]:
    """The first outcome of each form and check that an entry speaks of, on each API."""
    told = entry.entry
    modes = [mode for mode in listed(told.mode, backend.usual_modes) if mode in backend.usual_modes]
    for api in apis:
        left = {(form, check) for form in listed(told.form) for check in listed(told.check)}
        for case, facts in corpus:
            spelled = told.form != "spelled" or api in case.spellings
            if not left or not spelled or not predicates.holds(told.when, facts, api):
                continue
            for target in (Target(backend.name, api, mode) for mode in modes):
                for record in workers.run(case, target):
                    about = (record.form, record.check)
                    if record.outcome == "known" and record.known == told.id and about in left:
                        left.discard(about)
                        yield case, target, record


def one_of_each_sort(entries: Sequence[Known]) -> Sequence[Known]:
    """The first entry of those that tell of the same outcome of the same check."""
    first: dict[tuple[object, ...], Known] = {}
    for known in entries:
        told = known.entry
        sort = (told.expect.outcome, tuple(listed(told.check)))
        first.setdefault(sort, known)
    return list(first.values())


@pytest.mark.parametrize(("backend", "part"), PARTS)
def test_every_known_discrepancy_is_reproduced(backend: str, part: int) -> None:
    """By night each API, form and check of all entries; by day one entry of each sort."""
    (found,) = discovery.discover(names=[backend])
    night = PROFILE is NIGHTLY
    interpreters, everything = discovery.interpreters([found]), corpus()
    if not night:
        everything = [each for each in everything if each[0].fields.tier == "core"]
    registry = found.registry.at(interpreters[backend].version)
    usual = set(found.usual_modes)
    with Workers({backend: found}, interpreters) as workers:
        entries = registry.entries if night else one_of_each_sort(registry.entries)
        for entry in entries[part::SPLIT]:
            if not usual.intersection(listed(entry.entry.mode, found.usual_modes)):
                continue
            outcomes = met(workers, found, entry, listed(entry.entry.api, found.apis), everything)
            seen = list(itertools.islice(outcomes, None if night else 1))
            for case, target, record in seen:
                result = repro.reproduce(workers, case, target, record, ["repro", case.id])
                assert_reproduced(result, entry, found)
            assert seen or not (night and entry.entry.stable), f"nothing meets {entry.where}"


def assert_reproduced(result: Reproduction, entry: Known, backend: Backend) -> None:
    told = f"{result.record}\n{result.ending}\n{result.script}"
    assert result.agrees or not entry.entry.stable, told
    docstring = ast.get_docstring(ast.parse(result.script)) or ""
    assert " ".join(entry.entry.why.split()) in " ".join(docstring.split())
    assert_well_formed(result.script, result.program)
    text = repro.report(result, backend)
    for heading in HEADINGS[backend.name]:
        assert f"\n{heading}" in text


def test_no_api_is_left_out() -> None:
    found = {backend.name: backend for backend in discovery.discover()}
    assert {name: found[name].apis for name in APIS} == APIS
    assert found.keys() - APIS.keys() == {"numpy"}  # of which nothing is known


LARGE = {"shape": [2, 4, 16, 16]}
PASSING = (
    {"id": "recipe", "padding": [[1, 2], [0, 3]], "stride": 2, "bias": True, "groups": 1,
     "kernel": {"shape": [8, 4, 3, 3]}, "input": {**LARGE, "normal": {"std": 3.0}}},
    {"id": "small", "input": {"shape": [1, 4, 3, 3]}, "dilation": 1, "padding": "same"},
    {"id": "pool", "op": "max_pool", "kernel": None, "groups": None, "window": 2},
)  # fmt: skip


@pytest.mark.parametrize(("backend", "api"), TARGETS)
def test_what_passes_passes_with_its_gradients(backend: str, api: str, tmp_path: Path) -> None:
    defaults = {"op": "conv", "input": LARGE, "kernel": {"shape": [8, 2, 3, 3]}, "groups": 2}
    file = tmp_path / "passing.yaml"
    file.write_text(json.dumps({"defaults": defaults, "cases": PASSING}), encoding="utf-8")
    (found,) = discovery.discover(names=[backend])
    with Workers({backend: found}, discovery.interpreters([found])) as workers:
        for case, target in itertools.product(cases.load([file]), found.targets):
            if target.api != api:
                continue
            records = workers.run(case, target)
            last = "vjp" if found.gradients else "forward"
            passed = [r for r in records if (r.check, r.raw) == (last, "pass")]
            if passed:
                result = repro.reproduce(workers, case, target, passed[-1])
                assert result.agrees, f"{result.ending}\n{result.script}"
                assert ("expected_dx" in result.script) == found.gradients
            else:
                assert any(record.raw in ("rejected", "unsupported") for record in records)


@pytest.mark.backend("torch")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_every_dtype_passes(dtype: str, tmp_path: Path) -> None:
    entry = {"id": "real", "op": "conv", "dtype": dtype, "input": {**LARGE, "normal": {}}}
    kernel = {"shape": [2, 4, 3, 3], "normal": {"std": 0.1}}
    file = tmp_path / "real.yaml"
    file.write_text(json.dumps({"cases": [{**entry, "kernel": kernel}]}), encoding="utf-8")
    (case,) = cases.load([file])
    (found,) = discovery.discover(names=["torch"])
    with Workers({"torch": found}, discovery.interpreters([found])) as workers:
        target, record = repro.find(workers, case, found.targets, repro.Wish())
        result = repro.reproduce(workers, case, target, record)
        assert (result.record.raw, result.record.check) == ("pass", "vjp")
        assert result.agrees, result.ending
