"""Records and runs in short, for tests of what is made of results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from conformance.compare import Difference
from conformance.explanation import Explanation
from conformance.records import BackendInfo, Failed, Header, Record
from conformance.results import Results

TORCH = BackendInfo("torch", "2.0", {"torch": "2.0"}, "3.10.1", "here")
JAX = BackendInfo("jax", "0.4", {"jax": "0.4"}, "3.11.0", "here")
HEADER = Header("1", "2025-01-02T00:00:00+00:00", {"a/b": "abc"}, {}, {}, (TORCH, JAX))
PASS = Record("a/b/one", "torch", "torch.nn", "eager", "native", "forward", "pass", "pass")
VJP = replace(PASS, check="vjp")
ON_JAX = replace(PASS, backend="jax", api="jax.lax")
OFF = Difference("y", (1,), (1,), "float32", "float32", 1, 1, (0,), 1.0, 2.0)
DROPPED = Explanation(
    "padding-dropped",
    "equals the request with padding 0 instead of 1: the padding was dropped",
    ({"cause": "padding-dropped"},),
)
WRONG = replace(
    PASS, outcome="wrong-value", raw="wrong-value", difference=OFF, explanation=DROPPED,
    source="import torch\n",
)  # fmt: skip
UNEXPLAINED = replace(WRONG, explanation=Explanation("unexplained: some", "…"))
REFUSED = replace(
    PASS, outcome="rejected", raw="rejected", error=Failed("RuntimeError", "no"),
    explanation=Explanation("rejected: RuntimeError: no", "the framework refuses: no"),
)  # fmt: skip
MISTYPED = replace(REFUSED, error=Failed("TypeError", "no"), explanation=None)
CRASH = replace(
    PASS, outcome="crash", raw="crash", error=Failed("crash", "killed by SIGFPE"),
    explanation=Explanation("crash: killed by SIGFPE", "killed by SIGFPE"),
)  # fmt: skip
KNOWN = replace(WRONG, outcome="known", known="entry")
STALE = replace(PASS, outcome="fixed", known="entry")
UNSTABLE = replace(
    KNOWN, known="memory", explanation=Explanation("unstable", "…", ({"cause": "unstable"},))
)
UNSUPPORTED = replace(PASS, outcome="unsupported", raw="unsupported", note="there is no such layer")
IDLE = replace(PASS, outcome="not-run", raw="not-run", note="torch is not installed here")


def run(*records: Record, complete: bool = True, **header: Any) -> Results:
    """A run with these records."""
    return Results(replace(HEADER, **header), records, complete)
