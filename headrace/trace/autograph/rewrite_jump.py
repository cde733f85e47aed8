"""`break`, `continue` and early `return` become flags.

A jump sets a flag, and what would be skipped is guarded by it: moved into the other branch of
an `if` whose one branch always jumps, else put under `if not flag`. Loops get the flags as a
further condition. What comes out has no jumps, only a `return` at the end, so that branches and
loops can become functions. On plain Python values all of this behaves as before.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from headrace.trace.autograph.errors import NotConverted
from headrace.trace.autograph.templates import expression, located, statements

NewName = Callable[[str], str]
_LOOPS = (ast.While, ast.For)
_JUMPS = (ast.Break, ast.Continue, ast.Return)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def lower_jumps(node: ast.FunctionDef, new_name: NewName) -> None:
    """Rewrite the body of a function so that it has no jumps but one `return` at its end.

    Args:
        node: the function; its body is replaced.
        new_name: gives a name that the function does not use, from the wish for one.
    """
    early = any(_contains(s, ast.Return, loops=True) for s in node.body[:-1]) or (
        bool(node.body)
        and not isinstance(node.body[-1], ast.Return)
        and _contains(node.body[-1], ast.Return, loops=True)
    )
    lowering = _Lowering(new_name)
    if not early:
        last = node.body[-1:] if isinstance(node.body[-1], ast.Return) else []
        node.body = lowering.block(node.body[: len(node.body) - len(last)])[0] + last
        return
    lowering.returned, lowering.value = new_name("ag__returned"), new_name("ag__value")
    body, _, always = lowering.block(node.body)
    names = {"flag": lowering.returned, "value": lowering.value}
    absent = "PendingReturn" if always else "UndefinedReturn"
    first = statements(f"flag = False\nvalue = ag__.{absent}()", node.body[0], names)
    last_line = node.body[-1]
    last = statements(f"return ag__.ret(value, flag, {always})", last_line, names)
    documented = ast.get_docstring(node, clean=False) is not None
    node.body = [*body[:documented], *first, *body[documented:], *last]


def _contains(node: ast.AST, kind: Any, loops: bool) -> bool:
    """Whether a jump of this kind stands in the node and belongs to what is around it."""
    if isinstance(node, kind):
        return True
    if isinstance(node, _SCOPES) or (not loops and isinstance(node, _LOOPS)):
        return False
    return any(_contains(child, kind, loops) for child in ast.iter_child_nodes(node))


Flags = tuple[str, ...]
Lowered = tuple[list[ast.stmt], Flags, bool]
"""Statements without jumps, the flags that they may set, and whether they always jump."""


class _Lowering:
    """One pass over a function.

    `breaking` and `continuing` are the flags of the innermost loop, made when first needed.
    """

    def __init__(self, new_name: NewName) -> None:
        self.new_name = new_name
        self.returned = self.value = ""
        self.breaking: str | None = None
        self.continuing: str | None = None

    def block(self, body: Iterable[ast.stmt]) -> Lowered:
        rest = list(body)
        done: list[ast.stmt] = []
        flags: Flags = ()
        while rest:
            statement = rest.pop(0)
            made, set_here, always = self.statement(statement, rest)
            done += made
            flags = _union(flags, set_here)
            if always:
                return done, flags, True
            if set_here and rest:
                guarded, further, always = self.block(rest)
                done.append(_guard(set_here, guarded, rest[0]))
                return done, _union(flags, further), always
        return done, flags, False

    def statement(self, node: ast.stmt, rest: list[ast.stmt]) -> Lowered:
        """Lower one statement; takes out of `rest` what it moves into a branch."""
        if isinstance(node, _JUMPS):
            return self._jump(node)
        if isinstance(node, ast.If):
            return self._if(node, rest)
        if isinstance(node, _LOOPS):
            return self._loop(node)
        if isinstance(node, (ast.With, ast.AsyncWith)):
            node.body, flags, _ = self.block(node.body)
            return [node], flags, False
        if isinstance(node, (ast.Try, getattr(ast, "TryStar", ast.Try))):
            return self._try(node)
        if isinstance(node, ast.Match):
            flags = ()
            for case in node.cases:
                case.body, further, _ = self.block(case.body)
                flags = _union(flags, further)
            return [node], flags, False
        return [node], (), False

    def _jump(self, node: ast.stmt) -> Lowered:
        if isinstance(node, ast.Return):
            names = {"flag": self.returned, "value": self.value}
            value = node.value or ast.copy_location(ast.Constant(None), node)
            made = statements("value = VALUE\nflag = True", node, names, VALUE=value)
            return made, (self.returned,), True
        if isinstance(node, ast.Break):
            self.breaking = flag = self.breaking or self.new_name("ag__broken")
        else:
            self.continuing = flag = self.continuing or self.new_name("ag__continued")
        return statements("flag = True", node, {"flag": flag}), (flag,), True

    def _if(self, node: ast.If, rest: list[ast.stmt]) -> Lowered:
        following = [*rest]
        if following and _always_jumps(node.body) and not _always_jumps(node.orelse):
            node.orelse = [*node.orelse, *following]
            rest.clear()
        elif following and _always_jumps(node.orelse):
            if not _always_jumps(node.body):
                node.body = [*node.body, *following]
            rest.clear()
        node.body, one, always = self.block(node.body)
        node.orelse, other, also = self.block(node.orelse)
        return [node], _union(one, other), always and also

    def _loop(self, node: Any) -> Lowered:
        outer = self.breaking, self.continuing
        self.breaking = self.continuing = None
        endless = isinstance(getattr(node, "test", None), ast.Constant) and bool(
            node.test.value
        )
        orelse, node.orelse = node.orelse, []
        node.body, flags, _ = self.block(node.body)
        breaking, continuing = self.breaking, self.continuing
        self.breaking, self.continuing = outer
        made: list[ast.stmt] = []
        if continuing:
            node.body[:0] = statements("flag = False", node, {"flag": continuing})
        if breaking:
            made += statements("flag = False", node, {"flag": breaking})
        stops = tuple(f for f in flags if f != continuing)
        if stops:
            _stop_at(node, stops)
        made.append(node)
        outward = tuple(f for f in stops if f != breaking)
        if orelse:
            guarded, further, _ = self.block(orelse)
            made += [_guard(stops, guarded, orelse[0])] if stops else guarded
            outward = _union(outward, further)
        return made, outward, endless and not breaking

    def _try(self, node: Any) -> Lowered:
        if any(_contains(s, _JUMPS, loops=False) for s in node.finalbody):
            raise NotConverted("a jump out of `finally`")
        node.body, flags, _ = self.block(node.body)
        if node.orelse:
            lowered, further, _ = self.block(node.orelse)
            node.orelse = [_guard(flags, lowered, lowered[0])] if flags else lowered
            flags = _union(flags, further)
        for handler in node.handlers:
            handler.body, further, _ = self.block(handler.body)
            flags = _union(flags, further)
        return [node], flags, False


def _always_jumps(body: list[ast.stmt]) -> bool:
    """Whether a block always ends in a jump (or an error) on its own level."""
    for node in body:
        if isinstance(node, (*_JUMPS, ast.Raise)):
            return not isinstance(node, ast.Raise)
        if isinstance(node, ast.If) and _always_jumps(node.body) and _always_jumps(node.orelse):
            return True
    return False


def _union(one: Flags, other: Flags) -> Flags:
    return tuple(dict.fromkeys((*one, *other)))


def _none_of(flags: Flags, at: ast.AST) -> ast.expr:
    return expression(f"ag__.none_of({', '.join(flags)})", at)


def _guard(flags: Flags, body: list[ast.stmt], at: ast.stmt) -> ast.If:
    node = ast.If(test=_none_of(flags, at), body=body, orelse=[])
    return located(node, at)


def _stop_at(node: ast.While | ast.For, flags: Flags) -> None:
    """Let a loop end when one of the flags is set."""
    if isinstance(node, ast.While):
        both = ast.BoolOp(op=ast.And(), values=[_none_of(flags, node), node.test])
        node.test = ast.copy_location(both, node.test)
    else:
        node.extra_test = _none_of(flags, node)  # type: ignore[attr-defined]


__all__ = ["lower_jumps"]
