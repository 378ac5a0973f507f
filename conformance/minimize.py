"""Shrinks a case while something holds of it: a delta debugging over what cases are made of.

    minimize(case, lambda smaller: cause(run(smaller)) == cause(run(case)))

Each step changes one part of the case and tries its smallest value first. Greedy, deterministic,
and bounded by a number of tries; cases that were tried are not tried again. After Zeller &
Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE Transactions on Software
Engineering 28(2), 2002.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Union

from conformance import cases, literals, resolve, schema
from conformance.cases import Case
from conformance.data import DataError
from conformance.dtypes import Array
from conformance.request import ConvTranspose, Pool, input_shapes

TRIES = 300
SMALL = (1, 2, 3, 4, 5)
FIELDS = {"x": "input", "w": "kernel", "b": "bias", "y": "cotangent"}
PER_AXIS = {"stride": 1, "dilation": 1, "output_padding": 0, "output_size": 1}
REMARKS: dict[str, Any] = {"expect": None, "exact": None, "note": None, "tags": []}
Shapes = dict[str, tuple[int, ...]]
Change = dict[str, Any]
Step = Callable[[Case], Iterator[Union[Change, tuple[Change, Shapes]]]]


def minimize(case: Case, holds: Callable[[Case], bool], tries: int = TRIES) -> Case:
    """The smallest case that was found of which ``holds`` is true.

    ``holds`` is asked at most ``tries`` times, and never of ``case`` itself, which is returned
    where nothing smaller holds. Goldens, notes and tags, which speak of the case as it was, are
    left out of what is returned otherwise. An output that has elements keeps some.
    """
    search = _Search(holds, tries)
    smallest, before = case, None
    while smallest is not before and search.tries > 0:
        before = smallest
        for step in STEPS:
            if step in (*OPTIONS, _window) and _calls(smallest):
                continue
            smallest = search.shrunk(smallest, step)
    return smallest


class _Search:
    """What was tried, and how many tries are left."""

    def __init__(self, holds: Callable[[Case], bool], tries: int) -> None:
        self.holds, self.tries = holds, tries
        self._tried: set[str] = set()

    def shrunk(self, case: Case, step: Step) -> Case:
        """The case after all that a step can do."""
        while True:
            smaller = next(self._candidates(case, step), None)
            if smaller is None:
                return case
            case = smaller

    def _candidates(self, case: Case, step: Step) -> Iterator[Case]:
        for change in step(case):
            update, shapes = change if isinstance(change, tuple) else (change, {})
            smaller = _changed(case, update, shapes)
            if smaller is None:
                continue
            text = smaller.fields.model_dump_json()
            if text in self._tried:
                continue
            if self.tries <= 0:
                return
            self._tried.add(text)
            self.tries -= 1
            if self.holds(smaller):
                yield smaller


def _changed(case: Case, update: Change, shapes: Shapes) -> Case | None:
    """The case with some fields, and with tensors of other shapes; None where there is none such.

    Literal data are cropped to their new shapes.
    """
    fields = case.fields.model_copy(update={**REMARKS, **update})
    arrays = dict(zip(FIELDS, case.arrays()))
    try:
        for name, shape in shapes.items():
            fields = _fitted(fields, name, shape, arrays.get(name))
        request = resolve.request(fields)
        for name, shape in {**input_shapes(request), "y": request.output_shape}.items():
            if name in ("b", "y"):
                old = case.cotangent_array() if name == "y" else arrays.get(name)
                fields = _fitted(fields, name, shape, old)
        smaller = cases.resolved(fields, case.id, case.file, case.line)
    except (resolve.RequestError, DataError):
        return None
    emptied = 0 in smaller.request.output_shape and 0 not in case.request.output_shape
    return None if emptied else smaller


def _fitted(
    fields: schema.Case, name: str, shape: tuple[int, ...], values: Array | None
) -> schema.Case:
    """The fields with a tensor's specification made to fit a shape."""
    spec = getattr(fields, FIELDS[name])
    if not isinstance(spec, schema.Tensor):
        return fields
    told = list(shape) if name in "xw" else None
    update: Change = {
        "shape": told,
        "set": [e for e in spec.set if all(at < size for at, size in zip(e.at, shape))],
    }
    if spec.values is not None:
        if values is not None and values.shape == shape:
            return fields
        update["values"] = None
        if values is not None and 0 not in shape and _within(shape, values.shape):
            update["shape"] = None
            update["values"] = _listed(values[tuple(map(slice, shape))])
    return fields.model_copy(update={FIELDS[name]: spec.model_copy(update=update)})


