"""What a descent by gradients gives, step by step, and how far from it is still right.

The loss is quadratic in a convolution's kernel and bias, so that one step of the descent is an
affine map of them. An error shrinks or grows by the magnitudes of that map's matrix, and each step
adds the error of its own roundings: those of the loss, of its gradient and of the update, at
parameters that are off by the error so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from conformance.chains.chain import LOSSES, Chain, trajectory_of
from conformance.chains.oracle import inputs_of, reference, traced
from conformance.chains.running import Value
from conformance.dtypes import DTYPES, Array, cast
from conformance.reference import Reference


def trajectories(chain: Chain, arrays: Sequence[Array]) -> tuple[Reference, ...]:
    """The losses before each step, and each parameter after it, along a first axis of steps."""
    assert chain.training is not None
    fixed = inputs_of(chain, arrays)
    parameters = {name: fixed.pop(name) for name in chain.trained}
    descent = _Descent(
        chain, fixed, float(cast(np.array(chain.training.rate), DTYPES[chain.dtype]))
    )
    losses: list[Value] = []
    after: dict[str, list[Value]] = {name: [] for name in parameters}
    for _ in range(chain.training.steps):
        loss, parameters = descent.step(parameters)
        losses.append(loss)
        for name, value in parameters.items():
            after[name].append(value)
    told = {LOSSES: losses, **{trajectory_of(name): values for name, values in after.items()}}
    return tuple(reference(name, chain, _stacked(values)) for name, values in told.items())


def _stacked(values: Sequence[Value]) -> Value:
    stacked = np.stack([value.values for value in values])
    if all(value.error is None for value in values):
        return Value(stacked)
    return Value(stacked, np.stack([value.bound for value in values]))


class _Descent:
    """A chain with all inputs but its parameters, and the rate."""

    def __init__(self, chain: Chain, fixed: dict[str, Value], rate: float) -> None:
        self.chain, self.fixed, self.rate = chain, fixed, rate

    def step(self, parameters: dict[str, Value]) -> tuple[Value, dict[str, Value]]:
        """The loss of the parameters, and the parameters after one step."""
        loss, after = self._moved(parameters, rounding=True)
        if all(value.error is None for value in after.values()):
            return loss, after
        _, handed = self._moved(parameters, rounding=False)
        own = {name: after[name].bound - handed[name].bound for name in after}
        grown = self._grown(parameters)
        return loss, {
            name: Value(value.values, grown[name] + np.maximum(own[name], 0))
            for name, value in after.items()
        }

    def _moved(
        self, parameters: dict[str, Value], rounding: bool
    ) -> tuple[Value, dict[str, Value]]:
        trace = traced(self.chain, {**self.fixed, **parameters}, rounding)
        shares = trace.shares(Value(np.asarray(1.0)))
        arithmetic = trace.arithmetic
        after = {
            name: arithmetic.sum(value, arithmetic.scaled(shares[name], -self.rate))
            for name, value in parameters.items()
        }
        return trace.output, after

    def _grown(self, parameters: dict[str, Value]) -> dict[str, Array]:
        """The errors of the parameters, handed on by the matrix of the step."""
        exact = {name: Value(value.values) for name, value in parameters.items()}
        _, start = self._moved(exact, rounding=False)
        grown = {name: np.zeros(value.values.shape) for name, value in parameters.items()}
        for name, index, error in _elements(parameters):
            off = exact[name].values.copy()
            off[index] += 1
            _, moved = self._moved({**exact, name: Value(off)}, rounding=False)
            for other, value in moved.items():
                grown[other] += np.abs(value.values - start[other].values) * error
        return grown


def _elements(
    parameters: dict[str, Value],
) -> Iterator[tuple[str, tuple[int, ...], float]]:
    for name, value in parameters.items():
        for index in np.ndindex(*value.values.shape):
            if value.bound[index]:
                yield name, index, float(value.bound[index])
