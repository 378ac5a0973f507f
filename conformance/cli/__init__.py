"""The command line: one module a group of commands."""

from conformance.cli import bisect, content, history, importing, repro, run, show, translate
from conformance.cli.group import main

__all__ = ["bisect", "content", "history", "importing", "main", "repro", "run", "show", "translate"]
