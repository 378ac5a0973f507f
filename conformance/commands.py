"""The commands that repeat an outcome, as texts to be pasted."""

from __future__ import annotations

from conformance import content, selection
from conformance.cases import Case
from conformance.discovery import Backend, Target


def run(case: Case, target: Target, backend: Backend, python: str | None) -> str:
    """Run one case on one target."""
    words = ["conformance run", content.display(case.file), f"--backend {backend.name}"]
    words += [f"--mode {target.mode}"] * backend.modes[target.mode].extra
    words += [*backend_options(backend, python), f"-k '{case.fields.id} and {target}'"]
    return " ".join(words)


def repro(case: Case, target: Target, backend: Backend, python: str | None) -> str:
    """Write a script that repeats a case's outcome on a target."""
    words = ["conformance repro", selection.argument(case), f"--target {backend.short(target)}"]
    return " ".join([*words, *backend_options(backend, python)])


def backend_options(backend: Backend, python: str | None) -> list[str]:
    """The options with which a backend is found: a folder of its own, a given interpreter."""
    options = []
    if backend.folder.parent != content.root("backends"):
        options.append(f"--backend-dir {content.display(backend.folder)}")
    if python is not None:
        options.append(f"--python {backend.name}={python}")
    return options
