"""Results that ``diff`` and ``export`` cannot read get one sentence and exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from conformance import changes, cli, diff, records, results
from conformance.formats import atom, documents, junit, markdown
from conformance.formats.overview import Overview
from conformance.records import Record
from conformance.results import ResultsError
from tests.profiles import PROFILE
from tests.run_builders import CRASH, HEADER, JAX, KNOWN, ON_JAX, PASS, REFUSED, WRONG, run
from tests.support import Command
from tests.test_bad_input import assert_clean

HEADER_LINE = json.dumps(records.header_json(HEADER)) + "\n"
RECORD_LINE = json.dumps(records.record_json(PASS)) + "\n"


def write(path: Path, *unit: Record, **header: Any) -> Path:
    results.write(path, run(*unit, **header))
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.jsonl", PASS)


DAMAGED = {
    "empty": (b"", "is no results file: it has no header line"),
    "cut": (HEADER_LINE.encode()[:40], "is no results file: it has no header line"),
    "binary": (b"\x80\x04\x95\n", "is no results file: not UTF-8 text"),
    "page": (b"<!doctype html>\n", ":1: is no header of a results file"),
    "older": (
        HEADER_LINE.replace('"version": 2', '"version": 1').encode(),
        "has version 1, this suite reads 2; run it again with this suite",
    ),
    "corrupt": ((HEADER_LINE + RECORD_LINE + '{"kind": "rec\n').encode(), ":3: is no record"),
    "mistyped": (
        (HEADER_LINE + RECORD_LINE.replace('"forward"', '"sideways"')).encode(),
        ":2: is no record of a results file",
    ),
    "machine": (HEADER_LINE.replace('"machine": {}', '"machine": []').encode(), ":1: is no header"),
}


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, arguments)])


def refused(code: int, stdout: str, stderr: str, sentence: str) -> None:
    assert (code, stdout) == (2, ""), stderr
    assert stderr.startswith("error: ")
    assert sentence in stderr
    assert_clean(stderr.removesuffix("\n"))


Arguments = Callable[[Path, Path, Path], tuple[object, ...]]
USES: dict[str, Arguments] = {
    "as the old run": lambda good, bad, out: ("diff", bad, good),
    "as the new run": lambda good, bad, out: ("diff", good, bad, "--format", "json"),
    "as the run": lambda good, bad, out: ("export", good, bad, "--out", out),
    "as the baseline": lambda good, bad, out: ("export", good, "--baseline", bad, "--out", out),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_results(name: str, use: str, good: Path, tmp_path: Path) -> None:
    data, sentence = DAMAGED[name]
    bad = tmp_path / f"{name}.jsonl"
    bad.write_bytes(data)
    arguments = USES[use](good, bad, tmp_path / "out")
    done = invoke(*arguments)
    refused(done.exit_code, done.stdout, done.stderr, sentence)
    assert f"{name}.jsonl" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("older", "as the old run"),
        ("cut", "as the new run"),
        ("corrupt", "as the run"),
        ("page", "as the baseline"),
    ],
)
def test_damaged_results_in_a_process(
    conformance: Command, name: str, use: str, good: Path, tmp_path: Path
) -> None:
    data, sentence = DAMAGED[name]
    bad = tmp_path / f"{name}.jsonl"
    bad.write_bytes(data)
    done = conformance(*USES[use](good, bad, tmp_path / "out"))
    refused(done.returncode, done.stdout, done.stderr, sentence)


def test_runs_that_do_not_belong_together(conformance: Command, good: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.jsonl", ON_JAX, backends=(JAX,))
    done = conformance("diff", good, other)
    sentence = f"{good} and {other} have no outcome in common: compare runs of the same cases"
    refused(done.returncode, done.stdout, done.stderr, sentence)
    done = conformance("export", good, "--baseline", other, "--out", tmp_path / "out")
    refused(done.returncode, done.stdout, done.stderr, "have no outcome in common")


def test_parts_that_do_not_belong_together(good: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    write(parts / "one" / results.NAME, PASS)
    write(parts / "two" / results.NAME, PASS, cases={"a/b": "xyz"})
    done = invoke("diff", good, parts)
    sentence = "do not belong together: the case file a/b"
    refused(done.exit_code, done.stdout, done.stderr, sentence)
    write(parts / "two" / results.NAME, WRONG)
    done = invoke("export", parts, "--out", tmp_path / "out")
    sentence = "contradict each other: a/b/one on torch"
    refused(done.exit_code, done.stdout, done.stderr, sentence)


def test_a_folder_without_results(good: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = invoke("diff", good, tmp_path / "empty")
    sentence = "empty/results.jsonl: cannot be read: No such file"
    refused(done.exit_code, done.stdout, done.stderr, sentence)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("diff",), "Missing argument 'OLD'"),
        (("diff", "."), "Missing argument 'NEW'"),
        (("diff", ".", "/nowhere"), "does not exist"),
        (("diff", ".", ".", "--format", "xml"), "'xml' is not one of"),
        (("export",), "Missing argument 'FILES...'"),
        (("export", ".", "--format", "pdf"), "'pdf' is not one of"),
        (("export", ".", "--baseline", "/nowhere"), "does not exist"),
    ],
)
def test_usage(arguments: tuple[str, ...], sentence: str) -> None:
    done = invoke(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


def test_a_run_cut_short_is_compared_and_told(good: Path, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.jsonl", PASS, replace(KNOWN, case="a/b/two"))
    lines = whole.read_bytes().splitlines(keepends=True)
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(lines[:2]) + lines[2][:-9])
    done = invoke("diff", whole, cut)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == "no regression; the later run was interrupted"


LINES = [
    HEADER_LINE,
    *(json.dumps(records.record_json(each)) + "\n" for each in (WRONG, KNOWN, REFUSED, CRASH)),
]
JUNK = st.sampled_from([None, True, 7, -1.5, "", "word", [], ["a"], [[1]], {}, {"a": 1}])


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values inside a JSON value."""
    if not isinstance(value, (dict, list)):
        return [at]
    keys: Any = value if isinstance(value, dict) else range(len(value))
    return [at, *(place for key in keys for place in places(value[key], (*at, key)))]


@PROFILE
@given(st.integers(0, len(LINES) - 1), st.data(), JUNK)
def test_a_value_of_another_type_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, line: int, data: st.DataObject, junk: object
) -> None:
    told = json.loads(LINES[line])
    *way, last = data.draw(st.sampled_from([place for place in places(told) if place]))
    part = told
    for key in way:
        part = part[key]
    part[last] = junk
    path = tmp_path_factory.getbasetemp() / "mutated.jsonl"
    lines = [*LINES[:line], json.dumps(told) + "\n", *LINES[line + 1 :]]
    path.write_text("".join(lines), encoding="utf-8")
    try:
        read = results.read(path)
        found = diff.diff(run(PASS), read)
        overview = Overview(read, found)
        changes.conclusion(found, overview.changed)
        for write in (junit.junit, markdown.summary, documents.report):
            assert write(overview)
        assert atom.feed(overview, found)
    except ResultsError as error:
        assert_clean(str(error))
