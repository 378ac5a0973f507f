"""Data for cases: literal, or generated from a few parameters, the same on every machine."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance import content, geometry, literals, schema
from conformance.dtypes import DTYPES, Array, DType, cast
from conformance.request import Conv, ConvTranspose, Pool, Request

SEEDS = {"x": 0, "w": 1, "b": 2, "y": 3}
LARGEST_INTEGER = 8
PRIME_LIMIT = 4096
BFLOAT16 = "rounded_to_bfloat16"


class DataError(ValueError):
    """A tensor's data do not fit its shape or its dtype; ``part`` is the key at fault."""

    def __init__(self, message: str, part: str = "") -> None:
        super().__init__(message)
        self.part = part


@dataclass(frozen=True)
class TensorData:
    """How to make one tensor: its canonical shape, its dtype, and the case's own words."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    spec: schema.Tensor

    def check(self) -> None:
        """See that the data fit the shape and the dtype, without making what is generated.

        Raises:
            DataError: they do not.
        """
        spec, dtype = self.spec, DTYPES[self.dtype]
        if spec.values is not None:
            self._check_literal(spec.values, dtype)
        if spec.constant is not None:
            _check_representable(spec.constant, dtype, "constant")
        if spec.arange is not None:
            arange = schema.Arange() if spec.arange is True else spec.arange
            last = arange.start + arange.step * max(math.prod(self.shape) - 1, 0)
            for number in (arange.start, arange.step):
                if not dtype.floating and number != int(number):
                    raise DataError(f"{number:g} is no {dtype.name}", "arange")
            for end in (arange.start, last):
                _check_range(end, dtype, "arange")
            if not dtype.floating:
                _check_range(arange.step, DTYPES["int64"], "arange")
        if spec.integers is not None:
            for end in filter(None, (spec.integers.low, spec.integers.high)):
                _check_range(end, dtype, "integers")
        for element in spec.set:
            inside = len(element.at) == len(self.shape) and all(
                at < size for at, size in zip(element.at, self.shape)
            )
            if not inside:
                raise DataError(f"no element {element.at[:9]} in {list(self.shape)}", "set")
            _check_representable(element.to, dtype, "set")

    def _check_literal(self, spec: object, dtype: DType) -> None:
        wide = np.float64 if dtype.floating else np.int64
        values, count = literal(spec, wide), math.prod(self.shape)
        if values.size != count:
            raise DataError(
                f"{values.size} value{'s do' if values.size != 1 else ' does'} not fill the shape "
                f"{list(self.shape)} ({count})",
                "values",
            )
        wrong = ~_same(cast(values, dtype), values)
        if wrong.any():
            raise DataError(f"{values[wrong][0]:g} is not representable in {dtype.name}", "values")

    def array(self, request: Request) -> Array:
        """The data, once checked, in the dtype's carrier."""
        dtype = DTYPES[self.dtype]
        values = self._values(request, dtype)
        for element in self.spec.set:
            values[tuple(element.at)] = element.to
        return cast(values, dtype)

    def expression(
        self, request: Request, shape: tuple[int, ...], numpy: str = "np"
    ) -> tuple[str, ...]:
        """NumPy source of what generates `array`, in ``shape``: a chain of calls, link by link.

        It is the same bit for bit, but for the elements that are ``set``. Empty where the data are
        literal. Where the link `BFLOAT16` is called, the text needs its definition.
        """
        spec, dtype = self.spec, DTYPES[self.dtype]
        if spec.values is not None:
            return ()
        count, sized = math.prod(self.shape), literals.sizes(shape)
        reshaped = (f".reshape({', '.join(map(str, shape))})",) if len(shape) > 1 else ()
        if spec.constant is not None:
            value = np.array(spec.constant, np.float64 if dtype.floating else np.int64)
            return (literals.full(shape, cast(value, dtype).item(), dtype.carrier.name, numpy),)
        if spec.arange is not None:
            return (*self._arange(dtype, numpy), *reshaped)
        if spec.normal is not None:
            drawn = _random(spec.normal.seed, self.name, numpy)
            mean, std = map(literals.number, (spec.normal.mean, spec.normal.std))
            return _narrowed((drawn, f".normal({mean}, {std}, {sized})"), dtype, numpy)
        integers = spec.integers or schema.Integers()
        drawn = _random(integers.seed, self.name, numpy)
        links: tuple[str, ...]
        if integers.low is not None and integers.high is not None:
            low, high = integers.low, integers.high
        elif self._permuted(request, count, dtype):
            offset = count // 2 if _signed(dtype) else 0
            links = (f"({drawn}.permutation({count}) - {offset})",)
            if not offset:
                links = (drawn, f".permutation({count})")
            return (*_narrowed(links, dtype, numpy, count - offset), *reshaped)
        else:
            high = integer_range(request, dtype)
            low = -high if _signed(dtype) else 0
        links = (drawn, f".integers({low}, {high}, {sized}, endpoint=True)")
        return _narrowed(links, dtype, numpy, max(abs(low), abs(high)))

    def _arange(self, dtype: DType, numpy: str) -> tuple[str, ...]:
        arange = schema.Arange() if self.spec.arange is True else self.spec.arange
        assert isinstance(arange, schema.Arange)
        count, start, step = math.prod(self.shape), arange.start, arange.step
        end = start + step * count
        whole = all(number == int(number) for number in (start, step)) and str(start) != "-0.0"
        # np.arange reckons with float64.
        most = min(dtype.exact_limit, 2**31)
        least = -most if _signed(dtype) else 0
        if whole and step and all(least <= number <= most for number in (start, end, abs(step))):
            words = [str(int(number)) for number in (start, end, step)]
            words = words[:2] if step == 1 else words
            words = words[1:] if start == 0 and step == 1 else words
            return (f"{numpy}.arange({', '.join(words)}, dtype={numpy}.{dtype.carrier.name})",)
        wide = "float64" if dtype.floating else "int64"
        first, more = (
            literals.number(float(number) if dtype.floating else int(number))
            for number in (start, step)
        )
        steps = f"({numpy}.arange({count}, dtype={numpy}.{wide}) * {more} + {first})"
        return _narrowed((steps,), dtype, numpy)

    def _permuted(self, request: Request, count: int, dtype: DType) -> bool:
        """Whether the values are all different: a maximum is then at one place only."""
        largest = isinstance(request, Pool) and request.kind == "max"
        return self.name == "x" and largest and count <= _span(dtype)

    def _values(self, request: Request, dtype: DType) -> Array:
        spec = self.spec
        wide: type[Any] = np.float64 if dtype.floating else np.int64
        count = math.prod(self.shape)
        if spec.values is not None:
            return literal(spec.values, wide).reshape(self.shape)
        if spec.constant is not None:
            return np.full(self.shape, spec.constant, wide)
        if spec.arange is not None:
            arange = schema.Arange() if spec.arange is True else spec.arange
            steps = np.arange(count, dtype=wide) * wide(arange.step)
            return np.asarray(wide(arange.start) + steps).reshape(self.shape)
        if spec.normal is not None:
            random = np.random.default_rng(_seed(spec.normal.seed, self.name))
            return np.asarray(random.normal(spec.normal.mean, spec.normal.std, self.shape))
        integers = spec.integers or schema.Integers()
        random = np.random.default_rng(_seed(integers.seed, self.name))
        if integers.low is not None and integers.high is not None:
            drawn = random.integers(
                integers.low, integers.high, self.shape, np.int64, endpoint=True
            )
            return drawn.astype(wide)
        if self._permuted(request, count, dtype):
            offset = count // 2 if _signed(dtype) else 0
            return (random.permutation(count) - offset).astype(wide).reshape(self.shape)
        high = integer_range(request, dtype)
        low = -high if _signed(dtype) else 0
        return random.integers(low, high, self.shape, np.int64, endpoint=True).astype(wide)


