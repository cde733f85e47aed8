"""Pieces of syntax trees from text, placed on a line of the user's."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from typing import Any, TypeVar

N = TypeVar("N", bound=ast.AST)
AG = "ag__"
"""The name under which converted code finds its operators."""


def located(node: N, at: ast.AST) -> N:
    """Give a new node and its parts, where they have no place yet, that of `at`'s line."""
    place = _header(at)
    for part in _unplaced(node):
        part.__dict__.update(place)
    return node


def _header(at: ast.AST) -> dict[str, int]:
    head: Any = getattr(at, "test", None) or getattr(at, "iter", None) or at
    if isinstance(at, (ast.FunctionDef, ast.With, ast.Try)):
        line, column = at.lineno, at.col_offset
        return {
            "lineno": line,
            "col_offset": column,
            "end_lineno": line,
            "end_col_offset": column,
        }
    first: Any = at
    if (head.end_lineno, head.end_col_offset) < (first.lineno, first.col_offset):
        head = at
    return {
        "lineno": first.lineno,
        "col_offset": first.col_offset,
        "end_lineno": head.end_lineno,
        "end_col_offset": head.end_col_offset,
    }


def _unplaced(node: ast.AST) -> list[Any]:
    if "lineno" in node._attributes and hasattr(node, "lineno"):
        return []
    found = [node] if "lineno" in node._attributes else []
    for child in ast.iter_child_nodes(node):
        found += _unplaced(child)
    return found


class _Fill(ast.NodeTransformer):
    """Puts names and parts into a parsed template."""

    def __init__(self, names: Mapping[str, str], parts: Mapping[str, Any]) -> None:
        self.names, self.parts = names, parts

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.parts:
            return self.parts[node.id]
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_Expr(self, node: ast.Expr) -> Any:
        value = node.value
        if isinstance(value, ast.Name) and isinstance(self.parts.get(value.id), list):
            return self.parts[value.id]
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.name = self.names.get(node.name, node.name)
        node.generated = True  # type: ignore[attr-defined]
        return self.generic_visit(node)


def statements(
    text: str, at: ast.AST, names: Mapping[str, str] | None = None, **parts: Any
) -> list[ast.stmt]:
    """The statements of `text`.

    Args:
        text: the template.
        at: the node whose first line the new nodes stand on.
        names: names of the template, and what they are to be.
        **parts: expressions for names; lists of statements for names that stand alone.
    """
    tree = ast.parse(text)
    for node in ast.walk(tree):
        for key in ("lineno", "col_offset", "end_lineno", "end_col_offset"):
            node.__dict__.pop(key, None)
        if isinstance(node, ast.Name):
            node.generated = True  # type: ignore[attr-defined]
    filled = _Fill(names or {}, parts).visit(tree)
    return [located(s, at) for s in filled.body]


def expression(text: str, at: ast.AST, **parts: Any) -> ast.expr:
    """The expression `text` (see `statements`)."""
    made = statements(text, at, None, **parts)[0]
    assert isinstance(made, ast.Expr)
    return made.value


def operator(name: str, at: ast.AST, *arguments: ast.expr) -> ast.Call:
    """A call of the operator `name` of the run time."""
    function = ast.Attribute(ast.Name(AG, ast.Load()), name, ast.Load())
    function.value.generated = True  # type: ignore[attr-defined]
    call = ast.Call(function, list(arguments), [])
    for node in (call, function, function.value):
        ast.copy_location(node, at)
    return call


def thunk(body: ast.expr) -> ast.Lambda:
    """`lambda: body`."""
    empty = ast.arguments([], [], None, [], [], None, [])
    return ast.copy_location(ast.Lambda(empty, body), body)


def duplicate(node: N) -> N:
    """A deep copy."""
    return copy.deepcopy(node)


__all__ = ["AG", "duplicate", "expression", "located", "operator", "statements", "thunk"]
