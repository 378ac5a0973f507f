"""Chains: what steps mean, what the oracle makes of them, and how far from it is still right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance import cases, content, oracle, reductions, session
from conformance.cases import Case
from conformance.chains import chain as chains
from conformance.chains.chain import Chain, Step
from conformance.chains.expected import expected
from conformance.chains.oracle import answer
from conformance.chains.text import Part, Text, renamed
from conformance.content import ContentError
from conformance.dtypes import DTYPES, Array, cast
from conformance.reference import Reference
from conformance.runner import References

COMPOSITES = {case.fields.id: case for case in cases.load([content.root("cases") / "composites"])}
NETWORKS = [name for name, case in COMPOSITES.items() if "networks" in case.id]
RESIDUAL: dict[str, Any] = {
    "op": "chain",
    "input": {"shape": [1, 2, 5, 6]},
    "steps": [
        {"op": "conv", "kernel": {"shape": [4, 2, 3, 3]}, "padding": 1, "bias": True},
        "relu",
        {"op": "conv", "kernel": {"shape": [2, 4, 1, 1]}, "name": "narrow"},
        {"op": "add", "of": "input"},
        {"op": "crop", "crop": [1, [0, 2]]},
    ],
}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Case]:
    """A case of a chain from its fields; None takes one away."""

    def made(**fields: Any) -> Case:
        told = {name: value for name, value in fields.items() if value is not None}
        file = tmp_path / "chain.yaml"
        file.write_text(yaml.safe_dump({"cases": [{"id": "a", **told}]}), encoding="utf-8")
        (case,) = cases.load([file])
        return case

    return made


def chain_of(case: Case) -> Chain:
    assert case.chain is not None
    return case.chain


def test_steps_take_the_step_before_and_have_names(load: Callable[..., Case]) -> None:
    chain = chain_of(load(**RESIDUAL))
    assert [(step.name, step.of) for step in chain.steps] == [
        ("conv1", ("input",)),
        ("relu1", ("conv1",)),
        ("narrow", ("relu1",)),
        ("add1", ("narrow", "input")),
        ("crop1", ("add1",)),
    ]
    assert [step.shape for step in chain.steps[-2:]] == [(1, 2, 5, 6), (1, 2, 3, 4)]
    assert chain.names == ("x", "conv1_w", "conv1_b", "narrow_w")
    assert chain.part("conv1_b") == ("b", chain.steps[0].request)
    assert chain.part("y") == ("y", chain.steps[0].request)


@pytest.mark.parametrize("name", COMPOSITES)
def test_chains_travel_as_json(name: str) -> None:
    chain = chain_of(COMPOSITES[name])
    assert chains.from_json(chains.to_json(chain)) == chain


def test_a_prefix_takes_what_it_needs(load: Callable[..., Case]) -> None:
    chain = chain_of(COMPOSITES["edge-kernel"])
    assert chain.prefix(1).names == ("x", "conv1_w", "conv1_b")
    assert chain.prefix(2).names == chain.names == ("x", "target", "conv1_w", "conv1_b")
    assert chain.prefix(2).training is None


@pytest.mark.parametrize("name", COMPOSITES)
def test_claims_of_exactness_hold(name: str) -> None:
    case = COMPOSITES[name]
    result = expected(case)
    exact = all(each.allowed is None for each in (result.output, *(result.gradients or ())))
    assert exact == bool(case.fields.exact)
    session.check_goldens([case], References())


def test_a_claim_of_exactness_is_refused(load: Callable[..., Case]) -> None:
    fields = {**RESIDUAL, "input": {"shape": [1, 2, 5, 6], "normal": {}}, "exact": True}
    with pytest.raises(ContentError, match="claimed to be exact"):
        session.check_goldens([load(**fields)], References())


def real_maximum(load: Callable[..., Case], **more: Any) -> Case:
    steps = [
        {"op": "conv", "kernel": {"shape": [2, 2, 3, 3], "normal": {}}, "bias": True},
        {"op": "max_pool", "window": 2, "stride": 2},
        {"op": "adaptive_max_pool", "output_size": [1, 3]},
    ]
    shape = {"shape": [1, 2, 8, 8], "normal": {}}
    return load(op="chain", input=shape, steps=steps, **more)


def test_maxima_of_rounded_numbers_are_no_exact_data(load: Callable[..., Case]) -> None:
    with pytest.raises(ContentError, match="claimed to be exact, but sums in float32 are not"):
        session.check_goldens([real_maximum(load, exact=True)], References())


def test_the_gradient_of_a_maximum_of_rounded_numbers_has_a_bound(
    load: Callable[..., Case],
) -> None:
    result = expected(real_maximum(load))
    for gradient in result.gradients or ():
        assert gradient.allowed is not None
        assert 0 < gradient.allowed.max() < 1e-4 * np.abs(gradient.exact).max()


@pytest.mark.framework("torch")
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**16))
def test_gradients_of_maxima_in_float32_are_within_the_bound(
    load: Callable[..., Case], seed: int
) -> None:
    import torch
    import torch.nn.functional as F  # noqa: N812

    chain = chain_of(real_maximum(load))
    random = np.random.default_rng(seed)
    shapes = [array.shape for array in real_maximum(load).arrays()]
    arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    x, w, b = tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    y = F.adaptive_max_pool2d(F.max_pool2d(F.conv2d(x, w, b), 2), (1, 3))
    dy = random.normal(size=y.shape).astype(np.float32)
    _, gradients = answer(chain, arrays, dy)
    for mine, theirs in zip(gradients or (), torch.autograd.grad(y, tensors, torch.tensor(dy))):
        assert mine.allowed is not None
        assert (np.abs(mine.exact - theirs.numpy()) <= mine.allowed).all()


def values(chain: Chain, inputs: dict[str, Array], rounded: Callable[..., Array]) -> dict[str, Any]:
    """Every step's result in plain NumPy; ``rounded`` makes each what the dtype has."""
    found: dict[str, Any] = dict(inputs)
    found["input"] = inputs["x"]
    for step in chain.steps:
        of = [found[name] for name in step.of]
        own = [found[name] for name in step.parameters]
        if step.request is not None:
            magnitude = oracle.forward(step.request, *map(np.abs, (*of, *own)))
            exact = oracle.forward(step.request, *of, *own)
            terms = reductions.terms(step.request)["y"] + 1
            found[step.name] = rounded(exact, terms, magnitude)
        elif step.op == "relu":
            found[step.name] = np.maximum(of[0], 0)
        elif step.op == "add":
            found[step.name] = rounded(of[0] + of[1], 1, np.abs(of[0]) + np.abs(of[1]))
        elif step.op == "concatenate":
            found[step.name] = np.concatenate(of, axis=1)
        elif step.op == "crop":
            inside = (slice(low, -high or None) for low, high in step.crop)
            found[step.name] = of[0][(slice(None), slice(None), *inside)]
        else:
            found[step.name] = ((of[0] - of[1]) ** 2).sum()
    return found


