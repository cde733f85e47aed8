"""A function graph with what is asked of it: what calls, branches and loops hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.base.lazy import lazy_module
from headrace.core.graph import Symbol
from headrace.core.op import Spec
from headrace.trace.func_graph import FuncGraph

pipeline = lazy_module("headrace.compile.pipeline")


class Body:
    """A function graph and the results that a call of it gives.

    Args:
        graph: the function's graph.
        fetches: its outputs, and whatever else a gradient needs from inside.
    """

    __slots__ = ("graph", "fetches", "_runner")

    def __init__(self, graph: FuncGraph, fetches: Sequence[Symbol] | None = None) -> None:
        self.graph = graph
        self.fetches: tuple[Symbol, ...] = tuple(graph.outputs if fetches is None else fetches)
        self._runner: Any = None

    @property
    def specs(self) -> list[Spec]:
        """What is known of the results."""
        return [symbol.spec for symbol in self.fetches]

    def fetching(self, more: Sequence[Symbol]) -> Body:
        """The same body with further results."""
        return Body(self.graph, (*self.fetches, *more))

    def __call__(self, arrays: Sequence[Any]) -> Sequence[Any]:
        """The results for one value of each parameter."""
        runner = self._runner or self.runner
        return runner.run(arrays)

    @property
    def runner(self) -> Any:
        """What runs the graph, made when it is first asked for."""
        if self._runner is None:
            graph = self.graph
            self._runner = pipeline.runner(
                graph, graph.parameters, self.fetches, graph.name, graph.jit
            )
        return self._runner

    def __repr__(self) -> str:
        return f"<Body of {self.graph.name}>"
