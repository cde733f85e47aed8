"""`dead_branches`: branches that are not taken and loops that do not run are left out.

Branches and loops are known by their attributes: `branches` (the bodies; the first input
chooses: a bool the first or second, a number by its place, the last if there is none), or
`cond` and `body` (over `count` variables).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from headrace.compile.passes.dead import dead
from headrace.compile.passes.fold import fold
from headrace.compile.passes.inline import Splicing, is_body
from headrace.compile.passes.program import (
    NOTHING,
    Node,
    Program,
    Value,
    constant_for,
    known_array,
    program_of,
)
from headrace.core.op import Kind


def dead_branches(program: Program) -> Program:
    """The program without branches that are not taken and loops that do not run."""
    if not any(node.op.kind is Kind.CONTROL for node in program.nodes):
        return program
    producers = program.producers()
    work = Splicing(program)
    changed = False
    for old in program.nodes:
        node = work.renamed(old)
        if node.op.kind is Kind.CONTROL and work.free(node):
            if "branches" in node.attrs and _chosen(work, node, producers):
                changed = True
                continue
            if is_body(node.attrs.get("cond")) and _never(node, producers):
                work.known_as.update(zip(node.outputs, node.inputs, strict=False))
                changed = True
                continue
        work.nodes.append(node)
    return work.result() if changed else program


def _chosen(work: Splicing, node: Node, producers: Mapping[Value, Node]) -> bool:
    """Put the chosen branch in a node's place, if it is known which that is."""
    index = known_array(node.inputs[0], producers)
    if index is None or index.size != 1:
        return False
    bodies = node.attrs["branches"]
    number = choice(index, len(bodies))
    inner, results = work.copied(bodies[number], node.inputs[1:], node.name)
    work.nodes.extend(inner)
    count = node.attrs["count"]
    found = results[:count]
    for branch, place in node.attrs["extras"]:
        found.append(results[place] if branch == number else NOTHING)
    work.known_as.update(zip(node.outputs, found, strict=True))
    return True


def choice(index: np.ndarray, count: int) -> int:
    """Which branch runs: a bool is true for the first, a number outside means the last."""
    if index.dtype == np.bool_:
        return 0 if index else 1
    number = int(index)
    return number if 0 <= number < count else count - 1


def _never(node: Node, producers: Mapping[Value, Node]) -> bool:
    """Whether the condition of a loop is false before the first iteration."""
    if node.attrs.get("recorded"):
        return False
    body: Any = node.attrs["cond"]
    condition = program_of(body.graph, body.graph.parameters, body.fetches)
    known = []
    for value, outside in zip(condition.inputs, node.inputs, strict=True):
        array = known_array(outside, producers)
        if array is not None:
            known.append(constant_for(value, f"given/{value.name}", array))
    started = Program((*known, *condition.nodes), (), condition.fetches)
    folded = dead(fold(started))
    if len(folded.nodes) != 1:  # an effect, or something that is not known
        return False
    found = known_array(folded.fetches[0], folded.producers())
    return found is not None and not found.any()


__all__ = ["choice", "dead_branches"]
