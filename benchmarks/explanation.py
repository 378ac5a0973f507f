"""What an explanation costs, on mismatches of the tutorials' cases."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.suite import Row
from conformance import cases, content
from conformance.cases import Case
from conformance.compare import compare
from conformance.explanation import explained
from conformance.explanation.edits import applied
from conformance.explanation.evaluation import Data, Inapplicable, evaluate, finish
from conformance.explanation.question import Question
from conformance.explanation.search import Edits, neighbourhood, search
from conformance.reference import Reference, expected
from conformance.request import Request

EVERY = 3
LIMIT = 50.0


def measure() -> Row:
    """Median milliseconds of an explanation: single errors, pairs of them, and what nothing fits.

    The mismatches are those of every third edit in each tutorial's neighbourhood, of one pair of
    edits a case, and of one array of random integers a case.
    """
    found = cases.load([content.root("cases") / "tutorials"])
    spent: dict[str, list[float]] = {"one error": [], "two": [], "nothing fits": []}
    for case in found:
        for kind, question in _mismatches(case):
            started = time.perf_counter()
            explained(question, search(question))
            spent[kind].append(1e3 * (time.perf_counter() - started))
    everything = sorted(itertools.chain.from_iterable(spent.values()))
    parts = ", ".join(f"{kind} {statistics.median(times):.1f} ms" for kind, times in spent.items())
    return Row(
        "explaining a mismatch, median",
        statistics.median(everything),
        LIMIT,
        "ms",
        f"{len(everything):,} mismatches of {len(found)} tutorial cases ({parts}; 95 % within "
        f"{everything[int(0.95 * len(everything))]:.0f} ms)",
    )


def _mismatches(case: Case) -> Iterator[tuple[str, Question]]:
    answer = expected(case)
    data = Data(answer.arrays, answer.cotangent)
    request, dtype = case.request, case.request.dtype
    random = np.random.default_rng(0)
    for reference in (answer.output, *(answer.gradients or ())):
        edits = neighbourhood(request, reference.name)
        pairs = [
            (one, other)
            for one, other in itertools.combinations(edits, 2)
            if not one.places & other.places
        ]
        chosen: list[tuple[str, Edits]] = [("one error", (edit,)) for edit in edits[::EVERY]]
        if pairs:
            chosen.append(("two", pairs[random.integers(len(pairs))]))
        for kind, planted in chosen:
            try:
                values = evaluate(applied(request, planted), data, reference.name)
                observed = finish(values, dtype)
            except (Inapplicable, ValueError):
                continue
            if compare(reference, observed, dtype).outcome != "pass":
                yield kind, Question(request, data, reference, observed, dtype)
        yield "nothing fits", _garbage(random, request, data, reference)


def _garbage(
    random: np.random.Generator, request: Request, data: Data, reference: Reference
) -> Question:
    values = random.integers(-99, 99, reference.values.shape).astype(reference.values.dtype)
    return Question(request, data, reference, values, reference.dtype.name)
