"""What others read: valid in their formats whatever a framework printed, and honest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from conformance import cli, diff, formats, results
from conformance.discovery import UsageError
from conformance.formats import atom, badges, documents, markdown, texts
from conformance.formats.overview import Overview
from conformance.records import BackendInfo, Failed, Record
from conformance.results import Results, ResultsError
from tests.junit_rules import parsed_junit
from tests.profiles import PROFILE
from tests.run_builders import (
    CRASH,
    DROPPED,
    HEADER,
    IDLE,
    JAX,
    KNOWN,
    ON_JAX,
    PASS,
    REFUSED,
    STALE,
    TORCH,
    UNSUPPORTED,
    VJP,
    WRONG,
    run,
)

MISSING = replace(JAX, version="", problem="no results were given\nat all")
TIMEOUT = replace(CRASH, outcome="timeout", raw="timeout")
EVERY = tuple(
    replace(record, case=f"a/b/{at}")
    for at, record in enumerate(
        [PASS, VJP, WRONG, REFUSED, CRASH, TIMEOUT, KNOWN, STALE, UNSUPPORTED, IDLE]
    )
)


def test_junit_says_what_every_outcome_is() -> None:
    root = parsed_junit(run(*EVERY, ON_JAX))
    told = {}
    for test in root.iter("testcase"):
        tags = [child.tag for child in test]
        assert len(tags) <= 1
        told[test.attrib["classname"], test.attrib["name"]] = tags[0] if tags else "pass"
    expected = ["pass", "pass", "failure", "failure", "error", "error", "skipped", "failure",
                "skipped", "skipped"]  # fmt: skip
    assert told == {
        **{
            ("torch.torch.nn.eager", f"{record.case} · native · {record.check}"): word
            for record, word in zip(EVERY, expected)
        },
        ("jax.jax.lax.eager", "a/b/one · native · forward"): "pass",
    }
    assert [suite.attrib["name"] for suite in root] == ["jax/jax.lax/eager", "torch/torch.nn/eager"]
    (known,) = (s for s in root.iter("skipped") if s.attrib["type"] == "known")
    assert known.attrib["message"].startswith("known: entry: 1 of 1 values of the output differ")
    failure = next(root.iter("failure"))
    assert failure.attrib["type"] == "wrong-value"
    assert failure.text is not None
    assert "conformance repro a/b/2 --target torch/torch.nn/eager --form native" in failure.text
    assert "import torch" in failure.text


def test_junit_has_a_backend_that_did_not_run() -> None:
    root = parsed_junit(run(PASS, backends=(TORCH, MISSING)))
    (suite,) = (suite for suite in root if suite.attrib["name"] == "jax")
    (skipped,) = suite.iter("skipped")
    assert skipped.attrib == {"type": "not-run", "message": "no results were given"}


text = st.text(max_size=40) | st.text(
    alphabet=st.sampled_from("\x00\x08\x1b[31m\ud800\udfff\ufffe￿<&>]]>|`*\\\n\r\t é"), max_size=40
)


@PROFILE
@given(message=text, output=text, note=text, version=text, source=text, case=text)
def test_whatever_a_framework_prints_every_document_is_valid(
    message: str, output: str, note: str, version: str, source: str, case: str
) -> None:
    error = Failed("Error", message, output=output)
    refused = replace(
        REFUSED, error=error, explanation=None, source=source, case=f"a/b/{case}", note=note
    )
    known = replace(refused, outcome="known", known="entry", case="a/b/known")
    idle = replace(IDLE, note=note, case="a/b/idle")
    infos = (replace(TORCH, version=version), replace(JAX, problem=note))
    after = run(refused, known, idle, backends=infos)
    found = diff.diff(run(PASS, replace(PASS, case=refused.case), known), after)
    overview = Overview(after, found)
    parsed_junit(after)
    ET.fromstring(atom.feed(overview, found))
    for name in overview.backends:
        badge = badges.badge(overview, name)
        ET.fromstring(badges.svg(badge))
        json.loads(badges.endpoint(badge))
    told = json.loads(documents.report(overview))
    json.loads(documents.differences(found, overview.changed))
    assert told["outcomes"][0]["outcome"] == "rejected"
    summary = markdown.summary(overview)
    assert texts.clean(summary) == summary
    for line in summary.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |")


class Tags(HTMLParser):
    """The tags of Markdown's HTML."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.append(tag)


def rows(text: str, title: str) -> list[str]:
    """The rows of the table below a heading."""
    part = text.partition(f"{title}\n\n")[2].partition("\n\n")[0]
    return part.splitlines()[2:]


