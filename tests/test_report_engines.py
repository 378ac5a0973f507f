"""The report of a run in which two backends have the same API, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance import discovery, session
from conformance.report import building, rendering, spoken
from tests import report_runs
from tests.browsing import chromium, css, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    run = report_runs.engines(report_runs.run(folder))
    path = folder / "index.html"
    found = building.page(run, session.entries(discovery.discover()))
    path.write_text(rendering.html(spoken.spoken(found)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


def visit(driver: Any, page: Path, view: str) -> None:
    driver.get("about:blank")
    driver.get(page.as_uri() + view)
    until(driver, "return document.documentElement.dataset.ready === 'true'")


def test_a_case_has_a_line_for_each_engine(driver: Any, page: Path) -> None:
    visit(driver, page, "#case?id=hostile/uneven")
    until(driver, "return document.querySelector('#case table.answers') !== null")
    lines = [line.text for line in css(driver, "#case table.answers tbody tr")]
    for engine in ("keras_torch", "tensorflow"):
        mine = [line for line in lines if line.startswith(f"{engine}/keras.layers")]
        assert any("wrong-shape" in line for line in mine)


def test_a_link_opens_the_outcome_of_its_engine(driver: Any, page: Path) -> None:
    visit(driver, page, "#case?id=hostile/deep&o=keras_torch/keras.layers%20eager%20native%20vjp")
    until(driver, "return document.querySelector('#case tr.chosen') !== null")
    (chosen,) = css(driver, "#case tr.chosen")
    assert chosen.text.startswith("keras_torch/keras.layers")


def test_a_filter_by_backend_leaves_one_engine(driver: Any, page: Path) -> None:
    visit(driver, page, "#outcomes?q=backend:keras_torch")
    until(driver, "return document.querySelector('#outcome-table tbody tr') !== null")
    assert {each.text for each in css(driver, "#outcome-table td.api")} == {
        "keras_torch/keras.layers eager"
    }


def test_the_script_is_that_of_the_engine_in_view(driver: Any, page: Path) -> None:
    visit(driver, page, "#causes?q=backend:tensorflow form:spelled")
    css(driver, "#cause-list details summary")[0].click()
    until(driver, "return document.querySelector('#cause-list .command') !== null")
    (command,) = css(driver, "#cause-list .command code")
    assert "--target tensorflow/keras.layers/eager" in command.text
    css(driver, "#cause-list details.script summary")[0].click()
    assert "tensorflow 2.21.0" in css(driver, "#cause-list .script pre")[0].text
