"""Runs one request on one API: lower, execute the source, convert, reply."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Union

import numpy as np

from conformance import layout
from conformance.adapter import Adapter, Api, Driver, Form, Program, Unsupported, parameters
from conformance.chains import chain
from conformance.chains.chain import LOSSES, Chain, trajectory_of
from conformance.chains.lowering import lower as lower_chain
from conformance.dtypes import DTYPES, Array
from conformance.request import Request, from_json
from conformance.translation.spelled import spelled
from conformance.worker.protocol import Message

TEXT_LIMIT = 4000

Begin = Callable[[str, str], None]
Asked = Union[Request, Chain]


def _quiet(form: str, stage: str) -> None:
    pass


def lower(adapter: Adapter, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each form of the request in the API's words: its source and layout, or why there is none."""
    own = _api(adapter, header).layout
    return [
        {"form": form, "source": program.source, "layout": layout.described(_first(asked), own)}
        if isinstance(program, Program)
        else {"form": form, "unsupported": program.reason}
        for form, asked, program in _programs(adapter, header)
    ]


def drive(adapter: Adapter, header: Mapping[str, Any]) -> dict[str, Any]:
    """One form of the request as a user runs it by hand: source, axis orders and driver.

    The driver is None where the adapter has none, the source where the API cannot say the form.
    """
    layout = asdict(_api(adapter, header).layout)
    for _, request, program in _programs(adapter, header):
        if isinstance(program, Program) and not isinstance(request, Chain):
            driver = _driver(adapter, program, request, header)
            told = None if driver is None else asdict(driver)
            return {"source": program.source, "layout": layout, "driver": told}
    return {"source": None, "layout": layout, "driver": None}


def _driver(
    adapter: Adapter, program: Program, request: Request, header: Mapping[str, Any]
) -> Driver | None:
    """The driver of the output's dtype, with what makes tensors of other dtypes."""
    names, mode = parameters(request), header["mode"]
    vjp = header["vjp"] and adapter.gradients
    driver = adapter.driver(program, names, request.result_dtype, mode, vjp)
    others = {}
    for name in names:
        dtype = request.dtype_of(name)
        if dtype != request.result_dtype:
            own = adapter.driver(program, names, dtype, mode, vjp)
            others[name] = own.tensor if own else ""
    return driver and replace(driver, tensors=others)


def execute(adapter: Adapter, message: Message, begin: Begin = _quiet) -> Message:
    """Run the forms that the message asks for, the emulated one only where it is needed.

    ``begin`` is told of each form and stage before it runs.

    The arrays are the request's inputs in canonical order and, where the VJP is wanted, the
    cotangent last. The reply holds one entry per form; its numbers index the reply's arrays. From
    an adapter without gradients it has none, whatever is wanted.
    """
    header = message.header
    vjp = header["vjp"] and adapter.gradients
    replies: list[dict[str, Any]] = []
    arrays: list[Array] = []
    api = _api(adapter, header)
    complete = False
    for form, asked, program in _programs(adapter, header):
        if form == "emulated" and complete and header.get("forms") is None:
            replies.append({"form": form, "available": True})
            continue
        if isinstance(program, Unsupported):
            replies.append({"form": form, "unsupported": program.reason})
            continue
        trained = isinstance(asked, Chain) and asked.training is not None and vjp
        kind = _Training if trained else _Run
        run = kind(adapter, api, asked, program, header, message.arrays, vjp)
        stages = run.reply(arrays, lambda stage, form=form: begin(form, stage))  # type: ignore[misc]
        replies.append({"form": form, "source": program.source, **stages})
        complete = complete or (form == "native" and run.complete)
    return Message({"type": "ran", "forms": replies}, tuple(arrays))


def _api(adapter: Adapter, header: Mapping[str, Any]) -> Api:
    return next(api for api in adapter.apis if api.name == header["api"])


def _programs(
    adapter: Adapter, header: Mapping[str, Any]
) -> Iterator[tuple[Form, Asked, Program | Unsupported]]:
    wanted = header.get("forms")
    api, asked = _api(adapter, header), _read(header["request"])
    for name in _names(asked):
        dtype = _dtype(asked, name)
        if dtype not in adapter.dtypes:
            yield "native", asked, Unsupported(f"{adapter.name} has no {dtype} arrays")
            return
    lowering = lower_chain(api, asked) if isinstance(asked, Chain) else api.lower(asked)
    mode = header.get("mode", adapter.modes[0].name)
    if wanted is None or "native" in wanted:
        yield "native", asked, _in_mode(adapter, lowering.native, mode)
    if header.get("spelled") and (wanted is None or "spelled" in wanted):
        instead, said = _spelled(api, asked, header["spelled"])
        yield "spelled", instead, _in_mode(adapter, said, mode)
    if lowering.emulated is not None and (wanted is None or "emulated" in wanted):
        yield "emulated", asked, adapter.program(lowering.emulated, mode)


def _spelled(
    api: Api, asked: Asked, fields: Mapping[str, Any]
) -> tuple[Request, Program | Unsupported]:
    """What an API's users write: another request, or a call, which is checked once more."""
    if "call" not in fields:
        instead = from_json(fields)
        return instead, api.lower(instead).native
    assert not isinstance(asked, Chain)
    call = spelled(fields["call"], parameters(asked))
    if call.name not in api.spoken:
        return asked, Unsupported(f"{api.name} knows no call {call.name}")
    return asked, api.verbatim(asked, call)


def _read(fields: Mapping[str, Any]) -> Asked:
    return chain.from_json(fields) if fields["op"] == "chain" else from_json(fields)