def test_the_summary_begins_with_what_is_unexpected() -> None:
    old = run(*(replace(record, outcome="pass", raw="pass") for record in EVERY))
    new = run(*EVERY, replace(KNOWN, form="emulated"), replace(PASS, case="a/b/x", form="emulated"))
    overview = Overview(new, diff.diff(old, new))
    text = markdown.summary(overview)
    assert text.startswith("# Conformance: 5 unexpected of 11 outcomes, 4 causes\n")
    places = [
        text.index(word)
        for word in ("**torch did not run:** torch is not", "## Unexpected", "## Changes since",
                     "## By target", "<details><summary>1 known discrepancy, by", "</details>")
    ]  # fmt: skip
    assert places == sorted(places)
    first = rows(text, "## Unexpected")
    assert len(first) == 4
    assert any(
        "**padding-dropped** padding 0 instead of 1: the padding was dropped" in row
        and "`conformance repro a/b/2 --target torch/torch.nn/eager`" in row
        for row in first
    )
    (counts,) = rows(text, "## By target")
    cells = [cell.strip() for cell in counts.strip("|").split("|")]
    assert cells == ["torch/torch.nn/eager", "2", "2", "5", "1", "1", "1/2"]
    assert Tags(text).found == ["details", "summary", "sub"]


def test_the_summary_of_a_run_without_discrepancies() -> None:
    text = markdown.summary(Overview(run(PASS)))
    assert text.startswith("# Conformance: 1 outcome, all as expected\n")
    assert "Unexpected" not in text
    assert "details" not in text
    assert markdown.summary(Overview(run(IDLE))).startswith("# Conformance: nothing ran\n")
    told = markdown.summary(Overview(run(PASS, complete=False)))
    assert "all as expected; the run was interrupted\n" in told


@pytest.mark.parametrize("limit", [20_000, 100_000, markdown.LIMIT])
def test_a_summary_fits(limit: int, crowded: Overview) -> None:
    text = markdown.summary(crowded, limit)
    assert limit / 2 < len(text.encode()) <= limit
    assert re.search(r"^\| … and [\d,]+ more in the results \|$", text, re.MULTILINE)
    assert "| torch/torch.nn/eager | 0 | 0 | 8,000 |" in text
    assert text.endswith("</sub>\n")


@pytest.fixture(scope="module")
def crowded() -> Overview:
    """A run with more causes than a page holds."""
    told = [replace(DROPPED, key=f"cause-{at}-é" * 5) for at in range(8_000)]
    causes = [replace(WRONG, case=f"a/b/{at}", explanation=each) for at, each in enumerate(told)]
    data = run(*causes)
    return Overview(data, diff.diff(run(*(replace(c, outcome="known") for c in causes)), data))


def schema() -> Mapping[str, Any]:
    done = CliRunner().invoke(cli.main, ["schema", "--report"])
    found: dict[str, Any] = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(found)
    return found


def test_the_report_is_what_its_schema_says() -> None:
    new = run(*EVERY, ON_JAX)
    told = json.loads(documents.report(Overview(new, diff.diff(run(*EVERY), new))))
    jsonschema.validate(told, schema(), jsonschema.Draft202012Validator)
    assert schema()["$id"] == "urn:conformance:report:1"
    assert told["version"] == 1
    assert len(told["outcomes"]) == 8
    assert sum(count["unexpected"] for count in told["targets"]) == 5
    assert {cause["cause"] for cause in told["causes"] if not cause["unexpected"]} == {
        "padding-dropped"
    }
    assert [change["kind"] for change in told["baseline"]["changes"]] == ["appeared"]
    alone = json.loads(documents.report(Overview(run(PASS))))
    jsonschema.validate(alone, schema(), jsonschema.Draft202012Validator)
    assert alone["baseline"] is None
    del alone["run"]["backends"][0]["version"]
    with pytest.raises(jsonschema.ValidationError, match="version"):
        jsonschema.validate(alone, schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    ("data", "message", "failed"),
    [
        (run(PASS, VJP), "2 pass · 0 known · 0 unexpected", False),
        (run(*EVERY[:2], KNOWN), "2 pass · 1 known · 0 unexpected", False),
        (run(*EVERY), "2 pass · 1 known · 5 unexpected · 1 not run", True),
        (run(IDLE), "not run", True),
        (run(), "not run", True),
        (run(PASS, complete=False), "1 pass · 0 known · 0 unexpected · interrupted", True),
        (run(*(replace(PASS, case=f"a/b/{n}") for n in range(1204))),
         "1,204 pass · 0 known · 0 unexpected", False),
    ],
)  # fmt: skip
def test_a_badge_says_it_in_words(data: Results, message: str, failed: bool) -> None:
    shown = badges.badge(Overview(data), "torch")
    assert (shown.label, shown.message, shown.failed) == ("torch 2.0", message, failed)
    told = json.loads(badges.endpoint(shown))
    assert set(told) == {"schemaVersion", "label", "message", "color", "isError"}
    assert (told["schemaVersion"], told["message"], told["isError"]) == (1, message, failed)
    picture = ET.fromstring(badges.svg(shown))
    space = f"{{{badges.SVG}}}"
    title = picture.find(f"{space}title")
    assert title is not None
    assert title.text == picture.attrib["aria-label"] == f"torch 2.0: {message}"
    assert picture.attrib["role"] == "img"
    assert [each.text for each in picture.iter(f"{space}text")] == ["torch 2.0", message]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [badges.LABEL, badges.GOOD, badges.BAD, badges.NOTHING])
