"""Conditions that hold are tested all at once; one by one only if some do not.

A loop of checks has an exit at each step and runs one element at a time. Whether all of them
hold is a reduction, which runs in lanes and on threads; the checks, which say where it went
wrong, follow it and run only if it failed. Read `accesses.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from math import prod

from headrace.base import dtypes
from headrace.compile.loops import ir
from headrace.compile.loops.builder import nest
from headrace.compile.loops.expr import Index, Load, Read, const
from headrace.compile.schedule.names import Names

MANY = 64
"""So many checks are worth a reduction before them."""


def guards(loops: ir.Loops) -> ir.Loops:
    """The program with long loops of checks behind a reduction that says whether all hold."""
    names = Names(loops)
    steps = ir.rewritten(loops.stages, partial(_guarded, names))
    return replace(loops, stages=steps, temporaries=(*loops.temporaries, *names.buffers))


def _guarded(names: Names, stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    found: list[ir.Stage] = []
    for stage in stages:
        indices, check = _checks(stage)
        if check is None or prod(index.extent for index in indices) < MANY:
            found.append(stage)
        else:
            found += _split(stage, indices, check, names)
    return found


def _checks(stage: ir.Stage) -> tuple[list[Index], ir.Check | None]:
    """The loops of a stage that is one check inside loops, and the check."""
    indices: list[Index] = []
    body = stage.body
    while len(body) == 1 and isinstance(body[0], ir.For):
        indices.append(body[0].index)
        body = body[0].body
    last = body[0] if len(body) == 1 else None
    return indices, last if isinstance(last, ir.Check) else None


def _split(
    stage: ir.Stage, indices: list[Index], check: ir.Check, names: Names
) -> list[ir.Stage]:
    zero, flag = const(0, ir.INDEX), names.buffer((), dtypes.bool)
    register = names.register(dtypes.bool)
    tested = (
        ir.Begin(register, const(True, dtypes.bool)),
        *nest(indices, (ir.Update("and", (register,), (check.condition,)),)),
        ir.Store(flag, zero, Read(dtypes.bool, register)),
    )
    failed = ir.If(~Load(dtypes.bool, flag, zero), stage.body)
    return [ir.Stage("reduce", tested), replace(stage, body=(failed,))]
