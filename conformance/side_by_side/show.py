"""A case side by side: what it asks, and how each API says exactly that.

For each API the native spelling where there is one that gives the right result, else the recipe,
else why there is neither; and what the obvious spelling would give instead. Whether a form gives
the right result is what the backend's registry of known discrepancies says of its version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from conformance import describe, known, layout, predicates
from conformance.adapter import Form, Layout
from conformance.cases import Case
from conformance.chains.chain import Chain
from conformance.discovery import Backend, Interpreter, Target
from conformance.known import Check, Known, Registry
from conformance.request import Request
from conformance.side_by_side import arithmetic, excerpts, spelling
from conformance.side_by_side.arithmetic import Axis
from conformance.side_by_side.lowerings import Said, Speakers
from conformance.side_by_side.spelling import Effect, Outcome
from conformance.translation.spelled import Spelled
from conformance.workers import Workers

Way = Literal["native", "recipe", "none"]
FORMS: Mapping[Way, Form] = {"native": "native", "recipe": "emulated"}
FAILURES: Mapping[known.Expectable, str] = {
    "rejected": "an error",
    "crash": "the process dies",
    "timeout": "no end",
    "unsupported": "nothing",
    "wrong-shape": "another shape",
    "wrong-dtype": "another dtype",
    "wrong-value": "other values",
}


@dataclass(frozen=True)
class Verdict:
    """How a mode of an API gives exactly the result.

    ``reason`` says why not natively, or why a word other than the case's is right; ``known`` is the
    entry of the registry that speaks against the native form.
    """

    mode: str
    way: Way
    reason: str = ""
    known: str = ""


@dataclass(frozen=True)
class Obvious:
    """What people write instead, and what it gives.

    ``origin`` is 'case' for what the case's author says that people write, 'nearest' for the
    nearest request that the API can say, 'native' for a native form that is known to fail. Where
    the registry speaks against it, the effect is the outcome that it expects.
    """

    origin: Literal["case", "nearest", "native"]
    change: str
    effect: Effect | known.Expectable
    gives: str
    code: str

    @property
    def line(self) -> str:
        """The call that matters."""
        return excerpts.operator_call(self.code)


@dataclass(frozen=True)
class Entry:
    """One API: ``verdicts`` by mode, of which the first chose ``code``.

    ``request`` is the case's, in the words that the code uses. ``verified`` says what came of
    running the code; empty where it was not asked for. ``also`` are other backends' entries of
    which the same is to be said.
    """

    backend: str
    version: str
    installed: bool
    api: str
    layout: str
    verdicts: tuple[Verdict, ...]
    code: str
    request: Request = field(repr=False)
    obvious: Obvious | None = None
    verified: str = ""
    right: bool | None = None
    also: tuple[Entry, ...] = ()

    @property
    def way(self) -> Way:
        """How the code gives exactly the result."""
        return self.verdicts[0].way

    @property
    def others(self) -> tuple[Verdict, ...]:
        """Modes in which it is not as in the first."""
        first = self.verdicts[0]
        return tuple(verdict for verdict in self.verdicts if verdict.way != first.way)


@dataclass(frozen=True)
class SideBySide:
    """A case and every API's way to say it.

    ``words`` are the request's; ``layout`` is the axis order of its shapes. Of a ``chain``,
    ``request`` is that of its first operator.
    """

    case: str
    words: str
    layout: str
    source: str
    note: str
    request: Request
    rules: tuple[str, ...]
    axes: tuple[Axis, ...]
    entries: tuple[Entry, ...]
    chain: Chain | None = None


def side_by_side(
    case: Case,
    speakers: Speakers,
    targets: Sequence[Target],
    interpreters: Mapping[str, Interpreter],
) -> SideBySide:
    """A case on the APIs of some targets; the first mode of each decides.

    Targets of other backends than the speakers' are left out.

    Raises:
        ContentError: an adapter fails.
    """
    modes: dict[tuple[str, str], list[str]] = {}
    for target in targets:
        modes.setdefault((target.backend, target.api), []).append(target.mode)
    effect = cache(lambda other: spelling.outcome(case, other))
    entries = []
    for backend in speakers.backends:
        asking = _Asking(case, backend, interpreters[backend.name], speakers, effect)
        entries += [
            asking.entry(api, listed)
            for (name, api), listed in modes.items()
            if name == backend.name
        ]
    return SideBySide(
        case.id,
        describe.request(case.request),
        layout.described(case.request, Layout()),
        printable(case.fields.source or ""),
        printable(case.fields.note or ""),
        case.request,
        (*describe.laws(case), *describe.views(case), *arithmetic.rules(case.request)),
        arithmetic.axes(case.request),
        tuple(entries),
    )


def printable(text: str) -> str:
    """A user's text on one line, without characters that a terminal would act on."""
    return "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split())
    )


