"""Every mistake gets one sentence that names file and line, and exit code 2; never a traceback."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance import cases, cli, content, document, known, predicates, records, results
from conformance.content import ContentError
from conformance.known import Registry
from conformance.records import BackendInfo, Header, Record
from tests.support import HERE, Command

MALFORMED = HERE / "malformed"
CASES = sorted((MALFORMED / "cases").glob("*.yaml"))
GOLDENS = sorted((MALFORMED / "goldens").glob("*.yaml"))
REGISTRIES = sorted((MALFORMED / "known").glob("*.yaml"))
JARGON = re.compile(
    r"Traceback|Input should|Value error|type=|function-|list\[|dict\[|[Uu]nion|pydantic|"
    r"NoneType|<class|None\b|True\b|False\b|object at 0x"
)
NUMPY = ("--backend", "numpy")


def expectation(file: Path) -> tuple[int, str]:
    """The line and the part of the sentence that a file's first line promises."""
    first = file.read_text(encoding="utf-8").splitlines()[0]
    line, _, sentence = first.removeprefix("# expect: ").partition(": ")
    return int(line), sentence


def assert_clean(text: str) -> None:
    """One sentence in a user's words."""
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) <= 300
    assert not JARGON.search(text), text


def assert_explained(error: ContentError, file: Path) -> None:
    line, sentence = expectation(file)
    assert str(error).startswith(f"{content.display(file)}:{line}: ")
    assert sentence in str(error)
    assert_clean(str(error))


def named(files: Sequence[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("file", files, ids=[file.stem for file in files])


@named(CASES)
def test_case_file(file: Path) -> None:
    with pytest.raises(ContentError) as caught:
        cases.load([file])
    assert_explained(caught.value, file)


@named(REGISTRIES)
def test_registry(file: Path) -> None:
    with pytest.raises(ContentError) as caught:
        checked(file)
    assert_explained(caught.value, file)


def checked(file: Path) -> Registry:
    registry = known.load(file, "numpy")
    corpus = [predicates.facts(case) for case in cases.load([content.root("cases") / "tutorials"])]
    registry.check_corpus(corpus, ["loops"], ["eager"])
    return registry


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [*map(str, arguments)])


def assert_refused(done: Result, *parts: str) -> None:
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert_clean(done.stderr.removesuffix("\n"))
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize("command", ["list", "run"])
def test_command_line_refuses_a_file(command: str, tmp_path: Path) -> None:
    out = ("--out", tmp_path) if command == "run" else ()
    for file in CASES[::8]:
        line, sentence = expectation(file)
        assert_refused(invoke(command, file, *NUMPY, *out), f"{file.name}:{line}: ", sentence)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name",
    ["billion-laughs", "deep-nesting", "empty", "giant-shape", "padding-word", "tab",
     "unknown-case-key", "value-out-of-range"],
)  # fmt: skip
def test_process_refuses_a_file(conformance: Command, name: str) -> None:
    file = MALFORMED / "cases" / f"{name}.yaml"
    line, sentence = expectation(file)
    done = conformance("list", file, *NUMPY)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {content.display(file)}:{line}: ")
    assert sentence in done.stderr
    assert_clean(done.stderr.removesuffix("\n"))


@named(GOLDENS)
def test_run_refuses_a_case_whose_goldens_do_not_hold(file: Path, tmp_path: Path) -> None:
    line, sentence = expectation(file)
    done = invoke("run", file, *NUMPY, "--out", tmp_path)
    assert_refused(done, f"{file.name}:{line}: ", sentence)
    assert not list(tmp_path.iterdir())


