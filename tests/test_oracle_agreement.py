"""The oracle against independent implementations: plain loops, SciPy, and PyTorch's autograd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage, signal

from conformance import oracle
from conformance.adapter import Program
from conformance.dtypes import DTYPES, Array, cast
from conformance.request import OPS, Conv, ConvTranspose, PaddingMode, Request
from conformance.worker.loading import load_adapter
from tests.builders import conv, pool, transposed
from tests.strategies import integer_cotangent, integer_data, real_data, requests

LOOPS = load_adapter(Path(__file__).resolve().parents[1] / "backends" / "numpy")
DTYPE_NAMES = ("float64", "float32", "float16", "int64", "int32", "int8", "uint8")
SEEDS = st.integers(0, 2**16)
quick = settings(max_examples=80, deadline=None)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def by_loops(request: Request, arrays: tuple[Array, ...], cotangent: Array) -> Any:
    lowering = LOOPS.apis[0].lower(request)
    assert isinstance(lowering.native, Program)
    namespace: dict[str, Any] = {}
    exec(lowering.native.source, namespace)
    return tuple(LOOPS.run(namespace, arrays, cotangent, "eager"))


class TestAgainstLoops:
    @pytest.mark.parametrize("op", OPS)
    @quick
    @given(data=st.data(), seed=SEEDS)
    def test_integers_are_bit_exact(self, op: str, data: st.DataObject, seed: int) -> None:
        request = data.draw(requests(ops=(op,), dtypes=DTYPE_NAMES))
        dtype = DTYPES[request.dtype]
        arrays, cotangent = integer_data(request, seed), integer_cotangent(request, seed)
        output, gradients = by_loops(request, arrays, cotangent)
        result = oracle.forward(request, *arrays)
        assert result.shape == request.output_shape
        assert result.dtype == (np.float64 if dtype.floating else np.int64)
        assert_array_equal(cast(result, dtype), output)
        shares = oracle.vjp(request, cotangent, *arrays)
        assert len(shares) == len(arrays)
        for share, gradient, array in zip(shares, gradients, arrays):
            assert share.shape == array.shape
            if op == "avg_pool":
                # Shares are fractions, so the order of the sum shows.
                roundoff = 8 * dtype.unit_roundoff
                assert_allclose(cast(share, dtype), gradient, rtol=roundoff, atol=1e-13)
            else:
                assert_array_equal(cast(share, dtype), gradient)

    @quick
    @given(request_=requests(dtypes=("float64",)), seed=SEEDS)
    def test_real_data(self, request_: Request, seed: int) -> None:
        arrays, cotangent = real_data(request_, seed), integer_cotangent(request_, seed)
        output, gradients = by_loops(request_, arrays, cotangent)
        assert_allclose(oracle.forward(request_, *arrays), output, rtol=1e-12, atol=1e-12)
        for share, gradient in zip(oracle.vjp(request_, cotangent, *arrays), gradients):
            assert_allclose(share, gradient, rtol=1e-12, atol=1e-12)

    @quick
    @given(request_=requests(ops=("max_pool",), dtypes=("float64",)), seed=SEEDS)
    def test_special_values_in_max_pool(self, request_: Request, seed: int) -> None:
        values = np.array([np.nan, -np.inf, np.inf, 0.0, 1.0])
        x = np.random.default_rng(seed).choice(values, request_.input_shape)
        cotangent = integer_cotangent(request_, seed)
        output, gradients = by_loops(request_, (x,), cotangent)
        assert_array_equal(oracle.forward(request_, x), output)
        assert_array_equal(oracle.vjp(request_, cotangent, x)[0], gradients[0])

    def test_too_large_requests_and_bfloat16_are_unsupported(self) -> None:
        api = LOOPS.apis[0]
        large = api.lower(conv((1, 64, 56, 56), (64, 64, 3, 3))).native
        assert not isinstance(large, Program) and "too large" in large.reason
        small = api.lower(conv((1, 1, 4, 4), (1, 1, 3, 3), dtype="bfloat16")).native
        assert not isinstance(small, Program) and "bfloat16" in small.reason


class TestAgainstSciPy:
    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_correlate(self, rank: int) -> None:
        request = conv((2, 3, *(6, 5, 4)[:rank]), (2, 3, *(3, 2, 3)[:rank]))
        x, w = integer_data(request)
        expected = [
            [signal.correlate(image, kernel, "valid", "direct")[0] for kernel in w] for image in x
        ]
        assert_array_equal(oracle.forward(request, x, w), expected)

    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_full_convolution_is_transposed(self, rank: int) -> None:
        request = transposed((1, 1, *(6, 5, 4)[:rank]), (1, 1, *(3, 2, 3)[:rank]))
        x, w = integer_data(request)
        expected = signal.convolve(x[0, 0], w[0, 0], "full", "direct")
        assert_array_equal(oracle.forward(request, x, w)[0, 0], expected)

    @pytest.mark.parametrize(
        ("mode", "name"),
        [
            ("zeros", "constant"),
            ("reflect", "mirror"),
            ("replicate", "nearest"),
            ("circular", "grid-wrap"),
        ],
    )
    def test_padding_modes(self, mode: PaddingMode, name: str) -> None:
        request = conv((1, 1, 6, 5), (1, 1, 5, 3), (2, 1), mode=mode)
        x, w = integer_data(request)
        expected = ndimage.correlate(x[0, 0], w[0, 0], mode=name)
        assert_array_equal(oracle.forward(request, x, w)[0, 0], expected)

    def test_filters(self) -> None:
        x = np.random.default_rng(0).normal(size=(1, 1, 7, 6))
        largest = ndimage.maximum_filter(x[0, 0], (3, 5), mode="constant", cval=-np.inf)
        request = pool("max_pool", x.shape, (3, 5), 1, (1, 2))
        assert_array_equal(oracle.forward(request, x)[0, 0], largest)
        mean = ndimage.uniform_filter(x[0, 0], (3, 5), mode="constant")
        request = pool("avg_pool", x.shape, (3, 5), 1, (1, 2))
        assert_allclose(oracle.forward(request, x)[0, 0], mean, atol=1e-14)


@pytest.mark.framework("torch")
class TestAgainstTorch:
    @pytest.mark.parametrize("op", OPS)
    @few
    @given(data=st.data(), seed=SEEDS)
    def test_forward_and_autograd(self, op: str, data: st.DataObject, seed: int) -> None:
        import torch

        request = data.draw(requests(ops=(op,), dtypes=("float64",), empty=False))
        assume(0 not in request.output_shape)
        arrays = real_data(request, seed)
        # PyTorch 2.13 writes beyond the gradient where a dilated window meets padding only.
        assume(np.isfinite(oracle.forward(request, *arrays)).all())
        tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
        output = _by_torch(request, *tensors)
        assert_allclose(oracle.forward(request, *arrays), output.detach(), rtol=1e-11, atol=1e-11)
        cotangent = integer_cotangent(request, seed)
        output.backward(torch.from_numpy(cotangent))
        for share, tensor in zip(oracle.vjp(request, cotangent, *arrays), tensors):
            assert_allclose(share, _gradient(tensor), rtol=1e-11, atol=1e-11)

    def test_reductions_of_infinities(self) -> None:
        import torch

        request = pool("max_pool", (1, 1, 4, 4), 3, 1, 1)
        x = np.full((1, 1, 4, 4), -np.inf)
        tensor = torch.from_numpy(x).requires_grad_()
        output: Any = torch.nn.functional.max_pool2d(tensor, 3, 1, 1)
        output.backward(torch.ones(1, 1, 4, 4))
        assert_array_equal(oracle.vjp(request, np.ones((1, 1, 4, 4)), x)[0], _gradient(tensor))


def _gradient(tensor: Any) -> Array:
    gradient: Array = tensor.grad.numpy()
    return gradient


def _by_torch(request: Request, x: Any, w: Any = None, b: Any = None) -> Any:
    """The request in PyTorch's words, which pads by hand wherever it can."""
    from torch.nn import functional

    rank, padding = request.rank, request.padding
    if isinstance(request, Conv):
        mode = "constant" if padding.mode == "zeros" else padding.mode
        padded = functional.pad(x, padding.last_axis_first, mode)
        function = getattr(functional, f"conv{rank}d")
        return function(padded, w, b, request.stride, 0, request.dilation, request.groups)
    if isinstance(request, ConvTranspose):
        function = getattr(functional, f"conv_transpose{rank}d")
        assume(all(e < max(s, d) for e, s, d in _extras(request)))
        full = function(x, w, None, request.stride, 0, 0, request.groups, request.dilation)
        trim = [
            side
            for (low, high), extra in zip(reversed(padding.pairs), reversed(request.output_padding))
            for side in (-low, extra - high)
        ]
        grown = functional.pad(full, [max(side, 0) for side in trim])
        result = functional.pad(grown, [min(side, 0) for side in trim])
        return result if b is None else result + b.reshape(-1, *(1,) * rank)
    assume(request.kind == "max" or max(request.dilation) == 1)
    by_hand = request.padding_value is not None
    if not by_hand and (request.ceil_mode or not request.count_include_pad):
        symmetric = padding.symmetric
        assume(symmetric is not None)
        assert symmetric is not None
        assume(all(0 <= p <= k // 2 for p, k in zip(symmetric, request.window)))
        # avg_pool3d wants the window to fit the input without its padding.
        assume(rank < 3 or all(k <= n for k, n in zip(request.window, request.spatial)))
    else:
        symmetric = (0,) * rank
        own = -float("inf") if request.kind == "max" else 0.0
        value = request.padding_value if request.padding_value is not None else own
        x = functional.pad(x, padding.last_axis_first, value=value)
    function = getattr(functional, f"{request.kind}_pool{rank}d")
    common = (x, request.window, request.stride, symmetric)
    if request.kind == "max":
        return function(*common, request.dilation, request.ceil_mode)
    return function(*common, request.ceil_mode, request.count_include_pad)


def _extras(request: ConvTranspose) -> Any:
    return zip(request.output_padding, request.stride, request.dilation)
