"""Which loops run in lanes.

Of the loops that lie inside each other one is chosen: where the most accesses go from element
to element, or stay. A loop qualifies if its steps don't depend on each other, except that they
accumulate. Read `accesses.py` before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.memory import NEAR
from headrace.compile.loops import ir
from headrace.compile.loops.accumulate import SPLITS
from headrace.compile.loops.affine import Affine, affine, stride
from headrace.compile.loops.checks import used_indices
from headrace.compile.loops.expr import Apply, Expr, Index, Load
from headrace.compile.loops.operations import FLOAT_FUNCTIONS
from headrace.compile.schedule.accesses import Accesses, accesses, same_step, visited

COPIES = 4
"""So many vectors accumulate side by side: fewer would wait for each other."""
_SLOW = frozenset(FLOAT_FUNCTIONS) - {"abs", "floor", "ceil", "rint", "trunc", "sqrt"}


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
    if not isinstance(statement, ir.For):
        return _Choice(statement, _cost(statement, None))
    if not statement.index.extent:
        return _Choice(statement, 0)
    inner = [_best(s) for s in statement.body]
    plain = replace(statement, body=tuple([x.statement for x in inner]))
    found = _Choice(plain, statement.index.extent * sum(x.cost for x in inner))
    count = lanes(statement)
    if count > 1 and _qualifies(statement):
        cost = _loop_cost(statement, statement.index, count)
        if cost < found.cost:
            copies = COPIES if _carried(statement) else 1
            found = _Choice(replace(statement, lanes=count, copies=copies), cost)
    return found


def lanes(loop: ir.For) -> int:
    """How many elements of a loop fit side by side; no more than it has, nearly."""
    touched = accesses(loop.body)
    sizes = [b.dtype.np.itemsize for b in touched.buffers.values()]
    width = 64 if "+avx512f" in host().features else 32
    most = width // max(4, min(sizes, default=8))
    while most > 1 and loop.index.extent <= most // 2:
        most //= 2
    return most


def _carried(loop: ir.For) -> set[int]:
    """The accumulators that a loop hands from step to step."""
    touched = accesses(loop.body)
    return touched.writes - touched.begun


def _qualifies(loop: ir.For) -> bool:
    touched = accesses(loop.body)
    if touched.sequential:
        return False
    carried = _carried(loop)
    if carried & touched.reads:
        return False
    for statement in ir.statements(loop.body):
        if isinstance(statement, ir.Update) and statement.combine not in SPLITS:
            if any(id(a) in carried for a in statement.accumulators):
                return False
    return _apart(loop, touched)


def _apart(loop: ir.For, touched: Accesses) -> bool:
    """Whether different steps touch different memory where one of them writes."""
    turning = {loop.index}
    turning |= {s.index for s in ir.statements(loop.body) if isinstance(s, ir.For)}
    for key, stores in touched.stores.items():
        places = [affine(x) for x in (*stores, *touched.loads.get(key, ()))]
        if not same_step(_moving(places, turning, touched), [loop.index]):
            return False
    return True


def _moving(places: list[Affine], turning: set[Index], touched: Accesses) -> list[Affine]:
    """Offsets without what they share and what stays the same while some loops turn."""
    fixed = set()
    for key, atom in places[0].atoms.items():
        same = all(p.terms.get(key, 0) == places[0].terms[key] for p in places)
        if same and not turning & used_indices([atom]) and not _changes(atom, touched):
            fixed.add(key)
    return [
        Affine(p.constant, {k: f for k, f in p.terms.items() if k not in fixed}, p.atoms)
        for p in places
    ]


def _changes(atom: Expr, touched: Accesses) -> bool:
    """Whether an expression loads what is written."""
    return any(isinstance(x, Load) and id(x.buffer) in touched.stores for x in visited([atom]))


def _cost(statement: ir.Statement, index: Index | None) -> float:
    """About how many vector instructions one run of a statement takes."""
    if isinstance(statement, ir.For):
        return _loop_cost(statement, index, 1)
    if isinstance(statement, ir.If):
        return 1 + sum(_cost(s, index) for s in statement.body)
    cost = 0.0
    if isinstance(statement, ir.Store):
        cost += _access(statement.offset, index, statement.buffer)
    for x in visited(ir.expressions(statement)):
        if isinstance(x, Load):
            cost += _access(x.offset, index, x.buffer)
        elif isinstance(x, Apply):
            cost += 15 if x.name in _SLOW else 0.5
    return cost + 0.25


def _loop_cost(loop: ir.For, index: Index | None, count: int) -> float:
    steps = math.ceil(loop.index.extent / count)
    end = 20.0 if count > 1 and _carried(loop) else 0.0
    return end + 1 + steps * sum(_cost(s, index) for s in loop.body)


def _access(offset: Expr, index: Index | None, buffer: ir.Buffer) -> float:
    if index is None:
        return 1
    step = stride(offset, index)
    if step == 0:
        return 0.5
    if step is None or buffer.dtype.is_complex and step != 1:
        return 12
    return 1 if step == 1 else 2 if step == -1 or 1 < step <= NEAR else 12