def test_white_on_a_badge_can_be_read(colour: str) -> None:
    assert 1.05 / (luminance(colour) + 0.05) > 5


def entries(feed: bytes) -> Iterator[ET.Element]:
    root = ET.fromstring(feed)
    space = f"{{{atom.ATOM}}}"
    assert root.tag == f"{space}feed"
    for each in (root, *root.iter(f"{space}entry")):
        for name in ("id", "title", "updated"):
            (found,) = each.findall(f"{space}{name}")
            assert found.text
        assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", each.findtext(f"{space}id", ""))
        moment = each.findtext(f"{space}updated", "")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([+-]\d\d:\d\d|Z)", moment)
    assert root.find(f"{space}author/{space}name") is not None
    for entry in root.iter(f"{space}entry"):
        (content,) = entry.findall(f"{space}content")
        assert content.attrib == {"type": "html"}
        yield entry


def feed(before: Results, after: Results) -> bytes:
    found = diff.diff(before, after)
    return atom.feed(Overview(after, found), found)


def test_a_feed_has_an_entry_per_cause_with_an_id_that_stays() -> None:
    names = ("x", "y")
    before = run(*(replace(PASS, case=f"a/b/{n}") for n in names), replace(REFUSED, case="a/b/z"))
    after = run(*(replace(WRONG, case=f"a/b/{n}") for n in names), replace(PASS, case="a/b/z"))
    tag = f"{{{atom.ATOM}}}"
    first = list(entries(feed(before, after)))
    titles = [each.findtext(f"{tag}title") for each in first]
    assert titles == [
        "new: padding-dropped (2 outcomes: torch)",
        "fixed: rejected: RuntimeError: no (1 outcome: torch)",
    ]
    html = first[0].findtext(f"{tag}content", "")
    assert Tags(html).found == ["p", "p", "p", "code", "ul", "li", "li"]
    later = replace(after, header=replace(HEADER, created="2025-01-09T00:00:00+00:00"))
    again = list(entries(feed(before, later)))
    ids = [each.findtext(f"{tag}id") for each in first]
    assert [each.findtext(f"{tag}id") for each in again] == ids
    assert len(set(ids)) == 2
    moved = replace(before, header=replace(HEADER, created="2025-01-01T12:00:00+00:00"))
    assert {e.findtext(f"{tag}id") for e in entries(feed(moved, after))}.isdisjoint(ids)


def test_a_feed_without_changes_has_no_entries() -> None:
    assert list(entries(feed(run(PASS), run(PASS)))) == []
    appeared = run(PASS, replace(PASS, case="a/b/two"))
    assert list(entries(feed(run(PASS), appeared))) == []


def test_files_are_written_whole(tmp_path: Path) -> None:
    data = run(*EVERY, backends=(TORCH, MISSING, BackendInfo("my/own", "1", {}, "3.11", "here")))
    badge = [
        f"badges/{name}.{end}" for name in ("torch", "jax", "my-own") for end in ("svg", "json")
    ]
    names = ["junit.xml", "summary.md", "report.json", *badge]
    assert formats.write(data, None, tmp_path) == tuple(tmp_path / name for name in names)
    found = diff.diff(data, data)
    assert formats.write(data, found, tmp_path, ["atom", "md"]) == (
        tmp_path / "changes.atom",
        tmp_path / "summary.md",
    )
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == sorted([*names, "changes.atom"])


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=r"summary\.md cannot be written: File exists"):
        formats.write(run(PASS), None, tmp_path / "file", ["md"])
    with pytest.raises(ResultsError, match="has no time of the run: 'yesterday'"):
        formats.write(run(PASS, created="yesterday"), None, tmp_path, ["junit"])


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["export", *map(str, arguments)])


def write(path: Path, *records: Record) -> Path:
    results.write(path, run(*records))
    return path


def test_export_writes_all_or_what_is_named(tmp_path: Path) -> None:
    new = write(tmp_path / "new.jsonl", *EVERY)
    old = write(tmp_path / "old.jsonl", *EVERY[:3])
    done = invoke(new, "--out", tmp_path / "out", "--format", "junit", "--format", "badge")
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["badges", "junit.xml"]
    done = invoke(new, "--out", tmp_path / "all", "--baseline", old)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 8
    assert (tmp_path / "all" / "changes.atom").read_text(encoding="utf-8").count("<entry>") == 3


def test_a_feed_needs_a_baseline(tmp_path: Path) -> None:
    done = invoke(write(tmp_path / "new.jsonl", PASS), "--format", "atom", "--out", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    told = "the format atom tells what changed: name an earlier run with --baseline"
    assert done.stderr == f"error: {told}\n"
