"""The workflows and the action say only what is there, and publish what a night gave."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from conformance import cli, results, shards
from conformance.explanation import Explanation
from conformance.history import History
from tests.support import HERE, Command

ROOT = HERE.parent
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTION = ROOT / "action.yml"
SCRIPTS = (GITHUB / "publish", GITHUB / "site")
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
BACKENDS = sorted(path.parent.name for path in (ROOT / "backends").glob("*/adapter.py"))


def load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            yield f"{path.stem}/{name}", job


def steps() -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """All steps, with the combinations of the matrix that they run for."""
    for name, job in jobs():
        for step in job["steps"]:
            yield name, step, combinations(job.get("strategy", {}).get("matrix", {}))
    for step in load(ACTION)["runs"]["steps"]:
        yield "action", step, [{}]


def combinations(matrix: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What GitHub makes of a matrix whose ``include`` only adds to combinations."""
    axes = {name: values for name, values in matrix.items() if name not in ("include", "exclude")}
    every = [dict(zip(axes, values)) for values in itertools.product(*axes.values())]
    for fields in matrix.get("exclude", ()):
        assert any(fields.items() <= each.items() for each in every), f"{fields} excludes nothing"
        every = [each for each in every if not fields.items() <= each.items()]
    for fields in matrix.get("include", ()):
        about = {name: value for name, value in fields.items() if name in axes}
        chosen = [each for each in every if about.items() <= each.items()]
        assert chosen, f"{fields} includes nothing"
        for each in chosen:
            each.update(fields)
    return every


