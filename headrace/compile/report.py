"""What became native code and what did not, as a text: `headrace.explain`.

Read `cluster/partition.py` and `run/tiers.py` before.
"""

from __future__ import annotations

from collections import Counter

from headrace.compile.cluster.bodies import bodies_of, program_of_body
from headrace.compile.cluster.call import Code, Native, compiled
from headrace.compile.cluster.support import obstacle
from headrace.compile.loops import ir
from headrace.compile.passes.program import Node, Program
from headrace.compile.run.tiers import Tiers
from headrace.core.graph import Const


def report(tiers: Tiers) -> str:
    """What a program runs as."""
    lines = [f"{tiers.name}: {_state(tiers)}"]
    if tiers.by_shape:
        for shapes, each in tiers.by_shape.items():
            lines += [f"for shapes {', '.join(map(str, map(list, shapes)))}:"]
            lines += [f"  {line}" for line in _program(each.native or compiled(each.program))]
        return "\n".join(lines)
    if not tiers.open:
        lines += _program(tiers.native or compiled(tiers.program))
    return "\n".join(lines)


def _state(tiers: Tiers) -> str:
    if tiers.native is not None:
        return "native code"
    if tiers.open:
        return f"compiled for the shapes that come, {len(tiers.by_shape)} so far"
    return f"node by node so far ({tiers.calls} calls)"


def _program(program: Program) -> list[str]:
    lines = []
    for node in program.nodes:
        if node.op is Native:
            lines += _code(node.attrs["code"])
        elif node.op is not Const:
            reason = program.refused.get(node) or obstacle(node) or "there is nothing to fuse"
            lines.append(f"kernel   {node.op.name} {node.name!r}: {reason}")
    return lines


def _code(code: Code) -> list[str]:
    nodes = [node for node in code.program.nodes if node.op is not Const]
    kinds = Counter(stage.kind for stage in ir.stages(code.loops.stages))
    shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    found = [f"native   {len(nodes)} nodes in {sum(kinds.values())} loops ({shown})"]
    found.append(f"         {_listed(nodes)}")
    return found


def _listed(nodes: list[Node]) -> str:
    names: list[str] = []
    for node in nodes:
        inner = [
            each.op.name
            for body in bodies_of(node)
            for each in program_of_body(body, ()).nodes
            if each.op is not Const
        ]
        names.append(f"{node.op.name}[{' '.join(inner)}]" if inner else node.op.name)
    return " ".join(names)


__all__ = ["report"]
