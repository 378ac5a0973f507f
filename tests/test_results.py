"""Results files: what is written is read, damage is named, parts make a whole."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import results
from conformance.compare import Difference
from conformance.records import OUTCOMES, BackendInfo, Failed, Header, Record, Values
from conformance.results import Results, ResultsError, Writer
from tests.profiles import PROFILE

TORCH = BackendInfo("torch", "2.0", {"torch": "2.0"}, "3.10.1", "here", "", {"eager": {"cpu": "x"}})
JAX = BackendInfo("jax", "", {}, "", "", problem="jax is not installed here")
CREATED = "2025-01-02T00:00:00+00:00"
HEADER = Header("1.0", CREATED, {"a": "abc"}, {"cpus": "2"}, {"tier": "core"}, (TORCH, JAX))
PASS = Record("a/b", "torch", "torch.nn", "eager", "native", "forward", "pass", "pass", seconds=0.5)
WRONG = dataclasses.replace(
    PASS, case="a/c", outcome="wrong-value", raw="wrong-value", note="é \u2028\nnext",
    difference=Difference(
        "y", (1, 2), (1, 2), "float32", "float32", 2, 2, (0, 1), math.nan, -math.inf, 1e-300, 7
    ),
    expected=Values((1, 2), "float32", (math.nan, 0.1)),
    observed=Values((1, 2), "float32", (math.inf, -math.inf)),
    source="import torch\n", ulps=2**63 - 1,
)  # fmt: skip
RAISED = dataclasses.replace(
    PASS, case="a/d", check="vjp", outcome="known", raw="rejected", known="entry",
    error=Failed("RuntimeError", "no\nway", "forward", "noise"),
)  # fmt: skip
NOT_RUN = dataclasses.replace(PASS, outcome="not-run", raw="not-run", note="missing", seconds=0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / results.NAME


def written(path: Path, *units: Record, header: Header = HEADER, finish: bool = True) -> Results:
    with Writer(path, header) as writer:
        for unit in units:
            writer.add([unit])
        if finish:
            writer.finish()
    return results.read(path)


def test_what_is_written_is_read(path: Path) -> None:
    found = written(path, PASS, WRONG, RAISED, NOT_RUN)
    assert found.header == HEADER
    assert repr(found.records) == repr((PASS, WRONG, RAISED, NOT_RUN))
    assert found.complete
    assert not found.truncated
    whole = path.with_name("whole.jsonl")
    results.write(whole, found)
    assert repr(results.read(whole)) == repr(found)
    assert not list(path.parent.glob("*.part"))


numbers = st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1))


@PROFILE
@given(
    data=st.lists(numbers, max_size=4),
    note=st.text(max_size=20),
    outcome=st.sampled_from(OUTCOMES),
    seconds=st.floats(0, 1e6),
)
def test_every_record_survives(
    tmp_path_factory: pytest.TempPathFactory,
    data: list[float],
    note: str,
    outcome: str,
    seconds: float,
) -> None:
    values = Values((len(data),), "float64", tuple(data))
    record = dataclasses.replace(
        PASS, observed=values, note=note, outcome=outcome, seconds=seconds  # type: ignore[arg-type]
    )  # fmt: skip
    folder = tmp_path_factory.getbasetemp() / "survives"
    assert repr(written(folder / results.NAME, record).records) == repr((record,))


def test_a_backend_that_loaded_replaces_what_was_known_before(path: Path) -> None:
    loaded = dataclasses.replace(JAX, version="0.4", problem="")
    with Writer(path, HEADER) as writer:
        writer.backend(loaded)
        writer.add([PASS])
    assert results.read(path).header.backends == (TORCH, loaded)


def test_a_run_that_did_not_end_is_not_complete(path: Path) -> None:
    assert not written(path, PASS, finish=False).complete


def test_a_run_that_went_on_is_complete_at_its_end(path: Path) -> None:
    written(path, PASS)
    with Writer(path) as writer:
        writer.add([WRONG])
        assert not results.read(path).complete
        writer.finish()
    found = results.read(path)
    assert found.complete
    assert len(found.records) == 2


def test_a_line_cut_short_is_dropped_and_told(path: Path) -> None:
    written(path, PASS, WRONG, finish=False)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in (last + 1, (last + len(whole)) // 2, len(whole) - 1):
        path.write_bytes(whole[:end])
        found = results.read(path)
        assert found.truncated
        assert not found.complete
        assert found.records == (PASS,)


def test_a_header_cut_short_is_no_results_file(path: Path) -> None:
    written(path)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ResultsError, match="is no results file: it has no header line"):
        results.read(path)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (3, "garbage"),
        (2, '{"kind": "record"}'),
        (2, '{"kind": "other"}'),
        (3, "[]"),
        (3, ""),
        (1, '{"kind": "record"}'),
        (1, '{"kind": "header", "version": 2}'),
    ],
)
def test_the_corrupt_line_is_named(path: Path, line: int, text: str) -> None:
    written(path, PASS, WRONG)
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[line - 1] = text
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ResultsError, match=rf"results\.jsonl:{line}: is no (header|record)"):
        results.read(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"outcome": "pass"', '"outcome": "great"'),
        ('"form": "native"', '"form": "other"'),
        ('"case": "a/b"', '"case": 3'),
        ('"case": "a/b"', '"case": "a/b", "unknown": 1'),
        ('"seconds": 0.5', '"difference": {}'),
        ('"seconds": 0.5', '"error": []'),
    ],
)
def test_a_record_of_another_kind_is_corrupt(path: Path, old: str, new: str) -> None:
    written(path, PASS)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(ResultsError, match=r"results\.jsonl:2: is no record"):
        results.read(path)


def merged(*parts: Results) -> Results:
    return results.merge([(Path(f"part-{at}.jsonl"), part) for at, part in enumerate(parts)])


def part(*records: Record, backends: tuple[BackendInfo, ...] = (TORCH,)) -> Results:
    return Results(dataclasses.replace(HEADER, backends=backends), records)


def test_merge_joins_cases_and_backends() -> None:
    later = dataclasses.replace(JAX, version="0.4", problem="")
    on_jax = dataclasses.replace(PASS, backend="jax", api="jax.lax")
    found = merged(part(PASS), part(WRONG), part(on_jax, backends=(later, TORCH)))
    assert [record.case for record in found.records] == ["a/b", "a/c", "a/b"]
    assert [info.name for info in found.header.backends] == ["jax", "torch"]
    assert found.complete


def test_merge_takes_what_ran() -> None:
    ran = dataclasses.replace(PASS, form="emulated", outcome="rejected")
    for parts in ([part(NOT_RUN), part(PASS)], [part(PASS), part(NOT_RUN)]):
        assert merged(*parts).records == (PASS,)
    for parts in ([part(NOT_RUN), part(ran)], [part(ran), part(NOT_RUN)]):
        assert merged(*parts).records == (ran,)
    assert merged(part(NOT_RUN), part(NOT_RUN)).records == (NOT_RUN,)
    missing = dataclasses.replace(TORCH, version="", problem="not here")
    for infos in ((missing, TORCH), (TORCH, missing)):
        found = merged(*(part(backends=(info,)) for info in infos))
        assert found.header.backends == (TORCH,)


def test_merge_of_one_part_is_that_part() -> None:
    assert merged(part(PASS, WRONG)) == part(PASS, WRONG)


def test_merge_is_complete_where_every_part_is() -> None:
    cut = dataclasses.replace(part(WRONG), complete=False)
    assert not merged(part(PASS), cut).complete
    early = dataclasses.replace(HEADER, created="2024-12-31T00:00:00+00:00")
    assert merged(part(PASS), Results(early, ())).header.created == early.created


def test_the_same_record_twice_must_say_the_same() -> None:
    slower = dataclasses.replace(PASS, seconds=9.0)
    assert len(merged(part(PASS), part(slower)).records) == 1
    failed = dataclasses.replace(PASS, outcome="wrong-value", raw="wrong-value")
    with pytest.raises(ResultsError, match=r"part-1.jsonl and part-0.jsonl contradict each other"):
        merged(part(PASS), part(failed))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"suite": "2.0"}, "the suite's version differs"),
        ({"cases": {"a": "xyz"}}, "the case file a differs"),
        ({"backends": (dataclasses.replace(TORCH, version="2.1"),)}, "one version"),
    ],
)
def test_parts_of_other_runs_are_refused(change: dict[str, object], sentence: str) -> None:
    other = Results(dataclasses.replace(HEADER, **change), ())  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match=sentence):
        merged(part(PASS), other)
