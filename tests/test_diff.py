"""What changed between two runs: every kind of change, and what is none."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import content, known, results
from conformance.diff import KINDS, Change, Diff, Kind, comparable, diff
from conformance.records import Failed, Record
from conformance.results import Results, ResultsError
from tests.profiles import PROFILE
from tests.run_builders import (
    CRASH,
    IDLE,
    JAX,
    KNOWN,
    MISTYPED,
    OFF,
    ON_JAX,
    PASS,
    REFUSED,
    STALE,
    TORCH,
    UNEXPLAINED,
    UNSTABLE,
    VJP,
    WRONG,
    run,
)


def kinds(found: Diff) -> list[Kind]:
    return [change.kind for change in found.changes]


@pytest.mark.parametrize(
    ("before", "after", "kind", "worse"),
    [
        (PASS, WRONG, "new", True),
        (KNOWN, WRONG, "new", True),
        (KNOWN, STALE, "new", True),
        (WRONG, PASS, "fixed", False),
        (WRONG, KNOWN, "fixed", False),
        (STALE, PASS, "fixed", False),
        (STALE, KNOWN, "changed", True),
        (REFUSED, KNOWN, "changed", True),
        (PASS, KNOWN, "changed", True),
        (KNOWN, PASS, "changed", False),
        (WRONG, CRASH, "changed", True),
        (CRASH, WRONG, "changed", False),
        (REFUSED, WRONG, "changed", True),
        (WRONG, UNEXPLAINED, "changed", False),
        (REFUSED, MISTYPED, "changed", False),
        (PASS, IDLE, "stopped", True),
        (WRONG, IDLE, "stopped", True),
        (IDLE, PASS, "started", False),
        (IDLE, WRONG, "new", True),
    ],
)  # fmt: skip
def test_an_outcome_that_differs(before: Record, after: Record, kind: Kind, worse: bool) -> None:
    found = diff(run(before), run(after))
    (change,) = found.changes
    assert (change.kind, change.before, change.after) == (kind, before, after)
    assert (change.worse, found.regressed) == (worse, worse)
    assert found.counts[kind] == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PASS, replace(PASS, seconds=9.0, ulps=3)),
        (KNOWN, replace(KNOWN, known="renamed")),
        (WRONG, replace(WRONG, difference=replace(OFF, observed=2.5))),
        (REFUSED, replace(REFUSED, error=Failed("RuntimeError", "no at 0x7f00"))),
        (IDLE, IDLE),
        (PASS, UNSTABLE),
        (UNSTABLE, PASS),
        (UNSTABLE, replace(KNOWN, known="memory")),
    ],
)
def test_what_makes_no_difference(before: Record, after: Record) -> None:
    assert diff(run(before), run(after)).changes == ()


def test_an_entry_of_uninitialised_memory_is_told_by_the_registry(tmp_path: Path) -> None:
    file = tmp_path / "known.yaml"
    file.write_text(
        "- {id: entry, expect: {outcome: wrong-value}, kind: bug, stable: false,\n"
        "   why: the memory is not initialised, evidence: 'https://example.org'}\n",
        encoding="utf-8",
    )
    (entry,) = known.load(file, "torch").entries
    assert kinds(diff(run(KNOWN), run(PASS))) == ["changed"]
    assert kinds(diff(run(KNOWN), run(PASS), {("torch", "entry"): entry})) == []
    assert kinds(diff(run(KNOWN), run(WRONG), {("torch", "entry"): entry})) == ["new"]


def test_a_case_of_one_run_only() -> None:
    other = replace(PASS, case="a/b/two")
    (change,) = diff(run(PASS), run(PASS, other)).changes
    assert change == Change("appeared", None, other, "the old run is without the case")
    assert not change.worse
    (change,) = diff(run(PASS, other), run(PASS)).changes
    assert change == Change("vanished", other, None, "the new run is without the case")
    assert not change.worse
    (change,) = diff(run(PASS), run(PASS, replace(WRONG, case="a/b/two"))).changes
    assert (change.kind, change.before, change.worse) == ("new", None, True)


def test_a_target_of_one_run_only() -> None:
    functional = replace(PASS, api="torch.nn.functional")
    (change,) = diff(run(PASS, functional), run(PASS)).changes
    assert change.kind == "vanished"
    assert change.note == "the new run is without torch/torch.nn.functional/eager"
    found = diff(run(PASS, ON_JAX), run(PASS, backends=(TORCH,)))
    assert [(c.kind, c.note) for c in found.changes] == [("vanished", "the new run is without jax")]
    assert not found.regressed


def test_a_backend_that_does_not_run_is_not_one_whose_cases_are_gone() -> None:
    missing = replace(JAX, version="", problem="no results were given")
    found = diff(run(PASS, ON_JAX), run(PASS, backends=(TORCH, missing)))
    assert found.changes == (Change("stopped", ON_JAX, None, "no results were given"),)
    assert found.regressed
    found = diff(run(PASS, backends=(TORCH, missing)), run(PASS, ON_JAX))
    assert found.changes == (Change("started", None, ON_JAX, "no results were given"),)
    assert [(each.name, each.before, each.after) for each in found.backends] == [
        ("jax", missing, JAX),
        ("torch", TORCH, TORCH),
    ]


RECIPE = replace(PASS, form="emulated")


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ((PASS, VJP), (REFUSED, RECIPE, replace(RECIPE, check="vjp")), ["new"]),
        ((REFUSED, RECIPE), (PASS, VJP), ["fixed"]),
        ((REFUSED, replace(WRONG, form="emulated")), (PASS, VJP), ["fixed", "fixed"]),
        ((PASS, VJP), (REFUSED, replace(WRONG, form="emulated")), ["new", "new"]),
        ((PASS, replace(WRONG, check="vjp")), (CRASH,), ["new", "vanished"]),
        ((PASS, VJP), (PASS,), ["vanished"]),
        ((PASS,), (PASS, VJP), ["appeared"]),
    ],
)
def test_what_another_outcome_brings_along_is_no_change_of_its_own(
    before: tuple[Record, ...], after: tuple[Record, ...], found: list[Kind]
) -> None:
    assert kinds(diff(run(*before), run(*after))) == found


def test_a_case_that_changed_says_nothing_of_the_framework() -> None:
    after = {"a/b": "xyz"}
    found = diff(run(PASS), run(WRONG, cases=after))
    assert kinds(found) == ["case-changed"]
    assert not found.regressed
    assert kinds(diff(run(PASS), run(PASS, cases=after))) == []
    assert kinds(diff(run(PASS), run(IDLE, cases=after))) == ["stopped"]
    second = replace(WRONG, case="a/c/two")
    both = {"a/b": "abc", "a/c": "def"}
    found = diff(
        run(PASS, replace(second, outcome="pass"), cases=both),
        run(WRONG, second, cases={**both, "a/b": "xyz"}),
    )
    assert [(change.kind, change.record.case) for change in found.changes] == [
        ("new", "a/c/two"),
        ("case-changed", "a/b/one"),
    ]


def test_an_interrupted_run_cannot_be_free_of_regressions() -> None:
    other = replace(PASS, case="a/b/two")
    found = diff(run(PASS, other), run(PASS, complete=False))
    assert [change.note for change in found.changes] == ["the new run was interrupted"]
    assert found.regressed
    assert not diff(run(PASS, complete=False), run(PASS, other)).regressed


def test_runs_with_nothing_in_common_are_refused() -> None:
    missing = replace(JAX, problem="broken")
    for before, after in (
        (run(PASS), run(ON_JAX, backends=(JAX,))),
        (run(PASS), run(replace(PASS, case="a/b/two"))),
        (run(), run()),
    ):
        with pytest.raises(ResultsError, match="old and new have no outcome in common"):
            comparable(diff(before, after), "old", "new")
    comparable(diff(run(ON_JAX), run(backends=(missing,))), "old", "new")
    comparable(diff(run(PASS), run(PASS)), "old", "new")


def test_the_registries_say_how_unstable_memory_is_registered() -> None:
    """The entries on which nothing may flap are there, so that the tests above mean something."""
    folders = content.root("backends").iterdir()
    loaded = [known.load(folder / "known.yaml", folder.name) for folder in folders]
    assert any(not entry.entry.stable for registry in loaded for entry in registry.entries)


OUTCOMES = (PASS, WRONG, REFUSED, CRASH, KNOWN, STALE, UNSTABLE)
units = st.builds(
    lambda of, case, api, form, check: replace(of, case=case, api=api, form=form, check=check),
    st.sampled_from(OUTCOMES),
    st.sampled_from(["a/b/one", "a/b/two", "a/c/one"]),
    st.sampled_from(["torch.nn", "torch.nn.functional"]),
    st.sampled_from(["native", "spelled", "emulated"]),
    st.sampled_from(["forward", "vjp"]),
)
idle = st.builds(
    lambda case, api: replace(IDLE, case=case, api=api),
    st.sampled_from(["a/b/one", "a/b/two", "a/c/one"]),
    st.sampled_from(["torch.nn", "torch.nn.functional"]),
)


def _run(found: list[Record], idle: list[Record], digest: str) -> Results:
    ran = {(record.case, record.api) for record in found}
    rest = [record for record in idle if (record.case, record.api) not in ran]
    return run(*found, *rest, cases={"a/b": "abc", "a/c": digest})


runs = st.builds(
    _run,
    st.lists(units, max_size=12, unique_by=results.key),
    st.lists(idle, max_size=3, unique_by=results.key),
    st.sampled_from(["def", "xyz"]),
)


@PROFILE
@given(runs)
def test_nothing_changed_from_a_run_to_itself(same: Results) -> None:
    found = diff(same, same)
    assert found.changes == ()
    assert not found.regressed


SAME = ("changed", "case-changed")
BACK = {("new", "fixed"), ("new", "changed"), *((kind, kind) for kind in SAME)}


@PROFILE
@given(runs, runs)
def test_there_and_back(one: Results, other: Results) -> None:
    """What is new one way is fixed the other, unless a registry has it; the rest comes and goes."""
    there, back = diff(one, other), diff(other, one)
    ways = [{results.key(c.record): c for c in found.changes if ran(c)} for found in (there, back)]
    assert ways[0].keys() == ways[1].keys()
    for about, change in ways[0].items():
        opposite = ways[1][about]
        pair = (change.kind, opposite.kind)
        assert pair in BACK or pair[::-1] in BACK
        if "changed" in pair:
            assert "new" in pair or not (change.worse and opposite.worse)
            assert "new" not in pair or (change.worse and opposite.worse)
    for found, mirrored in ((there, back), (back, there)):
        gone = {results.key(c.before) for c in found.changes if c.before and not c.after}
        came = {results.key(c.after) for c in mirrored.changes if c.after and not c.before}
        assert gone <= came
    assert there.compared == back.compared


def ran(change: Change) -> bool:
    """Whether both runs have the outcome."""
    sides = (change.before, change.after)
    return all(record is not None and record.outcome != "not-run" for record in sides)


@PROFILE
@given(runs, runs)
def test_every_unexpected_outcome_is_accounted_for(one: Results, other: Results) -> None:
    found = diff(one, other)
    now = [c.after for c in found.changes if c.after is not None and c.after.outcome != "not-run"]
    told = Counter(map(results.key, now))
    assert all(number == 1 for number in told.values())
    before = {results.key(record): record for record in one.records}
    for record in other.records:
        held = before.get(results.key(record))
        if record.unexpected and (held is None or not held.unexpected):
            assert told[results.key(record)] == 1
    assert [change.kind for change in found.changes] == sorted(kinds(found), key=KINDS.index)


@PROFILE
@given(runs, runs, st.data())
def test_shards_compare_as_their_whole(one: Results, other: Results, data: st.DataObject) -> None:
    """Every case on a target is run in one shard."""
    names = sorted({record.case for record in other.records})
    first = set(data.draw(st.lists(st.sampled_from(names or ["none"]))))
    parts = [
        dataclasses.replace(
            other, records=tuple(r for r in other.records if (r.case in first) == chosen)
        )
        for chosen in (True, False)
    ]
    merged = results.merge([(Path(str(at)), part) for at, part in enumerate(parts)])
    whole, joined = diff(one, other), diff(one, merged)
    assert set(map(repr, whole.changes)) == set(map(repr, joined.changes))
    assert whole.compared == joined.compared
