"""The report in a real browser."""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from conformance import discovery, session
from conformance.diff import diff
from conformance.history import History
from conformance.report import building, rendering, spoken
from tests import report_runs
from tests.browsing import LOW_CONTRAST, chromium, css, shape, until

pytestmark = pytest.mark.browser

SERIOUS = """
const done = arguments[arguments.length - 1];
axe.run(document).then(found => done(found.violations
  .filter(each => ["serious", "critical"].includes(each.impact))
  .map(each => [each.id, ...each.nodes.slice(0, 3).map(node => node.html.slice(0, 200))])));
"""
UNEVEN = "#case?id=hostile/uneven"
VIEWS = {
    "overview": "",
    "causes": "#causes",
    "outcomes": "#outcomes",
    "code": "#code",
    "shapes": UNEVEN,
    "values": "#case?id=hostile/near&o=torch.nn eager native forward",
    "volume": "#case?id=hostile/deep&o=keras.layers eager native forward",
    "error": "#case?id=hostile/plain-2&o=torch.nn.functional eager native forward",
}
OPENED = "return document.querySelector('#cause-list details[open] .inside > *') !== null"
COPIED = """
window.copied = [];
const note = text => (copied.push(text), Promise.resolve());
Object.defineProperty(navigator, "clipboard", {value: {writeText: note}, configurable: true});
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a small run, with all that it can have."""
    folder = tmp_path_factory.mktemp("page")
    run = report_runs.run(folder)
    before = report_runs.earlier(run)
    entries = session.entries(discovery.discover())
    with History.open(folder / "history.sqlite", create=True) as history:
        history.add(before)
        history.add(run)
        page = building.page(run, entries, (), diff(before, run, entries), history)
    page = spoken.spoken(page)
    path = folder / "index.html"
    path.write_text(rendering.html(page), encoding="utf-8")
    return path


@pytest.fixture
def visit(driver: Any, file: Path) -> Iterator[Callable[..., None]]:
    """Open a view of the page; nothing it did may have been refused or gone wrong."""

    def visit(view: str = "", width: int = 1200, scheme: str = "light") -> None:
        shape(driver, width, scheme)
        driver.get("about:blank")
        driver.get(file.as_uri() + quote(view, safe="#?=&:/"))
        until(driver, "return document.documentElement.dataset.ready === 'true'")

    yield visit
    assert driver.get_log("browser") == []
    assert driver.execute_script("return window.violations") == []
    assert driver.execute_script("return window.ran") is None
    script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    assert [name for name in driver.execute_script(script) if not name.startswith("data:")] == []


def shown(driver: Any) -> list[str]:
    return [each.text for each in css(driver, "main section:not([hidden])")]


def set_query(driver: Any, text: str) -> None:
    driver.execute_script(
        "const field = document.getElementById('query'); field.value = arguments[0];"
        "field.dispatchEvent(new Event('input'))",
        text,
    )


def counted(driver: Any) -> str:
    return str(css(driver, "#query-count")[0].text)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(driver: Any, visit: Any, view: str, scheme: str) -> None:
    visit(VIEWS[view], scheme=scheme)
    driver.execute_script("for (const each of document.querySelectorAll('details')) each.open = 1")
    axe = importlib.resources.files("axe_core_python") / "axe.min.js"
    driver.execute_script(axe.read_text(encoding="utf-8"))
    assert driver.execute_async_script(SERIOUS) == []
    assert driver.execute_script(LOW_CONTRAST) == []


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("width", [360, 820, 3840])
def test_every_view_fits(driver: Any, visit: Any, view: str, width: int) -> None:
    visit(VIEWS[view], width=width)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    (text,) = shown(driver)
    assert text


def test_the_policy_is_strict(driver: Any, visit: Any) -> None:
    visit()
    policy = driver.execute_script(
        "return document.querySelector('meta[http-equiv=Content-Security-Policy]').content"
    )
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    for selector in ("[style]", "[onclick]", "[onerror]", "script[src]", "link[rel=stylesheet]"):
        assert css(driver, selector) == [], selector


