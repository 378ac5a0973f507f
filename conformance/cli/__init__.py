"""The command line: one module a group of commands."""

from conformance.cli import content, diff, export, importing, repro, run, show, translate
from conformance.cli.group import main

__all__ = ["content", "diff", "export", "importing", "main", "repro", "run", "show", "translate"]
