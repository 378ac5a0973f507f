"""The calls that a backend reads: each is a function whose signature is the framework's.

A reader takes a `Draft` and then the parameters of the framework's own function, in its order and
with its defaults; an annotation says what each takes and which field of a case it speaks of. It
returns the fields of a case. Names and defaults thus stand in one place, and can be compared with
the framework's.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, get_type_hints

from conformance.content import shown
from conformance.dtypes import DTYPES
from conformance.translation.calls import LARGEST, Argument, Call, CallError, Symbol, Value
from conformance.translation.reading import Draft, Fields, Place, Reading, Shapes

Reader = Callable[..., Fields]
SHOWN = 40
RANK = re.compile(r"([123])[dD]")
SHORT = {"half": "float16", "float": "float32", "double": "float64", "short": "int16"}
SHORT |= {"int": "int32", "long": "int64"}


@dataclass(frozen=True)
class Parameter:
    """What a parameter takes, nothing wanted where a case cannot say it.

    ``about`` is the field of a case that it says; ``named`` tells that it takes names.
    """

    wanted: str
    fits: Callable[[Value], bool]
    about: str = ""
    named: bool = False


def _whole(value: Value, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _per_axis(value: Value) -> bool:
    several = isinstance(value, tuple) and bool(value) and all(map(_whole, value))
    return several or _whole(value)


def _several(value: Value) -> bool:
    return isinstance(value, tuple) and _per_axis(value)


def _amounts(value: Value, least: int = 0) -> bool:
    many = value if isinstance(value, tuple) else (value,)
    return bool(many) and all(_whole(each, least) for each in many)


def _sizes(value: Value) -> bool:
    many = value if isinstance(value, tuple) else (value,)
    return bool(many) and all(each is None or _whole(each) for each in many)


def _above_zero(value: Value) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 < value < math.inf  # type: ignore[operator]


def _sides(value: Value) -> bool:
    many = value if isinstance(value, tuple) else ()
    return bool(many) and all(
        isinstance(each, tuple) and len(each) == 2 and _amounts(each, -LARGEST) for each in many
    )


def _padding(value: Value) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(_whole(each, -LARGEST) or _sides((each,)) for each in value)
    return isinstance(value, str) or _whole(value, -LARGEST)


def dtype(value: Value) -> str | None:
    """The dtype's name that a string or a name such as ``torch.float16`` stands for."""
    name = value.text if isinstance(value, Symbol) and value.name else value
    last = name.rpartition(".")[2] if isinstance(name, str) else ""
    last = SHORT.get(last, last)
    return last if last in DTYPES else None


def _tensor(value: Value) -> bool:
    return isinstance(value, Symbol) and value.name


def _anything(value: Value) -> bool:
    return True


def _ones(value: Value) -> bool:
    return set(value if isinstance(value, tuple) else (value,)) == {1}


def _never(value: Value) -> bool:
    return False


def _word(value: Value) -> bool:
    return isinstance(value, str)


def _flag(value: Value) -> bool:
    return isinstance(value, bool)


