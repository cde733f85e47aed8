"""Loops of one step vanish, and two loops, one just inside the other, become one where memory
allows it.

It does where every offset grows by the inner loop's extent as often per step of the outer loop
as per step of the inner one. Read `loops/affine.py` before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine
from headrace.compile.loops.expr import Expr, Index, Load, const, operands
from headrace.compile.loops.rewrite import with_indices
from headrace.compile.schedule.names import Names


def unwrap(loops: ir.Loops) -> ir.Loops:
    """The program without loops of one step, and of none.

    Loops of the same extent and depth get the same index, so that stages that are compared and
    joined later need no renaming.
    """
    same: dict[tuple[int, int], Index] = {}
    names = Names(loops)

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        found = []
        for stage in stages:
            places: dict[Index, Expr] = {}
            for index, depth in _depths(stage.body, 0):
                key = depth, index.extent
                if index.extent == 1:
                    places[index] = const(0, ir.INDEX)
                    continue
                if key not in same:
                    same[key] = names.index(index.extent, "i")
                places[index] = same[key]
            body = _unwrapped(with_indices(stage.body, places), places)
            if body:
                found.append(ir.Stage(stage.kind, body))
        return found

    return replace(loops, stages=ir.rewritten(loops.stages, change))


def _depths(body: Sequence[ir.Statement], depth: int) -> Iterator[tuple[Index, int]]:
    """The loops of a body, and in how many others of several steps each stands."""
    for statement in body:
        if isinstance(statement, ir.For):
            yield statement.index, depth
            yield from _depths(statement.body, depth + (statement.index.extent > 1))
        elif isinstance(statement, ir.If):
            yield from _depths(statement.body, depth)


def _unwrapped(
    body: Sequence[ir.Statement], places: Mapping[Index, Expr]
) -> tuple[ir.Statement, ...]:
    """A body without loops of one step and of none, under their new indices."""
    found: list[ir.Statement] = []
    for statement in body:
        if not isinstance(statement, ir.For | ir.If):
            found.append(statement)
            continue
        inner = _unwrapped(statement.body, places)
        if isinstance(statement, ir.For):
            if statement.index.extent == 1:
                found += inner
                continue
            at = places[statement.index]
            assert isinstance(at, Index)
            inner = inner if at.extent else ()
            statement = replace(statement, index=at)
        if inner:
            found.append(replace(statement, body=inner))
    return tuple(found)


def flatten(loops: ir.Loops) -> ir.Loops:
    """The program with as few loops inside loops as may be."""
    return replace(loops, stages=ir.rewritten(loops.stages, _flat))


def _flat(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    return [ir.Stage(s.kind, _body(s.body)) for s in stages]


def _body(body: Sequence[ir.Statement]) -> tuple[ir.Statement, ...]:
    found: list[ir.Statement] = []
    for s in body:
        if isinstance(s, ir.If):
            s = replace(s, body=_body(s.body))
        found.append(_loop(s) if isinstance(s, ir.For) else s)
    return tuple(found)


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
