"""What the cases cover: each operator, axis, rank and dtype that makes sense has one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance import cases, content
from conformance.coverage.axes import ALL, AXES, NAMED
from conformance.coverage.counting import Row, coverage
from tests.support import HERE, Command

ROOT = HERE.parent


@pytest.fixture(scope="module")
def rows() -> tuple[Row, ...]:
    return coverage(cases.load([content.root("cases")]))


def test_every_pair_that_makes_sense_has_a_case(rows: tuple[Row, ...]) -> None:
    missing = [f"{row.op}, {row.axis.name}: {row.missing}" for row in rows if row.missing]
    assert not missing


def test_a_usual_run_meets_every_operator_and_every_axis(rows: tuple[Row, ...]) -> None:
    met = [row for row in rows if any(count.core for count in row.cells.values())]
    assert {row.op for row in met} == set(ALL)
    assert {row.axis.name for row in met} == {axis.name for axis in AXES}


def test_what_makes_no_sense_says_why(rows: tuple[Row, ...]) -> None:
    for row in rows:
        assert all(row.reasons.values()), row.axis.name
        assert len(row.reasons) < len(NAMED), f"{row.op} has no {row.axis.name} at all"
    own = {(row.op, row.axis.name) for row in rows}
    assert len(own) == len(rows)
    assert all(axis.without for axis in AXES if any((op, axis.name) not in own for op in ALL))


def counted(tmp_path: Path, text: str) -> set[tuple[str, str]]:
    """The axes that one case is on, with its dtype."""
    file = tmp_path / "one.yaml"
    file.write_text(f"cases:\n  - {{id: one, {text}}}\n")
    return {
        (row.axis.name, dtype)
        for row in coverage(cases.load_file(file, tmp_path))
        for dtype in NAMED
        if row.cells[dtype].full
    }


SIGNAL = "input: {shape: [1, 2, 6]}"


@pytest.mark.parametrize(
    ("text", "axes", "others"),
    [
        (
            f"op: conv, {SIGNAL}, kernel: {{shape: [4, 1, 2]}}, groups: 2, padding: [[-1, 2]]",
            ["window even", "depthwise with multiplier", "padding, asymmetric", "padding, negative",
             "padding, over-long", "VJP of the input", "VJP of the kernel", "VJP under padding"],
            ["window odd", "groups", "bias", "VJP of the bias", "padding, symmetric", "law"],
        ),
        (
            "op: conv, input: {shape: [1, 4, 6]}, kernel: {shape: [4, 2, 3]}, groups: 2,"
            " bias: true, stride: 6, dilation: 2, unbatched: true",
            ["window odd", "groups", "bias", "dilation with stride", "stride beyond the window",
             "unbatched", "VJP of the bias"],
            ["window even", "depthwise with multiplier", "VJP under padding", "padding 'same'"],
        ),
        (
            "op: max_pool, window: 2, input: {values: [[[-.inf, -.inf, 1, 1]]]}",
            ["a window of −inf alone", "infinities", "ties", "VJP with ties"],
            ["NaN", "−0.0", "negative data under padding", "window odd"],
        ),
        (
            "op: max_pool, window: 2, padding: 1, vjp: false,"
            " input: {values: [[[-1, .nan, -3, -2]]]}",
            ["NaN", "padding, symmetric"],
            ["ties", "negative data under padding", "VJP of the input", "VJP with NaN"],
        ),
        (
            "op: max_pool, window: 3, stride: 2, padding: 1, ceil_mode: true,"
            " input: {shape: [1, 1, 6], arange: {start: -6}}",
            ["ceil, over symmetric padding", "negative data under padding", "VJP under padding"],
            ["ceil, last window over the edge", "ceil, window in padding dropped", "ties"],
        ),
        (
            "op: avg_pool, window: 2, dtype: float16, input: {constant: -0.0, shape: [1, 1, 4],"
            " set: [{at: [0, 0, 0], to: 60000}, {at: [0, 0, 1], to: 60000}]}, vjp: false,"
            " accumulation: float32",
            ["overflow in float16", "−0.0"],
            ["subnormal numbers", "padding counted", "sum of 256 terms or more"],
        ),
        (
            "op: conv, dtype: float16, input: {constant: 60000, shape: [1, 1, 3]},"
            " kernel: {values: [[[1, 0]]]}, vjp: false",
            ["window even"],
            ["overflow in float16"],
        ),
        (
            "op: conv, dtype: bfloat16, input: {values: [[[9.183549615799121e-41, 1.0]]]},"
            " kernel: {values: [[[1]]]}, vjp: false",
            ["subnormal numbers", "window of one element"],
            ["−0.0"],
        ),
        (
            "op: adaptive_max_pool, output_size: 5, input: {shape: [1, 2, 3]}",
            ["more positions than elements", "windows uneven"],
            ["windows side by side", "ties"],
        ),
        (f"op: conv, {SIGNAL}, kernel: {{shape: [2, 2, 3]}}, law: mirrored", ["law"], ["any"]),
    ],
)  # fmt: skip
def test_a_case_is_on_the_axes_that_its_request_and_data_are_on(
    text: str, axes: list[str], others: list[str], tmp_path: Path
) -> None:
    found = {name for name, _ in counted(tmp_path, text)}
    assert found >= set(axes)
    assert not found & set(others)


def test_a_chain_covers_each_of_its_operators_as_steps_alone(tmp_path: Path) -> None:
    kernel = "kernel: {shape: [2, 2, 3]}"
    text = f"op: chain, {SIGNAL}, steps: [{{op: conv, {kernel}}}, {{op: max_pool, window: 2}}]"
    file = tmp_path / "one.yaml"
    file.write_text(f"cases:\n  - {{id: one, {text}}}\n")
    on = [row for row in coverage(cases.load_file(file, tmp_path)) if row.cells["float32"].full]
    assert [(row.op, row.axis.name) for row in on] == [
        ("conv", "step of a composite"),
        ("max_pool", "step of a composite"),
    ]


def test_list_prints_the_coverage_and_what_is_missing(conformance: Command) -> None:
    done = conformance("list", "cases/pool", "--coverage", "--backend", "numpy", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    at = next(number for number, line in enumerate(lines) if line.startswith("avg_pool"))
    assert lines[at].split()[1:4] == ["1-D", "2-D", "3-D"]
    assert lines[at + 1].startswith("any")
    assert "–" in lines[at + 1]
    assert "the average of them has no agreed meaning" in done.stdout
    assert next(line for line in lines if line.startswith("groups")).split()[1] == "✗"
    assert "have none (✗)" in lines[-1]


def test_list_prints_the_coverage_as_json(conformance: Command) -> None:
    arguments = ["list", "cases/pool", "--coverage", "--format", "json", "--backend", "numpy"]
    told = {}
    for tier in ("core", "full"):
        done = conformance(*arguments, "--tier", tier, "-k", "dtypes/", cwd=ROOT)
        rows = {(row["op"], row["axis"]): row for row in json.loads(done.stdout)}
        told[tier] = rows["max_pool", "any"]
    core, full = told["core"]["dtypes"]["uint8"], told["full"]["dtypes"]["uint8"]
    assert core["core"] == core["full"] == full["core"] < full["full"]
    assert set(told["full"]["missing"]) < set(told["core"]["missing"])
    assert "complex64" in told["full"]["senseless"]


def test_list_has_cases_as_json(conformance: Command) -> None:
    arguments = ["list", "cases/tutorials", "--backend", "numpy", "-k", "uneven"]
    done = conformance(*arguments, "--format", "json", cwd=ROOT)
    assert [case["id"] for case in json.loads(done.stdout)] == [
        "tutorials/padding-and-stride/uneven"
    ]
