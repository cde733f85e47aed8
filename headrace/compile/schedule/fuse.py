"""Loop nests that run over the same steps become one.

A stage joins an earlier one with which it shares memory if their outermost loops have the same
extent and what one writes the other touches only in the same step. Inside, the same is tried
with the next loops. Read `accesses.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index
from headrace.compile.loops.rewrite import with_indices
from headrace.compile.schedule.accesses import Accesses, accesses, in_step, independent

_FUSES = frozenset({"map", "reduce", "contract", "scan"})


def fuse(loops: ir.Loops) -> ir.Loops:
    """The program with as few stages as may be."""
    return replace(loops, stages=ir.rewritten(loops.stages, _fused))


def _fused(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    groups: list[_Group] = []
    for stage in stages:
        if not _joined(stage, groups):
            groups.append(_Group(stage))
    return [group.stage for group in groups]


class _Group:
    """A stage, and what it touches."""

    def __init__(self, stage: ir.Stage) -> None:
        self.stage = stage
        self.touches = accesses(stage.body)

    def take(self, kind: str, body: tuple[ir.Statement, ...]) -> None:
        self.stage = ir.Stage(self.stage.kind if self.stage.kind == kind else "fused", body)
        self.touches = accesses(body)


def _joined(stage: ir.Stage, groups: Sequence[_Group]) -> bool:
    """Put a stage into the latest group that it may join."""
    if stage.kind not in _FUSES:
        return False
    touches = accesses(stage.body)
    for group in reversed(groups):
        if group.stage.kind in (*_FUSES, "fused") and _share(group.touches, touches):
            body = merged(group.stage.body, stage.body, ())
            if body is not None:
                group.take(stage.kind, body)
                return True
        if not independent(group.touches, touches):
            return False
    return False


def _share(a: Accesses, b: Accesses) -> bool:
    return bool(a.buffers.keys() & b.buffers.keys())


def merged(
    first: Sequence[ir.Statement], second: Sequence[ir.Statement], outer: tuple[Index, ...]
) -> tuple[ir.Statement, ...] | None:
    """Two bodies as one in which at least one loop of each has become one; None if none can.

    Args:
        outer: the loops that both stand in.
    """
    body = list(first)
    fused = False
    waiting: list[ir.Statement] = []
    for statement in second:
        place = None
        if isinstance(statement, ir.For):
            place = _partner(body, waiting, statement, outer)
        if place is None:
            waiting.append(statement)
            continue
        position, loop = place
        body[position] = loop
        body[position:position] = waiting  # they come before it, and need nothing of it
        waiting, fused = [], True
    return tuple(body + waiting) if fused else None


def _partner(
    body: Sequence[ir.Statement],
    waiting: Sequence[ir.Statement],
    loop: ir.For,
    outer: tuple[Index, ...],
) -> tuple[int, ir.For] | None:
    """Which loop of a body another can join, and the two as one."""
    touches = accesses([loop])
    before = accesses(waiting)
    for position in range(len(body) - 1, -1, -1):
        statement = body[position]
        here = accesses([statement])
        if waiting and not independent(here, before):
            return None
        if isinstance(statement, ir.For) and statement.index.extent == loop.index.extent:
            joined = _one(statement, loop, outer)
            if joined is not None:
                return position, joined
        if not independent(here, touches):
            return None
    return None


def _one(a: ir.For, b: ir.For, outer: tuple[Index, ...]) -> ir.For | None:
    """Two loops of the same extent as one, if what they do stays the same."""
    inner = with_indices(b.body, {b.index: a.index})
    mine, other = accesses(a.body), accesses(inner)
    if mine.sequential or other.sequential:
        return None
    if mine.writes & (other.reads | other.writes) or other.writes & mine.reads:
        return None
    around = (*outer, a.index)
    if not in_step(mine, other, around):
        return None
    return replace(a, body=merged(a.body, inner, around) or (*a.body, *inner))
