"""Small calls as users write them at the prompt; the training step is jitted."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import data
from benchmarks.implementations.jax.training import Nadam, notes_loss

Program = Callable[[], Any]


def on_matrices(operation: Callable[[Any, Any], Any]) -> Callable[[data.Inputs], Program]:
    """A maker whose program is operation(t, u)."""

    def make(inputs: data.Inputs) -> Program:
        t, u = jnp.array(inputs["t"]), jnp.array(inputs["u"])
        return lambda: operation(t, u).block_until_ready()

    return make


def assign_add(inputs: data.Inputs) -> Program:
    """A new array takes the old one's place."""
    v, u = [jnp.array(inputs["t"])], jnp.array(inputs["u"])

    def program() -> Any:
        v[0] = (v[0] + u).block_until_ready()
        return v[0]

    return program


def tape(inputs: data.Inputs) -> Program:
    """The gradient, not jitted."""
    w1, w2 = jnp.float32(5.0), jnp.float32(3.0)
    gradient = jax.grad(lambda w1, w2: 3 * w1**2 + 2 * w1 * w2, argnums=(0, 1))
    return lambda: jax.block_until_ready(gradient(w1, w2))


def loop_step(inputs: data.Inputs) -> Program:
    """The notes' model, penalty, optimizer, metrics and status bar."""
    keys = jax.random.split(jax.random.key(42))
    weights = [
        jax.random.normal(keys[0], (data.FEATURES, 30)) * 0.5,
        jnp.zeros(30),
        jax.random.normal(keys[1], (30, 1)) * 0.25,
        jnp.zeros(1),
    ]
    state = Nadam.begin(weights)
    x, y = data.training_set()
    totals = {"mean": 0.0, "mean_absolute_error": 0.0}
    count = 0
    sink = io.StringIO()

    @jax.jit
    def update(state: Any, x: Any, y: Any) -> Any:
        gradient = jax.value_and_grad(notes_loss, has_aux=True)
        (loss, error), gradients = gradient(state.weights, x, y)
        return state.updated(gradients), loss, error

    def step() -> None:
        nonlocal count, state
        state, loss, error = update(state, *data.random_batch(x, y))
        totals["mean"] += float(loss)
        totals["mean_absolute_error"] += float(error)
        count += 1
        figures = " - ".join(f"{name}: {total / count:.4f}" for name, total in totals.items())
        sink.seek(0)
        print(f"\r{data.BATCH}/{len(y)} - {figures}", end="", file=sink)

    return step


PROGRAMS = {
    "add": on_matrices(lambda t, u: t + u),
    "add number": on_matrices(lambda t, u: t + 10),
    "square": on_matrices(lambda t, u: jnp.square(t)),
    "matmul small": on_matrices(lambda t, u: t @ t.T),
    "mean": on_matrices(lambda t, u: jnp.mean(t)),
    "slice": on_matrices(lambda t, u: t[:, 1:]),
    "assign_add": assign_add,
    "tape": tape,
    "loop step": loop_step,
}
