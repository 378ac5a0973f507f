"""Programs put together: each step's text becomes a function of one program.

What every step needs once stands once: imports, and helpers of the same text. What belongs to one
step (its layer, its options) gets the step's name in front of its own.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

OWN = ("forward", "vjp")
"""The functions of a program that are its own, whatever their text."""


@dataclass(frozen=True)
class Part:
    """One step's program, and the name of the function that its ``forward`` becomes."""

    name: str
    source: str

    @property
    def vjp(self) -> str:
        """The name of the function that its ``vjp`` becomes, where it has one."""
        return f"{self.name}_vjp"


@dataclass
class Text:
    """A program in the making: imports, what is taken from modules, other statements in order."""

    imports: set[str] = field(default_factory=set)
    taken: dict[str, set[str]] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    _helpers: dict[str, str] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """Add a step's statements under its name."""
        lines = part.source.splitlines()
        nodes = ast.parse(part.source).body
        bound = {name: node for node in nodes for name in _bound(node)}
        names = {
            name: part.name if name == "forward" else f"{part.name}_{name}"
            for name, node in bound.items()
            if name in OWN or not isinstance(node, ast.FunctionDef)
        }
        for node in nodes:
            text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.need(text)
                continue
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # a docstring
            text = renamed(text, names)
            if isinstance(node, ast.FunctionDef) and node.name not in OWN:
                text = self._helper(part, node.name, text, names)
            if text and text not in self.statements:
                self.statements.append(text)

    def need(self, line: str) -> None:
        """Add an import."""
        (node,) = ast.parse(line).body
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            self.taken.setdefault(node.module, set()).update(map(ast.unparse, node.names))
        else:
            self.imports.add(line)

    def _helper(self, part: Part, name: str, text: str, names: dict[str, str]) -> str:
        """A function that steps may share; of another text it is one step's own."""
        if self._helpers.setdefault(name, text) == text:
            return text
        names[name] = f"{part.name}_{name}"
        return renamed(text, {name: names[name]})

    def program(self, *functions: str) -> str:
        """The source, with functions at its end."""
        taken = {f"from {module} import {', '.join(sorted(names))}"
                 for module, names in self.taken.items()}  # fmt: skip
        head = "\n".join(sorted(self.imports | taken, key=_order))
        lines = [head]
        function = False
        for statement in (*self.statements, *functions):
            before, function = function, statement.startswith("def ")
            space = 2 if function or before else 1 if len(lines) == 1 else 0
            lines += [*[""] * space, statement]
        return "\n".join(lines).strip() + "\n"


def _order(line: str) -> tuple[bool, bool, str]:
    """The future first, modules before what is taken from them."""
    return not line.startswith("from __future__"), line.startswith("from "), line


def _bound(node: ast.stmt) -> Iterable[str]:
    if isinstance(node, ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def words(source: str) -> frozenset[str]:
    """Every name that a text uses."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return frozenset(token.string for token in tokens if token.type == tokenize.NAME)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text with other names for some variables, not for attributes and keyword arguments."""
    lines = text.splitlines(keepends=True)
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in (tokenize.NL, tokenize.COMMENT)
    ]
    depth, replaced = 0, []
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None]):
        depth += (token.string in "([{" and bool(token.string)) - (
            token.string in ")]}" and bool(token.string)
        )
        attribute = before is not None and before.string == "."
        keyword = depth > 0 and after is not None and after.string == "="
        if token.type == tokenize.NAME and token.string in names and not attribute | keyword:
            replaced.append(token)
    for token in reversed(replaced):
        row, start = token.start
        line = lines[row - 1]
        lines[row - 1] = f"{line[:start]}{names[token.string]}{line[token.end[1] :]}"
    return "".join(lines)
