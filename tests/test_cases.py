"""From YAML to cases: defaults, matrix, ids, spellings, the JSON Schema, and the data."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conformance import cases, content, describe, document, predicates, reference, request, schema
from conformance.cases import Case
from conformance.data import TensorData
from conformance.dtypes import DTYPES
from conformance.known import RegistryFile
from conformance.request import Conv, Pool, Request
from conformance.schema import CaseFile
from tests.profiles import PROFILE
from tests.support import HERE


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Load the text of a file named ``file.yaml``."""

    def from_text(text: str) -> list[Case]:
        file = tmp_path / "file.yaml"
        file.write_text(text, encoding="utf-8")
        return cases.load([file])

    return from_text


def conv(case: Case) -> Conv:
    assert isinstance(case.request, Conv)
    return case.request


HEAD = """\
op: conv
defaults: {input: {shape: [1, 4, 9, 8]}, kernel: {shape: [6, 4, 3, 2]}, stride: 2}
cases:
"""


def test_what_a_case_does_not_say_has_a_default(load: Any) -> None:
    (case,) = load(
        "cases: [{id: a, op: conv, input: {shape: [1, 2, 5]}, kernel: {shape: [3, 2, 2]}}]"
    )
    r = conv(case)
    assert case.id == "file/a"
    assert case.line == 1
    assert (r.stride, r.dilation, r.groups, r.bias, r.dtype) == ((1,), (1,), 1, False, "float32")
    assert (r.padding.pairs, r.padding.word, r.padding.mode) == (((0, 0),), "explicit", "zeros")
    assert r.output_shape == (1, 3, 4)
    assert case.fields.tier == "core"
    assert case.cotangent is not None
    assert not case.spellings


def test_pooling_steps_by_its_window(load: Any) -> None:
    (case,) = load("cases: [{id: a, op: max_pool, input: {shape: [1, 2, 6, 6]}, window: [2, 3]}]")
    assert isinstance(case.request, Pool)
    assert case.request.stride == (2, 3)
    assert case.request.count_include_pad
    assert not case.request.ceil_mode


def test_a_case_overrides_the_defaults_of_its_file(load: Any) -> None:
    one, two, three = load(
        HEAD
        + "  - {id: a}\n"
        + "  - {id: b, stride: [1, 3], input: {shape: [2, 4, 4, 4], dtype: float64}}\n"
        + "  - {id: c, stride: null}\n"
    )
    assert (conv(one).stride, conv(two).stride, conv(three).stride) == ((2, 2), (1, 3), (1, 1))
    assert two.request.input_shape == (2, 4, 4, 4)
    assert two.request.dtype == "float64"
    assert [case.line for case in (one, two, three)] == [4, 5, 6]


def test_the_source_of_the_file_is_that_of_its_cases(load: Any) -> None:
    one, two = load("source: book\n" + HEAD + "  - {id: a}\n  - {id: b, source: blog}\n")
    assert (one.fields.source, two.fields.source) == ("book", "blog")


def test_a_matrix_is_the_product_of_its_lists(load: Any) -> None:
    found = load(
        HEAD
        + """\
  - id: "{padding}-{stride}-{bias}"
    matrix:
      padding: [same, 2, [0, 1], [[1, 0], [0, 2]]]
      stride: [1, [2, 3]]
      bias: [true, false]
    exclude: [{padding: same, stride: [2, 3]}, {padding: 2, bias: true}]
"""
    )
    ids = [case.id.removeprefix("file/") for case in found]
    assert len(ids) == 4 * 2 * 2 - 2 - 2
    assert ids[:3] == ["same-1-true", "same-1-false", "2-1-false"]
    assert "0x1-2x3-true" in ids
    assert "1+0x0+2-2x3-false" in ids
    by_id = dict(zip(ids, found))
    assert by_id["1+0x0+2-2x3-false"].request.padding.pairs == ((1, 0), (0, 2))
    assert by_id["same-1-true"].request.padding.word == "same"
    assert {case.line for case in found} == {4}


