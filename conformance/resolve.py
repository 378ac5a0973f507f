"""From a case's words to a request: defaults filled in, padding made explicit, all checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from conformance import content, data, geometry, reductions, resolve_pool, schema
from conformance.data import TensorData
from conformance.dtypes import DTYPES
from conformance.options import (
    Options,
    RequestError,
    make_padding,
    per_axis,
    per_side,
    refuse_foreign,
    required,
)
from conformance.promotion import promoted
from conformance.request import (
    OPS,
    POOLS,
    Conv,
    ConvTranspose,
    Padding,
    PaddingWord,
    Pool,
    Request,
)

__all__ = ["RequestError", "cotangent", "request", "tensors"]

ELEMENT_LIMIT = 2**26
WORK_LIMIT = 2**42


def request(fields: schema.Fields, edit: schema.Options | None = None) -> Request:
    """The request that a case's fields make, with an edit's options in place of the case's.

    Raises:
        RequestError: something is missing, does not fit the operator, or has no meaning.
    """
    op = required(fields.op, "op", f"one of {', '.join(OPS)}")
    if op not in OPS:
        raise RequestError("op", f"a {op} is no single request; name one of {', '.join(OPS)}")
    options = Options(fields, edit)
    input_shape = shape_of(fields.input, "input", f"{op} needs an input")
    rank = len(input_shape) - 2
    if rank not in (1, 2, 3):
        raise RequestError(
            _shape_field(fields.input, "input"),
            "the shape is (batch, channels, 1 to 3 spatial sizes), got "
            f"{content.shown(input_shape)}",
        )
    refuse_foreign(op, options)
    dtype = dtype_of(fields)
    _check_accumulation(fields, dtype)
    _check_batch(fields, input_shape)
    result: Request
    if op in POOLS:
        result = resolve_pool.pool(op, options, input_shape, dtype, fields.unbatched)
    else:
        result = _convolution(fields, options, input_shape, dtype)
    _check_size(result)
    return result


def _convolution(
    fields: schema.Fields, options: Options, input_shape: tuple[int, ...], dtype: str
) -> Conv | ConvTranspose:
    assert fields.op is not None
    rank = len(input_shape) - 2
    kernel_shape = _kernel_shape(fields.op, fields, rank)
    kernel_dtype = _kernel_dtype(fields, dtype)
    stride = per_axis(options.get("stride"), rank, "stride") or (1,) * rank
    dilation = per_axis(options.get("dilation"), rank, "dilation") or (1,) * rank
    groups = options.get("groups") or 1
    if fields.op == "conv_transpose":
        _check_channels(kernel_shape[0], kernel_shape[1] * groups, input_shape[1], groups)
        steps = (kernel_shape, stride, dilation)
        result = _conv_transpose(fields, options, input_shape, *steps, groups, dtype)
        return replace(result, kernel_dtype=kernel_dtype)
    _check_channels(kernel_shape[1] * groups, kernel_shape[0], input_shape[1], groups)
    padding = make_padding(options, input_shape[2:], kernel_shape[2:], stride, dilation)
    return Conv(
        input_shape, padding, stride, dilation, dtype, kernel_shape, groups, bool(fields.bias),
        flipped=bool(options.get("flipped")), unbatched=fields.unbatched,
        kernel_dtype=kernel_dtype,
    )  # fmt: skip


def tensors(fields: schema.Fields, resolved: Request) -> tuple[TensorData, ...]:
    """The request's inputs in the order of ``forward``'s parameters: x, w, b.

    Raises:
        RequestError: a shape or literal data do not fit the request.
    """
    specs: list[tuple[str, str, tuple[int, ...], schema.Tensor]] = []
    assert fields.input is not None
    specs.append(("x", "input", resolved.input_shape, fields.input))
    if not isinstance(resolved, Pool):
        assert fields.kernel is not None
        specs.append(("w", "kernel", resolved.kernel_shape, fields.kernel))
        if resolved.bias:
            spec = fields.bias if isinstance(fields.bias, schema.Tensor) else schema.Tensor()
            specs.append(("b", "bias", (resolved.out_channels,), spec))
    return tuple(_tensor(*spec, resolved) for spec in specs)


def cotangent(fields: schema.Fields, resolved: Request) -> TensorData | None:
    """The cotangent of the case's VJP, or None where gradients are not checked."""
    if fields.vjp is False:
        return None
    if not isinstance(resolved, Pool) and resolved.mixed:
        if fields.vjp:
            raise RequestError("vjp", "operands of two dtypes are checked forward only; remove it")
        return None
    if not DTYPES[resolved.result_dtype].floating:
        if fields.vjp:
            raise RequestError("vjp", f"{resolved.result_dtype} has no gradients; leave 'vjp' out")
        return None
    if DTYPES[resolved.result_dtype].complex:
        if fields.vjp:
            message = "frameworks disagree whether complex gradients are conjugated; remove it"
            raise RequestError("vjp", message)
        return None
    spec = fields.cotangent or schema.Tensor()
    return _tensor("y", "cotangent", resolved.output_shape, spec, resolved)


