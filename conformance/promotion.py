"""The dtype that operands of two dtypes have together.

The rule of JAX and PyTorch, whose results do not depend on values: complex before floating before
integer, the wider of one kind, and the narrowest signed integer that holds both a signed and an
unsigned one (https://docs.jax.dev/en/latest/jep/9407-type-promotion.html,
https://docs.pytorch.org/docs/stable/tensor_attributes.html). Standard library only.
"""

from __future__ import annotations

import re

KINDS = ("uint", "int", "bfloat", "float", "complex")


def promoted(one: str, other: str) -> str:
    """The name of the dtype that two dtypes are promoted to.

    >>> promoted("float16", "bfloat16"), promoted("int32", "float16"), promoted("uint8", "int8")
    ('float32', 'float16', 'int16')
    """
    if one == other:
        return one
    (low, narrow), (high, wide) = sorted(map(_split, (one, other)))
    kind = KINDS[high]
    if kind in ("uint", "int"):
        same = low == high
        bits = max(narrow, wide) if same or wide > narrow else 2 * narrow
        return f"{kind}{min(bits, 64)}"
    if low < KINDS.index("bfloat"):
        return f"{kind}{wide}"
    if kind == "complex":
        part = narrow // 2 if KINDS[low] == "complex" else narrow
        return f"complex{max(wide, 2 * part, 64)}"
    if narrow == wide:
        return "float32"
    return f"float{max(narrow, wide)}"


def _split(name: str) -> tuple[int, int]:
    found = re.fullmatch(r"([a-z]+)(\d+)", name)
    assert found is not None
    return KINDS.index(found[1]), int(found[2])
