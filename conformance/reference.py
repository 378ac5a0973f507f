"""What a correct implementation returns: the oracle's arrays, and how far from them is still right.

Where every product and every partial sum is exactly representable, whatever the order of
summation, only the exact result is right. Elsewhere an element may differ by
``SAFETY * terms * u * sum(|x * w|)``, the classical forward error bound of a sum of products
(Higham, "Accuracy and Stability of Numerical Algorithms", section 3.1; TOSA's conformance tests
bound dot products in the same way), with ``u`` the dtype's unit roundoff and the sum of
magnitudes computed by the oracle in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from conformance import data, oracle, reductions
from conformance.adapter import parameters
from conformance.cases import Case
from conformance.data import DataError
from conformance.dtypes import DTYPES, Array, DType, cast
from conformance.request import Pool, Request

SAFETY = 2.0
COMPLEX_FACTOR = 4
"""More error than of real products, by three multiplications too (Higham, 3.6 and 23.2.4)."""


class GoldenError(Exception):
    """A case's golden and the oracle disagree, or a claim about its data does not hold."""


@dataclass(frozen=True)
class Reference:
    """One expected array: ``y`` or the gradient of ``x``, ``w`` or ``b``.

    ``values`` are rounded to ``dtype`` and in its carrier; ``exact`` are the oracle's own (float64
    or int64). ``allowed`` is the permitted absolute error of each element, None where the result
    is exact. ``sums`` is the dtype that sums are to be carried in.
    """

    name: str
    dtype: DType
    values: Array
    exact: Array
    allowed: Array | None
    sums: DType


@dataclass(frozen=True)
class Expected:
    """A case's data and the expected arrays; ``gradients`` is None where there is no VJP."""

    request: Request
    arrays: tuple[Array, ...]
    cotangent: Array | None
    output: Reference
    gradients: tuple[Reference, ...] | None

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        references = (self.output, *(self.gradients or ()))
        held = [*self.arrays, *(r.exact for r in references), *(r.values for r in references)]
        held += [r.allowed for r in references if r.allowed is not None]
        return sum(array.nbytes for array in held)


def expected(case: Case) -> Expected:
    """The oracle's answer to a case.

    Raises:
        GoldenError: the case claims exact sums and they are not.
    """
    arrays, cotangent = case.arrays(), case.cotangent_array()
    result = expect(case.request, arrays, cotangent, case.fields.accumulation)
    if case.fields.exact and result.output.allowed is not None:
        raise GoldenError(
            f"the data are claimed to be exact, but sums in {case.request.dtype} are not; use "
            "smaller integers or fewer terms, or drop 'exact'"
        )
    return result


