"""From a case's words to a request: defaults filled in, padding made explicit, all checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from conformance import content, data, geometry, schema
from conformance.data import TensorData
from conformance.dtypes import DTYPES
from conformance.geometry import Pair
from conformance.request import (
    Conv,
    ConvTranspose,
    Padding,
    PaddingMode,
    PaddingWord,
    Pool,
    Request,
)

ELEMENT_LIMIT = 2**26
WORK_LIMIT = 2**42
POOLS = ("max_pool", "avg_pool")


class RequestError(ValueError):
    """A request that cannot be meant: ``field`` names the part of the case at fault, dotted."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


def request(fields: schema.Fields, edit: schema.Options | None = None) -> Request:
    """The request that a case's fields make, with an edit's options in place of the case's.

    Raises:
        RequestError: something is missing, does not fit the operator, or has no meaning.
    """
    op = _required(fields.op, "op", "one of conv, conv_transpose, max_pool, avg_pool")
    options = _Options(fields, edit)
    input_shape = _shape(fields.input, "input", f"{op} needs an input")
    rank = len(input_shape) - 2
    if rank not in (1, 2, 3):
        raise RequestError(
            _shape_field(fields.input, "input"),
            "the shape is (batch, channels, 1 to 3 spatial sizes), got "
            f"{content.shown(input_shape)}",
        )
    _refuse_foreign(op, fields, options)
    dtype = _dtype(fields)
    if op == "avg_pool" and not DTYPES[dtype].floating:
        field = "dtype" if fields.dtype else "input.dtype"
        raise RequestError(field, f"the average of {dtype} has no agreed meaning; use a float")
    _check_accumulation(fields, dtype)
    window = _window(op, fields, options, rank)
    stride = _per_axis(options.get("stride"), rank, "stride") or (
        window if op in POOLS else (1,) * rank
    )
    dilation = _per_axis(options.get("dilation"), rank, "dilation") or (1,) * rank
    result: Request
    if op == "conv_transpose":
        result = _conv_transpose(fields, options, input_shape, window, stride, dilation, dtype)
    else:
        padding = _padding(options, input_shape[2:], window, stride, dilation)
        common = (input_shape, padding, stride, dilation, dtype)
        if op == "conv":
            kernel_shape = _shape(fields.kernel, "kernel", "")
            groups = options.get("groups") or 1
            _check_channels(kernel_shape[1] * groups, kernel_shape[0], input_shape[1], groups)
            result = Conv(*common, kernel_shape, groups, bool(fields.bias))
        else:
            result = _pool(op, options, common, window)
    _check_size(result)
    return result


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
    if not DTYPES[resolved.dtype].floating:
        if fields.vjp:
            raise RequestError("vjp", f"{resolved.dtype} has no gradients; leave 'vjp' out")
        return None
    spec = fields.cotangent or schema.Tensor()
    return _tensor("y", "cotangent", resolved.output_shape, spec, resolved)


class _Options:
    """A case's options, an edit's first."""

    def __init__(self, fields: schema.Fields, edit: schema.Options | None) -> None:
        self.fields, self.edit = fields, edit

    def get(self, name: str) -> Any:
        changed = getattr(self.edit, name, None)
        return changed if changed is not None else getattr(self.fields, name, None)


def _required(value: Any, field: str, form: str) -> Any:
    if value is None:
        raise RequestError(field, f"{field!r} is missing: {form}")
    return value


def _shape(spec: schema.Tensor | None, field: str, need: str) -> tuple[int, ...]:
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


def _dtype(fields: schema.Fields) -> str:
    named = [
        (name, spec.dtype)
        for name in ("input", "kernel", "bias", "cotangent")
        if isinstance(spec := getattr(fields, name), schema.Tensor) and spec.dtype is not None
    ]
    dtype = fields.dtype or (named[0][1] if named else "float32")
    for name, other in named:
        if other != dtype:
            message = f"its dtype is {other}, the case's is {dtype}; use one dtype"
            raise RequestError(f"{name}.dtype", message)
    return dtype


def _check_accumulation(fields: schema.Fields, dtype: str) -> None:
    sums = fields.accumulation
    if sums is None:
        return
    if not DTYPES[dtype].floating:
        raise RequestError("accumulation", f"sums of {dtype} wrap and are exact; remove it")
    if DTYPES[sums].precision < DTYPES[dtype].precision:
        raise RequestError("accumulation", f"{sums} is narrower than the case's {dtype}")


def _per_axis(value: int | Sequence[int] | None, rank: int, field: str) -> tuple[int, ...] | None:
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


def _window(op: str, fields: schema.Fields, options: _Options, rank: int) -> tuple[int, ...]:
    if op in POOLS:
        window = _required(options.get("window"), "window", "the size of the pooling window")
        return _per_axis(window, rank, "window") or ()
    kernel_shape = _shape(fields.kernel, "kernel", f"{op} needs a kernel")
    if len(kernel_shape) != rank + 2:
        raise RequestError(
            _shape_field(fields.kernel, "kernel"),
            f"a kernel for an input with {rank} spatial ax{'i' if rank == 1 else 'e'}s has "
            f"{rank + 2} axes, got {content.shown(kernel_shape)}",
        )
    if 0 in kernel_shape[2:]:
        message = f"a window has at least one element, got {list(kernel_shape)}"
        raise RequestError(_shape_field(fields.kernel, "kernel"), message)
    return kernel_shape[2:]


