"""The results of a run: what ran where, and one record per outcome."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from conformance import __version__
from conformance.adapter import Form
from conformance.compare import Difference, Outcome
from conformance.discovery import Interpreter, Target
from conformance.explanation import Explanation
from conformance.known import Check
from conformance.typed import made

VERSION = 2
EXPECTED = ("pass", "known", "unsupported", "not-run")
OUTCOMES: tuple[str, ...] = get_args(Outcome)


@dataclass(frozen=True)
class Failed:
    """An exception that the framework raised, or how its process ended.

    ``output`` is the tail of what the process printed.
    """

    type: str
    message: str
    where: str = ""
    output: str = ""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@dataclass(frozen=True)
class Values:
    """A small observed or expected array, flat in row-major order."""

    shape: tuple[int, ...]
    dtype: str
    data: tuple[complex, ...]


@dataclass(frozen=True)
class Record:
    """One outcome: a case on a target, in one form: forward, VJP, or a law.

    ``raw`` is the outcome before known discrepancies were considered; ``known`` the entry that
    speaks of it, met or not; ``note`` what else there is to say (the reason of an unsupported or
    not-run outcome, how a stale or differing entry differs). ``observed`` and ``expected`` are
    there for small arrays that differ, ``source`` for everything that ran and is not a pass,
    ``explanation`` for every outcome that is wrong, an error or a crash.
    """

    case: str
    backend: str
    api: str
    mode: str
    form: Form
    check: Check
    outcome: Outcome
    raw: Outcome
    known: str | None = None
    note: str = ""
    error: Failed | None = None
    difference: Difference | None = None
    expected: Values | None = None
    observed: Values | None = None
    source: str = ""
    ulps: int = 0
    seconds: float = 0.0
    explanation: Explanation | None = None

    @property
    def target(self) -> Target:
        """Backend, API and mode."""
        return Target(self.backend, self.api, self.mode)

    @property
    def unexpected(self) -> bool:
        """Whether this outcome fails a run."""
        return self.outcome not in EXPECTED


@dataclass(frozen=True)
class BackendInfo:
    """A backend as it ran.

    ``info`` is the adapter's own word, by mode; ``problem`` says why it did not run; ``gradients``
    is False where it has none to check.
    """

    name: str
    version: str
    versions: Mapping[str, str]
    python: str
    origin: str
    problem: str = ""
    info: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    gradients: bool = True

    @classmethod
    def found(cls, interpreter: Interpreter) -> BackendInfo:
        """What is known before the framework is loaded."""
        return cls(
            interpreter.backend,
            interpreter.version,
            dict(interpreter.versions),
            interpreter.python,
            interpreter.origin,
            interpreter.problem,
        )


@dataclass(frozen=True)
class Header:
    """What a results file is about; ``cases`` are digests of the case files that took part."""

    suite: str
    created: str
    cases: Mapping[str, str]
    machine: Mapping[str, str]
    selection: Mapping[str, Any]
    backends: tuple[BackendInfo, ...]
    version: int = VERSION

    @classmethod
    def now(
        cls, cases: Mapping[str, str], selection: Mapping[str, Any], backends: Iterable[BackendInfo]
    ) -> Header:
        """The header of a run that starts now, on this machine."""
        machine = {
            "system": platform.platform(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "cpus": str(os.cpu_count()),
        }
        created = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        return cls(__version__, created, cases, machine, selection, tuple(backends))


def record_json(record: Record) -> dict[str, Any]:
    """The record as JSON values; empty parts are left out, NaN and infinities are words."""
    fields = dataclasses.asdict(record)
    defaults = {field.name: field.default for field in dataclasses.fields(Record)}
    kept = {name: value for name, value in fields.items() if value != defaults[name]}
    return {"kind": "record", **_plain(kept)}


def record_from_json(fields: Mapping[str, Any]) -> Record:
    """The record that `record_json` wrote.

    Raises:
        TypeError, ValueError, KeyError: the fields are not those of a record.
    """
    values = {name: value for name, value in fields.items() if name != "kind"}
    if "error" in values:
        values["error"] = made(Failed, values["error"])
    if "difference" in values:
        values["difference"] = made(Difference, _restore(values["difference"]))
    if "explanation" in values:
        told = values["explanation"]
        parts = {name: tuple(told[name]) for name in ("edits", "others")}
        explanation = made(Explanation, {**told, **parts})
        if not all(isinstance(cause, str) for cause in explanation.causes):
            raise TypeError("a cause is no word")
        values["explanation"] = explanation
    for name in ("expected", "observed"):
        if name in values:
            values[name] = made(Values, _restore(values[name]))
    return made(Record, values)


def header_json(header: Header) -> dict[str, Any]:
    """The header as JSON values."""
    return {"kind": "header", **dataclasses.asdict(header)}


def header_from_json(fields: Mapping[str, Any]) -> Header:
    """The header that `header_json` wrote.

    Raises:
        TypeError, KeyError: the fields are not those of a header.
    """
    values = {name: value for name, value in fields.items() if name != "kind"}
    values["cases"] = dict(values["cases"])
    values["backends"] = tuple(made(BackendInfo, backend) for backend in values["backends"])
    return made(Header, values)


def counts(records: Iterable[Record]) -> dict[str, int]:
    """How many records have each outcome, in the order of `OUTCOMES`."""
    result = dict.fromkeys(OUTCOMES, 0)
    for record in records:
        result[record.outcome] += 1
    return result


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return value


NUMERIC = ("worst", "expected_shape", "observed_shape", "shape", "data")
WORDS: Mapping[str, float] = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def _restore(fields: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in fields.items():
        if name in NUMERIC and value is not None:
            result[name] = tuple(_number(item) for item in value)
        elif name == "sides" and value is not None:
            result[name] = tuple(value)
        elif name in ("expected", "observed", "allowed"):
            result[name] = _number(value)
        else:
            result[name] = value
    return result


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return complex(*map(_number, value))
    return WORDS[value] if isinstance(value, str) else value
