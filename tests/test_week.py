"""A week of nightly runs, from the command line: what real releases gave, as it was recorded."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from conformance import results
from tests.support import HERE, Command

NIGHTS = [HERE / "data" / "week" / f"{night}.jsonl" for night in range(1, 8)]
OVERHANG = "max-pool-1d-drops-the-window-in-padding"


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the nights' results."""
    folder = tmp_path_factory.mktemp("week")
    for night, path in enumerate(NIGHTS, 1):
        (folder / f"{night}").mkdir()
        shutil.copy(path, folder / f"{night}" / results.NAME)
    return folder


def lines(text: str) -> list[list[str]]:
    return [re.split(r"  +", line.strip()) for line in text.splitlines()]


def test_a_week_of_releases(week: Path, conformance: Command) -> None:
    for night in range(1, 8):
        added = conformance("history", "add", f"{night}", "--history", "h.sqlite", cwd=week)
        assert f"run {night} of h.sqlite" in added.stdout, added.stderr
    asked = ("--history", "h.sqlite")

    trend = conformance("history", "trend", *asked, "--backend", "onnxruntime", cwd=week)
    head, *rows = lines(trend.stdout)
    assert [row[1] for row in rows] == [f"2026-11-{14 + night}" for night in range(7)]
    assert [row[2] for row in rows] == [
        "1.20.1", "1.21.0", "1.22.1", "1.24.4", "1.26.0", "1.29.0", "1.31.1",
    ]  # fmt: skip
    unexpected = [int(row[-1]) for row in rows]
    assert unexpected == sorted(unexpected, reverse=True)
    assert (unexpected[0] > unexpected[1], unexpected[-1]) == (True, 0)
    assert head[-1] == "unexpected"

    case = ("asymmetric-digits", "--target", "jax.lax")
    shown = conformance("history", "show", *asked, *case, cwd=week).stdout
    assert "rejected → pass between run 2 (2026-11-15) and run 3 (2026-11-16)" in shown
    assert "jax 0.8.3 → 0.9.0, jaxlib 0.8.3 → 0.9.0" in shown
    shown = conformance("history", "show", *asked, OVERHANG, "--changed", cwd=week).stdout
    assert "wrong-shape → pass between run 1 (2026-11-14) and run 2 (2026-11-15)" in shown
    assert "onnxruntime 1.20.1 → 1.21.0" in shown


def test_two_nights_differ_by_what_the_releases_changed(week: Path, conformance: Command) -> None:
    done = conformance("diff", "2", "3", cwd=week)
    assert done.returncode == 0, done.stdout
    assert "jax 0.8.3 → 0.9.0" in done.stdout
    assert "onnxruntime 1.21.0 → 1.22.1" in done.stdout
    fixed = next(line for line in done.stdout.splitlines() if line.startswith("fixed"))
    assert "TypeError: conv_tr" in fixed
    assert "--target jax/jax.lax/eager" in fixed
    worse = conformance("diff", "5", "6", cwd=week)
    assert worse.returncode == 1, worse.stderr
    assert "negative-padding" in worse.stdout
    assert "Attribute pads must not contain negative values" in worse.stdout


def test_the_page_of_the_last_night_tells_of_the_week(week: Path, conformance: Command) -> None:
    conformance("history", "add", *range(1, 8), "--history", "page.sqlite", cwd=week)
    options = ("--baseline", "6", "--history", "page.sqlite", "--out", "page")
    done = conformance("report", "7", *options, cwd=week)
    assert done.returncode == 0, done.stderr
    page = (week / "page" / "index.html").read_text(encoding="utf-8")
    assert "The last 7 runs" in page
    turns = re.split("<tr", page[page.index("turns-title") :])
    told = [re.sub(r"<[^>]*>|\s+", " ", turn) for turn in turns]
    assert any(
        "2026-11-16" in each
        and "jax 0.8.3 → 0.9.0" in each
        and "rejected → pass" in each
        and "conv_transpose/padding/asymmetric-digits" in each
        for each in told
    )
    assert any("2026-11-18" in each and "crash → pass" in each for each in told)
