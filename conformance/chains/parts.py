"""The operators of a chain one by one, each on operands that are right."""

from __future__ import annotations

from conformance.cases import Case
from conformance.chains.chain import Chain, Step
from conformance.chains.oracle import Traced, inputs_of, traced
from conformance.chains.running import Value
from conformance.dtypes import DTYPES, Array, cast
from conformance.laws import parts
from conformance.laws.steps import Ask


class Parts:
    """A case's chain, with the oracle's values and gradients."""

    def __init__(self, case: Case) -> None:
        assert case.chain is not None
        self.chain: Chain = case.chain
        self._trace: Traced = traced(self.chain, inputs_of(self.chain, case.arrays()))
        cotangent = case.cotangent_array()
        self._shares: dict[str, Value] = {}
        if cotangent is not None:
            self._shares = self._trace.shares(Value(cotangent.astype("float64")))

    def share(self, step: Step) -> Array:
        """The gradient of a step's result, in the chain's dtype."""
        return self._cast(self._shares[step.name])

    def alone(self, step: Step, vjp: bool) -> Ask:
        """A step's request on the operands that it has in the chain, with its gradients or not."""
        assert step.request is not None
        values = [self._trace.value(name) for name in step.of]
        values += [self._trace.inputs[name] for name in step.parameters]
        arrays = tuple(map(self._cast, values))
        return Ask(step.request, arrays, self.share(step) if vjp else None, "x" if vjp else "")

    def _cast(self, value: Value) -> Array:
        return cast(value.values, DTYPES[self.chain.dtype])


def steps(case: Case) -> list[Case]:
    """The operators of a case's chain, in order, each as a case of its own."""
    made = Parts(case)
    vjp = case.cotangent is not None
    return [
        parts.question(case, number, made.alone(step, vjp))
        for number, step in enumerate(made.chain.steps, 1)
        if step.request is not None
    ]
