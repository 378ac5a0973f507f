"""Case files from drafts: checked against the oracle, and written as a reader would want them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import yaml

from conformance import content, reference, resolve, schema
from conformance.discovery import UsageError
from conformance.dtypes import Array
from conformance.files import put
from conformance.importing.onnx_cases import Draft, LeftOut
from conformance.request import Request

MARK = "# Written by `conformance import"
LITERAL = 4_000
"""Most numbers of a tensor that are written out."""

UNWRITTEN = "Upstream's data, on which its golden agrees with the oracle, are too many to write."


class Numbers(str):
    """Numbers in a string, which a case file has in quotes."""


def case(draft: Draft) -> str:
    """The entry of a draft in a case file.

    Raises:
        LeftOut: the suite cannot say the request, or the oracle gives something else.
    """
    tolerance = _checked(draft)
    fields: dict[str, Any] = {"id": draft.name, "source": draft.source}
    large = any(_generated(array) is None and array.size > LITERAL for array in _arrays(draft))
    if draft.note or large:
        fields["note"] = " ".join(filter(None, (draft.note, UNWRITTEN if large else "")))
    dtype = draft.tensors["input"].dtype.name
    if dtype != "float32":
        fields["dtype"] = dtype
    for name, array in draft.tensors.items():
        fields[name] = {"shape": [*array.shape]} if large else _tensor(array)
    fields |= draft.options
    if "max_pool" in draft.op and _ties(draft.tensors["input"]):
        fields["vjp"] = False
    golden: dict[str, Any] = {"shape": [*draft.golden.shape]}
    if not large and draft.golden.size <= LITERAL:
        golden["output"] = _numbers(draft.golden)
        golden |= {key: value for key, value in zip(("rtol", "atol"), tolerance) if value}
    lines = [f"{key}: {_flow(value)}" for key, value in fields.items()]
    lines += ["expect:", *(f"  {key}: {_flow(value)}" for key, value in golden.items())]
    return "".join(f"{'  - ' if not at else '    '}{line}\n" for at, line in enumerate(lines))


def files(
    drafts: Iterable[Draft], left_out: dict[str, str], head: str, prefix: str
) -> dict[str, tuple[str, int]]:
    """The texts of case files by name, with the number of their cases: one file an operator.

    ``left_out`` gets the reason of each draft that is no case, ``head`` is the comment on top.
    """
    entries: dict[str, list[str]] = {}
    for draft in drafts:
        try:
            entries.setdefault(draft.op, []).append(case(draft))
        except LeftOut as error:
            left_out[draft.name] = str(error)
    texts = {}
    for op, listed in entries.items():
        if listed:
            name = f"{prefix}-{op.replace('_', '-')}.yaml"
            text = f"{head}op: {op}\ndefaults: {{tier: full}}\ncases:\n{''.join(listed)}"
            texts[name] = text, len(listed)
    return texts


def write(folder: Path, texts: Mapping[str, str], force: bool) -> None:
    """Write the files.

    Raises:
        UsageError: one exists that no such command wrote, and ``force`` is not given, or the
            folder cannot be written to. Nothing is written then.
    """
    for name in texts:
        path = folder / name
        if not force and path.exists() and not _ours(path):
            raise UsageError(
                f"{content.display(path)} exists and was not written by this command; "
                "move it away, or overwrite it with --force"
            )
    for name, text in texts.items():
        put(folder / name, text, parents=True)


def _ours(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            return file.readline().startswith(MARK)
    except (OSError, UnicodeDecodeError):
        return False


def _checked(draft: Draft) -> tuple[float, float]:
    """The narrowest tolerance with which the golden agrees with the oracle."""
    request = _request(draft)
    arrays = tuple(draft.tensors.values())
    if request.output_shape != draft.golden.shape:
        raise LeftOut(
            f"its golden has the shape {[*draft.golden.shape]}, "
            f"the oracle's output {[*request.output_shape]}"
        )
    computed = reference.expect(request, arrays).output.values.astype(np.float64)
    wanted = draft.golden.astype(np.float64)
    for rtol, atol in draft.tolerances:
        close = np.isclose(computed, wanted, rtol, atol, equal_nan=True)
        if close.all():
            return rtol, atol
    at = tuple(int(i) for i in np.argwhere(~close)[0])
    raise LeftOut(
        f"its golden is {wanted[at]:g} at {[*at]}, the oracle's output {computed[at]:g} "
        f"({int((~close).sum())} of {close.size} differ)"
    )


def _request(draft: Draft) -> Request:
    fields = {
        "id": draft.name,
        "op": draft.op,
        "dtype": draft.tensors["input"].dtype.name,
        **{name: {"shape": [*array.shape]} for name, array in draft.tensors.items()},
        **draft.options,
    }
    try:
        return resolve.request(schema.Case.model_validate(fields))
    except (resolve.RequestError, pydantic.ValidationError) as error:
        told = error.message if isinstance(error, resolve.RequestError) else f"{error}"
        raise LeftOut(f"the suite refuses it: {told}") from None


def _arrays(draft: Draft) -> Sequence[Array]:
    return [*draft.tensors.values()]


def _ties(x: Array) -> bool:
    """Whether numbers repeat within a channel, so that windows may hold equal maxima."""
    channels = x.reshape(x.shape[0] * x.shape[1], -1)
    return any(len(np.unique(channel)) < len(channel) for channel in channels)


def _tensor(array: Array) -> dict[str, Any]:
    generated = _generated(array)
    data = {"values": _numbers(array)} if generated is None else generated
    return {"shape": [*array.shape], **data}


def _generated(array: Array) -> dict[str, Any] | None:
    """The generator of a case file that gives exactly the array, if it is regular."""
    flat = array.reshape(-1).astype(np.float64)
    if flat.size < 2 or not np.array_equal(flat, np.trunc(flat)) or not np.isfinite(flat).all():
        return None
    start, step = int(flat[0]), int(flat[1] - flat[0])
    if not np.array_equal(flat, start + step * np.arange(flat.size)):
        return None
    if step == 0:
        return {"constant": start}
    default = start == 0 and step == 1
    words = {"start": start} if step == 1 else {"start": start, "step": step}
    return {"arange": True if default else words}


def _numbers(array: Array) -> Numbers:
    """The numbers in row-major order, written so that they read back exactly."""
    return Numbers(" ".join(map(_number, array.reshape(-1))))


def _number(value: Any) -> str:
    if np.isfinite(value) and value == np.trunc(value) and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    if isinstance(value, Numbers):
        return f'"{value}"'
    text: str = yaml.safe_dump(value, allow_unicode=True, width=math.inf)
    return text.strip().removesuffix("\n...")
