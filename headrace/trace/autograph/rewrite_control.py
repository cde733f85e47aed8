"""Branches and loops become calls of operators, with their bodies as functions.

The bodies are nested functions that declare the names they change as nonlocal, so that plain
Python values behave as before. `get_state` and `set_state` hand the operator the names (and
attributes, and items) that a body may change and that matter afterwards: for tensors they are
the results of the branch, or what a loop carries from one iteration to the next.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NamedTuple

from headrace.trace.autograph.liveness import Liveness
from headrace.trace.autograph.rewrite_expr import is_directive
from headrace.trace.autograph.scopes import Composite, Declared, activity, with_context
from headrace.trace.autograph.templates import duplicate, statements

NewName = Callable[[str], str]


class BlockState(NamedTuple):
    """What a branch or loop changes and the outside can see.

    Attributes:
        names: all of it by text, results first.
        results: how many of them are results (the others are only given).
        simple: those that are plain names.
        outer: plain names that live around the block: `simple`, and what functions that are
            defined in the block read when they are called later.
        composites: attributes and items.
        inner: names that are the block's own.
    """

    names: list[str]
    results: int
    simple: list[str]
    outer: list[str]
    composites: dict[str, Composite]
    inner: set[str]


class ControlRewriter:
    """Rewrites the statements of one function.

    Args:
        live: the function's live names.
        names: where its names live.
        captured: names that functions inside it read when they run.
        new_name: gives names that the function does not use.
        nested: converts a function that is defined in it.
    Attributes:
        undefined: names that may hold an `Undefined`.
    """

    def __init__(
        self,
        live: Liveness,
        names: Declared,
        captured: set[str],
        new_name: NewName,
        nested: Callable[[Any], Any],
    ) -> None:
        self.live, self.names, self.captured = live, names, captured
        self.new_name, self.nested = new_name, nested
        self.undefined: set[str] = set()

    def block(self, body: list[ast.stmt], bound: set[str]) -> list[ast.stmt]:
        """Rewrite statements; `bound` holds the names that have been bound, and is updated."""
        made: list[ast.stmt] = []
        for node in body:
            made += self._statement(node, bound)
        return made

    def _statement(self, node: Any, bound: set[str]) -> list[ast.stmt]:
        if isinstance(node, ast.If):
            return self._if(node, bound)
        if isinstance(node, ast.While):
            return self._while(node, bound)
        if isinstance(node, ast.For):
            return self._for(node, bound)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            bound.add(node.name)
            return [self.nested(node)]
        if isinstance(node, ast.ClassDef):
            bound.add(node.name)
            return [node]
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            return self._augmented(node, bound)
        for name in ("body", "orelse", "finalbody"):
            if getattr(node, name, None):
                setattr(node, name, self.block(getattr(node, name), bound))
        for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            part.body = self.block(part.body, bound)
        bound |= activity(node).writes
        return [node]

    def _augmented(self, node: ast.AugAssign, bound: set[str]) -> list[ast.stmt]:
        assert isinstance(node.target, ast.Name)
        if node.target.id not in self.undefined:
            return [node]
        check = statements("ag__.ld(value)", node, {"value": node.target.id})
        return [*check, node]

    # State

    def _state(self, node: ast.stmt, parts: list[Any]) -> BlockState:
        found = activity(parts)
        before, after = self.live.before(node), self.live.after(node)
        simple = {n for n in found.writes if n in before or n in after}
        composites = {
            text: composite
            for text, composite in found.composites.items()
            if composite.roots <= before
        }
        given = (simple & before) - after
        names = sorted({*simple, *composites}, key=lambda name: (name in given, name))
        outer = sorted(simple | (found.writes & self.captured))
        return BlockState(
            names,
            len(names) - len(given),
            [n for n in names if n in simple],
            outer,
            composites,
            found.writes.difference(outer, self.names.globals, self.names.nonlocals),
        )

    def _undefined(self, state: BlockState, bound: set[str], node: ast.stmt) -> list[ast.stmt]:
        """Give names that have no value yet a place, so that functions can refer to it."""
        made: list[ast.stmt] = []
        for name in state.outer:
            if name in bound or name in self.names.globals | self.names.nonlocals:
                continue
            self.undefined.add(name)
            made += statements(f"name = ag__.Undefined({name!r})", node, {"name": name})
        bound.update(state.outer)
        return made

    def _declarations(self, names: list[str]) -> str:
        """The lines that let a nested function bind names of the function around it."""
        outer = [n for n in names if n in self.names.globals]
        inner = [n for n in names if n not in self.names.globals]
        lines = [f"global {', '.join(outer)}"] if outer else []
        lines += [f"nonlocal {', '.join(inner)}"] if inner else []
        return "\n    ".join(lines or ["pass"])

    def _accessors(self, state: BlockState, node: ast.stmt) -> tuple[list[ast.stmt], str, str]:
        """`get_state` and `set_state`, and what they are called."""
        if not state.names:
            return [], "ag__.no_state", "ag__.no_update"
        get, put = self.new_name("ag__get_state"), self.new_name("ag__set_state")
        reads = ", ".join(f"ag__.ldu(lambda: {text}, {text!r})" for text in state.names)
        lines = [f"def {get}():", f"    return ({reads},)", f"def {put}(values):"]
        lines.append(f"    {self._declarations(state.simple)}")
        for position, text in enumerate(state.names):
            if text in state.composites:
                lines.append(f"    if ag__.differs(lambda: {text}, values[{position}]):")
                lines.append(f"        if ag__.absent(values[{position}]):")
                lines.append(f"            del {text}")
                lines.append("        else:")
                lines.append(f"            {text} = values[{position}]")
            else:
                lines.append(f"    {text} = values[{position}]")
        return statements("\n".join(lines), node), get, put

    def _inside(self, body: list[ast.stmt], state: BlockState, bound: set[str]) -> list[Any]:
        return self.block(body, (bound - state.inner) | set(state.outer))

    # Statements

    def _if(self, node: ast.If, bound: set[str]) -> list[ast.stmt]:
        state = self._state(node, [*node.body, *node.orelse])
        made = self._undefined(state, bound, node)
        body, orelse = self.new_name("ag__if_body"), self.new_name("ag__else_body")
        accessors, get, put = self._accessors(state, node)
        declared = self._declarations(state.outer)
        return [
            *made,
            *statements(
                f"def {body}():\n    {declared}\n    BODY\n"
                f"def {orelse}():\n    {declared}\n    ORELSE\n"
                "ACCESSORS\n"
                f"ag__.if_stmt(TEST, {body}, {orelse}, {get}, {put}, {tuple(state.names)}, "
                f"{state.results})",
                node,
                BODY=self._inside(node.body, state, bound),
                ORELSE=self._inside(node.orelse, state, bound),
                ACCESSORS=accessors,
                TEST=node.test,
            ),
        ]

    def _while(self, node: ast.While, bound: set[str]) -> list[ast.stmt]:
        options = _take_options(node)
        state = self._state(node, [node.test, *node.body])
        made = self._undefined(state, bound, node)
        test, body = self.new_name("ag__loop_test"), self.new_name("ag__loop_body")
        accessors, get, put = self._accessors(state, node)
        bound_in_test = [n for n in state.outer if n in activity(node.test).walrus]
        return [
            *made,
            *statements(
                f"def {test}():\n    {self._declarations(bound_in_test)}\n    return TEST\n"
                f"def {body}():\n    {self._declarations(state.outer)}\n    BODY\n"
                "ACCESSORS\n"
                f"ag__.while_stmt({test}, {body}, {get}, {put}, {tuple(state.names)}, OPTIONS)",
                node,
                TEST=node.test,
                BODY=self._inside(node.body, state, bound),
                ACCESSORS=accessors,
                OPTIONS=options,
            ),
        ]

    def _for(self, node: ast.For, bound: set[str]) -> list[ast.stmt]:
        options = _take_options(node)
        state = self._state(node, [node.target, *node.body])
        made = self._undefined(state, bound, node)
        body, item = self.new_name("ag__loop_body"), self.new_name("ag__item")
        accessors, get, put = self._accessors(state, node)
        text = (
            f"def {body}({item}):\n    {self._declarations(state.outer)}\n    ITEM\n    BODY\n"
        )
        extra = getattr(node, "extra_test", None)
        more = "None"
        if extra is not None:
            more = self.new_name("ag__extra_test")
            text += f"def {more}():\n    return EXTRA\n"
        first = ast.Assign([node.target], ast.Name(item, ast.Load()))
        ast.copy_location(first, node.target)
        ast.copy_location(first.value, node.target)
        inside = (bound - state.inner) | set(state.outer) | activity(node.target).writes
        return [
            *made,
            *statements(
                f"{text}ACCESSORS\n"
                f"ag__.for_stmt(ITERATED, {more}, {body}, {get}, {put}, {tuple(state.names)}, "
                "OPTIONS)",
                node,
                ITEM=[first],
                BODY=self.block(node.body, inside),
                EXTRA=extra,
                ACCESSORS=accessors,
                ITERATED=node.iter,
                OPTIONS=options,
            ),
        ]


def _take_options(node: Any) -> ast.expr:
    """The arguments of `set_loop_options` in a loop's body, a dict; the call is taken out."""
    found: ast.Call | None = None
    kept = []
    for statement in node.body:
        call = getattr(statement, "value", None)
        is_option = isinstance(statement, ast.Expr) and isinstance(call, ast.Call)
        if is_option and is_directive(call.func):
            found = call
        else:
            kept.append(statement)
    node.body = kept
    names = ("parallel_iterations", "swap_memory", "maximum_iterations", "shape_invariants")
    keys: list[ast.expr | None] = []
    values = []
    if found is not None:
        given = [*zip(names, found.args, strict=False)]
        given += [(k.arg or "", k.value) for k in found.keywords]
        for name, value in given:
            keys.append(ast.copy_location(ast.Constant(name), node))
            values.append(value)
    made = ast.Dict(keys, values)
    return ast.copy_location(made, found or node)


__all__ = ["ControlRewriter", "duplicate", "with_context"]