def exactly(values: Array, *_: Any) -> Array:
    return values


def scalar(chain: Chain, inputs: dict[str, Array], dy: Array) -> float:
    """The output's product with the cotangent, whose gradients are the VJP."""
    return float((values(chain, inputs, exactly)[chain.steps[-1].name] * dy).sum())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_oracle_composes_steps(name: str) -> None:
    case = COMPOSITES[name]
    chain, result = chain_of(case), expected(case)
    inputs = wide(chain, result.arrays)
    final = values(chain, inputs, exactly)[chain.steps[-1].name]
    np.testing.assert_allclose(result.output.exact, final, rtol=1e-12, atol=1e-12)


def wide(chain: Chain, arrays: tuple[Array, ...]) -> dict[str, Array]:
    return {n: array.astype(np.float64) for n, array in zip(chain.names, arrays)}


@pytest.mark.parametrize("name", [*NETWORKS, "one-step"])
def test_gradients_are_slopes(name: str) -> None:
    """Where nothing is near a kink: on real data, along a random direction, for each input."""
    case, random = COMPOSITES[name], np.random.default_rng(0)
    chain = chain_of(case)
    inputs = {
        name: random.normal(size=array.shape) for name, array in zip(chain.names, case.arrays())
    }
    cotangent = case.cotangent_array()
    assert cotangent is not None
    dy = cotangent.astype(np.float64)
    gradients = slopes(chain, inputs, dy)
    for each, array in inputs.items():
        direction = random.normal(size=array.shape)
        step = 1e-6
        up, down = (
            scalar(chain, {**inputs, each: array + sign * step * direction}, dy) for sign in (1, -1)
        )
        slope = (up - down) / (2 * step)
        assert (gradients[each] * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-4)