@pytest.mark.parametrize("view", VIEWS)
def test_what_a_framework_said_is_text(driver: Any, visit: Any, view: str) -> None:
    visit(VIEWS[view])
    driver.execute_script("for (const each of document.querySelectorAll('details')) each.open = 1")
    assert css(driver, "img") == []
    assert len(css(driver, "script")) == 3
    hostile = {"shapes": report_runs.IMAGE, "error": report_runs.SCRIPT}
    if view in hostile:
        assert hostile[view] in driver.execute_script("return document.body.textContent")


def test_a_backend_that_is_missing_says_why(driver: Any, visit: Any) -> None:
    visit()
    (warning,) = css(driver, "header .warning")
    assert warning.text.startswith("jax: not run: jax is not installed here")
    assert "not run" in css(driver, "table.ran")[0].text


def test_one_click_shows_my_framework_and_the_link_keeps_it(driver: Any, visit: Any) -> None:
    visit()
    total = counted(driver)
    next(b for b in css(driver, "#mine button") if b.text.startswith("torch")).click()
    assert counted(driver) != total
    assert "backend:torch" in driver.current_url
    rows = [row.text for row in css(driver, "#matrix tbody tr") if row.is_displayed()]
    assert len(rows) == 4
    assert all(row.startswith("torch.nn") for row in rows)
    told = driver.execute_script("return document.getElementById('overview').innerText")
    link = driver.current_url.partition("#")[2]
    visit(f"#{link}")
    assert driver.execute_script("return document.getElementById('overview').innerText") == told
    pressed = [b.text for b in css(driver, "#mine button[aria-pressed=true]")]
    assert [text.split()[0] for text in pressed] == ["torch"]


def test_queries_find_what_they_say(
    driver: Any, visit: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    records = report_runs.run(tmp_path_factory.mktemp("run")).records
    visit("#outcomes")
    for query, holds in report_runs.QUERIES.items():
        set_query(driver, query)
        number = sum(map(holds, records))
        assert counted(driver).startswith(f"{number} of 72 outcomes"), (query, counted(driver))
        assert css(driver, "#query-error")[0].text == ""
        assert len(css(driver, ".outcomes tbody tr")) == number


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("colour:red", "no 'colour:'"),
        ("stride:wide", "needs a number"),
        ("is:odd", "no 'is:odd'"),
        ("(op:conv", "not closed"),
        ("op:conv)", "not opened"),
        ("op:", "needs a value"),
        ("not", "after 'not'"),
    ],
)
def test_a_query_that_is_none_says_why_and_keeps_what_was_shown(
    driver: Any, visit: Any, query: str, said: str
) -> None:
    visit("#outcomes?q=op:conv")
    before = counted(driver)
    set_query(driver, query)
    assert said in css(driver, "#query-error")[0].text
    assert counted(driver) == before
    css(driver, "#clear")[0].click()
    assert css(driver, "#query-error")[0].text == ""


def test_from_the_causes_to_a_case_and_back(driver: Any, visit: Any) -> None:
    visit("#causes?q=api:keras cause:padding-dropped")
    (cause,) = css(driver, "details.cause")
    assert "2 of 3 APIs agree; keras.layers differs" in cause.text
    assert "1 case · 2 targets" in cause.text
    css(driver, "details.cause summary")[0].click()
    until(driver, OPENED)
    assert "Keras layers know only 'valid' and 'same'" in cause.text
    next(a for a in css(driver, "details.cause a") if a.text == "hostile/uneven").click()
    until(driver, "return !document.getElementById('case').hidden")
    until(driver, "return document.querySelector('#case h2')?.textContent === 'hostile/uneven'")
    (text,) = shown(driver)
    assert "the width padding was dropped" in text
    assert "[1, 1, 2, 1] instead of [1, 1, 2, 2]" in text
    driver.back()
    until(driver, "return !document.getElementById('causes').hidden")
    assert len(css(driver, "details.cause")) == 1


