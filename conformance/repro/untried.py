"""The script of a recorded outcome, without its framework: it is written and not run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.cases import Case
from conformance.dtypes import DTYPES, Array
from conformance.records import BackendInfo, Record
from conformance.reference import Expected
from conformance.repro.ending import Ending
from conformance.repro.writing import Writer
from conformance.side_by_side.lowerings import Speakers
from conformance.worker.protocol import Message
from conformance.workers import Workers


def script(
    speakers: Speakers,
    workers: Workers,
    case: Case,
    record: Record,
    info: BackendInfo,
    system: str,
    command: Sequence[str],
) -> str:
    """The script that ``conformance repro`` writes for an outcome of an earlier run.

    ``workers`` are asked for their backends and the oracle only. ``info`` and ``system`` say what
    the outcome was of.

    Raises:
        UsageError: the backend writes no scripts.
        ContentError: its adapter fails.
    """
    writer = _Untried(workers, case, record.target, record, command, None, speakers, info, system)
    return writer.reproduction(record.check == "vjp", {}).script


@dataclass(frozen=True)
class _Untried(Writer):
    """A writer that takes from the record what another one runs the framework for."""

    speakers: Speakers
    info: BackendInfo
    system: str

    def _loaded(self) -> Mapping[str, Any]:
        told = self.info.info.get(self.target.mode, {})
        named = {"versions": self.info.versions, "python": self.info.python}
        return {**told, **named, "platform": self.system}

    def _reply(self, message: Message) -> Message:
        return self.speakers.reply(self._backend, message)

    def _observed(self, expected: Expected) -> Array | None:
        values = self.record.observed
        if values is None or values.dtype not in DTYPES:
            return None
        carrier = DTYPES[values.dtype].carrier
        return np.asarray(values.data).astype(carrier).reshape(values.shape)

    def _ended(self, script: str) -> Ending | None:
        return None
