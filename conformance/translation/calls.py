"""Calls as text: a function's name and its arguments, parsed and never evaluated.

Standard library only: calls are read in workers, by the interpreters of the backends.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

from conformance.content import shown

LENGTH_LIMIT = 2_000
LARGEST = 2**31
COMMENT = re.compile(r"#[^\"'\n]*$", re.MULTILINE)
ASSIGNMENT = re.compile(r"\s*[\w.]+\s*=(?!=)")
INFINITIES = ("inf", "infty", "Inf", "PINF")


class CallError(ValueError):
    """A call that cannot be read.

    ``column`` counts from 1; where a reader knows none, ``about`` is the argument at fault, or the
    field of a case that it speaks of.
    """

    def __init__(self, message: str, column: int | None = None, about: str = "") -> None:
        super().__init__(message)
        self.message, self.column, self.about = message, column, about


@dataclass(frozen=True)
class Symbol:
    """What is no literal: a name, which may stand for a tensor or a dtype, or an expression."""

    text: str
    column: int
    name: bool


Value = Union[bool, int, float, str, None, Symbol, tuple["Value", ...]]


@dataclass(frozen=True)
class Argument:
    """A value, its text, and the column where it begins (of an option: where its name does)."""

    value: Value
    column: int
    text: str


@dataclass(frozen=True)
class Call:
    """A function's dotted name, its positional arguments, and its options."""

    name: str
    arguments: tuple[Argument, ...] = ()
    options: Mapping[str, Argument] = field(default_factory=dict)


def flat(text: str) -> str:
    """The text on one line, without comments: what the columns of errors count in."""
    return " ".join(filter(None, map(str.strip, COMMENT.sub("", text).splitlines())))


def parse(text: str) -> Call:
    """The call that a text writes; of a layer that is applied to names, ``layer(…)(x)``, the layer.

    Lists are read as tuples, ``float("-inf")`` and ``math.inf`` and their like as numbers.

    Raises:
        CallError: the text is no call of a named function, or it is too long or too deep.
    """
    text = flat(text)
    if len(text) > LENGTH_LIMIT:
        raise CallError(f"a call has at most {LENGTH_LIMIT:,} characters, this has {len(text):,}")
    try:
        return _Parser(text).call()
    except SyntaxError as error:
        if ASSIGNMENT.match(text):
            raise CallError("write the call alone, what stands right of '='", 1) from None
        column = error.offset if error.offset and error.offset > 0 else None
        message = " ".join(error.msg.split())
        raise CallError(f"this is no call in Python: {message}", column) from None
    except CallError:
        raise
    except (ValueError, RecursionError, MemoryError, OverflowError):
        message = "this is no call in Python: it has odd characters or is nested too deeply"
        raise CallError(message) from None


class _Parser:
    """Parses one text; knows where its nodes stand."""

    def __init__(self, text: str) -> None:
        self.text = text

    def call(self) -> Call:
        if not self.text:
            raise CallError("there is no call; write one such as nn.Conv2d(3, 8, 3)")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(self.text, mode="eval").body
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Call) and _names_only(node):
            node = node.func
        if not isinstance(node, ast.Call):
            raise CallError("write a call: a function's name, and its arguments in parentheses", 1)
        name = _dotted(node.func)
        if name is None:
            raise CallError("a function's name is needed before '('", self._column(node.func))
        arguments = tuple(self._argument(each, self._column(each)) for each in node.args)
        options: dict[str, Argument] = {}
        for keyword in node.keywords:
            column = self._column(keyword)
            if keyword.arg is None:
                raise CallError("write the options out instead of '**'", column)
            if keyword.arg in options:
                raise CallError(f"{shown(keyword.arg)} is given twice", column)
            options[keyword.arg] = self._argument(keyword.value, column)
        return Call(name, arguments, options)

    def _argument(self, node: ast.expr, column: int) -> Argument:
        return Argument(self._value(node), column, self._written(node))

    def _value(self, node: ast.expr) -> Value:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, int) and abs(node.value) > LARGEST:
                message = f"a number of at most {LARGEST} is needed"
                raise CallError(message, self._column(node))
            if node.value is None or isinstance(node.value, (bool, int, float, str)):
                return node.value
        if isinstance(node, (ast.Tuple, ast.List)):
            return tuple(self._value(each) for each in node.elts)
        if isinstance(node, ast.Starred):
            raise CallError("write the arguments out instead of '*'", self._column(node))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self._value(node.operand)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return -value if isinstance(node.op, ast.USub) else value
        name = _dotted(node)
        if name is not None and name.rpartition(".")[2] in INFINITIES:
            return float("inf")
        number = _float(node)
        return self._symbol(node, name is not None) if number is None else number

    def _symbol(self, node: ast.expr, name: bool) -> Symbol:
        return Symbol(self._written(node), self._column(node), name)

    def _written(self, node: ast.expr) -> str:
        return self.text[self._column(node) - 1 : self._column(node, end=True) - 1]

    def _column(self, node: ast.expr | ast.keyword, end: bool = False) -> int:
        """Where a node begins or ends, in characters from 1: Python counts bytes."""
        offset = node.end_col_offset if end else node.col_offset
        return len(self.text.encode()[:offset].decode(errors="ignore")) + 1


def _dotted(node: ast.expr) -> str | None:
    """``a.b.c``, or None where the node is no such name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def _names_only(node: ast.Call) -> bool:
    """Whether a call hands over nothing but tensors."""
    return not node.keywords and all(_dotted(each) is not None for each in node.args)


def _float(node: ast.expr) -> float | None:
    """The number that ``float("-inf")`` stands for."""
    if not (isinstance(node, ast.Call) and _dotted(node.func) == "float"):
        return None
    argument = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
        return None
    try:
        return float(argument.value)
    except ValueError:
        return None
