"""Parts of a program's source that say most: its operator call, and all but helper functions."""

from __future__ import annotations

import ast
from collections.abc import Iterator

LONG = 40


def operator_call(text: str) -> str:
    """The call that builds or applies the operator, on one line.

    That is the longest one that makes a layer before ``forward``, or else the longest in
    ``forward``, or what repeats it first. A program without calls gives its last line.
    """
    tree = _parsed(text)
    made = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    run = [node for node in tree.body if _defined(node) == "forward"]
    for roots in (made, run):
        calls = [call for root in roots for call in _calls(root, text)]
        if calls:
            longest = max(calls, key=lambda call: len(call[1]))
            return next(line for name, line in calls if name == longest[0])
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def help_line(text: str) -> str:
    """What a recipe does beside the operator, on one line.

    The first line of ``forward`` that replaces one of its arguments; else the one that returns.
    """
    for node in _parsed(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            names = {argument.arg for argument in node.args.args}
            for step in [step for step in node.body if _assigned(step) & names] + node.body[-1:]:
                return _joined(ast.get_source_segment(text, step) or "")
    return operator_call(text)


def abridged(text: str) -> str:
    """The source, in a long one all functions but ``forward`` as a comment that counts them."""
    lines = text.splitlines()
    if len(lines) <= LONG:
        return text
    hidden: list[tuple[int, int]] = []
    for node in _parsed(text).body:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        documents = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if documents or _defined(node) not in ("", "forward"):
            hidden.append((first - 1, node.end_lineno or node.lineno))
    if not hidden:
        return text
    dropped = {at for first, last in hidden for at in range(first, last)}
    kept: list[str] = []
    for at, line in enumerate(lines):
        if at == hidden[-1][0]:
            kept += [f"# … {len(dropped)} lines of helper functions", ""]
        blank = not line.strip() and (not kept or not any(row.strip() for row in kept[-2:]))
        if at not in dropped and not blank:
            kept.append(line)
    return "\n".join(kept).strip("\n") + "\n"


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return ast.Module([], [])


def _defined(node: ast.stmt) -> str:
    defines = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    return getattr(node, "name", "") if defines else ""


def _assigned(node: ast.stmt) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {
        name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
    }


def _calls(root: ast.AST, text: str) -> Iterator[tuple[str, str]]:
    """Calls of named functions in the order of the text: the name, and the call on one line."""
    found = [node for node in ast.walk(root) if isinstance(node, ast.Call)]
    for node in sorted(found, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(node.func, (ast.Name, ast.Attribute)):
            name = ast.get_source_segment(text, node.func) or ""
            if name.replace(".", "").replace("_", "").isalnum():
                yield name, _joined(ast.get_source_segment(text, node) or "")


def _joined(segment: str) -> str:
    """A call on one line: the arguments of one that is folded come on lines of their own."""
    lines = [line.strip() for line in segment.splitlines()]
    text = " ".join(lines)
    if len(lines) > 1:
        text = text.replace("( ", "(", 1)
        text = text.removesuffix(" )").removesuffix(",") + ")" if text.endswith(" )") else text
    return text
