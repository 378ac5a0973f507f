"""What a unit's outcomes say: which are news, and by what names their causes go."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from conformance import grouping, inquiry, words
from conformance.cases import Case
from conformance.discovery import Target
from conformance.explanation import UNEXPLAINED, Explanation
from conformance.explanation.search import fitting, of_shape
from conformance.inquiry import Evidence
from conformance.judge import RequestUnit
from conformance.known import Known, Registry
from conformance.predicates import Facts
from conformance.records import Failed, Record
from conformance.schema import Options
from conformance.supervisor import Failure
from conformance.worker.protocol import Message

KEY_LENGTH = 160
NUMBERS = re.compile(r"#([,x×*+ -]+#)+")
DTYPES = re.compile(
    r"(torch\.|tf\.|DT_)?\b(u?int#|b?float#|complex#|BFloat#|Half|Float|Double|Long|Int|Char|Byte"
    r"|Short|Complex(Float|Double)|(BF|[FSUCBI]|BFLOAT|FLOAT|HALF|INT|UINT|COMPLEX|DOUBLE)#?)(?!\w)"
)
SUITE = "suite"


@dataclass
class Guarded:
    """A unit whose own errors, which are the suite's, are an outcome and end nothing.

    ``first`` is its first message, None where making it failed.
    """

    unit: RequestUnit
    first: Message | None = None
    fault: BaseException | None = None
    case: Case = field(init=False)
    facts: Facts = field(init=False)
    target: Target = field(init=False)
    registry: Registry = field(init=False)
    _records: list[Record] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.case, self.facts = self.unit.case, self.unit.facts
        self.target, self.registry = self.unit.target, self.unit.registry
        try:
            self.first = self.unit.message()
        except Exception as error:
            self.fault = error

    def message(self) -> Message:
        """The first request to the worker."""
        assert self.first is not None
        return self.first

    def take(self, reply: Message | Failure) -> Message | None:
        """Note a reply; after an error of the suite nothing more is asked."""
        try:
            return self.unit.take(reply)
        except Exception as error:
            self.fault = error
            return None

    @property
    def records(self) -> list[Record]:
        """The records, or that of the suite's error."""
        if self.fault is None and not self._records:
            try:
                self._records = self.unit.records
            except Exception as error:
                self.fault = error
        return self._records if self.fault is None else [self._failed(self.fault)]

    def _failed(self, fault: BaseException) -> Record:
        last = traceback.extract_tb(fault.__traceback__)[-1]
        file = last.filename.rpartition("conformance/")[2]
        kind, where = type(fault).__name__, f"{file}:{last.lineno}"
        told = f"the suite itself fails in {where}: {kind}: {fault}"
        key = f"{SUITE}: {kind} in {file} {last.name}"
        target = self.target
        return Record(
            self.case.id, target.backend, target.api, target.mode, "native", "forward", "crash",
            "crash", error=Failed(kind, told, where), explanation=Explanation(key, told),
        )  # fmt: skip


def unexpected(unit: Guarded) -> Iterator[tuple[Record, Evidence]]:
    """The outcomes of a unit that no entry expects, with what they are judged by.

    A gradient counts where the forward pass of its form is right.
    """
    records = unit.records
    if unit.fault is not None:
        yield records[0], Evidence("crash", error=records[0].error)
        return
    evidence = unit.unit.evidence
    for record in records:
        forward = evidence.get((record.form, "forward"))
        wrong = forward is not None and forward.outcome != "pass"
        if record.unexpected and not (record.check == "vjp" and wrong):
            yield record, evidence[record.form, record.check]


def beyond(unit: Guarded, record: Record, evidence: Evidence) -> tuple[str, str] | None:
    """The id and place of an entry that expects an outcome, but of other cases; None without."""
    if unit.fault is not None:
        return None
    entry = unit.unit.judge.beyond(record.check, evidence)
    return None if entry is None else (entry.entry.id, entry.where)


def called(unit: Guarded, record: Record, told: Sequence[str]) -> tuple[str, str] | None:
    """As `beyond`, of an entry that names one of the causes that are told."""
    for entry in unit.registry.of(record.api, record.check):
        if _because(entry, record) in told:
            return entry.entry.id, entry.where
    return None


def _because(entry: Known, record: Record) -> str:
    """The causes that an entry names for an outcome, as a finding would."""
    wanted = entry.entry.expect
    if wanted.outcome != record.raw or isinstance(wanted.because, (Options, type(None))):
        return ""
    causes = [wanted.because] if isinstance(wanted.because, str) else wanted.because
    return "+".join(sorted(causes))


def key(case: Case, record: Record) -> str:
    """What a cause is called: the explanation's key, without numbers and dtypes of messages.

    Where nothing explains a wrong array, the operator and the check tell causes apart.
    """
    error = record.error
    if record.raw == "rejected" and error is not None:
        message = words.essence(error.message).removeprefix(f"{error.type}: ")
        masked = DTYPES.sub("dtype", re.sub(r"0x[0-9a-f]+|\d+", "#", message))
        return f"rejected: {error.type}: {NUMBERS.sub('#', masked)}"[:KEY_LENGTH]
    told = grouping.cause(record)
    if told.startswith(UNEXPLAINED):
        return f"{told} ({case.request.op} {record.check})"
    return told


def names(unit: Guarded, record: Record, evidence: Evidence) -> Sequence[str]:
    """The names that a cause goes by, the likeliest first: other explanations fit as well.

    Of several causes together each is named, too.
    """
    first = key(unit.case, record)
    told = [first]
    if unit.fault is None and evidence.error is None and not first.startswith(UNEXPLAINED):
        sets = inquiry.causes(evidence)
        told += ["+".join(sorted(causes)) for causes in sets]
        told += sorted(cause for causes in sets if len(causes) > 1 for cause in causes)
    return list(dict.fromkeys(told))


def others(unit: Guarded, evidence: Evidence) -> Sequence[str]:
    """More causes that give what was observed on these data, though they are less likely.

    Where there is no element to compare, all that give the shape.
    """
    question = None if unit.fault else evidence.question(unit.unit.expected(unit.case))
    if question is None:
        return ()
    if evidence.found:
        with np.errstate(all="ignore"):
            return sorted({edit.cause for edit in fitting(question)})
    nothing = question.empty or 0 in question.request.output_shape
    if nothing and question.name == "y" and evidence.outcome == "wrong-shape":
        return sorted(of_shape(question.request, question.observed.shape))
    return ()