_MANY = "a whole number from 1 on, or one per spatial axis"
_ONE = "a whole number from 1 on"
Tensor = Annotated[Any, Parameter("the name of a tensor, such as x", _tensor, named=True)]
Channels = Annotated[Any, Parameter("a whole number from 0 on", lambda v: _whole(v, 0), "kernel")]
Features = Annotated[Any, Parameter(_ONE, _whole, "kernel")]
Multiplier = Annotated[Any, Parameter(_ONE, _whole, "kernel")]
KernelSize = Annotated[Any, Parameter(_MANY, _per_axis, "kernel")]
KernelSizes = Annotated[Any, Parameter("one whole number per spatial axis", _several, "kernel")]
Window = Annotated[Any, Parameter(_MANY, _per_axis, "window")]
Windows = Annotated[Any, Parameter("one whole number per spatial axis", _several, "window")]
Stride = Annotated[Any, Parameter(_MANY, _per_axis, "stride")]
Strides = Annotated[Any, Parameter("one whole number per spatial axis", _several, "stride")]
Dilation = Annotated[Any, Parameter(_MANY, _per_axis, "dilation")]
Dilations = Annotated[Any, Parameter("one whole number per spatial axis", _several, "dilation")]
OutputPadding = Annotated[
    Any, Parameter("a whole number from 0 on, or one per spatial axis", _amounts, "output_padding")
]
InputShape = Annotated[Any, Parameter("the sizes of all axes but the batch", _several, "input")]
OutputShape = Annotated[Any, Parameter("the sizes of all axes", _several, "output_padding")]
OutputSize = Annotated[Any, Parameter(_MANY, _per_axis, "output_size")]
OutputSizes = Annotated[
    Any, Parameter("one whole number per spatial axis", _several, "output_size")
]
Order = Annotated[Any, Parameter("a whole number from 1 on", _whole, "norm")]
Groups = Annotated[Any, Parameter(_ONE, _whole, "groups")]
Word = Annotated[Any, Parameter("a word in quotes", _word)]
PaddingMode = Annotated[Any, Parameter("a word in quotes", _word, "padding_mode")]
PaddingWord = Annotated[Any, Parameter("a word in quotes", _word, "padding")]
PaddingNumbers = Annotated[
    Any, Parameter("a whole number from 0 on, or one per spatial axis", _amounts, "padding")
]
PaddingNumbersOrWord = Annotated[
    Any,
    Parameter(
        "a word in quotes, a whole number from 0 on, or one per spatial axis",
        lambda v: _word(v) or _amounts(v),
        "padding",
    ),
]
PaddingSides = Annotated[
    Any,
    Parameter(
        "a word in quotes, or a pair of whole numbers per axis",
        lambda v: _word(v) or _sides(v),
        "padding",
    ),
]
Padding = Annotated[
    Any,
    Parameter(
        "a word in quotes, a whole number, or a number or a pair per spatial axis",
        _padding,
        "padding",
    ),
]
Sizes = Annotated[
    Any,
    Parameter("a whole number from 1 on, or one or None per spatial axis", _sizes, "output_size"),
]
Divisor = Annotated[Any, Parameter(_ONE, _whole, "divisor")]
Norm = Annotated[Any, Parameter("a number above 0", _above_zero, "norm")]
CeilMode = Annotated[Any, Parameter("True or False", _flag, "ceil_mode")]
Flag = Annotated[Any, Parameter("True or False", _flag)]
Number = Annotated[Any, Parameter("a number", lambda v: isinstance(v, (int, float)))]
Function = Annotated[Any, Parameter("a function's name", _tensor, named=True)]
DType = Annotated[
    Any,
    Parameter(
        f"a dtype, one of {', '.join(DTYPES)}", lambda v: dtype(v) is not None, "dtype", named=True
    ),
]
Ignored = Annotated[Any, Parameter("anything", _anything)]
NoDilation = Annotated[Any, Parameter("", _ones)]
Unsaid = Annotated[Any, Parameter("", _never)]


@dataclass(frozen=True)
class Table:
    """The calls of one API.

    ``modules`` are what its functions are qualified with, the usual one first. In the names of
    ``readers`` and ``refused`` (whose values say why they cannot be read) ``{rank}`` stands for 1,
    2 and 3; a number before a ``d`` or ``D`` is the rank.
    """

    modules: tuple[str, ...] = ()
    readers: Mapping[str, Reader] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> Iterator[str]:
        """The names that can be read, as users write them."""
        return (f"{self.modules[0]}.{name}" for name in _expanded(self.readers))

    def everything(self, modules: Iterable[str]) -> Iterator[str]:
        """The names of all calls, those that are refused too, qualified with some modules."""
        names = (*_expanded(self.readers), *_expanded(self.refused))
        return (f"{module}.{name}" for module in modules for name in names)

    def knows(self, name: str) -> bool:
        """Whether a call of this name is one of this API's, read or refused."""
        return self._last(name) in (_expanded(self.readers) | _expanded(self.refused))

    def reader(self, last: str) -> Reader | None:
        """What reads calls of a function, named without its module; None where nothing does."""
        return _expanded(self.readers).get(last)

    def read(self, api: str, call: Call, shapes: Shapes) -> Reading:
        """What a call of a name that the table knows asks.

        Raises:
            CallError: an argument is missing, unknown or wrong, or says what a case cannot say.
        """
        last = self._last(call.name)
        name = f"{self.modules[0]}.{last}"
        reader = self.reader(last)
        if reader is None:
            raise CallError(f"{name} is not translated: {_expanded(self.refused)[last]}", 1)
        values, arguments = _bind(reader, name, call)
        places = _places(reader, arguments)
        rank = RANK.search(last)
        draft = Draft(name, int(rank[1]) if rank else None, shapes)
        try:
            fields = reader(draft, **values)
        except CallError as error:
            place = places.get(error.about) or arguments.get(error.about)
            if place is None:
                raise
            raise CallError(f"{place.name}: {error.message}", place.column) from None
        return Reading(api, fields, places, tuple(draft.notes))

    def _last(self, name: str) -> str:
        """The name without its module; empty where it is another's."""
        module, _, last = name.rpartition(".")
        return last if not module or module in self.modules else ""


