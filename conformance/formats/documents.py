"""JSON documents of runs and of changes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pydantic

from conformance import changes, describe, grouping
from conformance.changes import Changed
from conformance.diff import Change, Diff
from conformance.formats import models
from conformance.formats.markdown import Command
from conformance.formats.overview import Overview
from conformance.formats.texts import clean
from conformance.records import Header, Record


def report(overview: Overview) -> str:
    """``report.json``: see `models.Report`."""
    baseline = overview.baseline
    model = models.Report(
        run=_run(overview.results.header),
        complete=overview.results.complete,
        headline=overview.headline,
        targets=tuple(
            models.Counts(
                backend=target.backend,
                api=target.api,
                mode=target.mode,
                outcomes=tally.counts,
                unexpected=tally.unexpected,
                recipes=tally.recipes,
                recipes_right=tally.recipes_right,
            )
            for target, tally in overview.targets.items()
        ),
        causes=tuple(
            models.Cause(
                cause=group.cause,
                unexpected=group.unexpected,
                kind=group.kind,
                sentence=clean(group.sentence),
                targets=group.targets,
                cases=group.cases,
                outcomes=len(group.records),
                example=_outcome(group.example),
                command=overview.command(group),
            )
            for group in overview.groups
        ),
        outcomes=tuple(
            _outcome(record) for record in overview.results.records if record.outcome != "pass"
        ),
        baseline=None
        if baseline is None
        else _difference(baseline, overview.changed, changes.command),
    )
    return _dumped(model)


def differences(found: Diff, groups: Sequence[Changed], command: Command = changes.command) -> str:
    """What changed between two runs: see `models.Difference`."""
    return _dumped(_difference(found, groups, command))


def _dumped(model: pydantic.BaseModel) -> str:
    return json.dumps(model.model_dump(), allow_nan=False) + "\n"


def _difference(found: Diff, groups: Sequence[Changed], command: Command) -> models.Difference:
    return models.Difference(
        old=_run(found.old),
        new=_run(found.new),
        complete=found.complete,
        regressed=found.regressed,
        compared=found.compared,
        counts=found.counts,
        causes=tuple(
            models.ChangedCause(
                kind=each.kind,
                title=each.title,
                worse=each.worse,
                cause=each.cause,
                sentence=clean(each.sentence),
                targets=each.group.targets,
                cases=each.group.cases,
                outcomes=len(each.changes),
                example=_change(each.example),
                command=command(each),
            )
            for each in groups
        ),
        changes=tuple(map(_change, found.changes)),
    )


def _run(header: Header) -> models.Run:
    return models.Run(
        suite=header.suite,
        created=header.created,
        machine=dict(header.machine),
        cases=dict(header.cases),
        backends=tuple(
            models.Backend(
                name=info.name,
                version=info.version,
                versions=dict(info.versions),
                python=info.python,
                problem=info.problem,
                gradients=info.gradients,
            )
            for info in header.backends
        ),
    )


def _outcome(record: Record) -> models.Outcome:
    good = record.outcome == "pass"
    return models.Outcome(
        case=record.case,
        backend=record.backend,
        api=record.api,
        mode=record.mode,
        form=record.form,
        check=record.check,
        outcome=record.outcome,
        raw=record.raw,
        unexpected=record.unexpected,
        cause="" if good else grouping.cause(record),
        sentence="" if good else clean(f"{describe.outcome(record)}{describe.meaning(record)}"),
        known=record.known,
    )


def _change(change: Change) -> models.Change:
    return models.Change(
        kind=change.kind,
        worse=change.worse,
        cause=changes.cause(change),
        note=clean(change.note),
        before=None if change.before is None else _outcome(change.before),
        after=None if change.after is None else _outcome(change.after),
    )
