"""Known discrepancies: data with an expectation, strict both ways.

An entry says which outcomes it speaks of (API, mode, versions, a predicate over the case, form,
check) and what happens there instead of a pass. A record that meets the expectation is known; one
that passes makes the entry stale (`fixed`); one that fails in another way stays what it is.
"""

from __future__ import annotations

import fnmatch
import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import pydantic
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version
from pydantic import Field, field_validator, model_validator

from conformance import content
from conformance.adapter import Form
from conformance.cases import Case
from conformance.content import ContentError
from conformance.document import read_yaml
from conformance.explanation.causes import Cause
from conformance.explanation.windows import every_window
from conformance.request import Conv, ConvTranspose, Op, Padding, PaddingMode, Pool
from conformance.schema import DTypeName, Model, Name, Options, Shape, Wanted

Kind = Literal["by-design", "unsupported", "bug", "numerical"]
Check = Literal["forward", "vjp"]
Expectable = Literal[
    "wrong-shape", "wrong-dtype", "wrong-value", "rejected", "unsupported", "crash", "timeout"
]
COMPARISON = re.compile(r"(<=|>=|==|!=|<|>)\s*(-?[0-9]{1,18})")
OPERATORS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _comparison(value: str) -> str:
    if not COMPARISON.fullmatch(value):
        raise ValueError("not a comparison")
    return value


Numeric = Annotated[
    Union[int, Annotated[str, pydantic.AfterValidator(_comparison)]],
    Wanted("a whole number or a comparison such as '>1'"),
]
Names = Annotated[
    Union[str, Annotated[list[str], Field(min_length=1)]], Wanted("a name, or a list of names")
]
Numerics = Annotated[
    Union[Numeric, list[Numeric]],
    Wanted("a whole number, a comparison such as '>1', or a list of such"),
]
PaddingFact = Literal["same", "same_lower", "valid", "explicit"]


class When(Model):
    """A predicate over a case; every key given must hold, a list means any of its items.

    Numbers may be compared: ``stride: ">1"``. Over several axes the largest number counts.
    """

    case: Union[Names, None] = Field(None, description="glob over case ids")
    op: Union[Op, list[Op], None] = None
    rank: Union[Numerics, None] = None
    dtype: Union[DTypeName, list[DTypeName], None] = None
    padding: Union[PaddingFact, list[PaddingFact], None] = Field(
        None, description="the case's word; 'explicit' is numbers that are not all zero"
    )
    padded: bool | None = Field(None, description="whether anything is padded or cropped")
    symmetric: bool | None = Field(None, description="whether both sides of each axis agree")
    negative_padding: bool | None = None
    padding_mode: Union[PaddingMode, list[PaddingMode], None] = None
    stride: Union[Numerics, None] = None
    uniform_stride: bool | None = None
    dilation: Union[Numerics, None] = Field(
        None, description="of axes whose window has more than one element"
    )
    groups: Union[Numerics, None] = None
    depthwise: bool | None = None
    bias: bool | None = None
    output_padding: Union[Numerics, None] = None
    output_padding_reaches_stride: bool | None = None
    window: Union[Numerics, None] = None
    ceil_mode: bool | None = None
    overhang: bool | None = Field(None, description="whether ceil mode adds a partial window")
    window_in_padding: bool | None = Field(
        None, description="whether ceil mode drops a last window that starts in the padding"
    )
    count_include_pad: bool | None = None
    wide_padding: bool | None = Field(None, description="pooling padding over half of the window")
    empty: bool | None = Field(None, description="whether the output has no elements")
    special: bool | None = Field(None, description="whether the data hold NaN or infinities")
    tag: Union[Names, None] = None
    spelled_padding: Union[PaddingFact, list[PaddingFact], None] = Field(
        None, description="the padding word of the API's own spelling; for form 'spelled'"
    )


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


Facts = Mapping[str, Any]


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


def facts(case: Case) -> Facts:
    """What a predicate can ask of a case; the keys are those of `When`."""
    r = case.request
    pool = isinstance(r, Pool)
    return {
        "case": case.id,
        "op": r.op,
        "rank": r.rank,
        "dtype": r.dtype,
        "padding": _word(r.padding),
        "padded": not r.padding.none,
        "symmetric": r.padding.symmetric is not None,
        "negative_padding": r.padding.negative,
        "padding_mode": r.padding.mode,
        "stride": max(r.stride),
        "uniform_stride": len(set(r.stride)) == 1,
        "dilation": max(d if k > 1 else 1 for d, k in zip(r.dilation, r.window)),
        "groups": 1 if isinstance(r, Pool) else r.groups,
        "depthwise": isinstance(r, Conv) and r.depthwise,
        "bias": not isinstance(r, Pool) and r.bias,
        "output_padding": max(r.output_padding) if isinstance(r, ConvTranspose) else 0,
        "output_padding_reaches_stride": isinstance(r, ConvTranspose)
        and any(more >= stride for more, stride in zip(r.output_padding, r.stride)),
        "window": max(r.window),
        "ceil_mode": isinstance(r, Pool) and r.ceil_mode,
        "overhang": isinstance(r, Pool) and _overhang(r),
        "window_in_padding": isinstance(r, Pool)
        and r.ceil_mode
        and every_window(r) != r.output_shape[2:],
        "count_include_pad": isinstance(r, Pool) and r.count_include_pad,
        "wide_padding": pool and any(2 * max(p) > k for p, k in zip(r.padding.pairs, r.window)),
        "empty": 0 in r.output_shape,
        "special": _special(case),
        "tag": tuple(case.fields.tags),
        "spelled": {api: _word(edited.padding) for api, edited in case.spellings.items()},
    }


def _word(padding: Padding) -> str:
    return "valid" if padding.word == "explicit" and padding.none else padding.word


def holds(when: When, facts: Facts, api: str = "") -> bool:
    """Whether a case's facts satisfy a predicate, for one API."""
    for name in when.model_fields_set:
        wanted = getattr(when, name)
        if wanted is None:
            continue
        options = wanted if isinstance(wanted, list) else [wanted]
        fact = facts["spelled"].get(api) if name == "spelled_padding" else facts[name]
        if not any(_satisfies(name, fact, option) for option in options):
            return False
    return True


def _satisfies(name: str, fact: Any, option: Any) -> bool:
    if name == "case":
        return fnmatch.fnmatchcase(fact, option)
    if name == "tag":
        return option in fact
    if isinstance(option, str) and (comparison := COMPARISON.fullmatch(option)):
        return bool(OPERATORS[comparison[1]](fact, int(comparison[2])))
    return bool(fact == option)


def _listed(given: str | Sequence[str] | None, name: str) -> bool:
    return given is None or name == given or (not isinstance(given, str) and name in given)


def _overhang(request: Pool) -> bool:
    return request.ceil_mode and any(
        (positions - 1) * stride + (window - 1) * dilation + 1 > size + sum(pair)
        for positions, stride, window, dilation, size, pair in zip(
            request.output_shape[2:],
            request.stride,
            request.window,
            request.dilation,
            request.spatial,
            request.padding.pairs,
        )
    )


def _special(case: Case) -> bool:
    for tensor in case.inputs:
        spec = tensor.spec
        numbers = [element.to for element in spec.set]
        numbers += [] if spec.constant is None else [spec.constant]
        if any(isinstance(n, float) and not math.isfinite(n) for n in numbers):
            return True
        text = "" if spec.values is None else str(spec.values)
        if "nan" in text or "inf" in text:
            return True
    return False
