"""A chain in an API's words: its own lowering of each operator, and the framework's glue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from conformance.adapter import Api, Glue, Lowering, Program, Unsupported
from conformance.chains.chain import INPUTS, Chain, Step
from conformance.chains.text import Part, Text, words
from conformance.source import cropped

Choice = Callable[[Lowering], Program | Unsupported]


def lower(api: Api, chain: Chain) -> Lowering:
    """The chain in the API's words.

    It is native where every operator is. The recipe takes the native spelling of what has one if
    the chain itself has none, and else every recipe that there is.
    """
    if api.glue is None:
        return Lowering(Unsupported(f"{api.name} does not say what stands between operators"))
    lowered = {step.name: api.lower(step.request) for step in chain.steps if step.request}
    native = _composed(api, api.glue, chain, lowered, lambda each: each.native)
    if isinstance(native, Unsupported):
        helped = _composed(api, api.glue, chain, lowered, _native_first)
        return Lowering(native, helped if isinstance(helped, Program) else None)
    recipes = _composed(api, api.glue, chain, lowered, lambda each: each.emulated or each.native)
    assert isinstance(recipes, Program)
    return Lowering(native, None if recipes == native else recipes)


def _native_first(each: Lowering) -> Program | Unsupported:
    if isinstance(each.native, Unsupported) and each.emulated is not None:
        return each.emulated
    return each.native


def _composed(
    api: Api, glue: Glue, chain: Chain, lowered: dict[str, Lowering], choose: Choice
) -> Program | Unsupported:
    programs = {}
    for name, lowering in lowered.items():
        program = choose(lowering)
        if isinstance(program, Unsupported):
            return Unsupported(f"{name}: {program.reason}")
        programs[name] = program.source
    return _Composition(api, glue, chain, programs).program()


@dataclass(frozen=True)
class _Composition:
    """A chain, and the text of each of its operators."""

    api: Api
    glue: Glue
    chain: Chain
    programs: dict[str, str]

    @cached_property
    def parts(self) -> dict[str, Part]:
        """The operators as functions whose names nothing else has."""
        used = frozenset().union(*map(words, self.programs.values()))
        return {
            name: Part(f"{name}_step" if name in used else name, source)
            for name, source in self.programs.items()
        }

    def program(self) -> Program:
        """The composed program."""
        text = Text()
        for part in self.parts.values():
            text.add(part)
        functions = [self._forward()]
        if self.glue.explicit_vjp:
            functions.append(self._vjp())
        used = frozenset().union(*map(words, functions))
        for name, line in self.glue.imports.items():
            if name in used:
                text.need(line)
        return Program(text.program(*functions))

    @cached_property
    def _takers(self) -> Counter[str]:
        return Counter(name for step in self.chain.steps for name in step.of)

    def _variable(self, name: str) -> str:
        """What a value is called: its own name where more than the next step takes it."""
        if name in INPUTS:
            return INPUTS[name]
        names = [step.name for step in self.chain.steps]
        following = self.chain.steps[names.index(name) + 1 :][:1]
        if not following or (self._takers[name] == 1 and name in following[0].of):
            return "y"
        return f"{name}_y"

    def _forward(self) -> str:
        *steps, last = self.chain.steps
        lines = [f"    {self._variable(s.name)} = {self._value(s, self._variable)}" for s in steps]
        lines.append(f"    return {self._value(last, self._variable)}")
        return "\n".join([f"def forward({', '.join(self.chain.names)}):", *lines])

    def _value(self, step: Step, variable: Callable[[str], str]) -> str:
        of = [variable(name) for name in step.of]
        if step.request is not None:
            return f"{self.parts[step.name].name}({', '.join((*of, *step.parameters))})"
        if step.op == "relu":
            return self.glue.relu.format(x=of[0])
        if step.op == "add":
            return f"{of[0]} + {of[1]}"
        if step.op == "concatenate":
            return self.glue.concatenate.format(x=of[0], y=of[1], axis=self._channels)
        if step.op == "crop":
            return cropped(of[0], self.api.layout, [(-low, -high) for low, high in step.crop])
        return self.glue.total.format(x=f"({of[0]} - {of[1]}) ** 2")

    @property
    def _channels(self) -> int:
        """The axis of the channels, from the start or from the end."""
        order = self.api.layout.data
        index = order.index("C")
        return index if index < order.index("*") else index - len(order)

    def _vjp(self) -> str:
        """The chain's VJP for a framework without one, made of the operators' own."""
        lines = [
            f"    {_kept(step.name)} = {self._value(step, _kept)}" for step in self.chain.steps[:-1]
        ]
        shares: dict[str, str] = {self.chain.steps[-1].name: "dy"}
        for step in reversed(self.chain.steps):
            share = shares[step.name]
            targets = [f"d{_kept(name)}" for name in step.of]
            for name, target, (before, expression) in zip(
                step.of, targets, self._pulled(step, share)
            ):
                lines += before
                added = f"{shares[name]} + {expression}" if name in shares else expression
                if added != target:
                    lines.append(f"    {target} = {added}")
                shares[name] = target
        names = (shares[name] for name, _ in self.chain.inputs)
        gradients = ", ".join((*names, *(f"d{name}" for name in self.chain.trained)))
        lines.append(f"    return {gradients}{',' * (len(self.chain.names) == 1)}")
        return "\n".join([f"def vjp(dy, {', '.join(self.chain.names)}):", *lines])

    def _pulled(self, step: Step, share: str) -> Sequence[tuple[list[str], str]]:
        """For each operand the lines that are needed first, and the expression of its share."""
        of = [_kept(name) for name in step.of]
        if step.request is not None:
            pulled = f"{step.name}_dx"
            results = ", ".join([pulled, *(f"d{name}" for name in step.parameters)])
            results += "," * (not step.parameters)
            arguments = ", ".join((share, *of, *step.parameters))
            return [([f"    {results} = {self.parts[step.name].vjp}({arguments})"], pulled)]
        if step.op == "relu":
            return [([], f"{share} * ({of[0]} > 0)")]
        if step.op == "add":
            return [([], share), ([], share)]
        if step.op == "concatenate":
            return [([], f"{share}[:, :{of[0]}.shape[1]]"), ([], f"{share}[:, {of[0]}.shape[1]:]")]
        if step.op == "crop":
            return [([], f"np.pad({share}, {((0, 0), (0, 0), *step.crop)})")]
        twice = f"2 * ({of[0]} - {of[1]}) * {share}"
        return [([], twice), ([], f"-{twice}")]


def _kept(name: str) -> str:
    """What the VJP calls a value."""
    return INPUTS.get(name, f"{name}_y")
