"""A program as a program of clusters: what can be native code together becomes one node.

Nodes get levels: a node that can be lowered stands on an even one, a node that its kernel runs
on an odd one, and each as low as what it waits for allows. All that can be lowered on one level
is a cluster. Effects keep their order. Read `support.py` before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from headrace.base.dtypes import resource
from headrace.compile.cluster.support import native, written
from headrace.compile.passes.program import Node, Program, Value, has_effect
from headrace.core.graph import Const


class Group(NamedTuple):
    """Nodes of one level, in the order of the program; `lowered`: they become native code."""

    lowered: bool
    program: Program


def partition(program: Program, refused: Collection[Node] = ()) -> list[Group]:
    """The groups of a program in an order in which they can run.

    Args:
        program: after the passes.
        refused: nodes that can't be lowered though they look as if they could.
    """
    can = {node for node in program.nodes if node not in refused and native(node)}
    levels = _levels(program, can)
    producers = program.producers()
    found = []
    for level in sorted(set(levels.values())):
        nodes = [node for node in program.nodes if levels.get(node) == level]
        found.append(Group(level % 2 == 0, _group(program, nodes, producers)))
    return found


def _levels(program: Program, can: set[Node]) -> dict[Node, int]:
    """The level of each node but the constants, which belong to whoever reads them."""
    waits = _waits(program)
    levels: dict[Node, int] = {}
    for node in program.nodes:
        if node.op is Const:
            continue
        parity = 0 if node in can else 1
        level = parity
        for before in waits[node]:
            known = levels.get(before)
            if known is not None:
                level = max(level, known if known % 2 == parity else known + 1)
        levels[node] = level
    return levels


def _waits(program: Program) -> dict[Node, list[Node]]:
    """For each node those that must have run before."""
    producers = program.producers()
    names = {node.name: node for node in program.nodes}
    found: dict[Node, list[Node]] = {}
    effect: Node | None = None
    opaque: Node | None = None
    looking: dict[Value, list[Node]] = {}
    changed: dict[Value, Node] = {}
    for node in program.nodes:
        before = [producers[value] for value in node.reads if value in producers]
        before += [names[name] for name in node.control if name in names]
        handles = [value for value in node.reads if value.spec.dtype is resource]
        if has_effect(node.op):
            before += [effect] if effect is not None else []
            for handle in handles or list(looking):
                before += looking.get(handle, ())
            effect = node
            if not handles:  # it may do anything
                opaque = node
            for handle in written(node):
                changed[handle], looking[handle] = node, []
        elif handles:
            before += [opaque] if opaque is not None else []
            for handle in handles:
                before += [changed[handle]] if handle in changed else []
                looking.setdefault(handle, []).append(node)
        found[node] = before
    return found


def _group(program: Program, nodes: list[Node], producers: Mapping[Value, Node]) -> Program:
    """Some nodes as a program: with its constants, what it reads and what others read of it."""
    own = {value for node in nodes for value in node.outputs}
    inputs: dict[Value, None] = {}
    constants: dict[Node, None] = {}
    for node in nodes:
        for value in node.reads:
            producer = producers.get(value)
            if producer is not None and producer.op is Const:
                constants[producer] = None
            elif value not in own:
                inputs[value] = None
    inside = set(nodes)
    wanted = set(program.fetches)
    for node in program.nodes:
        if node not in inside:
            wanted.update(node.reads)
    fetches = [value for node in nodes for value in node.outputs if value in wanted]
    if set(fetches) == set(program.fetches) and len(fetches) == len(program.fetches):
        fetches = list(program.fetches)
    order = {value: place for place, value in enumerate(program.inputs)}
    given = sorted(inputs, key=lambda value: order.get(value, len(order)))
    return Program(
        [*constants, *nodes], tuple(given), tuple(fetches), program.name, program.source
    )
