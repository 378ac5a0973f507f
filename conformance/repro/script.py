"""Scripts that need NumPy and one framework: data, program, what is expected, an assertion."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conformance import layout, literals
from conformance.adapter import Driver, Layout
from conformance.data import BFLOAT16, TensorData
from conformance.dtypes import Array
from conformance.literals import WIDTH
from conformance.reference import Reference
from conformance.repro import assertions, templates
from conformance.repro.assertions import Assertions, Wanted
from conformance.request import Request, View

TEMPLATE = "repro.py.j2"
DRAWN = 64
"""Most elements of a generated tensor that are told one by one."""

BRACKETS = re.compile(r"\[[^][]{,60}\]|\([^()]{,60}\)")
FUTURE = "from __future__ import "
ROUNDING = '''
def {name}(values):
    """The nearest values of eight significant bits, ties to even."""
    _, exponent = {numpy}.frexp(values)
    last = {numpy}.maximum(exponent, -125) - 8
    units = {numpy}.ldexp(values.astype({numpy}.float64), -last)
    return {numpy}.ldexp({numpy}.rint(units), last).astype({numpy}.float32)
'''


@dataclass(frozen=True)
class Result:
    """An expected array, and what came instead where that is known; in canonical order."""

    reference: Reference
    observed: Array | None = None


@dataclass(frozen=True)
class Script:
    """Everything that a script is made of.

    ``about`` is the docstring's text. ``tensors`` are the program's inputs, and the cotangent last
    where there is one, each with its array in canonical order. ``unreached`` says that the
    framework does not get as far as the assertion.
    """

    about: str
    program: str
    driver: Driver
    layout: Layout
    environment: Mapping[str, str]
    request: Request
    tensors: Sequence[tuple[TensorData, Array]]
    results: Sequence[Result]
    signed_zero: bool = False
    unreached: bool = False
    view: View | None = None

    def text(self) -> str:
        """The script."""
        driver = self.driver
        future, program = _without_future(self.program.strip())
        data = [line for tensor in self.tensors for line in self._tensor(*tensor)]
        helpers = list(driver.helpers)
        if any(BFLOAT16 in line for line in data):
            helpers += ["", ""] * bool(helpers)
            helpers += ROUNDING.strip().format(name=BFLOAT16, numpy=driver.numpy).splitlines()
        wanted = [self._wanted(result) for result in self.results]
        checks = Assertions(wanted, driver.dtype, driver.array, driver.numpy, self.signed_zero)
        return templates.rendered(
            TEMPLATE,
            about=quoted(self.about),
            future=future,
            environment={json.dumps(k): json.dumps(v) for k, v in self.environment.items()},
            imports=self._imports(program),
            setup=driver.setup,
            program=program,
            helpers=helpers,
            data=[*data, *self._converted()],
            run=driver.run,
            remark=wrapped(self._remark(checks.bounded), WIDTH - 2),
            expected=list(checks.expected()),
            asserted=list(checks.lines()),
        )

    def _imports(self, program: str) -> list[str]:
        numpy = self.driver.numpy
        lines = ["import numpy as np" if numpy == "np" else f"import numpy as {numpy}"]
        lines += self.driver.imports
        # What stands before the program needs them there.
        needed = self.driver.imports if self.driver.setup else ()
        there = program.splitlines()
        return [line for line in sorted(lines) if line in needed or line not in there]

    def _tensor(self, tensor: TensorData, values: Array) -> list[str]:
        """The lines that make one tensor's values, in the API's axis order."""
        name, numpy = _variable(tensor), self.driver.numpy
        whole = values.ndim
        values = layout.handed(tensor.name, values, self.request)
        axes = layout.axes(tensor.name, self.request, self.layout, values.ndim)
        links = self._links(tensor, values.shape, axes)
        plain = tensor.spec.constant is not None or tensor.spec.arange is not None
        told = values.size > DRAWN or (plain and not tensor.spec.set)
        if not (links and told):
            return literals.array(name, np.ascontiguousarray(values.transpose(axes)), numpy)
        lines = literals.assigned(name, links)
        for element in tensor.spec.set:
            at = element.at[whole - values.ndim :]
            value = literals.number(values[tuple(at)].item(), values.dtype.name, numpy)
            place = ", ".join(str(at[axis]) for axis in axes)
            lines.append(f"{name}[{place}] = {value}")
        return lines

    def _links(
        self, tensor: TensorData, shape: tuple[int, ...], axes: tuple[int, ...]
    ) -> tuple[str, ...]:
        """The expression that generates a tensor; axes of one element need no transposing."""
        moved = [axis for axis in axes if shape[axis] != 1]
        if moved == sorted(moved):
            own = tuple(shape[axis] for axis in axes)
            return tensor.expression(self.request, own, self.driver.numpy)
        links = tensor.expression(self.request, shape, self.driver.numpy)
        return (*links, f".transpose({', '.join(map(str, axes))})") if links else ()

    def _converted(self) -> Iterator[str]:
        for tensor, values in self.tensors:
            name = _variable(tensor)
            form = self.driver.tensors.get(name, self.driver.tensor)
            converted = form.format(name)
            if name == "x" and self.view is not None:
                own = layout.to_api(name, values, self.request, self.layout)
                axis, _, place = layout.viewed(own, self.request, self.layout, self.view)
                index = ", ".join([":"] * axis + [f"{place[-1].start}:"])
                whole = f"{self.driver.numpy}.concatenate([x + 1, x], axis={axis})"
                converted = f"{form.format(whole)}[{index}]"
            if converted != name:
                yield f"{name} = {converted}"

    def _wanted(self, result: Result) -> Wanted:
        reference = result.reference
        name = reference.name
        exact = reference.allowed is None
        wrong = None
        if result.observed is not None:
            wrong = assertions.wrong(reference, result.observed, self.signed_zero)
        return Wanted(
            name if name == "y" else f"d{name}",
            self._moved(name, reference.values if exact else reference.exact),
            None if reference.allowed is None else self._moved(name, reference.allowed),
            None if wrong is None else self._moved(name, wrong),
        )

    def _moved(self, name: str, values: Array) -> Array:
        return layout.to_api(name, values, self.request, self.layout)

    def _remark(self, bounded: bool) -> str:
        subject = "Not reached: what" if self.unreached else "What"
        means = f"exact in {self.request.dtype}, whatever the order of sums"
        if bounded:
            means = "in float64; a sum of n products may be off by 2·n·u·Σ|product|"
        return f"{subject} conformance's NumPy oracle gives, {means}."


def wrapped(text: str, width: int = WIDTH, first: str = "", rest: str = "") -> list[str]:
    """Text as lines, which do not break within brackets."""
    solid = BRACKETS.sub(lambda found: found[0].replace(" ", "\0"), " ".join(text.split()))
    lines = textwrap.wrap(
        solid, width, initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace("\0", " ") for line in lines]


def quoted(text: str) -> str:
    """Text that may stand between triple quotes: escaped, and printable but for line breaks."""
    safe = "".join(
        each if each == "\n" or each.isprintable() else each.encode("unicode_escape").decode()
        for each in text.replace("\\", "\\\\")
    )
    return safe.replace('"""', '\\"\\"\\"')


def _variable(tensor: TensorData) -> str:
    return "dy" if tensor.name == "y" else tensor.name


def _without_future(program: str) -> tuple[list[str], str]:
    """The imports that must begin a file, and the program without them."""
    lines = program.splitlines()
    future = [line for line in lines if line.startswith(FUTURE)]
    if not future:
        return [], program
    rest = "\n".join(line for line in lines if line not in future)
    return future, rest.replace("\n\n\n\n", "\n\n\n").replace("\n\n\nfrom", "\n\nfrom")
