"""From a traced graph to something that runs: the passes (`optimize.py`), then a plan."""

from __future__ import annotations

from collections.abc import Sequence

from headrace.compile.cluster.call import Immediate
from headrace.compile.optimize import PIPELINE, optimized
from headrace.compile.passes.program import program_of
from headrace.compile.run.plan import Plan
from headrace.compile.run.tiers import Tiers
from headrace.core.graph import Graph, Symbol


def runner(
    graph: Graph,
    inputs: Sequence[Symbol],
    fetches: Sequence[Symbol],
    name: str,
    at_once: bool = False,
) -> Tiers:
    """What runs `graph`.

    Args:
        graph: as it was traced.
        inputs: its placeholders, in the order of the call.
        fetches: the tensors that a call returns.
        name: of the function, for errors.
        at_once: whether it is native code from the first call on.
    """
    return Tiers(optimized(program_of(graph, inputs, fetches, name)), at_once)


__all__ = ["Immediate", "PIPELINE", "Plan", "Tiers", "optimized", "program_of", "runner"]