def test_dotted_keys_reach_into_tensors(load: Any) -> None:
    found = load(
        HEAD
        + """\
  - id: "{input.dtype}-{kernel.shape}"
    matrix: {input.dtype: [float64, int8], kernel.shape: [[1, 4, 3, 3], [2, 4, 1, 1]]}
"""
    )
    assert [case.id for case in found] == [
        "file/float64-1x4x3x3", "file/float64-2x4x1x1", "file/int8-1x4x3x3", "file/int8-2x4x1x1",
    ]  # fmt: skip
    assert [case.request.dtype for case in found] == ["float64", "float64", "int8", "int8"]
    assert found[0].request.input_shape == (1, 4, 9, 8)
    assert [conv(case).kernel_shape[0] for case in found] == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("value", "slug"),
    [("[1, 2]", "1x2"), ("[[0, -1], 2]", "0+-1x2"), ("-3", "-3"), ("true", "true"), ("1", "1")],
)
def test_slugs(load: Any, value: str, slug: str) -> None:
    (case, *_) = load(
        "cases: [{id: 'p{padding}b{bias}', op: conv, input: {shape: [1, 2, 9, 9]}, "
        "kernel: {shape: [3, 2, 2, 2]}, "
        + (
            f"matrix: {{padding: [0], bias: [{value}]}}}}]"
            if value == "true"
            else f"matrix: {{padding: [{value}], bias: [false]}}}}]"
        )
    )
    assert case.id == ("file/p0btrue" if value == "true" else f"file/p{slug}bfalse")


def test_ids_are_relative_to_the_folder(tmp_path: Path) -> None:
    text = "cases: [{id: a, op: max_pool, input: {shape: [1, 1, 4]}, window: 2}]"
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("z.yaml", "deep/er/y.yaml", "deep/x.yaml"):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "deep" / "note.txt").write_text("no case file", encoding="utf-8")
    ids = ["deep/er/y/a", "deep/x/a", "z/a"]
    assert [case.id for case in cases.load([tmp_path])] == ids
    assert [case.id for case in cases.load([tmp_path / "deep"])] == ["er/y/a", "x/a"]
    assert [case.id for case in cases.load([tmp_path / "deep" / "x.yaml"])] == ["x/a"]
    assert [case.id for case in cases.load([tmp_path / "deep"], tmp_path)] == ids[:2]
    assert [case.id for case in cases.load([tmp_path, tmp_path / "z.yaml"])] == ids


def test_single_cases_of_a_matrix_are_in_core(load: Any) -> None:
    text = "  - {id: 'a-{stride}', matrix: {stride: [1, 2, 3]}, tier: full}\ncore: [a-2]\n"
    assert [case.fields.tier for case in load(HEAD + text)] == ["full", "core", "full"]


def test_tiers_tags_and_notes_are_kept(load: Any) -> None:
    one, two = load(HEAD + "  - {id: a, tier: full, tags: [slow], note: Why.}\n  - {id: b}\n")
    assert (one.fields.tier, one.fields.tags, one.fields.note) == ("full", ["slow"], "Why.")
    assert (two.fields.tier, two.fields.tags, two.fields.note) == ("core", [], None)


def test_a_spelling_is_a_request_of_its_own(load: Any) -> None:
    (case,) = load(
        HEAD + "  - {id: a, padding: [0, 1], spelling: {keras.layers: {padding: same, stride: 1}}}"
    )
    spelled = case.spellings["keras.layers"]
    assert case.request.padding.pairs == ((0, 0), (1, 1))
    assert conv(case).stride == (2, 2)
    assert spelled.padding.word == "same"
    assert spelled.stride == (1, 1)
    assert spelled.input_shape == case.request.input_shape


def test_a_spelling_may_flip_the_kernel(load: Any) -> None:
    (case,) = load(HEAD + "  - {id: a, spelling: {scipy.signal: {flipped: true}}}")
    spelled = case.spellings["scipy.signal"]
    assert not conv(case).flipped
    assert spelled == dataclasses.replace(conv(case), flipped=True)
    assert describe.request(spelled).partition(" → ")[0].endswith("kernel flipped")
    assert request.from_json(request.to_json(spelled)) == spelled


@pytest.mark.parametrize("word", ["same", "same_lower", "valid"])
def test_words_become_numbers(load: Any, word: str) -> None:
    (case,) = load(HEAD + f"  - {{id: a, padding: {word}}}")
    pairs = {
        "same": ((1, 1), (0, 0)),
        "same_lower": ((1, 1), (0, 0)),
        "valid": ((0, 0), (0, 0)),
    }[word]
    assert case.request.padding.pairs == pairs
    assert case.request.padding.word == word


