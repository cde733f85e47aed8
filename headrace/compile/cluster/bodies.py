"""The programs that a node holds (branches, loops, calls), optimised for what they get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from headrace.base import shapes
from headrace.compile.optimize import optimized
from headrace.compile.passes.inline import is_body
from headrace.compile.passes.program import Node, Program, Value, program_of, renamed
from headrace.core.op import Kind, Spec

_made: WeakKeyDictionary[Any, dict[Any, Program]] = WeakKeyDictionary()


def bodies_of(node: Node) -> list[Any]:
    """The function graphs that a node runs."""
    if node.op.kind is not Kind.CONTROL:
        return []
    found = []
    for attr in node.attrs.values():
        items = attr if attr.__class__ is tuple else (attr,)
        found += [item for item in items if is_body(item)]
    return found


def program_of_body(body: Any, given: Sequence[Spec]) -> Program:
    """The program of a body whose parameters are like `given` (none: as it was traced)."""
    key = (tuple(map(id, body.fetches)), tuple([(s.shape, s.dtype) for s in given]))
    known = _made.setdefault(body.graph, {})
    if key not in known:
        graph = body.graph
        program = program_of(graph, graph.parameters, body.fetches, graph.name)
        known[key] = optimized(told(program, given) if given else program)
    return known[key]


def told(program: Program, given: Sequence[Spec]) -> Program:
    """The program with what is known of the arguments as what is known of its inputs."""
    sharper: dict[Value, Value] = {}
    for value, spec in zip(program.inputs, given, strict=True):
        shape = shapes.merge(value.spec.shape, spec.shape)
        content = value.spec.value if spec.value is None else spec.value
        if shape != value.spec.shape or content is not value.spec.value:
            sharper[value] = Value(value.name, Spec(shape, value.spec.dtype, content))
    if not sharper:
        return program
    inputs = tuple([sharper.get(v, v) for v in program.inputs])
    nodes = [renamed(node, sharper) for node in program.nodes]
    fetches = tuple([sharper.get(v, v) for v in program.fetches])
    return Program(nodes, inputs, fetches, program.name, program.source)
