"""Random programs run between pages that nobody may touch: see `tests/compile/guard.py`.

`python -m tests.compile.cluster.guarded FIRST LAST` tries the exact programs of these numbers.
Each call of native code gets copies of its arguments: read-only ones for what it only reads,
and all of them once at the end of their pages and once at the beginning.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

import numpy as np

from headrace.compile import executable
from headrace.compile.cluster import made
from headrace.compile.cluster.call import Code
from headrace.compile.loops import ir
from headrace.compile.run.entry import Portable
from headrace.compile.run.executable import Executable
from tests.compile.cluster.test_exact import check
from tests.compile.guard import Guarded


def between(loops: ir.Loops) -> Executable:
    """The native code of some loops, each call of which is guarded."""
    run = executable(loops)
    program, count = run.program._replace(poison=True), len(loops.inputs)

    def once(arrays: Sequence[Any], at_end: bool) -> tuple[Any, list[np.ndarray]]:
        memory = Guarded(at_end)
        inputs = [memory.copy(np.asarray(a)) for a in arrays[:count]]
        states = [memory.empty(a.shape, a.dtype) for a in arrays[count:]]
        for to, state in zip(states, arrays[count:], strict=True):
            to[...] = state
        found = Portable(program, memory.empty)(*inputs, *states)
        kept = tuple([a.copy() for a in found]) if isinstance(found, tuple) else found
        return kept, [state.copy() for state in states]

    def guarded(*arrays: Any) -> Any:
        once(arrays, at_end=False)
        found, states = once(arrays, at_end=True)
        for state, after in zip(arrays[count:], states, strict=True):
            state[...] = after
        return found

    found = object.__new__(Executable)
    found.loops, found.program, found.call = run.loops, run.program, guarded
    return found


def main(first: int, last: int) -> None:
    code = mock.patch.object(made, "executable", between)
    shortest = mock.patch.object(Code, "immediate", lambda *_: None)  # it takes variables
    with code, shortest:
        for number in range(first, last):
            print(number, flush=True)
            check(number)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
