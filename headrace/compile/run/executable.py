"""Machine code that takes arrays and gives arrays.

A program's temporaries lie in one arena (`arena.py`); a call goes through a method of its own
(`entry.py`), which checks the arrays and gives the addresses over in memory that belongs to the
call, so that many threads may be inside. What the method can't use is made ready here (a
strided array is copied), and what the status words report is raised. `build.py` makes such a
program from loops; one that is found in the cache needs nothing of the stages before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace.compile.llvm.engine import ENGINE
from headrace.compile.loops.status import error_of
from headrace.compile.run import cache, saved
from headrace.compile.run.entry import method
from headrace.compile.run.program import Form, Program

if TYPE_CHECKING:
    from headrace.compile.loops import ir


class Executable:
    """A compiled program: `executable(loops)(arrays) -> arrays`.

    Attributes:
        program: what a call needs to know.
        loops: the program as it runs; None if another process has compiled it.
        call: takes arrays as single arguments: the inputs, the states and, if there are some,
            the outputs. What it gives is described in `entry.py`; `settle` deals with
            all of it but tuples.
    """

    __slots__ = ("call", "loops", "program")

    def __init__(self, program: Program, loops: ir.Loops | None = None) -> None:
        self.program, self.loops = program, loops
        self.call = method(program)

    @classmethod
    def restored(cls, entry: cache.Entry) -> Executable:
        """What `saved` gave, as a program again.

        Raises:
            RuntimeError: the object file is not for this processor.
        """
        return cls(saved.unpack(entry.metadata, ENGINE.load(entry.object)))

    def saved(self) -> cache.Entry:
        """What the program needs in another process, to be kept by `cache.store`."""
        return cache.Entry(self.program.code.image, saved.pack(self.program))

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
        name = self.program.name
        if isinstance(result, bytes):
            status = np.frombuffer(result, np.int64).tolist()
            raise error_of(self.program.failures, name, status[0], status[1:])
        ready = [*self._ready(given)]
        again = self.call(*ready)
        if isinstance(again, int):
            raise ValueError(f"{name} can't use its argument {again}: {ready[again]!r}.")
        return again if isinstance(again, tuple) else self.settle(again, ready)

    def _ready(self, given: Sequence[Any]) -> list[Any]:
        program = self.program
        forms = program.inputs + program.states
        if len(given) > len(forms):
            forms += program.outputs
        if len(given) != len(forms):
            raise ValueError(f"{program.name} takes {len(forms)} arrays, got {len(given)}.")
        inputs = len(program.inputs)
        return [
            _input(array, form) if k < inputs else _written(array, form)
            for k, (array, form) in enumerate(zip(given, forms, strict=True))
        ]


def _fitting(array: np.ndarray, form: Form) -> np.ndarray:
    """An array of the form's shape and dtype, as a plain one where it is contiguous."""
    shape, dtype, name = form
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} is {dtype}{list(shape)}, got an array of {array.dtype}{list(array.shape)}."
        )
    return array.view(dtype, np.ndarray) if _plain(array) else array


def _plain(array: np.ndarray) -> bool:
    has = array.flags
    return has.c_contiguous and has.aligned and array.dtype.isnative


def _input(array: np.ndarray | None, form: Form) -> np.ndarray:
    """The array, or a copy of it that compiled code can read."""
    if array is None:  # what a branch that was not taken would have kept: nobody looks at it
        return np.zeros(form.shape, form.dtype)
    array = _fitting(array, form)
    if _plain(array):
        return array
    return np.array(array, form.dtype, order="C", copy=True, subok=False)


def _written(array: np.ndarray | None, form: Form) -> np.ndarray | None:
    """An array that compiled code changes."""
    if array is None:
        return None
    array = _fitting(array, form)
    if not (_plain(array) and array.flags.writeable):
        raise ValueError(
            f"{form.name} is a state or a result: its array must be writeable and contiguous."
        )
    return array
