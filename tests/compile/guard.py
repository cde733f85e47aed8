"""Programs run between pages that nobody may touch: an access outside of a buffer is a fault.

`check(loops, arrays, states)` runs a program twice: all buffers end at such a page, then all
begin behind one. Inputs can only be read, and what is fresh holds NaN. The results are those of
an ordinary call, bit for bit. A fault ends the process: call it in one of its own, as
`python -m tests.compile.guard`, which tries the ops, does.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base import dtypes
from headrace.compile import compile_op, executable
from headrace.compile.loops import ir
from headrace.compile.run.entry import Portable
from headrace.compile.run.executable import Executable
from headrace.core.op import OPS, Spec
from tests.compile import support
from tests.ops import harness

PAGE = mmap.PAGESIZE
NOTHING, READ, BOTH = 0, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Guarded:
    """Memory between two pages without access; arrays lie at its end or its beginning."""

    def __init__(self, at_end: bool) -> None:
        self._at_end = at_end
        self._kept: list[Any] = []

    def empty(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """An array that may be read and written."""
        return self._made(shape, np.dtype(dtype))[0]

    def copy(self, array: np.ndarray) -> np.ndarray:
        """A copy of an array that may only be read."""
        found, place, size = self._made(array.shape, array.dtype)
        found[...] = array
        _protect(place, size, READ)
        return found

    def _made(self, shape: Sequence[int], dtype: np.dtype) -> tuple[np.ndarray, int, int]:
        count = int(np.prod(shape, dtype=np.int64))
        needed = count * dtype.itemsize
        size = max(1, -(-needed // PAGE)) * PAGE
        memory = mmap.mmap(-1, size + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._kept.append(memory)
        _protect(start, PAGE, NOTHING)
        _protect(start + PAGE + size, PAGE, NOTHING)
        offset = PAGE + (size - needed if self._at_end else 0)
        found = np.frombuffer(memory, dtype, count, offset).reshape(shape)
        return found, start + PAGE, size


def _protect(place: int, size: int, mode: int) -> None:
    if _libc.mprotect(place, size, mode):
        raise OSError(ctypes.get_errno(), "mprotect")


def check(
    loops: ir.Loops, arrays: Sequence[np.ndarray], states: Sequence[np.ndarray] = ()
) -> None:
    """Run a program between guarded pages and compare it with an ordinary call."""
    run = executable(loops)
    after = [state.copy() for state in states]
    expected = _outcome(run, arrays, after)
    for at_end in (True, False):
        memory = Guarded(at_end)
        inputs = [memory.copy(np.asarray(a)) for a in arrays]
        kept = [memory.empty(s.shape, s.dtype) for s in states]
        for to, state in zip(kept, states, strict=True):
            to[...] = state
        found = _outcome(guarded(run, memory), inputs, kept)
        assert len(found) == len(expected)
        for a, b in zip([*found, *kept], [*expected, *after], strict=True):
            assert _same(a, b), f"{loops.name}: {a} instead of {b}"


def guarded(run: Executable, memory: Guarded) -> Executable:
    """The program with all fresh memory out of `memory`, filled with NaN."""
    program = run.program._replace(poison=True)
    found = object.__new__(Executable)
    found.loops, found.program = run.loops, program
    found.call = Portable(program, memory.empty)
    return found


def _outcome(run: Executable, arrays: Any, states: Any) -> Sequence[Any]:
    """What a call gives, or the text of its error."""
    try:
        return run(arrays, states)
    except Exception as error:
        return [np.array(f"{type(error).__name__}: {error}")]


def _same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def samples(kinds: Sequence[str], shard: int, shards: int) -> None:
    """Try the samples of the ops that can be lowered; the names go to the standard output."""
    names = [name for name, op in harness.sampled().items() if harness.lowered(op)]
    for name in names[shard::shards]:
        for case in harness.cases(harness.sampled()[name]):
            if case.dtype.name not in kinds or sum(a.size for a in case.arrays) > 3000:
                continue
            print(case, flush=True)
            check(compile_op(case.op, case.specs(), case.attrs), case.arrays)


def shapes(seed: int) -> None:
    """Try ops on shapes whose ends fall before, on and behind those of vectors and blocks."""
    rng = np.random.default_rng(seed)
    edges = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 130)

    def values(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    def extents(count: int) -> list[int]:
        return [int(n) for n in rng.choice(edges, count)]

    for n in (*edges, 1000, 4099):
        attempt("Tanh", [values(n)])
        attempt("Sum", [values(n)], axis=(0,), keep_dims=False)
    for _ in range(12):
        m, n, k = extents(3)
        attempt("Softmax", [values(m, n)])
        attempt("Sum", [values(m, n)], axis=(0,), keep_dims=True)
        attempt("Max", [values(m, n, k)], axis=(0, 2), keep_dims=False)
        attempt("Transpose", [values(m, n, k)], perm=(2, 0, 1))
        attempt("AddV2", [values(m, 1, k), values(n, 1)])
        for a, b in ((False, False), (True, False), (False, True)):
            x, y = values(*((k, m) if a else (m, k))), values(*((n, k) if b else (k, n)))
            attempt("MatMul", [x, y], transpose_a=a, transpose_b=b)
    x, y = values(257, 300), values(300, 129)
    attempt("MatMul", [x, y], transpose_a=False, transpose_b=False)
    for dtype in support.REALS:
        backwards(rng.integers(0, 9, (12, extents(1)[0])).astype(dtype.np))
        backwards(rng.integers(0, 9, (12, 17)).astype(dtype.np))


def backwards(x: np.ndarray) -> None:
    """Try doubled rows, read from their ends: loads run backwards, and rows end anywhere."""
    print("backwards", x.shape, x.dtype, flush=True)

    def lower(c: Any, x: Any) -> Any:
        last = x.shape[1] - 1
        return c.map(x.shape, x.dtype, lambda i, j: x[i, last - j] * 2)

    check(support.compiled(support.shaped(x.shape, lower), x), [x])


def attempt(name: str, arrays: Sequence[np.ndarray], **attrs: Any) -> None:
    """`check` an op; what is tried goes to the standard output."""
    print(name, [a.shape for a in arrays], attrs, flush=True)
    specs = [Spec(a.shape, dtypes.from_numpy[a.dtype]) for a in arrays]
    check(compile_op(OPS[name], specs, attrs), arrays)


if __name__ == "__main__":
    if sys.argv[1] == "shapes":
        shapes(int(sys.argv[2]))
    else:
        samples(sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3]))