def filled(text: str, combination: Mapping[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1].removeprefix("matrix.")
        return str(combination[name]) if match[1].startswith("matrix.") else "GIVEN"

    return EXPRESSION.sub(value, text)


def commands(script: str) -> Iterator[list[str]]:
    """The words of each line of a script that shlex can read, its continuations joined."""
    for line in script.replace("\\\n", " ").splitlines():
        try:
            yield shlex.split(line, comments=True)
        except ValueError:
            continue


def tox_calls() -> Iterator[tuple[str, list[str], list[str]]]:
    """The environments of each call of tox, and what it hands over to them."""
    for name, step, every in steps():
        for combination in every:
            for words in commands(filled(step.get("run", ""), combination)):
                if words[:2] == ["tox", "run"]:
                    own, given = words, []
                    if "--" in words:
                        own, given = words[: words.index("--")], words[words.index("--") + 1 :]
                    named = own[own.index("-e") + 1].split(",") if "-e" in own else []
                    yield name, named, given


@pytest.fixture(scope="module")
def environments() -> set[str]:
    """The names that tox knows."""
    command = [sys.executable, "-m", "tox", "list", "--no-desc", "-q"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.strip() for line in done.stdout.splitlines()}


def test_every_environment_is_one_of_tox(environments: set[str]) -> None:
    named = {name for _, names, _ in tox_calls() for name in names}
    assert {"lint", "types", "tests", "publish", "torch", "torch-py311"} <= named
    assert len(named) > 40
    assert named <= environments


def test_the_nightly_has_every_backend_and_every_python() -> None:
    every = combinations(
        load(GITHUB / "workflows" / "nightly.yml")["jobs"]["run"]["strategy"]["matrix"]
    )
    assert len(every) <= 256
    assert sorted({each["backend"] for each in every}) == BACKENDS
    pinned = {each["backend"] for each in every if each["line"] == "pinned"}
    assert sorted(pinned) == BACKENDS
    assert {each["python"] for each in every} == {"3.10", "3.11", "3.12", "3.13"}
    for each in every:
        assert each["factors"].endswith(f"py{each['python'].replace('.', '')}")
        assert each["line"] not in ("latest", "pre") or each["factors"].startswith(each["line"])
    publish = load(GITHUB / "workflows" / "nightly.yml")["jobs"]["publish"]["strategy"]["matrix"]
    assert set(publish["line"]) == {each["line"] for each in every}
    for line, backend in {(each["line"], each["backend"]) for each in every}:
        held = sorted(e["shard"] for e in every if (e["line"], e["backend"]) == (line, backend))
        assert held == list(range(1, len(held) + 1))


def test_the_shards_are_all_of_so_many() -> None:
    given = [words for name, _, words in tox_calls() if name == "nightly/run"]
    asked = [shards.parse(words[words.index("--shard") + 1]) for words in given]
    (count,) = {shard.count for shard in asked}
    assert sorted({shard.number for shard in asked}) == list(range(1, count + 1))


def called(words: list[str]) -> list[str]:
    """What a command line says after ``conformance``; nothing where it calls something else."""
    own = list(itertools.dropwhile(lambda word: word in ("if", "told"), words))
    return own[1:] if own and own[0] in ("conformance", "$conformance") else []


def all_calls() -> Iterator[list[str]]:
    for _, step, every in steps():
        yield from commands(filled(step.get("run", ""), every[0]))
    for path in SCRIPTS:
        yield from commands(path.read_text(encoding="utf-8"))
    yield from commands(re.sub(r"(?m)^ *[\w,]+: ", "", (ROOT / "tox.ini").read_text("utf-8")))
    for _, names, given in tox_calls():
        if given and names[0].split("-")[0] in BACKENDS:
            yield ["conformance", "run", *given]


def test_every_command_and_option_is_there() -> None:
    seen = set()
    for words in all_calls():
        arguments = called(words)
        if not arguments:
            continue
        command: click.Command = cli.main.commands[arguments[0]]
        if isinstance(command, click.Group):
            command = command.commands[arguments[1]]
        there = {option for each in command.params for option in each.opts}
        text = " ".join(arguments)
        named = set(re.findall(r"(?<![\w-])-{1,2}[a-zA-Z][\w-]*", text)) - {"-e"}
        assert named <= there | {"--help"}, f"{arguments[0]}: {named - there}"
        seen.add(arguments[0])
    assert seen >= {"run", "merge", "history", "export", "diff", "requirements"}


def test_every_action_is_pinned_and_of_github_itself() -> None:
    used = [step["uses"] for _, step, _ in steps() if "uses" in step]
    assert used
    for each in used:
        assert re.fullmatch(r"actions/[a-z-]+@v\d+(\.\d+)*|[\w/-]+@[0-9a-f]{40}", each), each


def test_permissions_are_the_least() -> None:
    allowed = {
        "nightly/yesterday": {"actions": "read"},
        "nightly/run": {"actions": "read", "contents": "read"},
        "nightly/publish": {"actions": "read", "contents": "read", "issues": "write"},
        "nightly/site": {"contents": "read", "pages": "write", "id-token": "write"},
    }
    for path in WORKFLOWS:
        assert load(path)["permissions"] == {"contents": "read"}
    for name, job in jobs():
        assert job.get("permissions") == allowed.get(name)


def test_needs_and_outputs_are_there() -> None:
    for path in WORKFLOWS:
        held = load(path)["jobs"]
        for job in held.values():
            needs = job.get("needs", [])
            needs = [needs] if isinstance(needs, str) else needs
            assert set(needs) <= set(held)
            for need, output in re.findall(r"needs\.(\w+)\.outputs\.(\w+)", json.dumps(job)):
                assert need in needs
                assert output in held[need]["outputs"]


def test_inputs_of_the_action_reach_no_script_as_text() -> None:
    """What a workflow hands over is data: it is never written into a script."""
    action = load(ACTION)
    text = json.dumps(action["runs"])
    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(action["inputs"])
    for _, step, _ in steps():
        assert not re.search(r"\$\{\{ *(inputs|github|steps)\.", step.get("run", ""))


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_scripts_are_of_bash(path: Path) -> None:
    for name, step, every in steps():
        script = filled(step.get("run", ""), every[0])
        done = subprocess.run(
            ["bash", "-n"], input=script, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, f"{name}: {done.stderr}"


def test_the_action_runs_a_build(tmp_path: Path) -> None:
    step = next(s for s in load(ACTION)["runs"]["steps"] if s["name"] == "Run the suite")
    summary = tmp_path / "summary.md"
    environment = with_program(tmp_path / "conformance" / "bin")
    environment |= dict.fromkeys(step["env"], "")
    environment |= {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(summary)}
    environment |= {"BACKEND": "numpy", "BUILD": sys.executable, "TIER": "core"}
    environment |= {"SELECT": "padding-and-stride and uneven", "OUT": "first"}

    def run(**others: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=tmp_path, env=environment | others,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    done = run()
    assert done.returncode == 0, done.stderr
    assert "all as expected" in summary.read_text(encoding="utf-8")
    assert "no regression" in run(OUT="again", BASELINE="first").stdout
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    broken.chmod(0o755)
    assert run(OUT="other", BUILD=str(broken)).returncode == 1
    done = run(OUT="nothing", BACKEND="nump")
    assert done.returncode == 2
    assert "error: " in done.stderr


def with_program(programs: Path) -> dict[str, str]:
    """An environment with a program ``conformance``, which it makes in a folder."""
    programs.mkdir(parents=True, exist_ok=True)
    program = programs / "conformance"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m conformance "$@"\n', "utf-8")
    program.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_SHA": "abc123"}


def script(name: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script of ``.github`` with a ``conformance`` on PATH."""
    environment = with_program(cwd / "bin")
    command = [GITHUB / name, *arguments]
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True,
        timeout=500, check=False,
    )  # fmt: skip


def worse(folder: Path) -> None:
    """What a run would have been if one case, right till then, were refused."""
    (path, *_) = sorted(folder.glob("*/results.jsonl"))
    run = results.read(path)
    at = next(at for at, record in enumerate(run.records) if record.outcome == "pass")
    explanation = Explanation("rejected: ValueError: no", "the framework refuses: no")
    refused = replace(run.records[at], outcome="rejected", raw="rejected", explanation=explanation)
    records = (*run.records[:at], refused, *run.records[at + 1 :])
    results.write(path, replace(run, records=records))


def test_a_night_of_shards_is_published(conformance: Command, tmp_path: Path) -> None:
    """The first night, a second one with a regression, and a third on which it is open."""
    common = ["run", "cases/tutorials", "--backend", "numpy", "--jobs", 1, "--out"]
    whole = tmp_path / "whole"
    assert conformance(*common, whole, cwd=ROOT).returncode == 0
    parts = tmp_path / "parts"
    for number in (1, 2):
        part = [*common, parts / f"part-pinned-numpy-{number}", "--shard", f"{number}/2"]
        assert conformance(*part, "--durations", whole, cwd=ROOT).returncode == 0

    first, second, third = (tmp_path / name / "nightly-pinned" for name in ("one", "two", "three"))
    done = script("publish", parts, tmp_path / "none", first, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    one, merged = results.read(whole / "results.jsonl"), results.read(first / "results.jsonl")
    assert plain(one) == plain(merged)
    assert merged.complete
    assert "all as expected" in (first / "summary.md").read_text(encoding="utf-8")
    assert not (first / "issues").exists()

    worse(parts)
    done = script("publish", parts, first, second, cwd=tmp_path)
    assert done.returncode == 1, done.stderr + done.stdout
    summary = (second / "summary.md").read_text(encoding="utf-8")
    assert "Changes since the baseline" in summary and "rejected" in summary
    assert (second / "changes.atom").exists()
    (line,) = (second / "issues" / "index.tsv").read_text(encoding="utf-8").splitlines()
    about, file, title = line.split("\t")
    assert (about, title) == ("new", "numpy: rejected: ValueError: no")
    body = (second / "issues" / file).read_text(encoding="utf-8")
    opened = tmp_path / "open.json"
    opened.write_text(json.dumps([{"number": 12, "body": body}]), encoding="utf-8")
    done = script("publish", parts, first, third, opened, cwd=tmp_path)
    index = (third / "issues" / "index.tsv").read_text(encoding="utf-8")
    assert index == f"12\t{file}\t{title}\n"

    with History.open(second / "history.sqlite") as held:
        assert [run.revision for run in held.runs()] == ["abc123"] * 2
    assert "<html" in (second / "index.html").read_text(encoding="utf-8")

    done = script("site", tmp_path / "two", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two" / "pinned" / "results.jsonl").exists()
    page = (tmp_path / "two" / "index.html").read_text(encoding="utf-8")
    assert '<a href="pinned/">pinned</a>' in page


def test_a_night_without_results_is_told(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    done = script("publish", tmp_path / "parts", tmp_path / "none", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert not (tmp_path / "out" / "history.sqlite").exists()


def plain(found: results.Results) -> dict[results.Key, object]:
    """Records by what they are about, without the times that they took."""
    return {results.key(r): dataclasses.replace(r, seconds=0.0) for r in found.records}
