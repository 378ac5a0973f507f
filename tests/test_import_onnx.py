"""``conformance import onnx``: the tests of an installed onnx package as case files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from conformance import cases, content, reference
from tests.support import Command

CORE = re.compile(r"^core:[^\]]*\]\n", re.MULTILINE)  # the suite's own choice
EXTERNAL = content.root("cases") / "external"
PACKAGE = {
    "__init__.py": "from . import helper\n\n__version__ = '9.8.7'\n",
    "helper.py": "def get_attribute_value(attribute):\n    return attribute.value\n",
    "backend/__init__.py": "",
    "backend/test/__init__.py": "",
    "backend/test/case/__init__.py": "",
    "backend/test/case/node/__init__.py": """
from types import SimpleNamespace as Named

_NodeTestCases = []


def expect(operator, inputs, outputs, name, given=None, nodes=1, **attributes):
    names = given or [f"x{at}" for at, _ in enumerate(inputs)]
    pairs = [Named(name=key, value=value) for key, value in attributes.items()]
    node = Named(op_type=operator, input=names, output=["y", "i"][: len(outputs)], attribute=pairs)
    model = Named(graph=Named(node=[node] * nodes))
    made = Named(name=name, model=model, data_sets=[(inputs, outputs)], rtol=1e-3, atol=1e-7)
    _NodeTestCases.append(made)
""",
    "backend/test/case/node/relu.py": "raise SystemExit('not a convolution, not a pooling')\n",
}
HEAD = """
import numpy as np
from . import expect

line = np.arange(1, 6, dtype=np.float32).reshape(1, 1, 5)
ones = np.ones((1, 1, 2), np.float32)


def of(*numbers, dtype=np.float32):
    return np.array(numbers, dtype).reshape(1, 1, -1)

"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder in which ``import onnx`` finds a small package; tests are added by `define`."""
    for name, text in PACKAGE.items():
        file = tmp_path / "onnx" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def define(package: Path, *tests: str) -> None:
    file = package / "onnx" / "backend" / "test" / "case" / "node" / "conv_and_pool.py"
    file.write_text(HEAD + "\n".join(tests) + "\n", encoding="utf-8")


def imported(
    conformance: Command, package: Path, *arguments: object
) -> subprocess.CompletedProcess[str]:
    return conformance("import", "onnx", "--out", "made", *arguments, cwd=package)


def test_a_test_becomes_a_case(conformance: Command, package: Path) -> None:
    define(
        package,
        'expect("Conv", [line, ones], [of(3, 7, 5)], "test_same", auto_pad=b"SAME_UPPER",'
        " strides=[2])",
        'expect("MaxPool", [line], [of(1, 3, 5)], "test_max", kernel_shape=[2], pads=[1, 0],'
        " strides=[2])",
        'expect("AveragePool", [line], [of(1, 2.5, 4.5)], "test_avg", kernel_shape=[2],'
        " pads=[1, 0], strides=[2])",
    )
    done = imported(conformance, package)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 tests of onnx 9.8.7, 3 cases:",
        "  made/onnx-conv.yaml\t1",
        "  made/onnx-max-pool.yaml\t1",
        "  made/onnx-avg-pool.yaml\t1",
    ]
    link = "https://github.com/onnx/onnx/blob/v9.8.7/onnx/backend/test/case/node/conv_and_pool.py"
    text = (package / "made" / "onnx-max-pool.yaml").read_text(encoding="utf-8")
    assert text.endswith(
        "op: max_pool\n"
        "defaults: {tier: full}\n"
        "cases:\n"
        "  - id: test_max\n"
        f"    source: {link}#L13\n"
        "    input: {shape: [1, 1, 5], arange: {start: 1}}\n"
        "    window: 2\n"
        "    stride: 2\n"
        "    padding: [[1, 0]]\n"
        "    expect:\n"
        "      shape: [1, 1, 3]\n"
        '      output: "1 3 5"\n'
    )
    conv, average, _ = sorted(
        cases.load([package / "made"]), key=lambda case: case.id != "onnx-conv/test_same"
    )
    assert conv.request.padding.word == "same"
    assert average.fields.count_include_pad is False
    for case in cases.load([package / "made"]):
        reference.check_goldens(case, reference.expected(case))


