"""Contractions as matrix products: each form against float64, at every kind of edge."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.base import dtypes
from headrace.compile import executable, interpret
from headrace.compile.llvm import products
from headrace.compile.loops import ir
from headrace.compile.loops.expr import const
from headrace.compile.loops.print import text
from headrace.compile.loops.product import FORMS, Matrix, Product, fault
from headrace.compile.loops.verify import InvalidLoops, verify
from headrace.compile.schedule import schedule, tiles
from headrace.ops.matmul import BatchMatMulV2, MatMul
from tests.compile.support import Guarded, compiled, shaped

SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 65)


def forms(loops: ir.Loops) -> list[str]:
    """How the contractions of a program run; loops are ''."""
    found = [s for s in ir.stages(schedule(loops).stages) if s.kind == "contract"]
    return [s.how.form if s.how else "" for s in found]


def matrices(rng, m, n, k, transpose_a, transpose_b, dtype):
    a = rng.normal(size=(k, m) if transpose_a else (m, k)).astype(dtype)
    b = rng.normal(size=(n, k) if transpose_b else (k, n)).astype(dtype)
    return a, b


def close(got, a, b):
    """Within the bound of a sum of products in the dtype, whatever its order."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    unit = np.finfo(got.dtype).eps
    bound = (a.shape[-1] + 2) * unit * (np.abs(a) @ np.abs(b)) / 2
    assert got.shape == (a @ b).shape
    worst = np.max(np.abs(got - a @ b) - bound, initial=-1)
    assert worst <= 0, worst


def check(m, n, k, transpose_a, transpose_b, dtype, rng):
    """A product is right; how it ran."""
    a, b = matrices(rng, m, n, k, transpose_a, transpose_b, dtype)
    turns = {"transpose_a": bool(transpose_a), "transpose_b": bool(transpose_b)}
    loops = compiled(MatMul, a, b, **turns)
    (got,) = executable(loops)((a, b))
    close(got, a.T if transpose_a else a, b.T if transpose_b else b)
    return next(iter(forms(loops)), "nothing")


@pytest.mark.parametrize("features", ["+avx2,+fma", "+sse2"])
def test_products_in_narrower_registers(features, monkeypatch):
    host = tiles.host()._replace(features=features)
    monkeypatch.setattr(tiles, "host", lambda: host)
    assert tiles.tile(64, 64, dtypes.float32) == (6, 2, 8 if "avx2" in features else 4)
    rng = np.random.default_rng(15)
    for size in ((64, 64, 64), (13, 35, 20), (40, 1, 60), (5, 70, 33)):
        for turns in ((0, 0), (1, 0), (0, 1)):
            check(*size, *turns, np.float32, rng)


@pytest.fixture
def small_blocks(monkeypatch):
    """Caches so small that little matrices are packed and cut."""
    monkeypatch.setattr(tiles, "SMALL", 1)
    monkeypatch.setattr(tiles, "CACHE", 3000)
    monkeypatch.setattr(tiles, "DEPTH", 256)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_of_all_sizes(dtype, small_blocks):
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(60):
        m, n, k = (int(x) for x in rng.choice(SIZES, 3))
        transposed = rng.integers(0, 2, 2)
        seen.add(check(m, n, k, *transposed, dtype, rng))
    assert seen >= set(FORMS)


@pytest.mark.parametrize("size", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1), (1, 1, 2000)])
def test_products_at_the_limits(size):
    check(*size, 0, 0, np.float32, np.random.default_rng(6))


@pytest.mark.parametrize(
    ("size", "turns", "form"),
    [
        ((32, 30, 8), (0, 0), "tiles"),
        ((8, 30, 32), (1, 0), "tiles"),
        ((32, 1, 30), (0, 0), "dots"),
        ((30, 1, 32), (1, 0), "tiles"),
        ((32, 30, 1), (0, 0), ""),
        ((3, 4, 5), (0, 0), ""),
        ((128, 100, 60), (0, 1), "packed"),
        ((200, 530, 600), (0, 0), "panels"),
        ((150, 700, 520), (1, 1), "panels"),
        ((20, 700, 520), (0, 0), "tiles"),
        ((3, 2100, 2000), (0, 0), "panels"),
    ],
)
def test_the_form_that_is_chosen(size, turns, form):
    assert check(*size, *turns, np.float32, np.random.default_rng(7)) == form


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turns", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_panels_of_several_blocks_and_strips(turns, dtype, small_blocks):
    rng = np.random.default_rng(16)
    for m, n, k in ((130, 100, 200), (64, 96, 128), (129, 33, 65), (71, 47, 63)):
        assert check(m, n, k, *turns, dtype, rng) == "panels"


@pytest.mark.parametrize("turns", [(0, 0), (0, 1), (1, 1)])
def test_many_rows_some_at_a_time(turns, monkeypatch):
    monkeypatch.setattr(products, "NEAR", 4000)
    rng = np.random.default_rng(17)
    for m in (203, 208):
        assert check(m, 40, 50, *turns, np.float32, rng) == ("packed" if turns[1] else "tiles")


