"""What a run is about: cases by path, tier and expression, targets by backend, API and mode."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyparsing as pp

from conformance import cases, content, discovery
from conformance.cases import Case
from conformance.discovery import Backend, Target, UsageError

Predicate = Callable[[str], bool]


@dataclass(frozen=True)
class Selection:
    """Chosen cases and targets; ``whole`` where only tier and modes restrict the suite's own."""

    cases: tuple[Case, ...]
    corpus: tuple[Case, ...]
    targets: tuple[Target, ...]
    matches: Predicate
    whole: bool

    @property
    def work(self) -> list[tuple[Case, Target]]:
        """Every case on every target that the expression does not rule out, case by case."""
        return [
            (case, target)
            for case in self.cases
            for target in self.targets
            if self.matches(f"{case.id} {target}")
        ]

    @property
    def digests(self) -> dict[str, str]:
        """A digest of each case file, by the beginning of its cases' ids."""
        files = {case.id.rpartition("/")[0]: case.file for case in self.corpus}
        return {
            name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for name, file in files.items()
        }


def select(
    paths: Sequence[Path],
    backends: Sequence[Backend],
    *,
    apis: Sequence[str] = (),
    modes: Sequence[str] = (),
    tier: str = "core",
    expression: str = "",
) -> Selection:
    """Choose cases and targets.

    Raises:
        ContentError: a case file is wrong.
        UsageError: an API, a mode, or the expression is wrong, or nothing is left.
    """
    targets = discovery.targets(backends, apis, modes)
    corpus = tuple(cases.load(paths or [content.root("cases")]))
    chosen = tuple(case for case in corpus if tier == "full" or case.fields.tier == "core")
    matches = compile_expression(expression)
    selection = Selection(
        chosen,
        corpus,
        tuple(targets),
        matches,
        whole=not (paths or apis or expression),
    )
    if not selection.work:
        raise UsageError("nothing is selected; see 'conformance list'")
    return selection


def compile_expression(text: str) -> Predicate:
    """A predicate from words joined by ``and``, ``or``, ``not`` and parentheses, as pytest's -k.

    A word holds where it is part of the text, in any case of letters.

    Raises:
        UsageError: the expression cannot be parsed.
    """
    if not text.strip():
        return lambda subject: True
    try:
        tree = _grammar().parse_string(text, parse_all=True)[0]
    except pp.ParseBaseException as error:
        raise UsageError(f"-k {text!r}: not understood at column {error.column}") from None
    return lambda subject: _evaluate(tree, subject.lower())


@lru_cache(maxsize=1)
def _grammar() -> pp.ParserElement:
    letters = pp.alphanums + "_-+./[]:@{}=,"
    either, both, negation = (pp.Keyword(name, letters) for name in ("or", "and", "not"))
    word = ~(either | both | negation) + pp.Word(letters)
    grammar: pp.ParserElement = pp.infix_notation(  # type: ignore[no-untyped-call]
        word,
        [
            (negation, 1, pp.OpAssoc.RIGHT),
            (both, 2, pp.OpAssoc.LEFT),
            (either, 2, pp.OpAssoc.LEFT),
        ],
    )
    return grammar


def _evaluate(tree: object, subject: str) -> bool:
    if isinstance(tree, str):
        return tree.lower() in subject
    parts = list(tree)  # type: ignore[call-overload]
    if parts[0] == "not":
        return not _evaluate(parts[1], subject)
    values: Iterable[bool] = (_evaluate(part, subject) for part in parts[::2])
    return all(values) if parts[1] == "and" else any(values)


def named(text: str) -> Case:
    """The case that ``ID``, the end of an id, or ``FILE::ID`` names.

    Raises:
        ContentError: a case file is wrong.
        UsageError: there is no such case, or there are several.
    """
    path, separator, name = text.partition("::")
    if separator:
        return find(cases.load([Path(path)]), name)
    return find(cases.load([content.root("cases")]), text)


def argument(case: Case) -> str:
    """What `named` finds a case by: its id, with its file where that is not one of the suite's."""
    if _own(case):
        return case.id
    return f"{content.display(case.file)}::{case.fields.id}"


def names(everything: Sequence[Case]) -> dict[str, str]:
    """As `argument`, for every case by id; of the suite's own the end of the id suffices."""
    own = {case.id for case in everything if _own(case)}
    ends = Counter(end for name in own for end in _ends(name))
    return {
        case.id: next((end for end in _ends(case.id) if ends[end] == 1), argument(case))
        for case in everything
    }


def _own(case: Case) -> bool:
    return content.root("cases").resolve() in case.file.resolve().parents


def _ends(name: str) -> list[str]:
    """The ends of an id that begin at a slash, the shortest first."""
    parts = name.split("/")
    return ["/".join(parts[at:]) for at in range(len(parts) - 1, -1, -1)]


def find(everything: Sequence[Case], name: str) -> Case:
    """The case with an id, or the only one whose id ends with it.

    Raises:
        UsageError: there is none, or there are several.
    """
    by_id = {case.id: case for case in everything}
    return by_id[find_id(list(by_id), name, "see 'conformance list'")]


def find_id(ids: Sequence[str], name: str, otherwise: str) -> str:
    """The id, or the only one that ends with it.

    Raises:
        UsageError: there is none, or there are several; ``otherwise`` says what to do where none
            is near.
    """
    found = [each for each in ids if each == name]
    found = found or [each for each in ids if each.endswith(f"/{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name!r} may be {', '.join(found[:5])}; give the whole id")
    near = [each for each in ids if name.lower() in each.lower()][:5]
    hint = f"near it: {', '.join(near)}" if near else otherwise
    raise UsageError(f"no case {name!r}; {hint}")
