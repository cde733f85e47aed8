"""A program made ready to run node by node with the eager kernels.

A plan holds one step a node: a function that takes its operands out of the call's values and
puts its results there. What nobody reads afterwards is let go if it is large, so that NumPy
uses its memory again; where it can be, a result is written over an operand that ends there.
The values lie in a list of the call's own: any number of threads may run one plan. Errors are
explained afterwards, with the user's line that the node comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.compile.passes.program import (
    NOTHING,
    Node,
    Program,
    Value,
    map_attrs,
    nbytes,
    static,
)
from headrace.core import rng
from headrace.core.explain import explain
from headrace.core.graph import Const
from headrace.core.op import Kind
from headrace.core.tensor import as_array

ndarray = np.ndarray
Values = list[Any]
Step = Callable[[Values], None]

_KEPT = 1 << 12
"""Smaller values stay to the end of the call: letting go costs more than their memory."""
IN_PLACE = 1 << 14
"""From so many bytes on a result is written over an operand that ends there."""


class Plan:
    """What `plan(arrays)` needs to compute the fetches of a program."""

    def __init__(self, program: Program) -> None:
        self.name = program.name
        self._source = program.source
        self.count = len(program.inputs)
        self._fill: Values = [None] * self.count
        self._slots = {value: i for i, value in enumerate(program.inputs)}
        if NOTHING in program.fetches or any(NOTHING in n.reads for n in program.nodes):
            self._new_slot(NOTHING, None)
        ends = _ends(program)
        reused = _reused(program, ends)
        self.steps: list[Step] = []
        self._nodes: dict[Step, Node] = {}
        for node in program.nodes:
            self._add(node, reused.get(node))
            dead = [self._slots[v] for v in ends.get(node, ()) if v in self._slots]
            if dead:
                self.steps.append(_releasing(tuple(dead)))
        self._fetched = [self._slots[value] for value in program.fetches]

    def _new_slot(self, value: Value, content: Any = None) -> int:
        slot = self._slots[value] = len(self._fill)
        self._fill.append(content)
        return slot

    def _add(self, node: Node, target: Value | None) -> None:
        if node.op is Const:
            self._new_slot(node.outputs[0], node.attrs["value"])
            return
        operands = tuple([self._slots[value] for value in node.reads])
        places = tuple([self._new_slot(value) for value in node.outputs])
        kernel = _ready(node, self._source)
        if target is not None:  # a ufunc's last operand is where it writes
            kernel = _INTO.get(kernel, kernel)
            operands = (*operands, self._slots[target])
        if node.listed:
            step = _several(kernel, operands, places)
        else:
            step = _MAKERS.get(len(operands), _any)(kernel, operands, places[0])
        self.steps.append(step)
        self._nodes[step] = node

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        """The values of the fetches.

        Args:
            arrays: one value (array, variable or handle) for each input.
        """
        values = self._fill.copy()
        values[: self.count] = arrays
        step: Any = None
        try:
            for step in self.steps:
                step(values)
        except Exception as error:
            raise self._explained(error, self._nodes[step], values) from None
        return [values[i] for i in self._fetched]

    def _explained(self, error: Exception, node: Node, values: Values) -> Exception:
        if getattr(error, "_located", False):
            return error
        arrays = [values[self._slots[value]] for value in node.inputs]
        plain = all(isinstance(a, ndarray) for a in arrays)
        attrs = map_attrs(node.attrs, lambda v: _plain_of(values[self._slots[v]]))
        found = explain(node.op, arrays, attrs, error) if plain and arrays else error
        return located(found, node, self.name)


def _plain_of(array: Any) -> Any:
    """A static input's value as rules get it: an int, or a tuple of ints."""
    items = array.tolist()
    return tuple(items) if isinstance(items, list) else items


# Steps

_INTO: dict[Any, Callable[..., Any]] = {
    ufunc: lambda a, b, out, ufunc=ufunc: ufunc(a, b, out=out)
    for ufunc in (np.maximum, np.minimum)
}
"""NumPy will take the operand that these two write to by its name only."""


def _one(kernel: Callable[..., Any], operands: tuple[int, ...], place: int) -> Step:
    (a,) = operands

    def step(values: Values) -> None:
        result = kernel(values[a])
        values[place] = result if result.__class__ is ndarray else as_array(result)

    return step


def _two(kernel: Callable[..., Any], operands: tuple[int, ...], place: int) -> Step:
    a, b = operands

    def step(values: Values) -> None:
        result = kernel(values[a], values[b])
        values[place] = result if result.__class__ is ndarray else as_array(result)

    return step


def _three(kernel: Callable[..., Any], operands: tuple[int, ...], place: int) -> Step:
    a, b, c = operands

    def step(values: Values) -> None:
        result = kernel(values[a], values[b], values[c])
        values[place] = result if result.__class__ is ndarray else as_array(result)

    return step