def test_large_sums_are_as_good_as_numpys():
    rng = np.random.default_rng(8)
    a, b = (rng.random((64, 9000), np.float32) for _ in range(2))
    (got,) = executable(compiled(MatMul, a, b, transpose_b=True))((a, b))
    exact = a.astype(np.float64) @ b.T.astype(np.float64)
    ours, theirs = (np.abs(x - exact).max() for x in (got, a @ b.T))
    assert ours <= 3 * theirs


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 5, 6, 7), (3, 5, 7, 4)),
        ((2, 1, 9, 8), (4, 8, 10)),
        ((16, 4, 17, 5), (16, 4, 5, 17)),
        ((6, 5), (2, 3, 5, 40)),
        ((2, 3, 40, 5), (5, 6)),
    ],
)
@pytest.mark.parametrize("adjoint", [(False, False), (True, False), (False, True)])
def test_batches(left, right, adjoint, monkeypatch):
    monkeypatch.setattr(tiles, "SMALL", 1)
    rng = np.random.default_rng(9)
    a = rng.normal(size=left).astype(np.float32)
    b = rng.normal(size=right).astype(np.float32)
    x = np.ascontiguousarray(np.swapaxes(a, -1, -2)) if adjoint[0] else a
    y = np.ascontiguousarray(np.swapaxes(b, -1, -2)) if adjoint[1] else b
    loops = compiled(BatchMatMulV2, x, y, adj_x=adjoint[0], adj_y=adjoint[1])
    assert forms(loops)[0]
    (got,) = executable(loops)((x, y))
    close(got, a, b)


def test_leading_axes_become_rows():
    x, w = np.ones((6, 7, 20), np.float32), np.ones((20, 30), np.float32)
    loops = compiled(BatchMatMulV2, x, w)
    (stage,) = schedule(loops).stages
    assert (stage.how.m, stage.how.n, stage.how.k, stage.how.steps) == (42, 30, 20, ())


@pytest.mark.parametrize(
    ("letters", "extents"),
    [
        (("ik", "kj", "ji"), {"i": 20, "j": 30, "k": 10}),
        (("aib", "jab", "ij"), {"a": 4, "b": 6, "i": 20, "j": 17}),
        (("iab", "baj", "ij"), {"a": 4, "b": 6, "i": 20, "j": 17}),
        (("bhqd", "bhkd", "bhqk"), {"b": 2, "h": 3, "q": 9, "k": 10, "d": 8}),
        (("bqhd", "bkhd", "bhqk"), {"b": 2, "h": 3, "q": 9, "k": 10, "d": 8}),
        (("ij", "j", "i"), {"i": 40, "j": 33}),
        (("i", "ij", "j"), {"i": 40, "j": 33}),
        (("ij", "ij", "i"), {"i": 40, "j": 33}),
        (("ij", "kl", "ikl"), {"i": 10, "j": 9, "k": 8, "l": 7}),
    ],
)
def test_contractions_of_any_letters(letters, extents, monkeypatch):
    monkeypatch.setattr(tiles, "SMALL", 1)
    rng = np.random.default_rng(10)
    a, b = (rng.normal(size=[extents[k] for k in of]) for of in letters[:2])
    shape = [extents[k] for k in letters[2]]
    op = shaped(shape, lambda c, x, y: c.contract(x, letters[0], y, letters[1], letters[2]))
    expected = np.einsum(f"{letters[0]},{letters[1]}->{letters[2]}", a, b)
    loops = compiled(op, a, b)
    for got in (executable(loops)((a, b))[0], interpret(schedule(loops), (a, b))[0]):
        np.testing.assert_allclose(got, expected, 1e-12, 1e-12)


@pytest.mark.parametrize("dtype", [dtypes.float16, dtypes.bfloat16])
def test_halves_are_multiplied_in_float32(dtype):
    rng = np.random.default_rng(14)
    a, b = (
        rng.normal(size=(20, 30)).astype(dtype.np),
        rng.normal(size=(30, 40)).astype(dtype.np),
    )
    loops = compiled(MatMul, a, b)
    assert forms(loops) == ["tiles"]
    expected = (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
    (got,) = executable(loops)((a, b))
    assert got.dtype == dtype.np
    unit = 2.0 ** (-10 if dtype is dtypes.float16 else -7)
    np.testing.assert_allclose(got.astype(np.float32), expected, unit, 1e-4)


def test_operands_that_are_computed_become_arrays_first():
    x = np.linspace(-1, 1, 600, dtype=np.float32).reshape(20, 30)

    def lower(c, x):
        moved = c.map((30, 20), x.dtype, lambda i, j: x[19 - j, i])
        squares = c.map((20, 30), x.dtype, lambda i, j: x[i, j] * x[i, j])
        return c.contract(squares, "ik", moved, "kj", "ij")

    loops = compiled(shaped((20, 20), lower), x)
    assert [s.kind for s in loops.stages] == ["map", "contract"]
    assert forms(loops) == ["packed"]
    (got,) = executable(loops)((x,))
    close(got, x * x, x[::-1].T)


def test_other_dtypes_stay_loops():
    for dtype in (np.int32, np.complex64):
        a = np.arange(20 * 30).reshape(20, 30).astype(dtype)
        loops = compiled(MatMul, a, a, transpose_b=True)
        assert forms(loops) == [""]
        np.testing.assert_array_equal(executable(loops)((a, a))[0], a @ a.T)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("turns", [(0, 0), (0, 1), (1, 0)])
def test_special_values_stay_in_their_row_and_column(value, turns, small_blocks):
    rng = np.random.default_rng(11)
    for m, n, k in ((20, 37, 30), (20, 1, 30), (1, 37, 30), (5, 37, 100)):
        a, b = matrices(rng, m, n, k, *turns, np.float32)
        (a.T if turns[0] else a)[m // 2, k // 2] = value
        x, y = a.T if turns[0] else a, b.T if turns[1] else b
        loops = compiled(MatMul, a, b, transpose_a=bool(turns[0]), transpose_b=bool(turns[1]))
        (got,) = executable(loops)((a, b))
        with np.errstate(invalid="ignore"):
            expected = x @ y
        np.testing.assert_array_equal(np.isfinite(got), np.isfinite(expected))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))


