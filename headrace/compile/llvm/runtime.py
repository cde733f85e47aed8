"""The part of compiled code that is the same for every program, compiled once and never freed.

It holds the allocator (`blocks.py`), the method that Python calls (`entry.py`) and the threads
(`pool.py`); `SLOTS` in `abi.py` are the addresses that programs find in their context.
"""

from __future__ import annotations

import ctypes

from headrace.base.lazy import once
from headrace.compile.llvm import abi, blocks, entry, handler, pool
from headrace.compile.llvm.engine import ENGINE

MODULES = (blocks, handler, entry, pool)
EXPORTS = tuple([name for module in MODULES for name in module.EXPORTS])


class Runtime:
    """Addresses of what `MODULES` export, by name, and the table of `abi.SLOTS`."""

    def __init__(self) -> None:
        text = "\n".join(module.TEXT for module in MODULES)
        self.address = ENGINE.library(text, EXPORTS)
        self.slots = (ctypes.c_void_p * len(abi.SLOTS))()

    def put(self, name: str, address: int) -> None:
        """Let programs find an address in their context."""
        self.slots[abi.SLOTS.index(name)] = address


@once
def runtime() -> Runtime:
    """The one of this process."""
    return Runtime()
