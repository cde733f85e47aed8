"""Graphs as TensorFlow's messages: `GraphDef` and `FunctionDef`.

Names, types and attributes of the nodes are those of TensorFlow's operations, so that its tools
can read, show and run what is written. What differs between the two worlds: a static input is
an attribute here and a constant there; types are inferred here and attributes there; the bodies
of calls, branches and loops are values here and functions of a library there. Operations that
TensorFlow does not have are written under their own names.

Read `core/graph.py` before, and `core/node_def.py` after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from headrace.base import protos
from headrace.base.dtypes import DType
from headrace.base.names import UniqueNames
from headrace.core.effects import has_effect
from headrace.core.graph import Graph, Node, Placeholder, Symbol
from headrace.core.node_def import Carried, Region
from headrace.core.op import Spec

PRODUCER = 2474
MIN_CONSUMER = 12
"""The versions of TensorFlow's format that are written."""


def graph_def(graph: Graph, start: int = 0, shapes: bool = False) -> Any:
    """A graph as a `GraphDef`.

    Args:
        start: how many operations at the beginning are left out.
        shapes: whether the shapes of all results are written too.
    """
    message = protos.GraphDef()
    message.versions.producer, message.versions.min_consumer = PRODUCER, MIN_CONSUMER
    library = Library()
    region = Region(graph, library, shapes=shapes)
    for node in graph.nodes[start:]:
        region.write(node)
    message.node.extend(region.messages)
    message.library.function.extend(library.functions)
    return message


def function_def(graph: Any, name: str) -> Any:
    """A function's graph as a `FunctionDef`."""
    library = Library()
    library.function(graph, graph.outputs, name)
    return library.functions[-1]


def node_def(node: Node) -> Any:
    """An operation as a `NodeDef`."""
    region = Region(node.graph, Library())
    region.write(node)
    return region.messages[-1]


class Library:
    """The functions that a graph's nodes call."""

    def __init__(self) -> None:
        self.functions: list[Any] = []
        self._names: dict[Any, str] = {}
        self._taken = UniqueNames()

    def function(
        self,
        graph: Any,
        fetches: Sequence[Symbol | Spec],
        name: str | None = None,
        carried: Sequence[Carried] = (),
    ) -> str:
        """The name under which a function stands here; it is entered if it is new.

        Args:
            graph: has `parameters`; their order is that of the arguments.
            fetches: its results.
            carried: further arguments, and results that are made of them.
        """
        results = tuple(s._uid if isinstance(s, Symbol) else None for s in fetches)
        key = (id(graph), results, tuple(c.name for c in carried))
        found = self._names.get(key)
        if found is None:
            found = self._names[key] = self._taken.unique(name or graph.name)
            self.functions.append(self._written(graph, fetches, found, carried))
        return found

    def _written(
        self, graph: Any, fetches: Sequence[Symbol | Spec], name: str, carried: Any
    ) -> Any:
        message = protos.FunctionDef()
        message.signature.name = name
        taken = {node.name.lower() for node in graph.nodes if node.op is not Placeholder}
        arguments = {}
        for symbol in graph.parameters:
            arguments[id(symbol)] = label = _identifier(symbol.node.name, taken)
            _argument(message.signature.input_arg, label, symbol.dtype)
        more = [_identifier(each.name, taken) for each in carried]
        for label, each in zip(more, carried, strict=True):
            _argument(message.signature.input_arg, label, each.dtype)
        region = Region(graph, self, arguments)
        for node in graph.nodes:
            if node.op is not Placeholder:
                region.write(node)
        taken = set()
        for symbol in fetches:
            label = symbol.node.name if isinstance(symbol, Symbol) else "unread"
            _result(message, _identifier(label, taken), symbol.dtype, region.result(symbol))
        for label, each in zip(more, carried, strict=True):
            if each.update is not None:
                found = each.update(region, label)
                _result(message, _identifier(label, taken), each.dtype, found)
        _tell_effects(message, graph)
        message.node_def.extend(region.messages)
        return message


def _argument(place: Any, name: str, dtype: DType) -> None:
    place.add(name=name, type=dtype.as_datatype_enum)


def _result(message: Any, name: str, dtype: DType, source: str) -> None:
    _argument(message.signature.output_arg, name, dtype)
    message.ret[name] = source


def _tell_effects(message: Any, graph: Any) -> None:
    """Name the nodes that must run although nobody reads their results."""
    for node in graph.nodes:
        if has_effect(node.op):
            message.control_ret[node.name] = node.name
            message.signature.control_output.append(node.name)
            message.signature.is_stateful = True


def _identifier(name: str, taken: set[str]) -> str:
    """A name as arguments and results have it: small letters, digits and underscores."""
    plain = re.sub(r"[^a-z0-9_]", "_", name.lower())
    plain = plain if plain[:1].isalpha() else f"arg_{plain}"
    found, count = plain, 0
    while found in taken:
        count += 1
        found = f"{plain}_{count}"
    taken.add(found)
    return found
