"""Gradients through functions: the reverse walk over a graph, and calls as differentiable ops.

`backward_of` walks over the nodes of a function graph and builds the graph of its gradient.
That graph takes gradients of the results, and values from inside the forward graph, which a
forward run hands out beside its results (`Body.fetching`). The same serves calls that a tape
sees, calls inside other functions, branches and loops, and gradients of gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.autodiff.backward import Entry, walk
from headrace.base.dtypes import HANDLES, resource
from headrace.core.context import state, without_recording
from headrace.core.convert import convert
from headrace.core.dispatch import add_node
from headrace.core.graph import Const, Graph, Placeholder, Symbol
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.op import Kind, Op
from headrace.core.tensor import EagerTensor, Tensor, wrap
from headrace.core.variable import Variable
from headrace.ops.create import zeros_like
from headrace.trace.body import Body
from headrace.trace.func_graph import FuncGraph, array_of, given_in


def entries_of(graph: Graph) -> list[Entry]:
    """The nodes of a graph as the reverse walk reads them."""
    return [
        (node.op, node.inputs, node.outputs, node.attrs)
        for node in graph.nodes
        if node.op.no_grad is None and node.outputs
    ]


def differentiable(symbol: Tensor) -> bool:
    """Whether gradients can flow to a tensor of a graph."""
    dtype = symbol.dtype
    return dtype.is_floating or dtype.is_complex or dtype in HANDLES


class Backward:
    """The gradient of a function graph.

    Attributes:
        body: takes the gradients of those results that have one, then `taken`.
        taken: what it needs: symbols of the forward graph, variables, outer tensors.
        saved: the symbols among these that a forward run must hand out.
        form: for each parameter of the forward graph None, or how many of the body's results
            make its gradient (three for `IndexedSlices`).
    """

    def __init__(
        self, forward: FuncGraph, targets: Sequence[Symbol], mask: Sequence[bool]
    ) -> None:
        graph = FuncGraph(f"__backward_{forward.name}", forward.outer, forward)
        parameters = forward.parameters
        with graph:
            seeds: dict[int, list[Any]] = {}
            for target, given in zip(targets, mask, strict=True):
                if given:
                    dy = graph.argument(target.spec, "dy")
                    seeds.setdefault(target._uid, []).append(dy)  # type: ignore[arg-type]
            wanted = [p._uid for p in parameters if differentiable(p)]
            found = walk(entries_of(forward), seeds, wanted)  # type: ignore[arg-type]
            gradients = [found.get(p._uid) for p in parameters]  # type: ignore[arg-type]
            flat: list[Any] = []
            self.form = [_flatten(gradient, flat, graph) for gradient in gradients]
        graph.outputs = flat
        self.body = Body(graph)
        self.taken = graph.outside
        own = {id(p) for p in parameters}
        self.saved = [
            x
            for x in self.taken
            if isinstance(x, Symbol) and x.graph is forward and id(x) not in own
        ]

    def gradients(self, results: Sequence[Tensor]) -> list[Any]:
        """The gradient of each parameter, from the body's results."""
        rest = iter(results)
        found: list[Any] = []
        for count in self.form:
            if count == 3:
                found.append(IndexedSlices(next(rest), next(rest), next(rest)))
            else:
                found.append(next(rest) if count else None)
        return found


def _flatten(gradient: Any, flat: list[Any], graph: FuncGraph) -> int:
    if gradient is None:
        return 0
    if isinstance(gradient, IndexedSlices) and gradient.dense_shape is not None:
        parts = [gradient.values, gradient.indices, gradient.dense_shape]
    else:
        parts = [convert(gradient)]
    flat.extend(graph.own(part, "gradient") for part in parts)
    return len(parts)


def backward_of(body: Body, mask: Sequence[bool]) -> Backward:
    """The gradient of a body for gradients of those results that `mask` says; built once."""
    known = body.graph.__dict__.setdefault("_backwards", {})
    key = tuple(s._uid for s, given in zip(body.fetches, mask, strict=True) if given)
    found = known.get(key)
    if found is None:
        found = known[key] = Backward(body.graph, body.fetches, mask)
    return found


class PartitionedCall(Op):
    """A call of a function."""

    kind = Kind.CONTROL
    inputs = ("*args",)
    attrs = {"f": None}
    partial = True
    no_lower = "the function's graph is put in its place"

    def infer(*args: Any, f: Body) -> Any:  # type: ignore[misc]
        return f.specs

    def kernel(*args: Any, f: Body) -> Any:  # type: ignore[misc]
        return f(args)

    def grad(dys: Any, ys: Any, *inputs: Any, f: Body) -> Any:  # type: ignore[misc]
        node = (ys[0] if isinstance(ys, (list, tuple)) else ys).node
        f = node.attrs["f"]
        dys = [*_list(dys), *[None] * (len(f.fetches) - len(_list(dys)))]
        backward = backward_of(f, [dy is not None for dy in dys])
        known = {s._uid for s in f.fetches}
        missing = [s for s in backward.saved if s._uid not in known]
        if missing:
            f = f.fetching(missing)
            node.widen({"f": f}, [s.spec for s in missing])
        values = {s._uid: y for s, y in zip(f.fetches, node.outputs, strict=True)}
        values |= {p._uid: x for p, x in zip(f.graph.parameters, inputs, strict=True)}
        return call_backward(backward, dys, values)


