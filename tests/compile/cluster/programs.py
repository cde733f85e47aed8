"""Random programs of public functions, and how far rounding may take them.

A program is a list of steps, drawn from a number; it runs on tensors of any float dtype. What
is compared is a run in float32 with one in float64. How much they may differ is measured: in
further float64 runs each result of each step is disturbed by about as much as float32 rounds,
so that cancellation and growth are seen as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import headrace as tf

Step = tuple[str, tuple[int, ...], Callable[..., Any]]

UNARY = {
    "tanh": tf.tanh,
    "sigmoid": tf.sigmoid,
    "exp": lambda x: tf.exp(-tf.abs(x)),
    "sqrt": lambda x: tf.sqrt(tf.abs(x) + 0.5),
    "square": lambda x: tf.square(x) * 0.25,
    "neg": lambda x: -x,
    "relu": tf.nn.relu,
    "line": lambda x: x * 0.5 + 1.0,
    "log": lambda x: tf.math.log1p(tf.abs(x)),
    "erf": tf.math.erf,
    "sin": tf.sin,
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "max": tf.maximum,
    "div": lambda x, y: x / (1.0 + y * y),
}
INTEGER = {
    "iadd": lambda x: x + 3,
    "imul": lambda x: x * 5 - 7,
    "idiv": lambda x: x // 3,
    "imod": lambda x: x % 7,
    "iand": lambda x: tf.bitwise.bitwise_and(x, 29),
}


class Program:
    """A random program; `program(*inputs)` runs it on tensors."""

    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng(number)
        self.steps: list[Step] = []
        self.inputs = [self._floats(self._shape()) for _ in range(3)]
        self.inputs.append(self.rng.integers(-20, 20, self._shape()).astype(np.int32))
        self.start = self.rng.normal(size=(4, 3))
        self._draw(int(self.rng.integers(5, 45)))
        wanted = int(self.rng.integers(1, 4))
        self.results = [len(self.steps) + 3 - k for k in range(wanted)]

    def __call__(self, variable: Any, *inputs: Any, disturb: Any = None) -> list[Any]:
        values = list(inputs)
        for _, operands, function in self.steps:
            found = function(variable, *[values[k] for k in operands])
            if disturb is not None and found.dtype.is_floating:
                found = disturb(found)
            values.append(found)
        return [values[k] for k in self.results]

    @property
    def updates(self) -> int:
        """So often two calls change the variable, at most."""
        rounds = {"assign_add": 1, "read": 1, "cond": 1, "while": 5}
        return 2 * sum(rounds.get(name, 0) for name, _, _ in self.steps)

    def __repr__(self) -> str:
        return "\n".join(f"{k + 4}: {s[0]} {s[1]}" for k, s in enumerate(self.steps))

    # Drawing

    def _shape(self) -> tuple[int, ...]:
        return tuple(
            int(n) for n in self.rng.choice([1, 2, 3, 4, 5, 17], self.rng.integers(0, 4))
        )

    def _floats(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.normal(size=shape)

    def _draw(self, count: int) -> None:
        """Draw steps, running each so that shapes are known."""
        values = [tf.constant(x) for x in self.inputs]
        variable = tf.Variable(self.start)
        makers = [self._unary] * 4 + [self._binary] * 5 + [self._reduce] * 3 + [self._move] * 4
        makers += [self._integer] * 2 + [self._choose] * 2 + [self._matmul] * 2
        makers += [self._softmax, self._scan, self._gather, self._assign, self._read]
        makers += [self._branch, self._loop, self._halved]
        while len(self.steps) < count:
            maker = makers[self.rng.integers(len(makers))]
            made = maker(values)
            if made is None:
                continue
            name, operands, function = made
            found = function(variable, *[values[k] for k in operands])
            if tf.size(found) > 4000:
                continue
            values.append(found)
            self.steps.append(made)

    def _pick(self, values: list[Any], test: Callable[[Any], bool]) -> int | None:
        """One of the latest values that pass a test."""
        good = [k for k, x in enumerate(values) if test(x)][-8:]
        return int(self.rng.choice(good)) if good else None

    def _any_float(self, values: list[Any], rank: int = 0) -> int | None:
        return self._pick(values, lambda x: x.dtype.is_floating and len(x.shape) >= rank)

    def _unary(self, values: list[Any]) -> Step | None:
        k, name = self._any_float(values), str(self.rng.choice(list(UNARY)))
        return (name, (k,), lambda _, x: UNARY[name](x))

    def _binary(self, values: list[Any]) -> Step | None:
        k, name = self._any_float(values), str(self.rng.choice(list(BINARY)))

        def fits(x: Any) -> bool:
            try:
                np.broadcast_shapes(tuple(x.shape), tuple(values[k].shape))
            except ValueError:
                return False
            return x.dtype.is_floating

        other = self._pick(values, fits)
        pair = (k, other) if self.rng.integers(2) else (other, k)
        return (name, pair, lambda _, x, y: BINARY[name](x, y))

    def _axes(self, rank: int) -> list[int]:
        return [a for a in range(rank) if self.rng.integers(2)]

    def _reduce(self, values: list[Any]) -> Step | None:
        k = self._any_float(values, 1)
        if k is None:
            return None
        axes, keep = self._axes(len(values[k].shape)), bool(self.rng.integers(2))
        name = str(self.rng.choice(["reduce_sum", "reduce_mean", "reduce_max"]))
        reduce = getattr(tf, name)
        return (name, (k,), lambda _, x: reduce(x, axis=axes, keepdims=keep))

    def _move(self, values: list[Any]) -> Step | None:
        k = self._any_float(values, 1)
        if k is None:
            return None
        x = values[k]
        rank, shape = len(x.shape), tuple(x.shape)
        order = [int(a) for a in self.rng.permutation(rank)]
        axis = int(self.rng.integers(rank))
        first = int(self.rng.integers(shape[axis]))
        paddings = [[int(n) for n in self.rng.integers(0, 3, 2)] for _ in range(rank)]
        repeats = [int(n) for n in self.rng.integers(1, 3, rank)]
        part = (slice(None),) * axis + (slice(first, None),)
        moves = {
            "transpose": lambda _, x: tf.transpose(x, order),
            "reshape": lambda _, x: tf.reshape(x, [-1]),
            "rows": lambda _, x: tf.reshape(x, [shape[0], -1]),
            "slice": lambda _, x: x[part],
            "flip": lambda _, x: tf.reverse(x, [axis]),
            "pad": lambda _, x: tf.pad(x, paddings, constant_values=0.5),
            "tile": lambda _, x: tf.tile(x, repeats),
            "concat": lambda _, x: tf.concat([x, x * 2.0], axis),
            "stack": lambda _, x: tf.stack([x, x + 1.0], axis),
            "expand": lambda _, x: tf.expand_dims(x, axis),
        }
        name = str(self.rng.choice(list(moves)))
        return (name, (k,), moves[name])

    def _integer(self, values: list[Any]) -> Step | None:
        k = self._pick(values, lambda x: x.dtype == tf.int32)
        name = str(self.rng.choice(list(INTEGER)))
        return (name, (k,), lambda _, x: INTEGER[name](x))

    def _choose(self, values: list[Any]) -> Step | None:
        i = self._pick(values, lambda x: x.dtype == tf.int32)
        k = self._any_float(values)

        def choose(_: Any, x: Any, number: Any) -> Any:
            odd = tf.reduce_sum(number) % 2 == 1
            return tf.where(odd, x, x * 0.5 - 1.0)

        return ("where", (k, i), choose)

    def _matmul(self, values: list[Any]) -> Step | None:
        k = self._any_float(values, 2)
        if k is None or len(values[k].shape) > 3:
            return None
        flip = bool(self.rng.integers(2))

        def product(_: Any, x: Any) -> Any:
            return tf.matmul(x, x, transpose_a=flip, transpose_b=not flip) * 0.25

        return ("matmul", (k,), product)

    def _softmax(self, values: list[Any]) -> Step | None:
        k = self._any_float(values, 1)
        return None if k is None else ("softmax", (k,), lambda _, x: tf.nn.softmax(x))

    def _scan(self, values: list[Any]) -> Step | None:
        k = self._any_float(values, 1)
        return None if k is None else ("cumsum", (k,), lambda _, x: tf.cumsum(x, axis=-1) * 0.2)

    def _gather(self, values: list[Any]) -> Step | None:
        k = self._any_float(values, 1)
        i = self._pick(values, lambda x: x.dtype == tf.int32)
        if k is None:
            return None
        return ("gather", (k, i), lambda _, x, i: tf.gather(x, i % x.shape[0]))

    def _assign(self, values: list[Any]) -> Step | None:
        k = self._any_float(values)

        def update(variable: Any, x: Any) -> Any:
            variable.assign_add(tf.ones([4, 3], x.dtype) * tf.tanh(tf.reduce_mean(x)))
            return variable.read_value()

        return ("assign_add", (k,), update)

    def _read(self, values: list[Any]) -> Step | None:
        k = self._any_float(values)

        def read(variable: Any, x: Any) -> Any:
            before = variable.read_value()
            variable.assign(before * 0.5)
            return before + tf.reduce_mean(x)

        return ("read", (k,), read)

    def _branch(self, values: list[Any]) -> Step | None:
        k = self._any_float(values)
        i = self._pick(values, lambda x: x.dtype == tf.int32)

        def branch(variable: Any, x: Any, number: Any) -> Any:
            def one() -> Any:
                variable.assign_sub(tf.ones_like(variable) * 0.125)
                return tf.tanh(x)

            return tf.cond(tf.reduce_sum(number) > 0, one, lambda: x * 0.75)

        return ("cond", (k, i), branch)

    def _loop(self, values: list[Any]) -> Step | None:
        k, rounds = self._any_float(values), int(self.rng.integers(0, 5))

        def loop(variable: Any, x: Any) -> Any:
            def body(i: Any, y: Any) -> Any:
                variable.assign_add(tf.ones_like(variable) * tf.cast(i, x.dtype) * 0.1)
                return i + 1, tf.tanh(y * 0.5 + x)

            return tf.while_loop(lambda i, y: i < rounds, body, (0, x))[1]

        return ("while", (k,), loop)

    def _halved(self, values: list[Any]) -> Step | None:
        k = self._any_float(values)
        return ("halved", (k,), lambda _, x: x * 0.5)


def run(
    program: Program, dtype: Any, wrap: Any = None, disturb: Any = None
) -> list[np.ndarray]:
    """The results, and the variable afterwards, of one or two calls."""
    inputs = [
        tf.constant(x.astype(np.float32) if x.dtype == np.float64 else x)
        for x in program.inputs
    ]
    inputs = [tf.cast(x, dtype) if x.dtype.is_floating else x for x in inputs]
    variable = tf.Variable(tf.cast(tf.constant(program.start.astype(np.float32)), dtype))

    def call(*given: Any) -> Any:
        return program(variable, *given, disturb=disturb)

    function = call if wrap is None else wrap(call)
    found: list[Any] = []
    for _ in range(2):
        found += [x.numpy() for x in function(*inputs)]
    return [*found, variable.numpy()]


def bounds(program: Program, runs: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The results in float64, and how far from them a float32 run may be."""
    exact = run(program, tf.float64)
    largest = [np.zeros(np.shape(x)) for x in exact]
    rng = np.random.default_rng(1)

    def disturb(x: Any) -> Any:
        noise = rng.uniform(-1, 1, tuple(x.shape)) * 2.0**-22
        return x * (1.0 + noise) + noise * 1e-3

    for _ in range(runs):
        for k, x in enumerate(run(program, tf.float64, disturb=disturb)):
            if np.shape(x):
                largest[k] = np.maximum(largest[k], np.abs(x - exact[k]).max(initial=0))
            else:
                largest[k] = np.maximum(largest[k], abs(x - exact[k]))
    once = 2.0**-24 * max(4, program.updates)  # how updates of variables round is not disturbed
    rounding = [once * np.abs(x).max(initial=1.0) for x in exact]
    return exact, [8 * x + r for x, r in zip(largest, rounding, strict=True)]
