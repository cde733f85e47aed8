"""Who touches what: the loads, stores and accumulators of statements, and whether they meet.

Two pieces of code may change places, or run in one loop, if what one writes the other does not
touch, or touches only in the same step of the loop. Read `loops/affine.py` before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from headrace.compile.loops import ir
from headrace.compile.loops.affine import Affine, affine
from headrace.compile.loops.expr import Expr, Index, Load, Read, operands


@dataclass
class Accesses:
    """What statements touch, by the id of buffer or accumulator.

    Attributes:
        loads, stores: the offsets.
        reads, writes: accumulators.
        begun: accumulators that begin here.
        buffers: all of them.
        sequential: there is a check or branch.
    """

    loads: dict[int, list[Expr]] = field(default_factory=dict)
    stores: dict[int, list[Expr]] = field(default_factory=dict)
    reads: set[int] = field(default_factory=set)
    writes: set[int] = field(default_factory=set)
    begun: set[int] = field(default_factory=set)
    buffers: dict[int, ir.Buffer] = field(default_factory=dict)
    sequential: bool = False

    def places(self, key: int) -> list[Expr]:
        """Where a buffer is touched."""
        return [*self.stores.get(key, ()), *self.loads.get(key, ())]


def accesses(body: Iterable[ir.Statement]) -> Accesses:
    """What some statements touch."""
    found = Accesses()
    seen: set[int] = set()
    for statement in ir.statements(tuple(body)):
        match statement:
            case ir.Store(buffer, offset):
                found.stores.setdefault(id(buffer), []).append(offset)
                found.buffers[id(buffer)] = buffer
            case ir.Begin(accumulator):
                found.writes.add(id(accumulator))
                found.begun.add(id(accumulator))
            case ir.Update(_, accumulators):
                found.writes.update(id(a) for a in accumulators)
            case ir.Check() | ir.If():
                found.sequential = True
        for x in visited(ir.expressions(statement), seen):
            if isinstance(x, Load):
                found.loads.setdefault(id(x.buffer), []).append(x.offset)
                found.buffers[id(x.buffer)] = x.buffer
            elif isinstance(x, Read):
                found.reads.add(id(x.accumulator))
    return found


def visited(roots: Sequence[Expr], seen: set[int] | None = None) -> Iterator[Expr]:
    """Every expression in some expressions, once; `seen` holds ids of those known."""
    seen = set() if seen is None else seen
    stack = list(roots)
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        yield x
        stack.extend(operands(x))


def independent(a: Accesses, b: Accesses) -> bool:
    """Whether two pieces of code may run in either order."""
    if a.sequential or b.sequential:
        return False
    if a.writes & (b.reads | b.writes) or b.writes & a.reads:
        return False
    return not (
        a.stores.keys() & (b.loads.keys() | b.stores.keys()) or b.stores.keys() & a.loads.keys()
    )


def in_step(a: Accesses, b: Accesses, loops: Sequence[Index]) -> bool:
    """Whether `a` and `b`, which share `loops`, meet in memory only within one step of them.

    Offsets of `b` are already in the indices of `a`.
    """
    meeting = (a.stores.keys() & (b.loads.keys() | b.stores.keys())) | (
        b.stores.keys() & a.loads.keys()
    )
    turning = [index for index in loops if index.extent > 1]
    for key in meeting:
        places = [affine(p) for side in (a, b) for p in side.places(key)]
        if not same_step(places, turning):
            return False
    return True


def same_step(places: Sequence[Affine], loops: Sequence[Index]) -> bool:
    """Whether offsets that are equal belong to the same step of some loops."""
    known = [[place.factor(index) for index in loops] for place in places]
    if any(other != known[0] for other in known):
        return False
    steps: list[tuple[int, Index]] = []
    for factor, index in zip(known[0], loops, strict=True):
        if factor is None or factor <= 0:
            return False
        steps.append((factor, index))
    steps.sort(key=lambda pair: pair[0])
    for (inner, index), (outer, _) in zip(steps, steps[1:], strict=False):
        if inner * index.extent > outer:
            return False
    if not steps:
        return True
    room, ids = steps[0][0], frozenset(id(index) for index in loops)
    blocks: set[int] = set()
    for place in places:
        span = place.span(ids)
        if span is None:
            return False
        blocks.update((span[0] // room, span[1] // room))
    return len(blocks) == 1
