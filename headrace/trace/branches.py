"""Branches in graphs: one node that holds a function graph for each of them.

What the graphs take from outside are inputs of the node. The gradient is a branch again; the
node learns to hand out what it needs from inside (`Node.widen`). Read `trace/gradients.py`
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base import nest, shapes
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.dtypes import variant
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.graph import Node
from headrace.core.op import Kind, Op, Spec
from headrace.ops.reshape import identity
from headrace.trace.body import Body
from headrace.trace.func_graph import NUMBERS, FuncGraph
from headrace.trace.gradients import backward_of, call_backward
from headrace.trace.structures import (
    Function,
    collected,
    named,
    outer_inputs,
    packed,
    share,
    zeros_of,
)


class If(Op):
    """One of two functions, by a bool; `Case` is one of several, by a number.

    The first `count` results are the branches'; then come values from inside single branches
    (`extras`: which branch, which of its results), None where another branch ran.
    """

    kind = Kind.CONTROL
    inputs = ("*inputs",)
    attrs = {"branches": (), "count": 0, "extras": ()}
    stateful = True
    partial = True

    def infer(*inputs: Spec, branches: Any, count: int, extras: Any) -> Any:  # type: ignore
        merged = list(branches[0].specs[:count])
        for branch in branches[1:]:
            for i, spec in enumerate(branch.specs[:count]):
                dims = shapes.common(merged[i].shape, spec.shape)
                merged[i] = Spec(dims, spec.dtype, _same_element(merged[i], spec))
        return [*merged, *(branches[b].specs[i] for b, i in extras)]

    def kernel(*arrays: Any, branches: Any, count: int, extras: Any) -> Any:  # type: ignore
        index = _index(arrays[0], len(branches))
        results = branches[index](arrays[1:])
        return (*results[:count], *(results[i] if b == index else None for b, i in extras))

    def lower(  # type: ignore
        c: Any, *inputs: Any, branches: Any, count: int, extras: Any
    ) -> Any:
        return c.branches(branches, count, extras)

    def grad(  # type: ignore[misc]
        dys: Any, ys: Any, *inputs: Any, branches: Any, count: int, extras: Any
    ) -> list[Any]:
        dys = list(dys) if isinstance(dys, (list, tuple)) else [dys]
        node = (ys[0] if isinstance(ys, (list, tuple)) else ys).node
        dys += [None] * (len(node.outputs) - len(dys))
        steps = [_branch_gradient(node, b, dys, inputs) for b in range(len(branches))]
        parameters = branches[0].graph.parameters
        present = [any(step.form[i] for step in steps) for i in range(len(parameters))]
        if not any(present):
            return [None] * len(inputs)

        def branch(b: int) -> Function:
            def run() -> list[Any]:
                found = steps[b].run()
                return [
                    convert(g) if g is not None else zeros_of(x)
                    for g, x, some in zip(found, inputs[1:], present, strict=True)
                    if some
                ]

            return run

        built = iter(branching(inputs[0], [branch(b) for b in range(len(branches))], "grad"))
        return [None, *(next(built) if some else None for some in present)]


def _index(value: Any, count: int) -> int:
    """Which branch runs: a bool is true for the first, a number outside means the last."""
    if value.dtype == np.bool_:
        return 0 if value else 1
    index = int(value)
    return index if 0 <= index < count else count - 1


def _same_element(one: Spec, other: Spec) -> Any:
    if one.dtype is not variant:
        return None
    return one.value if one.value is not None else other.value


StatelessIf = named("StatelessIf", If, False, "`If` whose branches have no effects.")
Case = named("Case", If, True, "One of several functions, by a number.")
StatelessCase = named("StatelessCase", If, False, "`Case` without effects.")


class _branch_gradient:
    """The gradient of one branch of a node, and where its values come from."""

    def __init__(self, node: Node, b: int, dys: Sequence[Any], inputs: Sequence[Any]) -> None:
        self.node, self.b, self.inputs = node, b, inputs
        body = node.attrs["branches"][b]
        self.dys = self._aligned(body, dys)
        self.backward = backward_of(body, [dy is not None for dy in self.dys])
        self.form = self.backward.form
        self._widen()

    def _places(self) -> dict[int, int]:
        """Which result of the node holds which result of the branch."""
        count = self.node.attrs["count"]
        places = {i: i for i in range(count)}
        for k, (branch, i) in enumerate(self.node.attrs["extras"]):
            if branch == self.b:
                places[i] = count + k
        return places

    def _aligned(self, body: Body, dys: Sequence[Any]) -> list[Any]:
        places = self._places()
        return [dys[places[i]] if i in places else None for i in range(len(body.fetches))]

    def _widen(self) -> None:
        node = self.node
        body = node.attrs["branches"][self.b]
        known = {s._uid for s in body.fetches}
        missing = [s for s in self.backward.saved if s._uid not in known]
        if not missing:
            return
        first = len(body.fetches)
        branches = list(node.attrs["branches"])
        branches[self.b] = body.fetching(missing)
        extras = [(self.b, first + i) for i in range(len(missing))]
        node.widen(
            {"branches": tuple(branches), "extras": (*node.attrs["extras"], *extras)},
            [s.spec for s in missing],
        )
        self.dys += [None] * len(missing)

    def run(self) -> list[Any]:
        """The gradients of the branch's parameters, in the graph that is being built."""
        node = self.node
        body = node.attrs["branches"][self.b]
        places = self._places()
        values: dict[Any, Any] = {
            s._uid: node.outputs[places[i]] for i, s in enumerate(body.fetches) if i in places
        }
        values |= {
            p._uid: x for p, x in zip(body.graph.parameters, self.inputs[1:], strict=True)
        }
        return call_backward(self.backward, self.dys, values)


