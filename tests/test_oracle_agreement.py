"""The oracle against independent implementations: plain loops, SciPy, and PyTorch's autograd."""

from __future__ import annotations

import dataclasses
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
from conformance.request import OPS, Conv, ConvTranspose, PaddingMode, Pool, Request
from conformance.worker.loading import load_adapter
from tests.builders import adaptive, conv, pool, transposed
from tests.strategies import integer_cotangent, integer_data, real_data, requests

LOOPS = load_adapter(Path(__file__).resolve().parents[1] / "backends" / "numpy")
MAXIMA = ("max_pool", "max_pool_indices", "adaptive_max_pool", "global_max_pool")
DTYPE_NAMES = ("float64", "float32", "float16", "int64", "int32", "int8", "uint8")
SEEDS = st.integers(0, 2**16)
quick = settings(max_examples=80, deadline=None)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])


def by_loops(request: Request, arrays: tuple[Array, ...], cotangent: Array | None) -> Any:
    lowering = LOOPS.apis[0].lower(request)
    assert isinstance(lowering.native, Program)
    namespace: dict[str, Any] = {}
    exec(lowering.native.source, namespace)
    return tuple(LOOPS.run(namespace, arrays, cotangent, "eager"))


def divides(request: Request) -> bool:
    """Whether gradients are fractions, so that the order of a sum shows."""
    return isinstance(request, Pool) and request.kind != "max"


def indices(request: Request) -> bool:
    return isinstance(request, Pool) and request.indices


