"""Single functions of large and small tensors, each compiled by `tf.function`.

The makers get the library, `function` (its `tf.function`, with or without `jit_compile`) and
the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.data import Inputs

Function = Callable[[Callable[..., Any]], Any]
Program = Callable[[], Any]


def of_tensors(body: Callable[..., Any], *names: str) -> Callable[..., Program]:
    """A maker whose program is body(tf, *tensors) in one compiled call."""

    def make(tf: Any, function: Function, inputs: Inputs) -> Program:
        tensors = [tf.constant(inputs[name]) for name in names]
        compiled = function(lambda *args: body(tf, *args))
        return lambda: compiled(*tensors)

    return make


def huber(tf: Any, y_true: Any, y_pred: Any) -> Any:
    """The notes' Huber loss, averaged."""
    error = y_true - y_pred
    is_small_error = tf.abs(error) < 1
    squared_loss = tf.square(error) / 2
    linear_loss = tf.abs(error) - 0.5
    return tf.reduce_mean(tf.where(is_small_error, squared_loss, linear_loss))


def softmax_loss(tf: Any, logits: Any, labels: Any) -> Any:
    """Mean softmax cross-entropy and its gradient."""
    with tf.GradientTape() as tape:
        tape.watch(logits)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        loss = tf.reduce_mean(losses)
    return loss, tape.gradient(loss, logits)


def normalise(tf: Any, x: Any, scale: Any, offset: Any) -> Any:
    """Layer normalisation over the last axis."""
    mean, variance = tf.nn.moments(x, [-1], keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-5) * scale + offset


def layer_norm(tf: Any, x: Any, scale: Any, offset: Any, dy: Any) -> Any:
    """Normalised rows, and the gradients of all three inputs."""
    with tf.GradientTape() as tape:
        tape.watch([x, scale, offset])
        y = normalise(tf, x, scale, offset)
    return y, tape.gradient(y, [x, scale, offset], output_gradients=dy)


def gelu(tf: Any, x: Any, dy: Any) -> Any:
    """GELU and its gradient."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.gelu(x)
    return y, tape.gradient(y, x, output_gradients=dy)


def adam(tf: Any, function: Function, inputs: Inputs) -> Program:
    """Adam's update of one large variable; some of its weights are the result."""
    weights, gradient = tf.Variable(inputs["weights"]), tf.constant(inputs["gradient"])
    optimizer = tf.keras.optimizers.Adam(learning_rate=0.01)

    @function
    def update(gradient: Any) -> Any:
        optimizer.apply_gradients([(gradient, weights)])
        return weights[:1000]

    return lambda: update(gradient)


def graph(tf: Any, function: Function, inputs: Inputs) -> Program:
    """A graph of about so many nodes of mixed kinds."""
    x, w = tf.constant(inputs["x"]), tf.constant(inputs["w"])

    @function
    def deep(x: Any, w: Any) -> Any:
        for block in range(inputs["nodes"] // 6):
            y = x * (1 + 1 / (block + 2)) if block % 4 else x @ w
            y = tf.tanh(y + w)
            x = y - tf.reduce_mean(y, axis=-1, keepdims=True) + x
        return x

    return lambda: deep(x, w)


def scatter_add(tf: Any, x: Any, places: Any) -> Any:
    """Each element added to its place."""
    return tf.math.unsorted_segment_sum(x, places, x.shape[0])


PROGRAMS = {
    "cube": of_tensors(lambda tf, x: x**3, "x"),
    "huber": of_tensors(huber, "y_true", "y_pred"),
    "softmax loss": of_tensors(softmax_loss, "logits", "labels"),
    "layer norm": of_tensors(layer_norm, "x", "scale", "offset", "dy"),
    "gelu": of_tensors(gelu, "x", "dy"),
    "adam": adam,
    "matmul": of_tensors(lambda tf, a, b: a @ b, "a", "b"),
    "chain": of_tensors(
        lambda tf, x, y: tf.tanh(x * y + 0.5) * tf.sigmoid(y) - 0.1 * x, "x", "y"
    ),
    "reduction": of_tensors(lambda tf, x: tf.reduce_sum(x), "x"),
    "matvec": of_tensors(lambda tf, a, x: tf.linalg.matvec(a, x), "a", "x"),
    "gather": of_tensors(lambda tf, x, places: tf.gather(x, places), "x", "places"),
    "scatter-add": of_tensors(scatter_add, "x", "places"),
    "graph": graph,
}