def _random(seed: int | None, name: str, numpy: str) -> str:
    return f"{numpy}.random.default_rng({_seed(seed, name)})"


def _narrowed(
    links: tuple[str, ...], dtype: DType, numpy: str, largest: float = math.inf
) -> tuple[str, ...]:
    """Source of `cast`: of integers up to a magnitude, else of what the links make."""
    carrier = f"{numpy}.{dtype.carrier.name}"
    if largest <= dtype.exact_limit and dtype.floating:
        return (*links, f".astype({carrier})")
    if dtype.name == "bfloat16":
        return (f"{BFLOAT16}({''.join(links)})",)
    if dtype.floating and largest < math.inf:
        links = (*links, f".astype({numpy}.float64)")
    same = dtype.name == "float64" or (dtype.name == "int64" and largest < math.inf)
    return links if same else (*links, f".astype({carrier})")


def literal(values: object, wide: type) -> Array:
    """Nested lists, a number, or a string of numbers as an array.

    Raises:
        DataError: the lists are ragged or hold anything but numbers, or for int64 anything but
            integers of its range.
    """
    if isinstance(values, str):
        values = values.split()
    shape = _nesting(values)
    for _ in shape[1:]:
        values = itertools.chain.from_iterable(values)  # type: ignore[arg-type]
    flat = [_number(item) for item in (values if shape else [values])]  # type: ignore[attr-defined]
    if wide is not np.int64:
        return np.array(flat, dtype=np.float64).reshape(shape)
    for number in flat:
        if not math.isfinite(number) or number != int(number):
            raise DataError(f"{number:g} is no integer", "values")
        _check_range(number, DTYPES["int64"], "values")
    return np.array([int(number) for number in flat], dtype=np.int64).reshape(shape)


def _nesting(values: object) -> tuple[int, ...]:
    """The shape of nested lists."""
    if not isinstance(values, list):
        return ()
    if not any(isinstance(item, list) for item in values):
        return (len(values),)
    shapes = {_nesting(item) for item in values}
    if len(shapes) > 1:
        listed = ", ".join(sorted(str(list(shape)) for shape in shapes)[:3])
        raise DataError(f"lists of unequal shapes, {listed}, are no array", "values")
    return (len(values), *next(iter(shapes), ()))


