"""Gradients of any order through branches, loops, maps and calls, however tapes and functions
lie in one another."""

import numpy as np
import pytest

import headrace as tf

X = np.array([0.5, 1.25, 2.0])
PROGRAMS = {
    "branch": lambda x: tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * x * x, lambda: x),
    "choice": lambda x: tf.switch_case(tf.constant(1), [lambda: x, lambda: tf.sin(x) * x]),
    "loop": lambda x: tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x), [0, x])[1],
    "loop with branches": lambda x: tf.while_loop(
        lambda i, a: i < 4,
        lambda i, a: (i + 1, tf.cond(i % 2 == 0, lambda: a * x, lambda: tf.sin(a))),
        [0, x],
    )[1],
    "map": lambda x: tf.map_fn(lambda a: a * a * a, x),
    "scan": lambda x: tf.scan(lambda a, b: a * b, x),
    "fold": lambda x: tf.foldl(lambda a, b: a * b + tf.sin(b), x),
    "calls": lambda x: tf.function(lambda a: tf.function(lambda b: b**4)(a) * 2.0)(x),
}


def slope(f, order):
    """The gradient of the sum of f, so many times."""
    if order == 0:
        return f

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = slope(f, order - 1)(x)
        return tape.gradient(y, x)

    return gradient


def graph(f):
    return tf.function(f, autograph=False)


NESTINGS = {
    "tapes in a function": lambda f, order: graph(slope(f, order)),
    "a function in tapes": lambda f, order: slope(graph(f), order),
    "functions all over": lambda f, order: graph(slope(graph(slope(f, 1)), order - 1)),
    "tapes around a function with one": lambda f, order: slope(graph(slope(f, 1)), order - 1),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("nesting", NESTINGS.values(), ids=NESTINGS)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradient(program, nesting, order):
    x = tf.constant(X)
    expected = slope(program, order)(x)
    np.testing.assert_allclose(nesting(program, order)(x), expected, rtol=1e-12)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_forward_over_reverse(program):
    def both(x):
        with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
            y = program(x)
            g = slope(program, 1)(x)
        return accumulator.jvp(y), accumulator.jvp(g)

    x = tf.constant(X)
    for found, expected in zip(graph(both)(x), both(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_hessian(program):
    def hessian(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            g = slope(program, 1)(x)
        return outer.jacobian(g, x)

    x = tf.constant(X)
    np.testing.assert_allclose(graph(hessian)(x), hessian(x), rtol=1e-12)
