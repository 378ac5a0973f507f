"""Known discrepancies: data with an expectation, strict both ways.

An entry says which outcomes it speaks of (API, mode, versions, a predicate over the case, form,
check) and what happens there instead of a pass. A record that meets the expectation is known; one
that passes makes the entry stale (`fixed`); one that fails in another way stays what it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Union

import pydantic
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import Field, field_validator, model_validator

from conformance import content
from conformance.adapter import Form
from conformance.content import ContentError
from conformance.document import read_yaml
from conformance.explanation.causes import Cause
from conformance.predicates import Facts, Names, When, holds
from conformance.schema import Model, Name, Options, Shape, Wanted

Kind = Literal["by-design", "unsupported", "bug", "numerical"]
Check = Literal["forward", "vjp", "law"]
Expectable = Literal[
    "wrong-shape", "wrong-dtype", "wrong-value", "rejected", "unsupported", "crash", "timeout"
]
Because = Annotated[
    Union[Options, Cause, Annotated[list[Cause], Field(min_length=1)]],
    Wanted(
        "options that differ, a cause such as 'padding-dropped', or a list of causes; "
        "'conformance causes' lists them"
    ),
]


class Expectation(Model):
    """What happens instead of a pass.

    ``because`` is an edit of the request whose oracle gives exactly what was observed; or
    ``spelling``: what was observed is right for the spelling, which is not the request; or the
    cause, or the causes together, that an explanation names (`explanation.causes`). ``error`` is
    a regular expression that the error (its type, a colon, its message) or, for a crash, the
    signal's name matches, ``shape`` the observed shape.
    """

    outcome: Expectable
    because: Because | None = None
    error: str | None = None
    shape: Shape | None = None

    @field_validator("error")
    @classmethod
    def _pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _observable(self) -> Expectation:
        wrong = self.outcome.startswith("wrong-")
        if self.error is not None and wrong:
            raise ValueError(f"'error' does not go with {self.outcome!r}: nothing is raised")
        for name in ("because", "shape"):
            if getattr(self, name) is not None and not wrong:
                raise ValueError(f"{name!r} does not go with {self.outcome!r}: nothing is observed")
        edit = self.because
        if isinstance(edit, Options) and not edit.model_dump(exclude_none=True):
            raise ValueError("'because' changes nothing; name the options that differ")
        return self


class Entry(Model):
    """One known discrepancy of a backend."""

    id: Name
    api: Union[Names, None] = None
    mode: Union[Names, None] = None
    versions: str = ""
    when: When = When()
    form: Union[Form, list[Form]] = "native"
    check: Union[Check, list[Check]] = "forward"
    expect: Expectation
    stable: bool = Field(
        True, description="false for uninitialised memory: a pass does not make the entry stale"
    )
    kind: Kind
    why: Annotated[str, Field(min_length=10)]
    evidence: Names = Field(description="links, or a command anyone can run")

    @field_validator("versions")
    @classmethod
    def _specifier(cls, value: str) -> str:
        try:
            SpecifierSet(value)
        except InvalidSpecifier:
            raise ValueError("a PEP 440 version range such as '>=2.0,<3' is needed") from None
        return value


class RegistryFile(pydantic.RootModel[list[Entry]]):
    """A ``known.yaml``."""


@dataclass(frozen=True)
class Known:
    """An entry with its place."""

    entry: Entry
    file: Path
    line: int

    @property
    def where(self) -> str:
        """File and line."""
        return f"{content.display(self.file)}:{self.line}"

    def modes(self, usual: Sequence[str]) -> Sequence[str]:
        """Those of the ``usual`` modes of which the entry speaks; where it names none, its own."""
        named = [self.entry.mode] if isinstance(self.entry.mode, str) else self.entry.mode or usual
        return [mode for mode in named if mode in usual] or named


@dataclass(frozen=True)
class Registry:
    """The known discrepancies of one backend at one version."""

    backend: str
    entries: tuple[Known, ...] = ()
    version: str | None = field(default=None)

    def at(self, version: str) -> Registry:
        """The entries that speak of a version of the framework."""
        try:
            parsed = Version(version)
        except InvalidVersion:
            parsed = None
        kept = tuple(
            known
            for known in self.entries
            if not known.entry.versions
            or (
                parsed is not None
                and SpecifierSet(known.entry.versions).contains(parsed, prereleases=True)
            )
        )
        return Registry(self.backend, kept, version)

    def about(
        self, facts: Facts, api: str, mode: str, form: Form, check: Check
    ) -> tuple[Known, ...]:
        """The entries that speak of one outcome."""
        return tuple(
            known
            for known in self.entries
            if _listed(known.entry.form, form)
            and _listed(known.entry.check, check)
            and _listed(known.entry.api, api)
            and _listed(known.entry.mode, mode)
            and holds(known.entry.when, facts, api)
        )

    def of(self, api: str, check: Check) -> tuple[Known, ...]:
        """The entries that speak of an API and a check, in whatever case, mode and form."""
        return tuple(
            known
            for known in self.entries
            if _listed(known.entry.api, api) and _listed(known.entry.check, check)
        )

    def deadly(self, api: str, mode: str) -> tuple[Known, ...]:
        """The entries that speak of a target's crashes and hangs."""
        return tuple(
            known
            for known in self.entries
            if known.entry.expect.outcome in ("crash", "timeout")
            and _listed(known.entry.api, api)
            and _listed(known.entry.mode, mode)
        )

    def hangs(self, facts: Facts, api: str, mode: str) -> bool:
        """Whether a case is known never to end on a target, in whatever form."""
        return any(
            known.entry.expect.outcome == "timeout"
            and _listed(known.entry.api, api)
            and _listed(known.entry.mode, mode)
            and holds(known.entry.when, facts, api)
            for known in self.entries
        )

    def check_corpus(
        self, cases: Sequence[Facts], apis: Sequence[str], modes: Sequence[str]
    ) -> None:
        """Refuse entries that no case of the corpus meets.

        Raises:
            ContentError: an entry names an unknown API or mode, or matches no case.
        """
        for known in self.entries:
            entry = known.entry
            for what, given, names in (("API", entry.api, apis), ("mode", entry.mode, modes)):
                for name in [given] if isinstance(given, str) else given or []:
                    if name not in names:
                        raise ContentError(
                            f"entry {content.shown(entry.id)}: {self.backend} has no {what} "
                            f"{content.shown(name)}; it has "
                            f"{', '.join(names)}",
                            known.file,
                            known.line,
                        )
            listed = [entry.api] if isinstance(entry.api, str) else entry.api or list(apis)
            if not any(
                holds(entry.when, facts, api)
                and (entry.form != "spelled" or api in facts["spelled"])
                and any(_listed(entry.check, check) for check in facts["checks"])
                for facts in cases
                for api in listed
            ):
                raise ContentError(
                    f"entry {content.shown(entry.id)} matches no case; correct 'when' or remove "
                    "the entry",
                    known.file,
                    known.line,
                )


def load(file: Path, backend: str) -> Registry:
    """A backend's registry; a missing file is an empty one.

    Raises:
        ContentError: the file is wrong; it names line and place.
    """
    if not file.exists():
        return Registry(backend)
    document = read_yaml(file, "write [] where nothing is known")
    entries: list[Entry] = document.validate(RegistryFile).root
    seen: dict[str, int] = {}
    result = []
    for index, entry in enumerate(entries):
        line = document.line((index,))
        if entry.id in seen:
            raise document.error(
                f"the id {entry.id!r} is taken by line {seen[entry.id]}", (index, "id")
            )
        seen[entry.id] = line
        result.append(Known(entry, file, line))
    return Registry(backend, tuple(result))


def _listed(given: str | Sequence[str] | None, name: str) -> bool:
    return given is None or name == given or (not isinstance(given, str) and name in given)
