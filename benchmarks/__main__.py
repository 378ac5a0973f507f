"""``python -m benchmarks``: print the table of the README's performance section."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.table import Table

from benchmarks import explanation, history, oracle, report, rerun, suite
from benchmarks.suite import Row

PARTS = (
    "suite", "workers", "rerun", "collection", "oracle", "explanation", "history", "report",
)  # fmt: skip


@click.command()
@click.option("--only", type=click.Choice(PARTS), multiple=True, help="Only this part.")
@click.option("--cases", default=1000, show_default=True, help="Generated convolutions.")
@click.option("--items", default=20_000, show_default=True, help="Collected pytest items.")
@click.option("--rerun", "expression", default="", help="Of the rerun only these cases, as -k.")
def main(only: tuple[str, ...], cases: int, items: int, expression: str) -> None:
    """Measure the suite; exit with 1 where a limit is not kept."""
    chosen = only or PARTS
    rows: list[Row] = []
    if "suite" in chosen:
        rows += suite.against_bare_loops(cases)
    if "oracle" in chosen:
        result = oracle.measure()
        what = "ResNet-50's distinct convolution layers, one thread each"
        rows.append(Row("oracle ÷ torch float64", result.ratio, 1.5, "×", what))
        rows.append(Row("oracle's peak memory", result.peak / 2**20, 1536, "MiB", what))
    if "workers" in chosen:
        rows.append(suite.two_workers(max(cases // 4, 1)))
    if "rerun" in chosen:
        rows += rerun.measure(expression)
    if "collection" in chosen:
        rows.append(suite.collection(items))
    if "explanation" in chosen:
        rows.append(explanation.measure())
    if "history" in chosen:
        rows += history.measure()
    if "report" in chosen:
        rows += report.measure()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("measured", "value", "limit", "how"):
        table.add_column(name, no_wrap=name != "how")
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        style = "green" if row.kept else "red"
        table.add_row(
            row.name,
            f"[{style}]{row.value:.2f} {row.unit}[/{style}]",
            f"{sign} {row.limit:g} {row.unit}",
            row.detail,
        )
    console = Console()
    (console if console.is_terminal else Console(width=160)).print(table)
    sys.exit(0 if all(row.kept for row in rows) else 1)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
