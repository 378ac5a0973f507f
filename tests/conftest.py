"""Fixtures and markers of the suite's own tests."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import HERE, Command


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test whose framework is missing is skipped at a desk and fails where all are required."""
    for marker in item.iter_markers("framework"):
        for name in marker.args:
            if importlib.util.find_spec(name) is None:
                message = f"{name} is not installed here"
                if item.config.getoption("require_backends") or os.environ.get("CI"):
                    pytest.fail(message)
                pytest.skip(message)


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
