"""The threads of compiled code: how many there are, and that none is left behind.

The workers themselves are emitted code (`llvm/pool.py`) that never sees Python. They start with
the first loop that is shared; `HEADRACE_THREADS` says how many threads work, the caller among
them. They end before the process does, and a fork begins without them.
"""

from __future__ import annotations

import atexit
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from headrace.base import flags
from headrace.base.lazy import once
from headrace.compile.llvm import pool
from headrace.compile.llvm.runtime import runtime


class Threads:
    """The pool of this process."""

    def __init__(self) -> None:
        native = runtime()
        address = native.address
        self.address = address["hr.pool"]
        self._words = (ctypes.c_int64 * pool.PARTS["handles"]).from_address(self.address)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._stop = kind(address["hr.pool.stop"])
        forget = kind(address["hr.pool.forget"])
        native.put("parallel", address["hr.parallel"])
        native.put("pool", self.address)
        self.resize(flags.THREADS.value)
        os.register_at_fork(after_in_child=lambda: forget(self.address))
        atexit.register(self.resize, 1)

    def _word(self, name: str) -> int:
        return self._words[pool.PARTS[name]]

    @property
    def count(self) -> int:
        """How many threads share a loop, the caller among them."""
        return self._word("wanted") + 1

    @property
    def started(self) -> int:
        """How many workers there are by now."""
        return self._word("started")

    @property
    def jobs(self) -> int:
        """How many loops were shared so far."""
        return self._word("jobs")

    def resize(self, count: int) -> None:
        """Let so many threads share a loop; those that there are end first."""
        self._words[pool.PARTS["wanted"]] = 0
        self._stop(self.address)
        self._words[pool.PARTS["rest"]] = 0
        if pool.AVAILABLE:
            self._words[pool.PARTS["wanted"]] = min(count - 1, pool.MOST)

    @contextmanager
    def limited(self, count: int) -> Iterator[None]:
        """Another number of threads for the duration of a `with` block."""
        before = self.count
        self.resize(count)
        try:
            yield
        finally:
            self.resize(before)


@once
def threads() -> Threads:
    """The pool, made when first needed."""
    return Threads()