def pinned(backend: Backend) -> str:
    """The framework's version that the suite was written against, empty where none is pinned."""
    if not backend.requirements.is_file():
        return ""
    versions = {}
    for line in backend.requirements.read_text(encoding="utf-8").splitlines():
        try:
            requirement = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate():
            for specifier in requirement.specifier:
                versions[canonicalize_name(requirement.name)] = specifier.version
    names = map(canonicalize_name, backend.distributions)
    return next((versions[name] for name in names if name in versions), "")


@dataclass(frozen=True)
class _Asking:
    """One backend and all that is needed to tell how its APIs say the case."""

    case: Case
    backend: Backend
    interpreter: Interpreter
    speakers: Speakers
    effect: Callable[[Request], Outcome]

    @cached_property
    def version(self) -> str:
        """The version found, else the one pinned."""
        return self.interpreter.version or pinned(self.backend)

    @cached_property
    def registry(self) -> Registry:
        """What is known of that version."""
        return self.backend.registry.at(self.version)

    def entry(self, api: str, modes: Sequence[str]) -> Entry:
        """An API's entry, for these of its modes."""
        own, *others = self._ask(api, [self.case.request, *spelling.rewordings(self.case)])
        said = next((each for each in (own, *others) if each.native), own)
        if said is not own:
            same = spelling.changed(own.request, said.request)
            said = replace(said, missing=f"{own.missing}; {same} says the same here")
        judged = [self._verdict(api, said, own, mode) for mode in modes]
        verdict, against = judged[0]
        code = {"native": said.native, "recipe": own.recipe, "none": ""}[verdict.way]
        return Entry(
            self.backend.name,
            self.version,
            self.interpreter.path is not None,
            api,
            said.layout or own.layout,
            tuple(each for each, _ in judged),
            code,
            said.request if verdict.way == "native" else own.request,
            self._obvious(api, said, verdict, against, code),
        )

    def _ask(self, api: str, requests: Sequence[Request]) -> list[Said]:
        return self.speakers.ask(self.backend, api, requests)

    def _verdict(self, api: str, said: Said, own: Said, mode: str) -> tuple[Verdict, Known | None]:
        """How a mode does it, and the entry that speaks against the native form."""
        native = self._failure(api, said.request, mode, "native") if said.native else None
        if said.native and native is None:
            return Verdict(mode, "native", said.missing), None
        reason, name = (said.missing, "") if native is None else (_why(native), native.entry.id)
        if not own.recipe:
            return Verdict(mode, "none", f"{reason}; there is no recipe", name), native
        recipe = self._failure(api, own.request, mode, "emulated")
        if recipe is None:
            return Verdict(mode, "recipe", reason, name), native
        if recipe is not native:
            reason = f"{reason}; the recipe fails, too: {_why(recipe)}"
        return Verdict(mode, "none", reason, name or recipe.entry.id), native

    def _failure(self, api: str, request: Request, mode: str, form: Form) -> Known | None:
        """The entry by which a form fails, forward or backward."""
        facts = predicates.facts(replace(self.case, request=request))
        checks: list[Check] = ["forward"] if self.case.cotangent is None else ["forward", "vjp"]
        entries = (self.registry.about(facts, api, mode, form, check) for check in checks)
        return next((entry for listed in entries for entry in listed), None)

    def _obvious(
        self, api: str, said: Said, verdict: Verdict, against: Known | None, code: str
    ) -> Obvious | None:
        spelled = self.case.spellings.get(api)
        if isinstance(spelled, Spelled):
            return self._verbatim(api, spelled, verdict)
        found = self._ask(api, [spelled]) if spelled is not None else []
        if found and found[0].native:
            return self._instead("case", found[0], code, None)
        if against is not None:
            return _failing(against, said.native)
        if verdict.way == "native":
            return None
        near = (each for each in self._ask(api, spelling.nearby(self.case)) if each.native)
        first = next(near, None)
        if first is None:
            return None
        failure = self._failure(api, first.request, verdict.mode, "native")
        return self._instead("nearest", first, code, failure)

    def _verbatim(self, api: str, call: Spelled, verdict: Verdict) -> Obvious:
        """What a call gives that the case spells: what a registry says of it, or else the same."""
        code = self.speakers.verbatim(self.backend, api, self.case.request, call)
        failure = self._failure(api, self.case.request, verdict.mode, "spelled")
        if failure is not None:
            return replace(_failing(failure, code), origin="case", change="as written")
        return Obvious("case", "as written", "same", "exactly the same", code)

    def _instead(
        self, origin: Literal["case", "nearest"], said: Said, code: str, failure: Known | None
    ) -> Obvious | None:
        """What another request gives: what a registry says of it, or else the oracle."""
        if said.native == code:
            return None
        change = spelling.changed(self.case.request, said.request)
        if failure is not None:
            return replace(_failing(failure, said.native), origin=origin, change=change)
        outcome = self.effect(said.request)
        return Obvious(origin, change, outcome.effect, outcome.text, said.native)


