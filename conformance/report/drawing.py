"""Which input elements each output element is made of, along every axis, for the page to draw."""

from __future__ import annotations

from conformance import geometry
from conformance.report.model import Grid
from conformance.request import ConvTranspose, Pool, Request
from conformance.side_by_side import arithmetic
from conformance.side_by_side.arithmetic import Axis

LIMIT = 24
"""Elements of an axis that a drawing holds."""


def grids(request: Request) -> tuple[Grid, ...]:
    """The positions of windows along each spatial axis, the outermost first.

    The positions are those of `conformance.geometry`: window o starts at ``o·stride − pad before``
    and takes every dilation-th element; of a transposed convolution, element i is spread over the
    outputs from ``i·stride − pad before`` on.
    """
    found = []
    for at, axis in enumerate(arithmetic.axes(request)):
        outputs = range(min(axis.output, LIMIT))
        if isinstance(request, Pool) and request.output_size is not None:
            windows = geometry.adaptive_windows(axis.size, axis.output)
            taps = [tuple(range(*windows[o])) for o in outputs]
        elif isinstance(request, ConvTranspose):
            taps = [_spread(axis, o) for o in outputs]
        else:
            starts = (o * axis.stride - axis.pads[0] for o in outputs)
            steps = [k * axis.dilation for k in range(axis.window)]
            taps = [tuple(start + step for step in steps) for start in starts]
        pads = (0, 0) if isinstance(request, ConvTranspose) else axis.pads
        assert axis.output == request.output_shape[2 + at]
        found.append(Grid(axis, axis.size, pads, tuple(taps)))
    return tuple(found)


def _spread(axis: Axis, output: int) -> tuple[int, ...]:
    """The input elements that a transposed convolution adds up in one output element."""
    reach = range(axis.window)
    starts = (output + axis.pads[0] - k * axis.dilation for k in reach)
    hits = {start // axis.stride for start in starts if start % axis.stride == 0}
    return tuple(sorted(i for i in hits if 0 <= i < axis.size))
