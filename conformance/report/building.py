"""From results to the page's model."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from conformance import changes, describe, grouping, selection, targets
from conformance.diff import Diff
from conformance.discovery import Target
from conformance.grouping import Entries, Group
from conformance.history import History, Period
from conformance.known import Known
from conformance.records import OUTCOMES, BackendInfo, Header, Record
from conformance.report import agreement, corpus
from conformance.report.model import Asked, Backend, Cause, Example, Page, Registered, Since
from conformance.report.trends import trends
from conformance.request import OPS
from conformance.results import Results, key
from conformance.targets import Names

GRAVITY = (
    "wrong-value", "wrong-shape", "wrong-dtype", "crash", "timeout", "rejected", "unsupported",
)  # fmt: skip
"""What is worse comes first: a silent wrong value before an error that everybody sees."""
KINDS = ("bug", "numerical", "by-design", "unsupported", "")
FORMS = ("native", "spelled", "emulated")
CHECKS = ("forward", "vjp", "law")


def page(
    results: Results,
    entries: Entries,
    paths: Sequence[Path] = (),
    baseline: Diff | None = None,
    history: History | None = None,
) -> Page:
    """All that the report shows of one run, and what changed since a ``baseline``.

    Raises:
        ContentError: a case file is wrong.
        HistoryError: the history cannot be read.
    """
    ids = sorted({record.case for record in results.records})
    asked, missing = corpus.asked(results.header, ids, paths)
    order = sorted(asked, key=_place)
    ran = sorted({record.target for record in results.records}, key=targets.place)
    names = targets.names(ran)
    rows = {each.id: at for at, each in enumerate(order)}
    columns = {target: at for at, target in enumerate(ran)}
    records = sorted(
        results.records,
        key=lambda r: (
            rows[r.case], columns[r.target], FORMS.index(r.form), CHECKS.index(r.check),
        ),
    )  # fmt: skip
    failing = {r.case for r in records if r.outcome == "known" or r.unexpected}
    command = _commands([each for each in asked if each.id in failing])
    recent = None if history is None else trends(history, sorted({r.backend for r in records}))
    moved = {case for turn in recent.turns for case in turn.cases if case in rows} if recent else ()
    return Page(
        results.header,
        results.complete,
        results.truncated,
        tuple(_backend(info, records) for info in results.header.backends),
        tuple(ran),
        names,
        tuple(order),
        tuple(dict.fromkeys(each.op for each in order)),
        tuple(records),
        tuple(_causes(records, entries, command)),
        {
            at: command(record)
            for at, record in enumerate(records)
            if record.outcome == "known" or (record.unexpected and record.outcome != "fixed")
        },
        _agreements(records, names),
        missing,
        None if baseline is None else _since(baseline, records, entries),
        None if history is None else _periods(history, failing.union(moved)),
        recent,
    )


def _periods(history: History, cases: Iterable[str]) -> dict[str, Sequence[Period]]:
    """What each case gave in earlier runs."""
    held = set(history.cases())
    return {case: history.case(case) for case in sorted(cases) if case in held}


def _since(found: Diff, records: Sequence[Record], entries: Entries) -> Since:
    places = {key(record): at for at, record in enumerate(records)}
    marks = {
        places[key(change.after)]: change.kind
        for change in found.changes
        if change.after is not None and key(change.after) in places
    }
    groups = tuple(changes.grouped(found, entries))
    versions = tuple(
        changes.versions(each)
        for each in found.backends
        if each.before is None
        or each.after is None
        or (each.before.version, each.before.problem) != (each.after.version, each.after.problem)
    )
    return Since(found, groups, marks, versions, changes.conclusion(found, groups))


def _agreements(records: Sequence[Record], names: Names) -> dict[tuple[str, str], str]:
    """Who agrees with whom in each case and check that has a discrepancy."""
    by_check: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        by_check[record.case, record.check].append(record)
    return {
        name: agreement.sentence(agreement.agreement(found, name[1], names))
        for name, found in by_check.items()
        if any(record.outcome == "known" or record.unexpected for record in found)
    }


def _place(asked: Asked) -> tuple[object, ...]:
    ops = (*OPS, "chain", "unknown")
    return ops.index(asked.op) if asked.op in ops else len(ops), asked.id


def _backend(info: BackendInfo, records: Sequence[Record]) -> Backend:
    own = [r for r in records if r.backend == info.name and r.outcome != "not-run"]
    unexpected = sum(record.unexpected for record in own)
    wrong = unexpected + sum(record.outcome == "known" for record in own)
    if not own and not info.problem:
        notes = (r.note for r in records if r.backend == info.name and r.note)
        info = BackendInfo(**{**info.__dict__, "problem": next(notes, "")})
    return Backend(info, len(own), wrong, unexpected, _flags(info))


def _flags(info: BackendInfo) -> dict[str, str]:
    """What each mode's framework tells of its build and device."""
    told = {}
    for mode, fields in info.info.items():
        build = fields.get("build", {})
        parts = [f"{name}: {value}" for name, value in build.items()] if build else []
        parts += [f"{name}: {value}" for name, value in fields.items() if name != "build"]
        told[mode] = "; ".join(map(str, parts))
    return told