def test_what_cannot_be_said_is_left_out_with_the_reason(
    conformance: Command, package: Path
) -> None:
    define(
        package,
        'expect("Conv", [line, ones], [of(3, 5, 7, 9)], "test_right")',
        'expect("Conv", [line, ones], [of(3, 5, 7, 8)], "test_wrong")',
        'expect("Conv", [line, ones], [of(3, 5, 7)], "test_shape")',
        'expect("Conv", [line, ones], [of(3, 5, 7, 9)], "test_more", flavour=1)',
        'expect("MaxUnpool", [line], [line], "test_unpool")',
        'expect("ConvOfTheFuture", [line], [line], "test_future")',
        'expect("MaxPool", [line > 3], [line > 3], "test_bool", kernel_shape=[1])',
        'expect("Conv", [line, ones], [of(3, 5, 7, 9)], "test_right_expanded", nodes=2)',
    )
    done = imported(conformance, package)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "7 tests of onnx 9.8.7, 1 case:",
        "  made/onnx-conv.yaml\t1",
        "left out, 6:",
        "  test_more: Conv with flavour cannot be said",
        "  test_unpool: MaxUnpool: scatters by indices; there are no windows",
        "  test_future: ConvOfTheFuture is none of the suite's operators",
        "  test_bool: the suite has no bool",
        "  test_wrong: its golden is 8 at [0, 0, 3], the oracle's output 9 (1 of 4 differ)",
        "  test_shape: its golden has the shape [1, 1, 3], the oracle's output [1, 1, 4]",
    ]


def test_a_golden_gets_the_narrowest_tolerance_that_it_needs(
    conformance: Command, package: Path
) -> None:
    define(
        package,
        'expect("Conv", [line, ones], [of(3, 5, 7, 9)], "test_exact")',
        'expect("Conv", [line, ones], [of(3, 5.000004, 7, 9)], "test_close")',
        'expect("Conv", [line, ones], [of(3, 5.004, 7, 9)], "test_upstream")',
    )
    assert imported(conformance, package).returncode == 0
    golden = {
        case.fields.id: (case.fields.expect.rtol, case.fields.expect.atol)
        for case in cases.load([package / "made"])
        if case.fields.expect is not None
    }
    assert golden == {"test_exact": (0, 0), "test_close": (1e-6, 0), "test_upstream": (1e-3, 1e-7)}


def test_more_numbers_than_a_file_should_hold_are_left_to_the_suite(
    conformance: Command, package: Path
) -> None:
    define(
        package,
        "many = np.random.RandomState(0).randn(1, 1, 5000).astype(np.float32)",
        'expect("MaxPool", [many], [np.maximum(many[..., 1:], many[..., :-1])], "test_many",'
        " kernel_shape=[2])",
        "regular = np.arange(5000, dtype=np.float32).reshape(1, 1, 5000)",
        'expect("MaxPool", [regular], [regular[..., 99::100]], "test_regular",'
        " kernel_shape=[100], strides=[100])",
    )
    assert imported(conformance, package).returncode == 0
    many, regular = cases.load([package / "made"])
    assert many.fields.expect is not None and regular.fields.expect is not None
    assert many.fields.expect.shape == [1, 1, 4999]
    assert many.fields.expect.output is None
    assert "too many to write" in (many.fields.note or "")
    assert regular.fields.input is not None and regular.fields.input.arange is True
    assert str(regular.fields.expect.output).startswith("99 199 299 ")


def test_indices_become_a_case_of_their_own(conformance: Command, package: Path) -> None:
    define(
        package,
        "x = np.array([[[1, 5, 2, 4], [7, 3, 8, 6]]], np.float32)",
        "y, i = np.array([[[5, 4], [7, 8]]], np.float32), np.array([[[1, 3], [4, 6]]])",
        'expect("MaxPool", [x], [y, i], "test_rows", kernel_shape=[2], strides=[2])',
        'expect("MaxPool", [x], [y, i], "test_columns", kernel_shape=[2], strides=[2],'
        " storage_order=1)",
    )
    assert imported(conformance, package).returncode == 0
    found = {case.fields.id: case for case in cases.load([package / "made"])}
    assert found.keys() == {"test_rows", "test_rows.indices", "test_columns"}
    indices = found["test_rows.indices"]
    assert indices.request.op == "max_pool_indices"
    assert indices.fields.expect is not None and indices.fields.expect.output == "1 3 0 2"
    assert "columns first" in (found["test_columns"].fields.note or "")


def test_ties_have_no_gradient_to_agree_on(conformance: Command, package: Path) -> None:
    define(
        package,
        'expect("MaxPool", [of(1, 1, 2)], [of(1, 2)], "test_tie", kernel_shape=[2])',
        'expect("MaxPool", [of(1, 3, 2)], [of(3, 3)], "test_none", kernel_shape=[2])',
    )
    assert imported(conformance, package).returncode == 0
    tie, none = cases.load([package / "made"])
    assert tie.cotangent is None
    assert none.cotangent is not None


