"""Graphs: nodes that have not been run.

A `Node` is one use of an op record; it is immutable. A `Symbol` is one of its results: a tensor
with a name, a dtype and a shape but no value. A `Graph` is the list of its nodes in the order
in which they were added, which is an order in which they can run. Passes return new graphs.
Read `core/op.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from headrace.base import errors
from headrace.base.dtypes import DType
from headrace.base.shapes import TensorShape
from headrace.core import context
from headrace.core.explain import dtype_problem
from headrace.core.op import Attrs, Kind, Op, Spec
from headrace.core.tensor import EagerTensor, Tensor


class Symbol(Tensor):
    """A tensor of a graph: result number `index` of `node`."""

    __slots__ = ("node", "index", "spec")

    node: Node
    index: int
    spec: Spec

    def __init__(self, node: Node, index: int, spec: Spec) -> None:
        self.node, self.index, self.spec = node, index, spec
        self._uid = None

    @property
    def dtype(self) -> DType:
        return self.spec.dtype

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self.spec.shape)

    @property
    def graph(self) -> Graph:
        """The graph that this tensor belongs to."""
        return self.node.graph

    @property
    def name(self) -> str:
        """`<node name>:<output index>`."""
        return f"{self.node.name}:{self.index}"

    @property
    def value_index(self) -> int:
        """Which result of its node this is."""
        return self.index

    def __len__(self) -> int:
        raise TypeError(
            f"len is not well defined for a symbolic Tensor ({self.name}). "
            "Please call `x.shape` rather than `len(x)` for shape information."
        )

    def __bool__(self) -> bool:
        raise TypeError(
            f"Using a symbolic `tf.Tensor` ({self.name}) as a Python `bool` is not allowed: it "
            "has no value while its graph is built. Use `tf.cond`, or write the branch inside "
            "a `tf.function`."
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise NotImplementedError(
            f"Cannot convert a symbolic tf.Tensor ({self.name}) to a numpy array: it has no "
            "value while its graph is built. Use TensorFlow functions on it instead of NumPy's."
        )

    def __repr__(self) -> str:
        return f"<tf.Tensor {self.name!r} shape={self.shape} dtype={self.dtype.name}>"


class Node:
    """One use of an op in a graph.

    `attrs` holds attributes and static inputs; a static input that is only known when the graph
    runs stands there as a Symbol.
    """

    __slots__ = ("graph", "op", "name", "inputs", "attrs", "control", "device", "outputs")

    def __init__(
        self,
        graph: Graph,
        op: type[Op],
        name: str,
        inputs: Sequence[Tensor],
        attrs: Attrs,
        control: tuple[Node, ...],
        specs: Sequence[Spec],
    ) -> None:
        self.graph, self.op, self.name = graph, op, name
        self.inputs: tuple[Tensor, ...] = tuple(inputs)
        self.attrs: Attrs = MappingProxyType(dict(attrs))
        self.control = control
        self.device = ""
        self.outputs = tuple(Symbol(self, i, spec) for i, spec in enumerate(specs))

    def __repr__(self) -> str:
        return f"<Node {self.name!r} op={self.op.name}>"


class Placeholder(Op):
    """An input of the graph."""

    kind = Kind.CREATION
    attrs = {"dtype": None, "shape": None}
    no_grad = "it has no inputs"
    no_lower = "its value is given from outside"

    def infer(dtype: DType, shape: Any) -> Spec:  # type: ignore[misc]
        return Spec(shape, dtype)

    def kernel(dtype: DType, shape: Any) -> Any:  # type: ignore[misc]
        raise errors.invalid_argument("You must feed a value for placeholder tensor")


class Graph:
    """A list of nodes in an order in which they can run."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.control: tuple[Node, ...] = ()
        self._names: dict[str, int] = {}

    def unique_name(self, name: str) -> str:
        """`name`, or `name_1`, `name_2`... if it is taken."""
        count = self._names.get(name)
        self._names[name] = 1 if count is None else count + 1
        return name if count is None else self.unique_name(f"{name}_{count}")

    def add(
        self, op: type[Op], inputs: Sequence[Tensor], attrs: Attrs, name: str | None = None
    ) -> Any:
        """Append a node; returns its result, or the list of its results.

        Raises:
            TypeError: dtypes that the op does not take.
            ValueError: shapes that cannot fit.
        """
        problem = dtype_problem(op, [t.dtype for t in inputs])
        if problem is not None:
            raise TypeError(problem)
        known = {key: _known(value) for key, value in attrs.items()}
        try:
            inferred = op.infer(*(spec_of(t) for t in inputs), **known)
        except errors.InvalidArgumentError as error:
            raise ValueError(error.message) from None
        single = isinstance(inferred, Spec)
        specs = (inferred,) if single else tuple(inferred)
        node = Node(
            self, op, self.unique_name(name or op.name), inputs, attrs, self.control, specs
        )
        self.nodes.append(node)
        return node.outputs[0] if single else list(node.outputs)

    def placeholder(self, dtype: DType, shape: Any, name: str | None = None) -> Symbol:
        """A new input of the graph."""
        return self.add(Placeholder, (), {"dtype": dtype, "shape": shape}, name)

    def __enter__(self) -> Graph:
        self._previous = context.enter_graph(self)
        return self

    def __exit__(self, *exc: object) -> None:
        context.leave_graph(self, self._previous)


def spec_of(tensor: Tensor) -> Spec:
    """What is known of a tensor: all of it for an eager one."""
    if isinstance(tensor, EagerTensor):
        return Spec(tensor._array.shape, tensor.dtype, tensor._array)
    assert isinstance(tensor, Symbol)
    return tensor.spec


def _known(value: Any) -> Any:
    """A static input as far as it is known while the graph is built."""
    if isinstance(value, Symbol):
        found = value.spec.value
        if found is None and value.spec.shape is not None and len(value.spec.shape) == 1:
            length = value.spec.shape[0]
            return None if length is None else (None,) * length
        return found
    if value.__class__ is tuple:
        return tuple(_known(item) for item in value)
    return value


__all__ = ["Graph", "Node", "Placeholder", "Symbol", "spec_of"]
