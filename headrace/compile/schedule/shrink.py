"""A temporary that only one step of a loop uses at a time becomes as small as a step needs.

Such a buffer (a row of a softmax, say) stays in the nearest cache, and each thread has its own.
Read `accesses.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Expr, Index, const
from headrace.compile.loops.rewrite import Moves, Rewriter, with_buffers
from headrace.compile.schedule.accesses import Accesses, accesses, same_step

MOST = 1 << 16
"""Bytes of a local buffer: it lies on the stack of a thread."""


def shrink(loops: ir.Loops) -> ir.Loops:
    """The program with smaller temporaries."""
    owners = _owners(loops)
    temporaries: dict[int, ir.Buffer] = {id(b): b for b in loops.temporaries}

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        return [
            replace(s, body=tuple([_shrunk(x, owners, temporaries) for x in s.body]))
            for s in stages
        ]

    steps = ir.rewritten(loops.stages, change)
    return replace(loops, stages=steps, temporaries=tuple(temporaries.values()))


def _owners(loops: ir.Loops) -> dict[int, list[ir.Statement]]:
    """The outermost statements that touch each buffer."""
    found: dict[int, list[ir.Statement]] = {}
    for stage in ir.stages(loops.stages):
        for statement in stage.body:
            for key in accesses([statement]).buffers:
                found.setdefault(key, []).append(statement)
    return found


def _shrunk(
    statement: ir.Statement,
    owners: dict[int, list[ir.Statement]],
    temporaries: dict[int, ir.Buffer],
) -> ir.Statement:
    """A statement with smaller buffers, which replace the ones that were."""
    if not isinstance(statement, ir.For):
        return statement
    mine = [
        key
        for key in temporaries
        if len(owners.get(key, ())) == 1 and owners[key][0] is statement
    ]
    if not mine:
        return statement
    touches = accesses(statement.body)
    moves: dict[int, tuple[ir.Buffer, _Moved]] = {}
    for key in mine:
        around, room = _steps(statement, key, touches)
        buffer = temporaries[key]
        if not around or room * buffer.dtype.np.itemsize > MOST:
            continue
        small = ir.Buffer(buffer.name, (room,), buffer.dtype, local=True)
        moves[key] = small, _Moved(around)
        temporaries[key] = small
    given: Moves = moves
    return replace(statement, body=with_buffers(statement.body, given)) if moves else statement


class _Moved:
    """Offsets within one step of some loops."""

    def __init__(self, loops: Sequence[Index]) -> None:
        places: dict[Index, Expr] = {index: const(0, ir.INDEX) for index in loops}

        def change(x: Expr) -> Expr | None:
            return places.get(x) if isinstance(x, Index) else None

        self.rewriter = Rewriter(change)

    def __call__(self, offset: Expr) -> Expr:
        return self.rewriter(offset)


def _steps(loop: ir.For, key: int, touches: Accesses) -> tuple[list[Index], int]:
    """The loops, from the outside, of whose steps each uses its own part of a buffer, and how
    large that part is; no loops where it is as large as the buffer."""
    around: list[Index] = []
    size = touches.buffers[key].size
    while True:
        places = touches.places(key)
        tried = [*around, loop.index]
        if not same_step(places, tried, touches.stores):
            return around, size
        spans = [place.span(tried) for place in places]
        if any(span is None or span[0] < 0 for span in spans):
            return around, size
        room = max(span[1] for span in spans if span) + 1
        if room * loop.index.extent <= size:
            around, size = tried, room
        inside = [
            s for s in loop.body if isinstance(s, ir.For) and key in accesses([s]).buffers
        ]
        beside = [s for s in loop.body if not isinstance(s, ir.For)]
        if len(inside) != 1 or key in accesses(beside).buffers:
            return around, size
        loop = inside[0]
