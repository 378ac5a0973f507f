"""What a finding leaves: a case file that is ready to commit, and an entry for a registry."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from conformance import cases, commands, content
from conformance.cases import Case
from conformance.discovery import Backend
from conformance.fuzzing.findings import Finding
from conformance.fuzzing.proposing import Proposal

CASES, KNOWN = "cases", "known"


def file_case(folder: Path, finding: Finding, told: str) -> Path:
    """Write a finding's case file; ``told`` is the comment on top. The path."""
    path = case_path(folder, finding)
    write(path, _comment(told) + cases.written(named(finding.case, path.stem)))
    return path


def case_path(folder: Path, finding: Finding) -> Path:
    """Where a finding's case file is."""
    name = slug(finding.name)
    if finding.api != finding.backend.partition("_")[0]:
        name = f"{slug(finding.api)}-{name}"
    return folder / CASES / finding.backend / f"{name}.yaml"


def named(case: Case, name: str) -> Case:
    """The case as a file has it: named, and not in the core tier."""
    fields = case.fields.model_copy(update={"tier": "full", "id": name})
    return replace(case, id=name, fields=fields)


def file_entries(
    folder: Path, backend: str, proposals: Iterable[tuple[Finding, Proposal]]
) -> Path | None:
    """Write the entries that a backend's findings would have; the path, None without any."""
    listed = list(proposals)
    if not listed:
        return None
    path = folder / KNOWN / f"{backend}.yaml"
    head = f"Proposed by conformance fuzz for backends/{backend}/known.yaml: judge each first."
    texts, seen = [], set[str]()
    for _, proposed in listed:
        fields = _entry(proposed)
        fields["id"] = _unique(fields["id"], seen)
        note = f"speaks of {proposed.failing} cases that fail, and of {proposed.passing} that pass"
        lines = yaml.safe_dump(
            [fields], sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
        )
        texts.append(f"# {note}\n{lines}")
    write(path, _comment(head) + "".join(texts))
    return path


def _entry(proposed: Proposal) -> dict[str, Any]:
    fields = proposed.entry.model_dump(exclude_defaults=True, exclude_none=True)
    order = ["id", "api", "mode", "when", "form", "check", "expect", "kind", "why", "evidence"]
    return {name: fields[name] for name in order if name in fields}


def _unique(name: str, seen: set[str]) -> str:
    number, chosen = 2, name
    while chosen in seen:
        number, chosen = number + 1, f"{name}-{number}"
    seen.add(chosen)
    return chosen


def repro(path: Path, finding: Finding, backend: Backend, python: str | None) -> str:
    """The command that writes the script of a finding's case file."""
    record = finding.record
    words = ["conformance repro", shlex.quote(f"{content.display(path)}::{path.stem}")]
    words.append(f"--target {record.target}")
    words += [f"--form {record.form}"] if record.form != "native" else []
    words += [f"--check {record.check}"] if record.check != "forward" else []
    return " ".join([*words, *commands.backend_options(backend, python)])


def slug(text: str) -> str:
    """A name for a file and a case: letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:120]


def write(path: Path, text: str) -> None:
    """Write a file whole: it is there as it was, or as it is now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in text.splitlines())
