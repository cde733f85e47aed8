"""`inline`: a call of a function is replaced by what the function does.

What is in its place sees the constants and shapes of the caller. Each copy has random state of
its own, as TensorFlow's have. Names get the call's name and a slash before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.compile.passes.program import Copy, Node, Program, Value, renamed
from headrace.core.op import Kind

_DEPTH = 64
"""Calls within calls are replaced to this depth."""
_NODES = 50_000
"""A program does not grow beyond so many nodes."""


def inline(program: Program) -> Program:
    """The program with the bodies of functions in place of their calls."""
    work = Splicing(program)
    if not any(called(node) is not None for node in program.nodes):
        return program
    for node in program.nodes:
        _expand(work, node, 0)
    return work.result()


def _expand(work: Splicing, old: Node, depth: int) -> None:
    node = work.renamed(old)
    body = called(node)
    if body is None or depth == _DEPTH or len(work.nodes) > _NODES or not work.free(node):
        work.nodes.append(node)
        return
    inner, results = work.copied(body, node.inputs, node.name)
    for each in inner:
        _expand(work, each, depth + 1)
    work.known_as.update(
        (value, work.known_as.get(result, result))
        for value, result in zip(node.outputs, results, strict=True)
    )


def called(node: Node) -> Any:
    """The body that a node calls with its inputs, or None."""
    body = node.attrs.get("f") if node.op.kind is Kind.CONTROL else None
    return body if is_body(body) else None


def is_body(attr: Any) -> bool:
    """Whether an attribute holds a function graph and the results that are asked of it."""
    return hasattr(attr, "fetches") and hasattr(attr, "graph")


class Splicing:
    """A program in the making, in which bodies take the place of nodes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.nodes: list[Node] = []
        self.known_as: dict[Value, Value] = {}
        self._taken = {node.name for node in program.nodes}
        self._pinned = program.pinned()

    def renamed(self, node: Node) -> Node:
        """The node with what its values are known as by now."""
        return renamed(node, self.known_as)

    def free(self, node: Node) -> bool:
        """Whether a node waits for nobody, and nobody for it."""
        return not node.control and node.name not in self._pinned

    def copied(
        self, body: Any, given: Sequence[Value], name: str
    ) -> tuple[list[Node], list[Value]]:
        """The nodes of a body for some operands, and its results."""
        parameters = body.graph.parameters
        values = {id(p): v for p, v in zip(parameters, given, strict=True)}
        copy = Copy(values, f"{name}/", self._taken)
        copy.take(body.graph.nodes, body.fetches)
        self._pinned.update(before for node in copy.nodes for before in node.control)
        return copy.nodes, [values[id(symbol)] for symbol in body.fetches]

    def result(self) -> Program:
        """The program that it has become."""
        return self.program.like(self.nodes, self.known_as)