def _number(item: object) -> float | int:
    try:
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            float(item)
            return item
        if isinstance(item, str):
            return int(item) if item.lstrip("+-").isdecimal() else float(item)
    except (ValueError, OverflowError):
        pass
    raise DataError(f"{content.shown(item)} is no number", "values")


def _same(array: Array, values: Array) -> Array:
    """Where values survived the cast.

    Decimal literals of real data need not be representable; integers that are not are mistakes.
    """
    if values.dtype == np.int64:
        return np.asarray(array.astype(np.int64) == values)
    integral = np.isfinite(values) & (values == np.rint(values))
    return np.asarray(~integral | (array.astype(np.float64) == values))


def _check_representable(number: float, dtype: DType, part: str) -> None:
    """Refuse an integer that the dtype rounds, and for integer dtypes any fraction."""
    if not dtype.floating and (not math.isfinite(number) or number != int(number)):
        raise DataError(f"{number:g} is no {dtype.name}", part)
    if not math.isfinite(number):
        return
    _check_range(number, dtype, part)
    if number == int(number) and dtype.floating:
        rounded = float(cast(np.array([float(number)]), dtype)[0])
        if rounded != number:
            raise DataError(f"{number} is not representable in {dtype.name}", part)


def _check_range(number: float, dtype: DType, part: str) -> None:
    if dtype.floating:
        least, most = -dtype.largest, dtype.largest
    else:
        limits = np.iinfo(dtype.name)
        least, most = limits.min, limits.max
    if not least <= number <= most:
        raise DataError(f"{number:g} is out of the range of {dtype.name}", part)


def _seed(seed: int | None, name: str) -> int:
    return SEEDS[name] if seed is None else seed


def _signed(dtype: DType) -> bool:
    return not dtype.name.startswith("uint")


def _span(dtype: DType) -> int:
    return dtype.exact_limit * (2 if _signed(dtype) else 1)


def integer_range(request: Request, dtype: DType) -> int:
    """The largest magnitude with which every sum of the forward pass and the VJP is exact.

    Products of two such integers, summed over the longest of the reductions (plus a bias), stay
    within the dtype's significand whatever the order of summation. At least 1.
    """
    longest = max(reductions(request).values(), default=1)
    bound = math.isqrt(dtype.exact_limit // (longest + 1))
    return max(1, min(LARGEST_INTEGER, bound))


def telling(request: Request, name: str, shape: tuple[int, ...]) -> Array:
    """Data that tell meanings apart: signed primes, distinct as far as sums stay exact.

    ``name`` is x, w, b, or y for the cotangent. The order is seeded by the name.
    """
    dtype = DTYPES[request.dtype]
    longest = max(reductions(request).values(), default=1) + 1
    room = dtype.exact_limit // longest
    if not dtype.floating:
        room = int(dtype.largest) ** 2  # integer sums wrap and stay exact
    elif isinstance(request, Pool):
        room = room**2
    bound = min(max(math.isqrt(room), 1), PRIME_LIMIT)
    numbers = [n for n in range(2, bound + 1) if all(n % d for d in range(2, math.isqrt(n) + 1))]
    random = np.random.default_rng([_seed(None, name), 1])
    count = math.prod(shape)
    pool = np.resize(random.permutation(numbers or [1]), count)
    signs = random.choice((-1, 1), count)
    if not _signed(dtype):
        signs = np.ones(count, np.int64)
    elif name == "x" and isinstance(request, Pool) and request.kind == "max":
        signs = random.choice((-1, 1), count, p=(7 / 8, 1 / 8))  # padding must not win, nor lose
    wide: type[Any] = np.float64 if dtype.floating else np.int64
    return cast((pool * signs).astype(wide).reshape(shape), dtype)


def _sharing(request: Pool) -> int:
    """Most windows that an element is in."""
    if request.output_size is None:
        return math.prod(request.window)
    most = 1
    for size, positions in zip(request.spatial, request.output_size):
        windows = geometry.adaptive_windows(size, positions)
        most *= max((sum(a <= i < b for a, b in windows) for i in range(size)), default=1)
    return most


def reductions(request: Request) -> dict[str, int]:
    """Number of terms that are summed into one element: of y, and of the gradients of x, w, b."""
    window = math.prod(request.window)
    if isinstance(request, Pool):
        return {"y": window, "x": _sharing(request)}
    positions = math.prod(request.output_shape[2:])
    batch = request.input_shape[0]
    per_group = request.channels // request.groups, request.out_channels // request.groups
    bias = {"b": batch * positions} if request.bias else {}
    if isinstance(request, Conv):
        return {
            "y": per_group[0] * window + request.bias,
            "x": per_group[1] * window,
            "w": batch * positions,
            **bias,
        }
    assert isinstance(request, ConvTranspose)
    return {
        "y": per_group[0] * window + request.bias,
        "x": per_group[1] * window,
        "w": batch * math.prod(request.spatial),
        **bias,
    }