def _any(kernel: Callable[..., Any], operands: tuple[int, ...], place: int) -> Step:
    def step(values: Values) -> None:
        result = kernel(*[values[i] for i in operands])
        values[place] = result if result.__class__ is ndarray else as_array(result)

    return step


_MAKERS = {1: _one, 2: _two, 3: _three}


def _several(
    kernel: Callable[..., Any], operands: tuple[int, ...], places: tuple[int, ...]
) -> Step:
    def step(values: Values) -> None:
        results = kernel(*[values[i] for i in operands])
        for place, result in zip(places, results, strict=True):
            values[place] = result if result.__class__ is ndarray else as_array(result)

    return step


def _releasing(dead: tuple[int, ...]) -> Step:
    """A step that lets values go."""

    def step(values: Values) -> None:
        for slot in dead:
            values[slot] = None

    return step


# Lifetimes


def _ends(program: Program) -> dict[Node, list[Value]]:
    """After which node nobody reads a value any more, for the large and the unknown ones."""
    ends: dict[Node, list[Value]] = {}
    alive = {*program.fetches, *program.inputs}
    alive.update(node.outputs[0] for node in program.nodes if node.op is Const)
    for node in reversed(program.nodes):
        for value in {*node.reads, *node.outputs} - alive:
            alive.add(value)
            size = nbytes(value.spec)
            if size is None or size > _KEPT:
                ends.setdefault(node, []).append(value)
    return ends


def _reused(program: Program, ends: dict[Node, list[Value]]) -> dict[Node, Value]:
    """The nodes that write over an operand, and which.

    The operand's memory must be its own and nobody else's: a ufunc made it, and what reads it
    gives results in memory of their own.
    """
    owned: set[Value] = set()
    shared: set[Value] = set()
    for node in program.nodes:
        ufunc = isinstance(_plain(node), np.ufunc)
        if not ufunc and node.op.kind not in (Kind.REDUCE, Kind.CONTRACT):
            shared.update(node.reads)
        elif ufunc and node.op.kind is Kind.ELEMENTWISE:
            owned.update(node.outputs)
    found = {}
    for node in program.nodes:
        if node.op.kind is Kind.ELEMENTWISE and isinstance(_plain(node), np.ufunc):
            for value in ends.get(node, ()):
                if value in owned and value not in shared and _fits(value, node):
                    found[node] = value
                    break
    return found


def _fits(value: Value, node: Node) -> bool:
    """Whether a node's result has the form of one of its large operands."""
    spec, result = value.spec, node.outputs[0].spec
    if value not in node.inputs or spec.dtype is not result.dtype:
        return False
    size = nbytes(spec)
    return size is not None and size >= IN_PLACE and static(spec) == static(result)


# Kernels


def _plain(node: Node) -> Callable[..., Any]:
    """The kernel for the dtype of a node's first operand."""
    kernel: Callable[..., Any] = node.op.kernel
    if node.inputs:
        kernel = node.op.table.get(node.inputs[0].spec.dtype.np) or kernel
    return kernel


def _ready(node: Node, source: Any) -> Callable[..., Any]:
    """The kernel as a function of what the node reads."""
    kernel = _plain(node)
    if len(node.reads) > len(node.inputs):
        kernel = _computed(kernel, node)
    elif node.attrs:
        kernel = partial(kernel, **node.attrs)
    if node.op.kind is Kind.RANDOM and node.op.stateful:
        kernel = _continuing(kernel, rng.owner_of(source, node.name))
    return kernel


def _computed(kernel: Callable[..., Any], node: Node) -> Callable[..., Any]:
    """A kernel whose last operands are the values of static inputs."""
    places: list[tuple[str, int | None]] = []
    for name, attr in node.attrs.items():
        items: Iterable[Any] = [(None, attr)]
        if attr.__class__ is tuple:
            items = enumerate(attr)
        places += [(name, position) for position, item in items if item.__class__ is Value]
    count = len(node.inputs)

    def run(*arrays: Any) -> Any:
        attrs = dict(node.attrs)
        for (name, position), array in zip(places, arrays[count:], strict=True):
            items = array.tolist()
            value = tuple(items) if isinstance(items, list) else items
            if position is not None:
                parts = attrs[name]
                value = (*parts[:position], value, *parts[position + 1 :])
            attrs[name] = value
        return kernel(*arrays[:count], **attrs)

    return run


def _continuing(kernel: Callable[..., Any], owner: rng.Owner) -> Callable[..., Any]:
    """A kernel that draws where the last run of this node stopped."""

    def run(*arrays: Any) -> Any:
        with rng.running(owner):
            return kernel(*arrays)

    return run


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
