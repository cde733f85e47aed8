"""One epoch of the notes' training loop from fixed weights and batches, and its losses.

    python -m tests.notes.training MODULE     prints the losses, one JSON list

With `tensorflow` (and Keras 2) as the module it makes `training_golden.json`, which is what
Headrace's losses are compared with.
"""

import importlib
import json
import sys

import numpy as np

ROWS, FEATURES, BATCH = 11_610, 8, 32


def losses(tf) -> list[float]:
    """The loss of each step of an epoch, penalty included."""
    keras = tf.keras
    random = np.random.default_rng(seed=3)
    x = random.standard_normal([ROWS, FEATURES])
    y = 2 + x[:, :1] - 0.5 * x[:, 1:2] ** 2 + 0.1 * random.standard_normal([ROWS, 1])
    l2_reg = keras.regularizers.l2(0.05)
    model = keras.models.Sequential(
        [
            keras.layers.Dense(
                30, activation="elu", kernel_initializer="he_normal", kernel_regularizer=l2_reg
            ),
            keras.layers.Dense(1, kernel_regularizer=l2_reg),
        ]
    )
    model(x[:1])
    for variable in model.trainable_variables:
        scale = 0.5 / variable.shape[0] ** 0.5
        variable.assign(scale * random.standard_normal(variable.shape.as_list()))
    optimizer = keras.optimizers.Nadam(learning_rate=0.01)
    found = []
    for _ in range(ROWS // BATCH):
        rows = random.integers(ROWS, size=BATCH)
        with tf.GradientTape() as tape:
            y_pred = model(x[rows], training=True)
            main_loss = tf.reduce_mean(keras.losses.mean_squared_error(y[rows], y_pred))
            loss = tf.add_n([main_loss] + model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        found.append(float(loss))
    return found


if __name__ == "__main__":
    figures = losses(importlib.import_module(sys.argv[1]))
    print(json.dumps([float(f"{figure:.8g}") for figure in figures]))
