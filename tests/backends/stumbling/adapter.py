"""Plain loops that stumble: each API has one fault, at strides above one or in its glue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance import content
from conformance.adapter import Lowering, Program
from conformance.request import Conv, Request
from conformance.worker.loading import load_adapter

NUMPY = load_adapter(content.root("backends") / "numpy")
LOOPS = NUMPY.apis[0]
Change = Callable[[str], str]


def replaced(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


FAULTS: dict[str, Change] = {
    "flipping": replaced("return conv(x, w", "return conv(x, w[:, :, ::-1, ::-1]"),
    "doubling": replaced("return conv_vjp(dy,", "return conv_vjp(2 * dy,"),
    "refusing": replaced(
        "return conv(x, w", 'raise ValueError("no strides")\n    return conv(x, w'
    ),
    "aborting": replaced("return conv(x, w", "import os; os.abort()\n    return conv(x, w"),
    "right": lambda text: text,
}


class Stumbling(type(LOOPS)):  # type: ignore[misc]
    """One fault at strides above one."""

    def __init__(self, name: str) -> None:
        self.name, self.fault = f"stumbling.{name}", FAULTS[name]

    def lower(self, request: Request) -> Lowering:
        """The loops, with the fault."""
        lowering: Lowering = super().lower(request)
        native = lowering.native
        if isinstance(request, Conv) and max(request.stride) > 1 and isinstance(native, Program):
            return Lowering(Program(self.fault(native.source)))
        return lowering


class Gluing(Stumbling):
    """A ReLU that is none."""

    glue = replace(LOOPS.glue, relu="np.maximum({x}, 1)")  # type: ignore[type-var]


class StumblingAdapter(type(NUMPY)):  # type: ignore[misc]
    """NumPy's loops, and faults."""

    name = "stumbling"

    def __init__(self) -> None:
        gluing = Gluing("right")
        gluing.name = "stumbling.gluing"
        self.apis = (*map(Stumbling, FAULTS), gluing)


adapter = StumblingAdapter()
