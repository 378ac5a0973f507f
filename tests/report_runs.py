"""A small run with one of everything that the report shows, and names that are up to no good."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

from conformance import cases
from conformance.compare import Difference
from conformance.explanation import Explanation
from conformance.records import BackendInfo, Failed, Header, Record, Values
from conformance.results import Results

SCRIPT = "<script>window.ran = 1</script>"
IMAGE = '"><img src=x onerror="window.ran = 2">'
CASES = f"""\
op: conv
defaults: {{input: {{shape: [1, 1, 8, 8]}}, kernel: {{shape: [1, 1, 3, 5]}}}}
cases:
  - id: uneven
    source: "https://example.org/{SCRIPT}"
    note: '{IMAGE}'
    padding: [0, 1]
    stride: [3, 4]
    spelling: {{keras.layers: {{padding: valid}}}}
  - id: plain-{{stride}}
    matrix: {{stride: [1, 2]}}
  - {{id: deep, input: {{shape: [1, 2, 4, 4, 4]}}, kernel: {{shape: [2, 2, 1, 1, 1]}}}}
  - {{id: line, input: {{shape: [1, 1, 5]}}, kernel: {{shape: [1, 1, 2]}}, padding: same}}
  - {{id: near, input: {{shape: [1, 1, 2, 2]}}, kernel: {{shape: [1, 1, 1, 1]}}, dtype: float32}}
