"""What a campaign finds: each cause of an API once, known ones apart from new ones."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from conformance import cases, grouping, inquiry, predicates, records, words
from conformance.cases import Case
from conformance.discovery import Target
from conformance.explanation import UNEXPLAINED
from conformance.fuzzing import journal
from conformance.fuzzing.journal import Journal, Line
from conformance.inquiry import Evidence
from conformance.judge import RequestUnit
from conformance.predicates import Facts
from conformance.records import Record
from conformance.results import ResultsError
from conformance.units import Unit

KEY_LENGTH = 160
NAME_LENGTH = 44
NUMBERS = re.compile(r"#([,x×*+ -]+#)+")
DTYPES = re.compile(
    r"(torch\.|tf\.|DT_)?\b(u?int#|b?float#|complex#|BFloat#|Half|Float|Double|Long|Int|Char|Byte"
    r"|Short|Complex(Float|Double)|(BF|[FSUCBI]|BFLOAT|FLOAT|HALF|INT|UINT|COMPLEX|DOUBLE)#?)(?!\w)"
)
REMEMBERED = 200
State = Literal["new", "earlier", "still", "gone", "registered", "merged"]
SETTLED = ("still", "gone", "registered", "merged")
Key = tuple[str, str, str]


@dataclass
class Finding:
    """A cause on a backend; ``case`` is the smallest case that has it, so far.

    ``key`` is that of the explanation, ``api`` where it was found first; the case has it on all
    ``apis``. ``failing`` are the facts of cases that have it.
    """

    backend: str
    api: str
    key: str
    case: Case
    record: Record
    shrunk: bool = False
    state: State = "new"
    count: int = 0
    apis: set[str] = field(default_factory=set)
    modes: set[str] = field(default_factory=set)
    forms: set[str] = field(default_factory=set)
    checks: set[str] = field(default_factory=set)
    failing: list[Facts] = field(default_factory=list)

    @property
    def id(self) -> Key:
        """What tells it from others."""
        return self.backend, self.api, self.key

    @property
    def target(self) -> Target:
        """Where its case is to be run."""
        return self.record.target

    @property
    def name(self) -> str:
        """A short name for files and entries, its own where the key is an error's message."""
        plain = re.sub(r"[^a-z0-9]+", "-", self.key.lower()).strip("-")
        if len(plain) > NAME_LENGTH:
            digest = hashlib.sha256(self.key.encode()).hexdigest()[:4]
            plain = f"{plain[:NAME_LENGTH].rpartition('-')[0]}-{digest}"
        return f"{plain}-{self.case.request.op.replace('_', '-')}"

    @property
    def sentence(self) -> str:
        """What it means, in a sentence."""
        return grouping.sentence(self.record)

    def met(self, record: Record, facts: Facts) -> None:
        """Note another case that has it."""
        self.count += 1
        self.apis.add(record.api)
        self.modes.add(record.mode)
        self.forms.add(record.form)
        self.checks.add(record.check)
        if len(self.failing) < REMEMBERED:
            self.failing.append(facts)

    def line(self) -> Line:
        """What the journal holds of it."""
        return {
            "backend": self.backend,
            "api": self.api,
            "key": self.key,
            "case": cases.written(self.case),
            "record": records.record_json(self.record),
            "apis": sorted(self.apis),
        }


@dataclass
class Misplaced:
    """A registry entry that is met where its predicate does not hold, or not met where it does."""

    entry: str
    where: str
    case: Case
    record: Record
    count: int = 0


def key(record: Record) -> str:
    """What a cause is called: the explanation's key, without numbers and dtypes of messages."""
    error = record.error
    if record.raw != "rejected" or error is None:
        return grouping.cause(record)
    message = words.essence(error.message).removeprefix(f"{error.type}: ")
    masked = DTYPES.sub("dtype", re.sub(r"0x[0-9a-f]+|\d+", "#", message))
    return f"rejected: {error.type}: {NUMBERS.sub('#', masked)}"[:KEY_LENGTH]


def keys(case: Case, record: Record, evidence: Evidence) -> list[str]:
    """All names that a cause may go by, the likeliest first: other explanations fit as well.

    Where nothing explains a wrong array, the operator and the check tell causes apart.
    """
    first = key(record)
    if first.startswith(UNEXPLAINED):
        return [f"{first} ({case.request.op} {record.check})"]
    others = ["+".join(sorted(causes)) for causes in inquiry.causes(evidence)]
    return list(dict.fromkeys([first, *others]))


def key_of(case: Case, record: Record, evidence: Evidence) -> str:
    """The name that a cause goes by."""
    return keys(case, record, evidence)[0]


def news(unit: Unit) -> Iterator[tuple[Record, Evidence]]:
    """The outcomes of a unit that no entry of the registry has the cause of."""
    assert isinstance(unit, RequestUnit)
    for record, evidence in unexpected(unit):
        if record.outcome != "fixed" and unit.judge.beyond(record.check, evidence) is None:
            yield record, evidence


def unexpected(unit: Unit) -> Iterator[tuple[Record, Evidence]]:
    """The outcomes of a unit that no entry expects, with what they are judged by.

    A gradient counts where the forward pass of its form is right.
    """
    assert isinstance(unit, RequestUnit)
    wrong = {form for (form, check), each in unit.evidence.items() if _wrong(check, each)}
    for (form, check), evidence in unit.evidence.items():
        record = unit.judge.record(form, check, evidence)
        if record.unexpected and not (check == "vjp" and form in wrong):
            yield record, evidence


