"""Generated 2-D convolutions of many shapes, as YAML cases and as plain numbers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Layer:
    """One convolution: sizes of the input, the square kernel, and its options."""

    batch: int
    channels: int
    size: int
    out_channels: int
    window: int
    stride: int
    padding: int
    dilation: int


def layers(count: int, seed: int = 0) -> list[Layer]:
    """Distinct small convolutions, the same for a seed."""
    random = np.random.default_rng(seed)
    found: dict[Layer, None] = {}
    while len(found) < count:
        layer = Layer(
            batch=int(random.integers(1, 3)),
            channels=int(random.integers(1, 9)),
            size=int(random.integers(10, 33)),
            out_channels=int(random.integers(1, 17)),
            window=int(random.choice([1, 2, 3, 5])),
            stride=int(random.integers(1, 3)),
            padding=int(random.integers(0, 3)),
            dilation=int(random.integers(1, 3)),
        )
        found[layer] = None
    return list(found)


def write(folder: Path, count: int, seed: int = 0) -> tuple[Path, Path]:
    """The layers as a case file and as JSON; the two paths."""
    chosen = layers(count, seed)
    entries = [
        {
            "id": f"layer-{number}",
            "input": {"shape": [layer.batch, layer.channels, layer.size, layer.size]},
            "kernel": {"shape": [layer.out_channels, layer.channels, layer.window, layer.window]},
            "padding": layer.padding,
            "stride": layer.stride,
            "dilation": layer.dilation,
        }
        for number, layer in enumerate(chosen)
    ]
    cases, plain = folder / "generated.yaml", folder / "generated.json"
    # JSON is YAML.
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    cases.write_text(f'{{"op": "conv", "cases": [\n{lines}\n]}}\n')
    plain.write_text(json.dumps([asdict(layer) for layer in chosen]))
    return cases, plain