def _refuse_foreign(op: str, fields: schema.Fields, options: _Options) -> None:
    """Refuse options that mean nothing for the operator."""
    foreign = {
        "conv": ("window", "ceil_mode", "count_include_pad", "output_padding", "padding_value"),
        "conv_transpose": ("window", "ceil_mode", "count_include_pad", "padding_value"),
        "max_pool": ("kernel", "bias", "groups", "count_include_pad", "output_padding"),
        "avg_pool": ("kernel", "bias", "groups", "output_padding"),
    }[op]
    for name in foreign:
        if options.get(name) is not None:
            raise RequestError(name, f"{op} has no {name!r}; remove it")
    mode = options.get("padding_mode")
    if op != "conv" and mode not in (None, "zeros"):
        raise RequestError("padding_mode", f"{op} has no padding mode {mode!r}, only 'zeros'")


def _elements(number: int) -> str:
    return f"{number} element{'s' * (number != 1)}"


def _entries(number: int) -> str:
    return "1 entry is" if number == 1 else f"{number} entries are"


def _pairs(value: Any, rank: int) -> tuple[Pair, ...]:
    sides = [value] * rank if isinstance(value, int) else value
    if len(sides) != rank:
        raise RequestError(
            "padding",
            f"{_entries(rank)} needed, one per spatial axis, each a number or [before, after] "
            f"(got {content.shown(value)})",
        )
    return tuple((side, side) if isinstance(side, int) else (side[0], side[1]) for side in sides)


def _padding(
    options: _Options,
    spatial: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Padding:
    value = options.get("padding")
    mode: PaddingMode = options.get("padding_mode") or "zeros"
    word: PaddingWord = value if isinstance(value, str) else "explicit"  # type: ignore[assignment]
    if value is None or value == "valid":
        pairs: tuple[Pair, ...] = ((0, 0),) * len(spatial)
    elif isinstance(value, str):
        lower = value == "same_lower"
        pairs = tuple(
            geometry.same_pads(*sizes, lower) for sizes in zip(spatial, window, stride, dilation)
        )
    else:
        pairs = _pairs(value, len(spatial))
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
        limit = {"reflect": size - 1, "circular": size}.get(mode)
        if limit is not None and max(pair) > max(limit, 0):
            raise RequestError(
                "padding",
                f"{mode!r} padding of {max(pair)} on {_elements(size)} is undefined; at most "
                f"{limit}",
            )
    return Padding(pairs, word, mode)


def _pool(
    op: str,
    options: _Options,
    common: tuple[tuple[int, ...], Padding, tuple[int, ...], tuple[int, ...], str],
    window: tuple[int, ...],
) -> Pool:
    input_shape, padding, _, dilation, _ = common
    ceil_mode = bool(options.get("ceil_mode"))
    if ceil_mode:
        for size, k, d, pair in zip(input_shape[2:], window, dilation, padding.pairs):
            if geometry.effective_window(k, d) > size + sum(pair):
                raise RequestError(
                    "window",
                    f"a window of {geometry.effective_window(k, d)} on {size + sum(pair)} padded "
                    "elements is undefined in ceil mode; make the input larger",
                )
    count = options.get("count_include_pad")
    return Pool(
        *common,
        window,
        ceil_mode,
        True if count is None else count,
        options.get("padding_value"),
        "max_pool" if op == "max_pool" else "avg_pool",
    )


def _conv_transpose(
    fields: schema.Fields,
    options: _Options,
    input_shape: tuple[int, ...],
    window: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    dtype: str,
) -> ConvTranspose:
    kernel_shape = _shape(fields.kernel, "kernel", "")
    groups = options.get("groups") or 1
    _check_channels(kernel_shape[0], kernel_shape[1] * groups, input_shape[1], groups)
    rank = len(window)
    given = options.get("output_padding")
    value = options.get("padding")
    word: PaddingWord = value if isinstance(value, str) else "explicit"  # type: ignore[assignment]
    if word in ("same", "same_lower"):
        if given is not None:
            raise RequestError("output_padding", f"{word!r} fixes the output size; remove it")
        resolved = [
            geometry.transposed_same(k, s, d, word == "same_lower")
            for k, s, d in zip(window, stride, dilation)
        ]
        pairs = tuple(pair for pair, _ in resolved)
        extra = tuple(rest for _, rest in resolved)
    else:
        pairs = ((0, 0),) * rank if value is None or word == "valid" else _pairs(value, rank)
        extra = _per_axis(given, rank, "output_padding") or (0,) * rank
        for more, s, d in zip(extra, stride, dilation):
            if more and more >= max(s, d):
                raise RequestError(
                    "output_padding", f"{more} is not smaller than the stride {s} or dilation {d}"
                )
    result = ConvTranspose(
        input_shape, Padding(pairs, word), stride, dilation, dtype, kernel_shape, extra, groups,
        bool(fields.bias),
    )  # fmt: skip
    if min(result.output_shape[2:]) < 0:
        raise RequestError("padding", f"{list(map(list, pairs))} crops more than the whole output")
    return result


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
    if math.prod(output) * max(data.reductions(resolved)["y"], 1) > WORK_LIMIT:
        raise RequestError("input", f"more than {WORK_LIMIT:,} multiplications; make it smaller")


def _tensor(
    name: str, field: str, shape: tuple[int, ...], spec: schema.Tensor, resolved: Request
) -> TensorData:
    """Check what can be checked without making the data."""
    if field in ("bias", "cotangent") and spec.shape is not None and tuple(spec.shape) != shape:
        raise RequestError(
            field, f"its shape is {list(shape)} here, not {content.shown(spec.shape)}"
        )
    tensor = TensorData(name, shape, resolved.dtype, spec)
    try:
        tensor.check()
    except data.DataError as error:
        raise RequestError(f"{field}.{error.part}", str(error)) from None
    return tensor
