"""Requests from plain values, for programs that use the suite as a library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pydantic

from conformance import misfits, resolve, schema
from conformance.request import Request


def make_request(
    op: str,
    input_shape: Sequence[int],
    *,
    kernel: Sequence[int] | None = None,
    bias: bool = False,
    dtype: str = "float32",
    **options: Any,
) -> Request:
    """A request with the words of a case file.

        make_request("conv", (1, 3, 8, 8), kernel=(4, 3, 3, 3), padding="same", stride=2)

    Args:
        op: One of `conformance.request.OPS`: ``conv``, ``max_pool``, ….
        input_shape: Shape ``(N, C, *spatial)``.
        kernel: Shape ``(O, C / groups, *window)``, of a transposed convolution
            ``(C, O / groups, *window)``; none for pooling.
        bias: Whether there is one.
        dtype: Name of the element type.
        options: ``padding``, ``padding_mode``, ``stride``, ``dilation``, ``groups``,
            ``output_padding``, ``output_size``, ``window``, ``ceil_mode``,
            ``count_include_pad``, ``divisor``, ``norm``, ``padding_value``, ``unbatched``, as in
            a case file.

    Raises:
        ValueError: an option is wrong or does not fit; it names the option.
    """
    own = {name: _plain(value) for name, value in options.items()}
    value = own.pop("padding_value", None)
    fields: dict[str, Any] = {
        **own,
        "op": op,
        "input": {"shape": list(input_shape)},
        "dtype": dtype,
    }
    if kernel is not None:
        fields["kernel"] = {"shape": list(kernel)}
    if bias:
        fields["bias"] = True
    try:
        parsed = schema.Fields.model_validate(fields)
        edit = schema.Options.model_validate({"padding_value": value})
    except pydantic.ValidationError as error:
        message, place = misfits.explain(error, fields, schema.Fields)
        raise ValueError(f"{'.'.join(map(str, place))}: {message}") from None
    try:
        return resolve.request(parsed, edit)
    except resolve.RequestError as error:
        raise ValueError(f"{error.field}: {error.message}") from None


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
