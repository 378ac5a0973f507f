"""Fixtures and markers of the suite's own tests."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import discovery
from tests import profiles as _profiles  # noqa: F401 - sets the default profile
from tests.support import HERE, NO_BROWSER, Command, browser


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test whose framework is missing is skipped at a desk and fails where all are required."""
    missing = [
        f"{name} is not installed here"
        for marker in item.iter_markers("framework")
        for name in marker.args
        if importlib.util.find_spec(name) is None
    ]
    for marker in item.iter_markers("backend"):
        found = discovery.interpreters(_backends())
        missing += [found[name].problem for name in marker.args if found[name].problem]
    if any(item.iter_markers("browser")) and browser() is None:
        missing.append(NO_BROWSER)
    if missing:
        if item.config.getoption("require_backends") or os.environ.get("CI"):
            pytest.fail("; ".join(missing))
        pytest.skip("; ".join(missing))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes minutes runs where ``-m`` speaks of it."""
    if "slow" in config.option.markexpr:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


@functools.cache
def _backends() -> list[discovery.Backend]:
    return discovery.discover()


@pytest.fixture
def conformance() -> Command:
    """Run the command line as a process; the completed process."""

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "conformance", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        return subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, timeout=500, env=environment,
            check=False,
        )  # fmt: skip

    return run
