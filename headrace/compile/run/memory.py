"""Memory of large arrays that is used again: fresh pages cost more than the work on them.

`empty(shape, dtype)` is `np.empty`; from `LARGE` bytes on the array's memory comes from
`llvm/blocks.py`, through NumPy's own interface for allocators, and goes back there when the
array dies, whichever thread lets go of it. A limited number of bytes waits for its next use;
`release()` gives them back to the system.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from headrace.base.lazy import once
from headrace.compile.llvm import blocks, handler
from headrace.compile.llvm.runtime import runtime
from headrace.compile.run import layout

LARGE = 1 << 20
MOST = 1 << 30
CAPSULE = b"mem_handler"

_Set = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)


class _Handler(ctypes.Structure):
    """NumPy's `PyDataMem_Handler`, version 1."""

    _fields_ = [
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("self", ctypes.c_void_p),
        ("malloc", ctypes.c_void_p),
        ("calloc", ctypes.c_void_p),
        ("realloc", ctypes.c_void_p),
        ("free", ctypes.c_void_p),
    ]


class Statistics(NamedTuple):
    """Bytes that may wait, that wait and that are mapped; blocks that are lent now; how often
    a block was asked for, and how often a waiting one served."""

    limit: int
    kept: int
    mapped: int
    lent: int
    taken: int
    reused: int


class Memory:
    """The allocator of this process."""

    def __init__(self) -> None:
        address = runtime().address
        self._words = (ctypes.c_int64 * len(blocks.COUNTERS)).from_address(address["hr.memory"])
        self._trim = ctypes.CFUNCTYPE(None, ctypes.c_int64)(address["hr.trim"])
        default = ctypes.py_object.from_address(layout.function(layout.DEFAULT_HANDLER)).value
        others = _Handler.from_address(layout.held(default, CAPSULE))
        words = {
            "large": LARGE,
            "self": others.self or 0,
            **{name: getattr(others, name) for name in handler.FUNCTIONS},
        }
        self._table = (ctypes.c_int64 * len(words))(*[words[name] for name in handler.WORDS])
        functions = [address[f"hr.{name}"] for name in handler.FUNCTIONS]
        self._handler = _Handler(b"headrace", 1, ctypes.addressof(self._table), *functions)
        capsule = ctypes.pythonapi.PyCapsule_New
        capsule.restype = ctypes.py_object
        capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.handler = capsule(ctypes.addressof(self._handler), CAPSULE, None)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))  # arrays may outlive this module
        self._set = _Set(layout.function(layout.SET_HANDLER))
        self._words[0] = _limit()
        self._follow_forks(address)

    def _follow_forks(self, address: dict[str, int]) -> None:
        """Nobody else may be inside the table while the process is copied."""
        lock = ctypes.CFUNCTYPE(None)(address["hr.lock"])
        unlock = ctypes.CFUNCTYPE(None)(address["hr.unlock"])
        os.register_at_fork(before=lock, after_in_parent=unlock, after_in_child=unlock)

    @contextmanager
    def recycled(self) -> Iterator[None]:
        """Large arrays that this thread makes in a `with` block have such memory."""
        before = self._set(self.handler)
        try:
            yield
        finally:
            self._set(before)

    def install(self) -> None:
        """All large arrays that this thread makes from now on have such memory."""
        self._set(self.handler)

    def empty(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        """`np.empty`, in such memory where it is large."""
        before = self._set(self.handler)
        try:
            return np.empty(shape, dtype)
        finally:
            self._set(before)

    def trim(self, most: int) -> None:
        """Give memory back to the system until no more than so many bytes wait."""
        self._trim(most)

    @property
    def statistics(self) -> Statistics:
        """What the allocator counts."""
        return Statistics(*self._words[:6])


@once
def memory() -> Memory:
    """The allocator, made when first needed; only where `layout.known()`."""
    return Memory()


def _limit() -> int:
    """How much may wait: a quarter of the machine's memory, but no more than `MOST`."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return min(MOST, pages * size // 4)


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """`np.empty`, in memory that is used again where the array is large."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size < LARGE or not layout.known():
        return np.empty(shape, dtype)
    return memory().empty(shape, dtype)


def release() -> None:
    """Give all memory that waits back to the system."""
    if memory.made:
        memory().trim(0)
