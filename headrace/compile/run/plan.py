"""A graph made ready to run node by node with the eager kernels.

A plan holds one step a node that somebody needs: the kernel, where its operands lie, where its
result goes, and which values nobody reads afterwards (they are let go, so that NumPy uses their
memory again). What a call computes lies in a list of its own: any number of threads may run one
plan. Errors are explained afterwards, with the user's line that the node comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.core import rng
from headrace.core.explain import explain
from headrace.core.graph import Const, Graph, Node, Placeholder, Symbol
from headrace.core.op import Kind
from headrace.core.tensor import as_array

ndarray = np.ndarray
Step = tuple[Callable[..., Any], tuple[int, ...], dict[str, Any], Any, tuple[int, ...], Node]


class Plan:
    """What `plan(*arrays)` needs to compute the fetches of a graph.

    Args:
        graph: its nodes stand in an order in which they can run.
        inputs: the placeholders that a call gives values to, in order.
        fetches: the results that a call returns.
        name: of the function, for errors.
    """

    def __init__(
        self, graph: Graph, inputs: Sequence[Symbol], fetches: Sequence[Symbol], name: str = ""
    ) -> None:
        self.name = name
        self.count = len(inputs)
        slots: dict[tuple[int, int], int] = {}
        for symbol in inputs:
            slots[id(symbol.node), symbol.index] = len(slots)
        self._fill: list[Any] = [None] * self.count
        steps: list[list[Any]] = []
        for node in needed(graph.nodes, fetches):
            if node.op is Placeholder:
                if (id(node), 0) not in slots:
                    raise errors.invalid_argument(
                        f"You must feed a value for placeholder tensor '{node.name}'"
                    )
                continue
            operands = tuple(slots[id(x.node), x.index] for x in node.inputs)
            attrs, dynamic = _split(node, slots)
            places = []
            for output in node.outputs:
                slots[id(node), output.index] = len(self._fill)
                places.append(len(self._fill))
                self._fill.append(None)
            if node.op is Const:
                self._fill[places[0]] = node.attrs["value"]
                continue
            single = not node.listed
            kernel = kernel_of(node, attrs, dynamic, len(operands))
            where = places[0] if single else tuple(places)
            steps.append([kernel, (*operands, *dynamic.slots), attrs, where, (), node])
        self._fetched = [slots[id(s.node), s.index] for s in fetches]
        self._release(steps)
        self.steps: list[Step] = [tuple(step) for step in steps]

    def _release(self, steps: list[list[Any]]) -> None:
        """Let each step name the values that nobody reads after it."""
        alive = {*self._fetched, *(i for i, v in enumerate(self._fill) if v is not None)}
        for step in reversed(steps):
            results = step[3] if step[3].__class__ is tuple else (step[3],)
            last = {slot for slot in (*step[1], *results) if slot not in alive}
            alive |= last
            step[4] = tuple(last)

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """The values of the fetches.

        Args:
            arrays: one value (array, variable or handle) for each input.
        """
        values = self._fill.copy()
        values[: self.count] = arrays
        step = None
        try:
            for step in self.steps:
                kernel, operands, attrs, where, dead, _ = step
                result = kernel(*[values[i] for i in operands], **attrs)
                if where.__class__ is int:
                    values[where] = result if result.__class__ is ndarray else as_array(result)
                else:
                    for i, item in zip(where, result, strict=True):
                        values[i] = item if item.__class__ is ndarray else as_array(item)
                for i in dead:
                    values[i] = None
        except Exception as error:
            raise self._explained(error, step, values) from None
        return [values[i] for i in self._fetched]

    def _explained(self, error: Exception, step: Any, values: list[Any]) -> Exception:
        node = step[5]
        if getattr(error, "_located", False):
            return error
        arrays = [values[i] for i in step[1]][: len(node.inputs)]
        plain = all(isinstance(a, ndarray) for a in arrays)
        attrs = {k: v for k, v in step[2].items() if not isinstance(v, Symbol)}
        found = explain(node.op, arrays, attrs, error) if plain and arrays else error
        return located(found, node, self.name)


class _Dynamic:
    """Static inputs of a node that only a run knows: in which attributes they stand."""

    def __init__(self) -> None:
        self.slots: list[int] = []
        self.places: list[tuple[str, int | None]] = []


def _split(node: Node, slots: dict[tuple[int, int], int]) -> tuple[dict[str, Any], _Dynamic]:
    """A node's attributes, and which of them are computed by the graph."""
    dynamic = _Dynamic()
    for name, value in node.attrs.items():
        items: Iterable[Any] = [(None, value)]
        if value.__class__ is tuple:
            items = enumerate(value)
        for position, item in items:
            if isinstance(item, Symbol):
                dynamic.slots.append(slots[id(item.node), item.index])
                dynamic.places.append((name, position))
    return dict(node.attrs), dynamic


def kernel_of(
    node: Node, attrs: dict[str, Any], dynamic: _Dynamic, operands: int
) -> Callable[..., Any]:
    """The kernel for the dtype of a node's first operand, ready for the executor."""
    op = node.op
    kernel: Callable[..., Any] = op.kernel
    if node.inputs:
        kernel = op.table.get(node.inputs[0].dtype.np) or kernel
    if dynamic.places:
        kernel = _computed(kernel, dynamic, operands)
    if op.kind is Kind.RANDOM and op.stateful:
        kernel = _continuing(kernel, node)
    return kernel


def _computed(kernel: Callable[..., Any], dynamic: _Dynamic, count: int) -> Callable[..., Any]:
    """A kernel whose last operands are the values of static inputs."""

    def run(*arrays: Any, **attrs: Any) -> Any:
        for (name, position), array in zip(dynamic.places, arrays[count:], strict=True):
            items = array.tolist()
            value = tuple(items) if isinstance(items, list) else items
            if position is not None:
                parts = attrs[name]
                value = (*parts[:position], value, *parts[position + 1 :])
            attrs[name] = value
        return kernel(*arrays[:count], **attrs)

    return run


def _continuing(kernel: Callable[..., Any], node: Node) -> Callable[..., Any]:
    """A kernel that draws where the last run of this node stopped."""
    owner = rng.Owner()

    def run(*arrays: Any, **attrs: Any) -> Any:
        with rng.running(owner):
            return kernel(*arrays, **attrs)

    return run


def needed(nodes: Sequence[Node], fetches: Sequence[Symbol]) -> list[Node]:
    """The nodes that the fetches depend on, and those with effects, in program order."""
    wanted = {id(s.node) for s in fetches}
    kept = []
    for node in reversed(nodes):
        if id(node) in wanted or has_effect(node):
            kept.append(node)
            wanted.update(id(s.node) for s in node.symbols())
            wanted.update(id(before) for before in node.control)
    return kept[::-1]


def has_effect(node: Node) -> bool:
    """Whether a node must run although nobody reads its results."""
    if not node.op.stateful or node.op.pure:
        return False
    return node.op.kind is not Kind.RANDOM


def located(error: Exception, node: Node, function: str) -> Exception:
    """The error with the node and the user's lines that it comes from, in TensorFlow's form."""
    if not isinstance(error, errors.OpError):
        return error
    message = error.message.split(" [Op:")[0]
    lines = "\n\n".join(
        f'  File "{file}", line {line}, in {name}' for file, line, name in reversed(node.where)
    )
    kind: Any = type(error)
    text = (
        f"Graph execution error:\n\nDetected at node {node.name} defined at (most recent call "
        f"last):\n{lines}\n\n{message}\n\t [[{{{{node {node.name}}}}}]] [Op:{function}]"
    )
    found = kind(None, None, text)
    found._located = True
    return found
