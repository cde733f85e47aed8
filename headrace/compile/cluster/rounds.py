"""How often a loop runs, where that follows from constants alone.

The part of the loop that decides is run by itself: the condition, and what the loop variables
that it reads become in a round. Read `passes/program.py` before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from headrace.compile.loops.lower import CannotLower
from headrace.compile.passes.program import Node, Program, Value, has_effect, known_array
from headrace.compile.run.plan import Plan
from headrace.core.op import Kind

MOST = 1 << 14
"""Loops that run more often are not tried."""


def most_rounds(outer: Program, node: Node, cond: Program, body: Program, count: int) -> int:
    """The number of rounds of a loop.

    Args:
        outer: the program in which it stands.
        node: the loop.
        cond, body: its programs; the first `count` inputs are the loop variables.
    Raises:
        CannotLower: it depends on what is not known before it runs.
    """
    producers = outer.producers()
    given = [_known(value, producers) for value in node.inputs]
    needed = _inputs(cond, cond.fetches)
    moving: set[int] = set()
    while waiting := {place for place in needed if place < count} - moving:
        moving |= waiting
        needed |= _inputs(body, [body.fetches[place] for place in sorted(waiting)])
    if any(given[place] is None for place in needed):
        raise CannotLower("the number of rounds is not known")
    places = sorted(moving)
    test = Plan(_part(cond, cond.fetches))
    step = Plan(_part(body, [body.fetches[place] for place in places]))
    values = list(given)
    for rounds in range(MOST):
        if not test(values)[0]:
            return rounds
        for place, array in zip(places, step(values), strict=True):
            values[place] = array
    raise CannotLower(f"the loop has more than {MOST} rounds")


def _known(value: Value, producers: Mapping[Value, Node]) -> Any:
    found = known_array(value, producers)
    if found is None and isinstance(value.spec.value, np.ndarray):
        found = value.spec.value
    return found


def _inputs(program: Program, fetches: Iterable[Value]) -> set[int]:
    """The inputs that some results depend on."""
    places = {value: place for place, value in enumerate(program.inputs)}
    return {places[value] for value in _slice(program, fetches)[1] if value in places}


def _part(program: Program, fetches: Sequence[Value]) -> Program:
    """The program of some of the results alone."""
    return Program(_slice(program, fetches)[0], program.inputs, tuple(fetches), program.name)


def _slice(program: Program, fetches: Iterable[Value]) -> tuple[list[Node], set[Value]]:
    """The nodes that results need, and all values that are read."""
    wanted = set(fetches)
    nodes = []
    for node in reversed(program.nodes):
        if any(value in wanted for value in node.outputs):
            if has_effect(node.op) or node.op.kind in (Kind.RANDOM, Kind.CONTROL):
                raise CannotLower("the number of rounds depends on more than numbers")
            nodes.append(node)
            wanted.update(node.reads)
    return nodes[::-1], wanted
