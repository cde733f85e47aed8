"""Which loops threads share: outermost ones whose steps are independent and that take long.

How a loop is cut into pieces is fixed by its extent, and no sum goes across pieces, so that
results don't depend on the number of threads. Read `vectorize.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.schedule.accesses import accesses, touched
from headrace.compile.schedule.vectorize import apart

WORTH = 40_000.0
"""Instructions, in vectors, that take about 20 µs: less is not worth waking a thread for."""
_NATIVE = 16


def threads(loops: ir.Loops) -> ir.Loops:
    """The program with loops that threads share."""

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        return [replace(s, body=tuple([_shared(x) for x in s.body])) for s in stages]

    return replace(loops, stages=ir.rewritten(loops.stages, change))


def _shared(statement: ir.Statement) -> ir.Statement:
    if not isinstance(statement, ir.For) or statement.index.extent < 2 * statement.lanes:
        return statement
    if _work(statement) < WORTH:
        return statement
    touches = accesses(statement.body)
    outside = (touches.reads | touches.writes) - touches.begun
    if touches.sequential or outside:
        return statement
    shared = apart(statement, touches, local=True)
    return replace(statement, threads=True) if shared else statement


def _work(statement: ir.Statement) -> float:
    """About how many instructions a statement takes."""
    if not isinstance(statement, ir.For):
        inside = statement.body if isinstance(statement, ir.If) else ()
        return 1 + touched(statement).weight + sum(_work(s) for s in inside)
    each = 1 + sum(_work(s) for s in statement.body)
    return statement.index.extent * each / min(statement.lanes, _NATIVE)
