"""Random programs whose arguments have an unknown number of rows: one trace, several sizes.

Read `exact.py` before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import headrace as tf
from tests.compile.cluster.exact import DTYPES, Block, State, Step, drawn, outcome
from tests.compile.cluster.exact_steps import (
    assign,
    binary,
    branch,
    cast,
    gradient,
    loop,
    matmul,
    one_hot,
    read,
    reduce,
    scan,
    step,
    unary,
    until,
    where,
)

ROWS = (7, 1, 4, 0, 7, 33)
"""How many rows the calls have; steps are drawn for the first, which no other size is."""


def turn(block: Block) -> Step | None:
    k = block.of(DTYPES, 1)
    if k is None:
        return None
    rank = len(block.values[k].shape)
    axis = block.number(0, rank)
    order = [int(a) for a in block.rng.permutation(rank)]
    turns = {
        "transpose": lambda x: tf.transpose(x, order),
        "flip": lambda x: tf.reverse(x, [axis]),
        "concat": lambda x: tf.concat([x, tf.reverse(x, [axis])], axis),
        "stack": lambda x: tf.stack([x, x], axis),
        "expand": lambda x: tf.expand_dims(x, axis),
        "line": lambda x: tf.reshape(x, [-1]),
        "reversed": lambda x: tf.reshape(x, tf.shape(x)[::-1]),
        "like": lambda x: x[..., tf.newaxis][..., 0],
        "half": lambda x: x[::2],
    }
    name = block.one_of(list(turns))
    return step(f"{name} {axis}", (k,), turns[name])


UNKNOWN = [unary] * 3 + [binary] * 4 + [cast, where, reduce, reduce, scan, matmul, one_hot]
UNKNOWN += [turn, turn, turn, branch, loop, until, gradient, assign, read]


class Sizes:
    """A random program of a number, for calls of all `ROWS`."""

    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng(number)
        dtypes = (tf.float32, tf.int32, DTYPES[self.rng.integers(len(DTYPES))])
        self.specs = list(zip(((3,), (), (5,)), dtypes, strict=True))
        self.calls = [
            [drawn(self.rng, (n, *shape), dtype) for shape, dtype in self.specs] for n in ROWS
        ]
        self.block = Block(self.rng, self.calls[0], int(self.rng.integers(3, 12)), UNKNOWN, 1)

    def __repr__(self) -> str:
        return f"rows of {self.specs}\n{self.block}"

    def run(self, wrap: Callable[..., Any]) -> list[np.ndarray]:
        """The results of all calls and the variables after each."""
        state = State()

        def call(*values: Any) -> list[Any]:
            return self.block(state, *values)[len(values) :]

        signature = [tf.TensorSpec([None, *shape], dtype) for shape, dtype in self.specs]
        function, arrays = wrap(call, input_signature=signature), []
        for values in self.calls:
            arrays += outcome(function, *values)
            arrays += [v.numpy() for v in state.variables]
        return arrays
