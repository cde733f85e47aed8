"""Training steps, each one jitted call that gives its old state's memory away."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks import data

Program = Callable[[], Any]
BETA1, BETA2, EPSILON, DECAY = 0.9, 0.999, 1e-7, 0.96


def begin(weights: Any) -> tuple[Any, ...]:
    """Own copies of the weights, two averages of zero, and the step's number."""
    averages = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
    return [jnp.array(w) for w in weights], *averages, jnp.float32(1)


def averaged(state: Any, gradients: Any) -> tuple[Any, Any]:
    """Both averages with the gradients in them."""
    m = [BETA1 * m + (1 - BETA1) * g for m, g in zip(state.m, gradients, strict=True)]
    v = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(state.v, gradients, strict=True)]
    return m, v


class Adam(NamedTuple):
    """Weights, averages of gradients and of their squares, number of the step."""

    weights: list[Any]
    m: list[Any]
    v: list[Any]
    count: Any

    @staticmethod
    def begin(weights: Any) -> Adam:
        """The state before the first step."""
        return Adam(*begin(weights))

    def updated(self, gradients: Any, rate: float = 0.001) -> Adam:
        """The state after a step."""
        m, v = averaged(self, gradients)
        rate = rate * jnp.sqrt(1 - BETA2**self.count) / (1 - BETA1**self.count)
        moved = [
            w - rate * m / (jnp.sqrt(v) + EPSILON)
            for w, m, v in zip(self.weights, m, v, strict=True)
        ]
        return Adam(moved, m, v, self.count + 1)


class Nadam(NamedTuple):
    """Adam's state, and the product of the momentums."""

    weights: list[Any]
    m: list[Any]
    v: list[Any]
    count: Any
    product: Any

    @staticmethod
    def begin(weights: Any) -> Nadam:
        """The state before the first step."""
        return Nadam(*begin(weights), jnp.float32(1))

    def updated(self, gradients: Any, rate: float = 0.01) -> Nadam:
        """The state after a step."""
        now = BETA1 * (1 - 0.5 * DECAY**self.count)
        after = BETA1 * (1 - 0.5 * DECAY ** (self.count + 1))
        product = self.product * now
        m, v = averaged(self, gradients)

        def moved(w: Any, g: Any, m: Any, v: Any) -> Any:
            ahead = (1 - now) * g / (1 - product) + after * m / (1 - product * after)
            return w - rate * ahead / (jnp.sqrt(v / (1 - BETA2**self.count)) + EPSILON)

        weights = [moved(*each) for each in zip(self.weights, gradients, m, v, strict=True)]
        return Nadam(weights, m, v, self.count + 1, product)


def notes_loss(weights: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """The loss with its penalty, and the mean absolute error."""
    w1, b1, w2, b2 = weights
    y_pred = jax.nn.elu(x @ w1 + b1) @ w2 + b2
    penalty = 0.05 * (jnp.sum(w1**2) + jnp.sum(w2**2))
    return jnp.mean((y_pred - y) ** 2) + penalty, jnp.mean(jnp.abs(y_pred - y))


def notes_update(state: Any, totals: Any, x: Any, y: Any) -> Any:
    """One step: new state, new totals of the metrics, loss."""
    gradient = jax.value_and_grad(notes_loss, has_aux=True)
    (loss, error), gradients = gradient(state.weights, x, y)
    totals = totals + jnp.stack([loss, jnp.float32(1), error * len(x), jnp.float32(len(x))])
    return state.updated(gradients), totals, loss


def notes_step(inputs: data.Inputs) -> Program:
    """One jitted call a batch; batches are NumPy arrays, as data come."""
    x, y = inputs["x"], inputs["y"]
    rows = [slice(k * data.BATCH, (k + 1) * data.BATCH) for k in range(data.STEPS)]
    queue = itertools.cycle([(x[r], y[r]) for r in rows])
    state, totals = Nadam.begin(inputs["weights"]), jnp.zeros(4)
    update = jax.jit(notes_update, donate_argnums=(0, 1))

    def program() -> Any:
        nonlocal state, totals
        state, totals, loss = update(state, totals, *next(queue))
        return loss.block_until_ready()

    return program


def notes_epoch(inputs: data.Inputs) -> Program:
    """One jitted call an epoch, which draws the batches itself; the mean loss."""
    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])
    state, totals = Nadam.begin(inputs["weights"]), jnp.zeros(4)
    key = jax.random.key(42)

    def body(state: Any, totals: Any, key: Any, x: Any, y: Any) -> Any:
        key, own = jax.random.split(key)
        picked = jax.random.randint(own, (data.STEPS, data.BATCH), 0, data.DISTRICTS)

        def step(carry: Any, rows: Any) -> Any:
            *carry, loss = notes_update(*carry, x[rows], y[rows])
            return tuple(carry), loss

        (state, totals), losses = jax.lax.scan(step, (state, totals), picked)
        return state, totals, key, jnp.mean(losses)

    epoch = jax.jit(body, donate_argnums=(0, 1, 2))

    def program() -> Any:
        nonlocal state, totals, key
        state, totals, key, loss = epoch(state, totals, key, x, y)
        return loss.block_until_ready()

    return program


