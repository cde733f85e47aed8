"""Headrace in miniature: op records, dispatch, a tape, a graph, loops, and a training step.

Run it: `python docs/mini.py`. The names are those of the real code, and each section says where
that stands. What is left out: dtypes and devices, errors, most ops, everything that makes it
fast. Read it from the top.
"""

from __future__ import annotations

import math

import numpy as np

# --- core/op.py: an op is a class of rules, never instantiated ------------------------------


class Op:
    """One operation: `kernel` computes, `grad` differentiates, `scalar` is for the compiler."""

    name: str
    kernel: staticmethod
    grad: staticmethod
    scalar: staticmethod


# --- core/context.py: who listens -----------------------------------------------------------

modes: list[object] = []  # tapes and graphs that are entered; empty: nothing is recorded


# --- core/tensor.py and core/variable.py: values --------------------------------------------


class Tensor:
    """Immutable; operators are installed below, from a table."""

    def __init__(self, array):
        self._array = np.asarray(array, np.float32)

    def __repr__(self):
        return f"<tf.Tensor: shape={self._array.shape}, numpy={self._array}>"


class Symbol(Tensor):
    """A tensor of a graph: it has a place, but no value (core/graph.py)."""

    def __init__(self, node):
        self.node = node

    def __repr__(self):
        return f"<symbol of {self.node[0].name}>"


class Variable:
    """A buffer that changes. Reading gives a tensor, and tells the tapes."""

    def __init__(self, value):
        self._array = np.asarray(value, np.float32)

    def value(self):
        tensor = Tensor(self._array)
        for mode in modes:
            mode.read(self, tensor)
        return tensor

    def assign_sub(self, delta):
        self._array = self._array - convert(delta)._array


def convert(value):
    """core/convert.py: a tensor from what a user gives."""
    if isinstance(value, Variable):
        return value.value()
    return value if isinstance(value, Tensor) else Tensor(value)


# --- core/dispatch.py: the one function through which every op runs -------------------------


def apply(op, inputs, attrs=None):
    """Run an op eagerly, or add it to the graph; let the tapes see it."""
    attrs = attrs or {}
    inputs = [convert(x) for x in inputs]
    graph = next((mode for mode in modes if isinstance(mode, Graph)), None)
    if graph is not None:
        return graph.add(op, inputs, attrs)
    output = Tensor(op.kernel(*(x._array for x in inputs), **attrs))
    for mode in modes:
        mode.record(op, inputs, output, attrs)
    return output


# --- ops/: tables of records ----------------------------------------------------------------


def unary(op_name, kernel, grad, scalar):
    """ops/make.py: a record and its public function from a few rules."""
    op = type(
        op_name, (Op,), {"name": op_name, "kernel": kernel, "grad": grad, "scalar": scalar}
    )
    return lambda x: apply(op, (x,))


def binary(op_name, kernel, grad, scalar):
    """As `unary`; gradients are summed over the axes that broadcasting stretched."""

    def summed(dy, y, a, b):
        da, db = grad(dy, y, a, b)
        return sum_to_like(da, a), sum_to_like(db, b)

    rules = {"name": op_name, "kernel": kernel, "grad": summed, "scalar": scalar}
    op = type(op_name, (Op,), rules)
    return lambda a, b: apply(op, (a, b))


def sum_to_like(gradient, like):
    """ops/shapes.py: undo broadcasting."""
    if isinstance(like, Symbol) or gradient._array.shape == like._array.shape:
        return gradient
    return apply(SumToShape, (gradient,), {"shape": like._array.shape})


class SumToShape(Op):
    name = "SumToShape"

    def kernel(x, shape):
        lead = x.ndim - len(shape)
        axes = tuple(i for i in range(x.ndim) if i < lead or shape[i - lead] != x.shape[i])
        return x.sum(axes).reshape(shape)

    def grad(dy, y, x, shape):
        return dy + np.zeros(x._array.shape)


class MatMul(Op):
    name = "MatMul"

    def kernel(a, b, transpose_a=False, transpose_b=False):
        return (a.T if transpose_a else a) @ (b.T if transpose_b else b)

    def grad(dy, y, a, b):
        return (
            apply(MatMul, (dy, b), {"transpose_b": True}),
            apply(MatMul, (a, dy), {"transpose_a": True}),
        )


class Mean(Op):
    name = "Mean"

    def kernel(x):
        return x.mean()

    def grad(dy, y, x):
        return dy * (np.ones(x._array.shape) / x._array.size)


add = binary("AddV2", np.add, lambda dy, y, a, b: (dy, dy), lambda b, x, y: x + y)
subtract = binary("Sub", np.subtract, lambda dy, y, a, b: (dy, dy * -1), lambda b, x, y: x - y)
multiply = binary(
    "Mul", np.multiply, lambda dy, y, a, b: (dy * b, a * dy), lambda b, x, y: x * y
)
square = unary("Square", np.square, lambda dy, y, x: dy * (x * 2), lambda b, x: x * x)
tanh = unary("Tanh", np.tanh, lambda dy, y, x: dy * (1 - y * y), lambda b, x: b.tanh(x))

