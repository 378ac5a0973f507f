"""Discrepancies by cause: what the summary says, and the commands that it offers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from conformance import cases, content, grouping, selection, summary
from conformance.compare import Difference
from conformance.explanation import Explanation
from conformance.records import Failed, Record

WRONG = Difference("y", (1, 1, 2, 2), (1, 1, 2, 1), "float32", "float32")
DROPPED = Explanation(
    "padding-dropped",
    "equals the request with padding (0, 0) instead of (0, 1): the width padding was dropped",
    ({"cause": "padding-dropped", "padding": [None, [0, 0]]},),
)
PLAIN = Record("a/b/one", "mine", "mine.api", "eager", "native", "forward", "pass", "pass")
SHAPE = replace(
    PLAIN, outcome="wrong-shape", raw="wrong-shape", difference=WRONG, explanation=DROPPED
)


def refused(text: str, **changes: Any) -> Record:
    error = Failed("RuntimeError", text)
    told = Explanation(f"rejected: RuntimeError: {text}", f"the framework refuses: {text}")
    record = replace(PLAIN, outcome="rejected", raw="rejected", error=error, explanation=told)
    return replace(record, **changes)


def shown(*records: Record, width: int = 160) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    summary.show(console, records, (), {})
    return console.export_text()


def test_one_cause_on_many_targets_is_one_line_and_comes_first() -> None:
    records = [
        refused("no"),
        *(replace(SHAPE, api=f"mine.{name}", case=f"a/b/{name}") for name in ("x", "y", "z")),
        replace(SHAPE, case="a/b/x", api="mine.x", check="vjp"),
        PLAIN,
    ]
    first, second = grouping.grouped(records, {})
    assert (first.cause, first.targets, first.cases) == ("padding-dropped", 3, 3)
    assert first.sentence == "padding (0, 0) instead of (0, 1): the width padding was dropped"
    assert (second.cause, second.targets) == ("rejected: RuntimeError: no", 1)
    text = shown(*records)
    assert "5 unexpected, 2 causes:" in text
    (line,) = [line for line in text.splitlines() if "conformance repro a/b/x" in line]
    assert line.split()[:4] == ["new", "3", "3", "padding-dropped"]


def test_what_is_known_and_what_is_new_are_apart() -> None:
    known = replace(SHAPE, outcome="known", known="entry", case="a/b/two")
    groups = grouping.grouped([SHAPE, known], {})
    assert sorted((group.cause, group.unexpected) for group in groups) == [
        ("padding-dropped", False),
        ("padding-dropped", True),
    ]
    text = shown(SHAPE, known)
    assert "1 known discrepancy, by cause:" in text
    assert "1 unexpected, 1 cause:" in text


def test_a_known_refusal_goes_by_its_entry() -> None:
    known = refused("no padding of 3", outcome="known", known="no-padding")
    other = refused("no padding of 4", outcome="known", known="no-padding", case="a/b/two")
    (group,) = grouping.grouped([known, other], {})
    assert (group.cause, group.cases) == ("no-padding", 2)


@pytest.mark.parametrize(
    ("record", "others", "options"),
    [
        (SHAPE, (), ""),
        (replace(SHAPE, form="emulated"), (refused("no"),), " --form emulated"),
        (replace(SHAPE, check="vjp"), (refused("no"),), " --form native --check vjp"),
    ],
)
def test_the_command_names_what_is_not_taken_of_itself(
    record: Record, others: tuple[Record, ...], options: str
) -> None:
    groups = {group.cause: group for group in grouping.grouped([*others, record], {})}
    command = grouping.repro_command(groups["padding-dropped"])
    assert command == f"conformance repro a/b/one --target mine/mine.api/eager{options}"


@pytest.mark.parametrize("width", [60, 80, 100, 160, 250])
def test_a_command_is_never_cut(width: int) -> None:
    text = shown(replace(SHAPE, case="long/" * 8 + "name"), width=width)
    joined = "".join(text.split())
    assert "conformancerepro" + "long/" * 8 + "name--targetmine/mine.api/eager" in joined


def test_the_short_name_of_every_case_finds_it() -> None:
    corpus = cases.load([content.root("cases")])
    names = selection.names(corpus)
    assert len(set(names.values())) == len(corpus)
    for case in corpus[::7]:
        assert selection.find(corpus, names[case.id]) is case


def test_a_case_of_another_file_goes_by_its_file(tmp_path: Any) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "op: max_pool\ncases:\n  - {id: one, input: {shape: [1, 1, 4]}, window: 2}\n",
        encoding="utf-8",
    )
    (case,) = cases.load([file])
    assert selection.names([case])[case.id] == f"{content.display(file)}::one"
    assert selection.named(selection.argument(case)).id == case.id
