"""A cluster from its program to machine code, for who does not find it in the cache.

Read `lowering.py` before.
"""

from __future__ import annotations

import sys
from typing import Any

from headrace.base import flags
from headrace.base.dtypes import HANDLES, resource, variant
from headrace.compile.cluster import stored
from headrace.compile.cluster.builder import State
from headrace.compile.cluster.control import ClusterBuilder
from headrace.compile.cluster.lowering import Lowering
from headrace.compile.cluster.support import Refused, writes
from headrace.compile.loops import ir
from headrace.compile.loops.lower import CannotLower
from headrace.compile.loops.print import text as print_loops
from headrace.compile.loops.views import Stored
from headrace.compile.passes import show
from headrace.compile.passes.program import Program, static
from headrace.compile.run.build import executable
from headrace.compile.schedule import schedule


def lowered(program: Program) -> tuple[ir.Loops, ClusterBuilder]:
    """One program of loops for a program all of whose nodes can be lowered.

    Inputs and states of the loops stand in the order of the program's inputs.

    Raises:
        Refused: a node can't be lowered after all.
    """
    c = ClusterBuilder()
    changed = writes(program)
    inputs: list[ir.Buffer] = []
    states: list[ir.Buffer] = []
    given: list[Any] = []
    for place, value in enumerate(program.inputs):
        held = value.spec.value if value.spec.dtype is resource else value.spec
        if value.spec.dtype is variant:
            readers = [node for node in program.nodes if value in node.reads]
            raise Refused(readers[0], "a list comes from outside")
        buffer = ir.Buffer(f"x{place}", static(held) or (), held.dtype)
        (states if value in changed else inputs).append(buffer)
        if value in changed:
            c.mutable.add(id(buffer))
        given.append(State(buffer) if value.spec.dtype is resource else Stored(buffer))
    lowering = Lowering(c, program, given)
    try:
        lowering.run()
    except (CannotLower, Refused) as error:
        raise Refused(program.nodes[lowering.now], str(error)) from None
    for value in program.fetches:
        if value.spec.dtype in HANDLES:
            raise Refused(program.producers()[value], "a list goes outside")
    loops = c.program(program.name or "cluster", inputs, states, lowering.results())
    wanted = flags.DUMP.value
    if "clusters" in wanted:
        print(f"# cluster\n{show.text(program, lines=True)}\n", file=sys.stderr)
    if "loops" in wanted:
        print(f"# loops\n{print_loops(loops)}", file=sys.stderr)
        print(f"# loops, scheduled\n{print_loops(schedule(loops))}", file=sys.stderr)
    return loops, c


def made(program: Program) -> stored.Found:
    """A cluster's native code, and what is kept with it for other processes.

    Raises:
        Refused: a node can't be lowered after all.
    """
    loops, c = lowered(program)
    found = stored.Found(
        executable(loops),
        [array for _, array in c.constants],
        stored.places([random.node for random in c.randoms], c.paths),
        stored.places(c.sources, c.paths),
    )
    stored.keep(program, found)
    return found


def scheduled(program: Program) -> ir.Loops:
    """The loops of a cluster as they run, whoever has compiled it."""
    return schedule(lowered(program)[0])
