"""Data for cases: literal, or generated from a few parameters, the same on every machine."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from conformance import content, literals, reductions, schema
from conformance.dtypes import DTYPES, Array, DType, cast
from conformance.request import Pool, Request

SEEDS = {"x": 0, "w": 1, "b": 2, "y": 3}
LARGEST_INTEGER = 8
PRIME_LIMIT = 4096
PARTS = 8
"""How much a part of a complex product may exceed a product of parts (three multiplications)."""

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
        values, count = literal(spec, dtype.wide.type), math.prod(self.shape)
        if np.iscomplexobj(values) and not dtype.complex:
            raise DataError(f"{values[values.imag != 0][0]:g} is no {dtype.name}", "values")
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
        count, sized = math.prod(self.shape), literals.sizes(_drawn(shape, dtype))
        reshaped = (f".reshape({', '.join(map(str, shape))})",) if len(shape) > 1 else ()
        if spec.constant is not None:
            value = np.array(spec.constant, dtype.wide)
            return (literals.full(shape, cast(value, dtype).item(), dtype.carrier.name, numpy),)
        if spec.arange is not None:
            return (*self._arange(dtype, numpy), *reshaped)
        if spec.normal is not None:
            drawn = _random(spec.normal.seed, self.name, numpy)
            mean, std = map(literals.number, (spec.normal.mean, spec.normal.std))
            links = (drawn, f".normal({mean}, {std}, {sized})", *_paired(shape, dtype, numpy))
            return _narrowed(links, dtype, numpy)
        integers = spec.integers or schema.Integers()
        drawn = _random(integers.seed, self.name, numpy)
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
        if dtype.complex:
            pairs = f".astype({numpy}.float64)", *_paired(shape, dtype, numpy)
            return _narrowed((*links, *pairs), dtype, numpy)
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
        spec, wide = self.spec, dtype.wide.type
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
            sizes = _drawn(self.shape, dtype)
            return _joined(
                random.normal(spec.normal.mean, spec.normal.std, sizes), self.shape, dtype
            )
        integers = spec.integers or schema.Integers()
        random = np.random.default_rng(_seed(integers.seed, self.name))
        if integers.low is not None and integers.high is not None:
            low, high = integers.low, integers.high
            drawn = random.integers(low, high, _drawn(self.shape, dtype), np.int64, endpoint=True)
            return _joined(drawn, self.shape, dtype)
        if self._permuted(request, count, dtype):
            offset = count // 2 if _signed(dtype) else 0
            return (random.permutation(count) - offset).astype(wide).reshape(self.shape)
        high = integer_range(request, dtype)
        low = -high if _signed(dtype) else 0
        drawn = random.integers(low, high, _drawn(self.shape, dtype), np.int64, endpoint=True)
        return _joined(drawn, self.shape, dtype)


def _drawn(shape: tuple[int, ...], dtype: DType) -> tuple[int, ...]:
    """The shape of the real numbers that make up the data."""
    return (*shape, 2) if dtype.complex else shape


def _joined(drawn: Array, shape: tuple[int, ...], dtype: DType) -> Array:
    """Real numbers in the wide dtype, pairs of them as complex numbers."""
    if not dtype.complex:
        return drawn.astype(dtype.wide)
    return drawn.astype(np.float64).view(dtype.wide).reshape(shape)


def _paired(shape: tuple[int, ...], dtype: DType, numpy: str) -> tuple[str, ...]:
    """Source of `_joined`, for numbers that are float64 already."""
    if not dtype.complex:
        return ()
    return (f".view({numpy}.complex128)", f".reshape({', '.join(map(str, shape))})")


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
        parts = np.complex128 if any(isinstance(item, complex) for item in flat) else np.float64
        return np.array(flat, dtype=parts).reshape(shape)
    for number in flat:
        if isinstance(number, complex) or not math.isfinite(number) or number != int(number):
            raise DataError(f"{number:g} is no integer", "values")
        _check_range(number, DTYPES["int64"], "values")
    return np.array([int(number.real) for number in flat], dtype=np.int64).reshape(shape)


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


def _number(item: object) -> complex:
    try:
        if isinstance(item, (int, float)) and not isinstance(item, bool):
            float(item)
            return item
        if isinstance(item, str):
            if item.endswith(("j", "J")):
                return complex(item)
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
    together = np.result_type(array, values)
    return np.asarray(~integral | (array.astype(together) == values))


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
    longest = max(reductions.terms(request).values(), default=1)
    together = DTYPES[request.dtype if isinstance(request, Pool) else request.result_dtype]
    limit = min(dtype.exact_limit, together.exact_limit) // (PARTS if dtype.complex else 1)
    bound = math.isqrt(limit // (longest + 1))
    return max(1, min(LARGEST_INTEGER, bound))


def telling(request: Request, name: str, shape: tuple[int, ...]) -> Array:
    """Data that tell meanings apart: signed primes, distinct as far as sums stay exact.

    ``name`` is x, w, b, or y for the cotangent. The order is seeded by the name.
    """
    dtype = DTYPES[request.dtype_of(name)]
    longest = max(reductions.terms(request).values(), default=1) + 1
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
    values = (pool * signs).astype(dtype.wide).reshape(shape)
    return cast(values * (1 + 1j) if dtype.complex else values, dtype)
