"""Programs: the form of a graph that passes read and rewrite.

A `Value` is an identity with a spec; a `Node` says which values an op makes out of which; a
`Program` is nodes in an order in which they can run, the values that a call gives and those
that it returns. Nothing of this ever changes. A value does not know its node, so a pass
rebuilds only the nodes that it means, and everything that reads their results stays as it is.
Effects happen in the order of the nodes. Read `core/graph.py` before, and after it
`compile/pipeline.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import HANDLES, variant
from headrace.core import graph as traced
from headrace.core.graph import Const, Placeholder, Symbol
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor


class Value:
    """A tensor of a program: `spec` is what is known of it before it exists."""

    __slots__ = ("name", "spec")

    def __init__(self, name: str, spec: Spec) -> None:
        self.name, self.spec = name, spec

    def __repr__(self) -> str:
        return f"%{self.name}"


NOTHING = Value("nothing", Spec(None, variant))
"""What nobody reads: the results of a branch that is not taken."""


class Node:
    """One use of an op.

    Attributes:
        op: the record.
        name: unique in the program.
        inputs, outputs: values.
        attrs: attributes and static inputs; a static input that the program computes is a
            value, or a tuple with values.
        control: names of nodes that must have run before and have no effect of their own.
        device, where: as in the graph, for errors and listings.
        listed: whether the kernel gives a sequence of results, be it one.
        reads: all values that it reads, those in `attrs` included.
    """

    __slots__ = "op name inputs attrs outputs control device where listed reads".split()

    def __init__(
        self,
        op: type[Op],
        name: str,
        inputs: tuple[Value, ...],
        attrs: Mapping[str, Any],
        outputs: tuple[Value, ...],
        control: tuple[str, ...] = (),
        device: str = "",
        where: tuple[tuple[str, int, str], ...] = (),
        listed: bool = False,
    ) -> None:
        self.op, self.name, self.inputs, self.attrs = op, name, inputs, attrs
        self.outputs, self.control, self.device = outputs, control, device
        self.where, self.listed = where, listed
        self.reads: tuple[Value, ...] = inputs
        if computed := tuple(_values_in(attrs)):
            self.reads = (*inputs, *computed)

    def like(self, **changes: Any) -> Node:
        """A node that differs in the given fields."""
        fields = {name: getattr(self, name) for name in self.__slots__[:-1]}
        return Node(**(fields | changes))

    def __repr__(self) -> str:
        return f"<{self.op.name} {self.name!r}>"


class Program:
    """Nodes in the order in which they run, what a call gives, and what it returns.

    `source` is the graph that it was made of, if there is one; `refused` says of nodes that
    look as if they could become native code why they can't.
    """

    __slots__ = ("nodes", "inputs", "fetches", "name", "source", "refused")

    def __init__(
        self,
        nodes: Sequence[Node],
        inputs: tuple[Value, ...],
        fetches: tuple[Value, ...],
        name: str = "",
        source: Any = None,
    ) -> None:
        self.nodes, self.inputs, self.fetches, self.name = tuple(nodes), inputs, fetches, name
        self.source = source
        self.refused: Mapping[Node, str] = {}

    def like(self, nodes: Sequence[Node], known_as: Mapping[Value, Value]) -> Program:
        """A program of other nodes in which some values are known as others."""
        fetches = tuple([known_as.get(v, v) for v in self.fetches])
        return Program(nodes, self.inputs, fetches, self.name, self.source)

    def producers(self) -> dict[Value, Node]:
        """The node of each value that has one."""
        return {value: node for node in self.nodes for value in node.outputs}

    def pinned(self) -> set[str]:
        """The names of the nodes that others wait for."""
        return {name for node in self.nodes for name in node.control}


def _values_in(attrs: Mapping[str, Any]) -> Iterator[Value]:
    for attr in attrs.values():
        if attr.__class__ is Value:
            yield attr
        elif attr.__class__ is tuple:
            yield from (item for item in attr if item.__class__ is Value)


def renamed(node: Node, known_as: Mapping[Value, Value]) -> Node:
    """The node with other values where it reads those that are known as others now."""
    for value in node.reads:
        if value in known_as:
            break
    else:
        return node
    inputs = tuple([known_as.get(v, v) for v in node.inputs])
    attrs = node.attrs
    if len(node.reads) > len(inputs):
        attrs = map_attrs(attrs, lambda v: known_as.get(v, v))
    return node.like(inputs=inputs, attrs=attrs)


def map_attrs(attrs: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """The attributes with `change(value)` for each value among them."""

    def mapped(attr: Any) -> Any:
        if attr.__class__ is Value:
            return change(attr)
        if attr.__class__ is tuple:
            return tuple([change(a) if a.__class__ is Value else a for a in attr])
        return attr

    return {name: mapped(attr) for name, attr in attrs.items()}


def has_effect(op: type[Op]) -> bool:
    """Whether nodes of an op must run although nobody reads their results."""
    return op.stateful and not op.pure and op.kind is not Kind.RANDOM


def constant(name: str, array: Any, spec: Spec, like: Node | None = None) -> Node:
    """A node that gives `array`."""
    output = Value(name, Spec(array.shape, spec.dtype, array))
    return constant_for(output, name, array, like)


def constant_for(output: Value, name: str, array: Any, like: Node | None = None) -> Node:
    """A node that gives `array` as a value that exists already."""
    attrs = {"value": array, "dtype": output.spec.dtype}
    if like is None:
        return Node(Const, name, (), attrs, (output,))
    return Node(Const, name, (), attrs, (output,), like.control, like.device, like.where, False)


def static(spec: Spec) -> tuple[int, ...] | None:
    """The shape if it is wholly known."""
    shape = spec.shape
    if shape is None or None in shape:
        return None
    return shape  # type: ignore[return-value]


def nbytes(spec: Spec) -> int | None:
    """The size of a tensor, if it is known."""
    if spec.dtype in HANDLES:
        return None
    count = shapes.size(spec.shape)
    return None if count is None else count * spec.dtype.np.itemsize


# From graphs


def program_of(
    graph: Any, inputs: Sequence[Symbol], fetches: Sequence[Symbol], name: str = ""
) -> Program:
    """The part of a graph that its effects and fetches need, as a program.

    Args:
        graph: its nodes stand in an order in which they can run.
        inputs: the tensors that a call gives values to, in order.
        fetches: the tensors that a call returns.
        name: of the function, for errors.
    Raises:
        InvalidArgumentError: a placeholder is needed that is none of the inputs.
    """
    own = {id(s.node) for s in inputs}
    names = {node.name for node in graph.nodes if id(node) not in own}
    given = tuple([Value(fresh_name(s.node.name, names), s.spec) for s in inputs])
    values = {id(s): v for s, v in zip(inputs, given, strict=True)}
    copy = Copy(values)
    copy.take(graph.nodes, fetches)
    return Program(copy.nodes, given, tuple(values[id(s)] for s in fetches), name, graph)


class Copy:
    """The copying of a graph's nodes into a program.

    Args:
        values: by the id of a graph's tensor: what it is in the program. Grows.
        prefix: stands before the names of the nodes.
        taken: names that others have. Grows.
    """

    def __init__(
        self, values: dict[int, Value], prefix: str = "", taken: set[str] | None = None
    ) -> None:
        self.values, self.prefix = values, prefix
        self.taken: set[str] = set() if taken is None else taken
        self.nodes: list[Node] = []
        self._names: dict[int, str] = {}

    def take(self, nodes: Sequence[traced.Node], fetches: Iterable[Symbol]) -> None:
        """Copy the nodes that are needed for the fetches and for their effects."""
        for node in _needed(nodes, fetches, self.values):
            if node.op is Placeholder:
                raise errors.invalid_argument(
                    f"You must feed a value for placeholder tensor '{node.name}'"
                )
            self._copy(node)

    def _copy(self, node: traced.Node) -> None:
        name = self._names[id(node)] = fresh_name(self.prefix + node.name, self.taken)
        labels = node.op.operands if not node.op.variadic else ("values",) * len(node.inputs)
        inputs = tuple(
            [self._value(x, f"{name}/{n}") for x, n in zip(node.inputs, labels, strict=True)]
        )
        attrs = dict(node.attrs)
        for key, attr in attrs.items():
            if isinstance(attr, Symbol):
                attrs[key] = self._value(attr, name)
            elif attr.__class__ is tuple and any(isinstance(a, Symbol) for a in attr):
                attrs[key] = tuple(
                    [self._value(a, name) if isinstance(a, Symbol) else a for a in attr]
                )
        outputs = []
        for symbol in node.outputs:
            label = name if not symbol.index else f"{name}:{symbol.index}"
            value = Value(label, symbol.spec)
            self.values.setdefault(id(symbol), value)
            outputs.append(value)
        waits = [n for n in node.control if not has_effect(n.op) and n.op is not Placeholder]
        control = tuple([self._names[id(n)] for n in waits if id(n) in self._names])
        self.nodes.append(
            Node(
                node.op,
                name,
                inputs,
                attrs,
                tuple(outputs),
                control,
                node.device,
                node.where,
                node.listed,
            )
        )

    def _value(self, tensor: Any, label: str) -> Value:
        found = self.values.get(id(tensor))
        if found is not None:
            return found
        assert isinstance(tensor, EagerTensor), tensor
        array = tensor._array
        node = constant(fresh_name(label, self.taken), array, Spec(array.shape, tensor.dtype))
        self.nodes.append(node)
        return node.outputs[0]


def fresh_name(name: str, taken: set[str]) -> str:
    """`name`, or one like it that nobody has; it is taken from now on."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    taken.add(found)
    return found


def _needed(
    nodes: Sequence[traced.Node], fetches: Iterable[Symbol], given: Mapping[int, Value]
) -> list[traced.Node]:
    """The nodes that the fetches depend on, and those with effects, in program order."""
    wanted = {id(s.node) for s in fetches if id(s) not in given}
    kept = []
    for node in reversed(nodes):
        if id(node) in wanted or has_effect(node.op):
            kept.append(node)
            for symbol in node.symbols():
                if id(symbol) not in given and isinstance(symbol, Symbol):
                    wanted.add(id(symbol.node))
            wanted.update([id(n) for n in node.control if n.op is not Placeholder])
    return kept[::-1]


def known_array(value: Value, producers: Mapping[Value, Node]) -> np.ndarray | None:
    """The array that a value always is, or None."""
    node = producers.get(value)
    if node is None or node.op is not Const:
        return None
    array = node.attrs["value"]
    return array if isinstance(array, np.ndarray) else None
