"""Who agrees with whom on a case."""

from __future__ import annotations

from collections.abc import Iterable

from conformance import describe
from conformance.records import Record
from conformance.report.model import Agreement
from conformance.targets import Names


def agreement(records: Iterable[Record], check: str, names: Names) -> Agreement:
    """The APIs of a case's records, of one check, by what they give.

    An API differs where one of its modes does in its own words; a recipe speaks for none. Two that
    differ agree with each other where both have the same explanation or the same array.
    """
    by_api: dict[str, list[Record]] = {}
    for record in records:
        if record.check == check and record.form != "emulated":
            by_api.setdefault(names[record.backend, record.api], []).append(record)
    agree, refuse, absent = [], [], []
    differ: dict[str, list[str]] = {}
    for api, found in by_api.items():
        wrong = [record for record in found if record.raw.startswith("wrong-")]
        if wrong:
            differ.setdefault(_answer(wrong[0], api), []).append(api)
        elif any(record.raw in ("rejected", "crash", "timeout") for record in found):
            refuse.append(api)
        elif any(record.raw == "pass" for record in found):
            agree.append(api)
        else:
            absent.append(api)
    parted = tuple(map(tuple, differ.values()))
    return Agreement(tuple(agree), parted, tuple(refuse), tuple(absent))


def sentence(found: Agreement) -> str:
    """``6 of 8 APIs agree; keras.layers differs``; those that cannot say it are not counted."""
    differing = [api for group in found.differ for api in group]
    total = len(found.agree) + len(differing) + len(found.refuse)
    if not total:
        return ""
    told = [f"{len(found.agree)} of {describe.plural(total, 'API')} agree"]
    for group in found.differ:
        verb = "differs" if len(group) == 1 else "differ alike"
        told.append(f"{_and(group)} {verb}")
    if found.refuse:
        told.append(f"{_and(found.refuse)} {'fails' if len(found.refuse) == 1 else 'fail'}")
    return "; ".join(told)


def _answer(record: Record, api: str) -> str:
    """What was given, as far as it is known: what explains it, else the array, else nobody's."""
    if record.explanation is not None and record.explanation.edits:
        return record.explanation.key
    if record.observed is not None:
        return repr((record.observed.shape, record.observed.data))
    return api


def _and(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"