class TestAgainstLoops:
    @pytest.mark.parametrize("op", OPS)
    @quick
    @given(data=st.data(), seed=SEEDS)
    def test_integers_are_bit_exact(self, op: str, data: st.DataObject, seed: int) -> None:
        request = data.draw(requests(ops=(op,), dtypes=DTYPE_NAMES))
        dtype = DTYPES[request.dtype]
        arrays, cotangent = integer_data(request, seed), integer_cotangent(request, seed)
        output, *rest = by_loops(request, arrays, None if indices(request) else cotangent)
        result = oracle.forward(request, *arrays)
        assert result.shape == request.output_shape
        floating = DTYPES[request.result_dtype].floating
        assert result.dtype == (np.float64 if floating else np.int64)
        roundoff = 8 * dtype.unit_roundoff
        if op == "lp_pool":
            assert_allclose(cast(result, dtype), output, rtol=roundoff)
        else:
            assert_array_equal(cast(result, DTYPES[request.result_dtype]), output)
        if indices(request):
            with pytest.raises(ValueError, match="no gradient"):
                oracle.vjp(request, cotangent, *arrays)
            return
        [gradients] = rest
        shares = oracle.vjp(request, cotangent, *arrays)
        assert len(shares) == len(arrays)
        for share, gradient, array in zip(shares, gradients, arrays):
            assert share.shape == array.shape
            if divides(request):
                assert_allclose(cast(share, dtype), gradient, rtol=roundoff, atol=1e-13)
            else:
                assert_array_equal(cast(share, dtype), gradient)

    @quick
    @given(request_=requests(dtypes=("float64",)), seed=SEEDS)
    def test_real_data(self, request_: Request, seed: int) -> None:
        arrays, cotangent = real_data(request_, seed), integer_cotangent(request_, seed)
        output, *rest = by_loops(request_, arrays, None if indices(request_) else cotangent)
        assert_allclose(oracle.forward(request_, *arrays), output, rtol=1e-12, atol=1e-12)
        for gradients in rest:
            for share, gradient in zip(oracle.vjp(request_, cotangent, *arrays), gradients):
                assert_allclose(share, gradient, rtol=1e-12, atol=1e-12)

    @quick
    @given(request_=requests(ops=MAXIMA, dtypes=("float64",)), seed=SEEDS)
    def test_special_values_in_maxima(self, request_: Request, seed: int) -> None:
        values = np.array([np.nan, -np.inf, np.inf, 0.0, 1.0])
        x = np.random.default_rng(seed).choice(values, request_.input_shape)
        cotangent = None if indices(request_) else integer_cotangent(request_, seed)
        output, *rest = by_loops(request_, (x,), cotangent)
        assert_array_equal(oracle.forward(request_, x), output)
        for [gradient] in rest:
            assert cotangent is not None
            assert_array_equal(oracle.vjp(request_, cotangent, x)[0], gradient)

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
    def test_a_flipped_kernel_is_convolution(self, rank: int) -> None:
        request = conv((1, 1, *(6, 5, 4)[:rank]), (1, 1, *(3, 2, 3)[:rank]))
        flipped = dataclasses.replace(request, flipped=True)
        x, w = integer_data(request)
        expected = signal.convolve(x[0, 0], w[0, 0], "valid", "direct")
        assert_array_equal(oracle.forward(flipped, x, w)[0, 0], expected)
        cotangent, axes = integer_cotangent(request), tuple(range(2, rank + 2))
        dx, dw = oracle.vjp(flipped, cotangent, x, w)
        wanted = oracle.vjp(request, cotangent, x, np.flip(w, axes))
        assert_array_equal(dx, wanted[0])
        assert_array_equal(dw, np.flip(wanted[1], axes))

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
        request = pool("avg_pool", x.shape, (3, 5), 1, (1, 2), divisor=6)
        assert_allclose(oracle.forward(request, x)[0, 0], mean * 15 / 6, atol=1e-14)

    @pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
    def test_norms(self, p: float) -> None:
        x = np.random.default_rng(0).normal(size=(1, 1, 7, 6))
        sizes = ndimage.generic_filter(
            x[0, 0], lambda seen: np.linalg.norm(seen, p), (3, 5), mode="constant"
        )
        request = pool("lp_pool", x.shape, (3, 5), 1, (1, 2), norm=p)
        assert_allclose(oracle.forward(request, x)[0, 0], sizes, rtol=1e-13)

    @pytest.mark.parametrize("rank", [1, 2, 3])
    def test_global_pooling(self, rank: int) -> None:
        sizes = (4, 5, 6)[:rank]
        x = np.random.default_rng(0).permutation(np.prod(sizes)).reshape(1, 1, *sizes) - 9.0
        place = ndimage.maximum_position(x[0, 0])
        request = pool("max_pool_indices", x.shape, x.shape[2:])
        assert oracle.forward(request, x).item() == np.ravel_multi_index(place, x.shape[2:])
        largest = oracle.forward(adaptive("global_max_pool", x.shape), x)
        assert largest.item() == ndimage.maximum(x[0, 0])
        mean = oracle.forward(adaptive("global_avg_pool", x.shape), x)
        assert_allclose(mean.item(), ndimage.mean(x[0, 0]), rtol=1e-14)


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
        if indices(request):
            return
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
    if request.output_size is not None:
        function = getattr(functional, f"adaptive_{request.kind}_pool{rank}d")
        return function(x, request.output_size)
    if request.kind == "lp":
        return _norms_by_torch(request, x)
    assume(request.kind == "max" or max(request.dilation) == 1)
    by_hand = request.padding_value is not None
    if not by_hand and (request.ceil_mode or not request.count_include_pad or request.indices):
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
    if request.indices:
        return function(*common, request.dilation, request.ceil_mode, return_indices=True)[1]
    if request.kind == "max":
        return function(*common, request.dilation, request.ceil_mode)
    if request.divisor is None or rank > 1:
        words = {} if request.divisor is None else {"divisor_override": request.divisor}
        return function(*common, request.ceil_mode, request.count_include_pad, **words)
    [window], [stride], [pad] = request.window, request.stride, symmetric
    lifted = functional.avg_pool2d(
        x[..., None],
        (window, 1),
        (stride, 1),
        (pad, 0),
        request.ceil_mode,
        divisor_override=request.divisor,
    )
    return lifted[..., 0]


def _norms_by_torch(request: Pool, x: Any) -> Any:
    """Norms of unfolded windows; the overhang of ceil mode is padded with zeros."""
    import torch
    from torch.nn import functional

    spans = [(k - 1) * d + 1 for k, d in zip(request.window, request.dilation)]
    sides = []
    for size, span, stride, (low, _), count in zip(
        request.spatial, spans, request.stride, request.padding.pairs, request.output_shape[2:]
    ):
        sides.append((low, (count - 1) * stride + span - size - low))
    # A crop comes first: what it cuts off, the overhang must not reach again.
    crop = [min(side, 0) for side in request.padding.last_axis_first]
    grow = [
        side - cut for side, cut in zip((side for pair in reversed(sides) for side in pair), crop)
    ]
    windows = functional.pad(functional.pad(x, crop), grow)
    for axis, (span, stride) in enumerate(zip(spans, request.stride)):
        windows = windows.unfold(2 + axis, span, stride)
    for axis, step in enumerate(request.dilation):
        index = torch.arange(0, spans[axis], step)
        windows = windows.index_select(2 + request.rank + axis, index)
    return torch.linalg.vector_norm(windows.flatten(2 + request.rank), request.norm, dim=-1)


def _extras(request: ConvTranspose) -> Any:
    return zip(request.output_padding, request.stride, request.dilation)
