"""A new backend is one folder: the one of docs/new-backend.md, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from conformance import results
from tests.support import HERE

PAGE = HERE.parent / "docs" / "new-backend.md"
FILE = re.compile(r"`toy/([\w.]+)`:\n\n```\w+\n(.*?)```", re.DOTALL)
COMMAND = re.compile(r"^\$ conformance (run .*)$", re.MULTILINE)
CAUSE = re.compile(r"^new +\d+ +\d+  (.*?)  ", re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader works: the suite's cases, and the folder that the page fills."""
    (tmp_path / "cases").symlink_to(HERE.parent / "cases")
    (tmp_path / "toy").mkdir()
    return tmp_path


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    (words,) = COMMAND.findall(PAGE.read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "conformance", *words.split(), "--out", "results"]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, timeout=600, check=False
    )


def test_the_page_makes_a_backend(folder: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    files = dict(FILE.findall(page))
    assert list(files) == ["adapter.py", "known.yaml"]
    (folder / "toy" / "adapter.py").write_text(files["adapter.py"], encoding="utf-8")
    first = run(folder)
    assert first.returncode == 1, first.stderr
    causes = CAUSE.findall(page)
    assert len(causes) == 2
    assert all(cause in first.stdout for cause in causes)
    (folder / "toy" / "known.yaml").write_text(files["known.yaml"], encoding="utf-8")
    second = run(folder)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "all as expected" in second.stdout
    ran = results.read(folder / "results" / "results.jsonl").records
    assert {"pass", "known", "unsupported"} == {record.outcome for record in ran}
    assert any(record.form == "emulated" and record.outcome == "pass" for record in ran)
