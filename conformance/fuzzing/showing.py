"""A campaign on the terminal: its progress, and at the end what was run and what was found."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from conformance import cases, content, describe
from conformance.fuzzing.campaign import Campaign
from conformance.fuzzing.findings import Finding
from conformance.fuzzing.ledger import Misplaced
from conformance.fuzzing.pairs import Pair, possible
from conformance.fuzzing.shares import Share
from conformance.request import OPS

REFRESH = 2.0
EVERY = 30.0
LINES = 30
WRONG = ("wrong-shape", "wrong-dtype", "wrong-value", "rejected", "crash", "timeout")


class _Teller:
    """Says what is new as it comes, and now and then how far it is."""

    def __init__(self, console: Console, campaign: Campaign, live: Live | None) -> None:
        self.console, self.campaign, self.live = console, campaign, live
        self._told: set[tuple[int, str]] = set()
        self._last = time.monotonic()
        self._refreshed = 0.0

    def __call__(self) -> None:
        for finding in self.campaign.ledger.new:
            if (about := (finding.number, finding.key)) not in self._told:
                self._told.add(about)
                self.console.print(_line(finding), soft_wrap=True)
        now = time.monotonic()
        if self.live is not None and now - self._refreshed >= REFRESH / 4:
            self._refreshed = now
            self.live.update(Group(table(self.campaign), Text(_progress(self.campaign))))
        elif self.live is None and now - self._last >= EVERY:
            self._last = now
            self.console.print(_progress(self.campaign), highlight=False)


def run(console: Console, campaign: Campaign) -> bool:
    """Run a campaign and show its progress; whether it was interrupted."""
    if not console.is_terminal:
        return campaign.run(_Teller(console, campaign, None))
    with Live(console=console, transient=True, refresh_per_second=REFRESH) as live:
        return campaign.run(_Teller(console, campaign, live))


def table(campaign: Campaign) -> Table:
    """What each backend has run."""
    new: dict[str, int] = defaultdict(int)
    for finding in campaign.ledger.new:
        new[finding.backend] += 1
    result = Table(box=None, pad_edge=False, header_style="bold")
    result.add_column("backend", no_wrap=True)
    titles = ("cases", "cases/s", "pass", "known", "unsupported", "unexpected", "avoided", "new")
    for title in (*titles, "pairs of axes"):
        result.add_column(title, justify="right", no_wrap=True)
    for share in campaign.shares:
        result.add_row(*_row(share, new[share.backend.name]))
    return result


def _row(share: Share, new: int) -> Sequence[str]:
    if share.broken and not share.cases:
        return share.name, "did not run", *[""] * 8
    counts = share.outcomes
    rate = share.cases / share.running if share.running else 0.0
    wrong = sum(counts[name] for name in WRONG) + counts["fixed"]
    numbers = (counts["pass"], counts["known"], counts["unsupported"], wrong, share.avoided, new)
    return (
        share.name,
        f"{share.cases:,}",
        f"{rate:.1f}",
        *map("{:,}".format, numbers),
        str(f"{len(share.pairs):,}"),
    )


def summary(console: Console, campaign: Campaign, interrupted: bool) -> None:
    """What was run, what was covered, and what was found."""
    console.print()
    console.print(table(campaign))
    for share in campaign.shares:
        if share.broken:
            console.print(f"{share.name}: {share.broken.splitlines()[0]}", style="magenta")
    console.print(f"\n{_covered(campaign)}", highlight=False)
    _misplaced(console, "holds beyond its predicate", campaign.ledger.beyond)
    _misplaced(console, "does not hold everywhere its predicate does", campaign.ledger.short)
    _earlier(console, campaign)
    new = campaign.ledger.new
    if interrupted:
        console.print("interrupted: repeat the command to go on from here", style="yellow")
    if not new:
        console.print("[green]nothing new[/green]")
    else:
        console.print(f"\n[bold red]{describe.plural(len(new), 'new cause')}:[/bold red]")
        for finding in sorted(new, key=lambda each: -each.count):
            _finding(console, campaign, finding)
    console.print(f"findings: {content.display(campaign.notes.path)}", highlight=False)


def _covered(campaign: Campaign) -> str:
    met: set[Pair] = set().union(*(share.pairs for share in campaign.shares))
    return f"{len(met):,} of {possible(OPS):,} pairs of axes met (some contradict each other)"  # type: ignore[arg-type]


def _progress(campaign: Campaign) -> str:
    ran = ", ".join(f"{share.name} {share.cases:,}" for share in campaign.shares if share.cases)
    left = max(campaign.plan.seconds - campaign.elapsed, 0)
    new = describe.plural(len(campaign.ledger.new), "new cause")
    return f"{left:.0f} s left; {ran or 'no case yet'}; {new}; {_covered(campaign)}"


def _line(finding: Finding) -> Text:
    text = Text("new  ", style="red")
    text.append(f"{finding.target}  {finding.key}", style="bold")
    text.append(f"  {finding.sentence}", style="not bold dim")
    return text


def _misplaced(console: Console, told: str, entries: dict[tuple[str, str], Misplaced]) -> None:
    for (backend, _), found in entries.items():
        where = f"{backend}: known entry {found.entry} {told}"
        example = f"{describe.plural(found.count, 'outcome')}, such as {describe.asked(found.case)}"
        console.print(Text(f"{where} ({example})", style="cyan"), soft_wrap=True)


def _earlier(console: Console, campaign: Campaign) -> None:
    words = {"still": "still there", "gone": "gone", "registered": "in the registry by now"}
    for finding in campaign.ledger.findings:
        if finding.state in words:
            told = f"{finding.target}  {finding.key}: {words[finding.state]}"
            console.print(Text(f"found earlier  {told}"), soft_wrap=True)


def _finding(console: Console, campaign: Campaign, finding: Finding) -> None:
    where = f"{', '.join(sorted(finding.apis))} ({', '.join(sorted(finding.modes))})"
    console.print(Text(f"\n{finding.backend}  {where}  {finding.key}", style="bold"))
    times = "once" if finding.count == 1 else f"{finding.count:,} times"
    console.print(Text(f"  {finding.sentence} ({times})"), soft_wrap=True)
    for line in cases.written(finding.case).splitlines()[:LINES]:
        console.print(Text(f"    {line}", style="dim"), soft_wrap=True)
    if finding.number in campaign.files:
        console.print(
            f"  file:  {content.display(campaign.files[finding.number])}", highlight=False
        )
        console.print(Text(f"  repro: {campaign.repro(finding)}"), soft_wrap=True)
