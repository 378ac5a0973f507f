"""What several test modules share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
Command = Callable[..., "subprocess.CompletedProcess[str]"]
NO_BROWSER = (
    "chromium and chromedriver are not on PATH: install them (Debian: apt-get install chromium "
    "chromium-driver), or leave the browser tests out: pytest -m 'not browser'"
)


def browser() -> tuple[str, str] | None:
    """The browser and its driver, or None where one of them is not on PATH."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    return (program, driver) if program and driver else None
