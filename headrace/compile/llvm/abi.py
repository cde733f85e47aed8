"""How compiled code meets the rest: the context block, and what else it may call.

A program is `kernel(ctx)`. The context holds addresses: of the buffers in the order of
`Loops.buffers`, then of the status words, then one for each name in `SLOTS`. Compiled code
holds no address itself, so that its object file may be kept on disk.
"""

from __future__ import annotations

ENTRY = "kernel"
SLOTS = ("parallel", "pool")
"""What stands behind the status words: `void parallel(pool, task, env, i64 chunks)`, which runs
`void task(env, i64 begin, i64 end)` on threads (`pool.py`), and its pool."""


def slot(name: str, buffers: int) -> int:
    """Where in the context of a program with so many buffers an address of `SLOTS` stands."""
    return buffers + 1 + SLOTS.index(name)
