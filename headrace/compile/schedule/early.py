"""Single numbers are computed as early as they can be, so that they do not stand between loops.

A step's rate, say, is needed by a loop over the weights, but not by the loop over the moments
before it: in its place between them it would keep the two from becoming one. Read
`accesses.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.schedule.accesses import accesses


def early(loops: ir.Loops) -> ir.Loops:
    """The program with stages without loops right after the last thing that they need."""
    return replace(loops, stages=ir.rewritten(loops.stages, _moved))


def _moved(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
    places: list[list[ir.Stage]] = [[]]
    stored: dict[int, int] = {}
    loaded: dict[int, int] = {}
    after = 0
    for stage in stages:
        touched = accesses(stage.body)
        if touched.sequential or any(isinstance(s, ir.For) for s in stage.body):
            places.append([stage])
            place = len(places) - 1
            after = place if touched.sequential else after
        else:
            before = [stored.get(key, 0) for key in (*touched.loads, *touched.stores)]
            before += [loaded.get(key, 0) for key in touched.stores]
            place = max(after, *before, 0)
            places[place].append(stage)
        for key in touched.stores:
            stored[key] = max(place, stored.get(key, 0))
        for key in touched.loads:
            loaded[key] = max(place, loaded.get(key, 0))
    return [stage for place in places for stage in place]
