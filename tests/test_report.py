"""The report's model and its file."""

from __future__ import annotations

import base64
import dataclasses
import functools
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance import cases, discovery, results, session, targets
from conformance.diff import diff
from conformance.history import History
from conformance.oracle import forward
from conformance.records import Record
from conformance.report import agreement, building, drawing, packing, rendering, spoken
from conformance.report.model import Page
from conformance.report.trends import NIGHTS
from conformance.request import ConvTranspose, Pool, Request
from conformance.results import Results
from tests import report_runs
from tests.builders import adaptive, conv, pool, transposed
from tests.profiles import PROFILE
from tests.support import Command


@functools.cache
def backends() -> list[discovery.Backend]:
    return discovery.discover()


def page(run: Results, **options: Any) -> Page:
    found = backends()
    return building.page(run, session.entries(found), **options)


def agreed(records: Sequence[Record]) -> str:
    names = targets.names(record.target for record in records)
    return agreement.sentence(agreement.agreement(records, "forward", names))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return report_runs.run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def built(run: Results) -> Page:
    return page(run)


def test_what_is_new_comes_first_then_what_is_silent(built: Page) -> None:
    order = [(cause.group.unexpected, cause.raw) for cause in built.causes]
    assert order == [
        (True, "wrong-value"),
        (True, "wrong-value"),
        (True, "rejected"),
        (False, "wrong-shape"),
    ]


def test_the_head_says_what_is_unexpected_and_where(built: Page) -> None:
    said = building.headline(built)
    assert said.startswith("9 unexpected outcomes, 3 causes: ")
    assert "torch.nn" in said
    assert "keras.layers" in said


def test_a_run_without_anything_new_says_so(run: Results) -> None:
    kept = tuple(record for record in run.records if not record.unexpected)
    assert building.headline(page(dataclasses.replace(run, records=kept))) == (
        "Nothing unexpected; 1 known discrepancy"
    )


def test_a_backend_that_did_not_run_says_why(built: Page) -> None:
    jax = next(backend for backend in built.backends if backend.info.name == "jax")
    assert jax.problem.startswith("jax is not installed here")
    assert jax.outcomes == 0


def test_who_agrees_with_whom(run: Results) -> None:
    uneven = [record for record in run.records if record.case.endswith("uneven")]
    assert agreed(uneven) == "2 of 3 APIs agree; keras.layers differs"


def test_apis_that_give_the_same_wrong_array_differ_alike(run: Results) -> None:
    wrong = next(record for record in run.records if record.raw == "wrong-shape")
    alike = [wrong, dataclasses.replace(wrong, api="flax.linen"), *run.records[:1]]
    assert agreed(alike) == ("1 of 3 APIs agree; keras.layers and flax.linen differ alike")
    other = dataclasses.replace(wrong, api="flax.linen", explanation=None, observed=None)
    assert agreed([wrong, other]) == ("0 of 2 APIs agree; keras.layers differs; flax.linen differs")


def test_the_engines_of_one_api_are_told_apart(run: Results) -> None:
    found = page(report_runs.engines(run))
    rows = re.findall(r'<th scope="row">(\S+) <', rendering.html(found))
    assert {row for row in rows if "keras" in row} == {
        "keras_torch/keras.layers", "tensorflow/keras.layers"
    }  # fmt: skip
    assert found.agreements["hostile/uneven", "forward"] == (
        "2 of 4 APIs agree; keras_torch/keras.layers and tensorflow/keras.layers differ alike"
    )
    named = {each["name"] for each in packing.index(found)["targets"]}
    assert named == {row for row in rows if "." in row}
    (cause,) = [cause for cause in found.causes if cause.raw == "wrong-shape"]
    assert [each.record.backend for each in cause.examples] == [
        "keras_torch", "tensorflow"
    ]  # fmt: skip
    assert all(f"--target {each.record.target} " in each.command for each in cause.examples)


def test_requests_are_not_shown_where_the_case_file_is_another(run: Results) -> None:
    header = dataclasses.replace(run.header, cases={"hostile": "0123456789abcdef"})
    found = page(dataclasses.replace(run, header=header))
    assert found.missing == ("hostile",)
    assert {each.words for each in found.asked} == {""}
    assert rendering.html(found)


