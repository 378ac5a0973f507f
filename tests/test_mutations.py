"""Mutated case files and registries load, or are refused in one clean sentence."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conformance import cases, content, known, predicates
from conformance.content import ContentError
from tests.profiles import PROFILE
from tests.test_bad_input import assert_clean

SMALL = 6000


def texts(files: Iterator[Path]) -> list[str]:
    found = sorted(file for file in files if file.stat().st_size <= SMALL)
    return [file.read_text(encoding="utf-8") for file in found]


CASE_FILES = texts((content.root("cases") / "tutorials").glob("*.yaml"))
MATRIX = """\
op: conv
defaults: {input: &image {shape: [1, 2, 6, 5]}, bias: true}
cases:
  - id: "{padding}-{stride}-{input.dtype}"
    kernel: {shape: [4, 2, 3, 3], normal: {mean: 0.5, std: 2, seed: 3}}
    matrix:
      padding: [same, same_lower, valid, 2, [[1, 0], [0, 2]]]
      stride: [1, [2, 3]]
      input.dtype: [float32, float64]
    exclude: [{padding: same, stride: [2, 3]}]
    spelling: {keras.layers: {padding: valid}}
  - id: special
    op: avg_pool
    input: {shape: [1, 1, 4], values: "1 2 3 4", set: [{at: [0, 0, 1], to: .nan}]}
    bias: null
    window: 2
    expect: {shape: [1, 1, 2], output: [1.5, .nan], rtol: 0.001}
    tags: [nan]
"""
REGISTRY = """\
- id: drops-padding
  api: [loops, other]
  mode: eager
  versions: ">=1.20,<99"
  when: {op: [conv, max_pool], stride: ">1", window: [2, ">=3"], padding: explicit, bias: false}
  form: [native, spelled]
  expect: {outcome: wrong-shape, because: {padding: valid}, shape: [1, 1, 2, 2]}
  kind: by-design
  why: The layer has no explicit padding.
  evidence: https://example.org/issue/1
