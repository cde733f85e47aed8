"""A graph run node by node with the eager kernels: slow, obvious, and the referee of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.core.convert import static
from headrace.core.dispatch import apply, create
from headrace.core.graph import Graph, Placeholder, Symbol
from headrace.core.tensor import EagerTensor, Tensor, wrap


def run_graph(
    graph: Graph, feeds: Sequence[tuple[Symbol, np.ndarray]], fetches: Sequence[Symbol]
) -> list[np.ndarray]:
    """The values of `fetches`.

    Args:
        graph: its nodes stand in an order in which they can run.
        feeds: pairs of a placeholder and its value.
        fetches: results of the graph's nodes.
    Raises:
        InvalidArgumentError: a placeholder without a value, or what an op raises.
    """
    values: dict[int, EagerTensor] = {id(s.node): wrap(array) for s, array in feeds}
    results: dict[tuple[int, int], EagerTensor] = {}

    def value(tensor: Tensor) -> EagerTensor:
        if isinstance(tensor, Symbol):
            return results[id(tensor.node), tensor.index]
        assert isinstance(tensor, EagerTensor)
        return tensor

    def known(attribute: Any) -> Any:
        return static(value(attribute)) if isinstance(attribute, Symbol) else attribute

    for node in graph.nodes:
        if node.op is Placeholder:
            if id(node) not in values:
                raise errors.invalid_argument(
                    f"You must feed a value for placeholder tensor '{node.name}'"
                )
            outputs: Any = values[id(node)]
        else:
            attrs = {name: known(attribute) for name, attribute in node.attrs.items()}
            inputs = [value(tensor) for tensor in node.inputs]
            outputs = apply(node.op, inputs, attrs) if inputs else create(node.op, attrs)
        for index, output in enumerate(outputs if isinstance(outputs, list) else [outputs]):
            results[id(node), index] = output
    return [results[id(s.node), s.index]._array for s in fetches]
