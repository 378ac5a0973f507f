"""The dtype of two operands together, against PyTorch's and JAX's own rule."""

from __future__ import annotations

import itertools

import pytest

from conformance.dtypes import DTYPES
from conformance.promotion import promoted

PAIRS = list(itertools.product(sorted(DTYPES), repeat=2))
UNSIGNED = {("uint16", other) for other in DTYPES} | {(other, "uint16") for other in DTYPES}


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_promotion_commutes_and_keeps_one_dtype(one: str, other: str) -> None:
    together = promoted(one, other)
    assert together in DTYPES
    assert together == promoted(other, one)
    assert promoted(together, one) == promoted(together, other) == together
    assert promoted(one, one) == one


@pytest.mark.backend("torch")
@pytest.mark.parametrize(("one", "other"), [pair for pair in PAIRS if pair not in UNSIGNED])
def test_promotion_is_that_of_torch(one: str, other: str) -> None:
    import torch

    left, right = (torch.ones(1, dtype=getattr(torch, name)) for name in (one, other))
    together = str(torch.result_type(left, right)).removeprefix("torch.")
    assert promoted(one, other) == together
