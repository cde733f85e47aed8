"""Loops with other expressions in them; what does not change stays the same object.

Read `ir.py` and `expr.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from headrace.compile.loops import ir
from headrace.compile.loops.expr import (
    Apply,
    Cast,
    Choose,
    Expr,
    Index,
    Load,
    apply,
    bitcast,
    cast,
    select,
)

Change: TypeAlias = Callable[[Expr], Expr | None]


class Rewriter:
    """Applies `change` to expressions from the outside in; None means: look inside.

    One rewriter serves a whole program: what is shared before is shared after.
    """

    def __init__(self, change: Change) -> None:
        self.change = change
        self._done: dict[int, tuple[Expr, Expr]] = {}

    def __call__(self, x: Expr) -> Expr:
        found = self._done.get(id(x))
        if found is None:
            found = self._done[id(x)] = (x, self._rewritten(x))
        return found[1]

    def _rewritten(self, x: Expr) -> Expr:
        changed = self.change(x)
        if changed is not None:
            return changed
        match x:
            case Apply(_, name, args):
                new = tuple([self(y) for y in args])
                same = all(a is b for a, b in zip(new, args, strict=True))
                return x if same else apply(name, *new)
            case Load(dtype, buffer, offset, part):
                place = self(offset)
                return x if place is offset else Load(dtype, buffer, place, part)
            case Cast(dtype, y, bitwise):
                inner = self(y)
                if inner is y:
                    return x
                return bitcast(inner, dtype) if bitwise else cast(inner, dtype)
            case Choose(_, condition, then, other, lazy):
                sides = self(condition), self(then), self(other)
                if sides[0] is condition and sides[1] is then and sides[2] is other:
                    return x
                return select(*sides, lazy)
        return x

    def statement(self, statement: ir.Statement) -> ir.Statement:
        """A statement with its expressions, and those of its body, rewritten."""
        match statement:
            case ir.For():
                return replace(statement, body=self.body(statement.body))
            case ir.If(condition, body):
                return ir.If(self(condition), self.body(body))
            case ir.Store(buffer, offset, value, part):
                return ir.Store(buffer, self(offset), self(value), part)
            case ir.Begin(accumulator, value):
                return ir.Begin(accumulator, self(value))
            case ir.Update(combine, accumulators, values):
                return ir.Update(combine, accumulators, tuple([self(v) for v in values]))
            case ir.Check(condition, failure, values):
                return ir.Check(self(condition), failure, tuple([self(v) for v in values]))

    def body(self, body: Sequence[ir.Statement]) -> tuple[ir.Statement, ...]:
        return tuple([self.statement(s) for s in body])


def with_indices(
    body: Sequence[ir.Statement], places: Mapping[Index, Expr]
) -> tuple[ir.Statement, ...]:
    """Statements with other expressions where they read some indices."""

    def change(x: Expr) -> Expr | None:
        return places.get(x) if isinstance(x, Index) else None

    return Rewriter(change).body(body)