def _failing(against: Known, code: str) -> Obvious:
    """A native form that a registry speaks against."""
    entry = against.entry
    checks = [entry.check] if isinstance(entry.check, str) else entry.check
    gives = ("" if "forward" in checks else "no gradient: ") + FAILURES[entry.expect.outcome]
    return Obvious("native", "", entry.expect.outcome, gives, code)


def _why(entry: Known) -> str:
    return printable(entry.entry.why).removesuffix(".")


def verified(view: SideBySide, case: Case, workers: Workers) -> SideBySide:
    """The same, each code run on the case in its API's first mode and compared with the oracle."""
    return replace(view, entries=tuple(_verified(entry, case, workers) for entry in view.entries))


def _verified(entry: Entry, case: Case, workers: Workers) -> Entry:
    if not entry.code:
        return entry
    target = Target(entry.backend, entry.api, entry.verdicts[0].mode)
    # The request alone is what the code is for: a law asks others beside it.
    plain = case.fields.model_copy(update={"law": None})
    worded = replace(case, request=entry.request, spellings={}, fields=plain)
    records = workers.run(worded, target)
    missing = [record for record in records if record.raw == "not-run"]
    if missing:
        return replace(entry, verified=f"not run here: {missing[0].note}")
    form = FORMS[entry.way]
    there = [record for record in records if record.form == form]
    if not there:
        return replace(entry, verified="not run: the native form passes, too")
    wrong = next((record for record in there if record.raw != "pass"), None)
    where = f"on {entry.backend} {entry.version}".rstrip()
    if wrong is not None:
        text = f"{wrong.raw} {where}: {describe.outcome(wrong)}"
        return replace(entry, verified=text, right=False)
    exact = workers.references(worded).output.allowed is None
    text = "exact" if exact else "right within rounding errors"
    return replace(entry, verified=f"{text} {where}", right=True)