def test_what_changed_since_a_baseline_is_marked(run: Results) -> None:
    found = page(run, baseline=diff(report_runs.earlier(run), run))
    assert found.since is not None
    assert {found.records[at].raw for at in found.since.marks} == {"rejected"}
    assert set(found.since.marks.values()) == {"new"}
    (row,) = packing.index(found)["changes"]
    assert (row["worse"], row["count"], len(row["at"])) == (True, 4, 4)


def test_the_last_runs_stand_beside_each_other(run: Results, tmp_path: Path) -> None:
    before = report_runs.earlier(run)
    first = dataclasses.replace(before.header, created="2026-11-01T02:00:00+00:00")
    with History.open(tmp_path / "history.sqlite", create=True) as history:
        history.add(run)
        history.add(before)
        assert building.page(run, {}, history=history).trends is not None
        for day in range(2, 15):
            created = f"2026-11-{day:02}T02:00:00+00:00"
            header = dataclasses.replace(first, created=created)
            history.add(dataclasses.replace(before, header=header), "0a1b2c")
        found = page(run, history=history)
    trends = found.trends
    assert trends is not None
    assert [night.day for night in trends.nights[-3:]] == ["2026-11-14", "2026-11-19", "2026-11-20"]
    assert len(trends.nights) == NIGHTS
    assert [row.backend for row in trends.rows] == ["tensorflow", "torch"]
    torch = trends.rows[1].counts
    assert [c.version for c in torch if c and c.moved] == ["2.12.0", "2.13.0"]
    assert [c.words["unexpected"] for c in torch[-2:] if c] == [1, 5]
    (turn,) = trends.turns
    assert (turn.day, turn.backend, turn.what) == ("2026-11-20", "torch", "pass → rejected")
    assert (turn.versions, turn.outcomes) == ("torch 2.12.0 → 2.13.0", 4)
    assert turn.cases == ("hostile/plain-2",)


def test_a_case_that_is_right_again_keeps_its_history(run: Results, tmp_path: Path) -> None:
    after = report_runs.earlier(run)
    header = dataclasses.replace(after.header, created="2026-11-21T02:00:00+00:00")
    after = dataclasses.replace(after, header=header)
    with History.open(tmp_path / "history.sqlite", create=True) as history:
        history.add(run)
        history.add(after)
        found = page(after, history=history)
    at = next(at for at, each in enumerate(found.asked) if each.id == "hostile/plain-2")
    told = packing.details(found)["cases"][at]["history"]
    assert sorted(each["runs"] for each in told) == [1] * 8 + [2] * 8


def test_the_page_holds_every_outcome(built: Page) -> None:
    told = packing.index(built)
    for name in ("case", "target", "form", "check", "outcome", "raw", "cause"):
        assert len(told[name]) == len(built.records)
    for at, record in enumerate(built.records):
        target = told["targets"][told["target"][at]]
        assert told["cases"]["id"][told["case"][at]] == record.case
        assert (target["api"], target["mode"]) == (record.api, record.mode)
        assert told["outcomes"][told["outcome"][at]] == record.outcome
        assert (told["cause"][at] >= 0) == (record.outcome == "known" or record.unexpected)


def test_what_is_packed_is_json_without_markup(built: Page) -> None:
    text = rendering.html(built)
    assert report_runs.SCRIPT not in text
    assert 'onerror="' not in text
    for name, value in (("index", packing.index(built)), ("details", packing.details(built))):
        held = re.search(f'id="{name}">([^<]*)<', text)
        assert held is not None
        told = json.loads(zlib.decompress(base64.b64decode(held[1])))
        assert told == json.loads(json.dumps(value))


@pytest.mark.parametrize("value", [0.0, 1.5, -3.0, 1e300, True, 7])
def test_numbers_stay_what_they_are(value: float) -> None:
    assert packing.plain(value) == value


def test_what_json_has_no_word_for_has_one() -> None:
    values = (float("nan"), float("inf"), -float("inf"), complex(1, float("nan")))
    assert packing.plain(values) == ["nan", "inf", "-inf", [1, "nan"]]
    assert str(packing.plain(-0.0)) == "-0.0"