def shape_of(spec: schema.Tensor | None, field: str, need: str) -> tuple[int, ...]:
    """The shape that a tensor's specification gives; ``need`` is told where there is none."""
    if spec is None:
        raise RequestError(
            field, f"{field!r} is missing: {need}" if need else f"{field!r} is missing"
        )
    if spec.shape is not None:
        shape = tuple(spec.shape)
    elif spec.values is not None:
        try:
            shape = data.literal(spec.values, float).shape
        except data.DataError as error:
            raise RequestError(f"{field}.values", str(error)) from None
    else:
        raise RequestError(field, f"{field!r} needs a 'shape' or 'values'")
    if _volume(shape) > ELEMENT_LIMIT:
        raise RequestError(
            f"{field}.shape",
            f"{content.shown(shape)} has more than {ELEMENT_LIMIT:,} elements, the most a case "
            "may have",
        )
    return shape


def _shape_field(spec: schema.Tensor | None, field: str) -> str:
    return f"{field}.shape" if spec is not None and spec.shape is not None else f"{field}.values"


def _volume(shape: Sequence[int]) -> int:
    """Number of elements; an axis without any counts as one, as NumPy bounds the others too."""
    return math.prod(max(size, 1) for size in shape)


def dtype_of(fields: schema.Fields) -> str:
    """The dtype of a case: its own, else that of its tensors."""
    """The input's dtype; all others' where they name none."""
    named = [
        (name, spec.dtype)
        for name in ("input", "kernel", "bias", "cotangent")
        if isinstance(spec := getattr(fields, name), schema.Tensor) and spec.dtype is not None
    ]
    dtype = fields.dtype or (named[0][1] if named else "float32")
    for name, other in named:
        if name == "input" and other != dtype:
            message = f"its dtype is {other}, the case's is {dtype}; use one dtype"
            raise RequestError("input.dtype", message)
    return dtype


def _kernel_dtype(fields: schema.Fields, dtype: str) -> str | None:
    """The kernel's dtype where it is not the input's.

    Raises:
        RequestError: bias or cotangent are not of the dtype that the two have together.
    """
    own = fields.kernel.dtype if fields.kernel is not None else None
    together = promoted(dtype, own or dtype)
    for name in ("bias", "cotangent"):
        spec = getattr(fields, name)
        if isinstance(spec, schema.Tensor) and spec.dtype not in (None, together):
            message = f"its dtype is {spec.dtype}, the output's is {together}; use that"
            raise RequestError(f"{name}.dtype", message)
    return None if own == dtype else own


def _check_accumulation(fields: schema.Fields, dtype: str) -> None:
    sums = fields.accumulation
    if sums is None:
        return
    if not DTYPES[dtype].floating:
        raise RequestError("accumulation", f"sums of {dtype} wrap and are exact; remove it")
    if DTYPES[sums].precision < DTYPES[dtype].precision:
        raise RequestError("accumulation", f"{sums} is narrower than the case's {dtype}")


def _check_batch(fields: schema.Fields, input_shape: tuple[int, ...]) -> None:
    if fields.unbatched and input_shape[0] != 1:
        message = f"only a batch of one can do without its axis, this one has {input_shape[0]}"
        raise RequestError("unbatched", message)
    if fields.unbatched and fields.view == "batch":
        raise RequestError("view", "an input without a batch axis is no part of a batch")


def _kernel_shape(op: str, fields: schema.Fields, rank: int) -> tuple[int, ...]:
    kernel_shape = shape_of(fields.kernel, "kernel", f"{op} needs a kernel")
    if len(kernel_shape) != rank + 2:
        raise RequestError(
            _shape_field(fields.kernel, "kernel"),
            f"a kernel for an input with {rank} spatial ax{'i' if rank == 1 else 'e'}s has "
            f"{rank + 2} axes, got {content.shown(kernel_shape)}",
        )
    if 0 in kernel_shape[2:]:
        message = f"a window has at least one element, got {list(kernel_shape)}"
        raise RequestError(_shape_field(fields.kernel, "kernel"), message)
    return kernel_shape


