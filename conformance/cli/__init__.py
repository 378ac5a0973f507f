"""The command line: one module a group of commands."""

from conformance.cli import (
    bisect,
    content,
    diff,
    export,
    history,
    importing,
    repro,
    run,
    semantics,
    show,
    translate,
)
from conformance.cli.group import main

__all__ = [
    "bisect",
    "content",
    "diff",
    "export",
    "history",
    "importing",
    "main",
    "repro",
    "run",
    "semantics",
    "show",
    "translate",
]
