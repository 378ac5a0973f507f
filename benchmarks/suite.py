"""The whole suite against bare loops, two workers against one, and pytest's collection."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import generate
from conformance import discovery

BARE = Path(__file__).parent / "bare.py"
TARGETS = {
    "torch": "torch.nn.functional/eager",
    "jax": "jax.lax/jit",
    "flax": "flax.linen/jit",
    "tensorflow": "tf.nn/eager",
    "mxnet": "mxnet.npx/eager",
}
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")


@dataclass(frozen=True)
class Row:
    """One measurement: a number, the limit it must keep, and what it is made of."""

    name: str
    value: float
    limit: float
    unit: str
    detail: str
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def against_bare_loops(count: int) -> list[Row]:
    """Suite wall over the wall of the same calls in bare loops, cold, one worker at a time."""
    with tempfile.TemporaryDirectory() as folder:
        cases, plain = generate.write(Path(folder), count)
        backends = discovery.discover(names=TARGETS)
        pythons = {name: found.path for name, found in discovery.interpreters(backends).items()}
        bare = {}
        for name in TARGETS:
            python = pythons[name]
            if python is None:
                raise SystemExit(f"{name} is missing; provision it with: tox -e {name} --notest")
            bare[name] = wall([python, str(BARE), name, str(plain)])
        torch = _suite(cases, folder, ["torch"], jobs=1)
        everything = _suite(cases, folder, list(TARGETS), jobs=1)
    total = sum(bare.values())
    parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in bare.items())
    return [
        Row("suite ÷ bare loop, five frameworks", everything / total, 1.3, "×",
            f"{everything:.1f} s ÷ {total:.1f} s ({parts}), {count} convolutions, one core"),
        Row("suite ÷ bare loop, torch alone", torch / bare["torch"], 4.0, "×",
            f"{torch:.1f} s ÷ {bare['torch']:.1f} s, {count} convolutions, one core"),
    ]  # fmt: skip


def two_workers(count: int) -> Row:
    """Wall of one worker at a time over that of two side by side, cold JAX included."""
    with tempfile.TemporaryDirectory() as folder:
        cases, _ = generate.write(Path(folder), count, seed=1)
        names = list(TARGETS)
        one = _suite(cases, folder, names, jobs=1)
        two = _suite(cases, folder, names, jobs=2)
    return Row("one worker set ÷ two", one / two, 1.7, "×",
               f"{one:.1f} s ÷ {two:.1f} s, {count} convolutions, five frameworks",
               at_least=True)  # fmt: skip


def collection(items: int) -> Row:
    """Seconds that pytest takes to collect many items."""
    targets = sum(len(backend.targets) for backend in discovery.discover())
    with tempfile.TemporaryDirectory() as folder:
        cases, _ = generate.write(Path(folder), -(-items // targets), seed=2)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--collect-only"]
        command += ["--rootdir", folder, str(cases)]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        seconds = time.perf_counter() - started
        found = done.stdout.count("::layer-")
        if found < items:
            raise SystemExit(
                f"only {found} items were collected:\n{(done.stdout + done.stderr)[-500:]}"
            )
    return Row("collecting pytest items", seconds, 10.0, "s", f"{found:,} items, cold process")


def _suite(cases: Path, folder: str, backends: list[str], jobs: int) -> float:
    expression = " or ".join(TARGETS[name] for name in backends)
    command = [sys.executable, "-m", "conformance", "run", str(cases), "-k", expression]
    command += ["--jobs", str(jobs), "--out", folder]
    for name in backends:
        command += ["--backend", name]
    return wall(command, cores=2 if jobs > 1 else 1)


def wall(command: list[str], cores: int = 1) -> float:
    """Wall of a process and all its children, which share that many cores."""
    environment = {**os.environ, **SINGLE}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    command = ["taskset", "--cpu-list", ",".join(map(str, chosen)), *command]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return seconds
