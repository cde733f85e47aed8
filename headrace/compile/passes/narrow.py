"""`narrow`: branches and loops hand out only what somebody reads.

When a gradient is asked for, a branch or loop learns to give what it has inside (a loop: a list
with an item an iteration). The same graph, run without its gradient, need not keep that.
`branches.py` says how the nodes are known.
"""

from __future__ import annotations

from typing import Any

from headrace.compile.passes.inline import is_body
from headrace.compile.passes.program import Node, Program, Value
from headrace.core.op import Kind


def narrow(program: Program) -> Program:
    """The program without what branches and loops give to nobody."""
    if not any(node.op.kind is Kind.CONTROL for node in program.nodes):
        return program
    read = set(program.fetches)
    for node in program.nodes:
        read.update(node.reads)
    nodes = [_narrowed(node, read) for node in program.nodes]
    changed = any(a is not b for a, b in zip(nodes, program.nodes, strict=True))
    return program.like(nodes, {}) if changed else program


def _narrowed(node: Node, read: set[Value]) -> Node:
    count = node.attrs.get("count") if node.op.kind is Kind.CONTROL else None
    if count is None or all(value in read for value in node.outputs[count:]):
        return node
    if "branches" in node.attrs:
        return _branch(node, count, read)
    return _loop(node, count, read) if is_body(node.attrs.get("body")) else node


def _branch(node: Node, count: int, read: set[Value]) -> Node:
    """A branch that gives its results, and of what is inside only what is read."""
    extras = zip(node.outputs[count:], node.attrs["extras"], strict=True)
    kept = [(value, place) for value, place in extras if value in read]
    branches = []
    places = []
    for number, body in enumerate(node.attrs["branches"]):
        own = [place for _, (branch, place) in kept if branch == number]
        branches.append(_giving(body, [*range(count), *own]))
    found = [0] * len(branches)
    for _, (number, _) in kept:
        places.append((number, count + found[number]))
        found[number] += 1
    attrs = {**node.attrs, "branches": tuple(branches), "extras": tuple(places)}
    outputs = (*node.outputs[:count], *[value for value, _ in kept])
    return node.like(attrs=attrs, outputs=outputs)


def _loop(node: Node, count: int, read: set[Value]) -> Node:
    """A loop that keeps only the lists that are read."""
    body = node.attrs["body"]
    variables, kept = node.outputs[:count], node.outputs[count:]
    if not any(value in read for value in kept):
        attrs = {**node.attrs, "body": _giving(body, range(count)), "recorded": False}
        return node.like(attrs=attrs, outputs=variables)
    rounds, lists = kept[0], kept[1:]
    used = [i for i, value in enumerate(lists) if value in read]
    if len(used) == len(lists):
        return node
    inner = _giving(body, [*range(count), *[count + i for i in used]])
    outputs = (*variables, rounds, *[lists[i] for i in used])
    return node.like(attrs={**node.attrs, "body": inner}, outputs=outputs)


def _giving(body: Any, places: Any) -> Any:
    """The body with some of its results."""
    fetches = [body.fetches[i] for i in places]
    return body if len(fetches) == len(body.fetches) else type(body)(body.graph, fetches)
