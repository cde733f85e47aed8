"""Structures of tensors at the border of a graph: taken apart, put together, shared.

Branches and loops take their operands and give their results flat. A leaf of a structure can be
a tensor, a `TensorArray`, `tf.IndexedSlices` (several tensors) or None (no tensor).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.base import nest
from headrace.base.dtypes import resource
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.graph import Symbol
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.op import Op
from headrace.core.tensor import Tensor
from headrace.ops.create import zeros, zeros_like
from headrace.trace.func_graph import FuncGraph, given_in

Function = Callable[..., Any]


def parts_of(value: Any, dtype: Any = None) -> list[Any]:
    """The tensors that a leaf consists of."""
    if value is None:
        return []
    if hasattr(value, "_with_flow"):
        return [value._flow]
    if isinstance(value, IndexedSlices):
        return [value.values, value.indices, *([value.dense_shape] * _has_shape(value))]
    return [convert(value, None, dtype)]


def rebuilt(form: Any, parts: Any) -> Any:
    """A leaf like `form` from the next tensors of an iterator."""
    if form is None:
        return None
    if hasattr(form, "_with_flow"):
        return form._with_flow(next(parts))
    if isinstance(form, IndexedSlices):
        return IndexedSlices(*[next(parts) for _ in range(2 + _has_shape(form))])
    return next(parts)


def _has_shape(slices: IndexedSlices) -> bool:
    return slices.dense_shape is not None


def packed(structure: Any, parts: Sequence[Any]) -> Any:
    """A structure like the given one from its tensors."""
    rest = iter(parts)
    return nest.map_structure(lambda form: rebuilt(form, rest), structure)


def collected(structure: Any, graph: FuncGraph) -> list[Symbol]:
    """The tensors of what a branch or body returned, as tensors of its graph."""
    found: list[Any] = []
    for leaf in nest.flatten(structure):
        for part in parts_of(leaf):
            found.append(graph.own(part, "Const"))
    return found


def share(graphs: Sequence[FuncGraph]) -> list[tuple[Any, Symbol]]:
    """Let several graphs take the same things from outside, in one order; returns them."""
    union: dict[int, tuple[Any, Symbol]] = {}
    for graph in graphs:
        for key, pair in graph.captures.items():
            union.setdefault(key, pair)
    for graph in graphs:
        for outside, symbol in union.values():
            graph._captured(outside, symbol.spec, f"captured_{len(graph.captures)}")
        graph.captures = {key: graph.captures[key] for key in union}
    return list(union.values())


def outer_inputs(pairs: Sequence[tuple[Any, Symbol]], name: str) -> list[Tensor]:
    """What graphs take from outside, in the graph that is being built."""
    return [given_in(state.graph, outside, symbol, name) for outside, symbol in pairs]


def zeros_of(x: Tensor) -> Any:
    """Zeros in the form of an input: of a variable's value where it is a handle."""
    if x.dtype is resource:
        held = x.spec.value  # type: ignore[attr-defined]
        return zeros(held.shape, held.dtype)
    return zeros_like(x)


def named(name: str, base: type[Op], stateful: bool, doc: str) -> type[Op]:
    rules = {"name": name, "label": name, "stateful": stateful}
    rules |= {"__doc__": doc, "__module__": __name__}
    return type(name, (base,), rules)
