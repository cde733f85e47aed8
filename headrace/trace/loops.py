"""Loops in graphs: one node that holds the graphs of its condition and its body.

What the graphs take from outside are inputs of the node. The gradient is a loop backwards; the
node learns to hand out what that needs from inside (`Node.widen`): for each such value a list
with an item an iteration. Read `trace/gradients.py` and `trace/structures.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.autodiff.backward import total
from headrace.base import shapes
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.dtypes import int32, variant
from headrace.core.context import state
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.graph import Node, Symbol
from headrace.core.op import Kind, Op, Spec
from headrace.ops.create import zeros_like
from headrace.ops.tensor_list.elements import item, learn_items
from headrace.ops.tensor_list.value import TensorList
from headrace.trace.body import Body
from headrace.trace.func_graph import NUMBERS, FuncGraph
from headrace.trace.gradients import backward_of, call_backward, differentiable
from headrace.trace.structures import Function, named, outer_inputs, share, zeros_of


class While(Op):
    """A loop: `body` as long as `cond` holds.

    The inputs are `count` loop variables, then what the two graphs take from outside. The first
    results are the final loop variables; with `recorded` they are followed by the number of
    iterations and, for each result of the body beyond the loop variables, a list of what it was
    in each iteration.
    """

    kind = Kind.CONTROL
    inputs = ("*input",)
    attrs = {"cond": None, "body": None, "count": 0, "recorded": False}
    stateful = True
    partial = True

    def infer(  # type: ignore
        *inputs: Spec, cond: Any, body: Any, count: int, recorded: bool
    ) -> Any:
        found = [symbol.spec for symbol in body.graph.inputs]
        if recorded:
            found.append(Spec((), int32))
            found += [Spec((), variant, spec) for spec in body.specs[count:]]
        return found

    def kernel(  # type: ignore
        *arrays: Any, cond: Any, body: Any, count: int, recorded: bool
    ) -> Any:
        values = list(arrays[:count])
        outside = arrays[count:]
        lists: list[list[Any]] = [[] for _ in body.fetches[count:]]
        rounds = 0
        while cond((*values, *outside))[0]:
            results = body((*values, *outside))
            values = results[:count]
            rounds += 1
            for items, found in zip(lists, results[count:], strict=True):
                items.append(found)
        if not recorded:
            return values
        held = [
            TensorList.of(items, symbol.spec)
            for items, symbol in zip(lists, body.fetches[count:], strict=True)
        ]
        return [*values, np.array(rounds, np.int32), *held]

    def lower(  # type: ignore
        c: Any, *inputs: Any, cond: Any, body: Any, count: int, recorded: bool
    ) -> Any:
        return c.loop(cond, body, count, recorded)

    def grad(  # type: ignore[misc]
        dys: Any, ys: Any, *inputs: Any, cond: Any, body: Any, count: int, recorded: bool
    ) -> list[Any]:
        dys = list(dys) if isinstance(dys, (list, tuple)) else [dys]
        node = (ys[0] if isinstance(ys, (list, tuple)) else ys).node
        return _LoopGradient(node, dys, inputs).gradients()


StatelessWhile = named("StatelessWhile", While, False, "`While` without effects.")


class _LoopGradient:
    """The gradient of a loop: a loop backwards over its iterations."""

    def __init__(self, node: Node, dys: list[Any], inputs: Sequence[Any]) -> None:
        self.node, self.inputs = node, inputs
        self.count = node.attrs["count"]
        body: Body = node.attrs["body"]
        self.variables = body.graph.inputs
        self.active = [i for i, s in enumerate(self.variables) if differentiable(s)]
        held = dys[self.count + 1 :] + [None] * (len(node.outputs) - len(dys))
        if not node.attrs["recorded"]:
            held = []
        extra = len(body.fetches) - self.count
        self.list_dys = (held + [None] * extra)[:extra]
        mask = [i in self.active for i in range(self.count)]
        mask += [dy is not None for dy in self.list_dys]
        self.backward = backward_of(body, mask)
        self._record()
        self.list_dys += [None] * (len(self.body.fetches) - self.count - len(self.list_dys))
        self.dys = [
            None
            if i not in self.active
            else zeros_of(node.outputs[i])
            if dys[i] is None
            else convert(dys[i])
            for i in range(self.count)
        ]

    @property
    def body(self) -> Body:
        return self.node.attrs["body"]

    @property
    def _varying(self) -> list[Symbol]:
        """What the gradient of an iteration reads that differs from one to the next."""
        graph = self.body.graph
        fixed = {id(s) for s in graph.internal_captures}
        return [
            x
            for x in self.backward.taken
            if isinstance(x, Symbol) and x.graph is graph and id(x) not in fixed
        ]

    def _record(self) -> None:
        """Let the loop keep what each iteration of the gradient reads."""
        node, body = self.node, self.body
        known = {s._uid for s in body.fetches[self.count :]}
        missing = [s for s in self._varying if s._uid not in known]
        specs = [Spec((), variant, s.spec) for s in missing]
        if not node.attrs["recorded"]:
            specs.insert(0, Spec((), int32))
        if specs:
            node.widen({"body": body.fetching(missing), "recorded": True}, specs)

    def gradients(self) -> list[Any]:
        """The gradient of each input of the node."""
        node, count, form = self.node, self.count, self.backward.form
        outside = self.inputs[count:]
        summed = [j for j in range(len(outside)) if form[count + j]]
        lists = dict(
            zip(
                (s._uid for s in self.body.fetches[count:]),
                node.outputs[count + 1 :],
                strict=True,
            )
        )

        def step(i: Any, *state_: Any) -> list[Any]:
            moving = dict(zip(self.active, state_, strict=False))
            sums = state_[len(self.active) :]
            values: dict[Any, Any] = {
                s._uid: item(lists[s._uid], i, s.spec) for s in self._varying
            }
            captures = self.body.graph.internal_captures
            values |= {p._uid: x for p, x in zip(captures, outside, strict=True)}
            dys = [moving.get(j) for j in range(count)]
            for symbol, held in zip(self.body.fetches[count:], self.list_dys, strict=True):
                dys.append(held if held is None else item(held, i, symbol.spec))
            found = call_backward(self.backward, dys, values)
            new = [
                zeros_like(moving[j]) if found[j] is None else convert(found[j])
                for j in self.active
            ]
            added = [
                total([one, convert(found[count + j])])
                for one, j in zip(sums, summed, strict=True)
            ]
            return [i - 1, *new, *added]

        start = [node.outputs[count] - 1, *(self.dys[i] for i in self.active)]
        start += [zeros_of(outside[j]) for j in summed]
        open_shapes = [(), *(self.variables[i].spec.shape for i in self.active)]
        open_shapes += [x.spec.shape for x in start[len(open_shapes) :]]
        results = looping(lambda i, *_: i >= 0, step, start, open_shapes, "grad_while")
        found: list[Any] = [None] * len(self.inputs)
        for i, result in zip(self.active, results[1:], strict=False):
            found[i] = result
        for j, result in zip(summed, results[1 + len(self.active) :], strict=True):
            found[count + j] = result
        return found


def looping(
    cond: Function, body: Function, start: Sequence[Any], dims: Sequence[Any], name: str
) -> list[Any]:
    """Add a loop over flat tensors to this thread's graph; returns the final tensors.

    Args:
        cond, body: functions of the loop variables; `body` returns the next ones.
        start: the first loop variables.
        dims: the shape that each of them has in all iterations.
    Raises:
        TypeError, ValueError: `body` changes a dtype or a shape.
    """
    count = len(start)
    place = state.graph
    initial = [place.own(convert(x), f"{name}/input_{i}") for i, x in enumerate(start)]
    graphs = []
    for kind, function in (("cond", cond), ("body", body)):
        graph = FuncGraph(f"{name}_{kind}_{next(NUMBERS)}")
        with graph:
            arguments = []
            for tensor, shape in zip(initial, dims, strict=True):
                spec = tensor.spec._replace(shape=shape)  # type: ignore[union-attr]
                arguments.append(graph.argument(spec, "Placeholder"))
            returned = function(*arguments)
            if kind == "cond":
                graph.outputs = [_condition(graph, returned)]
            else:
                graph.outputs = [
                    _next(graph, x, y) for x, y in zip(arguments, returned, strict=True)
                ]
        graphs.append(graph)
    _share_knowledge(initial, graphs)
    pairs = share(graphs)
    op = While if any(graph.stateful for graph in graphs) else StatelessWhile
    attrs = {"cond": Body(graphs[0]), "body": Body(graphs[1]), "count": count}
    inputs = [*initial, *outer_inputs(pairs, name)]
    return add_node(op, inputs, attrs | {"recorded": False}, name)


def _condition(graph: FuncGraph, value: Any) -> Symbol:
    tensor: Any = graph.own(convert(value), "Const")
    if tensor.dtype is not bool_dtype:
        raise TypeError(f"cond must return a boolean value, but got {tensor.dtype.name}.")
    if tensor.shape.rank not in (0, None) and tensor.shape.num_elements() != 1:
        raise ValueError(f"cond must return a scalar, but got shape {tensor.shape}.")
    return tensor


def _next(graph: FuncGraph, before: Symbol, value: Any) -> Symbol:
    """The next value of a loop variable."""
    tensor: Any = graph.own(convert(value, None, before.dtype), "Const")
    if tensor.dtype != before.dtype:
        raise TypeError(
            f"Input tensor {before.name!r} enters the loop with dtype {before.dtype.name}, but "
            f"has dtype {tensor.dtype.name} after one iteration. It must be the same."
        )
    if before.dtype is variant:
        before.spec = _merged_list(before.spec, tensor.spec)
    elif not tensor.shape.is_subtype_of(before.shape):
        raise ValueError(
            f"Input tensor {before.name!r} enters the loop with shape {before.shape}, but has "
            f"shape {tensor.shape} after one iteration. To allow the shape to vary across "
            "iterations, use the `shape_invariants` argument of tf.while_loop to specify a "
            "less-specific shape."
        )
    return tensor


def _merged_list(one: Spec, other: Spec) -> Spec:
    a, b = one.value, other.value
    if a is None or b is None:
        return one._replace(value=a or b)
    return one._replace(value=a._replace(shape=shapes.merge(a.shape, b.shape)))


def _share_knowledge(initial: Sequence[Any], graphs: Sequence[FuncGraph]) -> None:
    """What the body has learned of the items of lists holds before the loop, too."""
    for tensor, test, variable in zip(initial, *[g.inputs for g in graphs], strict=True):
        if variable.dtype is variant and isinstance(variable.spec.value, Spec):
            for held in (tensor, test):
                learn_items(held, variable.spec.value.shape)
