"""Pooling in JAX: what ``jax.lax`` and Flax share, and recipes for what both lack."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import replace

from conformance.adapter import Lowering, Program, Unsupported
from conformance.dtypes import DTYPES
from conformance.request import Padding, Pool
from conformance.source import call, cropped, literal, positive

from .lowering import JaxApi, padding_option, short
from .recipes import WINDOWS, beyond, dilated, fitted, uneven

GREATER = """
def greater(a, b):
    (u, i), (v, j) = a, b
    left = (u > v) | (u == v) & (i < j)
    return jnp.where(left, u, v), jnp.where(left, i, j)
"""
GREATER_OR_NAN = """
def greater(a, b):
    (u, i), (v, j) = a, b
    same = (u == v) | jnp.isnan(u) & jnp.isnan(v)
    left = (u > v) | jnp.isnan(u) & ~jnp.isnan(v) | same & (i < j)
    return jnp.where(left, u, v), jnp.where(left, i, j)
"""


class JaxPooling(JaxApi):
    """An API on JAX arrays that pools.

    ``reduces_windows`` says that its poolings are ``lax.reduce_window``, which dilates, and whose
    sums may be divided by any number.

    A global pooling is a recipe: ``jnp.mean`` and its like reduce whole axes and are no poolings,
    and ``jnp.max`` and ``lax.reduce_max`` share the gradient of a maximum among its equals.
    """

    pooling: str
    reduces_windows = False

    @abstractmethod
    def maximum(self, r: Pool, padding: object) -> str:
        """The line that returns the maximum over windows of ``x``."""

    @abstractmethod
    def average(self, r: Pool, padding: object) -> list[str]:
        """The lines that return the average over windows of ``x``."""

    def same_dtype(self, r: Pool, lines: list[str]) -> list[str]:
        """The lines of `average`, with help where the API returns another dtype."""
        return lines

    def max_pool(self, r: Pool) -> Lowering:
        before, r = self.by_hand(r)
        native = self._native(r, [*before, self.maximum(r, padding_option(r.padding))])
        plain = isinstance(native, Program) and not dilated(r)
        if plain and not beyond(r, r.padding.pairs):
            return Lowering(native)
        crop, rest = self.crop(r)
        rest = fitted(rest)
        before += crop
        if not rest.padding.none:
            before.append(f"x = {self.pad(rest, lowest(r))}")
        if dilated(r):
            before += self.gather(rest)
            rest = replace(rest, stride=rest.window, dilation=(1,) * r.rank)
        return Lowering(native, self.program(r, [*before, self.maximum(rest, "VALID")]))

    def avg_pool(self, r: Pool) -> Lowering:
        before, r = self.by_hand(r)
        lines = [*before, *self.average(r, padding_option(r.padding))]
        native = self._native(r, lines)
        plain = isinstance(native, Program) and not r.padding.negative
        if r.divisor is not None and (not plain or short(r.dtype)):
            total = self._total(r, "x", f"total / {r.divisor}")
            return Lowering(native, self.program(r, [*before, *total]))
        if plain:
            helped = self.program(r, self.same_dtype(r, lines))
            return Lowering(native, None if helped == native else helped)
        crop, rest = self.crop(r)
        count, rest = self.counted(rest) if r.ceil_mode else ([], rest)
        if dilated(rest) and not self.reduces_windows:
            lines = self.gathered_average(rest)
        else:
            lines = self.same_dtype(rest, self.average(rest, padding_option(rest.padding)))
        return Lowering(native, self.program(r, [*before, *crop, *count, *lines]))

    def lp_pool(self, r: Pool) -> Lowering:
        norm = literal(int(r.norm) if r.norm == int(r.norm) else r.norm)
        if r.norm == 1:
            # The slope of |x| at 0 is 1 to JAX.
            lines = self._total(r, "jnp.where(x == 0, 0, jnp.abs(x))", "total")
        else:
            some = "jnp.where(total == 0, 1, total)"
            root = f"jnp.where(total == 0, 0, {some} ** (1 / {norm}))"
            power = f"jnp.abs(x) ** {norm}"
            if r.norm < 1:
                # Its slope at 0 is infinite.
                power = f"jnp.where(x == 0, 0, jnp.abs(jnp.where(x == 0, 1, x)) ** {norm})"
            lines = self._total(r, power, root)
        return Lowering(super().lp_pool(r).native, self.program(r, lines))

    def max_pool_indices(self, r: Pool) -> Lowering:
        rest, count = fitted(r), math.prod(r.spatial)
        sizes = literal(self.layout.spread(r.spatial, 1))
        lines = [f"index = jnp.arange({count}).reshape{sizes}"]
        if rest.padding.negative:
            names = (cropped(name, self.layout, rest.padding.pairs) for name in ("x", "index"))
            lines.append(f"x, index = {', '.join(names)}")
            rest = replace(rest, padding=Padding(positive(rest.padding.pairs)))
        pairs = "(x, jnp.broadcast_to(index, x.shape))"
        start = f"(jnp.array({lowest(r)}, x.dtype), {count})"
        padding = padding_option(rest.padding)
        greatest = self.reduce_window(rest, padding, start, "greater", pairs)
        greater = GREATER_OR_NAN if DTYPES[r.dtype].floating else GREATER
        program = self.program(r, [*lines, f"_, y = {greatest}", "return y"], greater)
        return Lowering(super().max_pool_indices(r).native, program)

    def adaptive_pool(self, r: Pool) -> Lowering:
        native, first = super().adaptive_pool(r).native, self.layout.data.index("*")
        whole = r.output_size == (1,) * r.rank
        if whole and r.kind == "avg":
            axes = tuple(range(first, first + r.rank))
            mean = call("jnp.mean", "x", axis=axes, keepdims=True)
            return Lowering(native, self.program(r, [f"return {mean}"]))
        flat = f"x.reshape{literal(self._sized(r, math.prod(r.spatial)))}"
        axis, lines = first, [f"x = {flat}"]
        if not whole:
            axis = first + 1
            taken = call("jnp.take", flat, "index", axis=first)
            sizes = f"{literal(r.spatial)}, {literal(r.output_size)}"
            lines = [f"index = windows({sizes})", f"x = {taken}"]
        index = "index[..., None]" if self.layout.data.endswith("C") else "index"
        if r.kind == "avg":
            inside = f", where={index} >= 0" if uneven(r) else ""
            y = f"jnp.mean(x, axis={axis}{inside})"
        else:
            if uneven(r):
                lines.append(f"x = jnp.where({index} < 0, {lowest(r)}, x)")
            lines.append(f"first = jnp.argmax(x, axis={axis}, keepdims=True)")
            y = f"jnp.take_along_axis(x, first, axis={axis})"
        shape = literal(self._sized(r, *r.output_shape[2:]))
        lines.append(f"return {y}.reshape{shape}")
        return Lowering(native, self.program(r, lines, "" if whole else WINDOWS))

    def reduce_window(
        self, r: Pool, padding: object, start: str, operation: str, operand: str = "x"
    ) -> str:
        """The call of ``lax.reduce_window``."""
        if isinstance(padding, list):
            padding = list(self.layout.spread(padding, (0, 0)))
        window, stride = (self.layout.spread(values, 1) for values in (r.window, r.stride))
        dilation = self.layout.spread(r.dilation, 1) if dilated(r) else None
        arguments = operand, start, operation, *map(literal, (window, stride, padding))
        return call("lax.reduce_window", *arguments, window_dilation=dilation)

    def _total(self, r: Pool, term: str, result: str) -> list[str]:
        """The lines that return a function of ``total``, the sum of ``term`` over each window.

        Sums of narrow floats are carried in float32.
        """
        crop, rest = self.crop(fitted(r))
        lines, wide = [*crop], short(r.dtype)
        if wide:
            lines.append("x = x.astype(jnp.float32)")
        if term != "x":
            lines.append(f"x = {term}")
        total = self.reduce_window(rest, padding_option(rest.padding), "0.0", "lax.add")
        if wide:
            result = f"{result if result.isidentifier() else f'({result})'}.astype(jnp.{r.dtype})"
        return [*lines, f"total = {total}", f"return {result}"]

    def _sized(self, r: Pool, *sizes: int) -> tuple[int, ...]:
        """The shape of an array of the request with other spatial sizes."""
        batch = r.input_shape[: self.layout.data.count("N")]
        if self.layout.data.endswith("C"):
            return (*batch, *sizes, r.channels)
        return (*batch, r.channels, *sizes)

    def _native(self, r: Pool, lines: list[str]) -> Program | Unsupported:
        if r.ceil_mode:
            return Unsupported(f"{self.pooling} has no ceil mode")
        if dilated(r) and not self.reduces_windows:
            return Unsupported(f"{self.pooling} has no dilation")
        if r.divisor is not None and not self.reduces_windows:
            return Unsupported(f"{self.pooling} has no divisor")
        return self.program(r, lines)


def lowest(r: Pool) -> str:
    """The text of the value that never wins a maximum."""
    return "-jnp.inf" if DTYPES[r.dtype].floating else "jnp.iinfo(x.dtype).min"
