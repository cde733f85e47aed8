"""Matrix products that threads share: each cut, each form, the same bits on any number."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.compile import executable
from headrace.compile.run.threads import threads
from headrace.compile.schedule import schedule, tiles
from headrace.ops.matmul import BatchMatMulV2, MatMul
from tests.compile.support import compiled, shaped

CASES = {
    "rows in place": (MatMul, (50, 30), (30, 40), (0, 0), "rows", "tiles"),
    "rows, packed once": (MatMul, (50, 30), (40, 30), (0, 1), "rows", "packed"),
    "columns in place": (MatMul, (20, 30), (30, 170), (0, 0), "columns", "tiles"),
    "columns, packed once": (MatMul, (20, 30), (170, 30), (0, 1), "columns", "packed"),
    "rows of dots": (MatMul, (170, 30), (30, 1), (0, 0), "rows", "dots"),
    "columns of dots": (MatMul, (2, 30), (170, 30), (0, 1), "rows", "dots"),
    "a vector across": (MatMul, (1, 30), (30, 600), (0, 0), "columns", "tiles"),
    "columns in panels": (MatMul, (90, 80), (80, 170), (0, 0), "columns", "panels"),
    "rows in panels": (MatMul, (130, 80), (80, 70), (0, 0), "rows", "panels"),
    "rows in panels, turned": (MatMul, (170, 150), (200, 150), (0, 1), "rows", "panels"),
    "steps": (BatchMatMulV2, (7, 20, 30), (7, 30, 40), (0, 0), "steps", "tiles"),
    "steps in panels": (BatchMatMulV2, (7, 40, 80), (7, 70, 80), (0, 1), "steps", "panels"),
    "steps, each packed": (BatchMatMulV2, (7, 20, 30), (7, 40, 30), (0, 1), "steps", "packed"),
}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(tiles, "WORTH", 1.0)
    monkeypatch.setattr(tiles, "PART", 30.0)
    monkeypatch.setattr(tiles, "ALONE", 16)


def on_threads(loops, *arrays):
    """The result, which is the same on 1, 2, 3 and 7 threads."""
    run, found = executable(loops), []
    for count in (1, 2, 3, 7):
        with threads().limited(count):
            found.append(run(arrays)[0])
    for other in found[1:]:
        np.testing.assert_array_equal(other.view(np.int32), found[0].view(np.int32))
    return found[0]


@pytest.mark.parametrize("name", CASES)
def test_every_cut(name, monkeypatch):
    op, left, right, (turn_a, turn_b), shared, form = CASES[name]
    if form == "panels":
        monkeypatch.setattr(tiles, "DEPTH", 256)
        monkeypatch.setattr(tiles, "CACHE", 3000)
    rng = np.random.default_rng(4)
    a = rng.normal(size=left).astype(np.float32)
    b = rng.normal(size=right).astype(np.float32)
    turns = ("transpose_a", "transpose_b") if op is MatMul else ("adj_x", "adj_y")
    turned = dict(zip(turns, (bool(turn_a), bool(turn_b)), strict=True))
    loops = compiled(op, a, b, **turned)
    (how,) = [s.how for s in schedule(loops).stages if s.how]
    assert (how.shared, how.form) == (shared, form) and how.parts > 2
    got = on_threads(loops, a, b)
    y = np.swapaxes(b, -1, -2) if turn_b else b
    np.testing.assert_allclose(got, a.astype(np.float64) @ y, 1e-4, 1e-4)


def test_parts_have_their_tails():
    rng = np.random.default_rng(5)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in ((50, 30), (30, 170), 170))

    def lower(c, x, w, b):
        y = c.contract(x, "ik", w, "kj", "ij")
        return c.map((50, 170), x.dtype, lambda i, j: c.maximum(y[i, j] + b[j], 0))

    loops = compiled(shaped((50, 170), lower), x, w, b)
    (stage,) = schedule(loops).stages
    assert stage.how.tail and stage.how.shared == "rows" and stage.how.parts > 2
    got = on_threads(loops, x, w, b)
    np.testing.assert_allclose(got, np.maximum(x @ w + b, 0), 1e-4, 1e-4)


def test_large_products_use_the_pool(monkeypatch):
    monkeypatch.undo()
    a = np.ones((300, 300), np.float32)
    run, pool = executable(compiled(MatMul, a, a)), threads()
    with pool.limited(2):
        before = pool.jobs
        np.testing.assert_array_equal(run((a, a))[0], np.full((300, 300), 300))
        assert pool.jobs == before + 1
