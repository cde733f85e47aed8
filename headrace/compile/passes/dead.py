"""`dead`: what neither a result nor an effect needs is left out."""

from __future__ import annotations

from headrace.compile.passes.program import Program, has_effect


def dead(program: Program) -> Program:
    """The program without nodes that nobody needs.

    Nodes with effects stay. Reads of state and random numbers go when their results are not
    needed: nobody can tell.
    """
    wanted = set(program.fetches)
    waited: set[str] = set()
    kept = []
    for node in reversed(program.nodes):
        if (
            has_effect(node.op)
            or node.name in waited
            or any(value in wanted for value in node.outputs)
        ):
            kept.append(node)
            wanted.update(node.reads)
            waited.update(node.control)
    if len(kept) == len(program.nodes):
        return program
    return program.like(kept[::-1], {})
