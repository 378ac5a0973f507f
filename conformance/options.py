"""What a case's options mean, axis by axis: errors, numbers per axis, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance import content, geometry, schema
from conformance.geometry import Pair
from conformance.request import Padding, PaddingMode, PaddingWord

COMMON = {"padding", "padding_mode", "stride", "dilation"}
KERNEL = COMMON | {"kernel", "bias", "groups"}
WINDOW = COMMON | {"window", "ceil_mode"}
OWN: dict[str, set[str]] = {
    "conv": KERNEL | {"flipped"},
    "conv_transpose": KERNEL | {"output_padding", "output_size"},
    "max_pool": WINDOW | {"padding_value"},
    "avg_pool": WINDOW | {"padding_value", "count_include_pad", "divisor"},
    "lp_pool": WINDOW | {"norm"},
    "max_pool_indices": WINDOW,
    "adaptive_max_pool": {"output_size"},
    "adaptive_avg_pool": {"output_size"},
    "global_max_pool": set(),
    "global_avg_pool": set(),
}
"""What each operator's cases may say, besides its data."""


class RequestError(ValueError):
    """A request that cannot be meant: ``field`` names the part of the case at fault, dotted."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


class Options:
    """A case's options, an edit's first."""

    def __init__(self, fields: schema.Fields, edit: schema.Options | None) -> None:
        self.fields, self.edit = fields, edit

    def get(self, name: str) -> Any:
        """The value of an option, None where it is not given."""
        changed = getattr(self.edit, name, None)
        return changed if changed is not None else getattr(self.fields, name, None)


def required(value: Any, field: str, form: str) -> Any:
    """The value of a field that must be there."""
    if value is None:
        raise RequestError(field, f"{field!r} is missing: {form}")
    return value


def per_axis(value: int | Sequence[int] | None, rank: int, field: str) -> tuple[int, ...] | None:
    """One number per spatial axis."""
    if value is None:
        return None
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        raise RequestError(
            field,
            f"{_entries(rank)} needed, one per spatial axis, or a single number "
            f"(got {content.shown(value)})",
        )
    return tuple(value)


def refuse_foreign(op: str, options: Options) -> None:
    """Refuse options that mean nothing for the operator."""
    known = (*schema.Options.model_fields, "kernel", "bias")
    for name in known:
        if name not in OWN[op] and options.get(name) is not None:
            raise RequestError(name, f"{op} has no {name!r}; remove it")
    mode = options.get("padding_mode")
    if op != "conv" and mode not in (None, "zeros"):
        raise RequestError("padding_mode", f"{op} has no padding mode {mode!r}, only 'zeros'")


def _elements(number: int) -> str:
    return f"{number} element{'s' * (number != 1)}"


def _entries(number: int) -> str:
    return "1 entry is" if number == 1 else f"{number} entries are"


def per_side(value: Any, rank: int) -> tuple[Pair, ...]:
    """Padding before and after each spatial axis."""
    sides = [value] * rank if isinstance(value, int) else value
    if len(sides) != rank:
        raise RequestError(
            "padding",
            f"{_entries(rank)} needed, one per spatial axis, each a number or [before, after] "
            f"(got {content.shown(value)})",
        )
    return tuple((side, side) if isinstance(side, int) else (side[0], side[1]) for side in sides)


def make_padding(
    options: Options,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Padding:
    """The padding of a convolution or a pooling, by the rules of `geometry`."""
    value = options.get("padding")
    mode: PaddingMode = options.get("padding_mode") or "zeros"
    word: PaddingWord = value if isinstance(value, str) else "explicit"  # type: ignore[assignment]
    if value is None or value == "valid":
        pairs: tuple[Pair, ...] = ((0, 0),) * len(spatial)
    elif value == "causal":
        pairs = tuple((geometry.effective_window(k, d) - 1, 0) for k, d in zip(window, dilation))
    elif isinstance(value, str):
        lower = value == "same_lower"
        pairs = tuple(
            geometry.same_pads(*sizes, lower) for sizes in zip(spatial, window, stride, dilation)
        )
    else:
        pairs = per_side(value, len(spatial))
    for size, pair in zip(spatial, pairs):
        if size + min(pair[0], 0) + min(pair[1], 0) < 0:
            raise RequestError(
                "padding", f"{list(pair)} crops more than the {_elements(size)} there are"
            )
        if mode != "zeros" and min(pair) < 0:
            raise RequestError("padding", f"negative padding crops; it has no mode {mode!r}")
        if mode == "replicate" and size == 0 and max(pair) > 0:
            raise RequestError("padding", "there is no element to replicate")
        if size == 0 and mode in ("reflect", "circular") and max(pair) > 0:
            raise RequestError("padding", f"there is no element for {mode!r} padding")
    return Padding(pairs, word, mode)
