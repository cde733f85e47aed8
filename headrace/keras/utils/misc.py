"""Small helpers that Keras' users know."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

import headrace as tf
from headrace.base.export import export
from headrace.keras import backend


@export("keras.utils.set_random_seed")
def set_random_seed(seed: int) -> None:
    """Seed Python's, NumPy's and TensorFlow's random numbers, and Keras' initializers.

    Args:
        seed: int.
    Raises:
        ValueError: no int.
    """
    if not isinstance(seed, int):
        raise ValueError(f"Expected `seed` argument to be an integer. Received: seed={seed}")
    random.seed(seed)
    np.random.seed(seed)
    tf.random.set_seed(seed)
    backend.SeedGenerator.generator = random.Random(seed)


@export("keras.utils.to_categorical")
def to_categorical(y: Any, num_classes: int | None = None, dtype: Any = "float32") -> Any:
    """Classes as vectors with a 1 at the class's position.

    Args:
        y: integers of any shape.
        num_classes: the vectors' length (default: the largest class plus 1).
        dtype: dtype of the result.
    Returns: array `[..., num_classes]`.

    >>> keras.utils.to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    y = np.array(y, dtype="int")
    shape = y.shape[:-1] if y.ndim > 1 and y.shape[-1] == 1 else y.shape
    y = y.reshape(-1)
    count = int(y.max()) + 1 if not num_classes else num_classes
    result = np.zeros((y.size, count), dtype=dtype)
    result[np.arange(y.size), y] = 1
    return result.reshape((*shape, count))


@export("keras.utils.normalize")
def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """An array divided by its norms along an axis.

    Args:
        x: array.
        axis: int.
        order: of the norm.
    """
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    return x / np.expand_dims(norms, axis)