def expect(
    request: Request,
    arrays: tuple[Array, ...],
    cotangent: Array | None = None,
    accumulation: str | None = None,
) -> Expected:
    """The oracle's answer to a request on data in canonical layout.

    ``accumulation`` is the dtype that sums must be carried in at least, the request's own where
    None: the error bound is that of its sums, and of one rounding to the request's dtype.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        output = oracle.forward(request, *arrays)
        magnitudes = _Magnitudes(request, arrays, cotangent, accumulation)
        reference = _reference(
            "y", DTYPES[request.result_dtype], output, magnitudes.output(), magnitudes.sums
        )
        if cotangent is None:
            return Expected(request, arrays, None, reference, None)
        gradients = tuple(
            _reference(
                name,
                DTYPES[request.dtype_of(name)],
                gradient,
                magnitudes.gradient(name),
                magnitudes.sums,
            )
            for name, gradient in zip(parameters(request), oracle.vjp(request, cotangent, *arrays))
        )
    return Expected(request, arrays, cotangent, reference, gradients)


def check_goldens(case: Case, result: Expected) -> None:
    """Compare what the case's source prints with the oracle.

    Raises:
        GoldenError: they disagree, or the golden has another shape.
    """
    golden = case.fields.expect
    if golden is None:
        return
    shape = result.output.exact.shape
    if golden.shape is not None and tuple(golden.shape) != shape:
        raise GoldenError(f"expect.shape is {golden.shape}, the oracle's is {list(shape)}")
    names = {"x": "input", "w": "kernel", "b": "bias"}
    pairs = [("output", result.output)]
    pairs += [(f"{names.get(g.name, g.name)}_gradient", g) for g in result.gradients or ()]
    for field in ("output", "input_gradient", "kernel_gradient", "bias_gradient"):
        value = getattr(golden, field)
        if value is None:
            continue
        reference = dict(pairs).get(field)
        if reference is None:
            raise GoldenError(f"expect.{field} is given, but the case does not compute it")
        try:
            wanted = data.literal(value, float)
        except DataError as error:
            raise GoldenError(f"expect.{field}: {error}") from None
        if wanted.size != reference.exact.size:
            raise GoldenError(
                f"expect.{field} has {wanted.size} values, the oracle's shape is "
                f"{list(reference.exact.shape)}"
            )
        # A decimal literal stands for the nearest number of the dtype.
        wanted = (
            cast(wanted, reference.dtype)
            .astype(reference.dtype.wide)
            .reshape(reference.exact.shape)
        )
        computed = reference.values.astype(reference.dtype.wide)
        close = np.isclose(computed, wanted, golden.rtol, golden.atol, equal_nan=True)
        if not close.all():
            at = tuple(int(i) for i in np.argwhere(~close)[0])
            raise GoldenError(
                f"expect.{field}{list(at)} is {wanted[at]:g}, the oracle's is {computed[at]:g} "
                f"({int((~close).sum())} of {close.size} differ)"
            )


class _Magnitudes:
    """Sums of magnitudes, computed only where a cheap bound does not settle exactness."""

    def __init__(
        self,
        request: Request,
        arrays: tuple[Array, ...],
        cotangent: Array | None,
        accumulation: str | None,
    ) -> None:
        self.request, self.dtype = request, DTYPES[request.result_dtype]
        self.sums = DTYPES[accumulation or request.result_dtype]
        # A part of a complex product is more than a product of parts.
        self.limit = self.sums.exact_limit // (data.PARTS if self.dtype.complex else 1)
        self.arrays, self.cotangent = arrays, cotangent
        self.terms = reductions.terms(request)
        self.integral = {name: integral(array) for name, array in zip(parameters(request), arrays)}
        if cotangent is not None:
            self.integral["y"] = integral(cotangent)

    def output(self) -> Array | None:
        """Allowed error of the output."""
        request = self.request
        if not self.dtype.floating or _selects(request):
            return None
        exact = all(self.integral[name] for name in parameters(request))
        if isinstance(request, Pool) and not exact_division(request):
            exact = False
        peak = largest(self.arrays[0])
        if not isinstance(request, Pool):
            peak *= largest(self.arrays[1])
        bias = largest(self.arrays[2]) if len(self.arrays) > 2 else 0.0
        if exact and self.terms["y"] * peak + bias <= self.limit:
            return None
        magnitude = oracle.forward(request, *map(_absolute, self.arrays)).real
        if exact and _peak(magnitude) <= self.limit:
            return None
        return self._allowed("y", magnitude, self.terms["y"] + 1 + powers(request))

    def gradient(self, name: str) -> Array | None:
        """Allowed error of the gradient of x, w or b."""
        request, cotangent = self.request, self.cotangent
        assert cotangent is not None
        factors = [] if isinstance(request, Pool) else {"x": ["w"], "w": ["x"]}.get(name, [])
        exact = self.integral["y"] and all(self.integral[factor] for factor in factors)
        if isinstance(request, Pool) and request.kind != "max":
            exact = exact and exact_division(request)
        peak = largest(cotangent)
        for factor in factors:
            peak *= largest(self.arrays[parameters(request).index(factor)])
        if exact and self.terms[name] * peak <= self.limit:
            return None
        arrays = self.arrays if _selects(request) else tuple(map(_absolute, self.arrays))
        magnitudes = oracle.vjp(request, _absolute(cotangent), *arrays)
        magnitude = magnitudes[parameters(request).index(name)]
        if exact and _peak(magnitude) <= self.limit:
            return None
        terms = self.terms[name] + 1
        if powers(request):
            terms += self.terms["y"] + 2 * powers(request)
        return self._allowed(name, magnitude, terms)

    def _allowed(self, name: str, magnitude: Array, terms: int) -> Array:
        if self.dtype.complex:
            terms *= COMPLEX_FACTOR
        own = DTYPES[self.request.dtype_of(name)]
        return allowed_error(own, self.sums, terms, magnitude)


def allowed_error(dtype: DType, sums: DType, terms: int | Array, magnitude: Array) -> Array:
    """Permitted absolute error of sums of ``terms`` products whose magnitudes add up to that much.

    The sums are carried in ``sums`` and rounded to ``dtype`` at the end. 0 where the magnitude is
    not finite.
    """
    smallest = float(np.finfo(dtype.carrier).smallest_subnormal)
    allowed = SAFETY * terms * (sums.unit_roundoff * magnitude + smallest)
    if sums is not dtype:
        allowed = allowed + dtype.unit_roundoff * magnitude
    return np.where(np.isfinite(allowed), allowed, 0.0)


def _reference(
    name: str, dtype: DType, values: Array, allowed: Array | None, sums: DType
) -> Reference:
    return Reference(name, dtype, cast(values, dtype), values, allowed, sums)


def integral(array: Array) -> bool:
    """Whether all values are integers."""
    if array.dtype.kind in "iu":
        return True
    return bool(np.isfinite(array).all() and (array == np.rint(array)).all())


def _absolute(array: Array) -> Array:
    wide: Array = array if np.iscomplexobj(array) else array.astype(np.float64)
    return np.asarray(np.abs(wide), np.float64)


def largest(array: Array) -> float:
    """The greatest magnitude; 0 where there are no elements."""
    return float(np.max(_absolute(array), initial=0.0))


def _peak(magnitude: Array) -> float:
    return float(np.max(magnitude, initial=0.0))


def _selects(request: Request) -> bool:
    """Whether results are elements of the input, or their places, and never computed."""
    return isinstance(request, Pool) and request.kind == "max"


def powers(request: Request) -> int:
    """Roundings that powers and roots add to those of a sum, a few units each."""
    if not (isinstance(request, Pool) and request.kind == "lp"):
        return 0
    return 4 + math.ceil(request.norm)


def exact_division(request: Pool) -> bool:
    """Whether every average divides by the same power of two, so that division is exact."""
    if request.kind == "lp":
        return False
    count = math.prod(request.window) if request.divisor is None else request.divisor
    if count & (count - 1):
        return False
    if request.output_size is not None:
        return not any(n % m for n, m in zip(request.spatial, request.output_size))
    whole = all(
        (positions - 1) * stride + (window - 1) * dilation + 1 <= size
        for positions, stride, window, dilation, size in zip(
            request.output_shape[2:],
            request.stride,
            request.window,
            request.dilation,
            request.spatial,
        )
    )
    return request.divisor is not None or (whole and request.padding.none)
