"""Headless Chromium, for tests of pages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import browser

NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", event => {
  violations.push(event.violatedDirective + " " + event.blockedURI);
});
"""
# WCAG's contrast ratio of every element that has text of its own, with the color behind it.
LOW_CONTRAST = """
const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const parts = color => {
  const scale = color.startsWith("color(srgb") ? 255 : 1;
  return color.match(/[0-9.]+/g).map((part, at) => at < 3 ? part * scale : Number(part));
};
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


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A driver of headless Chromium, with its console's log and its policy's violations kept."""
    from selenium import webdriver

    found = browser()
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(found[1]))
    try:
        command = "Page.addScriptToEvaluateOnNewDocument"
        driver.execute_cdp_cmd(command, {"source": NOTE_VIOLATIONS})
        yield driver
    finally:
        driver.quit()


def shape(driver: Any, width: int, scheme: str = "light") -> None:
    """A window's width, and whether the system is light or dark."""
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def until(driver: Any, script: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not driver.execute_script(script):
        assert time.monotonic() < deadline, script
        time.sleep(0.02)


def css(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))
