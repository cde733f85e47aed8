"""Expressions: calls, boolean operators and conditional expressions become operators.

What Python evaluates only if needed is passed as a lambda. An expression that binds a name
(`:=`) stays Python's where a lambda would hide the binding.
"""

from __future__ import annotations

import ast
from typing import Any

from headrace.trace.autograph.scopes import activity, is_generator
from headrace.trace.autograph.templates import expression, operator, thunk


class ExpressionRewriter(ast.NodeTransformer):
    """Rewrites the expressions of one function; nested functions have their own.

    Args:
        first_argument: of the method, for `super()`.
        lists: whether item assignments and `append` are rewritten (`Feature.LISTS`).
    """

    def __init__(self, first_argument: str | None, lists: bool = False) -> None:
        self.first_argument = first_argument
        self.lists = lists

    def _untouched(self, node: Any) -> Any:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = _untouched
    visit_MatchValue = visit_MatchClass = visit_MatchMapping = _untouched

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        if is_generator(node):
            return node
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        node = self.generic_visit(node)  # type: ignore[assignment]
        function = node.func
        if isinstance(function, ast.Name) and function.id == "super" and not node.args:
            node.args = self._super_arguments(node)
        if _is_operator(function) or _is_directive(function):
            return node
        positional = ast.Tuple(node.args, ast.Load())
        given = [function, positional]
        if node.keywords:
            keys = [k.arg and ast.Constant(k.arg) for k in node.keywords]
            given.append(ast.Dict(keys, [k.value for k in node.keywords]))
        for part in given[1:]:
            ast.copy_location(part, node)
        for key in getattr(given[-1], "keys", []):
            if key is not None:
                ast.copy_location(key, node)
        return operator("call", node, *given)

    def _super_arguments(self, node: ast.Call) -> list[ast.expr]:
        if self.first_argument is None:
            return []
        return [
            ast.copy_location(ast.Name(name, ast.Load()), node)
            for name in ("__class__", self.first_argument)
        ]

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        bound = activity(node).walrus
        node = self.generic_visit(node)  # type: ignore[assignment]
        if bound:
            return node
        name = "and_" if isinstance(node.op, ast.And) else "or_"
        return operator(name, node, node.values[0], *map(thunk, node.values[1:]))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        node = self.generic_visit(node)  # type: ignore[assignment]
        if isinstance(node.op, ast.Not):
            return operator("not_", node, node.operand)
        return node

    def visit_Compare(self, node: ast.Compare) -> Any:
        bound = activity(node).walrus
        node = self.generic_visit(node)  # type: ignore[assignment]
        if len(node.ops) == 1 or bound:
            return node
        given: list[ast.expr] = [node.left]
        for position, (op, operand) in enumerate(zip(node.ops, node.comparators, strict=True)):
            symbol = ast.Constant(type(op).__name__)
            given.append(ast.copy_location(symbol, node))
            given.append(operand if not position else thunk(operand))
        return operator("compare", node, *given)

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        bound = activity(node).walrus
        text = ast.unparse(node.test)
        node = self.generic_visit(node)  # type: ignore[assignment]
        if bound:
            return node
        label = ast.copy_location(ast.Constant(text), node)
        return operator("if_exp", node, node.test, thunk(node.body), thunk(node.orelse), label)

    def visit_Assert(self, node: ast.Assert) -> Any:
        bound = activity(node).walrus
        node = self.generic_visit(node)  # type: ignore[assignment]
        if bound:
            return node
        message = node.msg or ast.copy_location(ast.Constant("Assertion error"), node)
        given = [node.test, thunk(message)]
        if node.msg is None:
            given.append(ast.copy_location(ast.Constant(False), node))
        return ast.copy_location(ast.Expr(operator("assert_stmt", node, *given)), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        """A local's annotation is dropped: a name that is nonlocal cannot have one."""
        if not isinstance(node.target, ast.Name):
            return self.generic_visit(node)
        if node.value is None:
            dead = ast.If(
                ast.Constant(False),
                [ast.Assign([node.target], ast.Constant(None))],
                [],
            )
            return ast.fix_missing_locations(ast.copy_location(dead, node))
        made = ast.Assign([node.target], self.visit(node.value))
        return ast.copy_location(made, node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        node = self.generic_visit(node)  # type: ignore[assignment]
        target = node.targets[0]
        if not self.lists or len(node.targets) > 1 or not isinstance(target, ast.Subscript):
            return node
        if not isinstance(target.value, ast.Name):
            return node
        read = ast.copy_location(ast.Name(target.value.id, ast.Load()), target)
        value = operator("set_item", node, read, _index(target.slice), node.value)
        name = ast.copy_location(ast.Name(target.value.id, ast.Store()), target)
        return ast.copy_location(ast.Assign([name], value), node)

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        if self.lists and isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            held = call.func.value
            if (
                call.func.attr == "append"
                and isinstance(held, ast.Name)
                and len(call.args) == 1
            ):
                value = operator("list_append", node, held, self.visit(call.args[0]))
                name = ast.copy_location(ast.Name(held.id, ast.Store()), held)
                return ast.copy_location(ast.Assign([name], value), node)
        return self.generic_visit(node)


def _index(node: ast.expr) -> ast.expr:
    """An index as an expression that stands alone: slices are written out."""
    if isinstance(node, ast.Slice):
        parts = {
            name: part or ast.copy_location(ast.Constant(None), node)
            for name, part in (("LOW", node.lower), ("HIGH", node.upper), ("STEP", node.step))
        }
        return expression("ag__.slice(LOW, HIGH, STEP)", node, **parts)
    if isinstance(node, ast.Tuple):
        made = ast.Tuple([_index(part) for part in node.elts], ast.Load())
        return ast.copy_location(made, node)
    return node


def _is_operator(function: ast.expr) -> bool:
    """Whether this calls an operator that a rewriting before has put in."""
    return isinstance(function, ast.Attribute) and hasattr(function.value, "generated")


def _is_directive(function: ast.expr) -> bool:
    name = getattr(function, "attr", getattr(function, "id", None))
    return name == "set_loop_options"


is_directive = _is_directive
__all__ = ["ExpressionRewriter", "is_directive"]
