"""Gradients of a program against central differences of its eager run, in float64."""

import numpy as np

import headrace as tf

STEP = 1e-6


def assert_gradients(program, x, **options):
    """The program as a graph gives what it gives eagerly, and so do its gradients of order
    1 and 2, which are the differences of what is one order below.
    """
    graph = tf.function(program, **options)
    weights = np.cos(np.arange(program(tf.constant(x)).numpy().size, dtype=np.float64))
    direction = np.sin(1.0 + np.arange(x.size, dtype=np.float64)).reshape(x.shape)

    def value(function, x):
        result = tf.reshape(function(x), [-1])
        return tf.reduce_sum(result * weights + result * result)

    def slope(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = value(function, x)
        return tf.reduce_sum(tape.gradient(y, x) * direction)

    def curvature(function, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = slope(function, x)
        found = tape.gradient(y, x)
        return 0.0 if found is None else tf.reduce_sum(found * direction)

    at = tf.constant(x)
    np.testing.assert_allclose(graph(at), program(at), rtol=1e-12)
    for function in (program, graph):
        for lower, upper in ((value, slope), (slope, curvature)):
            ahead = lower(program, tf.constant(x + STEP * direction))
            behind = lower(program, tf.constant(x - STEP * direction))
            difference = (float(ahead) - float(behind)) / (2 * STEP)
            np.testing.assert_allclose(upper(function, at), difference, rtol=1e-5, atol=1e-6)
