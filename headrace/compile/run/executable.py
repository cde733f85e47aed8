"""Machine code that takes arrays and gives arrays.

A call checks its arrays (a strided one is copied), allocates results and temporaries, hands
all addresses over in one block of memory that belongs to the call, so that many threads may be
inside, and raises what the status words report. Read `llvm/emit.py` before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from headrace.compile.llvm.emit import emit
from headrace.compile.llvm.engine import ENGINE
from headrace.compile.loops import ir
from headrace.compile.schedule import schedule

_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Executable:
    """A compiled program: `executable(loops)(arrays) -> arrays`."""

    def __init__(self, loops: ir.Loops) -> None:
        loops = schedule(loops)
        self.loops = loops
        self._inputs = tuple((b.name, b.shape, b.dtype.np) for b in loops.inputs)
        self._states = tuple((b.name, b.shape, b.dtype.np) for b in loops.states)
        self._outputs = tuple((b.shape, b.dtype.np) for b in loops.outputs)
        self._temporaries = tuple((b.shape, b.dtype.np) for b in loops.temporaries)
        self._code = ENGINE.code(emit(loops))
        self._call = _FUNCTION(self._code.address)

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
        given = [_ready(a, *known) for a, known in zip(arrays, self._inputs, strict=True)]
        for array, known in zip(states, self._states, strict=True):
            if _ready(array, *known) is not array:
                raise ValueError(f"{known[0]} is a state, and its array is not contiguous.")
        outputs = tuple(np.empty(shape, dtype) for shape, dtype in self._outputs)
        temporaries = [np.empty(shape, dtype) for shape, dtype in self._temporaries]
        status = np.zeros(ir.STATUS_WORDS, np.int64)
        buffers = (*given, *outputs, *states, *temporaries, status)
        context = np.array([a.__array_interface__["data"][0] for a in buffers], np.uintp)
        self._call(context.ctypes.data)
        if status[0]:
            raise self.loops.error(int(status[0]), tuple(status[1:].tolist()))
        return outputs


def _ready(array: np.ndarray, name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The array, or a copy of it that compiled code can read."""
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(
            f"{name} is {dtype}{list(shape)}, got an array of {array.dtype}{list(array.shape)}."
        )
    flags = array.flags
    if flags.c_contiguous and flags.aligned and array.dtype.isnative:
        return array
    return np.array(array, dtype, order="C", copy=True)


def executable(loops: ir.Loops) -> Executable:
    """Compile a program for this computer (or find it compiled)."""
    return Executable(loops)
