"""The command line: one module a group of commands."""

from conformance.cli import content, run, show
from conformance.cli.group import main

__all__ = ["content", "main", "run", "show"]
