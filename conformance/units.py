"""What a case on a target asks of a worker: its request, its chain, or its law's requests."""

from __future__ import annotations

from typing import Protocol

from conformance.cases import Case
from conformance.chains.unit import ChainUnit
from conformance.discovery import Target
from conformance.inquiry import Searches
from conformance.judge import RequestUnit
from conformance.known import Registry
from conformance.laws.tolerance import Tolerance
from conformance.laws.unit import LawUnit
from conformance.predicates import Facts
from conformance.records import Record
from conformance.reference import Expected
from conformance.supervisor import Failure
from conformance.worker.protocol import Message


class Answers(Protocol):
    """What is known of cases without asking a target, kept from one target to the next."""

    def __call__(self, case: Case) -> Expected:
        """The oracle's answer to a case."""

    def tolerance(self, case: Case) -> Tolerance:
        """How far both sides of a case's law may be apart."""


class Unit(Protocol):
    """A case on a target, what is known of it, and what still has to be asked."""

    case: Case
    facts: Facts
    target: Target
    registry: Registry

    @property
    def records(self) -> list[Record]:
        """The records of what is known so far."""

    def message(self) -> Message:
        """The first request to the worker."""

    def take(self, reply: Message | Failure) -> Message | None:
        """Note a reply or a fault; the request that has to follow, if any."""


def unit(
    case: Case,
    facts: Facts,
    target: Target,
    registry: Registry,
    answers: Answers,
    searches: Searches,
) -> Unit:
    """The unit of a case on a target."""
    if case.fields.law is not None:
        return LawUnit(case, facts, target, registry, answers.tolerance, searches)
    if case.chain is not None:
        return ChainUnit(case, facts, target, registry, answers, searches)
    return RequestUnit(case, facts, target, registry, answers, searches)
