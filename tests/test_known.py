"""Which entries of a registry speak of an outcome, and of which version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from conformance import cases, content, known, predicates
from conformance.cases import Case
from conformance.content import ContentError
from conformance.known import Registry
from conformance.predicates import Facts, When

ENTRY: dict[str, Any] = {
    "id": "entry",
    "expect": {"outcome": "rejected"},
    "kind": "bug",
    "why": "It is a known bug.",
    "evidence": "https://example.org",
}
CASE: dict[str, Any] = {
    "id": "grouped",
    "op": "conv",
    "input": {"shape": [1, 4, 9, 8]},
    "kernel": {"shape": [6, 2, 3, 5]},
    "padding": [[1, 0], 2],
    "stride": [1, 3],
    "groups": 2,
    "bias": True,
    "tags": ["deep", "wide"],
}


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def registry(*changes: dict[str, Any]) -> Registry:
        entries = [{**ENTRY, "id": f"entry-{at}", **change} for at, change in enumerate(changes)]
        file = tmp_path / "known.yaml"
        file.write_text(yaml.safe_dump(entries), encoding="utf-8")
        return known.load(file, "mine")

    return registry


def case(tmp_path: Path, **changes: Any) -> Case:
    file = tmp_path / "case.yaml"
    fields = {name: value for name, value in {**CASE, **changes}.items() if value is not None}
    file.write_text(yaml.safe_dump({"cases": [fields]}), encoding="utf-8")
    (found,) = cases.load([file])
    return found


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    return predicates.facts(case(tmp_path))


def ids(registry: Registry) -> list[str]:
    return [entry.entry.id for entry in registry.entries]


def test_a_missing_registry_is_empty(tmp_path: Path) -> None:
    assert known.load(tmp_path / "known.yaml", "mine") == Registry("mine")


def test_entries_know_their_place(load: Any, tmp_path: Path) -> None:
    one, two = load({}, {}).entries
    assert one.where == f"{tmp_path / 'known.yaml'}:1"
    assert two.line == 1 + len(ENTRY) + 1


@pytest.mark.parametrize(
    ("version", "kept"),
    [
        ("1.9", [0]),
        ("2.0", [0, 1]),
        ("2.1.0+cpu", [0, 1, 2]),
        ("2.1.0a1", [0, 1]),
        ("3.0.dev20250101", [0, 2]),
        ("3", [0, 2]),
        ("", [0]),
        ("main-2025", [0]),
    ],
)
def test_versions(load: Any, version: str, kept: list[int]) -> None:
    registry = load({}, {"versions": ">=2.0,<3.0.dev0"}, {"versions": ">=2.1"})
    at = registry.at(version)
    assert ids(at) == [f"entry-{number}" for number in kept]
    assert at.version == version


def test_about_asks_for_everything_that_an_entry_names(load: Any, facts: Facts) -> None:
    registry = load(
        {},
        {"api": "a.b", "mode": ["jit", "eager"]},
        {"api": ["a.c", "a.d"]},
        {"check": "vjp"},
        {"form": ["native", "emulated"]},
        {"form": "spelled"},
        {"when": {"op": "max_pool"}},
    )

    def about(*question: Any) -> list[int]:
        found = registry.about(facts, *question)
        return [int(entry.entry.id.removeprefix("entry-")) for entry in found]

    assert about("a.b", "eager", "native", "forward") == [0, 1, 4]
    assert about("a.b", "compile", "native", "forward") == [0, 4]
    assert about("a.d", "eager", "native", "forward") == [0, 2, 4]
    assert about("a.b", "eager", "native", "vjp") == [3]
    assert about("a.b", "eager", "emulated", "forward") == [4]
    assert about("a.b", "eager", "spelled", "forward") == [5]


def test_facts_of_a_case(facts: Facts) -> None:
    assert set(When.model_fields) - {"spelled_padding"} <= set(facts)
    told = {
        "case": "case/grouped", "op": "conv", "rank": 2, "dtype": "float32", "padding": "explicit",
        "padded": True, "symmetric": False, "negative_padding": False, "padding_mode": "zeros",
        "stride": 3, "uniform_stride": False, "dilation": 1, "groups": 2, "depthwise": False,
        "bias": True, "output_padding": 0, "window": 5, "ceil_mode": False, "overhang": False,
        "count_include_pad": False, "wide_padding": False, "empty": False, "special": False,
        "tag": ("deep", "wide"),
    }  # fmt: skip
    assert {name: facts[name] for name in told} == told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"padding": None}, {"padding": "valid", "padded": False, "symmetric": True}),
        ({"padding": 0}, {"padding": "valid", "padded": False}),
        ({"padding": "same"}, {"padding": "same", "padded": True}),
        ({"padding": [[-1, 0], 2]}, {"negative_padding": True, "padded": True}),
        ({"padding_mode": "reflect"}, {"padding_mode": "reflect"}),
        ({"stride": [2, 2]}, {"stride": 2, "uniform_stride": True}),
        ({"kernel": {"shape": [4, 1, 3, 5]}, "groups": 4}, {"depthwise": True, "groups": 4}),
        ({"input": {"shape": [0, 4, 9, 8]}}, {"empty": True}),
        (
            {"dtype": "float16", "kernel": {"shape": [4, 2, 3, 5], "dtype": "float32"}},
            {"mixed": True, "promoted": True},
        ),
        (
            {"dtype": "float32", "kernel": {"shape": [4, 2, 3, 5], "dtype": "float16"}},
            {"mixed": True, "promoted": False},
        ),
        ({}, {"mixed": False, "promoted": False}),
        (
            {"op": "conv_transpose", "kernel": {"shape": [4, 1, 3, 5]}, "output_padding": [0, 2]},
            {"output_padding": 2, "window": 5},
        ),
        (
            {"op": "avg_pool", "window": 4, "stride": 2, "kernel": None, "bias": None,
             "groups": None, "ceil_mode": True, "count_include_pad": False, "padding": [0, 3]},
            {"ceil_mode": True, "overhang": True, "count_include_pad": False,
             "wide_padding": True, "groups": 1, "bias": False},
        ),
    ],
)  # fmt: skip
def test_facts_of_other_cases(
    tmp_path: Path, changes: dict[str, Any], told: dict[str, Any]
) -> None:
    facts = predicates.facts(case(tmp_path, **changes))
    assert {name: facts[name] for name in told} == told


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({}, True),
        ({"op": "conv"}, True),
        ({"op": ["max_pool", "conv"]}, True),
        ({"op": "max_pool"}, False),
        ({"op": "conv", "rank": 1}, False),
        ({"rank": 2, "groups": 2}, True),
        ({"stride": ">1"}, True),
        ({"stride": ">3"}, False),
        ({"stride": ">= 3"}, True),
        ({"stride": "<3"}, False),
        ({"stride": "<=3"}, True),
        ({"stride": "==3"}, True),
        ({"stride": "!=3"}, False),
        ({"stride": ["<2", ">2"]}, True),
        ({"stride": [1, 2]}, False),
        ({"output_padding": ">-1"}, True),
        ({"padding": "explicit"}, True),
        ({"padding": ["same", "valid"]}, False),
        ({"symmetric": False}, True),
        ({"bias": False}, False),
        ({"bias": None}, True),
        ({"case": "case/*"}, True),
        ({"case": "*/grouped"}, True),
        ({"case": "CASE/*"}, False),
        ({"case": "grouped"}, False),
        ({"case": ["x", "case/gr?up[a-z]d"]}, True),
        ({"tag": "deep"}, True),
        ({"tag": ["shallow", "wide"]}, True),
        ({"tag": "dee"}, False),
    ],
)
def test_predicates(facts: Facts, when: dict[str, Any], holds: bool) -> None:
    assert predicates.holds(When.model_validate(when), facts) is holds


def test_the_corpus_must_hold_what_an_entry_speaks_of(load: Any, facts: Facts) -> None:
    registry = load({"api": ["a.b"]}, {"when": {"stride": ">2"}, "mode": "eager"})
    registry.check_corpus([facts], ["a.b"], ["eager"])
    for changes, sentence in (
        ({"api": "a.c"}, "mine has no API 'a.c'; it has a.b"),
        ({"mode": ["eager", "jit"]}, "mine has no mode 'jit'; it has eager"),
        ({"when": {"stride": ">3"}}, "matches no case"),
        ({"form": "spelled"}, "matches no case"),
    ):
        with pytest.raises(ContentError, match=sentence):
            load(changes).check_corpus([facts], ["a.b"], ["eager"])


def test_a_spelled_entry_needs_a_case_that_its_api_spells(load: Any, tmp_path: Path) -> None:
    spelled = predicates.facts(case(tmp_path, spelling={"a.b": {"padding": "valid"}}))
    load({"form": "spelled"}).check_corpus([spelled], ["a.b", "a.c"], ["eager"])
    load({"form": "spelled", "api": "a.b"}).check_corpus([spelled], ["a.b", "a.c"], ["eager"])
    with pytest.raises(ContentError, match="matches no case"):
        load({"form": "spelled", "api": "a.c"}).check_corpus([spelled], ["a.b", "a.c"], ["eager"])


def test_the_registries_of_the_suite_load() -> None:
    for file in sorted(content.root("backends").glob("*/known.yaml")):
        registry = known.load(file, file.parent.name)
        assert len(set(ids(registry))) == len(registry.entries)
