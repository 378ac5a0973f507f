"""From a case's steps to a chain: names and shapes filled in, all checked, data sized."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

from conformance import content, data, options, reductions, resolve, schema
from conformance.chains.chain import Chain, Glue, Step, Training
from conformance.data import TensorData
from conformance.dtypes import DTYPES
from conformance.options import RequestError
from conformance.request import Pool, Request, input_shapes

FOREIGN = (
    "kernel", "bias", "accumulation", "signed_zero", "spelling", "unbatched", "view",
    "law",
    *schema.Operator.model_fields,
)  # fmt: skip
WITHOUT_BOUND = ("lp_pool", "max_pool_indices")
GLUE: tuple[str, ...] = get_args(Glue)


def refuse_steps(fields: schema.Fields) -> None:
    """Refuse what only a chain has.

    Raises:
        RequestError: it is there.
    """
    for name in ("steps", "target", "train"):
        if getattr(fields, name) is not None:
            raise RequestError(name, f"only a chain has {name!r}; say 'op: chain', or remove it")


def chain(fields: schema.Fields) -> Chain:
    """The chain that a case's fields make.

    Raises:
        RequestError: something is missing, does not fit, or has no meaning.
    """
    default = schema.Fields()
    for name in FOREIGN:
        if getattr(fields, name) != getattr(default, name):
            raise RequestError(name, f"a chain has no {name!r}; its steps may, or remove it")
    steps = options.required(fields.steps, "steps", "a list of operators")
    dtype = resolve.dtype_of(fields)
    if not DTYPES[dtype].floating or DTYPES[dtype].complex:
        raise RequestError("dtype", f"a chain is about gradients; use a float instead of {dtype}")
    shapes = {"input": resolve.shape_of(fields.input, "input", "a chain needs an input")}
    if fields.target is not None:
        shapes["target"] = resolve.shape_of(fields.target, "target", "")
    made = _Making(dtype, shapes)
    for index, spec in enumerate(steps):
        made.add(index, schema.StepSpec(op="relu") if isinstance(spec, str) else spec)
    taken = {name for step in made.steps for name in step.of}
    for name in (*shapes, *(step.name for step in made.steps[:-1])):
        if name not in taken:
            raise RequestError("steps", f"nothing takes {name!r}; use it, or remove it")
    if not any(step.request for step in made.steps):
        raise RequestError("steps", "there is no operator among them; add one")
    result = Chain(tuple(shapes.items()), dtype, tuple(made.steps))
    return replace(result, training=_training(fields.train, result))


class _Making:
    """A chain in the making."""

    def __init__(self, dtype: str, shapes: dict[str, tuple[int, ...]]) -> None:
        self.dtype, self.steps = dtype, list[Step]()
        self._shapes = dict(shapes)
        self._counted: Counter[str] = Counter()

    def add(self, index: int, spec: schema.StepSpec) -> None:
        """Add a step."""
        place = f"steps/{index}/"
        self._counted[spec.op] += 1
        name = spec.name or f"{spec.op}{self._counted[spec.op]}"
        if name in self._shapes:
            raise RequestError(f"{place}name", f"the name {name!r} is taken; give another one")
        of = self._operands(spec, place)
        try:
            step = self._step(name, of, spec)
        except RequestError as error:
            raise RequestError(f"{place}{error.field}", error.message) from None
        self.steps.append(step)
        self._shapes[name] = step.shape

    def _operands(self, spec: schema.StepSpec, place: str) -> tuple[str, ...]:
        last = self.steps[-1].name if self.steps else "input"
        count = 2 if spec.op in ("add", "concatenate", "squared_error") else 1
        given = [spec.of] if isinstance(spec.of, str) else list(spec.of or ())
        if not given and spec.op == "squared_error":
            given = ["target"]
        names = (last, *given) if len(given) < count else tuple(given)
        if len(names) != count:
            told = f"{count} operand{'s' * (count > 1)}"
            raise RequestError(f"{place}of", f"{spec.op} takes {told}, got {content.shown(given)}")
        for name in names:
            if name not in self._shapes:
                there = ", ".join(self._shapes)
                raise RequestError(f"{place}of", f"there is no {name!r} before; there are {there}")
        return names

    def _step(self, name: str, of: tuple[str, ...], spec: schema.StepSpec) -> Step:
        shapes = [self._shapes[operand] for operand in of]
        if spec.op not in GLUE:
            asked = self._request(spec, shapes[0])
            return Step(name, spec.op, of, asked.output_shape, asked)
        own = {"crop"} if spec.op == "crop" else set()
        for field in {*schema.StepSpec.model_fields} - {"op", "name", "of"} - own:
            if getattr(spec, field) is not None:
                raise RequestError(field, f"{spec.op} has no {field!r}; remove it")
        if spec.op == "relu":
            return Step(name, spec.op, of, shapes[0])
        if spec.op == "crop":
            return self._crop(name, of, spec, shapes[0])
        return self._joined(name, of, spec, shapes)

    def _request(self, spec: schema.StepSpec, shape: tuple[int, ...]) -> Request:
        if spec.op in WITHOUT_BOUND:
            raise RequestError("op", f"{spec.op} has no place in a chain; use another operator")
        if spec.crop is not None:
            raise RequestError("crop", f"{spec.op} has no 'crop'; make it a step of its own")
        given: dict[str, Any] = {
            field: getattr(spec, field)
            for field in (*schema.Operator.model_fields, "kernel", "bias")
        }
        tensor = schema.Tensor(shape=list(shape), dtype=self.dtype)  # type: ignore[arg-type]
        fields = schema.Fields(op=spec.op, input=tensor, **given)  # type: ignore[arg-type]
        asked = resolve.request(fields)
        if 0 in asked.output_shape:
            message = f"the window does not fit into {list(shape)}; make the input larger"
            raise RequestError("kernel" if spec.kernel else "window", message)
        return asked

    def _crop(
        self, name: str, of: tuple[str, ...], spec: schema.StepSpec, shape: tuple[int, ...]
    ) -> Step:
        amounts = options.required(spec.crop, "crop", "how much is cut off on each side")
        try:
            pairs = options.per_side(amounts, len(shape) - 2)
        except RequestError as error:
            raise RequestError("crop", error.message) from None
        sizes = tuple(size - low - high for size, (low, high) in zip(shape[2:], pairs))
        if min(min(pair) for pair in pairs) < 0 or min(sizes) < 1:
            raise RequestError("crop", f"{content.shown(amounts)} leaves nothing of {list(shape)}")
        return Step(name, "crop", of, (*shape[:2], *sizes), crop=pairs)

    def _joined(
        self,
        name: str,
        of: tuple[str, ...],
        spec: schema.StepSpec,
        shapes: Sequence[tuple[int, ...]],
    ) -> Step:
        one, other = shapes
        if spec.op == "concatenate":
            if (one[0], *one[2:]) != (other[0], *other[2:]):
                message = f"{list(one)} and {list(other)} differ beyond their channels; crop one"
                raise RequestError("of", message)
            return Step(name, spec.op, of, (one[0], one[1] + other[1], *one[2:]))
        if one != other:
            raise RequestError("of", f"{list(one)} and {list(other)} are not of one shape")
        return Step(name, spec.op, of, one if spec.op == "add" else ())


def _training(spec: schema.Train | None, made: Chain) -> Training | None:
    """The training of one convolution, whose error bound is known.

    Raises:
        RequestError: it is another chain.
    """
    last = made.steps[-1].op
    if any(step.op == "squared_error" for step in made.steps[:-1]):
        raise RequestError("steps", "'squared_error' is a number; nothing can follow it")
    if spec is None:
        return None
    if last != "squared_error" or len(made.steps) != 2 or made.steps[0].op != "conv":
        message = "only a convolution followed by 'squared_error' is trained"
        raise RequestError("train", message)
    if made.dtype not in ("float32", "float64"):
        raise RequestError("train", f"trained in float32 or float64, not in {made.dtype}")
    return Training(spec.steps, spec.rate)


def tensors(fields: schema.Fields, made: Chain) -> tuple[TensorData, ...]:
    """The chain's inputs in the order of its names.

    Raises:
        RequestError: a shape or literal data do not fit.
    """
    assert fields.steps is not None
    sized = _Sized(made, _range(made, fields.vjp is not False))
    found = [sized.tensor("x", "input", made.inputs[0][1], fields.input)]
    if fields.target is not None:
        found.append(sized.tensor("x", "target", dict(made.inputs)["target"], fields.target))
    for index, (step, spec) in enumerate(zip(made.steps, fields.steps)):
        if step.request is None or isinstance(step.request, Pool) or isinstance(spec, str):
            continue
        shapes = input_shapes(step.request)
        place = f"steps/{index}/"
        found.append(sized.tensor("w", f"{place}kernel", shapes["w"], spec.kernel))
        if "b" in shapes:
            bias = spec.bias if isinstance(spec.bias, schema.Tensor) else None
            found.append(sized.tensor("b", f"{place}bias", shapes["b"], bias))
    return tuple(found)


def cotangent(fields: schema.Fields, made: Chain) -> TensorData | None:
    """The cotangent of the chain's VJP, or None where gradients are not checked; of an error 1."""
    if fields.vjp is False:
        if made.training is not None:
            raise RequestError("vjp", "a training needs gradients; remove it")
        return None
    if made.output_shape == ():
        if fields.cotangent is not None:
            raise RequestError("cotangent", "that of an error is 1; remove it")
        return TensorData("y", (), made.dtype, schema.Tensor(constant=1))
    sized = _Sized(made, _range(made, True), seed=100)
    return sized.tensor("y", "cotangent", made.output_shape, fields.cotangent)


