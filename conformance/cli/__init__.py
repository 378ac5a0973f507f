"""The command line: one module a group of commands, each imported when one of them is called."""

from conformance.cli.group import main

__all__ = ["main"]
