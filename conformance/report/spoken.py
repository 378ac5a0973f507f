"""What the adapters say: a feature in every framework's words, and scripts of discrepancies.

An adapter is read without its framework. What it says is what the run ran, and the run's outcomes
say whether that is right.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance import discovery
from conformance.cases import Case
from conformance.discovery import Interpreter, Target, UsageError
from conformance.records import BackendInfo
from conformance.report.model import Asked, Example, Feature, Page
from conformance.repro import untried
from conformance.request import Pool
from conformance.side_by_side import excerpts, rendering, show
from conformance.side_by_side.lowerings import Speakers
from conformance.side_by_side.show import FORMS, Entry
from conformance.targets import Names, called
from conformance.workers import Workers

PLAIN = "plain"
Spelling = tuple[str, Target, str]
"""A case, a target and a form."""


def spoken(page: Page, backend_dirs: Sequence[Path] = ()) -> Page:
    """The page with each feature side by side, and a script for the examples of every cause.

    Raises:
        ContentError: an adapter fails.
    """
    infos = {backend.info.name: backend.info for backend in page.backends}
    found = [b for b in discovery.discover(backend_dirs) if b.name in infos]
    interpreters = {name: _interpreter(info) for name, info in infos.items()}
    targets = [target for backend in found for target in backend.targets]
    passed: dict[Spelling, bool] = {
        (r.case, r.target, r.form): r.raw == "pass"
        for r in page.records
        if r.check != "vjp" and r.raw != "not-run"
    }
    by_case = {each.id: each.case for each in page.asked if each.case is not None}
    chosen = dict(features(page.asked))
    examples = dict.fromkeys(cause.group.example.case for cause in page.causes)
    shown = [by_case[name] for name in {**dict.fromkeys(chosen.values()), **examples}
             if name in by_case and single(by_case[name])]  # fmt: skip
    with Speakers(found) as speakers, Workers({b.name: b for b in found}, interpreters) as workers:
        views = {
            case.id: show.side_by_side(case, speakers, targets, interpreters).entries
            for case in shown
        }
        causes = tuple(
            replace(
                cause,
                examples=tuple(
                    replace(each, script=_script(each, by_case, infos, page, speakers, workers))
                    for each in cause.examples
                ),
            )
            for cause in page.causes
        )
    return replace(
        page,
        causes=causes,
        features=tuple(Feature(op, name, case) for (op, name), case in chosen.items()),
        views={
            name: tuple(_entry(name, entry, passed, page.names) for entry in entries)
            for name, entries in views.items()
        },
    )


def single(case: Case) -> bool:
    """Whether a case is one request: no chain and no law."""
    return case.chain is None and case.fields.law is None


def features(asked: Sequence[Asked]) -> Iterator[tuple[tuple[str, str], str]]:
    """For each operator and feature the plainest case that has it: its id."""
    best: dict[tuple[str, str], tuple[tuple[int, bool, int, str], str]] = {}
    for each in asked:
        if each.case is None or not single(each.case):
            continue
        named = _features(each.case)
        facts = each.facts
        extra = (facts["dtype"] != "float32") + bool(facts["unbatched"]) + bool(facts["special"])
        for name in named or [PLAIN]:
            rank = (len(named) + extra, facts["rank"] != 2, len(each.id), each.id)
            held = best.get((each.op, name))
            if held is None or rank < held[0]:
                best[each.op, name] = (rank, each.id)
    for about, (rank, name) in best.items():
        # A feature that only odd cases have is shown by none.
        if rank[0] <= 2:
            yield about, name


def _features(case: Case) -> list[str]:
    r = case.request
    word = r.padding.word
    found = []
    if word in ("same", "same_lower", "causal"):
        found.append(f"padding {word}")
    elif not r.padding.none:
        uneven = r.padding.symmetric is None
        found.append("uneven padding" if uneven else "explicit padding")
    if r.padding.mode != "zeros":
        found.append(f"{r.padding.mode} padding")
    if isinstance(r, Pool):
        found += ["ceil mode"] * r.ceil_mode
        found += ["padding not counted"] * (r.op == "avg_pool" and not r.count_include_pad)
        found += ["divisor"] * (r.divisor is not None)
    else:
        found += ["stride"] * any(s > 1 for s in r.stride)
        found += ["groups"] * (r.groups > 1)
        found += ["bias"] * r.bias
    found += ["dilation"] * any(d > 1 for d in r.dilation)
    found += ["output padding"] * any(getattr(r, "output_padding", ()))
    return found


def _interpreter(info: BackendInfo) -> Interpreter:
    """The backend's interpreter as it ran; None as its path where it did not."""
    path = None if info.problem else info.origin
    return Interpreter(info.name, path, info.origin, info.python, info.versions, info.problem)


def _entry(
    case: str, entry: Entry, passed: Mapping[Spelling, bool], names: Names
) -> dict[str, Any]:
    """An API's way to say a case, as the page has it; whether the run found it right."""
    form = FORMS.get(entry.way, "native")
    target = Target(entry.backend, entry.api, entry.verdicts[0].mode)
    right = passed.get((case, target, form)) if entry.code else None
    obvious = entry.obvious
    return {
        "backend": entry.backend,
        "name": called(names, entry.backend, entry.api),
        "version": rendering.framework(entry),
        "layout": entry.layout,
        "way": entry.way,
        "code": entry.code,
        "remarks": rendering.remarks(entry),
        "right": right,
        "essence": rendering.essence(entry) if entry.code else "",
        "obvious": None
        if obvious is None
        else {
            "said": rendering.said(obvious),
            "effect": obvious.effect,
            "line": excerpts.operator_call(obvious.code),
        },
    }


def _script(
    example: Example,
    cases: Mapping[str, Case],
    infos: Mapping[str, BackendInfo],
    page: Page,
    speakers: Speakers,
    workers: Workers,
) -> str:
    """The script of an example, empty where there is none."""
    record = example.record
    case = cases.get(record.case)
    if case is None or not single(case) or not _spoken_of(record.target, workers):
        return ""
    command = shlex.split(example.command)[1:]
    system = str(page.header.machine.get("system", ""))
    info = infos[record.backend]
    try:
        return untried.script(speakers, workers, case, record, info, system, command)
    except UsageError:
        return ""


def _spoken_of(target: Target, workers: Workers) -> bool:
    backend = workers.backends.get(target.backend)
    return backend is not None and target in backend.all_targets
