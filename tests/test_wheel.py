"""The installed wheel works outside of the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import HERE


def command(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a process without what this environment adds to Python's path."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "PYTHONPATH", "TOX_", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        [str(argument) for argument in arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=600,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an environment's programs that has the wheel and pytest."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    built = command(*pip, "wheel", "--no-deps", "-w", folder, HERE.parent, cwd=folder)
    assert built.returncode == 0, built.stderr
    wheel = next(folder.glob("*.whl"))
    made = command(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    assert made.returncode == 0, made.stderr
    programs = folder / "venv" / "bin"
    done = command(programs / "python", "-m", "pip", "--quiet", "install", f"{wheel}[pytest]",
                   cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return programs


def test_it_runs_with_what_is_installed(installed: Path, tmp_path: Path) -> None:
    done = command(installed / "conformance", "run", "-k", "tutorials", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "numpy.loops" in done.stdout
    assert "all as expected" in done.stdout
    assert "torch did not run: torch is not installed here" in done.stdout


def test_pytest_finds_its_cases_by_package(installed: Path, tmp_path: Path) -> None:
    arguments = ["--pyargs", "conformance", "-q", "-n", "2", "-k", "tutorials and numpy"]
    done = command(installed / "pytest", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "failed" not in done.stdout


def test_it_shows_code_without_the_framework(installed: Path, tmp_path: Path) -> None:
    done = command(installed / "conformance", "show", "uneven", "--target", "torch.nn.func",
                   cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "F.conv2d" in done.stdout
    page = command(installed / "conformance", "show", "uneven", "--format", "html", cwd=tmp_path)
    assert page.returncode == 0, page.stderr
    assert page.stdout.startswith("<!doctype html>")
