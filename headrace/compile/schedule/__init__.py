"""How loops run: which are fused, flattened, and run in lanes. `schedule(loops)` decides.

Read `accesses.py` first, then the steps in their order.
"""

from __future__ import annotations

from headrace.compile.loops import ir
from headrace.compile.loops.verify import verify
from headrace.compile.schedule.contract import contract, share
from headrace.compile.schedule.flatten import flatten
from headrace.compile.schedule.forward import forward
from headrace.compile.schedule.fuse import fuse
from headrace.compile.schedule.tails import tails
from headrace.compile.schedule.vectorize import vectorize

STEPS = (
    contract,  # first: other steps leave matrix products alone
    tails,  # before others take the maps that join them
    share,  # products are done: whole rows for threads where there are tails
    fuse,  # what runs in one loop shares loads and needs no memory between
    forward,  # what a loop stored is at hand; then nobody may read it from memory
    flatten,  # the longer the inner loop, the less is left over for masks
    vectorize,
)


def schedule(loops: ir.Loops) -> ir.Loops:
    """The same program in the form in which it is to run."""
    for step in STEPS:
        loops = step(loops)
    return verify(loops)


__all__ = ["schedule"]
