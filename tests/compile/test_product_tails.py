"""Elementwise work that joins a matrix product, and work that must not."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.compile import executable, interpret
from headrace.compile.loops import ir
from headrace.compile.schedule import schedule, tiles
from tests.compile.support import compiled, shaped

RNG = np.random.default_rng(3)
X = RNG.normal(size=(37, 18)).astype(np.float32)
W = RNG.normal(size=(18, 45)).astype(np.float32)
B = RNG.normal(size=45).astype(np.float32)
R = RNG.normal(size=(37, 45)).astype(np.float32)
SHAPE = (37, 45)


def run(lower, *arrays, shape=SHAPE):
    """The program as scheduled, and its results; the interpreter gives the same."""
    loops = compiled(shaped(shape, lower), *arrays)
    done = schedule(loops)
    found = executable(loops)(arrays)
    for got, slow in zip(found, interpret(done, arrays), strict=True):
        np.testing.assert_allclose(got, slow, 1e-4, 1e-4)
    return done, found[0]


def product(done: ir.Loops):
    (how,) = [s.how for s in ir.stages(done.stages) if s.how]
    return how


def times(c, x, w):
    return c.contract(x, "ik", w, "kj", "ij")


TAILS = {
    "bias": (lambda c, y, b, r: lambda i, j: y[i, j] + b[j], lambda y: y + B),
    "relu": (
        lambda c, y, b, r: lambda i, j: c.maximum(y[i, j], 0),
        lambda y: np.maximum(y, 0),
    ),
    "residual": (lambda c, y, b, r: lambda i, j: y[i, j] + r[i, j], lambda y: y + R),
    "all": (
        lambda c, y, b, r: lambda i, j: c.math.tanh(y[i, j] + b[j]) * y[i, j] + r[i, j],
        lambda y: np.tanh(y + B) * y + R,
    ),
    "row": (lambda c, y, b, r: lambda i, j: y[i, j] * r[i, 0], lambda y: y * R[:, :1]),
}


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("form", ["tiles", "packed", "panels"])
def test_maps_join(name, form, monkeypatch):
    rule, expected = TAILS[name]
    w, of = (W, "kj") if form == "tiles" else (np.ascontiguousarray(W.T), "jk")
    if form == "panels":
        monkeypatch.setattr(tiles, "CACHE", 3000)

    def lower(c, x, w, b, r):
        y = c.contract(x, "ik", w, of, "ij")
        return c.map(SHAPE, x.dtype, rule(c, y, b, r))

    done, got = run(lower, X, w, B, R)
    assert product(done).form == form
    assert product(done).tail and len(done.stages) == 1
    assert product(done).output.buffer is done.outputs[0]
    np.testing.assert_allclose(got, expected(X @ W), 1e-4, 1e-4)


def test_a_map_joins_a_product_that_others_read_too():
    def lower(c, x, w, b):
        y = times(c, x, w)
        z = c.store(c.map(SHAPE, x.dtype, lambda i, j: c.math.tanh(y[i, j] + b[j])))
        return c.map((45, 37), x.dtype, lambda j, i: z[i, j] - y[i, j])

    done, got = run(lower, X, W, B, shape=(45, 37))
    assert product(done).tail and product(done).output.buffer not in done.outputs
    y = X @ W
    np.testing.assert_allclose(got, (np.tanh(y + B) - y).T, 1e-4, 1e-4)


def test_several_maps_join():
    def lower(c, x, w, b):
        y = times(c, x, w)
        z = c.store(c.map(SHAPE, x.dtype, lambda i, j: y[i, j] + b[j]))
        return c.map(SHAPE, x.dtype, lambda i, j: z[i, j] * z[i, j])

    done, got = run(lower, X, W, B)
    assert len(product(done).tail.body) == 2 and len(done.stages) == 1
    np.testing.assert_allclose(got, (X @ W + B) ** 2, 1e-3, 1e-4)


NOT = {
    "transposed": lambda c, y, r: lambda i, j: y[j, i] + r[i, j],
    "reversed": lambda c, y, r: lambda i, j: y[i, 44 - j],
    "neighbours": lambda c, y, r: lambda i, j: y[i, j] + y[i, (j + 1) % 45],
}


@pytest.mark.parametrize("name", NOT)
def test_maps_that_read_elsewhere_stay_apart(name):
    x, r = RNG.normal(size=(45, 18)).astype(np.float32), RNG.normal(size=(45, 45))
    r = r.astype(np.float32)

    def lower(c, x, w, r):
        return c.map((45, 45), x.dtype, NOT[name](c, times(c, x, w), r))

    done, got = run(lower, x, W, r, shape=(45, 45))
    assert product(done).tail is None and len(done.stages) == 2
    y = x @ W
    expected = {
        "transposed": y.T + r,
        "reversed": y[:, ::-1],
        "neighbours": y + np.roll(y, -1, 1),
    }
    np.testing.assert_allclose(got, expected[name], 1e-4, 1e-4)


def test_a_second_map_that_reads_the_first_elsewhere_stays_apart():
    x = RNG.normal(size=(45, 18)).astype(np.float32)

    def lower(c, x, w):
        y = times(c, x, w)
        z = c.store(c.map((45, 45), x.dtype, lambda i, j: c.maximum(y[i, j], 0)))
        return c.map((45, 45), x.dtype, lambda i, j: y[i, j] + z[j, i])

    done, got = run(lower, x, W, shape=(45, 45))
    assert len(product(done).tail.body) == 1 and len(done.stages) == 2
    y = x @ W
    np.testing.assert_allclose(got, y + np.maximum(y, 0).T, 1e-4, 1e-4)


def test_sums_stay_apart():
    def lower(c, x, w):
        y = times(c, x, w)
        return c.reduce("add", (37,), x.dtype, (45,), lambda i, r: y[i + r])

    done, got = run(lower, X, W, shape=(37,))
    assert product(done).tail is None
    np.testing.assert_allclose(got, (X @ W).sum(1), 1e-3, 1e-3)