def _conv_transpose(
    fields: schema.Fields,
    options: Options,
    input_shape: tuple[int, ...],
    kernel_shape: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    dtype: str,
) -> ConvTranspose:
    window, rank = kernel_shape[2:], len(stride)
    given, size = options.get("output_padding"), options.get("output_size")
    value = options.get("padding")
    word: PaddingWord = value if isinstance(value, str) else "explicit"  # type: ignore[assignment]
    if word == "causal":
        raise RequestError("padding", "a transposed convolution has no 'causal' padding")
    if size is not None and given is not None:
        raise RequestError("output_padding", "it follows from 'output_size'; remove one of them")
    if word in ("same", "same_lower"):
        for name in ("output_padding", "output_size"):
            if options.get(name) is not None:
                raise RequestError(name, f"{word!r} fixes the output size; remove it")
        resolved = [
            geometry.transposed_same(k, s, d, word == "same_lower")
            for k, s, d in zip(window, stride, dilation)
        ]
        pairs = tuple(pair for pair, _ in resolved)
        extra = tuple(rest for _, rest in resolved)
    else:
        pairs = ((0, 0),) * rank if value is None or word == "valid" else per_side(value, rank)
        extra = per_axis(given, rank, "output_padding") or (0,) * rank
        if size is not None:
            sizes = per_axis(size, rank, "output_size") or ()
            axes = zip(sizes, input_shape[2:], window, stride, dilation, pairs)
            extra = tuple(
                wanted - geometry.transposed_output_size(n, k, s, d, pads, 0)
                for wanted, n, k, s, d, pads in axes
            )
        _check_output_padding(extra, stride, dilation, "output_size" if size else "output_padding")
    result = ConvTranspose(
        input_shape, Padding(pairs, word), stride, dilation, dtype, kernel_shape, extra, groups,
        bool(fields.bias), size is not None, unbatched=fields.unbatched,
    )  # fmt: skip
    if min(result.output_shape[2:]) < 0:
        raise RequestError("padding", f"{list(map(list, pairs))} crops more than the whole output")
    return result


def _check_output_padding(
    extra: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], field: str
) -> None:
    for more, s, d in zip(extra, stride, dilation):
        if field == "output_size" and not 0 <= more < max(s, d, 1):
            raise RequestError(
                field,
                f"it is {abs(more)} {'above' if more > 0 else 'below'} the smallest output; from 0 "
                f"to {max(s, d) - 1} more can be had at stride {s} and dilation {d}",
            )
        if more and more >= max(s, d):
            raise RequestError(field, f"{more} is not smaller than the stride {s} or dilation {d}")


def _check_channels(inputs: int, outputs: int, channels: int, groups: int) -> None:
    for name, number in (("input", channels), ("output", outputs)):
        if number % groups:
            raise RequestError("groups", f"{groups} groups do not divide {number} {name} channels")
    if inputs != channels:
        raise RequestError(
            "kernel",
            f"it takes {inputs} input channels in {groups} group{'s' * (groups > 1)}, "
            f"the input has {channels}",
        )


def _check_size(resolved: Request) -> None:
    output = resolved.output_shape
    padded = [size + sum(pair) for size, pair in zip(resolved.spatial, resolved.padding.pairs)]
    if max(_volume(output), _volume((*resolved.input_shape[:2], *padded))) > ELEMENT_LIMIT:
        raise RequestError(
            "input",
            f"the padded input or the output {content.shown(output)} has over {ELEMENT_LIMIT:,} "
            "elements; make it smaller",
        )
    if math.prod(output) * max(reductions.terms(resolved)["y"], 1) > WORK_LIMIT:
        raise RequestError("input", f"more than {WORK_LIMIT:,} multiplications; make it smaller")


def _tensor(
    name: str, field: str, shape: tuple[int, ...], spec: schema.Tensor, resolved: Request
) -> TensorData:
    """Check what can be checked without making the data."""
    if field in ("bias", "cotangent") and spec.shape is not None and tuple(spec.shape) != shape:
        raise RequestError(
            field, f"its shape is {list(shape)} here, not {content.shown(spec.shape)}"
        )
    tensor = TensorData(name, shape, resolved.dtype_of(name), spec)
    try:
        tensor.check()
    except data.DataError as error:
        raise RequestError(f"{field}.{error.part}", str(error)) from None
    return tensor