for cls in (Tensor, Variable):  # ops/operators.py
    cls.__add__ = lambda x, y: add(x, y)
    cls.__sub__ = lambda x, y: subtract(x, y)
    cls.__rsub__ = lambda x, y: subtract(y, x)
    cls.__mul__ = lambda x, y: multiply(x, y)
    cls.__matmul__ = lambda x, y: apply(MatMul, (x, y))


# --- autodiff/: the tape and the reverse walk -----------------------------------------------


def _several(results):
    return results if isinstance(results, tuple) else (results,)


class GradientTape:
    """Keeps what was computed; `gradient` walks through it backwards."""

    def __enter__(self):
        self.entries, self.reads = [], {}
        modes.append(self)
        return self

    def __exit__(self, *exc):
        modes.remove(self)

    def record(self, op, inputs, output, attrs):
        self.entries.append((op, inputs, output, attrs))

    def read(self, variable, tensor):
        self.reads.setdefault(id(variable), []).append(tensor)

    def gradient(self, target, sources):
        gradients = {id(target): Tensor(np.ones_like(target._array))}
        for op, inputs, output, attrs in reversed(self.entries):
            dy = gradients.get(id(output))
            if dy is None:
                continue
            results = op.grad(dy, output, *inputs, **attrs)
            for x, dx in zip(inputs, _several(results), strict=True):
                gradients[id(x)] = gradients[id(x)] + dx if id(x) in gradients else dx
        found = []
        for source in sources:
            parts = [gradients[id(t)] for t in self.reads[id(source)] if id(t) in gradients]
            found.append(sum(parts[1:], start=parts[0]) if parts else None)
        return found


# --- core/graph.py: ops that wait -----------------------------------------------------------


class Graph:
    """A list of nodes `(op, inputs, attrs)` in an order in which they can run."""

    def __enter__(self):
        self.nodes = []
        modes.append(self)
        return self

    def __exit__(self, *exc):
        modes.remove(self)

    def add(self, op, inputs, attrs):
        node = (op, inputs, attrs)
        self.nodes.append(node)
        return Symbol(node)

    def read(self, variable, tensor):
        """A variable that is read while a graph is built is a constant here."""


class Placeholder(Op):
    name = "Placeholder"


def interpret(graph, feeds):
    """compile/run/interpret.py: node by node, with the kernels."""
    values = {id(symbol.node): array for symbol, array in feeds.items()}
    for node in graph.nodes:
        op, inputs, attrs = node
        if id(node) not in values:
            arrays = [values[id(x.node)] if isinstance(x, Symbol) else x._array for x in inputs]
            values[id(node)] = op.kernel(*arrays, **attrs)
    return values[id(graph.nodes[-1])]


# --- compile/: a chain of elementwise nodes as one loop --------------------------------------


class Builder:
    """What a `scalar` rule may call; here it writes Python (the real one: loops, then LLVM)."""

    def tanh(self, x):
        return Text(f"tanh({x})")


class Text(str):
    """An expression for one element, as source text."""

    def __add__(self, other):
        return Text(f"({self!s} + {other!s})")

    def __mul__(self, other):
        return Text(f"({self!s} * {other!s})")

    def __sub__(self, other):
        return Text(f"({self!s} - {other!s})")


def compile_elementwise(graph):
    """One function of one element for a whole graph: that is what fusing means."""
    names, b = {}, Builder()
    for position, node in enumerate(graph.nodes):
        op, inputs, _ = node
        if op is Placeholder:
            names[id(node)] = Text(f"x{position}")
        else:
            parts = [
                names[id(x.node)] if isinstance(x, Symbol) else Text(repr(float(x._array)))
                for x in inputs
            ]
            names[id(node)] = op.scalar(b, *parts)
    arguments = [names[id(n)] for n in graph.nodes if n[0] is Placeholder]
    body = names[id(graph.nodes[-1])]
    return eval(f"lambda {', '.join(arguments)}: {body}", {"tanh": math.tanh}), body


# --- a user's program -----------------------------------------------------------------------


def main():
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(64, 3)).astype(np.float32)
    targets = inputs @ np.float32([[1.0], [-2.0], [0.5]]) + 3.0
    kernel, bias = Variable(np.zeros((3, 1))), Variable([0.0])
    for step in range(60):
        with GradientTape() as tape:
            loss = apply(Mean, (square(Tensor(inputs) @ kernel + bias - targets),))
        for variable, gradient in zip(
            (kernel, bias), tape.gradient(loss, (kernel, bias)), strict=True
        ):
            variable.assign_sub(gradient * 0.1)
        if step % 20 == 0:
            print(f"step {step:2}: loss {float(loss._array):.4f}")
    print("learned", kernel._array.ravel().round(2), bias._array.round(2))
    assert np.allclose(bias._array, 3.0, atol=0.05)

    with Graph() as graph:
        x = graph.add(Placeholder, [], {})
        tanh(x * x + 1.0)
    compiled, body = compile_elementwise(graph)
    print("one loop body:", body)
    assert math.isclose(interpret(graph, {x: np.float64(0.5)}), compiled(0.5), rel_tol=1e-6)


if __name__ == "__main__":
    main()
