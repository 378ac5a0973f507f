"""The oracle's answers to the steps of a chain, each with how far from it is still right.

A value carries its error bound: none while everything before it is exact, whatever the order of
summation; else the running error of what went in (Higham, "Accuracy and Stability of Numerical
Algorithms", section 3.3) and of the step's own roundings (see `conformance.reference`). Sums are
exact where all their terms are multiples of one power of two and their magnitudes add up to no
more multiples of it than the significand holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from conformance import oracle, reductions
from conformance.chains.chain import Step
from conformance.dtypes import Array, DType
from conformance.reference import allowed_error, exact_division
from conformance.request import Pool, Request

EXACT = -np.inf
"""The exponent of the greatest power of two that divides 0."""


@dataclass(frozen=True)
class Value:
    """An array as the oracle has it, in float64; ``error`` bounds each element's, None: exact."""

    values: Array
    error: Array | None = None

    @property
    def bound(self) -> Array:
        """The error bound, 0 where the value is exact."""
        return np.zeros(self.values.shape) if self.error is None else self.error

    @property
    def magnitude(self) -> Array:
        """What no element's magnitude exceeds."""
        return np.abs(self.values) + self.bound

    def moved(self, move: Callable[[Array], Array]) -> Value:
        """The value with its elements at other places, or fewer of them."""
        error = None if self.error is None else move(self.error)
        return Value(move(self.values), error)


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of a dtype; without ``rounding`` errors are handed on only."""

    dtype: DType
    rounding: bool = True

    def step(self, step: Step, of: Sequence[Value], parameters: Sequence[Value]) -> Value:
        """A step's result."""
        if step.request is not None:
            return self._operator(step.request, [*of, *parameters])
        if step.op == "relu":
            return replace(of[0], values=np.maximum(of[0].values, 0))
        if step.op == "crop":
            return of[0].moved(lambda array: array[_inside(step)])
        if step.op == "concatenate":
            return _concatenated(of)
        if step.op == "add":
            return self.sum(of[0], of[1])
        return self._squared_error(self.sum(of[0], of[1].moved(np.negative)))

    def pulled(
        self, step: Step, share: Value, of: Sequence[Value], parameters: Sequence[Value]
    ) -> list[Value]:
        """The gradients of a step's operands and parameters, for that of its result."""
        if step.request is not None:
            return self._operator_vjp(step.request, share, [*of, *parameters])
        if step.op == "relu":
            return [self._gated(share, of[0])]
        if step.op == "crop":
            return [share.moved(lambda array: np.pad(array, ((0, 0), (0, 0), *step.crop)))]
        if step.op == "concatenate":
            channels = of[0].values.shape[1]
            parts = (slice(0, channels), slice(channels, None))
            return [share.moved(lambda array, part=part: array[:, part]) for part in parts]  # type: ignore[misc]
        if step.op == "add":
            return [share, share]
        difference = self.sum(of[0], of[1].moved(np.negative))
        pulled = self.product(self.scaled(difference, 2.0), share)
        return [pulled, pulled.moved(np.negative)]

    def sum(self, one: Value, other: Value) -> Value:
        """The elementwise sum."""
        return self._made(
            one.values + other.values,
            one.bound + other.bound,
            one.magnitude + other.magnitude,
            min(_exponent(one.values), _exponent(other.values)),
            1,
            one.error is None and other.error is None,
        )

    def product(self, one: Value, other: Value) -> Value:
        """The elementwise product."""
        handed = one.bound * other.magnitude + np.abs(one.values) * other.bound
        return self._made(
            one.values * other.values,
            handed,
            one.magnitude * other.magnitude,
            _exponent(one.values) + _exponent(other.values),
            1,
            one.error is None and other.error is None,
        )

    def scaled(self, value: Value, factor: float) -> Value:
        """The value times a number of the dtype."""
        return self.product(value, Value(np.asarray(factor)))

    def _squared_error(self, difference: Value) -> Value:
        squares = self.product(difference, difference)
        return self._made(
            squares.values.sum(),
            squares.bound.sum(),
            squares.magnitude.sum(),
            2 * _exponent(difference.values),
            squares.values.size + 1,
            squares.error is None,
        )

    def _gated(self, share: Value, of: Value) -> Value:
        """The gradient that a positive part lets through; of what may be 0 or not, either."""
        gate = of.values > 0
        values = np.where(gate, share.values, 0)
        if of.error is None:
            return Value(values, None if share.error is None else np.where(gate, share.error, 0))
        unsure = np.abs(of.values) <= of.error
        error = np.where(unsure, share.magnitude, np.where(gate, share.bound, 0))
        return Value(values, error if error.any() or share.error is not None else None)

    def _operator(self, r: Request, inputs: Sequence[Value]) -> Value:
        values = oracle.forward(r, *(value.values for value in inputs))
        known = all(value.error is None for value in inputs)
        if isinstance(r, Pool) and r.kind == "max":
            handed = oracle.forward(r, inputs[0].bound)
            return Value(values, None if known else np.where(np.isfinite(handed), handed, 0))
        magnitude = oracle.forward(r, *(value.magnitude for value in inputs))
        handed = np.zeros(values.shape)
        if not known:
            exact = oracle.forward(r, *(np.abs(value.values) for value in inputs))
            handed = magnitude - exact
        exponent, scale = _terms_exponent([value.values for value in inputs[:2]]), 1.0
        if len(inputs) > 2:
            exponent = min(exponent, _exponent(inputs[2].values))
        if isinstance(r, Pool):
            known, scale = known and exact_division(r), float(math.prod(r.window))
            exponent -= math.log2(scale)
        return self._made(values, handed, magnitude, exponent, reductions.terms(r)["y"] + 1, known)

    def _operator_vjp(self, r: Request, share: Value, inputs: Sequence[Value]) -> list[Value]:
        arrays = [value.values for value in inputs]
        gradients = oracle.vjp(r, share.values, *arrays)
        known = share.error is None and all(value.error is None for value in inputs)
        if isinstance(r, Pool) and r.kind == "max" and inputs[0].error is not None:
            return [self._routed(r, share, inputs[0], gradients[0])]
        maximum = isinstance(r, Pool) and r.kind == "max"
        among = arrays if maximum else [value.magnitude for value in inputs]
        magnitudes = oracle.vjp(r, share.magnitude, *among)
        exact = magnitudes
        if not known:
            exact = oracle.vjp(r, np.abs(share.values), *map(np.abs, arrays))
        factors = {"x": arrays[1:2], "w": arrays[:1], "b": []}
        terms = reductions.terms(r)
        made = []
        for name, gradient, magnitude, least in zip("xwb", gradients, magnitudes, exact):
            exponent = _exponent(share.values) + _terms_exponent(factors[name])
            fits = known
            if isinstance(r, Pool) and not maximum:
                fits = known and exact_division(r)
                exponent -= math.log2(math.prod(r.window))
            made.append(
                self._made(gradient, magnitude - least, magnitude, exponent, terms[name] + 1, fits)
            )
        return made

    def _routed(self, r: Pool, share: Value, of: Value, gradient: Array) -> Value:
        """The gradient of a maximum of rounded numbers; of what can be it or not, either."""
        least, most = share.bound, share.magnitude
        handed = oracle.contended_vjp(r, least, most, of.values, of.bound)
        magnitude = oracle.contended_vjp(r, most, most, of.values, of.bound)
        terms = reductions.terms(r)["x"] + 1
        return self._made(gradient, handed, magnitude, 0.0, terms, False)

    def _made(
        self,
        values: Any,
        handed: Any,
        magnitude: Any,
        exponent: float,
        terms: int,
        known: bool,
    ) -> Value:
        """A sum of ``terms`` whose magnitudes add up to ``magnitude``, all multiples of a power.

        ``handed`` is the error that is due to what went in.
        """
        values, magnitude = np.asarray(values), np.asarray(magnitude)
        peak = float(np.max(magnitude, initial=0.0))
        if known and peak <= 2.0 ** min(self.dtype.precision + exponent, 1023.0):
            return Value(values)
        own = allowed_error(self.dtype, self.dtype, terms, magnitude) if self.rounding else 0.0
        return Value(values, np.asarray(handed + own))


def total(shares: Sequence[Value], arithmetic: Arithmetic) -> Value:
    """The sum of the gradients that several steps have for one value."""
    return reduce(arithmetic.sum, shares)


def _exponent(values: Array) -> float:
    """The exponent of the greatest power of two that divides all elements."""
    wide = np.asarray(values, np.float64)
    significands, exponents = np.frexp(wide[(wide != 0) & np.isfinite(wide)])
    if not significands.size:
        return -EXACT
    whole = np.ldexp(significands, 53).astype(np.int64)
    trailing = np.log2((whole & -whole).astype(np.float64))
    return float((exponents - 53 + trailing).min())


def _terms_exponent(factors: Sequence[Array]) -> float:
    return sum(map(_exponent, factors), 0.0)


def _inside(step: Step) -> Any:
    rest = (slice(low, -high or None) for low, high in step.crop)
    return (slice(None), slice(None), *rest)


def _concatenated(of: Sequence[Value]) -> Value:
    values = np.concatenate([value.values for value in of], axis=1)
    if all(value.error is None for value in of):
        return Value(values)
    return Value(values, np.concatenate([value.bound for value in of], axis=1))