def slopes(chain: Chain, inputs: dict[str, Array], dy: Array) -> dict[str, Array]:
    """The oracle's gradients; a maximum is sure where numbers are taken for exact."""
    from conformance.chains.oracle import traced
    from conformance.chains.running import Value

    trace = traced(chain, {name: Value(array) for name, array in inputs.items()})
    sure = {name: Value(value.values) for name, value in trace.results.items()}
    object.__setattr__(trace, "results", sure)
    shares = trace.shares(Value(dy))
    return {name: shares[name].values for name in chain.names}


@pytest.mark.framework("torch")
@pytest.mark.parametrize("name", NETWORKS)
def test_torch_agrees(name: str) -> None:
    import torch
    import torch.nn.functional as F  # noqa: N812

    case = COMPOSITES[name]
    chain, result = chain_of(case), expected(case)
    tensors = [torch.tensor(array, dtype=torch.float64) for array in result.arrays]
    for tensor in tensors:
        tensor.requires_grad_()
    found: dict[str, Any] = dict(zip(chain.names, tensors))
    found["input"] = found["x"]
    for step in chain.steps:
        found[step.name] = _in_torch(F, torch, step, found)
    output = found[chain.steps[-1].name]
    np.testing.assert_allclose(result.output.exact, output.detach().numpy(), rtol=1e-12, atol=1e-12)
    assert result.cotangent is not None
    dy = torch.tensor(result.cotangent, dtype=torch.float64)
    gradients = torch.autograd.grad(output, tensors, dy)
    for mine, theirs in zip(result.gradients or (), gradients):
        np.testing.assert_allclose(mine.exact, theirs.numpy(), rtol=1e-12, atol=1e-12)


def _in_torch(functional: Any, torch: Any, step: Step, found: dict[str, Any]) -> Any:
    of, own = [found[name] for name in step.of], [found[name] for name in step.parameters]
    r: Any = step.request
    if r is None:
        if step.op == "crop":
            inside = (slice(low, -high or None) for low, high in step.crop)
            return of[0][(slice(None), slice(None), *inside)]
        glue = {"relu": torch.relu, "add": torch.add, "concatenate": lambda *xs: torch.cat(xs, 1)}
        return glue[step.op](*of)
    if step.op.endswith("_pool"):
        return getattr(functional, f"{step.op}{r.rank}d")(of[0], r.window, r.stride)
    x, options = of[0], {"stride": r.stride, "groups": r.groups}
    if step.op == "conv":
        x = functional.pad(x, r.padding.last_axis_first)
    return getattr(functional, f"{step.op}{r.rank}d")(x, *own, **options)


RANDOM = st.integers(0, 2**16)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@settings(max_examples=25, deadline=None)
@given(seed=RANDOM)
def test_results_of_rounded_steps_are_within_the_bound(dtype: str, seed: int) -> None:
    """Each step as far off as it may be: what comes out in the end may be that far off."""
    case, random = COMPOSITES["two-convolutions-real"], np.random.default_rng(seed)
    small = chain_of(case)
    chain = chains.from_json({**chains.to_json(small), "dtype": dtype})
    arrays = tuple(cast(a.astype(np.float64), DTYPES[dtype]) for a in case.arrays())
    output, _ = answer(chain, arrays, None)
    kind = DTYPES[dtype]

    def off(exact: Array, terms: int, magnitude: Array) -> Array:
        shift = random.uniform(-1, 1, exact.shape) * terms * kind.unit_roundoff * magnitude
        return cast(exact + shift, kind).astype(np.float64)

    final = values(chain, wide(chain, arrays), off)[chain.steps[-1].name]
    assert output.allowed is not None
    assert (np.abs(final - output.exact) <= output.allowed).all()
    largest = np.abs(output.exact).max()
    assert output.allowed.max() < {"float32": 0.1, "float16": 5}[dtype] * largest