class _Sized:
    """Tensors of a chain: seeded one by one, with integers whose sums are exact."""

    def __init__(self, made: Chain, largest: int, seed: int = 0) -> None:
        self.made, self.largest, self.seed = made, largest, seed

    def tensor(
        self, kind: str, field: str, shape: tuple[int, ...], spec: schema.Tensor | None
    ) -> TensorData:
        """One tensor, checked."""
        spec = spec or schema.Tensor()
        if spec.dtype not in (None, self.made.dtype):
            message = f"its dtype is {spec.dtype}, the chain's is {self.made.dtype}; use one dtype"
            raise RequestError(f"{field}.dtype", message)
        told = shape if spec.shape is None else tuple(spec.shape)
        if field.endswith(("bias", "cotangent")) and told != shape:
            message = f"its shape is {list(shape)} here, not {content.shown(told)}"
            raise RequestError(field, message)
        spec = self._seeded(spec)
        tensor = TensorData(kind, shape, self.made.dtype, spec)
        try:
            tensor.check()
        except data.DataError as error:
            raise RequestError(f"{field}.{error.part}", str(error)) from None
        return tensor

    def _seeded(self, spec: schema.Tensor) -> schema.Tensor:
        self.seed += 1
        if spec.normal is not None and spec.normal.seed is None:
            return spec.model_copy(
                update={"normal": spec.normal.model_copy(update={"seed": self.seed})}
            )
        told = (spec.values, spec.constant, spec.arange, spec.normal)
        if any(each is not None for each in told):
            return spec
        integers = spec.integers or schema.Integers()
        update: dict[str, Any] = {"seed": self.seed} if integers.seed is None else {}
        if integers.low is None:
            update |= {"low": -self.largest, "high": self.largest}
        return spec.model_copy(update={"integers": integers.model_copy(update=update)})


