"""Two loops, one just inside the other, become one where memory allows it.

That is so where every offset grows by the inner loop's extent as often per step of the outer
loop as per step of the inner one. Read `loops/affine.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine
from headrace.compile.loops.expr import Expr, Index, Load, const, operands
from headrace.compile.loops.rewrite import with_indices


def flatten(loops: ir.Loops) -> ir.Loops:
    """The program with as few loops inside loops as may be."""
    return replace(loops, stages=ir.rewritten(loops.stages, _flat))


def _flat(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    return [ir.Stage(s.kind, _body(s.body)) for s in stages]


def _body(body: Sequence[ir.Statement]) -> tuple[ir.Statement, ...]:
    return tuple([_loop(s) if isinstance(s, ir.For) else s for s in body])


def _loop(loop: ir.For) -> ir.For:
    loop = replace(loop, body=_body(loop.body))
    if len(loop.body) != 1 or not isinstance(loop.body[0], ir.For):
        return loop
    inner = loop.body[0]
    if not inner.index.extent or not _dense(loop.index, inner.index, inner.body):
        return loop
    index = Index(
        ir.INDEX, f"{loop.index.name}{inner.index.name}", loop.index.extent * inner.index.extent
    )
    places: dict[Index, Expr] = {loop.index: const(0, ir.INDEX), inner.index: index}
    return ir.For(index, with_indices(inner.body, places))


def _dense(outer: Index, inner: Index, body: Sequence[ir.Statement]) -> bool:
    """Whether two indices only occur as outer * extent + inner, in offsets."""
    for statement in ir.statements(tuple(body)):
        if isinstance(statement, ir.Store) and not _even(outer, inner, statement.offset):
            return False
        given = ir.expressions(statement)
        if isinstance(statement, ir.Store):
            given = (statement.value,)
        for x in given:
            if not _offsets_even(outer, inner, x, set()):
                return False
    return True


def _even(outer: Index, inner: Index, offset: Expr) -> bool:
    place = affine(offset)
    a, b = place.factor(outer), place.factor(inner)
    if a is None or b is None or a != b * inner.extent:
        return False
    return all(
        _offsets_even(outer, inner, atom, set())
        for atom in place.atoms.values()
        if not isinstance(atom, Index)
    )


def _offsets_even(outer: Index, inner: Index, x: Expr, seen: set[int]) -> bool:
    if id(x) in seen:
        return True
    seen.add(id(x))
    if x is outer or x is inner:
        return False
    if isinstance(x, Load):
        return _even(outer, inner, x.offset)
    return all(_offsets_even(outer, inner, y, seen) for y in operands(x))