class TestTraining:
    def test_the_exact_descent_halves_the_rest(self) -> None:
        losses, kernel, bias = self.references("edge-kernel-exact")
        rest = 0.5 ** np.arange(1, 21)
        np.testing.assert_array_equal(kernel.exact[:, 0, 0, 0, 0], 1 + rest)
        np.testing.assert_array_equal(kernel.exact[:, 0, 0, 0, 1], -1 + 2 * rest)
        np.testing.assert_array_equal(bias.exact[:, 0], rest)
        np.testing.assert_array_equal(losses.exact, 96 * (2 * rest) ** 2)
        assert losses.allowed is kernel.allowed is bias.allowed is None

    def references(self, name: str) -> Iterator[Reference]:
        result = expected(COMPOSITES[name])
        assert [each.name for each in result.gradients or ()] == [
            "losses", "trajectory of conv1_w", "trajectory of conv1_b",
        ]  # fmt: skip
        yield from result.gradients or ()

    def descent(self, rate: float = 0.01, kind: Any = np.float32) -> tuple[list[Any], ...]:
        """The tutorial's loop, in plain NumPy of a dtype."""
        x, y, w, b = (array.astype(kind) for array in COMPOSITES["edge-kernel"].arrays())
        told: tuple[list[Any], ...] = ([], [], [])
        for _ in range(20):
            off = w[..., 0] * x[..., :-1] + w[..., 1] * x[..., 1:] + b - y
            told[0].append((off**2).sum())
            dw = np.array([(2 * off * x[..., :-1]).sum(), (2 * off * x[..., 1:]).sum()], kind)
            w = w - kind(rate) * dw.reshape(w.shape)
            b = b - kind(rate) * (2 * off).sum()
            told[1].append(w)
            told[2].append(b)
        return told

    def test_the_tutorials_descent_is_the_oracles(self) -> None:
        rate = float(np.float32(0.01))
        for reference, listed in zip(
            self.references("edge-kernel"), self.descent(rate, np.float64)
        ):
            np.testing.assert_allclose(reference.exact, np.array(listed), rtol=1e-12, atol=1e-14)

    def test_float32_is_within_the_bound(self) -> None:
        for reference, listed in zip(self.references("edge-kernel"), self.descent()):
            assert reference.allowed is not None
            assert (np.abs(np.array(listed) - reference.exact) <= reference.allowed).all()

    def test_the_bound_is_no_excuse(self) -> None:
        losses, kernel, bias = self.references("edge-kernel")
        for reference in (kernel, bias):
            assert reference.allowed is not None
            assert reference.allowed.max() < 2e-3
        for reference, listed in zip((losses, kernel, bias), self.descent(0.0101)):
            assert reference.allowed is not None
            assert (np.abs(np.array(listed) - reference.exact) > reference.allowed).any()

    def test_it_learns_the_edge(self) -> None:
        losses, kernel, _ = self.references("edge-kernel")
        assert losses.exact[-1] < 0.05 * losses.exact[0]
        assert np.abs(kernel.exact[-1].reshape(-1) - [1, -1]).max() < 0.2


FIRST = """\
import math
from lib import one

layer = one.Layer(2)


def helper(x):
    return math.sqrt(x)


def forward(x, w):
    return helper(layer(x, layer=w)) + one.layer
"""


def test_parts_become_functions_of_one_text() -> None:
    text = Text()
    text.add(Part("first", FIRST))
    text.add(Part("second", FIRST.replace("Layer(2)", "Layer(3)").replace("one\n", "two, one\n")))
    text.add(Part("third", FIRST.replace("math.sqrt", "math.exp")))
    source = text.program("def forward(x):\n    return first(x)")
    compile(source, "text", "exec")
    assert source.startswith(
        "import math\nfrom lib import one, two\n\nfirst_layer = one.Layer(2)\n"
    )
    assert source.count("def helper(") == 1
    assert "def third_helper(x):\n    return math.exp(x)\n" in source
    assert "def first(x, w):\n    return helper(first_layer(x, layer=w)) + one.layer\n" in source
    assert "second_layer = one.Layer(3)\n" in source
    assert source.endswith("\n\n\ndef forward(x):\n    return first(x)\n")


def test_renaming_leaves_attributes_and_keywords() -> None:
    text = "f(a, a=a, b={a: x.a})  # a\na = 'a'\n"
    assert renamed(text, {"a": "z"}) == "f(z, a=z, b={z: x.a})  # a\nz = 'a'\n"
