"""The part of a script that says what is expected and asserts it.

One array is compared line by line, several in a loop. Of a large array some positions are told:
those that are wrong, or where that is not known evenly spread ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from conformance import compare, literals
from conformance.dtypes import Array
from conformance.reference import Reference

LITERALS = 200
POSITIONS = 32


@dataclass(frozen=True)
class Wanted:
    """An array that a script asserts on, in the API's axis order.

    ``allowed`` is the permitted error of each element, None where values are exact. ``wrong`` says
    which elements were wrong when it ran; None where that is not known.
    """

    variable: str
    values: Array
    allowed: Array | None
    wrong: Array | None = None

    @property
    def large(self) -> bool:
        """Whether only some positions are told."""
        return self.values.size > LITERALS

    def places(self) -> list[tuple[int, ...]]:
        """The positions that matter most: wrong ones, else some that are evenly spread."""
        if self.wrong is not None and self.wrong.any():
            return [tuple(at) for at in np.argwhere(self.wrong)[:POSITIONS].tolist()]
        shape, total = self.values.shape, self.values.size
        spread = range(0, total, max(1, -(-total // POSITIONS)))
        return [tuple(int(i) for i in np.unravel_index(at, shape)) for at in spread]


def wrong(reference: Reference, observed: Array, signed_zero: bool) -> Array | None:
    """Where an observed array is wrong, in canonical order; None where its shape is."""
    wanted = reference.values
    if observed.shape != wanted.shape:
        return None
    differs = ~compare.right(reference, observed)
    if signed_zero and wanted.dtype.kind == "f":
        signs = np.signbit(wanted) != np.signbit(observed)
        differs |= (wanted == 0) & (observed == 0) & signs
    return np.asarray(differs)


def upward(value: float) -> float:
    """A number from 0 on, rounded to three digits, never down."""
    near = float(f"{value:.2e}")
    return near if near >= value else float(f"{1.006 * value:.2e}")


@dataclass(frozen=True)
class Assertions:
    """What is expected of some arrays; ``dtype`` and ``array`` are those of the driver."""

    wanted: Sequence[Wanted]
    dtype: str
    array: str
    numpy: str
    signed_zero: bool = False

    @property
    def _alone(self) -> bool:
        return len(self.wanted) == 1

    @property
    def _large(self) -> bool:
        return any(wanted.large for wanted in self.wanted)

    @property
    def bounded(self) -> bool:
        """Whether some array need not be exact."""
        return any(wanted.allowed is not None for wanted in self.wanted)

    def expected(self) -> Iterator[str]:
        """The lines that set what is expected."""
        for wanted in self.wanted:
            suffix = "" if self._alone else f"_{wanted.variable}"
            if self._large:
                yield f"shape{suffix} = {literals.sizes(wanted.values.shape)}"
                yield from self._table(f"expected{suffix}", wanted)
                continue
            yield from literals.array(f"expected{suffix}", wanted.values, self.numpy)
            if wanted.allowed is not None:
                allowed = np.vectorize(upward, otypes=[float])(wanted.allowed)
                yield from literals.array(f"allowed{suffix}", allowed, self.numpy)

    def _table(self, name: str, wanted: Wanted) -> list[str]:
        told = {}
        for at in wanted.places():
            told[at] = [
                literals.number(wanted.values[at].item(), wanted.values.dtype.name, self.numpy)
            ]
            if self.bounded:
                allowed = 0.0 if wanted.allowed is None else wanted.allowed[at].item()
                told[at].append(literals.number(upward(allowed)))
        count, kind = wanted.values.size, ""
        if wanted.wrong is not None and wanted.wrong.any():
            count, kind = int(np.count_nonzero(wanted.wrong)), " that differ"
        more = ", each with its allowed error" if self.bounded else ""
        remark = f"{len(told)} of the {count:,} values{kind}{more}"
        return literals.table(name, told, remark)

    def lines(self) -> Iterator[str]:
        """The lines that compare what came with what is expected."""
        if self._alone:
            variable = self.wanted[0].variable
            yield from self._compared(variable, variable)
            return
        yield f"for {', '.join(self._columns())} in ("
        for wanted in self.wanted:
            names = [f'"{wanted.variable}"', wanted.variable]
            names += [f"{column}_{wanted.variable}" for column in self._columns()[2:]]
            if wanted.allowed is None and self.bounded and not self._large:
                names[-1] = "0"
            yield f"    ({', '.join(names)}),"
        yield "):"
        yield from self._compared("tensor", "{name}", 4)

    def _columns(self) -> list[str]:
        if self._large:
            return ["name", "tensor", "shape", "expected"]
        return ["name", "tensor", "expected", *(["allowed"] if self.bounded else [])]

    def _compared(self, tensor: str, label: str, margin: int = 0) -> Iterator[str]:
        np_, dtype, indent = self.numpy, self.dtype, " " * margin
        shape = "shape" if self._large else "expected.shape"
        # First of all, as in the suite: what a framework computes late, it refuses here.
        yield f"{indent}observed = {self.array.format(tensor)}"
        yield from _assertion(
            f"observed.shape == {shape}",
            f'f"wrong-shape: {label} is {{observed.shape}}, not {{{shape}}}"',
            indent,
        )
        yield from _assertion(
            f"{tensor}.dtype == {dtype}",
            f'f"wrong-dtype: {label} is {{{tensor}.dtype}}, not {dtype}"',
            indent,
        )
        first, among = f"{np_}.argwhere(wrong)[0].tolist()", "of"
        if self._large:
            first, among = "places[wrong.argmax()]", "of these"
            yield f"{indent}places, expected = [*expected], [*expected.values()]"
            yield f"{indent}observed = observed[tuple(zip(*places))]"
            if self.bounded:
                yield f"{indent}expected, allowed = {np_}.array(expected).T"
            else:
                carrier = self.wanted[0].values.dtype.name
                yield f"{indent}expected = {np_}.array(expected, dtype={np_}.{carrier})"
        yield from (f"{indent}{line}" for line in self._wrong())
        wrong = f"{{wrong.sum()}} {among} {{wrong.size}} values of {label}"
        lines = [
            f"wrong-value: {wrong} differ, first at ",
            f"{{{first}}}: {{observed[wrong][0]}}, not {{expected[wrong][0]}}",
        ]
        if self.bounded and (self._alone or self._large):
            lines.append(" ± {allowed[wrong][0]}")
        message = "\n".join(f'f"{line}"' for line in lines)
        yield from _assertion("not wrong.any()", message, indent)

    def _wrong(self) -> Iterator[str]:
        np_ = self.numpy
        values = np.concatenate([wanted.values.reshape(-1) for wanted in self.wanted])
        floating = values.dtype.kind == "f"
        terms = ["observed == expected"]
        if self.bounded and np.isinf(values).any():
            yield f'with {np_}.errstate(invalid="ignore"):  # inf - inf'
            yield f"    near = {np_}.abs(observed - expected) <= allowed"
            terms.append("near")
        elif self.bounded:
            terms = [f"{np_}.abs(observed - expected) <= allowed"]
        if floating and np.isnan(values).any():
            terms.append(f"{np_}.isnan(observed) & {np_}.isnan(expected)")
        if terms == ["observed == expected"]:
            yield "wrong = observed != expected"
        elif len(terms) == 1:
            yield f"wrong = ~({terms[0]})"
        else:
            parts = (f"({term})" if " " in term else term for term in terms)
            yield f"wrong = ~({' | '.join(parts)})"
        if self.signed_zero and floating and not values.all():
            yield (
                f"wrong |= (observed == expected) & "
                f"({np_}.signbit(observed) != {np_}.signbit(expected))"
            )


def _assertion(condition: str, message: str, indent: str) -> list[str]:
    """An assertion on one line where it fits."""
    line = f"{indent}assert {condition}, {message}"
    if "\n" not in message and len(line) <= literals.WIDTH:
        return [line]
    told = [f"{indent}    {part}" for part in message.splitlines()]
    return [f"{indent}assert {condition}, (", *told, f"{indent})"]
