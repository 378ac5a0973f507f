"""What programs of JAX and Flax say: no framework is needed to read them."""

from __future__ import annotations

import pytest

from conformance import make_request
from conformance.adapter import Lowering, Program, Unsupported
from conformance.content import root
from conformance.source import source
from conformance.worker.loading import load_adapter

APIS = {
    api.name: api
    for backend in ("jax", "flax")
    for api in load_adapter(root("backends") / backend).apis
}


def lowered(api: str, op: str, shape: tuple[int, ...], **options: object) -> Lowering:
    return APIS[api].lower(make_request(op, shape, **options))  # type: ignore[arg-type]


def text(program: Program | Unsupported | None) -> str:
    assert isinstance(program, Program)
    return program.source


def test_functions_stand_two_lines_below_what_precedes_them() -> None:
    request = make_request("max_pool", (1, 1, 4), window=2)
    program = source(
        request, "import numpy as np", "f(x)", setup="n = 1\n\ndef f(x):\n    return x"
    )
    assert "import numpy as np\n\nn = 1\n\n\ndef f(x):\n    return x\n\n\ndef forward(x):" in text(
        program
    )


@pytest.mark.parametrize(
    ("api", "call"),
    [
        ("jax.lax", "lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 3), (1, 2, 3), "),
        ("flax.linen", "nn.max_pool(x, (2, 3), strides=(2, 3)"),
        ("flax.nnx", "nnx.max_pool(x, (2, 3), strides=(2, 3)"),
    ],
)
def test_poolings_take_an_image_without_a_batch(api: str, call: str) -> None:
    options = {"window": [2, 3], "unbatched": True}
    assert call in text(lowered(api, "max_pool", (1, 2, 4, 6), **options).native)


def test_only_layers_convolve_an_image_without_a_batch() -> None:
    options = {"kernel": (3, 2, 3), "unbatched": True}
    lax, layer = (lowered(api, "conv", (1, 2, 8), **options) for api in ("jax.lax", "flax.nnx"))
    assert isinstance(lax.native, Unsupported)
    assert "batched(x[None], w)[0]" in text(lax.emulated)
    assert "None" not in text(layer.native)


def test_flax_says_causal_on_one_axis() -> None:
    options = {"padding": "causal", "dilation": 2}
    one = lowered("flax.nnx", "conv", (1, 2, 8), kernel=(3, 2, 3), **options)
    two = lowered("flax.nnx", "conv", (1, 2, 8, 8), kernel=(3, 2, 3, 3), **options)
    assert 'padding="CAUSAL"' in text(one.native)
    assert "padding=((4, 0), (4, 0))" in text(two.native)


@pytest.mark.parametrize("api", sorted(APIS))
def test_only_windows_of_several_sizes_are_masked(api: str) -> None:
    even = lowered(api, "adaptive_avg_pool", (1, 2, 4, 6), output_size=[2, 3])
    uneven = lowered(api, "adaptive_avg_pool", (1, 2, 5, 6), output_size=[2, 3])
    assert "where=" not in text(even.emulated)
    assert "where=" in text(uneven.emulated)


@pytest.mark.parametrize("api", sorted(APIS))
def test_whole_axes_are_reduced_however_they_are_asked_for(api: str) -> None:
    for kind in ("max", "avg"):
        whole = lowered(api, f"global_{kind}_pool", (1, 2, 4, 6))
        one = lowered(api, f"adaptive_{kind}_pool", (1, 2, 4, 6), output_size=1)
        assert text(whole.emulated) == text(one.emulated)
        assert isinstance(whole.native, Unsupported)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8"])
def test_indices_need_wide_integers(dtype: str) -> None:
    indices = lowered("jax.lax", "max_pool_indices", (1, 2, 6), window=2, dtype=dtype)
    assert 'jax.config.update("jax_enable_x64", True)' in text(indices.emulated)
    assert ("isnan" in text(indices.emulated)) == (dtype != "int8")


def test_a_divisor_is_what_sums_are_divided_by() -> None:
    options = {"window": 3, "divisor": 4}
    lax, layer = (lowered(api, "avg_pool", (1, 2, 9), **options) for api in ("jax.lax", "flax.nnx"))
    assert text(lax.native).rstrip().endswith("/ 4")
    assert isinstance(layer.native, Unsupported)
    assert layer.native.reason == "Flax pooling has no divisor"
    assert text(layer.emulated).rstrip().endswith("/ 4")