def _within(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    return len(small) == len(large) and all(map(operator.le, small, large))


def _listed(values: Array) -> Any:
    """Nested lists of the shortest numbers that mean the same."""
    if values.ndim:
        return [_listed(row) for row in values]
    number = values.item()
    if isinstance(number, float) and math.isfinite(number):
        text = literals.number(number, values.dtype.name)
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    return number


def _smaller(value: int, least: int = 1) -> Iterator[int]:
    """Values from ``least`` on that are less, the likeliest first."""
    tried = [n + least - 1 for n in SMALL] + [(value + least) // 2, value - 1]
    yield from dict.fromkeys(n for n in tried if least <= n < value)


def _one(values: Sequence[int], default: int | None) -> Any:
    """A field of one number per axis, as short as it can be said; None for the default."""
    same = len(set(values)) == 1
    if same and values[0] == default:
        return None
    return values[0] if same else list(values)


def _axis_by_axis(values: Sequence[int], least: int) -> Iterator[list[int]]:
    """Smaller values: of all axes at once, and of each where they differ already."""
    yield from _together(values, least)
    if len(set(values)) > 1:
        yield from _each(values, least)


def _together(values: Sequence[int], least: int) -> Iterator[list[int]]:
    for size in _smaller(max(values, default=0), least):
        yield [min(value, size) for value in values]


def _each(values: Sequence[int], least: int) -> Iterator[list[int]]:
    for place, value in enumerate(values):
        for size in _smaller(value, least):
            yield [*values[:place], size, *values[place + 1 :]]


def _calls(case: Case) -> bool:
    """Whether the case spells calls, which it must go on to agree with."""
    return any(isinstance(each, str) for each in case.fields.spelling.values())


def _spellings(case: Case) -> Iterator[Change]:
    spelling = case.fields.spelling
    if spelling:
        yield {"spelling": {}}
    for api in spelling:
        yield {"spelling": {name: edit for name, edit in spelling.items() if name != api}}


def _batch(case: Case) -> Iterator[tuple[Change, Shapes]]:
    shape = case.request.input_shape
    for size in _smaller(shape[0]):
        yield {}, {"x": (size, *shape[1:])}


def _channels(case: Case) -> Iterator[tuple[Change, Shapes]]:
    """Groups, and input and output channels of each group."""
    r = case.request
    if isinstance(r, Pool):
        for size in _smaller(r.channels):
            yield {}, {"x": (r.input_shape[0], size, *r.spatial)}
        return
    now = [r.groups, r.channels // r.groups, r.out_channels // r.groups]
    if 0 in now:
        return
    for groups, inputs, outputs in itertools.chain(_together(now, 1), _each(now, 1)):
        if isinstance(r, ConvTranspose):
            kernel = (groups * inputs, outputs, *r.window)
        else:
            kernel = (groups * outputs, inputs, *r.window)
        shapes = {"x": (r.input_shape[0], groups * inputs, *r.spatial), "w": kernel}
        yield {"groups": _one([groups], 1)}, shapes


def _spatial(case: Case) -> Iterator[tuple[Change, Shapes]]:
    r = case.request
    for sizes in _axis_by_axis(r.spatial, 1):
        yield {}, {"x": (*r.input_shape[:2], *sizes)}


def _window(case: Case) -> Iterator[Change | tuple[Change, Shapes]]:
    r = case.request
    for sizes in _axis_by_axis(r.window, 1):
        if isinstance(r, Pool):
            yield {"window": _one(sizes, None)}
        else:
            yield {}, {"w": (*r.kernel_shape[:2], *sizes)}


def _padding(case: Case) -> Iterator[Change]:
    if case.fields.padding is None:
        return
    yield {"padding": None, "padding_mode": None}
    if isinstance(case.fields.padding, str):
        return
    padding = case.request.padding
    flat = [side for pair in padding.pairs for side in pair]
    if padding.symmetric is None:
        steps = _axis_by_axis([abs(side) for side in flat], 0)
    else:
        halves = _axis_by_axis([abs(side) for side in padding.symmetric], 0)
        steps = ([size for size in sizes for _ in (0, 1)] for sizes in halves)
    for sizes in steps:
        sides = [size if side >= 0 else -size for size, side in zip(sizes, flat)]
        pairs = [list(pair) for pair in zip(sides[::2], sides[1::2])]
        per_axis: list[Any] = [low if low == high else [low, high] for low, high in pairs]
        yield {"padding": sides[0] if len(set(sides)) == 1 else per_axis}


def _steps(name: str) -> Step:
    def step(case: Case) -> Iterator[Change]:
        if getattr(case.fields, name) is None:
            return
        yield {name: None}
        for values in _axis_by_axis(getattr(case.request, name, ()), PER_AXIS[name]):
            yield {name: _one(values, None)}

    return step


def _options(case: Case) -> Iterator[Change]:
    options = ("bias", "padding_mode", "ceil_mode", "count_include_pad", "divisor", "norm")
    for name in (*options, "view", "accumulation", "vjp"):
        if getattr(case.fields, name) is not None:
            yield {name: None}
    if case.fields.unbatched:
        yield {"unbatched": False}
    if case.fields.signed_zero:
        yield {"signed_zero": False}


def _data(case: Case) -> Iterator[Change]:
    """Seeded integers for other data, and fewer elements that are set."""
    for name, field in FIELDS.items():
        spec = getattr(case.fields, field)
        if not isinstance(spec, schema.Tensor):
            continue
        shape = dict(input_shapes(case.request)).get(name)
        plain = schema.Tensor(shape=list(shape) if shape and name in "xw" else None)
        simple = plain if name in "xw" else (True if name == "b" else None)
        if spec.model_dump(exclude={"shape"}) != plain.model_dump(exclude={"shape"}):
            yield {field: simple}
        for kept in itertools.combinations(spec.set, max(len(spec.set) - 1, 0)):
            if spec.set:
                yield {field: spec.model_copy(update={"set": list(kept)})}


def _dtype(case: Case) -> Iterator[Change]:
    if case.request.dtype == "float32":
        return
    specs = {field: getattr(case.fields, field) for field in FIELDS.values()}
    tensors = {
        field: spec.model_copy(update={"dtype": None})
        for field, spec in specs.items()
        if isinstance(spec, schema.Tensor) and spec.dtype is not None
    }
    yield {"dtype": None, **tensors}


OPTIONS: tuple[Step, ...] = (_padding, *map(_steps, PER_AXIS), _options)
"""What a spelled call says as well: both would have to change together."""
# Options before sizes: a larger input is easier to read than one more option.
STEPS: tuple[Step, ...] = (
    _spellings,
    _batch,
    _channels,
    *OPTIONS,
    _spatial,
    _window,
    _data,
    _dtype,
)
