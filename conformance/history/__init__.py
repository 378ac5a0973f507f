"""The outcomes of many runs in one small file: when a case changed, between which versions.

    with History.open(Path("reports/history.sqlite")) as history:
        history.add(results.read(Path("reports/latest/results.jsonl")))
        for period in history.case("tutorials/padding-and-stride/uneven", target="flax.linen"):
            print(period.first.version, period.last.version, period.outcome, period.cause)
        history.trend("flax")

The file is SQLite's. Of an outcome only its changes are kept (`recording`), so that a year of runs
takes little more than one; a run is added whole or not at all, whatever kills the process.
"""

from conformance.history.history import History
from conformance.history.model import Added, Moment, Period, Run, Trend
from conformance.history.store import HistoryError

__all__ = ["Added", "History", "HistoryError", "Moment", "Period", "Run", "Trend"]
