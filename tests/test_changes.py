"""Changes by cause: what a line of them says, in each format."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from conformance import changes, cli, diff, known, results
from conformance.changes import Changed
from conformance.diff import Diff
from conformance.formats import documents, markdown, terminal
from conformance.records import Failed, Record
from conformance.results import Results
from tests.run_builders import (
    CRASH,
    IDLE,
    JAX,
    KNOWN,
    ON_JAX,
    PASS,
    REFUSED,
    STALE,
    TORCH,
    WRONG,
    run,
)


def compared(before: Results, after: Results) -> tuple[Diff, list[Changed]]:
    found = diff.diff(before, after)
    return found, changes.grouped(found)


def case(record: Record, name: str) -> Record:
    return replace(record, case=f"a/b/{name}")


def test_one_cause_is_one_line_and_what_is_worse_comes_first() -> None:
    before = run(*(case(PASS, n) for n in "xy"), case(WRONG, "z"), case(CRASH, "u"))
    after = run(*(case(WRONG, n) for n in "xy"), case(PASS, "z"), case(WRONG, "u"))
    _, groups = compared(before, after)
    told = [(each.title, each.cause, len(each.changes), each.worse) for each in groups]
    assert told == [
        ("new", "padding-dropped", 2, True),
        ("changed", "padding-dropped", 1, False),
        ("fixed", "padding-dropped", 1, False),
    ]
    sentence = "pass → wrong-value; padding 0 instead of 1: the padding was dropped"
    assert groups[0].sentence == sentence
    assert changes.command(groups[0]) == "conformance repro a/b/x --target torch/torch.nn/eager"


def test_changes_for_the_worse_are_apart_from_others() -> None:
    before = run(case(PASS, "x"), case(REFUSED, "y"))
    after = run(case(KNOWN, "x"), case(replace(REFUSED, explanation=WRONG.explanation), "y"))
    _, groups = compared(before, after)
    assert [(each.title, each.worse) for each in groups] == [
        ("changed, worse", True),
        ("changed", False),
    ]
    told = changes.command(groups[0])
    assert told == "conformance repro a/b/x --target torch/torch.nn/eager --form native"


def test_the_kind_is_that_of_the_registry(tmp_path: Path) -> None:
    file = tmp_path / "known.yaml"
    file.write_text(
        "- {id: entry, expect: {outcome: wrong-value}, kind: numerical,\n"
        "   why: a reason of ten letters, evidence: 'https://example.org'}\n",
        encoding="utf-8",
    )
    entries = {("torch", "entry"): known.load(file, "torch").entries[0]}
    (each,) = changes.grouped(diff.diff(run(PASS), run(KNOWN)), entries)
    assert each.group.kind == "numerical"


def test_what_did_not_run_is_grouped_by_its_reason() -> None:
    missing = replace(JAX, version="", problem="no results were given\nnor asked for")
    before = run(PASS, ON_JAX, replace(ON_JAX, check="vjp"))
    _, groups = compared(before, run(IDLE, backends=(TORCH, missing)))
    assert {(each.title, each.cause, len(each.changes)) for each in groups} == {
        ("not run any more", "torch: torch is not installed here", 1),
        ("not run any more", "jax: no results were given", 2),
    }
    assert [changes.command(each) for each in groups] == ["", ""]
    assert {each.sentence for each in groups} == {"pass → not-run"}


def test_a_stale_entry_has_no_script() -> None:
    _, (each,) = compared(run(KNOWN), run(STALE))
    assert (each.title, each.worse, changes.command(each)) == ("stale entry", True, "")


def test_what_a_registry_took_over_is_not_called_fixed() -> None:
    found, groups = compared(
        run(case(WRONG, "x"), case(WRONG, "y"), case(STALE, "z")),
        run(case(KNOWN, "x"), case(PASS, "y"), case(KNOWN, "z")),
    )
    told = [(each.title, each.kind, each.example.record.case, each.worse) for each in groups]
    assert told == [
        ("changed, worse", "changed", "a/b/z", True),
        ("fixed", "fixed", "a/b/y", False),
        ("registered", "fixed", "a/b/x", False),
    ]
    sentence = "1 regression, 1 cause; 1 fixed; 1 registered"
    assert changes.conclusion(found, groups) == sentence


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (run(PASS), run(PASS), "no regression"),
        (run(PASS), run(WRONG), "1 regression, 1 cause"),
        (run(WRONG), run(PASS), "no regression; 1 fixed"),
        (run(PASS), run(PASS, complete=False), "no regression; the later run was interrupted"),
    ],
)
def test_conclusion(before: Results, after: Results, sentence: str) -> None:
    assert changes.conclusion(*compared(before, after)) == sentence


def shown(found: Diff, groups: list[Changed], width: int = 200) -> str:
    stream = io.StringIO()
    terminal.show(Console(file=stream, width=width), found, groups)
    return stream.getvalue()


def test_versions_and_causes_on_the_terminal() -> None:
    newer = replace(TORCH, version="2.1")
    missing = replace(JAX, problem="broken")
    before = run(PASS, case(PASS, "gone"))
    after = run(WRONG, backends=(newer, missing), suite="2")
    found, groups = compared(before, after)
    text = shown(found, groups)
    assert "  torch 2.0 → 2.1\n" in text
    assert "  jax 0.4 → missing\n" in text
    assert "1 outcome in both; suite 1 → 2" in text
    assert "conformance repro a/b/one --target torch/torch.nn/eager" in text
    assert "the new run is without the case  pass → absent: a/b/gone on torch/torch.nn" in text
    line = "  a/b/one  torch/torch.nn/eager  pass → wrong-value: 1 of 1 values of the output differ"
    assert line in text
    assert text.endswith("\n1 regression, 1 cause\n")


@pytest.mark.parametrize("width", [60, 100, 250])
def test_a_command_of_a_change_is_never_cut(width: int) -> None:
    name = "long/" * 8 + "name"
    text = shown(*compared(run(replace(PASS, case=name)), run(replace(WRONG, case=name))), width)
    assert f"conformancerepro{name}--targettorch/torch.nn/eager" in "".join(text.split())


def test_many_regressions_are_counted() -> None:
    before = run(*(case(PASS, str(at)) for at in range(100)))
    after = run(*(case(WRONG, str(at)) for at in range(100)))
    text = shown(*compared(before, after))
    assert text.count("a/b/") == 41
    assert "… and 60 more" in text


def test_hostile_text_stays_text_in_markdown() -> None:
    evil = "<img src=x> | **bold** `code` [a](b)\n# head \x1b[31mred\x1b[0m \x00"
    refused = replace(REFUSED, error=Failed("Error", evil), explanation=None, case="a/b/`|<b>")
    found, groups = compared(run(replace(refused, outcome="pass", raw="pass")), run(refused))
    text = markdown.differences(found, groups)
    (row,) = [line for line in text.splitlines() if "a/b/" in line]
    assert row.count("|") - row.count("\\|") == 6
    assert "<img" not in text
    assert "\x1b" not in text
    assert "\x00" not in text
    assert "\n# head" not in text


def printed_schema(of: str) -> Mapping[str, Any]:
    done = CliRunner().invoke(cli.main, ["schema", f"--{of}"])
    schema: dict[str, Any] = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


def test_json_is_what_the_schema_says() -> None:
    before = run(PASS, ON_JAX, case(WRONG, "x"), case(KNOWN, "y"))
    after = run(WRONG, case(PASS, "x"), case(STALE, "z"), backends=(TORCH,))
    found, groups = compared(before, after)
    told = json.loads(documents.differences(found, groups))
    schema = printed_schema("diff")
    jsonschema.validate(told, schema, jsonschema.Draft202012Validator)
    assert schema["$id"] == "urn:conformance:diff:1"
    assert (told["version"], told["regressed"], told["compared"]) == (1, True, 2)
    assert told["counts"]["new"] == 2
    assert [each["kind"] for each in told["changes"]] == [each.kind for each in found.changes]
    del told["causes"][0]["command"]
    with pytest.raises(jsonschema.ValidationError, match="command"):
        jsonschema.validate(told, schema, jsonschema.Draft202012Validator)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, arguments)])


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [(PASS, PASS, 0), (WRONG, PASS, 0), (WRONG, WRONG, 0), (PASS, WRONG, 1), (PASS, IDLE, 1)],
)
def test_the_exit_status_tells_regressions(
    before: Record, after: Record, code: int, tmp_path: Path
) -> None:
    results.write(tmp_path / "old.jsonl", run(before))
    results.write(tmp_path / "new" / results.NAME, run(after))
    for form in ("text", "json", "md"):
        done = invoke("diff", tmp_path / "old.jsonl", tmp_path / "new", "--format", form)
        assert done.exit_code == code, done.output


def test_a_folder_of_parts_is_a_run(tmp_path: Path) -> None:
    results.write(tmp_path / "old" / results.NAME, run(PASS, ON_JAX))
    for name, record, info in (("torch", PASS, TORCH), ("jax", ON_JAX, JAX)):
        results.write(tmp_path / "new" / name / results.NAME, run(record, backends=(info,)))
    done = invoke("diff", tmp_path / "old", tmp_path / "new")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "no regression")
