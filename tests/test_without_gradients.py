"""A backend without automatic differentiation: judged by its output, and asked for nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance import cases, cli, discovery, repro
from conformance.cases import Case
from conformance.discovery import Target, UsageError
from conformance.repro import Wish
from conformance.workers import Workers
from tests.support import HERE

CARELESS = HERE / "backends" / "careless"
CALLS = """

from conformance.translation.signatures import Channels, Features, KernelSizes, Table


def conv(draft, channels: Channels, features: Features, window: KernelSizes):
    draft.settle(len(window))
    options = {"window": window, "channels": channels, "features": features}
    return draft.kernel("conv", padding=1, **options)


adapter.apis[0].calls = Table(("m",), {"conv": conv})
"""


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """A backend that yields an output only, next to one that has gradients."""
    found = discovery.discover([CARELESS], ["careless", "numpy"])
    with Workers({b.name: b for b in found}, discovery.interpreters(found)) as running:
        yield running


@pytest.fixture
def case() -> Case:
    return cases.load([HERE / "data" / "three.yaml"])[0]


@pytest.mark.parametrize(
    ("target", "checks"),
    [
        (Target("careless", "careless.padding", "eager"), ["forward"]),
        (Target("numpy", "numpy.loops", "eager"), ["forward", "vjp"]),
    ],
)
def test_it_has_outcomes_of_the_forward_pass_only(
    workers: Workers, case: Case, target: Target, checks: list[str]
) -> None:
    assert case.cotangent is not None
    records = workers.run(case, target)
    assert [(record.check, record.outcome) for record in records] == [
        (check, "pass") for check in checks
    ]


def test_its_scripts_have_no_gradients(workers: Workers, case: Case) -> None:
    target = Target("careless", "careless.padding", "eager")
    with pytest.raises(UsageError, match="has no vjp outcome of three/first; it has native forw"):
        repro.find(workers, case, [target], Wish(check="vjp"))
    _, record = repro.find(workers, case, [target], Wish())
    found = repro.reproduce(workers, case, target, record)
    assert found.agrees
    assert "dy" not in found.script


def test_a_translation_claims_no_gradients(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    adapter = (CARELESS / "adapter.py").read_text(encoding="utf-8")
    adapter = adapter.replace('name = "careless"', 'name = "mine"') + CALLS
    (folder / "adapter.py").write_text(adapter, encoding="utf-8")
    arguments = ["translate", "--from", "mine", "--to", "numpy", "--verify", "m.conv(2, 3, (3, 3))"]
    done = CliRunner().invoke(cli.main, [*arguments, "--backend-dir", str(folder)])
    assert done.exit_code == 0, done.output
    mine, numpy = (line for line in done.output.splitlines() if "verified on" in line)
    assert mine.startswith("careless.padding: verified on mine ")
    assert mine.endswith(": output exact")
    assert numpy.endswith(": output and gradients exact")