def _commands(asked: Sequence[Asked]) -> Callable[[Record], str]:
    """The command that writes an outcome's script."""
    named = {
        each.id: selection.argument(each.case)
        for each in asked
        if each.case is not None
    }  # fmt: skip

    def command(record: Record) -> str:
        words = ["conformance repro", named.get(record.case, record.case)]
        words.append(f"--target {record.target} --form {record.form}")
        return " ".join([*words, *([] if record.check == "law" else [f"--check {record.check}"])])

    return command


def _causes(
    records: Sequence[Record], entries: Entries, command: Callable[[Record], str]
) -> list[Cause]:
    causes = [
        Cause(
            group,
            min((record.raw for record in group.records), key=_gravity),
            tuple(Example(record, command(record)) for record in grouping.examples(group)),
            _registered(group, entries),
        )
        for group in grouping.grouped(records, entries)
    ]
    return sorted(causes, key=weight)


def weight(cause: Cause) -> tuple[object, ...]:
    """Unexpected before known, silent before loud, bugs before design, many before few."""
    group = cause.group
    return (
        not group.unexpected,
        _gravity(cause.raw),
        KINDS.index(group.kind or ""),
        -group.targets,
        -group.cases,
        group.cause,
    )


def _gravity(raw: str) -> int:
    return GRAVITY.index(raw) if raw in GRAVITY else len(GRAVITY) + OUTCOMES.index(raw)


def _registered(group: Group, entries: Entries) -> tuple[Registered, ...]:
    found: dict[str, Registered] = {}
    for record in group.records:
        known = entries.get((record.backend, record.known or ""))
        if known is not None:
            name = f"{record.backend}: {known.entry.id}"
            found.setdefault(name, _entry(name, known))
    return tuple(found.values())


def _entry(name: str, known: Known) -> Registered:
    entry = known.entry
    evidence = (entry.evidence,) if isinstance(entry.evidence, str) else tuple(entry.evidence)
    why = " ".join(entry.why.split())
    return Registered(name, entry.kind, why, evidence, known.where)


def headline(page: Page) -> str:
    """The first sentence: what a reader must know who reads no more."""
    unexpected = page.counts["unexpected"]
    new = [cause for cause in page.causes if cause.group.unexpected]
    if unexpected:
        where = dict.fromkeys(page.names[r.backend, r.api] for c in new for r in c.group.records)
        told = f"{describe.plural(unexpected, 'unexpected outcome')}"
        return f"{told}, {describe.plural(len(new), 'cause')}: {describe.listing(where)}"
    known = describe.plural(len(page.causes), "known discrepancy")
    if not any(page.counts[word] for word in ("pass", "known", "unsupported")):
        return "Nothing ran"
    return f"Nothing unexpected; {known}"


def totals(records: Sequence[Record]) -> Mapping[str, int]:
    """How many distinct cases and targets ran."""
    ran = [record for record in records if record.outcome != "not-run"]
    return {
        "outcomes": len(ran),
        "cases": len({record.case for record in ran}),
        "targets": len({record.target for record in ran}),
        "backends": len({record.backend for record in ran}),
    }


def matrix(page: Page) -> dict[tuple[Target, str], dict[str, int]]:
    """Outcomes by target and operator, in the words of the page's head."""
    op = {each.id: each.op for each in page.asked}
    found: dict[tuple[Target, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for record in page.records:
        word = "unexpected" if record.unexpected else record.outcome
        found[record.target, op[record.case]][word] += 1
    return found


def revision(header: Header) -> str:
    """A short name of the case files that took part, the same for the same files."""
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(header.cases.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
