"""The programs in JAX, as its users write them: operations eagerly, the training step jitted.

Each result is waited for, since JAX hands back arrays before they are computed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import cases as c

RATE, BETA1, BETA2, EPSILON, DECAY = 0.01, 0.9, 0.999, 1e-7, 0.96


def cases() -> dict[str, Callable[[], Any]]:
    """All programs."""
    t, u = jnp.array(c.T), jnp.array(c.U)
    v = [jnp.array(c.T)]
    w1, w2 = jnp.float32(5.0), jnp.float32(3.0)
    gradient = jax.grad(lambda w1, w2: 3 * w1**2 + 2 * w1 * w2, argnums=(0, 1))

    def assign_add() -> None:
        v[0] = (v[0] + u).block_until_ready()

    return {
        c.ADD: lambda: (t + u).block_until_ready(),
        c.ADD_NUMBER: lambda: (t + 10).block_until_ready(),
        c.SQUARE: lambda: jnp.square(t).block_until_ready(),
        c.MATMUL: lambda: (t @ t.T).block_until_ready(),
        c.MEAN: lambda: jnp.mean(t).block_until_ready(),
        c.SLICE: lambda: t[:, 1:].block_until_ready(),
        c.ASSIGN_ADD: assign_add,
        c.TAPE: lambda: jax.block_until_ready(gradient(w1, w2)),
        c.LOOP_STEP: loop_step(),
    }


def loss_of(weights: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """The loss with its penalty, and the mean absolute error."""
    (w1, b1), (w2, b2) = weights
    y_pred = jax.nn.elu(x @ w1 + b1) @ w2 + b2
    penalty = 0.05 * (jnp.sum(w1**2) + jnp.sum(w2**2))
    return jnp.mean((y_pred - y) ** 2) + penalty, jnp.mean(jnp.abs(y_pred - y))


@jax.jit
def update(weights: Any, m: Any, v: Any, count: Any, product: Any, x: Any, y: Any) -> Any:
    """One step of Nadam: new weights and state, loss and error."""
    (loss, error), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights, x, y)
    now = BETA1 * (1 - 0.5 * DECAY ** (0.004 * count))
    after = BETA1 * (1 - 0.5 * DECAY ** (0.004 * (count + 1)))
    product = product * now
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, gradients)

    def moved(w: Any, g: Any, m: Any, v: Any) -> Any:
        ahead = (1 - now) * g / (1 - product) + after * m / (1 - product * after)
        return w - RATE * ahead / (jnp.sqrt(v / (1 - BETA2**count)) + EPSILON)

    return jax.tree.map(moved, weights, gradients, m, v), m, v, count + 1, product, loss, error


def loop_step() -> Callable[[], None]:
    """The same model, penalty, optimizer, metrics and status bar."""
    keys = jax.random.split(jax.random.key(42))
    weights = [
        (jax.random.normal(keys[0], (c.FEATURES, 30)) * 0.5, jnp.zeros(30)),
        (jax.random.normal(keys[1], (30, 1)) * 0.25, jnp.zeros(1)),
    ]
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = [weights, zeros, zeros, jnp.float32(1), jnp.float32(1)]
    x, y = c.training_set()
    totals = {"mean": 0.0, "mean_absolute_error": 0.0}
    count = 0
    sink = io.StringIO()

    def step() -> None:
        nonlocal count
        *state[:], loss, error = update(*state, *c.random_batch(x, y))
        totals["mean"] += float(loss)
        totals["mean_absolute_error"] += float(error)
        count += 1
        figures = " - ".join(f"{name}: {total / count:.4f}" for name, total in totals.items())
        sink.seek(0)
        print(f"\r{c.BATCH}/{len(y)} - {figures}", end="", file=sink)

    return step