def _range(made: Chain, vjp: bool) -> int:
    """The largest magnitude with which every sum of a chain and of its VJP is exact; at least 1."""
    limit = DTYPES[made.dtype].exact_limit
    fitting = (n for n in range(data.LARGEST_INTEGER, 1, -1) if _peak(made, n, vjp) <= limit)
    return next(fitting, 1)


def _peak(made: Chain, largest: int, vjp: bool) -> float:
    """The greatest sum that can occur with data up to a magnitude."""
    values = {name: float(largest) for name, _ in made.inputs}
    peak = 0.0
    for step in made.steps:
        of = [values[name] for name in step.of]
        value = sum(of) if step.op in ("add", "squared_error") else max(of)
        if step.request is not None and not isinstance(step.request, Pool):
            value = reductions.terms(step.request)["y"] * of[0] * largest + largest
        elif isinstance(step.request, Pool) and step.request.kind == "avg":
            value = reductions.terms(step.request)["y"] * of[0]
        values[step.name], peak = value, max(peak, value)
    if not vjp:
        return peak
    shares = dict.fromkeys(values, 0.0)
    shares[made.steps[-1].name] = float(largest)
    for step in reversed(made.steps):
        share = shares[step.name]
        if step.op == "squared_error":
            share *= 2 * values[step.name]
        if step.request is not None:
            terms = reductions.terms(step.request)
            kernel = 1 if isinstance(step.request, Pool) else largest
            others = [
                terms[name] * share * values[step.of[0]] for name in ("w", "b") if name in terms
            ]
            share = terms["x"] * share * kernel
            peak = max(peak, *others, 0.0)
        for name in step.of:
            shares[name] += share
            peak = max(peak, shares[name])
    return peak