def suggestion(name: str, tables: Mapping[str, Table]) -> str:
    """What a name that no table knows may have meant, or what there is."""
    there = [each for table in tables.values() for each in table.names()]
    lower = {each.lower(): each for each in reversed(there)}
    qualified = [each for each in lower if each.endswith(f".{name.lower().rpartition('.')[2]}")]
    near = qualified or difflib.get_close_matches(name.lower(), lower, 1)
    if near:
        return f"did you mean {lower[near[0]]}?"
    return f"there are {_some(there)}"


def _some(names: Sequence[str], limit: int = 6) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest


def _expanded(names: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.replace("{rank}", rank): value
        for name, value in names.items()
        for rank in ("123" if "{rank}" in name else "-")
    }


@cache
def parameters(reader: Reader) -> Mapping[str, tuple[inspect.Parameter, Parameter]]:
    """A reader's parameters but its draft: as Python has them, and what they take."""
    hints = get_type_hints(reader, include_extras=True)
    own = list(inspect.signature(reader).parameters.items())[1:]
    return {name: (each, hints[name].__metadata__[0]) for name, each in own}


def _bind(reader: Reader, name: str, call: Call) -> tuple[dict[str, Any], dict[str, Place]]:
    """The values of a reader's parameters, and where the call writes them."""
    there = parameters(reader)
    positional = [key for key, (each, _) in there.items() if each.kind is not each.KEYWORD_ONLY]
    if len(call.arguments) > len(positional):
        column = call.arguments[len(positional)].column
        most = f"{len(positional)} argument{'s' * (len(positional) != 1)}"
        raise CallError(f"{name} takes at most {most} without a name", column)
    given: dict[str, Argument] = dict(zip(positional, call.arguments))
    for key, argument in call.options.items():
        if key not in there:
            message = f"{name} has no argument {shown(key)}; {_near(key, there)}"
            raise CallError(message, argument.column)
        if key in given:
            raise CallError(f"{key!r} is given twice", argument.column)
        given[key] = argument
    values, places = {}, {}
    for key, (parameter, takes) in there.items():
        if key in given:
            _check(key, given[key], parameter.default, takes)
        elif parameter.default is parameter.empty:
            raise CallError(f"{name} needs {key!r}")
        values[key] = given[key].value if key in given else parameter.default
        places[key] = Place(key, given[key].column if key in given else None)
    return values, places


def _places(reader: Reader, arguments: Mapping[str, Place]) -> dict[str, Place]:
    """The arguments by the field of a case that they say, those that the call writes first."""
    places: dict[str, Place] = {}
    for key, (_, takes) in parameters(reader).items():
        if takes.about and (arguments[key].column or takes.about not in places):
            places[takes.about] = arguments[key]
    return places


def _near(key: str, there: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(key, there, 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {_some(list(there))}"


def _check(key: str, argument: Argument, default: Any, takes: Parameter) -> None:
    """Refuse a value that a parameter does not take.

    Raises:
        CallError: it names the argument, or the name or expression where a value belongs.
    """
    value = argument.value
    if _same(value, default, repeated=not takes.wanted) or takes.fits(value):
        return
    if not takes.wanted:
        message = f"{key!r} has no counterpart in the suite's requests; leave it out"
        raise CallError(message, argument.column)
    symbol = None if takes.named else _symbol(value)
    if symbol is not None:
        kind = "a name" if symbol.name else "an expression"
        raise CallError(f"{shown(symbol.text)} is {kind}; write its value", symbol.column)
    given = argument.text if argument.text.isprintable() else shown(argument.text)
    given = given if len(given) <= SHOWN else f"{given[: SHOWN - 1]}…"
    raise CallError(f"{key!r} is {takes.wanted}, not {given}", argument.column)


def _same(value: Value, default: Any, repeated: bool) -> bool:
    """Whether a value is the default, or where ``repeated`` the default for each axis."""
    many = value if repeated and isinstance(value, tuple) else (value,)
    return bool(many) and all(type(each) is type(default) and each == default for each in many)


def _symbol(value: Value) -> Symbol | None:
    """The first name or expression in a value."""
    if isinstance(value, tuple):
        return next(filter(None, map(_symbol, value)), None)
    return value if isinstance(value, Symbol) else None
