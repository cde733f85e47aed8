"""Single functions of large and small arrays, jitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.data import Inputs
from benchmarks.implementations.jax.training import Adam, normalise

Program = Callable[[], Any]


def of_arrays(body: Callable[..., Any], *names: str) -> Callable[[Inputs], Program]:
    """A maker whose program is body(*arrays), jitted."""

    def make(inputs: Inputs) -> Program:
        arrays = [jnp.asarray(inputs[name]) for name in names]
        compiled = jax.jit(body)
        return lambda: jax.block_until_ready(compiled(*arrays))

    return make


def huber(y_true: Any, y_pred: Any) -> Any:
    """The notes' Huber loss, averaged."""
    error = y_true - y_pred
    size = jnp.abs(error)
    return jnp.mean(jnp.where(size < 1, jnp.square(error) / 2, size - 0.5))


def cross_entropy(logits: Any, labels: Any) -> Any:
    """Mean softmax cross-entropy."""
    right = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - right)


def layer_norm(x: Any, scale: Any, offset: Any, dy: Any) -> Any:
    """Normalised rows, and the gradients of all three inputs."""
    y, backward = jax.vjp(normalise, x, scale, offset)
    return y, backward(dy)


def gelu(x: Any, dy: Any) -> Any:
    """GELU and its gradient."""
    y, backward = jax.vjp(lambda x: jax.nn.gelu(x, approximate=False), x)
    return y, backward(dy)


def adam(inputs: Inputs) -> Program:
    """Adam's update of one large array; some of its weights are the result."""
    gradient = jnp.asarray(inputs["gradient"])
    state = Adam.begin([jnp.array(inputs["weights"])])

    def body(state: Adam, gradient: Any) -> Any:
        state = state.updated([gradient], rate=0.01)
        return state, state.weights[0][:1000]

    update = jax.jit(body, donate_argnums=0)

    def program() -> Any:
        nonlocal state
        state, some = jax.block_until_ready(update(state, gradient))
        return some

    return program


PROGRAMS = {
    "cube": of_arrays(lambda x: x**3, "x"),
    "huber": of_arrays(huber, "y_true", "y_pred"),
    "softmax loss": of_arrays(jax.value_and_grad(cross_entropy), "logits", "labels"),
    "layer norm": of_arrays(layer_norm, "x", "scale", "offset", "dy"),
    "gelu": of_arrays(gelu, "x", "dy"),
    "adam": adam,
    "matmul": of_arrays(lambda a, b: a @ b, "a", "b"),
    "chain": of_arrays(
        lambda x, y: jnp.tanh(x * y + 0.5) * jax.nn.sigmoid(y) - 0.1 * x, "x", "y"
    ),
    "reduction": of_arrays(jnp.sum, "x"),
    "matvec": of_arrays(lambda a, x: a @ x, "a", "x"),
    "gather": of_arrays(lambda x, places: x[places], "x", "places"),
    "scatter-add": of_arrays(
        lambda x, places: jax.ops.segment_sum(x, places, x.shape[0]), "x", "places"
    ),
}
