"""The page of a case in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance import cases, content, discovery, selection
from conformance.side_by_side import rendering, show
from conformance.side_by_side.lowerings import Speakers
from tests.browsing import LOW_CONTRAST, chromium, shape

pytestmark = pytest.mark.browser

HOSTILE = """\
op: conv
source: "https://example.org/\\"><img src=x onerror=alert(1)>"
cases:
  - id: a-rather-long-id-of-a-case-that-does-not-fit-a-phone-in-one-line-without-a-break
    note: "<script>alert(1)</script><style>body{display:none}</style>"
    input: {shape: [1, 1, 8, 8]}
    kernel: {shape: [1, 1, 3, 3]}
    padding: same
    stride: 2
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module", params=["uneven", "hostile"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a tutorial's case, and one of a case that is up to no good."""
    folder = tmp_path_factory.mktemp("page")
    if request.param == "hostile":
        (folder / "hostile.yaml").write_text(HOSTILE)
        case = cases.load([folder / "hostile.yaml"])[0]
    else:
        case = selection.find(cases.load([content.root("cases")]), "uneven")
    backends = discovery.discover()
    targets = [target for backend in backends for target in backend.targets]
    with Speakers(backends) as speakers:
        interpreters = discovery.interpreters(backends)
        view = show.side_by_side(case, speakers, targets, interpreters)
    file = folder / "page.html"
    file.write_text(rendering.page(view), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1600])
def test_the_page_is_clean_readable_and_fits(
    driver: Any, page: Path, width: int, scheme: str
) -> None:
    shape(driver, width, scheme)
    driver.get(page.as_uri())
    assert driver.get_log("browser") == []
    assert driver.execute_script("return window.violations") == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert driver.execute_script(LOW_CONTRAST) == []
    background = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")


def test_the_page_is_whole_and_its_policy_strict(driver: Any, page: Path) -> None:
    driver.get(page.as_uri())
    assert driver.execute_script("return document.documentElement.lang") == "en"
    assert "side by side" in driver.title
    policy = driver.execute_script(
        "return document.querySelector('meta[http-equiv=Content-Security-Policy]').content"
    )
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for tag, number in (("h1", 1), ("script", 0), ("img", 0), ("style", 1), ("[style]", 0)):
        script = f"return document.querySelectorAll({tag!r}).length"
        assert driver.execute_script(script) == number, tag
    links = "return [...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.hash)"
    for target in driver.execute_script(links):
        script = "return document.getElementById(arguments[0].slice(1)) !== null"
        assert driver.execute_script(script, target)


def test_nothing_but_the_page_is_loaded(driver: Any, page: Path) -> None:
    driver.get(page.as_uri())
    script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
    assert driver.execute_script(script) == []
    driver.execute_script(
        "const injected = document.createElement('script');"
        "injected.textContent = 'window.ran = true';"
        "document.body.append(injected)"
    )
    assert driver.execute_script("return window.ran") is None
    (blocked,) = driver.get_log("browser")
    assert "Content Security Policy" in blocked["message"]
