"""Lanes that would be gathered from rows of memory come in as blocks that are turned.

Where a loop in lanes goes across the rows of an array and one around it along them, so many
steps of the latter go inside of the lanes and run as a `turned` loop (`llvm/turned.py`), which
reads and writes whole lines. Read `vectorize.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.turned import blocks, in_part
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Expr, const
from headrace.compile.loops.rewrite import with_indices
from headrace.compile.schedule.accesses import accesses
from headrace.compile.schedule.names import Names
from headrace.compile.schedule.split import again
from headrace.compile.schedule.vectorize import apart

FEWEST = 4
"""So many steps are worth a turned block."""


def turn(loops: ir.Loops) -> ir.Loops:
    """The program with turned loops."""
    names = Names(loops)

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        return [replace(s, body=_body(s.body, names)) for s in stages]

    return replace(loops, stages=ir.rewritten(loops.stages, change))


def _body(body: Sequence[ir.Statement], names: Names) -> tuple[ir.Statement, ...]:
    found: list[ir.Statement] = []
    for statement in body:
        found += _loop(statement, names) if isinstance(statement, ir.For) else [statement]
    return tuple(found)


def _loop(loop: ir.For, names: Names) -> list[ir.Statement]:
    """A loop, or what it becomes where a loop inside of it, or it itself, is turned."""
    nest = _nest(loop)
    for place in reversed(range(len(nest) - 1)):
        steps = _steps(nest, place)
        if steps >= FEWEST:
            return _turned(nest, place, steps, names)
    return [replace(loop, body=_body(loop.body, names))]


def _nest(loop: ir.For) -> list[ir.For]:
    """A loop in lanes and those around it that hold nothing else; none if there are other
    loops, or steps that depend on each other."""
    nest = [loop]
    while nest[-1].lanes == 1:
        inner = nest[-1].body[0] if len(nest[-1].body) == 1 else None
        if not isinstance(inner, ir.For):
            return []
        nest.append(inner)
    touches = accesses(nest[-1].body)
    simple = not any(isinstance(s, ir.For) for s in nest[-1].body)
    if not simple or touches.sequential or touches.writes - touches.begun:
        return []
    return nest


def _steps(nest: list[ir.For], place: int) -> int:
    """How many steps of a loop in a nest make a block; 0 if it can't be turned."""
    column, row = nest[place], nest[-1]
    found = blocks(row.body, row.index, column.index)
    if not found or not all(apart(f, accesses(f.body)) for f in nest[place:]):
        return 0
    width = 64 if "+avx512f" in host().features else 32
    size = max(x.dtype.np.itemsize for x in found)
    steps = min(width // size, row.lanes, column.index.extent)
    return steps if steps & (steps - 1) == 0 else _part(steps, size)


def _part(steps: int, size: int) -> int:
    """So many steps, or as many of them as one can load."""
    return steps if in_part(size) else 1 << (steps.bit_length() - 1)


def _turned(nest: list[ir.For], place: int, steps: int, names: Names) -> list[ir.Statement]:
    """A nest in which a loop is turned: in blocks, and what is left over."""
    column = nest[place]
    count, rest = divmod(column.index.extent, steps)
    inner, body = nest[place + 1 :], nest[-1].body
    block, step = names.index(count), names.index(steps, "i")
    at: Expr = block * steps if count > 1 else const(0, ir.INDEX)
    within = ir.For(step, with_indices(body, {column.index: at + step}), turned=True)
    whole: ir.Statement = _around(inner, (within,))
    if count > 1:
        whole = replace(column, index=block, body=(whole,))
    found = [whole]
    if rest:
        step = names.index(rest, "i")
        start = const(count * steps, ir.INDEX)
        moved = with_indices(body, {column.index: start + step})
        left = ir.For(step, (_around(inner, moved),))
        found += again(_loop(left, names), {}, {}, names)
    outer = nest[:place]
    return [_around(outer, tuple(found))] if outer else found


def _around(loops: Sequence[ir.For], body: tuple[ir.Statement, ...]) -> ir.For:
    """Statements in the loops of a nest."""
    for loop in reversed(loops):
        body = (replace(loop, body=body),)
    found = body[0]
    assert isinstance(found, ir.For)
    return found
