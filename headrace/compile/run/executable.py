"""Machine code that takes arrays and gives arrays.

A program's temporaries lie in one arena (`arena.py`); a call goes through a method of its own
(`entry.py`), which checks the arrays and gives the addresses over in memory that belongs to the
call, so that many threads may be inside. What the method can't use is made ready here (a
strided array is copied), and what the status words report is raised. Read `llvm/emit.py`
before.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base import flags
from headrace.compile.llvm.emit import emit
from headrace.compile.llvm.engine import ENGINE, Code
from headrace.compile.loops import ir
from headrace.compile.run import cache, saved
from headrace.compile.run.arena import Arena, arena
from headrace.compile.run.entry import Form, Program, method
from headrace.compile.schedule import schedule
from headrace.compile.schedule.accesses import visited

UNLOCKED = 10_000
"""From so many nanoseconds of work on a program runs without the interpreter's lock."""


class Executable:
    """A compiled program: `executable(loops)(arrays) -> arrays`.

    Attributes:
        loops: the program as it runs.
        call: takes arrays as single arguments: the inputs, the states and, if there are some,
            the outputs. What it gives is described in `entry.py`; `settle` deals with
            all of it but tuples.
    """

    __slots__ = ("call", "loops", "program")

    def __init__(self, loops: ir.Loops, plan: Arena, unlock: bool, code: Code) -> None:
        self.loops = loops
        self.program = Program(
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
        )
        self.call = method(self.program)

    @classmethod
    def restored(cls, entry: cache.Entry) -> Executable:
        """What `saved` gave, as a program again; its loops have no stages.

        Raises:
            RuntimeError: the object file is not for this processor.
        """
        loops, plan, unlock = saved.unpack(entry.metadata)
        return cls(loops, plan, unlock, ENGINE.load(entry.object))

    def saved(self) -> cache.Entry:
        """What the program needs in another process, to be kept by `cache.store`."""
        program = self.program
        plan = Arena(program.places, program.arena)
        return cache.Entry(program.code.image, saved.pack(self.loops, plan, program.unlock))

    def __call__(
        self, arrays: Sequence[np.ndarray], states: Sequence[np.ndarray] = ()
    ) -> tuple[np.ndarray, ...]:
        """Run it.

        Args:
            arrays: one per input, of its shape and dtype.
            states: one contiguous array per state, which is changed.
        Returns:
            One fresh array per output.
        Raises:
            OpError: a check of the program failed.
            ValueError: an array of another shape or dtype.
        """
        result = self.call(*arrays, *states) if states else self.call(*arrays)
        if result.__class__ is tuple:
            return result
        return self.settle(result, (*arrays, *states))

    def settle(self, result: Any, given: Sequence[Any]) -> tuple[np.ndarray, ...]:
        """What a call gives whose `result` is not a tuple: after copies, or an error."""
        if isinstance(result, bytes):
            status = np.frombuffer(result, np.int64)
            raise self.loops.error(int(status[0]), tuple(status[1:].tolist()))
        ready = [*self._ready(given)]
        again = self.call(*ready)
        if isinstance(again, int):
            raise ValueError(
                f"{self.loops.name} can't use its argument {again}: {ready[again]!r}."
            )
        return again if isinstance(again, tuple) else self.settle(again, ready)

    def _ready(self, given: Sequence[Any]) -> list[Any]:
        buffers = self.loops.inputs + self.loops.states
        more = given[len(buffers) :]
        if more:
            buffers += self.loops.outputs
        if len(given) != len(buffers):
            raise ValueError(
                f"{self.loops.name} takes {len(buffers)} arrays, got {len(given)}."
            )
        inputs = len(self.loops.inputs)
        return [
            _input(array, buffer) if k < inputs else _written(array, buffer)
            for k, (array, buffer) in enumerate(zip(given, buffers, strict=True))
        ]


def _forms(buffers: Sequence[ir.Buffer]) -> tuple[Form, ...]:
    return tuple([(b.shape, b.dtype.np) for b in buffers])


def _fitting(array: np.ndarray, buffer: ir.Buffer) -> np.ndarray:
    """An array of the buffer's shape and dtype, as a plain one where it is contiguous."""
    shape, dtype = buffer.shape, buffer.dtype.np
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{buffer.name} is {dtype}{list(shape)}, "
            f"got an array of {array.dtype}{list(array.shape)}."
        )
    return array.view(dtype, np.ndarray) if _plain(array) else array


def _plain(array: np.ndarray) -> bool:
    has = array.flags
    return has.c_contiguous and has.aligned and array.dtype.isnative


def _input(array: np.ndarray, buffer: ir.Buffer) -> np.ndarray:
    """The array, or a copy of it that compiled code can read."""
    array = _fitting(array, buffer)
    if _plain(array):
        return array
    return np.array(array, buffer.dtype.np, order="C", copy=True, subok=False)


def _written(array: np.ndarray | None, buffer: ir.Buffer) -> np.ndarray | None:
    """An array that compiled code changes."""
    if array is None:
        return None
    array = _fitting(array, buffer)
    if not (_plain(array) and array.flags.writeable):
        raise ValueError(
            f"{buffer.name} is a state or a result: its array must be writeable and contiguous."
        )
    return array


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


def executable(loops: ir.Loops) -> Executable:
    """Compile a program for this computer (or find it compiled)."""
    loops = schedule(loops)
    begin = time.perf_counter()
    text = emit(loops)
    emitted = (time.perf_counter() - begin) * 1e3
    code = ENGINE.code(text, loops.name, emitted)
    return Executable(loops, arena(loops), work(loops.stages) >= UNLOCKED, code)
