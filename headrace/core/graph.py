"""Graphs: nodes that have not been run.

A `Node` is one use of an op record, and what users see as `tf.Operation`. A `Symbol` is one of
its results: a tensor with a name, a dtype and a shape but no value. A `Graph` is the list of
its nodes in the order in which they were added, which is an order in which they can run;
effects (assignments, random state, prints) happen in that order. Nodes do not change, with one
exception that `widen` explains; passes return new graphs. Read `core/op.py` before.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import HANDLES, DType, from_numpy
from headrace.base.export import export, export_value
from headrace.base.lazy import lazy_module
from headrace.base.names import UniqueNames
from headrace.base.shapes import TensorShape
from headrace.core import context
from headrace.core.context import state
from headrace.core.effects import waits
from headrace.core.explain import graph_dtype_problem, in_graph
from headrace.core.op import Attrs, Kind, Op, Spec
from headrace.core.tensor import EagerTensor, Tensor, next_uid

messages = lazy_module("headrace.core.messages")
graph_defs = lazy_module("headrace.core.graph_def")
_HERE = os.path.dirname(os.path.dirname(__file__))
_FOLDED = 64
"""Integer results of so many elements are computed while the graph is built (shapes, axes)."""

_REMEDY = (
    "You can attempt the following resolutions to the problem: If you are running in Graph "
    "mode, use Eager execution mode or decorate this function with @tf.function. If you are "
    "using AutoGraph, you can try decorating this function with @tf.function. If that does not "
    "work, then you may be using an unsupported feature or your source code may not be visible "
    "to AutoGraph. See https://github.com/tensorflow/tensorflow/blob/master/tensorflow/python/"
    "autograph/g3doc/reference/limitations.md#access-to-source-code for more information."
)


class Symbol(Tensor):
    """A tensor of a graph: result number `index` of `node`."""

    __slots__ = ("node", "index", "spec", "__dict__")

    node: Node
    index: int
    spec: Spec

    def __init__(self, node: Node, index: int, spec: Spec) -> None:
        self.node, self.index, self.spec = node, index, spec
        self._uid = next_uid()

    @property
    def dtype(self) -> DType:
        return self.spec.dtype

    @property
    def shape(self) -> TensorShape:
        return TensorShape(() if self.spec.dtype in HANDLES else self.spec.shape)

    @property
    def op(self) -> Node:
        """The operation that this tensor is a result of."""
        return self.node

    @property
    def graph(self) -> Graph:
        """The graph that this tensor belongs to."""
        return self.node.graph

    @property
    def device(self) -> str:
        """The device that was asked for, or an empty text."""
        return self.node.device

    @property
    def name(self) -> str:
        """`<node name>:<output index>`."""
        return f"{self.node.name}:{self.index}"

    @property
    def value_index(self) -> int:
        """Which result of its node this is."""
        return self.index

    def consumers(self) -> list[Node]:
        """The operations of the graph that use this tensor."""
        return [n for n in self.graph.nodes if any(x is self for x in n.inputs)]

    def set_shape(self, shape: Any) -> None:
        """Say more about the shape than could be inferred.

        Raises:
            ValueError: it cannot be so.
        """
        merged = self.shape.merge_with(shape)
        dims = None if merged.rank is None else tuple(merged.as_list())
        self.spec = self.spec._replace(shape=dims)

    def __len__(self) -> int:
        raise TypeError(
            f"len is not well defined for a symbolic Tensor ({self.name}). "
            "Please call `x.shape` rather than `len(x)` for shape information."
        )

    def __bool__(self) -> bool:
        raise errors.OperatorNotAllowedInGraphError(
            f"Using a symbolic `tf.Tensor` as a Python `bool` is not allowed. {_REMEDY}"
        )

    def __iter__(self) -> Iterator[Tensor]:
        if state.graph is None and self.shape.rank == 0:
            raise TypeError("Cannot iterate over a scalar tensor.")
        if state.graph is None:
            raise out_of_scope(self)
        if self.shape.rank == 0 or self.shape.rank is None or self.shape[0] is None:
            raise errors.OperatorNotAllowedInGraphError(
                f"Iterating over a symbolic `tf.Tensor` is not allowed. {_REMEDY}"
            )
        return (self[i] for i in range(self.shape[0]))  # type: ignore[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise NotImplementedError(
            f"Cannot convert a symbolic tf.Tensor ({self.name}) to a numpy array. This error "
            "may indicate that you're trying to pass a Tensor to a NumPy call, which is not "
            "supported."
        )

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'SymbolicTensor' object has no attribute {name!r}")

    def __copy__(self) -> Symbol:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Symbol:
        return self

    def __repr__(self) -> str:
        return f"<tf.Tensor {self.name!r} shape={self.shape} dtype={self.dtype.name}>"

    def __str__(self) -> str:
        known = "" if self.shape.rank is None else f", shape={self.shape}"
        known = known or ", shape=<unknown>"
        return f'Tensor("{self.name}"{known}, dtype={self.dtype.name})'


Symbol.__name__ = Symbol.__qualname__ = "SymbolicTensor"  # as Python's own errors tell it


class Node:
    """One use of an op in a graph: `tf.Operation`.

    `attrs` holds attributes and static inputs; a static input that is only known when the graph
    runs stands there as a Symbol. `where` lists the user's lines that the node comes from, the
    innermost first. `listed` says that the op gives a list of results, be it one.
    """

    __slots__ = "graph op name inputs attrs control device outputs where listed".split()

    def __init__(
        self,
        graph: Graph,
        op: type[Op],
        name: str,
        inputs: Sequence[Tensor],
        attrs: Attrs,
        control: tuple[Node, ...],
        specs: Sequence[Spec],
        listed: bool = False,
    ) -> None:
        self.listed = listed
        self.graph, self.op, self.name = graph, op, name
        self.inputs: tuple[Any, ...] = tuple(inputs)
        self.attrs: dict[str, Any] = dict(attrs)
        self.control = control
        self.device = state.devices[-1] if state.devices else ""
        self.outputs: list[Symbol] = [Symbol(self, i, spec) for i, spec in enumerate(specs)]
        self.where = user_lines()

    @property
    def type(self) -> str:
        """The op's name in TensorFlow's op set."""
        return self.op.name

    @property
    def control_inputs(self) -> list[Node]:
        """The operations that must have run before: those that were asked for, and effects."""
        return [*self.control, *waits(self.graph.nodes).get(id(self), ())]

    @property
    def node_def(self) -> Any:
        """The operation as TensorFlow's message."""
        return graph_defs.node_def(self)

    def values(self) -> tuple[Symbol, ...]:
        """The results."""
        return tuple(self.outputs)

    def get_attr(self, name: str) -> Any:
        """The value of an attribute or static input.

        Raises:
            ValueError: there is none of this name.
        """
        if name in self.attrs:
            return self.attrs[name]
        found = self.node_def.attr
        if name not in found:
            raise ValueError(f"Operation {self.name!r} has no attr named {name!r}.")
        return messages.plain_value(found[name])

    def widen(self, attrs: Attrs, specs: Sequence[Spec]) -> list[Symbol]:
        """Give the node further results; returns their symbols.

        A gradient needs values from inside a branch, a loop or a function that was called. The
        node that stands for it learns to hand them out when the gradient is asked for. Tapes
        that recorded the node see the new results too: second gradients flow through them.
        """
        self.attrs = {**self.attrs, **attrs}
        first = len(self.outputs)
        added = [Symbol(self, first + i, spec) for i, spec in enumerate(specs)]
        self.outputs.extend(added)
        for recorder in state.recorders:
            recorder.widened(self, added)
        return added

    def symbols(self) -> Iterator[Symbol]:
        """All tensors that the node reads: its inputs, and static inputs that are computed."""
        yield from self.inputs
        for value in self.attrs.values():
            if isinstance(value, Symbol):
                yield value
            elif value.__class__ is tuple:
                yield from (item for item in value if isinstance(item, Symbol))

    def __repr__(self) -> str:
        return f"<tf.Operation {self.name!r} type={self.type}>"