class StatefulPartitionedCall(Op):
    """A call of a function that has effects."""

    kind = Kind.CONTROL
    inputs = ("*args",)
    attrs = {"f": None}
    stateful = True
    partial = True
    no_lower = "the function's graph is put in its place"
    infer = PartitionedCall.infer
    kernel = PartitionedCall.kernel
    grad = PartitionedCall.grad


def _list(dy: Any) -> list[Any]:
    return list(dy) if isinstance(dy, (list, tuple)) else [dy]


def call_backward(backward: Backward, dys: Sequence[Any], values: dict[Any, Any]) -> list[Any]:
    """Run or add a backward body; `values` has the forward's tensors by their uid."""
    given = [dy for dy in dys if dy is not None]
    graph = backward.body.graph
    for outside, symbol in graph.captures.values():
        if isinstance(outside, Symbol) and outside._uid in values:
            given.append(values[outside._uid])
        else:
            given.append(_outer(outside, symbol))
    return backward.gradients(call(backward.body, given))


def _outer(outside: Any, symbol: Symbol) -> Any:
    if state.graph is not None:
        return given_in(state.graph, outside, symbol, "gradient")
    return outside


def call(body: Body, operands: Sequence[Any]) -> list[Any]:
    """Call a body, differentiably: run it, or add a call to this thread's graph.

    Args:
        operands: a tensor for each parameter; eagerly variables stand for themselves.
    Returns:
        one tensor for each of the body's results.
    """
    if state.graph is not None:
        stateful = body.graph.stateful
        op = StatefulPartitionedCall if stateful else PartitionedCall
        return _listed(add_node(op, operands, {"f": body}, None))
    if not state.recorders:
        return [wrap(r) for r in body([_fed(x) for x in operands])]
    return _recorded(body, operands)


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _fed(x: Any) -> Any:
    return x._array if isinstance(x, EagerTensor) else array_of(x)


class CallEntry:
    """What a tape needs of an op record, for one eager call of a body."""

    keep = None
    no_grad = None
    partial = True

    def __init__(self, body: Body, operands: Sequence[Any]) -> None:
        self.name = body.graph.name
        self._body, self._operands = body, operands

    def grad(self, dys: Any, ys: Any, *inputs: Any) -> list[Any]:
        body = self._body
        dys = _list(dys)
        backward = backward_of(body, [dy is not None for dy in dys])
        known = {s._uid for s in body.fetches}
        if any(s._uid not in known for s in backward.saved):
            # Where some gradients are missing others values may be read than were kept.
            dys = [
                zeros_like(y) if dy is None and differentiable(s) else dy
                for dy, y, s in zip(dys, _list(ys), body.fetches, strict=True)
            ]
            backward = backward_of(body, [dy is not None for dy in dys])
        values: dict[Any, Any] = dict(
            zip((s._uid for s in body.fetches), _list(ys), strict=True)
        )
        for parameter, tensor, operand in zip(
            body.graph.parameters, inputs, self._operands, strict=True
        ):
            values[parameter._uid] = operand if isinstance(operand, Variable) else tensor
        return call_backward(backward, dys, values)


def _recorded(body: Body, operands: Sequence[Any]) -> list[Any]:
    count = len(body.fetches)
    recorders = state.recorders
    deep = len(recorders) > 1 or any(getattr(r, "_persistent", True) for r in recorders)
    body = wide(body, deep)
    arrays = [_fed(x) for x in operands]
    tensors = [_token(x) for x in operands]
    with without_recording():
        outputs = [wrap(r) for r in body(arrays)]
    entry = CallEntry(body, operands)
    for recorder in recorders:
        recorder.record(entry, tensors, outputs, {})
    return outputs[:count]


def _token(operand: Any) -> Tensor:
    """What stands for an operand on tapes: a variable is read."""
    if isinstance(operand, Variable):
        tensor = wrap(operand._array)
        for recorder in state.recorders:
            recorder.read(operand, tensor)
        return tensor
    return operand


def wide(body: Body, deep: bool) -> Body:
    """The body with all results that its gradient (`deep`: of any order) needs."""
    known = body.graph.__dict__.setdefault("_wide", {})
    key = (tuple(s._uid for s in body.fetches), deep)
    found = known.get(key)
    if found is None:
        found = known[key] = _widened(body, deep)
    return found


def _widened(body: Body, deep: bool) -> Body:
    mask = [differentiable(s) for s in body.fetches]
    backward = backward_of(body, mask)
    if not deep:
        return body.fetching(backward.saved) if backward.saved else body
    for _ in range(8):
        before = len(body.fetches)
        known = {s._uid for s in body.fetches}
        body = body.fetching([s for s in _inner(body.graph) if s._uid not in known])
        if len(body.fetches) == before:
            break
        backward_of(body, [differentiable(s) for s in body.fetches])
    return body


def _inner(graph: FuncGraph) -> list[Symbol]:
    """All values that are computed inside a graph."""
    return [
        symbol
        for node in graph.nodes
        if node.op not in (Placeholder, Const)
        for symbol in node.outputs
        if symbol.dtype is not resource
    ]
