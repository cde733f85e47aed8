"""What is measured, and the data that all implementations use.

A program of a case is a function without arguments. Whatever an implementation prepares once
(tensors, models) is made before the clock starts.
"""

from __future__ import annotations

import numpy as np

# In the order of the table. Imports are measured in fresh processes by run.py.
IMPORT = "import"
IMPORT_KERAS = "import, keras.layers included"
ADD = "t + u"
ADD_NUMBER = "t + 10"
SQUARE = "tf.square(t)"
MATMUL = "t @ t.T"
MEAN = "tf.reduce_mean(t)"
SLICE = "t[:, 1:]"
ASSIGN_ADD = "v.assign_add(t)"
TAPE = "tape of 3*w1**2 + 2*w1*w2"
LOOP_STEP = "step of the custom training loop"
CASES = (ADD, ADD_NUMBER, SQUARE, MATMUL, MEAN, SLICE, ASSIGN_ADD, TAPE, LOOP_STEP)

T = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
U = [[0.5, 0.25, 1.0], [1.0, 2.0, 0.125]]

DISTRICTS, FEATURES, BATCH = 11_610, 8, 32


def training_set() -> tuple[np.ndarray, np.ndarray]:
    """Inputs [districts, 8] and targets [districts, 1], float64, of the housing data's size."""
    random = np.random.default_rng(seed=42)
    x = random.standard_normal([DISTRICTS, FEATURES])
    y = 2.0 + x[:, :1] - 0.5 * x[:, 1:2] ** 2 + 0.1 * random.standard_normal([DISTRICTS, 1])
    return x, y


def random_batch(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A batch of 32 rows drawn with replacement."""
    rows = np.random.randint(len(x), size=BATCH)
    return x[rows], y[rows]
