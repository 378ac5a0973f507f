"""A bisection: releases, their trials, and where the outcome changes."""

from __future__ import annotations

import bisect
import datetime
from collections.abc import Callable
from dataclasses import dataclass, field

from packaging.version import InvalidVersion, Version

from conformance.bisection import search, trials
from conformance.bisection.environments import NotInstallable, Recipe
from conformance.bisection.search import Change
from conformance.bisection.trials import Notes, Trial
from conformance.cases import Case
from conformance.discovery import Backend, Target, UsageError
from conformance.supervisor import Limits

NEAR = 8


@dataclass
class Bisection:
    """A case on a target, over the releases of a package.

    ``tell`` is called with each trial as it is known, and whether it was known before. ``tried``
    holds them, also after Ctrl-C.
    """

    case: Case
    target: Target
    backend: Backend
    recipe: Recipe
    limits: Limits
    tell: Callable[[Trial, bool], None]
    again: bool = False
    prereleases: bool = False
    tried: dict[Version, Trial] = field(default_factory=dict)

    def __post_init__(self) -> None:
        made_of = str(self.recipe.folder(Version("0")))
        home = self.recipe.home
        self.notes = Notes.of(home, self.case, self.target, self.backend, made_of)
        pip = self.recipe.pip
        self.releases = pip.releases(self.recipe.package, self.prereleases)
        self.times = pip.times(self.recipe.package)

    def run(self, good: str | None = None, bad: str | None = None) -> Change[Version] | None:
        """Where the outcome changes; None where all that was tried gives the same.

        Args:
            good: A release that gives something else than the bad one; the nearest such is looked
                for where none is named, in steps that double.
            bad: A release that gives what is to be dated; the newest where none is named.

        Raises:
            UsageError: a release is not there, cannot be tested, or both give the same.
        """
        last = self._position(bad) if bad else self._newest()
        first = self._position(good) if good else None
        wanted = self._required(last)
        if first is None:
            first = search.other_end(self.releases, last, self._ask)
            if first is None:
                return None
        elif self._required(first) == wanted:
            raise UsageError(
                f"{self.recipe.package} {self.releases[first]} and {self.releases[last]} both give "
                f"{self.tried[self.releases[last]].outcome}; name another --good, or none"
            )
        return search.narrow(self.releases, first, last, self._ask)

    def _newest(self) -> int:
        """The newest release that can be tested."""
        for at in range(len(self.releases) - 1, max(len(self.releases) - 1 - NEAR, -1), -1):
            if self._ask(self.releases[at]) is not None:
                return at
        raise UsageError(
            f"none of the {min(NEAR, len(self.releases))} newest releases of {self.recipe.package} "
            "can be tested; name one with --bad"
        )

    def _position(self, text: str) -> int:
        try:
            return self.releases.index(Version(text))
        except InvalidVersion:
            raise UsageError(f"{text!r} is no version") from None
        except ValueError:
            at = bisect.bisect(self.releases, Version(text))
            near = self.releases[max(at - NEAR // 2, 0) : at + NEAR // 2]
            raise UsageError(
                f"{self.recipe.package} {text} has no wheel for Python {self.recipe.version}; "
                f"near it: {', '.join(map(str, near))}"
            ) from None

    def _required(self, at: int) -> object:
        """The answer of a release that has to be tested."""
        answer = self._ask(self.releases[at])
        if answer is None:
            problem = self.tried[self.releases[at]].problem
            raise UsageError(
                f"{self.recipe.package} {self.releases[at]} cannot be tested: {problem}"
            )
        return answer

    def _ask(self, release: Version) -> object | None:
        """What a release gives, None where it cannot be tested; noted once it is known."""
        found = self.tried.get(release)
        if found is None:
            noted = None if self.again else self.notes.get(release)
            found = noted or self._try(release)
            self.tried[release] = found
            self.tell(found, noted is not None)
        return found.answer

    def _uploaded(self, release: Version) -> datetime.datetime | None:
        """When the index got a release, or the next newer one of which it says so."""
        newer = (each for each in self.releases if each >= release and each in self.times)
        return next((self.times[each] for each in newer), None)

    def _try(self, release: Version) -> Trial:
        try:
            python = self.recipe.python(release, self._uploaded(release))
        except NotInstallable as error:
            versions = {self.recipe.package: str(release)}
            return Trial(str(release), versions, problem=f"cannot be installed: {error}")
        found = trials.run(self.case, self.target, self.backend, python, str(release), self.limits)
        self.notes.put(release, found)
        return found