SCHEMAS = {model: model.model_json_schema() for model in (CaseFile, RegistryFile)}


def schema_errors(model: Any, file: Path) -> list[str]:
    data = document.read_yaml(file).data
    validator = jsonschema.Draft202012Validator(SCHEMAS[model])
    return [error.message for error in validator.iter_errors(data)]


def test_the_json_schemas_are_schemas() -> None:
    for published in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(published)


def test_case_files_fit_the_json_schema() -> None:
    found = sorted(content.root("cases").rglob("*.yaml"))
    assert found
    assert {file: errors for file in found if (errors := schema_errors(CaseFile, file))} == {}


def test_registries_fit_the_json_schema() -> None:
    found = sorted(content.root("backends").glob("*/known.yaml"))
    assert {file: errors for file in found if (errors := schema_errors(RegistryFile, file))} == {}


MISFITS = [
    "unknown-case-key", "unknown-top-level-key", "unknown-tensor-key", "unknown-expect-key",
    "unknown-spelling-key", "padding-word", "padding-triples", "stride-zero", "stride-as-text",
    "flipped-outside-of-a-spelling", "window-negative", "missing-id", "no-cases", "empty-cases",
    "unknown-op",
    "bias-as-number", "exact-false", "matrix-empty-list", "shape-with-minus-one", "std-zero",
]  # fmt: skip


@pytest.mark.parametrize("name", MISFITS)
def test_mistakes_do_not_fit_the_json_schema(name: str) -> None:
    file = HERE / "malformed" / "cases" / f"{name}.yaml"
    if file.exists():
        assert schema_errors(CaseFile, file)


@pytest.mark.parametrize("name", ["unknown-key", "unknown-when-key", "bad-kind", "missing-why"])
def test_mistakes_do_not_fit_the_json_schema_of_registries(name: str) -> None:
    assert schema_errors(RegistryFile, HERE / "malformed" / "known" / f"{name}.yaml")


def tensor(load: Any, text: str, dtype: str = "float32") -> TensorData:
    (case,) = load(
        f"cases: [{{id: a, op: max_pool, window: 1, dtype: {dtype}, input: {{{text}}}}}]"
    )
    found: TensorData = case.inputs[0]
    return found


def array(load: Any, text: str, dtype: str = "float32") -> Any:
    (case,) = load(
        f"cases: [{{id: a, op: max_pool, window: 1, dtype: {dtype}, input: {{{text}}}}}]"
    )
    (first,), (second,) = case.arrays(), case.arrays()
    assert first.dtype == DTYPES[dtype].carrier
    np.testing.assert_array_equal(first, second)
    return first


def test_values_are_lists_or_a_string(load: Any) -> None:
    wanted = np.array([[[1, -2, 3.5]]], np.float32)
    np.testing.assert_array_equal(array(load, "values: [[[1, -2, 3.5]]]"), wanted)
    text = "shape: [1, 1, 3], values: '1 -2 3.5'"
    np.testing.assert_array_equal(array(load, text), wanted)
    assert array(load, "values: [[[]]]").shape == (1, 1, 0)


def test_special_values(load: Any) -> None:
    found = array(load, "values: [[[.nan, .inf, -.inf, -0.0]]]").reshape(-1)
    assert np.isnan(found[0])
    assert list(found[1:3]) == [math.inf, -math.inf]
    assert np.signbit(found[3])
    assert np.isnan(array(load, "shape: [1, 1, 2], constant: .nan")).all()
    text = (
        "shape: [1, 1, 3], constant: 0, set: [{at: [0, 0, 1], to: -.inf}, {at: [0, 0, 2], to: 7}]"
    )
    assert array(load, text).reshape(-1).tolist() == [0, -math.inf, 7]


def test_special_values_are_facts(load: Any) -> None:
    text = "shape: [1, 1, 3], set: [{at: [0, 0, 1], to: .nan}]"
    for data, special in ((text, True), ("shape: [1, 1, 3]", False), ("values: [[[.inf]]]", True)):
        (case,) = load(f"cases: [{{id: a, op: max_pool, window: 1, input: {{{data}}}}}]")
        assert predicates.facts(case)["special"] is special


