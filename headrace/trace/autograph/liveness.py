"""Which names matter after a branch or loop.

A name is live at a point if its value there may be read later. The statements have no jumps any
more (`rewrite_jump.py`), so one walk from the end to the beginning is enough; loops are walked
until nothing changes. Names that nested functions take from outside are live from where the
function is defined, for it may be called at any time.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from headrace.trace.autograph.scopes import activity

Names = frozenset[str]
NONE: Names = frozenset()


class Liveness:
    """The live names before and after every branch and loop of a function.

    Args:
        body: the statements of the function.
        at_end: names that are live at its end (globals and nonlocals that it may change).
    """

    def __init__(self, body: list[ast.stmt], at_end: Iterable[str]) -> None:
        self._sets: dict[ast.AST, tuple[Names, Names]] = {}
        self._closures: dict[ast.AST, Names] = {}
        self._always: Names = NONE
        self._spread(body, NONE)
        self._block(body, frozenset(at_end))

    def before(self, node: ast.AST) -> Names:
        """The names that are live before a branch or loop."""
        return self._sets[node][0]

    def after(self, node: ast.AST) -> Names:
        """The names that are live after a branch or loop."""
        return self._sets[node][1]

    # Forward: which closures may exist

    def _spread(self, body: list[ast.stmt], known: Names) -> Names:
        for statement in body:
            if isinstance(statement, (ast.While, ast.For, ast.AsyncFor)):
                known |= activity(statement).closures
            self._closures[statement] = known
            nested = list(_blocks(statement))
            if nested:
                known = known.union(*[self._spread(block, known) for block in nested])
            else:
                known |= activity(statement).closures
        return known

    # Backward

    def _block(self, body: list[ast.stmt], live: Names) -> Names:
        for statement in reversed(body):
            live = self._statement(statement, live)
        return live

    def _statement(self, node: ast.stmt, after: Names) -> Names:
        after |= self._closures[node] | self._always
        handler = getattr(self, "_" + type(node).__name__.lower(), None)
        if handler is None:
            found = activity(node)
            before = (after - found.writes) | found.reads
        else:
            before = handler(node, after)
        before |= self._closures[node] | self._always
        self._sets[node] = (before, after)
        return before

    def _return(self, node: ast.Return, after: Names) -> Names:
        return frozenset(activity(node).reads)

    def _raise(self, node: ast.Raise, after: Names) -> Names:
        return frozenset(activity(node).reads)

    def _augassign(self, node: ast.AugAssign, after: Names) -> Names:
        return after | activity(node).reads

    def _delete(self, node: ast.Delete, after: Names) -> Names:
        return after | activity(node).reads

    def _if(self, node: ast.If, after: Names) -> Names:
        either = self._block(node.body, after) | self._block(node.orelse, after)
        return either | activity(node.test).reads

    def _while(self, node: ast.While, after: Names) -> Names:
        test = frozenset(activity(node.test).reads)
        live = after | test
        while True:
            wider = live | self._block(node.body, live)
            if wider == live:
                return live
            live = wider

    def _for(self, node: Any, after: Names) -> Names:
        targets = activity(node.target).writes
        extra = getattr(node, "extra_test", None)
        live = after if extra is None else after | activity(extra).reads
        while True:
            wider = live | (self._block(node.body, live) - targets)
            if wider == live:
                return live | activity([node.target, node.iter]).reads
            live = wider

    _asyncfor = _for

    def _with(self, node: ast.With | ast.AsyncWith, after: Names) -> Names:
        live = self._block(node.body, after)
        for item in reversed(node.items):
            found = activity(item)
            live = (live - found.writes) | found.reads
        return live

    _asyncwith = _with

    def _try(self, node: Any, after: Names) -> Names:
        outside = self._always
        final = self._block(node.finalbody, after)
        caught = final
        self._always = outside | final
        for handler in node.handlers:
            live = self._block(handler.body, final) - {handler.name or ""}
            caught |= live | (activity(handler.type).reads if handler.type else NONE)
        otherwise = self._block(node.orelse, final)
        self._always = outside | caught
        live = self._block(node.body, otherwise)
        self._always = outside
        return live | caught

    _trystar = _try

    def _match(self, node: ast.Match, after: Names) -> Names:
        live = after | activity(node.subject).reads
        for case in node.cases:
            found = activity([case.pattern, *([case.guard] if case.guard else [])])
            live |= (self._block(case.body, after) - found.writes) | found.reads
        return live


def _blocks(node: ast.stmt) -> Iterable[list[ast.stmt]]:
    """The blocks of statements directly in a statement (not those of functions or classes)."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if block:
            yield block
    for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
        yield part.body


__all__ = ["Liveness"]