def test_optional_operands_and_output_shapes_are_understood(
    conformance: Command, package: Path
) -> None:
    define(
        package,
        'expect("ConvInteger", [of(3, 4, 5, dtype=np.uint8), of(1, 2, dtype=np.uint8),'
        ' np.uint8(1)], [of(8, 11, dtype=np.int32)], "test_zero_point")',
        "past = of(9, 9)",
        'expect("CausalConvWithState", [line, of(1, 1), past[..., :1]],'
        ' [of(10, 3, 5, 7, 9), of(5)], "test_past", given=["x", "w", "", "past"])',
        'expect("CausalConvWithState", [line, of(1, 1)], [of(1, 3, 5, 7, 9), of(5)], "test_none")',
        'expect("ConvTranspose", [of(1, 2, 3), of(1, 10, 100)], [of(10, 102, 20, 203, 30, 300)],'
        ' "test_padded", strides=[2], output_shape=[6])',
        'expect("ConvTranspose", [of(1, 2), of(1, 10)], [of(1, 10, 2, 20, 0)], "test_more",'
        " strides=[2], output_shape=[5])",
    )
    done = imported(conformance, package)
    assert done.returncode == 0, done.stderr
    assert "left out" not in done.stdout, done.stdout
    found = {case.fields.id: case.request for case in cases.load([package / "made"])}
    assert found["test_zero_point"].dtype == "int32"
    assert found["test_past"].input_shape == (1, 1, 6)
    assert found["test_none"].padding.word == "causal"
    assert found["test_padded"].padding.pairs == ((1, 0),)
    assert found["test_more"].output_shape == (1, 1, 5)


def test_it_overwrites_its_own_files_only(conformance: Command, package: Path) -> None:
    define(
        package,
        'expect("Conv", [line, ones], [of(3, 5, 7, 9)], "test_one")',
        'expect("MaxPool", [line], [line], "test_two", kernel_shape=[1])',
    )
    assert imported(conformance, package).returncode == 0
    conv, pool = (package / "made" / f"onnx-{name}.yaml" for name in ("conv", "max-pool"))
    first = conv.read_bytes(), pool.read_bytes()
    assert imported(conformance, package).returncode == 0
    assert (conv.read_bytes(), pool.read_bytes()) == first
    pool.write_text("op: max_pool\ncases: []\n", encoding="utf-8")
    conv.write_bytes(first[0].replace(b"test_one", b"test_old"))
    done = imported(conformance, package)
    assert done.returncode == 2
    assert done.stderr == (
        "error: made/onnx-max-pool.yaml exists and was not written by this command; "
        "move it away, or overwrite it with --force\n"
    )
    assert b"test_old" in conv.read_bytes()
    assert imported(conformance, package, "--force").returncode == 0
    assert (conv.read_bytes(), pool.read_bytes()) == first


def test_a_folder_that_cannot_be_written_to_is_named(conformance: Command, package: Path) -> None:
    define(package, 'expect("Conv", [line, ones], [of(3, 5, 7, 9)], "test_one")')
    (package / "file").write_text("")
    done = conformance("import", "onnx", "--out", "file/made", cwd=package)
    assert done.returncode == 2
    assert done.stderr.startswith("error: file/made/")
    assert done.stderr.endswith(" cannot be written: Not a directory\n")


def test_another_version_than_the_wanted_one_is_refused(
    conformance: Command, package: Path
) -> None:
    define(package, 'expect("Conv", [line, ones], [of(3, 5, 7, 9)], "test_one")')
    assert imported(conformance, package, "--package-version", "9.8.7").returncode == 0
    done = imported(conformance, package, "--package-version", "1.2.3")
    assert done.returncode == 2
    assert done.stderr == (
        "error: onnx 9.8.7 is installed here, not 1.2.3; pip install onnx==1.2.3\n"
    )


def test_without_the_package_it_says_what_to_install(conformance: Command, tmp_path: Path) -> None:
    (tmp_path / "onnx.py").write_text("raise ImportError('not in this test')\n")
    done = conformance("import", "onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "error: the onnx package, which has the tests, is not installed here "
        "(not in this test); pip install onnx\n"
    )


@pytest.mark.framework("onnx")
def test_what_is_committed_is_what_it_writes(conformance: Command, tmp_path: Path) -> None:
    done = conformance("import", "onnx", "--out", tmp_path, "--package-version", "1.23.2")
    assert done.returncode == 0, done.stderr
    committed = {
        file.name: CORE.sub("", file.read_text(encoding="utf-8"))
        for file in EXTERNAL.glob("onnx-*.yaml")
    }
    assert {file.name: file.read_text(encoding="utf-8") for file in tmp_path.iterdir()} == committed
    assert done.stdout.startswith("90 tests of onnx 1.23.2, 80 cases:\n")
    reasons = done.stdout.partition("left out, 11:\n")[2].splitlines()
    assert all(": " in line for line in reasons)
    readme = (EXTERNAL / "README.md").read_text(encoding="utf-8")
    for line in reasons:
        for name in line.strip().partition(": ")[0].split(", "):
            assert f"`{name}`" in readme
