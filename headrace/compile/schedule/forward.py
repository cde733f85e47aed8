"""A value that a loop has just stored is taken from a register, not from memory.

The register is an accumulator that begins with the value just before it is stored, so that
nothing is computed twice and later stores don't matter. A temporary that nobody loads any more
is then not stored either. Read `fuse.py` before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Const, Expr, Load, Read
from headrace.compile.loops.rewrite import Rewriter
from headrace.compile.schedule.accesses import Place, place, visited
from headrace.compile.schedule.names import Names


def forward(loops: ir.Loops) -> ir.Loops:
    """The program without needless loads and stores."""
    names = Names(loops)
    steps = ir.rewritten(
        loops.stages, lambda run: [replace(s, body=_body(s.body, {}, names)) for s in run]
    )
    return without_dead(replace(loops, stages=steps))


class _Stored:
    """What was stored where, and the register that has it once somebody asks."""

    def __init__(self, store: ir.Store, names: Names) -> None:
        self.store, self.names = store, names
        self.place: Place = place(store.offset)
        self.register: ir.Accumulator | None = None

    def value(self) -> Expr:
        value = self.store.value
        if isinstance(value, Const):
            return value
        if self.register is None:
            self.register = self.names.register(value.dtype)
        return Read(value.dtype, self.register)

    def statements(self) -> list[ir.Statement]:
        if self.register is None:
            return [self.store]
        value = self.store.value
        read = Read(value.dtype, self.register)
        return [ir.Begin(self.register, value), replace(self.store, value=read)]


_Known = dict[tuple[int, int], _Stored]


def _body(
    body: Sequence[ir.Statement], outer: _Known, names: Names
) -> tuple[ir.Statement, ...]:
    """A body in which loads of what is known are reads of registers."""
    known = dict(outer)
    found: list[ir.Statement | _Stored] = []

    def change(x: Expr) -> Expr | None:
        if not isinstance(x, Load):
            return None
        last = known.get((id(x.buffer), x.part))
        if last is None or last.place.key != place(x.offset).key:
            return None
        return last.value()

    rewriter = Rewriter(change)
    for statement in body:
        if isinstance(statement, ir.For | ir.If):
            changed = _stored(statement.body)
            for key in [key for key in known if key[0] in changed]:
                del known[key]
                rewriter = Rewriter(change)
            inner = _body(statement.body, known, names)
            if isinstance(statement, ir.If):
                found.append(ir.If(rewriter(statement.condition), inner))
            else:
                found.append(replace(statement, body=inner))
            continue
        statement = rewriter.statement(statement)
        if isinstance(statement, ir.Store):
            key = id(statement.buffer), statement.part
            if key in known:
                rewriter = Rewriter(change)
            known[key] = _Stored(statement, names)
            found.append(known[key])
        else:
            found.append(statement)
    result: list[ir.Statement] = []
    for entry in found:
        result += entry.statements() if isinstance(entry, _Stored) else [entry]
    return tuple(result)


def _stored(body: Sequence[ir.Statement]) -> set[int]:
    """The buffers that statements store into."""
    every = ir.statements(tuple(body))
    return {id(s.buffer) for s in every if isinstance(s, ir.Store)}


def without_dead(loops: ir.Loops) -> ir.Loops:
    """The program without stores that nobody loads, and without temporaries not in use."""
    steps, temporaries = loops.stages, loops.temporaries
    while True:
        loaded, stored = _memory(steps)
        loaded |= {id(b) for b in ir.deciding(steps)}
        loaded |= {id(b) for stage in ir.stages(steps) for b in stage.copies}
        dead = {id(b) for b in temporaries if id(b) not in loaded}
        dead -= _held(steps, dead)
        temporaries = tuple([b for b in temporaries if id(b) not in dead])
        if dead.isdisjoint(stored):
            return replace(loops, stages=steps, temporaries=temporaries)
        steps = ir.rewritten(steps, partial(_pruned, dead))
        steps = ir.kept(steps, partial(_useful, dead))


def _useful(dead: set[int], stage: ir.Stage) -> bool:
    """False for a stage that runs as a matrix product and stores nothing that anybody loads."""
    return stage.how is None or not _stored(stage.body) <= dead


def _held(steps: ir.Steps, dead: set[int]) -> set[int]:
    """What a matrix product stores beside what is needed of it."""
    found: set[int] = set()
    for stage in ir.stages(steps):
        if stage.how is not None and _useful(dead, stage):
            found |= _stored(stage.body)
    return found


def _memory(steps: Iterable[ir.Step]) -> tuple[set[int], set[int]]:
    """The buffers that are loaded from, and those that are stored into."""
    loaded: set[int] = set()
    stored: set[int] = set()
    for stage in ir.stages(steps):
        stored |= _stored(stage.body)
        seen: set[int] = set()
        for statement in ir.statements(stage.body):
            for x in visited(ir.expressions(statement), seen):
                if isinstance(x, Load):
                    loaded.add(id(x.buffer))
    return loaded, stored


def _pruned(dead: set[int], stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    found = [replace(s, body=_without(s.body, dead)) for s in stages]
    return [s for s in found if s.body]


def _without(body: Sequence[ir.Statement], dead: set[int]) -> tuple[ir.Statement, ...]:
    """A body without the stores into dead buffers and the loops that then do nothing."""
    found: list[ir.Statement] = []
    for statement in body:
        if isinstance(statement, ir.Store) and id(statement.buffer) in dead:
            continue
        if isinstance(statement, ir.For | ir.If):
            inner = _without(statement.body, dead)
            if not inner:
                continue
            statement = replace(statement, body=inner)
        found.append(statement)
    return tuple(found)