"""
TORCH = BackendInfo(
    "torch", "2.13.0", {"torch": "2.13.0"}, "3.11.7", "here", "",
    {"eager": {"build": {"CUDA": "False"}, "device": SCRIPT}},
)  # fmt: skip
KERAS = BackendInfo(
    "tensorflow", "2.21.0", {"tensorflow": "2.21.0", "keras": "3.15.1"}, "3.11.7", "here"
)
KERAS_TORCH = dataclasses.replace(KERAS, name="keras_torch", version="3.15.1")
JAX = BackendInfo("jax", "", {}, "", "", problem=f"jax is not installed here {SCRIPT}")
APIS = (("torch", "torch.nn"), ("torch", "torch.nn.functional"), ("tensorflow", "keras.layers"))


def file(folder: Path) -> Path:
    """The case file of the run."""
    path = folder / "hostile.yaml"
    path.write_text(CASES, encoding="utf-8")
    return path


def run(folder: Path) -> Results:
    """Three APIs on the cases of `file`: known and new discrepancies among many passes."""
    path = file(folder)
    ids = [case.id for case in cases.load([path])]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    header = Header(
        "0.1.0", "2026-11-20T15:17:44+00:00", {"hostile": digest}, {"cpus": "2", "system": IMAGE},
        {"tier": "core", "paths": [str(path)], "expression": SCRIPT}, (JAX, KERAS, TORCH),
    )  # fmt: skip
    records = [
        passed(case, backend, api, mode, check)
        for case in ids
        for backend, api in APIS
        for mode in ("eager", "compile")
        for check in ("forward", "vjp")
    ]
    return Results(header, tuple(map(_spoiled, records)))


def earlier(run: Results) -> Results:
    """The run before it: nothing was rejected there."""
    records = (
        dataclasses.replace(record, outcome="pass", raw="pass", error=None, source="")
        if record.raw == "rejected"
        else record
        for record in run.records
    )
    torch = dataclasses.replace(TORCH, version="2.12.0", versions={"torch": "2.12.0"})
    header = dataclasses.replace(
        run.header, created="2026-11-19T15:17:44+00:00", backends=(JAX, KERAS, torch)
    )
    return dataclasses.replace(run, header=header, records=tuple(records))


def engines(run: Results) -> Results:
    """The run with Keras on another engine, which gets wrong what no engine can get right."""
    ids = dict.fromkeys(record.case for record in run.records)
    wrong = next(record for record in run.records if record.form == "spelled")
    more = (
        dataclasses.replace(wrong, backend="keras_torch"),
        *(
            passed(case, "keras_torch", "keras.layers", "eager", check)
            for case in ids
            for check in ("forward", "vjp")
        ),
    )
    backends = (*run.header.backends, KERAS_TORCH)
    header = dataclasses.replace(run.header, backends=backends)
    return dataclasses.replace(run, header=header, records=(*run.records, *more))


def passed(case: str, backend: str, api: str, mode: str, check: str = "forward") -> Record:
    """An outcome that is right."""
    return Record(case, backend, api, mode, "native", check, "pass", "pass")  # type: ignore[arg-type]


def _spoiled(record: Record) -> Record:
    about = (record.case.rpartition("/")[2], record.api, record.mode, record.check)
    if about[:2] == ("uneven", "keras.layers") and record.check == "forward":
        return dataclasses.replace(
            record, form="spelled", outcome="known", raw="wrong-shape",
            known="keras-layer-has-no-explicit-padding", source=f"# {SCRIPT}\nimport keras\n",
            difference=Difference("y", (1, 1, 2, 2), (1, 1, 2, 1), "float32", "float32"),
            expected=Values((1, 1, 2, 2), "float32", (126.0, 210.0, 414.0, 570.0)),
            observed=Values((1, 1, 2, 1), "float32", (165.0, 525.0)),
            explanation=Explanation(
                "padding-dropped",
                "equals the request with padding (0, 0) instead of (0, 1): the width padding was "
                "dropped",
                ({"cause": "padding-dropped"},),
            ),
        )  # fmt: skip
    if about == ("near", "torch.nn", "eager", "forward"):
        return dataclasses.replace(
            record, outcome="wrong-value", raw="wrong-value", source="import torch\n",
            difference=Difference(
                "y", (1, 1, 2, 2), (1, 1, 2, 2), "float32", "float32", 2, 4, (0, 0, 1, 0), 3.0,
                4.5, 0.25, 12,
            ),
            expected=Values((1, 1, 2, 2), "float32", (1.0, 2.0, 3.0, float("nan"))),
            observed=Values((1, 1, 2, 2), "float32", (1.0, 2.5, 4.5, float("nan"))),
            explanation=Explanation("unexplained: scattered", f"2 of 4 differ {SCRIPT}"),
        )  # fmt: skip
    if about[:2] == ("plain-2", "torch.nn.functional"):
        return dataclasses.replace(
            record, outcome="rejected", raw="rejected", source="import torch\n",
            error=Failed("RuntimeError", f"{SCRIPT} {IMAGE}", SCRIPT, IMAGE),
        )  # fmt: skip
    if about[:2] == ("deep", "keras.layers"):
        data = tuple(map(float, range(128)))
        return dataclasses.replace(
            record, outcome="wrong-value", raw="wrong-value", source="import keras\n",
            difference=Difference(
                "y", (1, 2, 4, 4, 4), (1, 2, 4, 4, 4), "float32", "float32", 1, 128,
                (0, 1, 2, 3, 3), 111.0, -1.0,
            ),
            expected=Values((1, 2, 4, 4, 4), "float32", data),
            observed=Values((1, 2, 4, 4, 4), "float32", (*data[:111], -1.0, *data[112:])),
            explanation=Explanation(f"unexplained: {IMAGE}", "one value differs"),
        )  # fmt: skip
    if about[0] == "line" and record.api == "torch.nn" and record.check == "forward":
        return dataclasses.replace(record, outcome="unsupported", raw="unsupported", note=SCRIPT)
    return record


def ends(record: Record, *names: str) -> bool:
    return record.case.rpartition("/")[2] in names


QUERIES: dict[str, Callable[[Record], bool]] = {
    "api:keras": lambda r: r.api == "keras.layers",
    "backend:keras": lambda r: r.api == "keras.layers",
    "backend:tensorflow": lambda r: r.backend == "tensorflow",
    "outcome:wrong": lambda r: r.raw.startswith("wrong"),
    "outcome:wrong-value": lambda r: r.raw == "wrong-value",
    "outcome:known": lambda r: r.outcome == "known",
    "outcome:pass": lambda r: r.raw == "pass",
    "is:unexpected": lambda r: r.unexpected,
    "is:new": lambda r: r.raw == "rejected",
    "is:discrepancy -is:unexpected": lambda r: r.outcome == "known",
    "stride:>1": lambda r: ends(r, "uneven", "plain-2"),
    "stride:2 check:vjp": lambda r: ends(r, "plain-2") and r.check == "vjp",
    "rank:3 (mode:eager or mode:none)": lambda r: ends(r, "deep") and r.mode == "eager",
    "rank:!=2": lambda r: ends(r, "deep", "line"),
    "count:1": lambda r: not ends(r, "plain-1", "line"),
    "count:0 op:conv": lambda r: ends(r, "plain-1", "line"),
    "cause:padding-dropped": lambda r: r.outcome == "known",
    'cause:"padding-dropped"': lambda r: r.outcome == "known",
    "kind:by-design": lambda r: r.outcome == "known",
    "known:keras-layer-has-no-explicit-padding": lambda r: r.outcome == "known",
    "uneven not api:keras": lambda r: ends(r, "uneven") and r.api != "keras.layers",
    "form:spelled": lambda r: r.form == "spelled",
    "padding:same": lambda r: ends(r, "line"),
    "case:*/plain-?": lambda r: False,
    "case:*plain*": lambda r: ends(r, "plain-1", "plain-2"),
    "version:2.13": lambda r: r.backend == "torch",
    "bias:true": lambda r: False,
    "-is:bias": lambda r: True,
    "nothing-of-the-kind": lambda r: False,
}
"""Filters of the page, and which outcomes of the run they mean."""
