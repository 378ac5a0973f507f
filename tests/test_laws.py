"""Laws: the oracle obeys them within their tolerance, and what disobeys is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from conformance import cases, content, oracle, reference, session
from conformance.adapter import parameters
from conformance.cases import Case
from conformance.content import ContentError
from conformance.dtypes import DTYPES, Array, cast
from conformance.laws.catalogue import LAWS, check, stated
from conformance.laws.names import WORDS, LawName
from conformance.laws.parts import questions
from conformance.laws.steps import Ask, Sides, drive
from conformance.laws.tolerance import allowed, tolerance
from conformance.request import Conv, Padding, Pool, Request
from conformance.resolve import RequestError
from conformance.runner import References
from conformance.schema import Fields
from tests.backends.planted import compute
from tests.backends.planted.semantics import chosen
from tests.law_cases import SOWN, one
from tests.strategies import integer_data, real_data, requests

NAMES: tuple[LawName, ...] = get_args(LawName)
LARGE = content.root("cases") / "laws" / "large.yaml"
SEEDS = st.integers(0, 2**16)
some = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)


def test_every_law_has_words_and_operators() -> None:
    assert set(NAMES) == set(LAWS) == set(WORDS)
    assert all(stated.ops for stated in LAWS.values())


def answer(ask: Ask) -> Array:
    """The oracle's answer, in the dtype's own values."""
    dtype = DTYPES[ask.request.dtype]
    arrays = [cast(array, dtype) for array in ask.arrays]
    if ask.cotangent is None:
        result = oracle.forward(ask.request, *arrays)
    else:
        gradients = oracle.vjp(ask.request, cast(ask.cotangent, dtype), *arrays)
        result = gradients[parameters(ask.request).index(ask.gradient)]
    assert result.shape == ask.shape
    return cast(result, dtype).astype(dtype.wide)


def fitted(name: LawName, r: Request) -> Request:
    """A request that a law is likelier to speak of."""
    ones, plain = (1,) * r.rank, Padding(((0, 0),) * r.rank)
    if isinstance(r, Pool):
        changes: dict[str, Any] = {"padding_value": None}
        if name == "pooling-is-idempotent":
            changes |= {"stride": r.window, "dilation": ones, "padding": plain, "ceil_mode": False}
        if name == "indices-point-to-maxima":
            changes |= {"op": "max_pool_indices", "padding": plain, "ceil_mode": False}
        if name == "adaptive-is-windows":
            sizes = tuple(max(size // 2, 1) for size in r.spatial)
            windows = tuple(-(-size // n) for size, n in zip(r.spatial, sizes))
            kind = "adaptive_max_pool" if r.kind == "max" else "adaptive_avg_pool"
            changes |= {"op": kind, "output_size": sizes, "window": windows, "padding": plain}
            changes |= {"stride": windows, "dilation": ones, "ceil_mode": False}
        r = replace(r, **changes)
    elif name == "pointwise-is-dense":
        r = replace(r, kernel_shape=(*r.kernel_shape[:2], *ones), padding=plain)
    elif isinstance(r, Conv) and name.startswith(("depthwise", "separable")):
        channels = max(r.channels, 2)
        shape = (r.input_shape[0], channels, *r.spatial)
        kernel = (2 * channels, 1, *r.window)
        r = replace(r, input_shape=shape, kernel_shape=kernel, groups=channels)
        r = replace(r, bias=r.bias and name.startswith("depthwise"))
    if name == "unbatched-is-batched":
        return replace(r, input_shape=(1, *r.input_shape[1:]), unbatched=True)
    return replace(r, stride=(2,) * r.rank) if name.startswith("same-strided") else r


BASE = {"max_pool_indices": "max_pool", "adaptive_max_pool": "max_pool"}
OLD = ("conv", "conv_transpose", "max_pool", "avg_pool")


@st.composite
def spoken_of(draw: st.DrawFn, name: LawName, dtypes: tuple[str, ...]) -> Request:
    """Requests that a law speaks of."""
    ops = {BASE.get(op, op) for op in LAWS[name].ops}
    r = draw(requests(ops=sorted(ops & set(OLD)), dtypes=dtypes, empty=False))
    r = fitted(name, r)
    assume(speaks_of(name, r))
    return r


def speaks_of(name: LawName, r: Request) -> bool:
    try:
        check(name, Fields(), r)
    except RequestError:
        return False
    return True


def assert_holds(sides: Sides, permitted: Array | None, dtype: str) -> None:
    own, other = (cast(side, DTYPES[dtype]) for side in sides)
    assert own.shape == other.shape
    if permitted is None:
        np.testing.assert_array_equal(own, other)
        return
    with np.errstate(invalid="ignore"):
        near = np.abs(own.astype(np.float64) - other.astype(np.float64)) <= permitted
    assert (near | (own == other) | (np.isnan(own) & np.isnan(other))).all()


@pytest.mark.parametrize("name", NAMES)
@some
@given(data=st.data(), seed=SEEDS)
def test_the_oracle_obeys_every_law_on_integers(
    name: LawName, data: st.DataObject, seed: int
) -> None:
    r = data.draw(spoken_of(name, ("float32", "float64", "float16", "int32", "int8")))
    arrays = integer_data(r, seed)
    assert_holds(drive(stated(name, r, arrays), answer), allowed(name, r, arrays), r.dtype)


@pytest.mark.parametrize("name", NAMES)
@some
@given(data=st.data(), seed=SEEDS)
def test_results_within_their_own_bounds_obey_every_law_on_reals(
    name: LawName, data: st.DataObject, seed: int
) -> None:
    r = data.draw(spoken_of(name, ("float32", "float16")))
    arrays, random = real_data(r, seed), np.random.default_rng(seed)

    def off(ask: Ask) -> Array:
        """As far from the truth as an implementation may be that rounds at each step."""
        dtype = DTYPES[r.dtype]
        cotangent = None if ask.cotangent is None else cast(ask.cotangent, dtype)
        inputs = tuple(cast(array, dtype) for array in ask.arrays)
        expected = reference.expect(ask.request, inputs, cotangent)
        found = {g.name: g for g in (expected.output, *(expected.gradients or ()))}
        wanted = found[ask.gradient or "y"]
        if wanted.allowed is None or LAWS[name].bitwise:
            return answer(ask)
        shift = wanted.allowed / reference.SAFETY * random.choice((-1, 1), wanted.exact.shape)
        return cast(wanted.exact + shift, dtype).astype(dtype.wide)

    assert_holds(drive(stated(name, r, arrays), off), allowed(name, r, arrays), r.dtype)


def test_real_data_have_a_tolerance_that_is_no_excuse() -> None:
    r = Conv((1, 4, 8, 8), Padding(((1, 1),) * 2), (1, 1), (1, 1), "float32", (6, 4, 3, 3))
    arrays = real_data(r)
    permitted = allowed("sum-over-window", r, arrays)
    assert permitted is not None
    scale = np.abs(oracle.forward(r, *arrays)).mean()
    assert 0 < permitted.max() < 1e-3 * scale
    assert allowed("sum-over-window", r, integer_data(r)) is None


def test_exact_data_need_no_oracle(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the oracle was asked")

    monkeypatch.setattr(oracle, "forward", refuse)
    monkeypatch.setattr(oracle, "vjp", refuse)
    found = cases.load([LARGE])
    session.check_goldens(found, References())
    assert all(tolerance(case).allowed is None for case in found)


def test_a_claim_of_exactness_is_checked(tmp_path: Path) -> None:
    case = one(tmp_path, exact=True, input={"shape": [1, 2, 6, 6], "normal": {}})
    with pytest.raises(ContentError, match="claimed to be exact"):
        session.check_goldens([case], References())


def holds(sides: Callable[[], Sides], permitted: Array | None, case: Case) -> bool:
    """Whether a law can be driven to its end, and holds."""
    try:
        assert_holds(sides(), permitted, case.request.dtype)
    except (AssertionError, ValueError):
        return False
    return True


@pytest.mark.parametrize("name", SOWN)
def test_planted_semantics_break_the_law(name: LawName, tmp_path: Path) -> None:
    cause, changes = SOWN[name]
    case = one(tmp_path, **{**changes, "law": name})
    arrays = case.arrays()

    def wrong(ask: Ask) -> Array:
        try:
            semantics = chosen((cause,), ask.request)
        except LookupError:
            return answer(ask)
        dtype = DTYPES[case.request.dtype]
        inputs = [cast(array, dtype) for array in ask.arrays]
        if ask.cotangent is None:
            return compute.forward(semantics, *inputs).astype(dtype.wide)
        shares = compute.vjp(semantics, cast(ask.cotangent, dtype), *inputs)
        return shares["xwb".index(ask.gradient)].astype(dtype.wide)

    permitted = allowed(name, case.request, arrays)
    assert_holds(drive(stated(name, case.request, arrays), answer), permitted, case.request.dtype)
    assert not holds(lambda: drive(stated(name, case.request, arrays), wrong), permitted, case)


@pytest.mark.parametrize("name", SOWN)
def test_the_questions_of_a_law_are_cases(name: LawName, tmp_path: Path) -> None:
    case = one(tmp_path, **{**SOWN[name][1], "law": name})
    asked: list[Ask] = []

    def note(ask: Ask) -> Array:
        asked.append(ask)
        return answer(ask)

    drive(stated(name, case.request, case.arrays()), note)
    found = questions(case)
    assert len(found) == len(asked)
    for question, ask in zip(found, asked):
        assert question.fields.law is None
        assert without_words(question.request) == without_words(ask.request)
        for mine, theirs in zip(question.arrays(), ask.arrays):
            np.testing.assert_array_equal(mine, cast(theirs, DTYPES[ask.request.dtype]))
        assert (question.cotangent is None) == (ask.cotangent is None)


def without_words(r: Request) -> Request:
    """A request whose padding is in numbers."""
    return replace(r, padding=replace(r.padding, word="explicit"))
