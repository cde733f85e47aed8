"""How loops run: which are fused, flattened, and run in lanes. `schedule(loops)` decides.

Read `accesses.py` first, then the steps in their order.
"""

from __future__ import annotations

from headrace.compile.loops import ir
from headrace.compile.loops.verify import verify
from headrace.compile.schedule.batch import batch
from headrace.compile.schedule.contract import contract, share
from headrace.compile.schedule.early import early
from headrace.compile.schedule.flatten import flatten, unwrap
from headrace.compile.schedule.forward import forward
from headrace.compile.schedule.fuse import fuse
from headrace.compile.schedule.guards import guards
from headrace.compile.schedule.shrink import shrink
from headrace.compile.schedule.single import single
from headrace.compile.schedule.split import split
from headrace.compile.schedule.tails import tails
from headrace.compile.schedule.threads import threads
from headrace.compile.schedule.tile import tile
from headrace.compile.schedule.turn import turn
from headrace.compile.schedule.vectorize import vectorize

STEPS = (
    single,  # rows that others can then take along
    batch,  # before products are decided: it makes large products of small ones
    contract,  # other steps leave matrix products alone
    tails,  # before others take the maps that join them
    share,  # products are done: whole rows for threads where there are tails
    guards,  # whether checks hold is a reduction like others
    unwrap,  # loops are compared by their extents
    early,  # before loops are joined: numbers would stand between them
    fuse,  # what runs in one loop shares loads and needs no memory between
    forward,  # what a loop stored is at hand; then nobody may read it from memory
    shrink,  # what is left of temporaries is kept near
    flatten,  # the longer the inner loop, the less is left over for masks
    vectorize,
    split,  # by the lanes: sums short enough to be exact, and work for threads
    turn,  # what lanes would gather from rows comes in as blocks
    tile,  # across what the lanes left apart
    threads,
)


def schedule(loops: ir.Loops) -> ir.Loops:
    """The same program in the form in which it is to run."""
    for step in STEPS:
        loops = step(loops)
    return verify(loops)


__all__ = ["schedule"]
