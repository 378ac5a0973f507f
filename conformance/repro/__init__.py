"""Reproductions: what a target makes of a case, as a script that anybody can run.

A case is run on a target, one of its outcomes is chosen (`choice`), and the script that shows it
(`script`) is written around the program that ran (`writing`). Then the script itself is run
(`ending`); where it does not end as the suite says, the reproduction tells.
"""

from conformance.repro.choice import Wish, cause, choose, find, find_part, minimized
from conformance.repro.ending import Ending
from conformance.repro.issue import report
from conformance.repro.reproduction import Reproduction
from conformance.repro.writing import reproduce

__all__ = [
    "Ending",
    "Reproduction",
    "Wish",
    "cause",
    "choose",
    "find",
    "find_part",
    "minimized",
    "report",
    "reproduce",
]
