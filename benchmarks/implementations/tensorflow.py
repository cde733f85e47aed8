"""The programs in TensorFlow's API, for TensorFlow itself and for Headrace."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from typing import Any

from benchmarks import cases as c

Program = Callable[[], Any]


def cases(module: str = "tensorflow") -> dict[str, Program]:
    """The programs on the library that `module` names."""
    tf = importlib.import_module(module)
    t, u = tf.constant(c.T), tf.constant(c.U)
    v = tf.Variable(c.T)
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)

    def tape() -> Any:
        with tf.GradientTape() as tape:
            z = 3 * w1**2 + 2 * w1 * w2
        return tape.gradient(z, [w1, w2])

    return {
        c.ADD: lambda: t + u,
        c.ADD_NUMBER: lambda: t + 10,
        c.SQUARE: lambda: tf.square(t),
        c.MATMUL: lambda: t @ tf.transpose(t),
        c.MEAN: lambda: tf.reduce_mean(t),
        c.SLICE: lambda: t[:, 1:],
        c.ASSIGN_ADD: lambda: v.assign_add(u),
        c.TAPE: tape,
        c.LOOP_STEP: loop_step(tf),
    }


def loop_step(tf: Any) -> Program:
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
    x, y = c.training_set()
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
        x_batch, y_batch = c.random_batch(x, y)
        with tf.GradientTape() as tape:
            y_pred = model(x_batch, training=True)
            main_loss = tf.reduce_mean(loss_fn(y_batch, y_pred))
            loss = tf.add_n([main_loss, *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        mean_loss(loss)
        for metric in metrics:
            metric(y_batch, y_pred)
        status_bar(c.BATCH, len(y))

    return step
