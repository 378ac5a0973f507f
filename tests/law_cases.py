"""Cases with laws, and for each law a semantics that breaks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from conformance import cases
from conformance.cases import Case
from conformance.laws.names import LawName

SIZES: dict[str, Any] = {
    "op": "conv", "input": {"shape": [1, 2, 6, 6]}, "kernel": {"shape": [4, 2, 3, 3]},
    "law": "sum-over-window",
}  # fmt: skip


def fields(**changes: Any) -> dict[str, Any]:
    """What a case with a law says; None takes a field away."""
    return {name: value for name, value in {**SIZES, **changes}.items() if value is not None}


def write(file: Path, **entries: dict[str, Any]) -> Path:
    """A file of cases, by their ids."""
    listed = [{"id": name, **entry} for name, entry in entries.items()]
    file.write_text(yaml.safe_dump({"cases": listed}), encoding="utf-8")
    return file


def one(folder: Path, **changes: Any) -> Case:
    """A case with a law."""
    (case,) = cases.load([write(folder / "one.yaml", a=fields(**changes))])
    return case


BLOCKS = {"input": {"shape": [1, 4, 6, 6]}, "groups": 2, "kernel": {"shape": [4, 2, 3, 3]}}
GROUPED = {"groups": 2, "kernel": {"shape": [4, 1, 3, 3]}}
PADDED: dict[str, Any] = {"padding": [[2, 0], [1, 0]]}
WIDE = {"shape": [1, 2, 6, 6], "integers": {"low": -100, "high": 100}}
TRANSPOSED: dict[str, Any] = {
    "op": "conv_transpose", "kernel": {"shape": [2, 4, 3, 3]}, "stride": 2, "padding": 1,
}  # fmt: skip
POOL: dict[str, Any] = {"kernel": None, "op": "max_pool", "window": 3}
MEAN: dict[str, Any] = {**POOL, "op": "avg_pool", "stride": 1}
SOWN: dict[LawName, tuple[str, dict[str, Any]]] = {
    "pointwise-is-dense": ("stride-ignored", {"kernel": {"shape": [4, 2, 1, 1]}, "stride": 2}),
    "sum-over-window": ("kernel-flipped", {}),
    "grouped-is-concatenation": ("groups-interleaved", BLOCKS),
    "grouped-is-block-diagonal": ("groups-ignored", BLOCKS),
    "depthwise-is-channel-by-channel": ("depthwise-multiplier-order", GROUPED),
    "separable-is-one-convolution": ("depthwise-multiplier-order", GROUPED),
    "kernel-gradient-is-convolution": ("kernel-flipped", {}),
    "linear-in-input": ("integer-saturates", {"dtype": "int8", "input": WIDE}),
    "linear-in-kernel": ("integer-saturates", {"dtype": "int8", "input": WIDE}),
    "bias-is-added": ("bias-dropped", {"bias": True}),
    "dilation-is-zeros-in-kernel": ("dilation-ignored", {"dilation": 2}),
    "transposed-is-vjp": ("padding-of-the-dilated-input", {**TRANSPOSED, "padding": 0}),
    "transposed-is-convolution": ("output-padding-dropped", {**TRANSPOSED, "output_padding": 1}),
    "strided-is-subsampled": ("stride-ignored", {"stride": 2}),
    "same-strided-is-subsampled": ("same-lower", {"stride": 2, "padding": "same"}),
    "padding-is-data": ("padding-other-side", PADDED),
    "batch-is-concatenation": ("unstable", {"input": {"shape": [2, 2, 6, 6]}}),
    "translation": ("unstable", {}),
    "mirrored": ("result-shifted", {}),
    "axes-exchanged": ("input-layout", {}),
    "scales-exactly": ("integer-saturates", {"dtype": "int8", "input": WIDE}),
    "channels-are-independent": ("unstable", POOL),
    "average-is-depthwise-convolution": ("padding-not-counted", {**MEAN, "padding": 1}),
    "pooling-is-separable": ("result-transposed", {**POOL, "window": 2}),
    "pooling-is-idempotent": ("stride-ignored", {**POOL, "window": 2}),
    "max-pool-shifts-with-input": ("padded-with-zero", {**POOL, "padding": 1}),
    "max-pool-is-monotone": ("unstable", POOL),
}
"""For each law a semantics that breaks it, and a case in which it does."""
