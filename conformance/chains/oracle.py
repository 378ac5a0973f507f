"""The oracle's answer to a chain: its steps and their VJPs, composed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conformance.chains.chain import INPUTS, Chain
from conformance.chains.running import Arithmetic, Value, total
from conformance.dtypes import DTYPES, Array, cast
from conformance.reference import Reference


@dataclass(frozen=True)
class Traced:
    """A chain's values: its inputs by their names in the program, its results by step."""

    chain: Chain
    arithmetic: Arithmetic
    inputs: Mapping[str, Value]
    results: Mapping[str, Value]

    @property
    def output(self) -> Value:
        """The last step's result."""
        return self.results[self.chain.steps[-1].name]

    def value(self, name: str) -> Value:
        """What a step calls ``name``: an input of the chain, or an earlier result."""
        return self.inputs[INPUTS[name]] if name in INPUTS else self.results[name]

    def shares(self, cotangent: Value) -> dict[str, Value]:
        """The gradients of every input, and of every step's result."""
        pulled: dict[str, list[Value]] = {self.chain.steps[-1].name: [cotangent]}
        found: dict[str, Value] = {}
        for step in reversed(self.chain.steps):
            share = found[step.name] = total(pulled[step.name], self.arithmetic)
            of = [self.value(name) for name in step.of]
            parameters = [self.inputs[name] for name in step.parameters]
            gradients = self.arithmetic.pulled(step, share, of, parameters)
            for name, gradient in zip((*step.of, *step.parameters), gradients):
                pulled.setdefault(name, []).append(gradient)
        for name, listed in pulled.items():
            if name not in found:
                found[INPUTS.get(name, name)] = total(listed, self.arithmetic)
        return found


def traced(chain: Chain, inputs: Mapping[str, Value], rounding: bool = True) -> Traced:
    """The values of a chain."""
    arithmetic = Arithmetic(DTYPES[chain.dtype], rounding)
    trace = Traced(chain, arithmetic, inputs, results := {})
    with np.errstate(over="ignore", invalid="ignore"):
        for step in chain.steps:
            of = [trace.value(name) for name in step.of]
            parameters = [inputs[name] for name in step.parameters]
            results[step.name] = arithmetic.step(step, of, parameters)
    return trace


def inputs_of(chain: Chain, arrays: Sequence[Array]) -> dict[str, Value]:
    """A chain's inputs, exact, by name."""
    wide = (Value(np.asarray(array, np.float64)) for array in arrays)
    return dict(zip(chain.names, wide))


def answer(
    chain: Chain, arrays: Sequence[Array], cotangent: Array | None
) -> tuple[Reference, tuple[Reference, ...] | None]:
    """The output, and the gradients of all inputs where there is a cotangent."""
    trace = traced(chain, inputs_of(chain, arrays))
    output = reference("y", chain, trace.output)
    if cotangent is None:
        return output, None
    shares = trace.shares(Value(np.asarray(cotangent, np.float64)))
    return output, tuple(reference(name, chain, shares[name]) for name in chain.names)


def reference(name: str, chain: Chain, value: Value) -> Reference:
    """A value as what is expected of a target."""
    dtype = DTYPES[chain.dtype]
    return Reference(name, dtype, cast(value.values, dtype), value.values, value.error, dtype)
