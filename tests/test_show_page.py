"""The page of a case in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance import cases, content, discovery, selection
from conformance.side_by_side import rendering, show
from conformance.side_by_side.lowerings import Speakers
from tests.support import browser

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
NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => {
  violations.push(event.violatedDirective + " " + event.blockedURI);
});
"""
# WCAG's contrast ratio of every element that has text of its own, with the color behind it.
LOW_CONTRAST = """
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parts = color => color.match(/[0-9.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const color = parts(getComputedStyle(at).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
};
return [...document.body.querySelectorAll("*")].filter(element => {
  if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) return false;
  const [one, other] = [parts(getComputedStyle(element).color), behind(element)].map(light);
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) < 4.5;
}).map(element => element.outerHTML.slice(0, 120));
"""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver

    found = browser()
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(found[1]))
    command = "Page.addScriptToEvaluateOnNewDocument"
    driver.execute_cdp_cmd(command, {"source": NOTE_VIOLATIONS})
    yield driver
    driver.quit()


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
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
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