def _wrong(check: str, evidence: Evidence) -> bool:
    return check == "forward" and evidence.outcome != "pass"


class Ledger:
    """All findings of a folder, those of earlier campaigns too. Threads may share it."""

    def __init__(self, notes: Journal, earlier: Sequence[Line] = ()) -> None:
        self.notes = notes
        self.findings: dict[Key, Finding] = {}
        self._spread: dict[Key, Finding] = {}
        self.beyond: dict[tuple[str, str], Misplaced] = {}
        self.short: dict[tuple[str, str], Misplaced] = {}
        self._lock = threading.RLock()
        for number, fields in enumerate(earlier, 1):
            try:
                self._restore(fields)
            except (ValueError, KeyError, TypeError):
                raise ResultsError(f"{notes.path}:{number}: is no line of a journal") from None

    @property
    def new(self) -> list[Finding]:
        """The causes that this campaign found first."""
        return [finding for finding in self.findings.values() if finding.state == "new"]

    def take(self, unit: Unit) -> list[Finding]:
        """Note what a unit shows; the findings that are new by it."""
        fresh = []
        for record, evidence in unexpected(unit):
            assert isinstance(unit, RequestUnit)
            if record.outcome == "fixed":
                self._misplaced("short", unit, record, record.known or "", record.note)
                continue
            entry = unit.judge.beyond(record.check, evidence)
            if entry is not None:
                self._misplaced("beyond", unit, record, entry.entry.id, entry.where)
                continue
            found = self._found(unit, record, evidence)
            if found is not None:
                fresh.append(found)
        return fresh

    def shrink(
        self, finding: Finding, case: Case, record: Record, also: Sequence[Record] = ()
    ) -> None:
        """Note the smallest case of a finding, and ``also`` where else it has the same cause.

        What was found there by the same name is the same finding.
        """
        merged = []
        with self._lock:
            finding.case, finding.record, finding.shrunk = case, record, True
            for other in also:
                finding.apis.add(other.api)
                finding.modes.add(other.mode)
                finding.forms.add(other.form)
                finding.checks.add(other.check)
                about = finding.backend, other.api, finding.key
                held = self.findings.get(about)
                if held is not None and held is not finding and held.state == "new":
                    finding.count += held.count
                    finding.failing += held.failing
                    held.state = "merged"
                    merged.append(held)
                    del self.findings[about]
                self._spread[about] = finding
        self.notes.add("shrunk", finding.line())
        for each in merged:
            self.settle(each, "merged")

    def settle(self, finding: Finding, state: State) -> None:
        """Note what has become of a finding of an earlier campaign."""
        finding.state = state
        told = {"backend": finding.backend, "api": finding.api, "key": finding.key}
        self.notes.add(state, told)

    def _found(self, unit: Unit, record: Record, evidence: Evidence) -> Finding | None:
        """A finding that is new; what is there already is counted."""
        names = keys(unit.case, record, evidence)
        with self._lock:
            finding = self._held(record, names)
            fresh = finding is None or finding.state == "gone"
            if finding is None:
                finding = Finding(record.backend, record.api, names[0], unit.case, record)
                self.findings[finding.id] = finding
            elif fresh:
                finding.case, finding.record, finding.shrunk = unit.case, record, False
                finding.state = "new"
            finding.met(record, unit.facts)
        if not fresh:
            return None
        self.notes.add("found", finding.line())
        return finding

    def _held(self, record: Record, names: Sequence[str]) -> Finding | None:
        for name in names:
            about = record.backend, record.api, name
            found = self.findings.get(about) or self._spread.get(about)
            if found is not None:
                return found
        return None

    def _misplaced(self, kind: str, unit: Unit, record: Record, entry: str, where: str) -> None:
        held = self.beyond if kind == "beyond" else self.short
        about = record.backend, entry
        with self._lock:
            fresh = about not in held
            found = held.setdefault(about, Misplaced(entry, where, unit.case, record))
            found.count += 1
        if fresh:
            told = {"backend": record.backend, "entry": entry, "case": cases.written(unit.case)}
            self.notes.add(kind, {**told, "record": records.record_json(record)})

    def _restore(self, fields: Line) -> None:
        kind = fields["kind"]
        if kind in ("found", "shrunk"):
            finding = _finding(fields)
            finding.shrunk = kind == "shrunk"
            finding.state = "earlier"
            self.findings[finding.id] = finding
            for api in finding.apis:
                self._spread[finding.backend, api, finding.key] = finding
        elif kind in SETTLED:
            about = fields["backend"], fields["api"], fields["key"]
            if kind == "merged":
                del self.findings[about]
            else:
                self.findings[about].state = "gone" if kind == "gone" else "earlier"


def _finding(fields: Line) -> Finding:
    told: dict[str, Any] = dict(fields["record"])
    record = records.record_from_json(told)
    case = journal.read_case(fields["case"])
    finding = Finding(fields["backend"], fields["api"], fields["key"], case, record)
    finding.met(record, predicates.facts(case))
    finding.apis |= set(fields["apis"])
    finding.count = 0
    return finding
