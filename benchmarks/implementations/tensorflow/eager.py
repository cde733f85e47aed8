"""Small calls without a graph, as users write them at the prompt."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from benchmarks import data

Program = Callable[[], Any]


def on_matrices(operation: Callable[[Any, Any, Any], Any]) -> Callable[..., Program]:
    """A maker whose program is operation(tf, t, u)."""

    def make(tf: Any, inputs: data.Inputs) -> Program:
        t, u = tf.constant(inputs["t"]), tf.constant(inputs["u"])
        return lambda: operation(tf, t, u)

    return make


def assign_add(tf: Any, inputs: data.Inputs) -> Program:
    """An update in place."""
    v, u = tf.Variable(inputs["t"]), tf.constant(inputs["u"])
    return lambda: v.assign_add(u)


def tape(tf: Any, inputs: data.Inputs) -> Program:
    """A gradient tape."""
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)

    def program() -> Any:
        with tf.GradientTape() as tape:
            z = 3 * w1**2 + 2 * w1 * w2
        return tape.gradient(z, [w1, w2])

    return program


def loop_step(tf: Any, inputs: data.Inputs) -> Program:
    """One round of the inner loop of `examples/custom_training_loop.py`."""
    keras = tf.keras
    l2 = keras.regularizers.l2(0.05)
    model = keras.models.Sequential(
        [
            keras.layers.Dense(
                30, activation="elu", kernel_initializer="he_normal", kernel_regularizer=l2
            ),
            keras.layers.Dense(1, kernel_regularizer=l2),
        ]
    )
    x, y = data.training_set()
    optimizer = keras.optimizers.Nadam(learning_rate=0.01)
    loss_fn = keras.losses.mean_squared_error
    mean_loss = keras.metrics.Mean()
    metrics = [keras.metrics.MeanAbsoluteError()]
    sink = io.StringIO()

    def status_bar(iteration: int, total: int) -> None:
        figures = " - ".join(f"{m.name}: {m.result():.4f}" for m in [mean_loss, *metrics])
        sink.seek(0)
        print(f"\r{iteration}/{total} - {figures}", end="", file=sink)

    def step() -> None:
        x_batch, y_batch = data.random_batch(x, y)
        with tf.GradientTape() as tape:
            y_pred = model(x_batch, training=True)
            main_loss = tf.reduce_mean(loss_fn(y_batch, y_pred))
            loss = tf.add_n([main_loss, *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        mean_loss(loss)
        for metric in metrics:
            metric(y_batch, y_pred)
        status_bar(data.BATCH, len(y))

    return step


PROGRAMS = {
    "add": on_matrices(lambda tf, t, u: t + u),
    "add number": on_matrices(lambda tf, t, u: t + 10),
    "square": on_matrices(lambda tf, t, u: tf.square(t)),
    "matmul small": on_matrices(lambda tf, t, u: t @ tf.transpose(t)),
    "mean": on_matrices(lambda tf, t, u: tf.reduce_mean(t)),
    "slice": on_matrices(lambda tf, t, u: t[:, 1:]),
    "assign_add": assign_add,
    "tape": tape,
    "loop step": loop_step,
}
