"""Which names a piece of a function reads and writes.

Names are plain strings. What is written besides them and can be state of a branch or loop,
`self.x` or `d['k']`, is a composite: its text, its node and the names that it hangs on. Nested
functions count with the names that they take from outside.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from headrace.trace.autograph.source import FunctionNode, argument_names

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Composite(NamedTuple):
    """An attribute or item that is written."""

    node: ast.expr
    roots: frozenset[str]


@dataclass
class Activity:
    """What some code does with names.

    Attributes:
        reads: names that are read.
        writes: names that are bound.
        composites: attributes and items that are written, by their text.
        closures: names that functions defined here take from outside.
        walrus: names bound inside expressions.
    """

    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    composites: dict[str, Composite] = field(default_factory=dict)
    closures: set[str] = field(default_factory=set)
    walrus: set[str] = field(default_factory=set)


def activity(nodes: ast.AST | Iterable[ast.AST]) -> Activity:
    """What a node, or several, does with names."""
    visitor = _Visitor()
    for node in [nodes] if isinstance(nodes, ast.AST) else nodes:
        visitor.visit(node)
    return visitor.found


def composite_of(node: ast.expr) -> Composite | None:
    """The composite for `a.b`, `a['k']`, `a[i]`; None for what has no fixed place."""
    roots: set[str] = set()
    while not isinstance(node, ast.Name):
        part = node
        if isinstance(node, ast.Subscript):
            index = node.slice
            if isinstance(index, ast.Name):
                roots.add(index.id)
            elif not isinstance(index, ast.Constant):
                return None
        elif not isinstance(node, ast.Attribute):
            return None
        node = part.value  # type: ignore[attr-defined]
    roots.add(node.id)
    return Composite(node, frozenset(roots))


class Declared(NamedTuple):
    """The names of a function by where they live."""

    locals: frozenset[str]
    globals: frozenset[str]
    nonlocals: frozenset[str]


def declared(node: FunctionNode) -> Declared:
    """Which names are local to a function, and which it declares global or nonlocal."""
    arguments = set(argument_names(node))
    if isinstance(node, ast.Lambda):
        return Declared(frozenset(arguments | activity(node.body).walrus), *[frozenset()] * 2)
    finder = _Declarations()
    for statement in node.body:
        finder.visit(statement)
    written = activity(node.body).writes | arguments
    outside = finder.globals | finder.nonlocals
    return Declared(
        frozenset(written - outside), frozenset(finder.globals), frozenset(finder.nonlocals)
    )


def free_names(node: FunctionNode) -> set[str]:
    """The names that a function takes from outside (those of builtins included)."""
    body = [node.body] if isinstance(node, ast.Lambda) else node.body
    inside = activity(body)
    names = declared(node)
    return (inside.reads | inside.closures | names.nonlocals) - names.locals


def captured_names(body: Iterable[ast.AST]) -> set[str]:
    """The names that functions, classes and generators inside `body` read when they run."""
    found: set[str] = set()
    for statement in body:
        for part in ast.walk(statement):
            if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
                found |= free_names(part)
            elif isinstance(part, (ast.GeneratorExp, ast.ClassDef)):
                found |= activity(part).reads
    return found


def is_generator(node: FunctionNode) -> bool:
    """Whether the function has a `yield` or `await` of its own."""
    body = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    return any(_yields(part) for part in body)


def _yields(node: ast.AST) -> bool:
    if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)):
        return True
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return False
    return any(_yields(child) for child in ast.iter_child_nodes(node))


class _Declarations(ast.NodeVisitor):
    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.nonlocals: set[str] = set()

    def visit_Global(self, node: ast.Global) -> None:
        self.globals.update(node.names)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> None:
        self.nonlocals.update(node.names)

    def _skip(self, node: ast.AST) -> None:
        pass

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = _skip


class _Visitor(ast.NodeVisitor):
    def __init__(self) -> None:
        self.found = Activity()

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Store):
            self.found.reads.add(node.id)
        if not isinstance(node.ctx, ast.Load):
            self.found.writes.add(node.id)

    def _place(self, node: ast.Attribute | ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            found = composite_of(node)
            if found is not None:
                read = _with_context(node, ast.Load())
                self.found.composites[ast.unparse(read)] = Composite(node, found.roots)

    visit_Attribute = visit_Subscript = _place

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name):
            self.found.reads.add(node.target.id)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.found.writes.add(node.target.id)
        self.found.walrus.add(node.target.id)

    def _comprehension(self, node: Comprehension) -> None:
        inner = _Visitor()
        inner.generic_visit(node)
        targets = activity([g.target for g in node.generators]).writes
        self.found.reads |= inner.found.reads - targets
        self.found.reads |= activity(node.generators[0].iter).reads
        self.found.writes |= inner.found.walrus
        self.found.walrus |= inner.found.walrus
        self.found.closures |= inner.found.closures - targets

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self.visit(node.args)
        self.found.reads |= free_names(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.found.writes.add(node.name)
        for part in (*node.decorator_list, node.args, node.returns):
            if part is not None:
                self.visit(part)
        self.found.closures |= free_names(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _function

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        inner = activity([*node.bases, *node.keywords, *node.decorator_list, *node.body])
        self.found.reads |= inner.reads
        self.found.closures |= inner.closures
        self.found.writes.add(node.name)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self.found.writes.add(alias.asname or alias.name.partition(".")[0])

    visit_Import = visit_ImportFrom = _import

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.found.writes.add(node.name)
        self.generic_visit(node)

    def _pattern(self, node: ast.MatchAs | ast.MatchStar | ast.MatchMapping) -> None:
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        if name:
            self.found.writes.add(name)
        self.generic_visit(node)

    visit_MatchAs = visit_MatchStar = visit_MatchMapping = _pattern


def _with_context(node: ast.expr, context: ast.expr_context) -> ast.expr:
    """A shallow copy of a place for reading, writing or deleting it."""
    copied = type(node)(**dict(ast.iter_fields(node)))
    copied.ctx = context  # type: ignore[attr-defined]
    return ast.copy_location(copied, node)


with_context = _with_context
__all__ = [
    "Activity",
    "Composite",
    "Declared",
    "activity",
    "captured_names",
    "declared",
    "free_names",
    "is_generator",
    "with_context",
]