@pytest.mark.parametrize("at_end", [False, True])
def test_no_access_outside_of_the_arrays(at_end, small_blocks):
    rng = np.random.default_rng(12)
    for m, n, k in (
        (9, 33, 10),
        (8, 32, 16),
        (1, 50, 21),
        (33, 1, 21),
        (30, 70, 50),
        (3, 5, 9),
    ):
        for turns in ((0, 0), (0, 1), (1, 0), (1, 1)):
            a, b = matrices(rng, m, n, k, *turns, np.float32)
            loops = compiled(
                MatMul, a, b, transpose_a=bool(turns[0]), transpose_b=bool(turns[1])
            )
            x, y, z = (Guarded(v, at_end).array for v in (a, b, np.empty((m, n), np.float32)))
            executable(loops).call(x, y, z)
            close(z, a.T if turns[0] else a, b.T if turns[1] else b)


def windows(c, x, size, step):
    """Of [batch, row, column, channel]: what a window of `size` sees from each place."""
    batch, high, wide, channels = x.shape
    out = [(n - s) // step + 1 for n, s in zip((high, wide), size, strict=True)]

    def element(n, i, j, r, s, k):
        return x[n, i * step + r, j * step + s, k]

    return c.map((batch, *out, *size, channels), x.dtype, element)


@pytest.mark.parametrize("step", [1, 2])
def test_a_convolution_is_a_product_of_windows(step):
    rng = np.random.default_rng(13)
    x = rng.normal(size=(2, 12, 13, 5)).astype(np.float32)
    f = rng.normal(size=(3, 4, 5, 6)).astype(np.float32)
    views = np.lib.stride_tricks.sliding_window_view(x, (3, 4), (1, 2))[:, ::step, ::step]
    expected = np.einsum("nhwkrs,rsko->nhwo", views.astype(np.float64), f)

    def lower(c, x, f):
        return c.contract(windows(c, x, (3, 4), step), "nhwrsk", f, "rsko", "nhwo")

    loops = compiled(shaped(expected.shape, lower), x, f)
    (stage,) = schedule(loops).stages
    assert stage.how.form == "tiles" and stage.how.output.steps[-1] == 0
    assert (stage.how.n, stage.how.k) == (6, 20) and sorted(stage.how.steps) == [
        2,
        3,
        5 if step == 2 else 10,
    ]
    (got,) = executable(loops)((x, f))
    np.testing.assert_allclose(got, expected, 1e-4, 1e-4)


def test_a_product_is_printed_and_checked():
    a, b = np.ones((40, 30), np.float32), np.ones((30, 50), np.float32)
    loops = schedule(compiled(MatMul, a, b))
    assert "contract as tiles 40x50x30 of" in text(loops)
    (stage,) = loops.stages
    wrong = [
        {"form": "best"},
        {"m": 41},
        {"n": 0},
        {"steps": (3,)},
        {"copies": loops.inputs[0]},
        {"output": Matrix(loops.outputs[0], const(0, ir.INDEX), 1, 40)},
        {"a": Matrix(loops.inputs[0], const(1, ir.INDEX), 30, 1)},
    ]
    for change in wrong:
        how = Product(**{**{k: getattr(stage.how, k) for k in Product.__slots__}, **change})
        assert fault(how)
        broken = ir.Loops(
            "x",
            loops.inputs,
            loops.outputs,
            loops.temporaries,
            (ir.Stage("contract", stage.body, how),),
            (),
        )
        with pytest.raises(InvalidLoops):
            verify(broken)


def test_kernels_are_shared_by_the_products_of_a_program():
    def lower(c, x, y):
        first = c.contract(x, "ik", y, "kj", "ij")
        return c.contract(first, "ik", y, "kj", "ij")

    x = np.ones((32, 32), np.float32)
    loops = compiled(shaped((32, 32), lower), x, x)
    assert forms(loops) == ["tiles", "tiles"]
    assert dtypes.float32 is loops.outputs[0].dtype
    np.testing.assert_array_equal(executable(loops)((x, x))[0], np.full((32, 32), 1024))
