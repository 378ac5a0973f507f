"""What a case of pooling asks for: windows that slide, or adapt to a number of positions."""

from __future__ import annotations

from collections.abc import Iterable

from conformance import content, geometry
from conformance.dtypes import DTYPES
from conformance.options import Options, RequestError, make_padding, per_axis, required
from conformance.request import ADAPTIVE_POOLS, Padding, Pool, PoolOp

MEANINGLESS = {"avg": "average", "lp": "L^p norm"}


def pool(
    op: PoolOp, options: Options, input_shape: tuple[int, ...], dtype: str, unbatched: bool
) -> Pool:
    """The pooling that a case's options make.

    Raises:
        RequestError: something is missing, does not fit the operator, or has no meaning.
    """
    if op in ADAPTIVE_POOLS:
        result = _adaptive(op, options, input_shape, dtype, unbatched)
    else:
        result = _sliding(op, options, input_shape, dtype, unbatched)
    if result.kind != "max" and not DTYPES[dtype].floating:
        field = "dtype" if options.fields.dtype else "input.dtype"
        message = f"the {MEANINGLESS[result.kind]} of {dtype} has no agreed meaning; use a float"
        raise RequestError(field, message)
    if result.kind != "avg" and DTYPES[dtype].complex:
        field = "dtype" if options.fields.dtype else "input.dtype"
        raise RequestError(field, f"{op} of {dtype} has no agreed meaning; only averages have")
    return result


def _sliding(
    op: PoolOp, options: Options, input_shape: tuple[int, ...], dtype: str, unbatched: bool
) -> Pool:
    spatial = input_shape[2:]
    rank = len(spatial)
    given = required(options.get("window"), "window", "the size of the pooling window")
    window = per_axis(given, rank, "window") or ()
    stride = per_axis(options.get("stride"), rank, "stride") or window
    dilation = per_axis(options.get("dilation"), rank, "dilation") or (1,) * rank
    padding = make_padding(options, spatial, window, stride, dilation)
    if padding.word == "causal":
        raise RequestError("padding", "pooling has no 'causal' padding")
    ceil_mode = bool(options.get("ceil_mode"))
    if ceil_mode:
        _check_ceil_mode(spatial, window, dilation, padding)
    count = options.get("count_include_pad")
    norm = options.get("norm")
    result = Pool(
        input_shape, padding, stride, dilation, dtype, window, ceil_mode,
        True if count is None else count, options.get("padding_value"), options.get("divisor"),
        2.0 if norm is None else float(norm), op=op, unbatched=unbatched,
    )  # fmt: skip
    if result.indices and not all(_everywhere(result)):
        raise RequestError("padding", "a window lies in the padding, where no element has an index")
    return result


def _adaptive(
    op: PoolOp, options: Options, input_shape: tuple[int, ...], dtype: str, unbatched: bool
) -> Pool:
    spatial = input_shape[2:]
    rank = len(spatial)
    sizes = (1,) * rank
    if op.startswith("adaptive"):
        given = required(options.get("output_size"), "output_size", "how many positions there are")
        sizes = per_axis(given, rank, "output_size") or ()
    if 0 in spatial:
        raise RequestError("input", f"there is no element to pool in {content.shown(input_shape)}")
    windows = [geometry.adaptive_windows(n, m) for n, m in zip(spatial, sizes)]
    return Pool(
        input_shape,
        Padding(((0, 0),) * rank),
        tuple(max(n // m, 1) for n, m in zip(spatial, sizes)),
        (1,) * rank,
        dtype,
        tuple(max(end - start for start, end in axis) for axis in windows),
        output_size=sizes,
        op=op,
        unbatched=unbatched,
    )


def _check_ceil_mode(
    spatial: tuple[int, ...], window: tuple[int, ...], dilation: tuple[int, ...], padding: Padding
) -> None:
    for size, k, d, pair in zip(spatial, window, dilation, padding.pairs):
        effective = geometry.effective_window(k, d)
        if effective > size + sum(pair):
            raise RequestError(
                "window",
                f"a window of {effective} on {size + sum(pair)} padded elements is undefined in "
                "ceil mode; make the input larger",
            )


def _everywhere(r: Pool) -> Iterable[bool]:
    """Whether each window meets an element of the input, axis by axis."""
    axes = zip(r.spatial, r.window, r.stride, r.dilation, r.padding.pairs, r.output_shape[2:])
    for size, window, stride, dilation, (low, high), positions in axes:
        first, last = max(-low, 0), size + min(high, 0)
        for position in range(positions):
            start = position * stride - low
            yield any(first <= start + k * dilation < last for k in range(window))
