"""What a chain asks of a framework.

Standard library only: chains travel to the workers as JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

from conformance import request
from conformance.geometry import Pair
from conformance.request import Op, Pool, Request

Glue = Literal["relu", "add", "concatenate", "crop", "squared_error"]
StepOp = Union[Op, Glue]
Shape = tuple[int, ...]
INPUTS = {"input": "x", "target": "target"}
"""What cases call a chain's own inputs, and programs."""

LOSSES = "losses"


def trajectory_of(name: str) -> str:
    """What a parameter's values after each step of a training are called."""
    return f"trajectory of {name}"


@dataclass(frozen=True)
class Step:
    """One step: an operator with its ``request``, or glue.

    ``of`` names what it takes: other steps, or the chain's own inputs. ``crop`` is what is cut off
    before and after each spatial axis.

    The gradient of `relu` at 0 is 0; `squared_error` is the sum over all elements.
    """

    name: str
    op: StepOp
    of: tuple[str, ...]
    shape: Shape
    request: Request | None = None
    crop: tuple[Pair, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the step's own inputs in the program: kernel and bias."""
        if self.request is None or isinstance(self.request, Pool):
            return ()
        return tuple(f"{self.name}_{each}" for each in ("w", "b")[: 1 + self.request.bias])


@dataclass(frozen=True)
class Training:
    """Gradient descent: after each step every parameter is less ``rate`` times its gradient."""

    steps: int
    rate: float


@dataclass(frozen=True)
class Chain:
    """Steps, and the shapes of what goes into them, by name."""

    inputs: tuple[tuple[str, Shape], ...]
    dtype: str
    steps: tuple[Step, ...]
    training: Training | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the program's inputs: the chain's own, then each step's parameters."""
        own = (INPUTS[name] for name, _ in self.inputs)
        return (*own, *(name for step in self.steps for name in step.parameters))

    @property
    def trained(self) -> tuple[str, ...]:
        """The parameters that a training changes."""
        return tuple(name for step in self.steps for name in step.parameters)

    @property
    def output_shape(self) -> Shape:
        """Shape of the last step's result."""
        return self.steps[-1].shape

    @property
    def operators(self) -> tuple[Request, ...]:
        """The requests of the steps that have one."""
        return tuple(step.request for step in self.steps if step.request is not None)

    def part(self, name: str) -> tuple[str, Request]:
        """What an input or the output y is to which of the chain's requests: x, w, b or y."""
        for step in self.steps:
            if name in step.parameters and step.request is not None:
                return name.rpartition("_")[2], step.request
        return "y" if name == "y" else "x", self.operators[0]

    def prefix(self, length: int) -> Chain:
        """The first steps alone, and what they take."""
        steps = self.steps[:length]
        taken = {name for step in steps for name in step.of}
        inputs = tuple(each for each in self.inputs if each[0] in taken)
        return Chain(inputs, self.dtype, steps)


def to_json(chain: Chain) -> dict[str, Any]:
    """The chain as JSON values; `from_json` is the inverse."""
    return {"op": "chain", **dataclasses.asdict(chain)}


def from_json(fields: Mapping[str, Any]) -> Chain:
    """The chain that `to_json` wrote."""
    training = fields["training"]
    return Chain(
        tuple((name, tuple(shape)) for name, shape in fields["inputs"]),
        fields["dtype"],
        tuple(map(_step, fields["steps"])),
        None if training is None else Training(**training),
    )


def _step(fields: Mapping[str, Any]) -> Step:
    asked = fields["request"]
    return Step(
        fields["name"],
        fields["op"],
        tuple(fields["of"]),
        tuple(fields["shape"]),
        None if asked is None else request.from_json(asked),
        tuple((low, high) for low, high in fields["crop"]),
    )
