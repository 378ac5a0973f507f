"""Runs one request on one API: lower, execute the source, convert, reply."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from conformance import layout
from conformance.adapter import Adapter, Api, Driver, Form, Program, Unsupported, parameters
from conformance.dtypes import Array
from conformance.request import Request, from_json
from conformance.worker.protocol import Message

TEXT_LIMIT = 4000

Begin = Callable[[str, str], None]


def _quiet(form: str, stage: str) -> None:
    pass


def lower(adapter: Adapter, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each form of the request in the API's words: its source and layout, or why there is none."""
    own = _api(adapter, header).layout
    return [
        {"form": form, "source": program.source, "layout": layout.described(request, own)}
        if isinstance(program, Program)
        else {"form": form, "unsupported": program.reason}
        for form, request, program in _programs(adapter, header)
    ]


def drive(adapter: Adapter, header: Mapping[str, Any]) -> dict[str, Any]:
    """One form of the request as a user runs it by hand: source, axis orders and driver.

    The driver is None where the adapter has none, the source where the API cannot say the form.
    """
    layout = asdict(_api(adapter, header).layout)
    for _, request, program in _programs(adapter, header):
        if isinstance(program, Program):
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
    for form, request, program in _programs(adapter, header):
        if form == "emulated" and complete and header.get("forms") is None:
            replies.append({"form": form, "available": True})
            continue
        if isinstance(program, Unsupported):
            replies.append({"form": form, "unsupported": program.reason})
            continue
        run = _Run(adapter, api, request, program, header["mode"], message.arrays, vjp)
        stages = run.reply(arrays, lambda stage, form=form: begin(form, stage))  # type: ignore[misc]
        replies.append({"form": form, "source": program.source, **stages})
        complete = complete or (form == "native" and run.complete)
    return Message({"type": "ran", "forms": replies}, tuple(arrays))


def _api(adapter: Adapter, header: Mapping[str, Any]) -> Api:
    return next(api for api in adapter.apis if api.name == header["api"])


def _programs(
    adapter: Adapter, header: Mapping[str, Any]
) -> Iterator[tuple[Form, Request, Program | Unsupported]]:
    wanted = header.get("forms")
    api, request = _api(adapter, header), from_json(header["request"])
    for name in parameters(request):
        dtype = request.dtype_of(name)
        if dtype not in adapter.dtypes:
            yield "native", request, Unsupported(f"{adapter.name} has no {dtype} arrays")
            return
    lowering = api.lower(request)
    mode = header.get("mode", adapter.modes[0].name)
    if wanted is None or "native" in wanted:
        yield "native", request, _in_mode(adapter, lowering.native, mode)
    if header.get("spelled") and (wanted is None or "spelled" in wanted):
        spelled = from_json(header["spelled"])
        yield "spelled", spelled, _in_mode(adapter, api.lower(spelled).native, mode)
    if lowering.emulated is not None and (wanted is None or "emulated" in wanted):
        yield "emulated", request, adapter.program(lowering.emulated, mode)


def _in_mode(adapter: Adapter, said: Program | Unsupported, mode: str) -> Program | Unsupported:
    return adapter.program(said, mode) if isinstance(said, Program) else said


class _Run:
    """One program on one request's data."""

    def __init__(
        self,
        adapter: Adapter,
        api: Api,
        request: Request,
        program: Program,
        mode: str,
        arrays: tuple[Array, ...],
        vjp: bool,
    ) -> None:
        self.adapter, self.api, self.request, self.program = adapter, api, request, program
        self.mode, self.vjp = mode, vjp
        self.names = parameters(request)
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
        self.adapter.enter(self.mode)
        namespace: dict[str, Any] = {"__name__": "program"}
        exec(compile(self.program.source, "<program>", "exec"), namespace)
        inputs = [self._tensor(name, array) for name, array in zip(self.names, self.inputs)]
        cotangent = None if self.cotangent is None else self._tensor("y", self.cotangent)
        stages = self.adapter.run(namespace, inputs, cotangent, self.mode)
        yield (("y", next(stages)),)
        yield tuple(zip(self.names, next(stages)))

    def _tensor(self, name: str, array: Array) -> Any:
        own = layout.to_api(name, array, self.request, self.api.layout)
        return self.adapter.tensor(own, self.request.dtype_of(name))

    def _store(self, arrays: list[Array], tensors: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
        stored = {}
        for name, tensor in tensors:
            values, dtype = self.adapter.array(tensor)
            arrays.append(layout.from_api(name, values, self.request, self.api.layout))
            stored[name] = {"array": len(arrays) - 1, "dtype": dtype}
        return stored


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
