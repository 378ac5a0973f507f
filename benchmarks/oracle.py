"""The oracle against PyTorch on the convolutions of ResNet-50: float64, one thread each.

Run it with an interpreter that has PyTorch: ``python benchmarks/oracle.py``. Both take the same
arrays in turn, layer by layer, and each layer's time is the median over the rounds. The memory is
the peak of a process that runs every layer through the oracle alone.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from conformance import oracle  # noqa: E402
from conformance.dtypes import Array  # noqa: E402
from conformance.request import Conv, Padding  # noqa: E402

ROUNDS = 9
RATIO_LIMIT = 1.5
MEMORY_LIMIT = 1.5 * 2**30
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Layer:
    """A square convolution on a square image, padded by half its window."""

    channels: int
    out_channels: int
    window: int
    stride: int
    size: int

    @property
    def request(self) -> Conv:
        """The layer as the suite's request."""
        half = self.window // 2
        return Conv(
            (1, self.channels, self.size, self.size),
            Padding(((half, half), (half, half))),
            (self.stride, self.stride),
            (1, 1),
            "float64",
            (self.out_channels, self.channels, self.window, self.window),
        )

    @property
    def label(self) -> str:
        """One line of the table."""
        kernel = f"{self.window}x{self.window}/{self.stride}"
        return f"{self.channels:4} -> {self.out_channels:4}  {kernel}  {self.size:3}"


@dataclass(frozen=True)
class Row:
    """Median seconds of one layer."""

    layer: Layer
    oracle: float
    torch: float


@dataclass(frozen=True)
class Result:
    """What was measured; ``peak`` is in bytes."""

    rows: tuple[Row, ...]
    peak: int
    versions: str

    @property
    def ratio(self) -> float:
        """The oracle's time over PyTorch's, each summed over the layers."""
        return sum(row.oracle for row in self.rows) / sum(row.torch for row in self.rows)


def resnet50() -> tuple[Layer, ...]:
    """The distinct convolutions of ResNet-50 (stride in the 3x3) on a 224x224 image."""
    layers = [Layer(3, 64, 7, 2, 224)]
    channels, size = 64, 56
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [
            Layer(channels, width, 1, 1, size),
            Layer(width, width, 3, stride, size),
            Layer(channels, 4 * width, 1, stride, size),
        ]
        channels, size = 4 * width, size // stride
        layers += [
            Layer(width, channels, 1, 1, size),
            Layer(channels, width, 1, 1, size),
            Layer(width, width, 3, 1, size),
        ]
    return tuple(dict.fromkeys(layers))


def measure(rounds: int = ROUNDS) -> Result:
    """Time and memory, each in a process of its own with one thread.

    Raises:
        subprocess.CalledProcessError: PyTorch is missing, or a process failed.
    """
    times = _process("times", str(rounds))
    rows = tuple(Row(Layer(**row["layer"]), row["oracle"], row["torch"]) for row in times["rows"])
    return Result(rows, _process("memory")["peak"], times["versions"])


def _process(*arguments: str) -> Any:
    command = [sys.executable, str(Path(__file__).resolve()), *arguments]
    environment = {**os.environ, **ONE_THREAD}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def _times(rounds: int) -> dict[str, object]:
    import torch

    torch.set_num_threads(1)
    rows = []
    for layer, x, w in _data():
        runs = _by_oracle(layer, x, w), _by_torch(layer, x, w)
        np.testing.assert_allclose(runs[0](), runs[1](), rtol=1e-9, atol=1e-9)
        pairs = [tuple(map(_seconds, runs)) for _ in range(rounds)]
        rows.append(asdict(Row(layer, *map(statistics.median, zip(*pairs)))))
    return {"rows": rows, "versions": f"numpy {np.__version__}, torch {torch.__version__}"}


def _by_oracle(layer: Layer, x: Array, w: Array) -> Callable[[], Array]:
    request = layer.request
    return lambda: oracle.forward(request, x, w)


def _by_torch(layer: Layer, x: Array, w: Array) -> Callable[[], Any]:
    from torch import from_numpy
    from torch.nn.functional import conv2d

    image, kernel, half = from_numpy(x), from_numpy(w), layer.window // 2
    return lambda: conv2d(image, kernel, stride=layer.stride, padding=half)


def _memory() -> dict[str, int]:
    import resource

    for layer, x, w in _data():
        oracle.forward(layer.request, x, w)
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _data() -> Iterator[tuple[Layer, Array, Array]]:
    random = np.random.default_rng(0)
    for layer in resnet50():
        request = layer.request
        yield (
            layer,
            random.normal(size=request.input_shape),
            random.normal(size=request.kernel_shape),
        )


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main(arguments: list[str]) -> int:
    """Print the table; 1 where a limit is exceeded."""
    if arguments:
        kind, *rest = arguments
        print(json.dumps(_times(int(rest[0])) if kind == "times" else _memory()))
        return 0
    result = measure()
    print(f"{result.versions}; float64, one thread, batch 1; milliseconds\n")
    print("channels      kernel size   oracle   torch  ratio")
    for row in result.rows:
        times = f"{row.oracle * 1e3:8.2f}{row.torch * 1e3:8.2f}{row.oracle / row.torch:7.2f}"
        print(f"{row.layer.label} {times}")
    oracle_total, torch_total = (
        sum(getattr(row, name) for row in result.rows) * 1e3 for name in ("oracle", "torch")
    )
    print(f"{'sum':25}{oracle_total:8.2f}{torch_total:8.2f}{result.ratio:7.2f}")
    print(f"\nratio {result.ratio:.2f} (at most {RATIO_LIMIT})")
    print(f"peak memory {result.peak / 2**20:.0f} MiB (at most {MEMORY_LIMIT / 2**20:.0f})")
    return int(result.ratio > RATIO_LIMIT or result.peak > MEMORY_LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