def adam_step(inputs: data.Inputs, loss_of: Callable[[Any, Any, Any], Any]) -> Any:
    """A jitted step (x, y) -> loss by Adam; loss_of(weights, x, y)."""
    state = Adam.begin(inputs["weights"])

    def body(state: Adam, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(state.weights, x, y)
        return state.updated(gradients), loss

    update = jax.jit(body, donate_argnums=0)

    def step(x: Any, y: Any) -> Any:
        nonlocal state
        state, loss = update(state, x, y)
        return loss.block_until_ready()

    return step


def mlp(inputs: data.Inputs) -> Program:
    """A classifier of digits."""

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        w1, b1, w2, b2, w3, b3 = weights
        logits = jax.nn.relu(jax.nn.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3
        right = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - right)

    step = adam_step(inputs, loss_of)
    queue = itertools.cycle(zip(inputs["x"], inputs["y"], strict=True))
    return lambda: step(*next(queue))


def lstm(inputs: data.Inputs) -> Program:
    """Two LSTM layers, one scan for both, and a dense layer on what they end with."""

    def cell(x: Any, h: Any, c: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        i, f, g, o = jnp.split(x @ kernel + h @ recurrent + bias, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        first, second, (kernel, bias) = weights[:3], weights[3:6], weights[6:]

        def step(carry: Any, x: Any) -> Any:
            h1, c1, h2, c2 = carry
            h1, c1 = cell(x, h1, c1, *first)
            h2, c2 = cell(h1, h2, c2, *second)
            return (h1, c1, h2, c2), None

        zeros = jnp.zeros([x.shape[1], first[1].shape[0]])
        (_, _, h2, _), _ = jax.lax.scan(step, (zeros,) * 4, x)
        return jnp.mean(jnp.square(h2 @ kernel + bias - y))

    return on_one_batch(adam_step(inputs, loss_of), inputs)


def normalise(x: Any, scale: Any, offset: Any) -> Any:
    """Layer normalisation over the last axis."""
    mean = jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(x - mean), axis=-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * scale + offset


def transformer(inputs: data.Inputs) -> Program:
    """Two blocks with the normalisation before attention and network."""

    def heads(x: Any) -> Any:
        batch, tokens, width = x.shape
        x = x.reshape(batch, tokens, data.HEADS, width // data.HEADS)
        return x.transpose(0, 2, 1, 3)

    def block(x: Any, g1: Any, o1: Any, wq: Any, bq: Any, wo: Any, bo: Any, *rest: Any) -> Any:
        g2, o2, w1, b1, w2, b2 = rest
        parts = jnp.split(normalise(x, g1, o1) @ wq + bq, 3, axis=-1)
        q, k, v = (heads(part) for part in parts)
        scores = q @ k.transpose(0, 1, 3, 2) * q.shape[-1] ** -0.5
        mixed = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3)
        x = x + mixed.reshape(x.shape) @ wo + bo
        return x + jax.nn.gelu(normalise(x, g2, o2) @ w1 + b1, approximate=False) @ w2 + b2

    def loss_of(weights: Any, x: Any, y: Any) -> Any:
        return jnp.mean(jnp.square(block(block(x, *weights[:12]), *weights[12:]) - y))

    return on_one_batch(adam_step(inputs, loss_of), inputs)


def on_one_batch(step: Callable[[Any, Any], Any], inputs: data.Inputs) -> Program:
    """A program that trains on the same batch again and again."""
    x, y = jnp.asarray(inputs["x"]), jnp.asarray(inputs["y"])
    return lambda: step(x, y)


PROGRAMS = {
    "notes step": notes_step,
    "notes epoch": notes_epoch,
    "mlp": mlp,
    "lstm": lstm,
    "transformer": transformer,
}
