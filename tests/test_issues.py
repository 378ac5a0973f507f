"""Issues of what got worse: one for each backend and cause, and never a second one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from conformance import cli, diff, results
from conformance.diff import Diff
from conformance.explanation import Explanation
from conformance.formats import issues
from conformance.formats.issues import Issue, Open
from conformance.records import Failed, Record
from conformance.results import Results
from tests.profiles import PROFILE
from tests.run_builders import (
    CRASH,
    IDLE,
    KNOWN,
    ON_JAX,
    PASS,
    REFUSED,
    STALE,
    UNSTABLE,
    WRONG,
    run,
)


def case(record: Record, name: str) -> Record:
    return replace(record, case=f"a/b/{name}")


def on_jax(record: Record) -> Record:
    return replace(record, backend="jax", api="jax.lax")


def compared(before: Results, after: Results) -> Diff:
    return diff.diff(before, after)


def opened(made: list[Issue], first: int = 1) -> list[Open]:
    return [Open(number=first + at, body=each.body) for at, each in enumerate(made)]


def test_there_is_one_for_each_backend_and_cause() -> None:
    before = run(*(case(PASS, name) for name in "xyz"), ON_JAX)
    after = run(case(WRONG, "x"), case(WRONG, "y"), case(CRASH, "z"), on_jax(WRONG))
    made = issues.issues(compared(before, after))
    assert sorted(each.title for each in made) == [
        "jax: padding-dropped",
        "torch: crash: killed by SIGFPE",
        "torch: padding-dropped",
    ]
    assert len({each.file for each in made}) == len({each.marker for each in made}) == 3
    dropped = next(each for each in made if each.title == "torch: padding-dropped")
    for part in ("a/b/x", "a/b/y", "torch 2.0", "padding 0 instead of 1", "2 regressions, 1 cause"):
        assert part in dropped.body
    assert "jax" not in dropped.body
    command = "conformance repro a/b/x --target torch/torch.nn/eager --minimal --issue"
    assert command in dropped.body
    assert dropped.body.endswith(f"{dropped.marker}\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PASS, PASS),
        (WRONG, WRONG),
        (WRONG, PASS),
        (WRONG, KNOWN),
        (KNOWN, PASS),
        (PASS, UNSTABLE),
        (IDLE, PASS),
        (CRASH, WRONG),
    ],
)
def test_there_is_none_for_what_is_not_worse(before: Record, after: Record) -> None:
    assert issues.issues(compared(run(before), run(after))) == []


def test_a_backend_that_stopped_and_a_stale_entry_have_one() -> None:
    (stopped,) = issues.issues(compared(run(PASS), run(IDLE)))
    assert stopped.title == "torch: torch is not installed here"
    (stale,) = issues.issues(compared(run(KNOWN), run(STALE)))
    assert stale.title == "torch: entry"
    assert "stale entry" in stale.body


def test_what_has_an_open_issue_is_told_there() -> None:
    before, after = run(case(PASS, "x"), case(PASS, "y")), run(case(WRONG, "x"), case(CRASH, "y"))
    first = issues.issues(compared(before, after))
    assert [each.number for each in first] == [None, None]
    other = run(case(PASS, "x"), case(WRONG, "y"))
    known = [Open(number=3, body="about something else"), *opened(first, 7)]
    (again,) = issues.issues(compared(before, other), known=known)
    dropped = next(at for at, each in enumerate(first) if "padding-dropped" in each.title)
    assert again.number == 7 + dropped
    twice = [Open(number=20, body=again.body), *known]
    (again,) = issues.issues(compared(before, other), known=twice)
    assert again.number == 7 + dropped


def test_numbers_in_an_error_make_no_other_cause() -> None:
    def refused(address: str) -> Record:
        explanation = Explanation(f"rejected: RuntimeError: at {address}", "…")
        return replace(
            REFUSED, error=Failed("RuntimeError", f"at {address}"), explanation=explanation
        )

    before = run(case(PASS, "x"), case(PASS, "y"))
    after = run(case(refused("0x7f00"), "x"), case(refused("0x7fff"), "y"))
    (one,) = issues.issues(compared(before, after))
    (night,) = issues.issues(compared(run(PASS), run(refused("12"))), known=opened([one], 5))
    assert night.number == 5


messages = st.text(max_size=80) | st.just("@octocat") | st.just("x" * 100_000)


@PROFILE
@given(messages, st.integers(1, 60))
def test_whatever_a_framework_says_it_stays_an_issue(message: str, number: int) -> None:
    refused = replace(
        REFUSED,
        error=Failed("RuntimeError", message),
        explanation=Explanation(f"rejected: {message}", message),
    )
    names = [f"case-{at}" for at in range(number)]
    before = run(*(case(PASS, name) for name in names))
    found = compared(before, run(*(case(refused, name) for name in names)))
    (one,) = issues.issues(found)
    assert len(one.title) <= 256
    assert len(one.body) <= 65_536
    assert issues.index([one]).count("\n") == 1 and len(issues.index([one]).split("\t")) == 3
    assert one.body.rstrip().splitlines()[-1] == one.marker
    assert not re.search(r"(?m)^[^`]*@", one.body)
    assert issues.issues(found, known=[Open(number=9, body=one.body)])[0].number == 9


def write(folder: Path, found: Results) -> Path:
    results.write(folder / results.NAME, found)
    return folder


def command(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, ["diff", *map(str, arguments)])


def test_the_command_writes_texts_and_an_index(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", run(PASS)), write(tmp_path / "new", run(WRONG))
    out = tmp_path / "issues"
    done = command(old, new, "--format", "issues", "--out", out)
    assert done.exit_code == 1, done.output
    assert "1 worse cause, 1 without an open issue" in done.output
    (line,) = (out / "index.tsv").read_text(encoding="utf-8").splitlines()
    number, file, title = line.split("\t")
    assert (number, title) == ("new", "torch: padding-dropped")
    body = (out / file).read_text(encoding="utf-8")
    listed = tmp_path / "open.json"
    listed.write_text(json.dumps([{"number": 41, "body": body}]), encoding="utf-8")
    done = command(old, new, "--format", "issues", "--out", out, "--open", listed)
    assert "1 worse cause, 0 without an open issue" in done.output
    assert (out / "index.tsv").read_text(encoding="utf-8") == f"41\t{file}\t{title}\n"
    done = command(old, old, "--format", "issues", "--out", out)
    assert done.exit_code == 0
    assert (out / "index.tsv").read_text(encoding="utf-8") == ""


def test_mistakes_are_told_in_a_sentence(tmp_path: Path) -> None:
    old, new = write(tmp_path / "old", run(PASS)), write(tmp_path / "new", run(WRONG))
    bad = tmp_path / "bad.json"
    bad.write_text('{"message": "Bad credentials"}', encoding="utf-8")
    for options, told in (
        (["--format", "issues"], "--format issues and --out DIR go together"),
        (["--out", tmp_path / "issues"], "--format issues and --out DIR go together"),
        (["--open", bad], "--open goes with --format issues"),
        (
            ["--format", "issues", "--out", tmp_path / "issues", "--open", bad],
            "is not what 'gh issue list --json number,body' prints",
        ),
        (["--format", "issues", "--out", bad / "issues"], "cannot be written"),
    ):
        done = command(old, new, *options)
        assert done.exit_code == 2
        assert told in done.output
        assert len(done.output.splitlines()) == 1
