"""Data formats in calls of ``tf.nn``: where the spatial axes are."""

from __future__ import annotations

from typing import Any

from conformance.translation.calls import CallError
from conformance.translation.reading import Draft

WORDS = {"SAME": "same", "VALID": "valid"}
FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


class Format:
    """Where the spatial axes are among all axes."""

    def __init__(self, draft: Draft, data_format: str | None, *said: int | None) -> None:
        known = {name: rank for rank, names in FORMATS.items() for name in names}
        if data_format is not None and data_format not in known:
            raise CallError(f"there are {', '.join(known)}", about="data_format")
        rank = draft.settle(known[data_format] if data_format else None, *said)
        if data_format is not None and known[data_format] != rank:
            raise CallError(f"{draft.name} takes {' or '.join(FORMATS[rank])}", about="data_format")
        self.draft, self.rank = draft, rank
        self.first = data_format is not None and data_format[1] == "C"
        if self.first:
            draft.note("the call's arrays are channels first")

    def inner(self, values: Any) -> Any:
        """The entries of the spatial axes, of values for all axes."""
        return values[2:] if self.first else values[1:-1]

    def outer(self, values: Any) -> tuple[Any, Any]:
        """The entries of batch and channels."""
        return values[0], values[1 if self.first else -1]

    def axes(self, values: Any, about: str, default: int = 1) -> tuple[int, ...]:
        """A number for all axes, one per spatial axis, or one per axis of the tensor."""
        values = default if values is None else values
        if isinstance(values, tuple) and len(values) == self.rank + 2:
            if self.outer(values) != (1, 1):
                raise CallError("batch and channels are given 1", about=about)
            values = self.inner(values)
        if isinstance(values, tuple) and len(values) == 1:
            values = values[0]
        return self.draft.axes(values, about)

    def padding(self, padding: Any) -> Any:
        """The padding in a case's words."""
        if isinstance(padding, str):
            if padding not in WORDS:
                raise CallError("there are 'SAME' and 'VALID'", about="padding")
            return WORDS[padding]
        if len(padding) != self.rank + 2 or self.outer(padding) != ((0, 0), (0, 0)):
            message = "a pair per axis is needed, (0, 0) for batch and channels"
            raise CallError(message, about="padding")
        return self.inner(padding)


def length(value: Any) -> int | None:
    """How many numbers are given, None where one stands for all."""
    return len(value) if isinstance(value, tuple) and len(value) > 1 else None
