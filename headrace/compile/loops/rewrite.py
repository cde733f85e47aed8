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
    Read,
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


def with_loops(
    body: Sequence[ir.Statement], change: Callable[[ir.For], Sequence[ir.Statement]]
) -> tuple[ir.Statement, ...]:
    """Statements with others in place of the loops among them."""
    found: list[ir.Statement] = []
    for statement in body:
        found += change(statement) if isinstance(statement, ir.For) else [statement]
    return tuple(found)


def with_indices(
    body: Sequence[ir.Statement], places: Mapping[Index, Expr]
) -> tuple[ir.Statement, ...]:
    """Statements with other expressions where they read some indices."""

    def change(x: Expr) -> Expr | None:
        return places.get(x) if isinstance(x, Index) else None

    return Rewriter(change).body(body)


def copied(
    body: Sequence[ir.Statement],
    places: Mapping[Index, Expr],
    registers: Mapping[int, ir.Accumulator],
    index: Callable[[Index], Index],
    register: Callable[[ir.Accumulator], ir.Accumulator],
) -> tuple[ir.Statement, ...]:
    """A second set of statements that shares no loop or register with the first.

    Args:
        places: what stands for indices of loops outside.
        registers: by id, what stands for accumulators that begin outside.
        index, register: give those that stand for the ones inside.
    """
    where, named = dict(places), dict(registers)
    for statement in ir.statements(tuple(body)):
        if isinstance(statement, ir.For):
            where[statement.index] = index(statement.index)
        elif isinstance(statement, ir.Begin) and id(statement.accumulator) not in named:
            named[id(statement.accumulator)] = register(statement.accumulator)

    def change(x: Expr) -> Expr | None:
        if isinstance(x, Index):
            return where.get(x)
        if isinstance(x, Read) and id(x.accumulator) in named:
            return Read(x.dtype, named[id(x.accumulator)])
        return None

    rewriter = Rewriter(change)

    def new(statement: ir.Statement) -> ir.Statement:
        match statement:
            case ir.For():
                at, inner = where[statement.index], tuple([new(s) for s in statement.body])
                assert isinstance(at, Index)
                return replace(statement, index=at, body=inner)
            case ir.If(condition, inside):
                return ir.If(rewriter(condition), tuple([new(s) for s in inside]))
            case ir.Begin(accumulator, value):
                return ir.Begin(named[id(accumulator)], rewriter(value))
            case ir.Update(combine, accumulators, values):
                mine = tuple([named.get(id(a), a) for a in accumulators])
                return ir.Update(combine, mine, tuple([rewriter(v) for v in values]))
        return rewriter.statement(statement)

    return tuple([new(s) for s in body])


Moves: TypeAlias = Mapping[int, tuple[ir.Buffer, Callable[[Expr], Expr]]]


def with_buffers(body: Sequence[ir.Statement], moves: Moves) -> tuple[ir.Statement, ...]:
    """Statements that touch other buffers: by the id of the old one, the new one and what
    becomes of an offset."""

    def change(x: Expr) -> Expr | None:
        if not isinstance(x, Load) or id(x.buffer) not in moves:
            return None
        buffer, moved = moves[id(x.buffer)]
        return Load(x.dtype, buffer, rewriter(moved(x.offset)), x.part)

    rewriter = Rewriter(change)

    def stored(statement: ir.Statement) -> ir.Statement:
        if isinstance(statement, ir.For | ir.If):
            return replace(statement, body=tuple([stored(s) for s in statement.body]))
        if isinstance(statement, ir.Store) and id(statement.buffer) in moves:
            buffer, moved = moves[id(statement.buffer)]
            return replace(statement, buffer=buffer, offset=moved(statement.offset))
        return statement

    return rewriter.body([stored(s) for s in body])