def test_wrong_golden_in_a_process(conformance: Command, tmp_path: Path) -> None:
    done = conformance(
        "run", MALFORMED / "goldens" / "golden-value.yaml", *NUMPY, "--out", tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "golden-value.yaml:4: " in done.stderr


def content_error(path: Path) -> ContentError:
    with pytest.raises(ContentError) as caught:
        cases.load([path])
    assert_clean(str(caught.value).replace(str(path), "…"))
    return caught.value


@pytest.mark.parametrize(
    ("data", "line", "sentence"),
    [
        (b"op: conv\n# caf\xe9\n", 2, "not UTF-8 text"),
        (b"\xff\xfeo\0p\0", 1, "not UTF-8 text"),
        (b"op: conv\nsource: a\x07b\n", 2, "the control character '\\x07'"),
        (b"op: conv\nsource: a\0b\n", 2, "the control character '\\x00'"),
        (b"op: conv\nsource: \"\xe2\x80\xae\nb: '", 3, "a quote is not closed"),
        (b"[" * 300_000, 1, "nested more than 32 levels deep"),
        (b"- " * 300_000, 1, "nested more than 32 levels deep"),
        (b"{a: " * 300_000, 1, "nested more than 32 levels deep"),
        (b"a: !!int ''\n", 1, "'' is not a valid int"),
        (b"a: !!float x\n", 1, "'x' is not a valid float"),
        (b"a: !!bool x\n", 1, "'x' is not a valid bool"),
        (b"a: " + b"9" * 5000 + b"\n", 1, "is not a valid int"),
        (b"version: 0x" + b"f" * 5000 + b"\n", 1, "must be a number of fewer digits"),
        (b"k" * 900 + b": 1\ncases: [{id: a}]\n", 1, "unknown key"),
        (b"? |\n  two\n  lines\n: 1\n", 1, "unknown key"),
    ],
)
def test_bytes(data: bytes, line: int, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "bytes.yaml"
    file.write_bytes(data)
    error = content_error(file)
    assert error.line == line
    assert sentence in str(error)


def test_too_large_a_file(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    with file.open("wb") as stream:
        stream.truncate(document.FILE_LIMIT + 1)
    assert "larger than 32 MiB; split the file" in str(content_error(file))


def test_paths_that_are_no_case_files(tmp_path: Path) -> None:
    assert "no such file or folder" in str(content_error(tmp_path / "nowhere.yaml"))
    assert "no such file or folder" in str(content_error(tmp_path / ("long" * 100)))
    assert "no case files (*.yaml) in this folder" in str(content_error(tmp_path))
    (tmp_path / "folder.yaml").mkdir()
    assert "cannot be read: Is a directory" in str(content_error(tmp_path))


def test_one_id_in_two_files(tmp_path: Path) -> None:
    text = "op: max_pool\ncases:\n  - {id: b/c, input: {shape: [1, 1, 4]}, window: 2}\n"
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for folder in ("one", "two"):
        (tmp_path / folder / "same.yaml").write_text(text.replace("b/c", "a"), encoding="utf-8")
    with pytest.raises(ContentError, match=r"the id 'same/a' is taken by .*same.yaml:3"):
        cases.load([tmp_path / "one" / "same.yaml", tmp_path / "two" / "same.yaml"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("list", "--backend", "nympy"), "no backend 'nympy'; there are flax, jax,"),
        (("list", *NUMPY, "--api", "numpy"), "no API 'numpy'; there are numpy.loops"),
        (("list", *NUMPY, "--mode", "jit"), "no mode 'jit'; there are all, eager"),
        (("list", *NUMPY, "-k", "(conv and"), "-k '(conv and': not understood at column"),
        (("list", *NUMPY, "-k", "conv or"), "-k 'conv or': not understood at column"),
        (("list", *NUMPY, "-k", "a; b"), "-k 'a; b': not understood at column 2"),
        (("list", *NUMPY, "-k", "zzz"), "nothing is selected"),
        (("list", *NUMPY, "nowhere"), "nowhere: no such file or folder"),
        (("backends", *NUMPY, "--python", "numpy=/nowhere"), "there is no such interpreter"),
        (("backends", *NUMPY, "--python", "torch=/bin/sh"), "no backend 'torch' takes part"),
        (("list", *NUMPY, "--backend-dir", HERE / "data"), "is no backend: it has no adapter.py"),
        (("show", "no-such-case", *NUMPY), "no case 'no-such-case'"),
        (("show", "channels/two", *NUMPY), "no case 'channels/two'; near it: tutorials/channels"),
        (("show", "depthwise", *NUMPY, "--target", "x"), "no target has 'x' in its name"),
    ],
)
def test_command_line(arguments: tuple[object, ...], sentence: str) -> None:
    assert_refused(invoke(*arguments), sentence)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("run", "--python", "numpy"), "'numpy' is not NAME=PATH"),
        (("run", "--python", "=x"), "'=x' is not NAME=PATH"),
        (("run", "--jobs", "0"), "'--jobs'"),
        (("run", "--tier", "nightly"), "'nightly' is not one of"),
        (("list", "--backend-dir", "/nowhere"), "does not exist"),
        (("merge",), "Missing argument 'FILES...'"),
        (("merge", "/nowhere"), "does not exist"),
        (("rum",), "No such command 'rum'"),
        (("run", "--resum"), "--resume"),
    ],
)
def test_command_line_usage(arguments: tuple[object, ...], sentence: str) -> None:
    done = invoke(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_word_may_begin_with_an_operator() -> None:
    assert_refused(invoke("list", *NUMPY, "-k", "nothing"), "nothing is selected")
    assert_refused(invoke("list", *NUMPY, "-k", "conv orx"), "not understood at column")


HEADER = Header("1", "2025-01-01T00:00:00+00:00", {"a": "c"}, {}, {}, ())
PASS = Record("a/b", "torch", "torch.nn", "eager", "native", "forward", "pass", "pass")


def write(path: Path, *unit: Record, header: Header = HEADER) -> Path:
    results.write(path, results.Results(header, unit))
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write(tmp_path / "good.jsonl", PASS)


def test_resume_without_results(tmp_path: Path) -> None:
    done = invoke("run", *NUMPY, "-k", "corr2d", "--resume", "--out", tmp_path)
    assert_refused(done, "there is no run to resume here; run without --resume")


def test_resume_after_the_cases_changed(tmp_path: Path) -> None:
    write(tmp_path / results.NAME, PASS)
    done = invoke("run", *NUMPY, "-k", "corr2d", "--resume", "--out", tmp_path)
    assert_refused(done, "changed since; run without --resume")


HEADER_LINE = json.dumps(records.header_json(HEADER)) + "\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is no results file: it has no header line"),
        ("not JSON\n", ":1: is no header of a results file"),
        ("[]\n", ":1: is no header of a results file"),
        ('{"kind": "header"}\n', ":1: is no header of a results file"),
        ("[" * 100_000 + "\n", ":1: is no header of a results file"),
        (HEADER_LINE.replace('"version": 2', '"version": 9'), "has version 9, this suite reads 2"),
        (HEADER_LINE + "{}\n", ":2: is no record of a results file"),
        (HEADER_LINE + '{"kind": "record", "case": "a"}\n', ":2: is no record"),
        (HEADER_LINE + '{"kind": "end"}\n{"kind": "recor\n', ":3: is no record"),
        (HEADER_LINE + '{"kind": "backend", "name": 1}\n', ":2: is no record"),
    ],
)  # fmt: skip
def test_merge_refuses_what_is_no_results_file(
    text: str, sentence: str, good: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text(text, encoding="utf-8")
    assert_refused(invoke("merge", good, bad, "--out", tmp_path / "out"), "bad.jsonl", sentence)
    assert not (tmp_path / "out").exists()


def test_merge_refuses_what_is_not_text(good: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(b"\x80\x04\x95\n")
    assert_refused(invoke("merge", good, bad, "--out", tmp_path), "not UTF-8 text")
    assert_refused(invoke("merge", MALFORMED, "--out", tmp_path), "cannot be read: No such file")


def test_merge_refuses_parts_that_do_not_belong_together(good: Path, tmp_path: Path) -> None:
    info = BackendInfo("torch", "2.0", {}, "3.10", "here")
    newer = dataclasses.replace(info, version="2.1")
    for header, unit, sentence in (
        (dataclasses.replace(HEADER, cases={"a": "d"}), (), "the case file a differs"),
        (dataclasses.replace(HEADER, suite="2"), (), "the suite's version differs"),
        (HEADER, (dataclasses.replace(PASS, outcome="rejected"),), "contradict each other: a/b on"),
    ):
        bad = write(tmp_path / "bad.jsonl", *unit, header=header)
        assert_refused(invoke("merge", good, bad, "--out", tmp_path / "out"), sentence)
    one = write(tmp_path / "one.jsonl", header=dataclasses.replace(HEADER, backends=(info,)))
    two = write(tmp_path / "two.jsonl", header=dataclasses.replace(HEADER, backends=(newer,)))
    done = invoke("merge", one, two, "--out", tmp_path / "out")
    assert_refused(done, "ran torch 2.1", "merge runs of one version")


def test_registry_of_a_backend_is_checked_with_the_command_line(tmp_path: Path) -> None:
    folder = tmp_path / "numpy"
    source = content.root("backends") / "numpy"
    shutil.copytree(source, folder)
    shutil.copy(MALFORMED / "known" / "bad-kind.yaml", folder / "known.yaml")
    done = invoke("list", "--backend-dir", folder, *NUMPY)
    assert_refused(done, "known.yaml:6: [0].kind: must be 'by-design',")
