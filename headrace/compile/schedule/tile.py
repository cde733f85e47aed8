"""A map that reads memory across its rows runs in strips, so that what it fetches is used up.

A transposed copy takes one element of each cache line it touches; in strips of `STRIP` columns
the same lines serve the next rows while they are still in the nearest cache.
Read `vectorize.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index, Load, const
from headrace.compile.loops.rewrite import with_indices, with_loops
from headrace.compile.schedule.accesses import accesses, place, visited
from headrace.compile.schedule.names import Names
from headrace.compile.schedule.split import again
from headrace.compile.schedule.vectorize import apart, no_more

STRIP = 64
LARGE = 1 << 13  # elements that no longer fit the nearest cache


def tile(loops: ir.Loops) -> ir.Loops:
    """The program with maps in strips."""
    names = Names(loops)

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        return [replace(s, body=_body(s.body, names)) for s in stages]

    return replace(loops, stages=ir.rewritten(loops.stages, change))


def _body(body: Sequence[ir.Statement], names: Names) -> tuple[ir.Statement, ...]:
    return with_loops(body, lambda loop: _loop(loop, names))


def _loop(loop: ir.For, names: Names) -> list[ir.Statement]:
    """A loop, or the strips that it and the loop inside it become."""
    inner = loop.body[0]
    if len(loop.body) != 1 or not isinstance(inner, ir.For):
        return [replace(loop, body=_body(loop.body, names))]
    rows, columns = loop.index, inner.index
    if not _across(loop, inner) or rows.extent * columns.extent < LARGE:
        return [replace(loop, body=_body(loop.body, names))]
    strips, rest = divmod(columns.extent, STRIP)
    strip, step = names.index(strips), names.index(STRIP, "i")
    body = with_indices(inner.body, {columns: strip * STRIP + step})
    within = replace(inner, index=step, body=body)
    found: list[ir.Statement] = [ir.For(strip, (replace(loop, body=(within,)),))]
    if rest:
        step = names.index(rest, "i")
        start = const(strips * STRIP, ir.INDEX)
        body = with_indices(inner.body, {columns: start + step})
        within = replace(inner, index=step, body=body, lanes=no_more(inner.lanes, rest))
        found += again((replace(loop, body=(within,)),), {}, {}, names)
    return found


def _across(loop: ir.For, inner: ir.For) -> bool:
    """Whether the inner one of two loops runs across the rows of what it loads, the outer one
    along them, and their order does not matter."""
    if inner.lanes == 1 or inner.index.extent < 2 * STRIP:
        return False
    if any(isinstance(s, ir.For) for s in inner.body):
        return False
    touches = accesses(inner.body)
    if touches.writes - touches.begun or touches.sequential:
        return False
    if not apart(loop, touches) or not apart(inner, touches):
        return False
    return any(
        _runs_across(x, loop.index, inner.index)
        for s in inner.body
        for x in visited(ir.expressions(s))
        if isinstance(x, Load)
    )


def _runs_across(x: Load, rows: Index, columns: Index) -> bool:
    where = place(x.offset)
    along, across = where.factor(rows), where.factor(columns)
    return along == 1 and across is not None and across > 1