REQUESTS = [
    conv((1, 1, 8, 8), (1, 1, 3, 5), pads=(0, 1), stride=(3, 4)),
    conv((1, 1, 7), (1, 1, 2), pads=((1, 0),), dilation=3),
    conv((1, 1, 5, 4, 3), (1, 1, 2, 2, 2)),
    transposed((1, 1, 4, 3), (1, 1, 3, 2), pads=1, stride=2, extra=1),
    pool("max_pool", (1, 1, 7, 7), 3, 2, 1, ceil_mode=True),
    adaptive("adaptive_avg_pool", (1, 1, 7, 5), (3, 5)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_windows_are_drawn_where_the_oracle_looks(request_: Request) -> None:
    """An input element is in an output's window where changing it changes that output."""
    import numpy as np

    shapes = [request_.input_shape]
    if not isinstance(request_, Pool):
        shapes.append(request_.kernel_shape)
    grids = drawing.grids(request_)
    arrays = [np.ones(shape) for shape in shapes]
    plain = forward(request_, *arrays)
    for place in np.ndindex(*request_.spatial):
        changed = [each.copy() for each in arrays]
        changed[0][(0, 0, *place)] += 5.0
        differs = forward(request_, *changed)[0, 0] != plain[0, 0]
        for output in np.ndindex(*request_.output_shape[2:]):
            drawn = all(
                at in grid.taps[o] for at, o, grid in zip(place, output, grids, strict=True)
            )
            assert drawn == bool(differs[output]), (place, output)


@given(st.integers(1, 200), st.integers(1, 9), st.integers(1, 4), st.integers(0, 4))
@PROFILE
def test_a_drawing_is_never_larger_than_its_limit(
    size: int, window: int, stride: int, pad: int
) -> None:
    (grid,) = drawing.grids(conv((1, 1, size), (1, 1, window), pads=pad, stride=stride))
    assert len(grid.taps) == min(grid.axis.output, drawing.LIMIT)
    assert all(len(taps) == window for taps in grid.taps)


def test_transposed_windows_are_those_of_the_adjoint() -> None:
    request = REQUESTS[3]
    assert isinstance(request, ConvTranspose)
    assert drawing.grids(request)[0].taps[0] == (0,)


def test_the_plainest_case_shows_a_feature(built: Page) -> None:
    found = {(op, name): case for (op, name), case in spoken.features(built.asked)}
    assert found["conv", "padding same"] == "hostile/line"
    assert found["conv", "plain"] == "hostile/near"
    assert found["conv", "stride"] == "hostile/plain-2"
    assert found["conv", "explicit padding"] == "hostile/uneven"


def test_the_command_writes_the_page(conformance: Command, run: Results, tmp_path: Path) -> None:
    file = tmp_path / "run" / results.NAME
    results.write(file, dataclasses.replace(run, complete=True))
    done = conformance("report", tmp_path / "run", "--baseline", file, "--format", "md",
                       "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("index.html")
    assert "no regression" in done.stdout
    assert "<!doctype html>" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert (tmp_path / "out" / "summary.md").exists()


def test_results_that_are_none_are_refused(
    conformance: Command, run: Results, tmp_path: Path
) -> None:
    good = tmp_path / "good.jsonl"
    results.write(good, run)
    text = good.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    header = json.loads(lines[0])
    other = json.dumps({**header, "cases": {"hostile": "another"}}) + "\n"
    wrong = {
        "corrupt": ("".join([lines[0], "{]\n", *lines[1:]]), ":2: is no record"),
        "cut": (text[:-40], "is cut short"),
        "other": (json.dumps({**header, "version": 99}) + "\n", "has version 99"),
        "empty": ("", "has no header line"),
    }
    for name, (held, said) in wrong.items():
        bad = tmp_path / f"{name}.jsonl"
        bad.write_text(held, encoding="utf-8")
        for arguments in ([bad], [good, bad]):
            done = conformance("report", *arguments, "--out", tmp_path / "out")
            assert done.returncode == 2, name
            assert said in done.stderr
            assert f"{name}.jsonl" in done.stderr
            assert "Traceback" not in done.stderr
    stranger = tmp_path / "stranger.jsonl"
    stranger.write_text(other + "".join(lines[1:]), encoding="utf-8")
    done = conformance("report", good, stranger, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "do not belong together: the case file hostile differs" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_cases_of_the_run_are_those_of_the_suite(run: Results) -> None:
    """The small run's cases are read as any other's."""
    paths = [Path(path) for path in run.header.selection["paths"]]
    assert {case.id for case in cases.load(paths)} == {record.case for record in run.records}