def _names(asked: Asked) -> tuple[str, ...]:
    """Names of the arguments of ``forward``."""
    return asked.names if isinstance(asked, Chain) else parameters(asked)


def _dtype(asked: Asked, name: str) -> str:
    return asked.dtype if isinstance(asked, Chain) else asked.dtype_of(name)


def _part(asked: Asked, name: str) -> tuple[str, Request]:
    """What an array is to which request: x, w, b or y."""
    return asked.part(name) if isinstance(asked, Chain) else (name, asked)


def _first(asked: Asked) -> Request:
    return asked.operators[0] if isinstance(asked, Chain) else asked


def _in_mode(adapter: Adapter, said: Program | Unsupported, mode: str) -> Program | Unsupported:
    return adapter.program(said, mode) if isinstance(said, Program) else said


class _Run:
    """One program on the data of one request or chain."""

    def __init__(
        self,
        adapter: Adapter,
        api: Api,
        asked: Asked,
        program: Program,
        header: Mapping[str, Any],
        arrays: tuple[Array, ...],
        vjp: bool,
    ) -> None:
        self.adapter, self.api, self.asked, self.program = adapter, api, asked, program
        self.mode, self.view, self.vjp = header["mode"], header.get("view"), vjp
        self.names = _names(asked)
        self.inputs = arrays[: len(self.names)]
        self.cotangent = arrays[len(self.names)] if vjp else None
        self.complete = False

    def reply(self, arrays: list[Array], begin: Callable[[str], None]) -> dict[str, Any]:
        """What each stage gave: an array's index and dtype, or the error."""
        result: dict[str, Any] = {}
        stages = self._stages()
        stage = "forward"
        begin(stage)
        try:
            result["forward"] = self._store(arrays, next(stages))
            output = arrays[-1]
            if self.cotangent is not None and output.shape == self.cotangent.shape:
                stage = "vjp"
                begin(stage)
                result["vjp"] = self._store(arrays, next(stages))
            self.complete = (not self.vjp) or "vjp" in result
        except Exception as error:
            result[stage] = {"error": _error(error)}
        finally:
            stages.close()
        return result

    def _stages(self) -> Any:
        stages = self._ran(self._namespace(), self.inputs)
        yield (("y", next(stages)),)
        yield tuple(zip(self.names, next(stages)))

    def _namespace(self) -> dict[str, Any]:
        self.adapter.enter(self.mode)
        namespace: dict[str, Any] = {"__name__": "program"}
        exec(compile(self.program.source, "<program>", "exec"), namespace)
        return namespace

    def _ran(self, namespace: dict[str, Any], arrays: Sequence[Array]) -> Iterator[Any]:
        inputs = [self._tensor(name, array) for name, array in zip(self.names, arrays)]
        cotangent = None if self.cotangent is None else self._tensor("y", self.cotangent)
        return self.adapter.run(namespace, inputs, cotangent, self.mode)

    def _tensor(self, name: str, array: Array) -> Any:
        kind, request = _part(self.asked, name)
        # An error is a number, without axes to be moved.
        own = array if array.ndim == 0 else layout.to_api(kind, array, request, self.api.layout)
        dtype = _dtype(self.asked, name)
        if name == "x" and self.view is not None:
            _, longer, place = layout.viewed(own, request, self.api.layout, self.view)
            return self.adapter.tensor(longer, dtype)[place]
        return self.adapter.tensor(own, dtype)

    def _store(self, arrays: list[Array], tensors: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
        stored = {}
        for name, tensor in tensors:
            values, dtype = self._array(name, tensor)
            arrays.append(values)
            stored[name] = {"array": len(arrays) - 1, "dtype": dtype}
        return stored

    def _array(self, name: str, tensor: Any) -> tuple[Array, str]:
        """A tensor in canonical order, and its own dtype."""
        values, dtype = self.adapter.array(tensor)
        kind, request = _part(self.asked, name)
        return layout.from_api(kind, values, request, self.api.layout), dtype


class _Training(_Run):
    """A descent by gradients: the first loss, then all losses and what became of the parameters.

    Parameters move between steps as arrays of the chain's dtype.
    """

    def _stages(self) -> Any:
        chain, namespace = self.asked, self._namespace()
        assert isinstance(chain, Chain) and chain.training is not None
        rate = DTYPES[chain.dtype].carrier.type(chain.training.rate)
        arrays = list(self.inputs)
        seen: dict[str, list[tuple[Array, str]]] = {}
        for step in range(chain.training.steps):
            stages = self._ran(namespace, arrays)
            loss = next(stages)
            if step == 0:
                yield (("y", loss),)
            seen.setdefault(LOSSES, []).append(self._array("y", loss))
            for at, (name, gradient) in enumerate(zip(self.names, next(stages))):
                if name in chain.trained:
                    values, dtype = self._array(name, gradient)
                    arrays[at] = arrays[at] - rate * values
                    seen.setdefault(trajectory_of(name), []).append((arrays[at], dtype))
        yield tuple(seen.items())

    def _array(self, name: str, tensor: Any) -> tuple[Array, str]:
        if not isinstance(tensor, list):
            return super()._array(name, tensor)
        arrays, dtypes = zip(*tensor)
        return np.stack(arrays), dtypes[-1]


def _error(error: BaseException) -> dict[str, str]:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return {
        "type": type(error).__name__,
        "message": _shortened(str(error)),
        "where": f"{last.filename}:{last.lineno}",
    }


def _shortened(text: str) -> str:
    """Both ends of a long message: frameworks put the reason at either."""
    if len(text) <= TEXT_LIMIT:
        return text
    return f"{text[: TEXT_LIMIT // 2]}\n…\n{text[-TEXT_LIMIT // 2 :]}"
