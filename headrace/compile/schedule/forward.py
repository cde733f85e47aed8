"""A value that a loop has just stored is taken from where it was computed, not from memory.

A temporary that nobody loads any more is then not stored either. Read `fuse.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from headrace.compile.loops import ir
from headrace.compile.loops.affine import Affine, affine
from headrace.compile.loops.expr import Expr, Load
from headrace.compile.loops.rewrite import Rewriter
from headrace.compile.schedule.accesses import accesses, visited


def forward(loops: ir.Loops) -> ir.Loops:
    """The program without needless loads and stores."""
    stages = ir.rewritten(loops.stages, _forwarded)
    while True:
        loaded = _loaded(stages)
        dead = {id(b) for b in loops.temporaries if id(b) not in loaded}
        pruned = ir.rewritten(stages, partial(_pruned, dead))
        if pruned == stages:
            break
        stages = pruned
    used = {key for stage in ir.stages(stages) for key in accesses(stage.body).buffers}
    used |= {id(b) for b in ir.deciding(stages)}
    used |= {id(b) for stage in ir.stages(stages) for b in stage.copies}
    kept = tuple([b for b in loops.temporaries if id(b) in used])
    return replace(loops, stages=stages, temporaries=kept)


def _forwarded(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    return [ir.Stage(s.kind, _body(s.body, {})) for s in stages]


def _pruned(dead: set[int], stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    found = [ir.Stage(s.kind, _without(s.body, dead)) for s in stages]
    return [s for s in found if s.body]


Known = dict[tuple[int, int], list[tuple[Affine, Expr]]]


def _body(body: Sequence[ir.Statement], known: Known) -> tuple[ir.Statement, ...]:
    """A body in which loads of what `known` holds are values; `known` is not changed."""
    known = {key: list(values) for key, values in known.items()}
    found: list[ir.Statement] = []

    def change(x: Expr) -> Expr | None:
        if not isinstance(x, Load):
            return None
        for place, value in known.get((id(x.buffer), x.part), ()):
            if _equal(place, affine(x.offset)):
                return value
        return None

    for statement in body:
        rewriter = Rewriter(change)
        if isinstance(statement, ir.For | ir.If):
            changed = accesses(statement.body)
            for key in list(known):
                if key[0] in changed.stores:
                    del known[key]
            for buffer in changed.stores:
                _drop(known, buffer)
            inner = _body(statement.body, known)
            if isinstance(statement, ir.For):
                found.append(replace(statement, body=inner))
            else:
                found.append(ir.If(rewriter(statement.condition), inner))
            _forget(known, changed.writes)
            continue
        statement = rewriter.statement(statement)
        found.append(statement)
        if isinstance(statement, ir.Store):
            _drop(known, id(statement.buffer))
            if id(statement.buffer) not in _loads(statement.value):
                key = id(statement.buffer), statement.part
                known[key] = [(affine(statement.offset), statement.value)]
        elif isinstance(statement, ir.Begin):
            _forget(known, {id(statement.accumulator)})
        elif isinstance(statement, ir.Update):
            _forget(known, {id(a) for a in statement.accumulators})
    return tuple(found)


def _forget(known: Known, accumulators: set[int]) -> None:
    """Values that read accumulators that change now are no longer what was stored."""
    for key, values in known.items():
        known[key] = [v for v in values if not accesses_of(v[1]) & accumulators]


def _drop(known: Known, buffer: int) -> None:
    """Values that load from memory that changes now are no longer what was stored."""
    for key, values in known.items():
        known[key] = [v for v in values if buffer not in _loads(v[1])]


def _loads(x: Expr) -> set[int]:
    return {id(y.buffer) for y in visited([x]) if isinstance(y, Load)}


def accesses_of(x: Expr) -> set[int]:
    """The accumulators that an expression reads, by id."""
    return {id(y.accumulator) for y in visited([x]) if hasattr(y, "accumulator")}


def _equal(a: Affine, b: Affine) -> bool:
    if a.constant != b.constant:
        return False
    keys = a.terms.keys() | b.terms.keys()
    return all(a.terms.get(k, 0) == b.terms.get(k, 0) for k in keys)


def _loaded(stages: ir.Steps) -> set[int]:
    found = {key for stage in ir.stages(stages) for key in accesses(stage.body).loads}
    return found | {id(b) for b in ir.deciding(stages)}


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