def test_the_worst_element_is_marked_in_its_slice(driver: Any, visit: Any) -> None:
    visit(VIEWS["volume"])
    tables = css(driver, "table.heat")
    assert len(tables) == 3
    assert [cell.text.split("\n")[0] for cell in css(driver, "td.worst")] == [
        "111 ◆",
        "−1 ◆",
        "−112 ◆",
    ]
    selects = css(driver, ".slices select")
    assert [each.get_attribute("value") for each in selects] == ["1", "2"]
    driver.execute_script(
        "const s = document.querySelector('.slices select'); s.value = '0';"
        "s.dispatchEvent(new Event('change'))"
    )
    assert css(driver, "td.worst") == []
    assert css(driver, "table.heat td")[0].text == "32"


def test_the_error_is_told_against_its_bound(driver: Any, visit: Any) -> None:
    visit(VIEWS["values"])
    (text,) = shown(driver)
    assert "2 of 4 values of the output differ; the worst at [0, 0, 1, 0]: 4.5 instead of 3" in text
    assert "Error 1.5, bound 0.25: 6 times the bound." in text
    assert [cell.text.split("\n")[0] for cell in css(driver, "td.wrong")] == ["0.5", "1.5 ◆"]


def test_the_windows_follow_the_arrow_keys(driver: Any, visit: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    visit(UNEVEN)
    grids = css(driver, ".grids")[0]
    assert len(css(driver, ".grids .cell.on")) == 16
    assert len(css(driver, ".grids .cell.pad.on")) == 3
    grids.send_keys(Keys.ARROW_RIGHT)
    assert len(css(driver, ".grids .cell.pad.on")) == 0
    reading = css(driver, ".grids ~ .reading")[0]
    assert "output [0, 1] ← 15 elements of the input: height 0, 1, 2, width 3…7" in reading.text


def test_code_and_commands_can_be_copied(driver: Any, visit: Any) -> None:
    visit(UNEVEN)
    driver.execute_script(COPIED)
    buttons = [b for b in css(driver, "#case button") if b.text == "Copy"]
    for button in buttons:
        driver.execute_script("arguments[0].click()", button)
    copied = driver.execute_script("return window.copied")
    assert len(copied) == len(buttons) >= 3
    assert any("import keras" in text for text in copied)
    assert any(
        text.startswith("conformance repro ") and "--target tensorflow/keras.layers/eager" in text
        for text in copied
    )
    assert any(text.startswith("op: conv") for text in copied)
    until(driver, "return [...document.querySelectorAll('#case button')].some(b => "
                  "b.textContent === 'Copied')")  # fmt: skip


def test_the_theme_can_be_chosen(driver: Any, visit: Any) -> None:
    visit(scheme="light")
    background = "return getComputedStyle(document.body).backgroundColor"
    light = driver.execute_script(background)
    css(driver, "[data-theme-choice=dark]")[0].click()
    assert driver.execute_script(background) != light
    assert css(driver, "[data-theme-choice=dark]")[0].get_attribute("aria-pressed") == "true"
    css(driver, "[data-theme-choice=auto]")[0].click()
    assert driver.execute_script(background) == light


def test_everything_works_with_the_keyboard_alone(driver: Any, visit: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    def press(*keys: str) -> Any:
        for key in keys:
            driver.switch_to.active_element.send_keys(key)
        return driver.switch_to.active_element

    visit()
    assert press(Keys.TAB).text == "To the content"
    assert press(Keys.ENTER).get_attribute("id") == "main"
    press("/")
    field = driver.switch_to.active_element
    assert field.get_attribute("id") == "query"
    field.send_keys("cause:padding-dropped")
    focused = field
    for _ in range(40):
        focused = press(Keys.TAB)
        if focused.text == "By cause":
            break
    press(Keys.ENTER)
    until(driver, "return !document.getElementById('causes').hidden")
    assert "padding-dropped" in driver.current_url
    for _ in range(10):
        focused = press(Keys.TAB)
        if focused.tag_name == "summary":
            break
    press(Keys.ENTER)
    until(driver, OPENED)
    for _ in range(10):
        focused = press(Keys.TAB)
        if focused.text == "hostile/uneven":
            break
    press(Keys.ENTER)
    until(driver, "return document.querySelector('#case h2')?.textContent === 'hostile/uneven'")
    assert driver.switch_to.active_element.get_attribute("id") == "main"


def test_changes_since_the_baseline_lead_to_their_cases(driver: Any, visit: Any) -> None:
    visit()
    assert "regression" in css(driver, "header .words")[0].text
    (row,) = css(driver, "#changes tbody tr")
    assert "new" in row.text
    row.find_element("tag name", "a").click()
    until(driver, "return document.querySelector('#case h2')?.textContent === 'hostile/plain-2'")


def test_each_feature_is_shown_in_every_framework(driver: Any, visit: Any) -> None:
    visit("#code?q=case:line")
    (feature,) = css(driver, "details.feature")
    assert "padding same" in feature.text
    feature.find_element("tag name", "summary").click()
    until(driver, "return document.querySelectorAll('details.way').length === 3")
    ways = {way.find_element("tag name", "b").text: way.text for way in css(driver, "details.way")}
    assert set(ways) == {"torch.nn", "torch.nn.functional", "keras.layers"}
    assert "verified in this run" in ways["keras.layers"]
    assert 'keras.layers.Conv1D(1, 2, padding="same"' in ways["keras.layers"]


def test_the_script_of_a_cause_can_be_copied(driver: Any, visit: Any) -> None:
    visit("#causes?q=cause:padding-dropped")
    css(driver, "#cause-list details summary")[0].click()
    until(driver, OPENED)
    css(driver, "#cause-list details.script summary")[0].click()
    driver.execute_script(COPIED)
    next(b for b in css(driver, "details.script button") if b.text == "Copy").click()
    (copied,) = driver.execute_script("return window.copied")
    assert copied.startswith('"""keras.layers.Conv2D (')
    compile(copied, "repro.py", "exec")
    assert "np.testing" in copied or "assert observed.shape == expected.shape" in copied


def test_the_history_of_a_case_is_told(driver: Any, visit: Any) -> None:
    visit(VIEWS["error"])
    table = css(driver, "[aria-labelledby=history-title]")[0].text
    assert "rejected" in table
    assert "2.12.0 (2026-11-19)" in table
    assert "2.13.0 (2026-11-20)" in table


def test_the_last_runs_are_counted_and_what_changed_is_named(driver: Any, visit: Any) -> None:
    visit()
    table = css(driver, "[aria-labelledby=trends-title]")[0].text
    assert "2026-11-19" in table
    assert "2.12.0" in table
    turns = css(driver, "[aria-labelledby=turns-title]")[0]
    assert "torch 2.12.0 → 2.13.0" in turns.text
    assert "pass → rejected" in turns.text
    set_query(driver, "backend:tensorflow")
    until(driver, "return document.querySelector('.turns tbody tr').hidden")
    set_query(driver, "")
    css(driver, ".turns a")[0].click()
    until(driver, "return document.querySelector('#history-title') !== null")


def test_a_link_to_what_is_not_there_says_so(driver: Any, visit: Any) -> None:
    visit("#case?id=gone/away")
    assert "This run has no case 'gone/away'." in shown(driver)[0]
    visit("#nonsense?q=op:conv")
    assert not css(driver, "#overview")[0].get_attribute("hidden")


def test_paper_shows_what_is_folded(driver: Any, visit: Any) -> None:
    visit("#causes")
    driver.execute_cdp_cmd("Page.printToPDF", {})
    folded = "return document.querySelectorAll('#cause-list details.cause[open]').length"
    assert driver.execute_script(folded) == 0
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    causes = css(driver, "#cause-list details.cause")
    assert causes
    assert all("Where:" in cause.text for cause in causes)