export_value("Operation", Node)


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


class Const(Op):
    """A value that stands in the graph."""

    kind = Kind.CREATION
    attrs = {"value": None, "dtype": None}
    no_grad = "it has no inputs"
    no_lower = "its value is given with the graph"

    def infer(value: np.ndarray, dtype: DType) -> Spec:  # type: ignore[misc]
        return Spec(value.shape, dtype, value)

    def kernel(value: np.ndarray, dtype: DType) -> Any:  # type: ignore[misc]
        return value


@export("Graph")
class Graph:
    """A list of operations in an order in which they can run."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.control: tuple[Node, ...] = ()
        self.names = UniqueNames()
        self._outside: list[tuple[Any, tuple[str, ...]]] = []

    # Building

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """`name`, or `name_1`, `name_2`... if it is taken."""
        return self.names.unique(name, mark_as_used)

    def scoped_name(self, name: str) -> str:
        """`name` inside the name scopes that are open; one that ends with `/` is whole."""
        if name.endswith("/"):
            return name[:-1]
        scopes = state.scopes
        return self.names.unique("/".join((*scopes, name)) if scopes else name)

    def add(
        self, op: type[Op], inputs: Sequence[Tensor], attrs: Attrs, name: str | None = None
    ) -> Any:
        """Append a node; returns its result, or the list of its results.

        Raises:
            TypeError: dtypes that the op does not take, or a tensor of another graph.
            ValueError: shapes that cannot fit.
        """
        free = op.kind is Kind.CONTROL
        problem = None if free else graph_dtype_problem(op, [t.dtype for t in inputs])
        if problem is not None:
            raise TypeError(problem)
        fixed = {key: _known(value) for key, value in attrs.items()}
        specs = [spec_of(t) for t in inputs]
        try:
            inferred = op.infer(*specs, **{key: _partial(v) for key, v in fixed.items()})
        except errors.InvalidArgumentError as error:
            label = self.names.unique("/".join((*state.scopes, name or op.label)), False)
            raise ValueError(in_graph(error.message, op, label, inputs, specs)) from None
        label = self.scoped_name(name or op.label)
        operands = op.operands if not op.variadic else ("values",) * len(inputs)
        owned = [self.own(t, f"{label}/{n}") for t, n in zip(inputs, operands, strict=True)]
        fixed = {key: self._owned_attr(v, f"{label}/{key}") for key, v in fixed.items()}
        single = isinstance(inferred, Spec)
        results = tuple(map(_valued, (inferred,) if single else inferred))
        if not op.stateful and all(r.value is None for r in results):
            results = _folded(op, specs, fixed, results)
        node = Node(self, op, label, owned, fixed, self.control, results, not single)
        self.nodes.append(node)
        return node.outputs[0] if single else list(node.outputs)

    def own(self, tensor: Tensor, name: str) -> Tensor:
        """The tensor as this graph knows it; another graph's is out of scope here."""
        if isinstance(tensor, EagerTensor) and tensor.dtype not in HANDLES:
            return self.constant(tensor._array, f"{self.names.unique(name)}/")
        if isinstance(tensor, Symbol) and tensor.node.graph is not self:
            raise out_of_scope(tensor, self)
        return tensor

    def _owned_attr(self, value: Any, name: str) -> Any:
        if isinstance(value, Symbol):
            return self.own(value, name)
        if value.__class__ is tuple and any(isinstance(item, Symbol) for item in value):
            return tuple(self._owned_attr(item, name) for item in value)
        return value

    def placeholder(self, dtype: DType, shape: Any, name: str | None = None) -> Symbol:
        """A new input of the graph."""
        return self.add(Placeholder, (), {"dtype": dtype, "shape": shape}, name)

    def constant(self, array: np.ndarray, name: str | None = None) -> Symbol:
        """A value as a tensor of the graph."""
        return self.add(Const, (), {"value": array, "dtype": from_numpy[array.dtype]}, name)

    def __enter__(self) -> Graph:
        self._outside.append((context.enter_graph(self), state.scopes))
        state.scopes = ()
        return self

    def __exit__(self, *exc: object) -> None:
        previous, state.scopes = self._outside.pop()
        context.leave_graph(self, previous)

    def as_default(self) -> Graph:
        """The graph as a context manager: ops inside are added to it."""
        return self

    # Looking

    @property
    def version(self) -> int:
        """A number that grows with every operation that is added."""
        return len(self.nodes)

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """The graph as TensorFlow's `GraphDef` message, with the functions that it calls.

        Args:
            from_version: only what was added since `version` was this.
            add_shapes: whether the shapes of all results are written too.
        """
        return graph_defs.graph_def(self, from_version or 0, add_shapes)

    def get_operations(self) -> list[Node]:
        """All operations, in program order."""
        return list(self.nodes)

    def get_operation_by_name(self, name: str) -> Node:
        """The operation of this name.

        Raises:
            TypeError: no string.
            KeyError: there is none.
        """
        if not isinstance(name, str):
            raise TypeError(
                f"Operation names are strings (or similar), not {type(name).__name__}."
            )
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(
            f"The name {name!r} refers to an Operation not in the graph."
            if ":" not in name
            else f"The name {name!r} looks like a Tensor name, not an Operation name."
        )

    def get_tensor_by_name(self, name: str) -> Symbol:
        """The tensor of the name `<operation>:<index of the result>`.

        Raises:
            TypeError: no string.
            ValueError: the name of an operation.
            KeyError: there is none.
        """
        if not isinstance(name, str):
            raise TypeError(
                f"Tensor names are strings (or similar), not {type(name).__name__}."
            )
        operation, separator, index = name.partition(":")
        if not separator:
            raise ValueError(
                f"The name {name!r} refers to an Operation, not a Tensor. Tensor names must be "
                'of the form "<op_name>:<output_index>".'
            )
        missing = f"The name {name!r} refers to a Tensor which does not exist. "
        try:
            node = self.get_operation_by_name(operation)
        except KeyError:
            raise KeyError(
                f"{missing}The operation, {operation!r}, does not exist in the graph."
            ) from None
        if not index.isdigit() or int(index) >= len(node.outputs):
            raise KeyError(
                f"{missing}The operation, {operation!r}, exists but only has "
                f"{len(node.outputs)} outputs."
            )
        return node.outputs[int(index)]

    def as_graph_element(
        self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Any:
        """The tensor or operation that `obj` (one of them, or a name) stands for.

        Raises:
            TypeError: a sort that is not allowed.
            KeyError: there is none.
        """
        if isinstance(obj, str):
            find = self.get_tensor_by_name if ":" in obj else self.get_operation_by_name
            obj = find(obj)
        if isinstance(obj, Symbol if allow_tensor else ()) or (
            isinstance(obj, Node if allow_operation else ())
        ):
            return obj
        wanted = " or ".join(["Tensor"] * allow_tensor + ["Operation"] * allow_operation)
        raise TypeError(f"Can not convert a {type(obj).__name__} into a {wanted}.")


def spec_of(tensor: Tensor) -> Spec:
    """What is known of a tensor: all of it for an eager one."""
    if isinstance(tensor, EagerTensor):
        return Spec(tensor._array.shape, tensor.dtype, tensor._array)
    assert isinstance(tensor, Symbol)
    return tensor.spec


def out_of_scope(tensor: Symbol, graph: Any = None) -> TypeError:
    """The error for a symbolic tensor that is used where it has no meaning."""
    lines = "\n".join(
        f'    File "{file}", line {line}, in {function}'
        for file, line, function in reversed(tensor.node.where)
    )
    there = "eager code" if graph is None else repr(graph)
    return TypeError(
        f"{tensor!r} is out of scope and cannot be used here. Use return values, explicit "
        "Python locals or TensorFlow collections to access it.\nPlease see "
        "https://www.tensorflow.org/guide/function#all_outputs_of_a_tffunction_must_be_return_"
        f"values for more information.\n\n{tensor!r} was defined here:\n{lines}\n\n"
        f"The tensor {tensor!r} cannot be accessed from {there}, because it was defined in "
        f"{tensor.graph!r}, which is out of scope."
    )


def user_lines(limit: int = 4) -> tuple[tuple[str, int, str], ...]:
    """(file, line, function) of the callers outside of this package, the innermost first."""
    frame: Any = sys._getframe(2)
    found: list[tuple[str, int, str]] = []
    while frame is not None and len(found) < limit:
        code = frame.f_code
        if not code.co_filename.startswith(_HERE):
            found.append((code.co_filename, frame.f_lineno, code.co_name))
        frame = frame.f_back
    return tuple(found)


def _valued(spec: Spec) -> Spec:
    """The spec with a value that is wholly known as an array; a vector may be known in part."""
    value = spec.value
    if value is None or isinstance(value, (np.ndarray, Spec)):
        return spec
    if value.__class__ is tuple and None in value:
        return spec
    return spec._replace(value=np.array(value, spec.dtype.np))


def _known(value: Any) -> Any:
    """A static input: as Python ints where they are known, else with the symbols."""
    if isinstance(value, Symbol):
        found = value.spec.value
        if isinstance(found, np.ndarray):
            items = found.tolist()
            return tuple(items) if isinstance(items, list) else items
        if found.__class__ is tuple and None not in found:
            return found
        return value
    if value.__class__ is tuple:
        return tuple(_known(item) for item in value)
    return value


def _partial(value: Any) -> Any:
    """What `infer` is told of a static input: None stands for what is not known."""
    if isinstance(value, Symbol):
        found, shape = value.spec.value, value.spec.shape
        if found.__class__ is tuple:
            return found
        if shape is not None and len(shape) == 1 and shape[0] is not None:
            return (None,) * shape[0]
        return None
    if value.__class__ is tuple:
        return tuple(_partial(item) for item in value)
    return value


def _folded(
    op: type[Op], specs: Sequence[Spec], attrs: Attrs, results: tuple[Spec, ...]
) -> tuple[Spec, ...]:
    """The results' specs with their values, where these are small integers and computable."""
    if not specs:
        return results
    for spec in (*specs, *results):
        if spec.dtype.np.kind not in "iub" or not _small(spec.shape):
            return results
    arrays = [spec.value for spec in specs]
    if not all(isinstance(a, np.ndarray) for a in arrays):
        return results
    for value in attrs.values():
        if isinstance(value, Symbol) or (
            value.__class__ is tuple and any(isinstance(item, Symbol) for item in value)
        ):
            return results
    try:
        found = op.table[arrays[0].dtype](*arrays, **attrs)
    except Exception:  # what fails here fails, with its own error, when the graph runs
        return results
    values = found if isinstance(found, (tuple, list)) else (found,)
    return tuple(s._replace(value=np.asarray(v)) for s, v in zip(results, values, strict=True))


def _small(shape: Any) -> bool:
    return shape is not None and None not in shape and int(np.prod(shape)) <= _FOLDED


__all__ = ["Const", "Graph", "Node", "Placeholder", "Symbol", "out_of_scope", "spec_of"]
