"""Products that leave loops: which ones do, and that nothing else changes.

All values are small whole numbers, so that sums are exact in any order.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags
from headrace.compile import interpret
from headrace.compile.cluster import made
from headrace.compile.loops import ir
from headrace.compile.loops.verify import verify
from headrace.compile.schedule import batch, single

T, B, N, U = 5, 3, 4, 6


def numbers(*shape):
    rng = np.random.default_rng(int(np.prod(shape)))
    return tf.constant(rng.integers(-2, 3, shape).astype(np.float32))


X, K, R, W = numbers(T, B, N), numbers(N, U), numbers(U, U), numbers(U, 2)


def clip(x):
    return tf.clip_by_value(x, -3.0, 3.0)


def recurrent(x, k, r, times):
    h = tf.zeros([B, U])
    for t in times:
        h = clip(x[t] @ k + h @ r)
    return h


def forward(x, k, r, w):
    return recurrent(x, k, r, tf.range(T)) @ w


def backwards(x, k, r, w):
    return recurrent(x, k, r, tf.range(T - 1, -1, -1)) @ w


def by_twos(x, k, r, w):
    return recurrent(x, k, r, tf.range(0, T, 2)) @ w


def gradient(x, k, r, w):
    with tf.GradientTape() as tape:
        tape.watch([k, r, w])
        loss = tf.reduce_sum(forward(x, k, r, w))
    return tape.gradient(loss, [k, r, w])


def gradient_backwards(x, k, r, w):
    with tf.GradientTape() as tape:
        tape.watch([x, k, r])
        loss = tf.reduce_sum(backwards(x, k, r, w))
    return tape.gradient(loss, [x, k, r])


def tied(x, k, r, w):
    """The gradient of a matrix that each round uses twice."""
    with tf.GradientTape() as tape:
        tape.watch(k)
        h = tf.zeros([B, N])
        for t in tf.range(T):
            h = clip(tf.matmul(clip(x[t] @ k - h @ k), k, transpose_b=True))
        loss = tf.reduce_sum(h)
    return tape.gradient(loss, k)


def outputs(x, k, r, w):
    """What each round gives is a product of its own."""
    h, rows = tf.zeros([B, U]), tf.TensorArray(tf.float32, T, element_shape=[B, 2])
    for t in tf.range(T):
        h = clip(x[t] @ k + h @ r)
        rows = rows.write(t, h @ w)
    return rows.stack()


def summed(x, k, r, w):
    total = tf.zeros([N, N])
    for t in tf.range(T):
        total += tf.matmul(x[t], x[t], transpose_a=True)
    return total


def scaled(x, k, r, w):
    """A sum that is more than a sum waits for its rounds."""
    total = tf.zeros([N, N])
    for t in tf.range(T):
        total = 0.5 * total + tf.matmul(x[t] + total[:B], x[t], transpose_a=True)
    return total


def nested(x, k, r, w):
    """The product of the inner loop is the same in each round of the outer one."""
    h = tf.zeros([B, U])
    for _ in tf.range(2):
        for t in tf.range(T):
            h = clip(x[t] @ k + h)
        h = clip(h @ r)
    return h


def two_conditions(x, k, r, w):
    h, i, left = tf.zeros([B, U]), tf.constant(0), tf.constant(3)
    while tf.logical_and(i < T, left > 0):
        h = clip(x[i] @ k + h @ r)
        i, left = i + 1, left - 1
    return h


def branching(x, k, r, w):
    """A branch reads what was computed for all rounds."""
    h = tf.zeros([B, U])
    for t in tf.range(T):
        y = x[t] @ k
        if h[0, 0] > 0:
            h = clip(y + h)
        else:
            h = clip(h - y)
    return h


def last(x, k, r, w):
    """The result of the last round is read after the loop."""
    y = tf.zeros([B, U])
    for t in tf.range(T):
        y = x[t] @ k
    return y


def unknown(x, k, r, w):
    """It depends on data how often the loop runs."""
    h, t = tf.zeros([B, U]), tf.constant(0)
    while t < T and tf.reduce_sum(h) < 20.0:
        h = clip(x[t] @ k + h @ r)
        t += 1
    return h


def scanned(x, k, r, w):
    return tf.scan(lambda h, row: clip(row @ k + h @ r), x, tf.zeros([B, U])) @ w


CASES = [  # products in loops and outside of them, before and after
    (forward, (2, 1), (1, 2)),
    (backwards, (2, 1), (1, 2)),
    (by_twos, (2, 1), (1, 2)),
    (gradient, (5, 2), (2, 5)),
    (gradient_backwards, (6, 1), (2, 5)),
    (tied, (8, 0), (4, 4)),
    (outputs, (3, 0), (1, 2)),
    (summed, (1, 0), (0, 1)),
    (scaled, (1, 0), (1, 0)),
    (nested, (2, 0), (1, 1)),
    (two_conditions, (2, 0), (1, 1)),
    (branching, (1, 0), (0, 1)),
    (last, (1, 0), (0, 1)),
    (unknown, (2, 0), (2, 0)),
    (scanned, (2, 1), (1, 2)),
]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(batch.__globals__, "_SMALL", 0)
    with flags.COMPILE.override("always"):
        yield


def products(steps: ir.Steps, inside: bool = False) -> tuple[int, int]:
    """How many products there are in loops, and elsewhere."""
    within = apart = 0
    for one in steps:
        parts = []
        match one:
            case ir.Stage(kind="contract"):
                within, apart = within + inside, apart + (not inside)
            case ir.Repeat(head, _, body):
                parts = [products(head + body, True)]
            case ir.Branch(_, sides):
                parts = [products(side, inside) for side in sides]
        within += sum(part[0] for part in parts)
        apart += sum(part[1] for part in parts)
    return within, apart


@pytest.mark.parametrize(
    ("function", "before", "after"), CASES, ids=[case[0].__name__ for case in CASES]
)
def test_products_leave_loops(function, before, after, monkeypatch):
    seen = []

    def lowered(program):
        loops, builder = original(program)
        seen.append((loops, builder))
        return loops, builder

    original = made.lowered
    monkeypatch.setattr(made, "lowered", lowered)
    with flags.CACHE.override(""):
        got = tf.function(function, jit_compile=True)(X, K, R, W)
    for x, y in zip(tf.nest.flatten(got), tf.nest.flatten(function(X, K, R, W)), strict=True):
        np.testing.assert_array_equal(x, y)
    ((loops, builder),) = seen
    changed = verify(batch(single(loops)))
    assert (products(loops.stages), products(changed.stages)) == (before, after)
    known = {b.name: array for b, array in builder.constants}
    free = itertools.count(1)
    arrays = [
        known[b.name] if b.name in known else numbers(*b.shape, next(free))[..., 0].numpy()
        for b in loops.inputs
    ]
    for x, y in zip(interpret(loops, arrays), interpret(changed, arrays), strict=True):
        np.testing.assert_array_equal(x, y)
