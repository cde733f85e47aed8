"""The programs in NumPy, where it has such a thing: the floor under an eager call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import erf

from benchmarks.data import Inputs

Program = Callable[[], Any]


def of_arrays(body: Callable[..., Any], *names: str) -> Callable[[Inputs], Program]:
    """A maker whose program is body(*arrays)."""
    return lambda inputs: lambda: body(*(inputs[name] for name in names))


def huber(y_true: Any, y_pred: Any) -> Any:
    """The notes' Huber loss, averaged."""
    error = y_true - y_pred
    size = np.abs(error)
    return np.mean(np.where(size < 1, np.square(error) / 2, size - np.float32(0.5)))


def softmax_loss(logits: Any, labels: Any) -> Any:
    """Mean softmax cross-entropy and its gradient."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    totals = powers.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = np.mean(np.log(totals[:, 0]) - shifted[rows, labels])
    gradient = powers / (totals * len(labels))
    gradient[rows, labels] -= np.float32(1 / len(labels))
    return loss, gradient


def layer_norm(x: Any, scale: Any, offset: Any, dy: Any) -> Any:
    """Normalised rows, and the gradients of all three inputs."""
    centred = x - x.mean(axis=1, keepdims=True)
    inverse = 1 / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + np.float32(1e-5))
    normal = centred * inverse
    above = dy * scale
    dx = above - above.mean(axis=1, keepdims=True)
    dx -= normal * (above * normal).mean(axis=1, keepdims=True)
    return normal * scale + offset, (dx * inverse, (dy * normal).sum(axis=0), dy.sum(axis=0))


def gelu(x: Any, dy: Any) -> Any:
    """GELU and its gradient."""
    share = np.float32(0.5) * (1 + erf(x * np.float32(0.5**0.5)))
    density = np.exp(np.float32(-0.5) * x * x) * np.float32((2 * np.pi) ** -0.5)
    return x * share, dy * (share + x * density)


def adam(inputs: Inputs) -> Program:
    """Adam's update of one large array; some of its weights are the result."""
    w, g = inputs["weights"].copy(), inputs["gradient"]
    m, v = np.zeros_like(w), np.zeros_like(w)
    count = 0

    def program() -> Any:
        nonlocal count
        count += 1
        rate = np.float32(0.01 * (1 - 0.999**count) ** 0.5 / (1 - 0.9**count))
        np.add(np.float32(0.9) * m, np.float32(0.1) * g, out=m)
        np.add(np.float32(0.999) * v, np.float32(0.001) * g * g, out=v)
        np.subtract(w, rate * m / (np.sqrt(v) + np.float32(1e-7)), out=w)
        return w[:1000]

    return program


def assign_add(inputs: Inputs) -> Program:
    """An update in place."""
    v, u = inputs["t"].copy(), inputs["u"]
    return lambda: np.add(v, u, out=v)


def chain(x: Any, y: Any) -> Any:
    """A few elementwise functions."""
    return np.tanh(x * y + np.float32(0.5)) / (1 + np.exp(-y)) - np.float32(0.1) * x


PROGRAMS = {
    "add": of_arrays(np.add, "t", "u"),
    "add number": of_arrays(lambda t: t + 10, "t"),
    "square": of_arrays(np.square, "t"),
    "matmul small": of_arrays(lambda t: t @ t.T, "t"),
    "mean": of_arrays(np.mean, "t"),
    "slice": of_arrays(lambda t: t[:, 1:], "t"),
    "assign_add": assign_add,
    "cube": of_arrays(lambda x: x**3, "x"),
    "huber": of_arrays(huber, "y_true", "y_pred"),
    "softmax loss": of_arrays(softmax_loss, "logits", "labels"),
    "layer norm": of_arrays(layer_norm, "x", "scale", "offset", "dy"),
    "gelu": of_arrays(gelu, "x", "dy"),
    "adam": adam,
    "matmul": of_arrays(np.matmul, "a", "b"),
    "chain": of_arrays(chain, "x", "y"),
    "reduction": of_arrays(np.sum, "x"),
    "matvec": of_arrays(np.matmul, "a", "x"),
    "gather": of_arrays(lambda x, places: x[places], "x", "places"),
    "scatter-add": of_arrays(
        lambda x, places: np.bincount(places, x, len(x)).astype(x.dtype), "x", "places"
    ),
}


def programs(variant: str) -> dict[str, Callable[[Inputs], Program]]:
    """The table; there is one variant."""
    return PROGRAMS


def to_numpy(value: Any) -> np.ndarray:
    """An array of a result."""
    return np.asarray(value)
