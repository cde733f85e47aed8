"""Which operations of a graph must run before which, besides those whose results they read.

Effects happen in the order of the program. For those who read a graph (`op.control_inputs`,
files), that order is told as TensorFlow tells it: of operations on one variable each waits for
the writes before it, and a write for the reads; all other effects wait for one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base.dtypes import resource
from headrace.core.op import Kind

WORLD = "the world"
"""What printing, checking and calls of Python change."""


def has_effect(op: Any) -> bool:
    """Whether uses of an op must run although nobody reads their results."""
    return op.stateful and not op.pure and op.kind is not Kind.RANDOM


def waits(nodes: Sequence[Any]) -> dict[int, list[Any]]:
    """By the id of a node: the earlier nodes that it must follow because of their effects."""
    written: dict[Any, Any] = {}
    read: dict[Any, list[Any]] = {}
    found: dict[int, list[Any]] = {}
    for node in nodes:
        places = _places(node)
        before = [written[place] for place in places if place in written]
        for place in places:
            if node.op.pure:
                read.setdefault(place, []).append(node)
            else:
                before += read.pop(place, [])
                written[place] = node
        if before:
            found[id(node)] = list(dict.fromkeys(before))
    return found


def _places(node: Any) -> list[Any]:
    """What a node reads or changes: variables, and the world."""
    if not node.op.stateful or node.op.kind is Kind.RANDOM:
        return []
    places: list[Any] = [x._uid for x in node.inputs if x.dtype is resource]
    idle = not node.inputs and not node.outputs  # it only gathers others
    if not node.op.pure and not idle and (not places or node.op.kind is Kind.CONTROL):
        places.append(WORLD)
    return places
