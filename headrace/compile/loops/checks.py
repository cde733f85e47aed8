"""Conditions that must hold before a stage runs, and the ones that integer division brings.

A check is hoisted out of the loops that it does not depend on and into a stage of its own, so
that loops that compute have no exits. Read `expr.py` and `ir.py` before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Apply, Choose, Const, Expr, Index, operands
from headrace.compile.loops.operations import letter

ZERO_DIVISION = ir.Failure("invalid_argument", "Integer division by zero")
NEGATIVE_POWER = ir.Failure(
    "invalid_argument", "Integers to negative integer powers are not allowed"
)
_DIVISIONS = ("floordiv", "floormod", "truncdiv", "truncmod")


class Condition(NamedTuple):
    """A condition, what its failure says, and the branches in which alone it is demanded."""

    condition: Expr
    failure: ir.Failure
    values: tuple[Expr, ...] = ()
    guards: tuple[Expr, ...] = ()


def periods(values: Sequence[Expr]) -> dict[int, set[int]]:
    """By the id of an index: the numbers of which expressions take its remainder."""
    found: dict[int, set[int]] = {}
    seen: set[int] = set()
    stack = [*values]
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        match x:
            case Apply(_, "floormod", (Index() as i, Const() as n)):
                found.setdefault(id(i), set()).add(int(n.value))
        stack.extend(operands(x))
    return found


def used_indices(roots: Iterable[Expr]) -> set[Index]:
    """The loop indices in some expressions."""
    found: set[Index] = set()
    seen: set[int] = set()
    stack = list(roots)
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Index):
            found.add(x)
        stack.extend(operands(x))
    return found


def division_checks(
    body: tuple[ir.Statement, ...], guards: tuple[Expr, ...] = ()
) -> list[Condition]:
    """What the integer divisions and powers in some statements demand."""
    found: list[Condition] = []
    for statement in body:
        for x in ir.expressions(statement):
            found += divisions(x, guards)
        if isinstance(statement, ir.For):
            found += division_checks(statement.body, guards)
        elif isinstance(statement, ir.If):
            found += division_checks(statement.body, (*guards, statement.condition))
    return found


def divisions(root: Expr, guards: tuple[Expr, ...] = ()) -> list[Condition]:
    """What the integer divisions and powers in a number demand."""
    found: list[Condition] = []
    seen: set[tuple[object, ...]] = set()

    def visit(x: Expr, guards: tuple[Expr, ...]) -> None:
        key = (id(x), *(id(g) for g in guards))
        if key in seen:
            return
        seen.add(key)
        if isinstance(x, Apply) and letter(x.dtype) in "iu" and len(x.args) == 2:
            once = (id(x.args[1]), x.name == "pow", *key[1:])
            if once not in seen:
                seen.add(once)
                found.extend(_demands(x, guards))
        if isinstance(x, Choose) and x.lazy:
            visit(x.condition, guards)
            visit(x.then, (*guards, x.condition))
            visit(x.other, (*guards, ~x.condition))
            return
        for y in operands(x):
            visit(y, guards)

    visit(root, guards)
    return found


def _demands(x: Apply, guards: tuple[Expr, ...]) -> list[Condition]:
    if x.name not in (*_DIVISIONS, "pow"):
        return []
    operand = x.args[1]
    fixed = operand.value if isinstance(operand, Const) else None
    if x.name in _DIVISIONS:
        return [] if fixed else [Condition(operand != 0, ZERO_DIVISION, (), guards)]
    if letter(x.dtype) == "u" or (fixed is not None and fixed >= 0):
        return []
    return [Condition(operand >= 0, NEGATIVE_POWER, (), guards)]
