"""Which loops run in lanes, and in how many.

Of the loops that lie inside each other one is chosen: where the most accesses go from element
to element, or stay. A loop qualifies if its steps don't depend on each other, except that they
accumulate. Where little is done in a step, and above all where it accumulates, several vectors
run side by side. Read `accesses.py` before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.memory import NEAR
from headrace.compile.llvm.repeats import blocks
from headrace.compile.loops import ir
from headrace.compile.loops.accumulate import SPLITS, carried
from headrace.compile.loops.expr import Apply, Expr, Index, Load
from headrace.compile.schedule.accesses import (
    SLOW,
    Accesses,
    Place,
    accesses,
    place,
    same_step,
    visited,
)

_LIGHT, _MIDDLE = 8.0, 24.0  # instructions in a step for four vectors, and for two

_BLOCK = 4  # so many lanes may come from one thing that is computed once for all of them

_GATHER, _SCATTER = 12.0, 48.0  # instructions' worth of lanes that lie apart: stores are slow


def vectorize(loops: ir.Loops) -> ir.Loops:
    """The program with loops that run in lanes."""
    return replace(loops, stages=ir.rewritten(loops.stages, _in_lanes))


def _in_lanes(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    return [ir.Stage(s.kind, tuple([_best(x).statement for x in s.body])) for s in stages]


class _Choice(NamedTuple):
    statement: ir.Statement
    cost: float


def _best(statement: ir.Statement) -> _Choice:
    """A statement with the best loop inside it in lanes."""
    if isinstance(statement, ir.If):
        within = [_best(s) for s in statement.body]
        body = tuple([x.statement for x in within])
        return _Choice(replace(statement, body=body), 1 + sum(x.cost for x in within))
    if not isinstance(statement, ir.For):
        return _Choice(statement, _cost(statement, None))
    if not statement.index.extent:
        return _Choice(statement, 0)
    inner = [_best(s) for s in statement.body]
    plain = replace(statement, body=tuple([x.statement for x in inner]))
    found = _Choice(plain, statement.index.extent * sum(x.cost for x in inner))
    touches = accesses(statement.body)
    count = lanes(statement, touches)
    if count > 1 and _qualifies(statement, touches):
        cost = _loop_cost(statement, statement.index, count)
        if cost < found.cost:
            wide = _side_by_side(statement, touches, count)
            found = _Choice(replace(statement, lanes=wide), cost)
    return found


def lanes(loop: ir.For, touches: Accesses) -> int:
    """How many elements of a loop fit side by side; no more than it has, nearly.

    What stays the same in all steps has no say, and what accumulates has.
    """
    turning = {loop.index}
    turning |= {s.index for s in ir.statements(loop.body) if isinstance(s, ir.For)}
    sizes = [
        b.dtype.np.itemsize
        for key, b in touches.buffers.items()
        if any(p.moves(turning) for p in touches.places(key))
    ]
    sizes += [a.dtype.np.itemsize for update in carried(loop.body) for a in update.accumulators]
    width = 64 if "+avx512f" in host().features else 32
    return no_more(width // max(4, min(sizes, default=8)), loop.index.extent)


def no_more(count: int, extent: int) -> int:
    """`count`, halved until it is not twice as many as there are."""
    while count > 1 and extent <= count // 2:
        count //= 2
    return count


def _side_by_side(loop: ir.For, touches: Accesses, count: int) -> int:
    """Lanes in several vectors: sums wait for the one before, and light steps for the loop."""
    several = 4 if touches.weight <= _LIGHT else 2 if touches.weight <= _MIDDLE else 1
    if several == 4 and not touches.writes - touches.begun and not _accumulates(loop.body):
        several = 2
    for x in (x for s in ir.statements(loop.body) for x in visited(ir.expressions(s))):
        if isinstance(x, Load) and place(x.offset).factor(loop.index) not in (0, 1):
            return count
        several = max(several, blocks(x, loop.index, 2 * _BLOCK))
    return no_more(count * several, loop.index.extent)


def _accumulates(body: Sequence[ir.Statement]) -> bool:
    """Whether a loop inside accumulates."""
    loops = [s for s in ir.statements(tuple(body)) if isinstance(s, ir.For)]
    return any(isinstance(s, ir.Update) for loop in loops for s in loop.body)


def _qualifies(loop: ir.For, touches: Accesses) -> bool:
    if touches.sequential:
        return False
    carried = touches.writes - touches.begun
    if carried & touches.reads:
        return False
    for statement in ir.statements(loop.body):
        if isinstance(statement, ir.Update) and statement.combine not in SPLITS:
            if any(id(a) in carried for a in statement.accumulators):
                return False
    return apart(loop, touches)


def apart(loop: ir.For, touches: Accesses, local: bool = False) -> bool:
    """Whether different steps touch different memory where one of them writes.

    Args:
        local: local buffers don't count: each step, or thread, has its own.
    """
    turning = {loop.index}
    turning |= {s.index for s in ir.statements(loop.body) if isinstance(s, ir.For)}
    return all(
        same_step(_moving(touches.places(key), turning), [loop.index], touches.stores)
        for key in touches.stores
        if not (local and touches.buffers[key].local)
    )


def _moving(places: list[Place], turning: set[Index]) -> list[Place]:
    """Offsets without what they share and what stays the same while some loops turn."""
    fixed = {
        key
        for key, term in places[0].terms.items()
        if turning.isdisjoint(term.inside)
        and all(key in p.terms and p.terms[key].factor == term.factor for p in places)
    }
    found = []
    for p in places:
        terms = {k: t for k, t in p.terms.items() if k not in fixed}
        found.append(Place(p.constant, terms, p.sources, p.reads))
    return found


def _cost(statement: ir.Statement, index: Index | None) -> float:
    """About how many vector instructions one run of a statement takes."""
    if isinstance(statement, ir.For):
        return _loop_cost(statement, index, 1)
    if isinstance(statement, ir.If):
        return 1 + sum(_cost(s, index) for s in statement.body)
    cost = 0.0
    if isinstance(statement, ir.Store):
        cost += _access(statement.offset, index, statement.buffer, _SCATTER)
    for x in visited(ir.expressions(statement)):
        if isinstance(x, Load):
            cost += _access(x.offset, index, x.buffer)
        elif isinstance(x, Apply):
            cost += 15 if x.name in SLOW else 0.5
    return cost + 0.25


def _loop_cost(loop: ir.For, index: Index | None, count: int) -> float:
    steps = math.ceil(loop.index.extent / count)
    touches = accesses(loop.body)
    end = 20.0 if count > 1 and touches.writes - touches.begun else 0.0
    return end + 1 + steps * sum(_cost(s, index) for s in loop.body)


def _access(
    offset: Expr, index: Index | None, buffer: ir.Buffer, apart: float = _GATHER
) -> float:
    if index is None:
        return 1
    step = place(offset).factor(index)
    if step == 0:
        return 0.5
    if step is None or buffer.dtype.is_complex and step != 1:
        return apart
    near = apart < _SCATTER and (step == -1 or 1 < step <= NEAR)
    return 1 if step == 1 else 2 if near else apart
