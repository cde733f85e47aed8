"""The inputs of the cases: NumPy arrays, the same in every library and every run.

Functions named after what they feed; each returns a dictionary from names to arrays (or lists
of arrays, or plain numbers).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Inputs = dict[str, Any]

T = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
U = [[0.5, 0.25, 1.0], [1.0, 2.0, 0.125]]

DISTRICTS, FEATURES, BATCH = 11_610, 8, 32
STEPS = DISTRICTS // BATCH  # steps of an epoch
MANY, ROWS = 10_000_000, 100_000
CLASSES, HEADS = 10, 4


def randomness() -> np.random.Generator:
    """Numbers that are the same in every process."""
    return np.random.default_rng(seed=42)


def normal(random: np.random.Generator, *shape: int, scale: float = 1.0) -> np.ndarray:
    """float32 numbers from a normal distribution."""
    return random.standard_normal(shape, np.float32) * np.float32(scale)


def dense(random: np.random.Generator, *widths: int) -> list[np.ndarray]:
    """Kernels [before, after] and biases [after] of a stack of dense layers."""
    weights = []
    for before, after in zip(widths, widths[1:], strict=False):
        weights += [normal(random, before, after, scale=before**-0.5), normal(random, after)]
    return weights


def small() -> Inputs:
    """The two small matrices of the eager cases."""
    return {"t": np.array(T, np.float32), "u": np.array(U, np.float32)}


def training_set() -> tuple[np.ndarray, np.ndarray]:
    """Inputs [districts, 8] and targets [districts, 1], float64, of the housing data's size."""
    random = randomness()
    x = random.standard_normal([DISTRICTS, FEATURES])
    y = 2.0 + x[:, :1] - 0.5 * x[:, 1:2] ** 2 + 0.1 * random.standard_normal([DISTRICTS, 1])
    return x, y


def random_batch(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A batch of 32 rows drawn with replacement."""
    rows = np.random.randint(len(x), size=BATCH)
    return x[rows], y[rows]


def notes() -> Inputs:
    """The training set in float32 and the weights that the notes' model begins with."""
    x, y = training_set()
    weights = dense(randomness(), FEATURES, 30, 1)
    return {"x": x.astype(np.float32), "y": y.astype(np.float32), "weights": weights}


def cube() -> Inputs:
    """A scalar."""
    return {"x": np.float32(2.0)}


def huber(n: int = MANY) -> Inputs:
    """Targets and predictions, of which some are far apart."""
    random = randomness()
    return {"y_true": normal(random, n), "y_pred": normal(random, n)}


def softmax_losses(rows: int = ROWS, classes: int = 100) -> Inputs:
    """Logits [rows, classes] and the right classes."""
    random = randomness()
    labels = random.integers(classes, size=rows, dtype=np.int32)
    return {"logits": normal(random, rows, classes, scale=3), "labels": labels}


def layer_norm(rows: int = ROWS, width: int = 100) -> Inputs:
    """Rows [rows, width], a scale and an offset, and the gradient that comes from above."""
    random = randomness()
    scale, offset = normal(random, width), normal(random, width)
    x, dy = normal(random, rows, width), normal(random, rows, width)
    return {"x": x, "scale": scale, "offset": offset, "dy": dy}


def gelu(n: int = MANY) -> Inputs:
    """Numbers, and the gradient that comes from above."""
    random = randomness()
    return {"x": normal(random, n), "dy": normal(random, n)}


def adam(n: int = MANY) -> Inputs:
    """Weights and their gradient, which is never so small that epsilon's place matters."""
    random = randomness()
    gradient = normal(random, n)
    gradient += np.copysign(np.float32(0.01), gradient)
    return {"weights": normal(random, n), "gradient": gradient}


def square(n: int) -> Inputs:
    """Two matrices [n, n]."""
    random = randomness()
    return {"a": normal(random, n, n), "b": normal(random, n, n)}


def mlp(batches: int = 8, batch: int = 128) -> Inputs:
    """Some batches of pictures with labels, and weights for 784-300-100-10."""
    random = randomness()
    return {
        "x": random.random([batches, batch, 784], np.float32),
        "y": random.integers(CLASSES, size=[batches, batch], dtype=np.int32),
        "weights": dense(random, 784, 300, 100, CLASSES),
    }


def lstm(steps: int = 64, width: int = 32, batch: int = 32, units: int = 128) -> Inputs:
    """Sequences [steps, batch, width] with a target each, and the weights of two LSTM layers.

    A layer has a kernel [before, 4 units], a recurrent kernel [units, 4 units] and a bias, in
    the order input gate, forget gate, candidate, output gate.
    """
    random = randomness()
    weights = []
    for before in (width, units):
        weights += [
            normal(random, before, 4 * units, scale=before**-0.5),
            normal(random, units, 4 * units, scale=units**-0.5),
            normal(random, 4 * units, scale=0.1),
        ]
    weights += dense(random, units, 1)
    return {
        "x": normal(random, steps, batch, width),
        "y": normal(random, batch, 1),
        "weights": weights,
    }


def transformer(batch: int = 16, tokens: int = 64, width: int = 128, ffn: int = 512) -> Inputs:
    """Token vectors [batch, tokens, width] with such targets, and the weights of two blocks.

    A block has a scale and an offset of its first normalisation, a kernel and a bias of query,
    key and value together and of the output, then the second normalisation's, and a network.
    """
    random = randomness()
    weights = []
    for _ in range(2):
        weights += [np.ones(width, np.float32), np.zeros(width, np.float32)]
        weights += dense(random, width, 3 * width) + dense(random, width, width)
        weights += [np.ones(width, np.float32), np.zeros(width, np.float32)]
        weights += dense(random, width, ffn, width)
    shape = (batch, tokens, width)
    return {"x": normal(random, *shape), "y": normal(random, *shape), "weights": weights}


def vector(n: int) -> Inputs:
    """Two vectors of n elements."""
    random = randomness()
    return {"x": normal(random, n), "y": normal(random, n)}


def matrix_vector(n: int) -> Inputs:
    """A square matrix of about n elements, and a vector."""
    random = randomness()
    side = round(n**0.5)
    return {"a": normal(random, side, side), "x": normal(random, side)}


def picked(n: int) -> Inputs:
    """n elements, and n places among them in no order."""
    random = randomness()
    return {"x": normal(random, n), "places": random.integers(n, size=n, dtype=np.int32)}


def graph(nodes: int) -> Inputs:
    """What a graph of so many nodes works on."""
    random = randomness()
    return {"nodes": nodes, "x": normal(random, 32, 32), "w": normal(random, 32, 32, scale=0.2)}
