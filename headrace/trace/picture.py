"""Graphs for people: a graph's way through the passes as a text, and what is run as a picture.

`fn.pretty_graph()` and `headrace graph` show these; `compile/passes/show.py` writes the lines.
"""

from __future__ import annotations

from collections.abc import Iterator

from headrace.compile.optimize import stages
from headrace.compile.passes import show
from headrace.compile.passes.program import Program, program_of
from headrace.trace.body import Body


def story(body: Body) -> str:
    """The graph as it was traced and after each pass that changed it.

    The bodies of branches, loops and calls that are left at the end follow in the same way.
    """
    parts: list[str] = []
    for each in _with_inner(body):
        for when, program in stages(_program(each)):
            parts.append(f"# {when}\n{show.text(program, lines=True)}\n")
    return "\n".join(parts)


def drawing(body: Body) -> str:
    """What is run, as pictures in Graphviz' language: one for the graph, one for each body."""
    return "\n\n".join(show.dot(_final(each)) for each in _with_inner(body))


def _with_inner(body: Body) -> Iterator[Body]:
    """A body, and the bodies that its nodes hold after all passes, each once."""
    waiting, seen = [body], {body.graph}
    while waiting:
        found = waiting.pop(0)
        yield found
        for inner in _held(_final(found)):
            if inner.graph not in seen:
                seen.add(inner.graph)
                waiting.append(inner)


def _held(program: Program) -> Iterator[Body]:
    for node in program.nodes:
        for attr in node.attrs.values():
            for item in attr if isinstance(attr, tuple) else (attr,):
                if isinstance(item, Body):
                    yield item


def _program(body: Body) -> Program:
    graph = body.graph
    return program_of(graph, graph.parameters, body.fetches, graph.name)


def _final(body: Body) -> Program:
    *_, (_, program) = stages(_program(body))
    return program


__all__ = ["drawing", "story"]
