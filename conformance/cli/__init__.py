"""The command line: one module a group of commands."""

from conformance.cli import (
    bisect,
    content,
    diff,
    export,
    history,
    importing,
    report,
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
    "report",
    "repro",
    "run",
    "semantics",
    "show",
    "translate",
]