- id: rejects
  when: {case: "tutorials/*"}
  expect: {outcome: rejected, error: "stride|dilation"}
  kind: unsupported
  why: Both at once are not supported.
  evidence: [https://example.org/2, https://example.org/3]
"""
TOKENS = (
    "0", "-1", "1", "3", "1.5", "-0.0", ".nan", ".inf", "1e-5", "0x10", "1_000", "9" * 30, "1e400",
    "99999999", "2147483648", "true", "no", "null", "~", "''", '"', "'", "[]", "{}", "[[]]",
    "[1, 2]", "{a: b}", "[", "]", "{", "}", ":", ": ", "- ", "? ", ",", "#", "|", ">", "%", "@",
    "`", "*image", "*x", "&x", "!x", "!!int ", "!!binary ", "!!set ", "<<: ", "---\n", "...\n",
    "\t", "\r", "\n", "\0", "\x07", "\x85", "\u2028", "\ufeff", "\u202e", "é", "𝔘", "２", "\ud7ff",
    " ", "2024-01-31", "12:30:45", "same", "explicit", "conv", "max_pool", "int8", "uint16",
    "bfloat16", "{stride}", "{}", "{{", ">=2", "((", "\\d{99999999999}", "*" * 10, "a" * 400,
    "[" * 40, "- " * 40,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 2**31, 2**63, 10**40, 1.5, -0.0, float("nan"), float("inf"),
    1e300, "", "1 2 3", "x", "same", "int8", "max_pool", "conv_transpose", "reflect", "{stride}",
    "é\u2028\n", "a" * 400, [], {}, [[]], [1], [1, 2], [[1, 0], [0, 2]], [1, [2]], ["x", None],
    [{}], {"shape": [1, 1, 4]}, {"a": {"b": []}}, {"values": [[[1, 2, 3]]]}, {"constant": 300},
    {"stride": 2},
)  # fmt: skip


@st.composite
def edited_text(draw: st.DrawFn, sources: list[str]) -> str:
    """A file of which some lines and characters were changed."""
    text = draw(st.sampled_from(sources))
    for _ in range(draw(st.integers(1, 4))):
        lines = text.split("\n")
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        column = draw(st.integers(0, len(line)))
        width = draw(st.sampled_from((0, 0, 1, 2, 5)))
        kind = draw(st.sampled_from(("drop", "double", "swap", "indent", "insert", "insert")))
        if kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, line)
        elif kind == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif kind == "indent":
            lines[at] = draw(st.sampled_from((" ", "  ", "\t", "- "))) + line
        else:
            new = draw(st.one_of(st.sampled_from(TOKENS), st.text(max_size=3)))
            lines[at] = line[:column] + new + line[column + width :]
        text = "\n".join(lines)
    return text


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of the data with each of its keys."""
    keys = list(data) if isinstance(data, dict) else range(len(data))
    for key in keys:
        yield data, key
        if isinstance(data[key], (dict, list)):
            yield from places(data[key])


@cache
def parsed(text: str) -> Any:
    return yaml.safe_load(text)


@st.composite
def edited_tree(draw: st.DrawFn, sources: list[str]) -> str:
    """A file of which some values were dropped, replaced or added."""
    data = copy.deepcopy(parsed(draw(st.sampled_from(sources))))
    for _ in range(draw(st.integers(1, 3))):
        there = list(places(data))
        if not there:
            break
        holder, key = there[draw(st.integers(0, len(there) - 1))]
        kind = draw(st.sampled_from(("drop", "replace", "replace", "move", "insert")))
        if kind == "drop":
            del holder[key]
        elif kind == "replace":
            holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif kind == "move":
            other, name = there[draw(st.integers(0, len(there) - 1))]
            holder[key] = copy.deepcopy(other[name])
        elif isinstance(holder, list):
            holder.insert(key, copy.deepcopy(draw(st.sampled_from(VALUES))))
        else:
            name = draw(
                st.sampled_from(("stride", "padding", "values", "matrix", "set", "x", "to"))
            )
            holder[name] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    unicode = draw(st.booleans())
    return str(yaml.dump(data, Dumper=dumper, allow_unicode=unicode, sort_keys=False))


def mutations(*sources: str) -> st.SearchStrategy[str]:
    return st.one_of(edited_text([*sources]), edited_tree([*sources]))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mutated") / "mutated.yaml"


def loaded(file: Path, text: str, load: Callable[[Path], Any]) -> Any:
    """What was loaded, or None where it was refused as it should be."""
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        return load(file)
    except ContentError as error:
        refused = error
    assert_clean(str(refused).removeprefix(content.display(file)))
    assert refused.line is None or 1 <= refused.line <= len(text.splitlines()) + 1
    return None


@PROFILE
@given(text=mutations(*CASE_FILES, MATRIX))
def test_case_files(file: Path, text: str) -> None:
    for case in loaded(file, text, lambda path: cases.load([path])) or ():
        shape = case.request.output_shape
        assert len(shape) == case.request.rank + 2
        assert min(shape) >= 0
        predicates.facts(case)
        for array, tensor in zip(case.arrays(), case.inputs):
            assert array.shape == tensor.shape
        cotangent = case.cotangent_array()
        assert cotangent is None or cotangent.shape == shape


@PROFILE
@given(text=mutations(REGISTRY))
def test_registries(file: Path, text: str) -> None:
    registry = loaded(file, text, lambda path: known.load(path, "numpy"))
    if registry is not None:
        registry.at("2.0").about(corpus()[0], "loops", "eager", "native", "forward")
        loaded(file, text, lambda _: registry.check_corpus(corpus(), ["loops", "other"], ["eager"]))


@cache
def corpus() -> list[predicates.Facts]:
    return [predicates.facts(case) for case in cases.load([content.root("cases") / "tutorials"])]


def test_sources_are_valid(file: Path) -> None:
    for text in (*CASE_FILES, MATRIX):
        file.write_text(text, encoding="utf-8")
        assert cases.load([file])
    file.write_text(REGISTRY, encoding="utf-8")
    assert known.load(file, "numpy").entries
