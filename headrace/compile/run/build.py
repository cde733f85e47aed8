"""From a program of loops to one that can be called: schedule, LLVM text, machine code.

Read `executable.py` before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from headrace.base import flags
from headrace.compile.llvm.emit import emit
from headrace.compile.llvm.engine import ENGINE, Code
from headrace.compile.loops import ir
from headrace.compile.run.arena import Arena, arena
from headrace.compile.run.executable import Executable
from headrace.compile.run.program import Form, Program
from headrace.compile.schedule import schedule
from headrace.compile.schedule.accesses import visited

UNLOCKED = 10_000
"""From so many nanoseconds of work on a program runs without the interpreter's lock."""


def executable(loops: ir.Loops) -> Executable:
    """Compile a program for this computer (or find it compiled)."""
    loops = schedule(loops)
    begin = time.perf_counter()
    text = emit(loops)
    emitted = (time.perf_counter() - begin) * 1e3
    code = ENGINE.code(text, loops.name, emitted)
    program = described(loops, arena(loops), work(loops.stages) >= UNLOCKED, code)
    return Executable(program, loops)


def described(loops: ir.Loops, plan: Arena, unlock: bool, code: Code) -> Program:
    """What a call of a program needs to know.

    Args:
        loops: as they are run.
        plan: where temporaries lie.
        unlock: whether it runs without the interpreter's lock.
        code: the machine code.
    """
    return Program(
        loops.name,
        code.address,
        code,
        _forms(loops.inputs),
        _forms(loops.outputs),
        _forms(loops.states),
        _forms(loops.temporaries),
        plan.places,
        plan.size,
        unlock,
        flags.POISON.value,
        loops.failures,
    )


def _forms(buffers: Sequence[ir.Buffer]) -> tuple[Form, ...]:
    return tuple([Form(b.shape, b.dtype.np, b.name) for b in buffers])


def work(steps: ir.Steps) -> float:
    """About how many nanoseconds steps take; infinite where they repeat."""
    total = 0.0
    for step in steps:
        match step:
            case ir.Repeat():
                return float("inf")
            case ir.Branch(_, sides):
                total += max(work(side) for side in sides)
            case _:
                total += step.how.work if step.how else sum(_work(s) for s in step.body)
    return total


def _work(statement: ir.Statement) -> float:
    match statement:
        case ir.For(index, body, lanes):
            return index.extent * sum(_work(s) for s in body) / lanes
        case ir.If(_, body):
            return sum(_work(s) for s in body)
    nodes = sum(1 for _ in visited(ir.expressions(statement)))
    return 0.3 * nodes
