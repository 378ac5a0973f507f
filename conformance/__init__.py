"""Conformance tests for convolution and pooling across machine-learning frameworks.

As a library, for a framework's own tests::

    from conformance import explain, make_request, oracle

    request = make_request("conv", x.shape, kernel=w.shape, padding="same", stride=2)
    expected = oracle.forward(request, x, w)
    print(explain(observed, request, (x, w)))

Names are imported when they are used: a worker needs few of them, and little but NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance import oracle
    from conformance.explanation import Explanation, explain
    from conformance.make import make_request
    from conformance.request import Conv, ConvTranspose, Padding, Pool, Request

__version__ = "0.1.0"
__all__ = [
    "Conv",
    "ConvTranspose",
    "Explanation",
    "Padding",
    "Pool",
    "Request",
    "explain",
    "make_request",
    "oracle",
]

_HOMES = {
    "explain": "explanation",
    "Explanation": "explanation",
    "make_request": "make",
    **dict.fromkeys(("Conv", "ConvTranspose", "Padding", "Pool", "Request"), "request"),
}


def __getattr__(name: str) -> Any:
    if name == "oracle":
        return importlib.import_module("conformance.oracle")
    if name not in _HOMES:
        raise AttributeError(f"module 'conformance' has no attribute {name!r}")
    return getattr(importlib.import_module(f"conformance.{_HOMES[name]}"), name)
