"""Functions that know little of shapes give what they give eagerly, gradients included."""

import numpy as np
import pytest

import headrace as tf

NUMBERS = np.random.default_rng(5).uniform(0.1, 1.1, (4, 3)).astype(np.float32)
PROGRAMS = {
    "padding by a computed width": lambda x: tf.pad(x, [[0, 7 - tf.shape(x)[0]], [1, 0]]),
    "mirrored padding": lambda x: tf.pad(x, [[tf.shape(x)[1] - 2, 1], [0, 1]], "SYMMETRIC"),
    "tiling": lambda x: tf.tile(x, tf.stack([2, tf.shape(x)[1]])),
    "slice": lambda x: tf.slice(x, tf.shape(x) - [2, 1], [2, 1]),
    "mean": lambda x: tf.reduce_mean(x, axis=tf.rank(x) - 1),
    "product": lambda x: tf.reduce_prod(x, axis=[0, 1]),
    "contraction": lambda x: tf.tensordot(x, tf.ones([3, 2]), 1),
    "rows": lambda x: tf.gather(x, [0, 2, 0]),
    "pieces": lambda x: tf.split(x, 3, axis=1)[1] * tf.split(x, 1)[0],
    "masked": lambda x: tf.boolean_mask(x, x[:, 1] > 0.5),
    "masked columns": lambda x: tf.boolean_mask(x, x[0] > 0.5, axis=1),
    "identity": lambda x: tf.matmul(x, tf.eye(tf.shape(x)[1])),
    "steps": lambda x: tf.linspace(x[0], x[1] * 2.0, tf.shape(x)[1], axis=-1),
    "a loss": lambda x: tf.keras.losses.MeanSquaredError()(x * x, x),
    "a weighted loss": lambda x: tf.keras.losses.MeanAbsoluteError()(x * x, x, x[:, 0]),
    "segments": lambda x: tf.math.unsorted_segment_sum(x, [0, 1, 0, 2], 3),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_program(program):
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = program(x)
        return tf.convert_to_tensor(tape.gradient(y, x))

    x = tf.constant(NUMBERS)
    spec = [tf.TensorSpec([None, None])]
    for call in (program, slope):
        found = tf.function(call, input_signature=spec, autograph=False)(x)
        np.testing.assert_allclose(found, call(x), rtol=1e-6)
