"""A loop of which a single step changes anything is that step.

The gradient of a slice is zero but for the slice: added to a sum, in each round of a loop, it
costs as much as the whole array where one row would do. Read `loops/ir.py` before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headrace.base import dtypes
from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine
from headrace.compile.loops.checks import used_indices
from headrace.compile.loops.expr import Apply, Choose, Const, Expr, Index, Load, apply, const
from headrace.compile.loops.rewrite import with_indices


def single(loops: ir.Loops) -> ir.Loops:
    """The program without the steps that add nothing."""
    return replace(loops, stages=ir.each(loops.stages, _stage))


def _stage(stage: ir.Stage) -> ir.Stage:
    if stage.kind != "map" or len(stage.body) != 1:
        return stage
    indices, body = ir.nest(stage.body)
    if len(body) != 1 or not isinstance(body[0], ir.Store):
        return stage
    (store,) = body
    assert isinstance(store, ir.Store)
    condition = _adding(store)
    if condition is None:
        return stage
    meant: dict[Index, Expr] = {}
    for index, value in _equal(condition, indices):
        meant.setdefault(index, _clamped(value, index.extent))
    if not meant:
        return stage
    found = with_indices(body, meant)
    for index in reversed(indices):
        if index not in meant:
            found = (ir.For(index, found),)
    return replace(stage, body=found)


def _adding(store: ir.Store) -> Expr | None:
    """Where an element gets something added to it: elsewhere it stays as it is."""
    match store.value:
        case Apply(_, "add", (Load() as old, Choose(_, condition, _, Const(_, 0)))):
            pass
        case Apply(_, "add", (Choose(_, condition, _, Const(_, 0)), Load() as old)):
            pass
        case _:
            return None
    same = old.buffer is store.buffer and old.part == store.part
    return condition if same and affine(old.offset).equals(affine(store.offset)) else None


def _equal(condition: Expr, indices: tuple[Index, ...]) -> Iterator[tuple[Index, Expr]]:
    """The loop indices that a condition demands to be some number, which no loop changes."""
    match condition:
        case Apply(_, "and", (a, b)) if condition.dtype is dtypes.bool:
            yield from _equal(a, indices)
            yield from _equal(b, indices)
        case Apply(_, "eq", (a, b)):
            for index, value in ((a, b), (b, a)):
                if isinstance(index, Index) and any(index is i for i in indices):
                    if not used_indices([value]):
                        yield index, value


def _clamped(value: Expr, extent: int) -> Expr:
    """A number, or the nearest that a loop reaches: there the condition still decides."""
    least = apply("max", value, const(0, ir.INDEX))
    return apply("min", least, const(extent - 1, ir.INDEX))
