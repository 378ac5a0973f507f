"""Calls that cases spell: of literals and tensors only, and written anew from what was parsed.

Standard library only, as `calls`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conformance.content import shown
from conformance.translation import calls
from conformance.translation.calls import CallError

WORD = re.compile(r"[A-Za-z0-9_-]{1,40}")
NUMBERS = (bool, int, float, type(None))


@dataclass(frozen=True)
class Spelled:
    """A call as users write it.

    ``text`` is made from the call's tree, of which every part was checked, and so it holds nothing
    else. ``layer`` says that it makes a layer, to be applied to ``x``.
    """

    name: str
    text: str
    layer: bool


def spelled(text: str, tensors: Sequence[str]) -> Spelled:
    """The call that a case spells; ``tensors`` are the names that stand for its arrays.

    Raises:
        CallError: the text is something else than one call of a dotted name, or an argument is
            neither a tensor's name nor a number, a boolean, None, a plain word in quotes, or
            a tuple or list of such.
    """
    calls.parse(text)
    flat = calls.flat(text)
    node = ast.parse(flat, mode="eval").body
    assert isinstance(node, ast.Call)
    if isinstance(node.func, ast.Call):
        raise CallError("write the layer alone; it is applied to x")
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    for each in arguments:
        for part in _misfits(each, tensors):
            there = ", ".join(tensors)
            what = shown(ast.get_source_segment(flat, part) or "")
            message = f"{what} is neither a literal nor one of the case's tensors ({there})"
            raise CallError(message, part.col_offset + 1)
    layer = not any(isinstance(each, ast.Name) and each.id == "x" for each in arguments)
    return Spelled(ast.unparse(node.func), ast.unparse(node), layer)


def _misfits(node: ast.expr, tensors: Sequence[str]) -> Iterator[ast.expr]:
    """The first parts of an argument that are neither literals nor tensors."""
    if isinstance(node, (ast.Tuple, ast.List)):
        for each in node.elts:
            yield from _misfits(each, tensors)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = node.operand
        if not (isinstance(inner, ast.Constant) and type(inner.value) in (int, float)):
            yield node
    elif isinstance(node, ast.Constant):
        word = isinstance(node.value, str) and WORD.fullmatch(node.value)
        if not (word or isinstance(node.value, NUMBERS)):
            yield node
    elif not (isinstance(node, ast.Name) and node.id in tensors):
        yield node