def branching(index: Any, functions: Sequence[Function], name: str) -> Any:
    """Add a node that runs one of several functions; returns what they return.

    Raises:
        TypeError, ValueError: the functions return different things.
    """
    graphs = []
    kinds = ("true", "false") if index.dtype is bool_dtype else range(len(functions))
    for kind, function in zip(kinds, functions, strict=True):
        graph = FuncGraph(f"{name}_{kind}_{next(NUMBERS)}")
        with graph:
            graph.structured_outputs = function()
            graph.outputs = [identity(s) for s in collected(graph.structured_outputs, graph)]
        graphs.append(graph)
    for graph in graphs[1:]:
        _agree(graphs[0], graph)
    pairs = share(graphs)
    stateful = any(graph.stateful for graph in graphs)
    if index.dtype is bool_dtype:
        op: type[Op] = If if stateful else StatelessIf
    else:
        op = Case if stateful else StatelessCase
    attrs = {
        "branches": tuple(map(Body, graphs)),
        "count": len(graphs[0].outputs),
        "extras": (),
    }
    results = add_node(op, [index, *outer_inputs(pairs, name)], attrs, name)
    return packed(graphs[0].structured_outputs, results)


def _agree(one: FuncGraph, other: FuncGraph) -> None:
    """Two branches return the same structure and dtypes."""
    a, b = one.structured_outputs, other.structured_outputs
    detail = None
    try:
        nest.assert_same_structure(a, b)
    except (ValueError, TypeError) as error:
        detail = str(error)
    if detail is None and len(one.outputs) != len(other.outputs):
        raise ValueError(
            "Lengths of branch outputs of cond must match.\n"
            f"len(graphs[0].outputs): {len(one.outputs)}\n"
            f"len(graphs[1].outputs): {len(other.outputs)}\n"
        )
    for x, y in zip(one.outputs, other.outputs, strict=False):
        if detail is None and x.dtype != y.dtype:
            detail = f"{x} and {y} have different types"
    if detail is not None:
        raise TypeError(
            "true_fn and false_fn arguments to tf.cond must have the same number, type, and "
            f"overall structure of return values.\n\ntrue_fn output:  {a}\nfalse_fn output: {b}"
            f"\n\nError details:\n{detail}"
        )