@pytest.mark.parametrize("dtype", ["float32", "int16", "bfloat16"])
def test_arange_and_constant(load: Any, dtype: str) -> None:
    assert array(load, "shape: [1, 2, 2], arange: true", dtype).reshape(-1).tolist() == [0, 1, 2, 3]
    stepped = array(load, "shape: [1, 2, 2], arange: {start: 5, step: -2}", dtype)
    assert stepped.reshape(-1).tolist() == [5, 3, 1, -1]
    assert array(load, "shape: [1, 2, 2], constant: -3", dtype).reshape(-1).tolist() == [-3] * 4


def test_integers_hold_both_ends(load: Any) -> None:
    found = array(load, "shape: [1, 1, 500], integers: {low: -2, high: 3}", "int8")
    assert sorted(set(found.reshape(-1).tolist())) == [-2, -1, 0, 1, 2, 3]
    other = array(load, "shape: [1, 1, 500], integers: {low: -2, high: 3, seed: 9}", "int8")
    assert not np.array_equal(found, other)


def test_extremes_of_the_dtypes(load: Any) -> None:
    for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint16"):
        limits = np.iinfo(dtype)
        text = f"values: [[[{limits.min}, {limits.max}]]]"
        assert array(load, text, dtype).reshape(-1).tolist() == [limits.min, limits.max]


def test_normal_data_are_seeded(load: Any) -> None:
    one = array(load, "shape: [1, 1, 1000], normal: {mean: 5, std: 0.5}")
    assert abs(float(one.mean()) - 5) < 0.1
    assert abs(float(one.std()) - 0.5) < 0.1
    assert not np.array_equal(one, array(load, "shape: [1, 1, 1000], normal: {seed: 1}"))


def test_max_pooling_sees_no_ties_by_default(load: Any) -> None:
    for dtype in ("float32", "int16", "uint16"):
        found = array(load, "shape: [2, 3, 5, 5]", dtype)
        assert len(np.unique(found)) == found.size


@st.composite
def requested(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of a convolution of any dtype, small or with long sums."""
    dtype = draw(st.sampled_from(["float64", "float32", "float16", "bfloat16", "int8", "int32"]))
    rank = draw(st.integers(1, 2))
    groups, each, outs = draw(st.sampled_from([1, 2])), draw(st.integers(1, 6)), 2
    sizes = [draw(st.integers(3, 12)) for _ in range(rank)]
    window = [draw(st.integers(1, 3)) for _ in range(rank)]
    op = draw(st.sampled_from(["conv", "conv_transpose", "max_pool"]))
    fields: dict[str, Any] = {
        "id": "a",
        "op": op,
        "dtype": dtype,
        "input": {"shape": [draw(st.integers(1, 3)), groups * each, *sizes]},
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.sampled_from(["same", "valid"])),
    }
    if op == "max_pool":
        return {**fields, "window": window}
    kernel = [groups * outs, each] if op == "conv" else [groups * each, outs]
    fields["kernel"] = {"shape": [*kernel, *window]}
    return {**fields, "groups": groups, "bias": draw(st.booleans())}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn") / "drawn.yaml"


def longest(request: Request) -> int:
    from conformance import reductions

    return max(reductions.terms(request).values())


@PROFILE
@given(fields=requested())
def test_default_data_are_exact_and_the_same_every_time(file: Path, fields: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump({"cases": [fields]}), encoding="utf-8")
    (one,), (two,) = cases.load([file]), cases.load([file])
    for left, right in zip(one.arrays(), two.arrays()):
        np.testing.assert_array_equal(left, right)
    found = reference.expected(one)
    assert found.output.allowed is None
    dtype = DTYPES[one.request.dtype]
    if not dtype.floating:
        assert found.gradients is None
    # The narrowest floats have no room for long sums even of ones.
    elif longest(one.request) < dtype.exact_limit:
        assert found.gradients is not None
        assert all(gradient.allowed is None for gradient in found.gradients)
    if dtype.floating:
        np.testing.assert_array_equal(found.output.exact, found.output.values.astype(np.float64))


def test_every_field_of_a_case_is_in_the_json_schema() -> None:
    published = SCHEMAS[CaseFile]["$defs"]["Entry"]["properties"]
    assert set(published) == set(schema.Entry.model_fields)
