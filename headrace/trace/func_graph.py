"""The graph of a function: what it is given, what it takes from outside, what it returns.

While a function is traced, its ops are added here instead of being run. Tensors and variables
of the surroundings are captured: each gets a placeholder, and a value for it with every call.
A function graph may lie in another one (a branch, a loop's body, a function that is called
there). Read `core/graph.py` before.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from headrace.base.dtypes import HANDLES, resource
from headrace.core.context import state
from headrace.core.graph import Const, Graph, Placeholder, Symbol, out_of_scope
from headrace.core.op import Spec
from headrace.core.tensor import EagerTensor, Tensor
from headrace.core.variable import Variable

_SMALL = 128
"""Eager tensors of so many elements become constants; larger ones are captured."""


NUMBERS = itertools.count(1)
"""What makes the names of functions unique."""


class FuncGraph(Graph):
    """A graph with inputs, captures and outputs.

    Args:
        name: of the function.
        outer: the graph in which it lies (default: the one that is being built).
        source: for the graph of a gradient: the graph whose values it may use.
    """

    def __init__(self, name: str, outer: Any = None, source: FuncGraph | None = None) -> None:
        super().__init__()
        self.name = self.function = name
        self.outer: Graph | None = outer if outer is not None else state.graph
        self.source = source
        self.jit: bool = getattr(self.outer, "jit", False)
        # AutoGraph's optional features if it converts what this is traced from, else None
        self.autograph: Any = getattr(self.outer, "autograph", None)
        self.inputs: list[Symbol] = []
        self._constants: dict[int, Symbol] = {}
        self.captures: dict[int, tuple[Any, Symbol]] = {}
        self.outputs: list[Symbol] = []
        self.structured_outputs: Any = None

    def argument(self, spec: Spec, name: str) -> Symbol:
        """A placeholder for an argument."""
        symbol = self.placeholder(spec.dtype, spec.shape, name)
        if spec.dtype in HANDLES:
            symbol.spec = spec
        self.inputs.append(symbol)
        return symbol

    def own(self, tensor: Tensor, name: str) -> Tensor:
        if isinstance(tensor, EagerTensor):
            array = tensor._array
            if array.size <= _SMALL and tensor._uid is None and tensor.dtype not in HANDLES:
                return self.constant(array, f"{self.names.unique(name)}/")
            return self._captured(tensor, Spec(array.shape, tensor.dtype), name)
        assert isinstance(tensor, Symbol)
        graph = tensor.node.graph
        if graph is self:
            return tensor
        if graph is self.source and tensor.node.op is Const:
            return self._repeated(tensor, name)
        if graph is self.source:
            return self._captured(tensor, tensor.spec, name)
        if self.outer is not None:
            known = self.outer.own(tensor, name)
            return self._captured(known, tensor.spec, name)
        raise out_of_scope(tensor, self)

    def _repeated(self, constant: Symbol, name: str) -> Symbol:
        """A constant of the source as one of this graph."""
        found = self._constants.get(id(constant))
        if found is None:
            name = self.names.unique(name)
            found = self.constant(constant.node.attrs["value"], f"{name}/")
            self._constants[id(constant)] = found
        return found

    def handle(self, variable: Variable, content: Spec, name: str) -> Symbol:
        """The placeholder that stands for a variable; `content` is the spec of its value."""
        variable = getattr(variable, "_parent", variable)
        return self._captured(variable, Spec((), resource, content), name)

    def _captured(self, outside: Any, spec: Spec, name: str) -> Symbol:
        found = self.captures.get(id(outside))
        if found is None:
            value = spec.value if spec.dtype in HANDLES else None
            attrs = {"dtype": spec.dtype, "shape": spec.shape}
            symbol = self.add(Placeholder, (), attrs, f"{self.names.unique(name)}/")
            symbol.spec = spec._replace(value=value)
            found = self.captures[id(outside)] = (outside, symbol)
        return found[1]

    @property
    def outside(self) -> list[Any]:
        """What is captured: eager tensors, variables, and tensors of outer graphs."""
        return [outside for outside, _ in self.captures.values()]

    @property
    def internal_captures(self) -> list[Symbol]:
        """The placeholders of what is captured."""
        return [symbol for _, symbol in self.captures.values()]

    @property
    def parameters(self) -> list[Symbol]:
        """All placeholders that a call gives values to: arguments, then captures."""
        return [*self.inputs, *self.internal_captures]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that are captured."""
        return tuple(v for v in self.outside if isinstance(v, Variable))

    @property
    def stateful(self) -> bool:
        """Whether running the graph has effects or gives different results each time."""
        return any(node.op.stateful and not node.op.pure for node in self.nodes)

    def arguments_in(self, graph: Graph, name: str) -> list[Tensor]:
        """What is captured, as tensors of the graph in which a call stands."""
        return [given_in(graph, outside, symbol, name) for outside, symbol in self._pairs()]

    def _pairs(self) -> Iterable[tuple[Any, Symbol]]:
        return list(self.captures.values())

    def __repr__(self) -> str:
        return f"FuncGraph(name={self.name}, id={id(self)})"

    def __enter__(self) -> FuncGraph:
        self._recorders = state.recorders
        state.recorders = ()
        super().__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        state.recorders = self._recorders


def given_in(graph: Any, outside: Any, symbol: Symbol, name: str) -> Tensor:
    """What a function graph captured, as a tensor of `graph`."""
    if isinstance(outside, Variable):
        handle = graph.handle(outside, symbol.spec.value, name)
        for recorder in state.recorders:
            recorder.read(outside, handle)
        return handle
    return graph.own(outside, name)


def array_of(outside: Any) -> Any:
    """What a plan is fed for a capture when it is called eagerly."""
    if isinstance(outside, Variable):
        return outside
    assert isinstance(outside, EagerTensor), outside
    return outside._array


__all__ = ["NUMBERS", "FuncGraph", "array_of", "given_in"]
