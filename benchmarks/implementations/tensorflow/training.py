"""Training steps, each one compiled call: forward, backward, optimizer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import data
from benchmarks.implementations.tensorflow.kernels import Function, Program, normalise


def batches(inputs: data.Inputs) -> Iterator[Any]:
    """The training set, batch after batch, without end; NumPy arrays, as data come."""
    x, y = inputs["x"], inputs["y"]
    rows = [slice(k * data.BATCH, (k + 1) * data.BATCH) for k in range(data.STEPS)]
    return itertools.cycle([(x[r], y[r]) for r in rows])


def notes_training(tf: Any, inputs: data.Inputs) -> Callable[[Any, Any], Any]:
    """The body of the notes' training loop: (x, y) -> loss."""
    keras = tf.keras
    l2_reg = keras.regularizers.l2(0.05)
    model = keras.models.Sequential(
        [
            keras.layers.Dense(
                30, activation="elu", kernel_initializer="he_normal", kernel_regularizer=l2_reg
            ),
            keras.layers.Dense(1, kernel_regularizer=l2_reg),
        ]
    )
    model(inputs["x"][: data.BATCH])
    for variable, value in zip(model.trainable_variables, inputs["weights"], strict=True):
        variable.assign(value)
    optimizer = keras.optimizers.Nadam(learning_rate=0.01)
    loss_fn = keras.losses.mean_squared_error
    mean_loss = keras.metrics.Mean()
    metrics = [keras.metrics.MeanAbsoluteError()]

    def train(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            y_pred = model(x, training=True)
            main_loss = tf.reduce_mean(loss_fn(y, y_pred))
            loss = tf.add_n([main_loss, *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        mean_loss(loss)
        for metric in metrics:
            metric(y, y_pred)
        return loss

    return train


def notes_step(tf: Any, function: Function, inputs: data.Inputs) -> Program:
    """One compiled call a batch."""
    step = function(notes_training(tf, inputs))
    queue = batches(inputs)
    return lambda: step(*next(queue))


def notes_epoch(tf: Any, function: Function, inputs: data.Inputs) -> Program:
    """One compiled call an epoch, which draws the batches itself; the mean loss."""
    train = notes_training(tf, inputs)
    x, y = tf.constant(inputs["x"]), tf.constant(inputs["y"])

    @function
    def epoch(x: Any, y: Any) -> Any:
        total = tf.constant(0.0)
        for _ in tf.range(data.STEPS):
            rows = tf.random.uniform([data.BATCH], maxval=data.DISTRICTS, dtype=tf.int32)
            total += train(tf.gather(x, rows), tf.gather(y, rows))
        return total / data.STEPS

    return lambda: epoch(x, y)


def adam_step(tf: Any, function: Function, inputs: data.Inputs, loss_of: Any) -> Any:
    """A compiled step (x, y) -> loss of variables, by Adam; loss_of(tf, weights, x, y)."""
    variables = [tf.Variable(value) for value in inputs["weights"]]
    optimizer = tf.keras.optimizers.Adam(learning_rate=0.001)

    @function
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(tf, variables, x, y)
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    return step


def mlp(tf: Any, function: Function, inputs: data.Inputs) -> Program:
    """A classifier of digits."""

    def loss_of(tf: Any, weights: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        hidden = tf.nn.relu(tf.nn.relu(x @ w1 + b1) @ w2 + b2)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, hidden @ w3 + b3)
        return tf.reduce_mean(losses)

    step = adam_step(tf, function, inputs, loss_of)
    queue = itertools.cycle(zip(inputs["x"], inputs["y"], strict=True))
    return lambda: step(*next(queue))


def lstm(tf: Any, function: Function, inputs: data.Inputs) -> Program:
    """Two LSTM layers in a loop over time, and a dense layer on what they end with."""

    def cell(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        gates = x @ kernel + h @ recurrent + bias
        i, f, g, o = tf.split(gates, 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        return tf.sigmoid(o) * tf.tanh(c), c

    def loss_of(tf: Any, weights: Any, x: Any, y: Any) -> Any:
        first, second, (kernel, bias) = weights[:3], weights[3:6], weights[6:]
        zeros = tf.zeros([x.shape[1], first[1].shape[0]])
        h1, c1, h2, c2 = zeros, zeros, zeros, zeros
        for t in tf.range(x.shape[0]):
            h1, c1 = cell(x[t], h1, c1, *first)
            h2, c2 = cell(h1, h2, c2, *second)
        return tf.reduce_mean(tf.square(h2 @ kernel + bias - y))

    return on_one_batch(tf, adam_step(tf, function, inputs, loss_of), inputs)


def transformer(tf: Any, function: Function, inputs: data.Inputs) -> Program:
    """Two blocks with the normalisation before attention and network.

    Tokens are rows [batch * tokens, width], so that dense layers are plain matrix products.
    """
    batch, tokens, width = inputs["x"].shape
    depth = width // data.HEADS

    def heads(rows: Any) -> Any:
        x = tf.reshape(rows, [batch, tokens, data.HEADS, depth])
        return tf.transpose(x, [0, 2, 1, 3])

    def block(x: Any, g1: Any, o1: Any, wq: Any, bq: Any, wo: Any, bo: Any, *rest: Any) -> Any:
        g2, o2, w1, b1, w2, b2 = rest
        q, k, v = (
            heads(part) for part in tf.split(normalise(tf, x, g1, o1) @ wq + bq, 3, axis=-1)
        )
        scores = tf.matmul(q, k, transpose_b=True) * depth**-0.5
        mixed = tf.transpose(tf.matmul(tf.nn.softmax(scores), v), [0, 2, 1, 3])
        x = x + tf.reshape(mixed, [batch * tokens, width]) @ wo + bo
        return x + tf.nn.gelu(normalise(tf, x, g2, o2) @ w1 + b1) @ w2 + b2

    def loss_of(tf: Any, weights: Any, x: Any, y: Any) -> Any:
        rows = tf.reshape(x, [batch * tokens, width])
        rows = block(block(rows, *weights[:12]), *weights[12:])
        return tf.reduce_mean(tf.square(rows - tf.reshape(y, rows.shape)))

    return on_one_batch(tf, adam_step(tf, function, inputs, loss_of), inputs)


def on_one_batch(tf: Any, step: Callable[[Any, Any], Any], inputs: data.Inputs) -> Program:
    """A program that trains on the same batch again and again."""
    x, y = tf.constant(inputs["x"]), tf.constant(inputs["y"])
    return lambda: step(x, y)


PROGRAMS = {
    "notes step": notes_step,
    "notes epoch": notes_epoch,
    "mlp": mlp,
    "lstm": lstm,
    "transformer": transformer,
}
