"""Loads and stores of vectors: any distance between lanes, nothing outside of the arrays."""

from __future__ import annotations

import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base import dtypes
from headrace.compile import executable, interpret
from headrace.compile.llvm import cpu
from headrace.compile.llvm.emit import emit
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index, Load
from headrace.compile.loops.print import text
from headrace.compile.loops.verify import InvalidLoops, verify
from tests.compile.support import Guarded, close, compiled, shaped, values

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

DTYPES = (
    dtypes.float32,
    dtypes.float64,
    dtypes.bfloat16,
    dtypes.int8,
    dtypes.int64,
    dtypes.bool,
    dtypes.complex64,
    dtypes.complex128,
)


def random(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


def check(op, *arrays: np.ndarray) -> None:
    """The interpreter's results, with arrays that end at and begin after forbidden pages."""
    loops = compiled(op, *arrays)
    expected = interpret(loops, arrays)
    program = executable(loops)
    for at_end in (True, False):
        given = [Guarded(a, at_end).array for a in (*arrays, *expected)]
        for result in given[len(arrays) :]:
            result.reshape(-1).view(np.uint8)[...] = 0xA5
        program.call(*given)
        for got, wanted in zip(given[len(arrays) :], expected, strict=True):
            close(got, wanted)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(1, 75),
    st.integers(1, 3),
    st.integers(-6, 6).filter(bool),
    st.integers(0, 5),
    st.sampled_from(DTYPES),
)
def test_every_distance(count, rows, step, offset, dtype):
    """Rows of count elements, `step` apart from each other, from `offset` on."""
    room = offset + (count - 1) * abs(step) + 1
    start = offset if step > 0 else room - 1
    x = values(dtype, (rows, room), random(count, rows, step, offset, dtype))

    def rule(c, x):
        return c.map((rows, count), x.dtype, lambda i, j: x[i, start + j * step])

    check(shaped((rows, count), rule), x)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(DTYPES))
def test_columns_become_rows(m, n, dtype):
    x = values(dtype, (m, n), random(m, n, dtype))

    def rule(c, x):
        return c.map((n, m), x.dtype, lambda i, j: x[j, i])

    check(shaped((n, m), rule), x)


SIDES = st.sampled_from([1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 20, 33, 40])


def permuted(c, x, order):
    """x with its dimensions in another order."""
    shape = tuple(x.shape[k] for k in order)
    back = [order.index(d) for d in range(x.rank)]
    return c.map(shape, x.dtype, lambda *i: x[tuple(i[d] for d in back)])


def mixed(rng: np.random.Generator, shape, orders, dtypes_) -> None:
    """Several arrays, each turned in its way, and one that is not: the greatest of all."""
    arrays = []
    for order, dtype in zip(orders, dtypes_, strict=True):
        given_shape = [shape[order.index(d)] for d in range(len(shape))]
        arrays.append(rng.integers(0, 9, given_shape).astype(dtype.np))
    arrays.append(rng.integers(0, 9, shape).astype(np.float32))

    def rule(c, *views):
        turned = [permuted(c, v, o) for v, o in zip(views, orders, strict=False)]

        def element(*i):
            found = views[-1][i]
            for each in turned:
                found = c.maximum(found, c.cast(each[i], dtypes.float32))
            return found

        return c.map(shape, dtypes.float32, element)

    check(shaped(shape, rule, dtypes.float32), *arrays)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(SIDES, SIDES, SIDES).filter(lambda s: np.prod(s) < 6000),
    st.lists(st.permutations(range(3)), min_size=1, max_size=3),
    st.data(),
)
def test_dimensions_change_places(shape, orders, data):
    chosen = [data.draw(st.sampled_from(DTYPES[:6])) for _ in orders]
    mixed(random(shape, orders), shape, orders, chosen)


@pytest.mark.parametrize("features", ["+avx2", "+avx512f", "+sse2"])
@pytest.mark.parametrize("dtype", DTYPES, ids=repr)
def test_blocks_in_other_registers(features, dtype, monkeypatch):
    other = cpu.host()._replace(features=features)
    for module in ("llvm.turned", "schedule.turn", "schedule.vectorize"):
        monkeypatch.setattr(sys.modules[f"headrace.compile.{module}"], "host", lambda: other)
    for m, n in ((16, 16), (13, 40), (40, 13), (1, 20), (20, 1), (67, 67)):
        x = values(dtype, (m, n), random(m, n, dtype))
        check(shaped((n, m), lambda c, x: permuted(c, x, [1, 0])), x)


@pytest.mark.parametrize("shape", [(64, 64), (10, 300), (300, 10), (4, 8)], ids=repr)
def test_columns_are_not_gathered(shape):
    x = np.ones(shape, np.float32)
    loops = executable(compiled(shaped(shape[::-1], lambda c, x: permuted(c, x, [1, 0])), x))
    assert "turned" in text(loops.loops)
    assert "gather" not in emit(loops.loops)


def test_sums_over_rows_and_columns_are_not_gathered():
    x = np.random.default_rng(0).integers(-9, 9, (300, 300)).astype(np.float32)

    def rule(c, x):
        return c.reduce("add", (300,), x.dtype, (300,), lambda i, r: x[i + r] * x[r + i])

    program = executable(compiled(shaped((300,), rule), x))
    assert "turned" in text(program.loops)
    assert "gather" not in emit(program.loops)
    np.testing.assert_array_equal(program([x])[0], np.sum(x * x.T, 1))


@pytest.mark.parametrize(
    ("lanes", "count", "wanted"),
    [(8, 8, None), (8, 5, None), (4, 5, "turned j of 5 in 4 lanes"), (1, 1, None)],
)
def test_a_turned_loop_stands_in_lanes(lanes, count, wanted):
    """No more steps than lanes; a loop of one lane turns nothing, and is right."""
    i, j = Index(ir.INDEX, "i", 8), Index(ir.INDEX, "j", count)
    x, y = (ir.Buffer(name, (8, 8), dtypes.float32) for name in "xy")
    load = Load(x.dtype, x, i * 8 + j)
    inner = ir.For(j, (ir.Store(y, j * 8 + i, load),), turned=True)
    stages = (ir.Stage("map", (ir.For(i, (inner,), lanes),)),)
    loops = ir.Loops("Test", (x,), (y,), (), stages, ())
    if wanted is None:
        given_array = values(x.dtype, (8, 8), random(lanes, count))
        (got,) = interpret(verify(loops), (given_array,))
        np.testing.assert_array_equal(got[:count], given_array[:, :count].T)
        return
    with pytest.raises(InvalidLoops, match=wanted):
        verify(loops)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 75),
    st.integers(-3, 3),
    st.integers(-4, 4).filter(bool),
    st.sampled_from(DTYPES),
)
def test_guarded_loads_stay_inside(count, shift, step, dtype):
    x = values(dtype, (count,), random(count, shift, step, dtype))

    def rule(c, x):
        def element(i):
            at = i * step + shift
            return c.where((at >= 0) & (at < count), lambda: x[at], lambda: x[0])

        return c.map((count,), x.dtype, element)

    check(shaped((count,), rule), x)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 75), st.integers(1, 75), st.sampled_from(DTYPES))
def test_gathered_elements(count, room, dtype):
    rng = random(count, room, dtype)
    x, k = values(dtype, (room,), rng), rng.integers(0, room, count)

    def rule(c, x, k):
        def element(i):
            c.check((k[i] >= 0) & (k[i] < room), "no")
            return x[k[i]]

        return c.map((count,), x.dtype, element)

    check(shaped((count,), rule), x, k)


@pytest.mark.parametrize("dtype", [dtypes.complex64, dtypes.complex128], ids=repr)
@pytest.mark.parametrize("count", [1, 3, 8, 16, 17, 33, 50])
def test_complex_numbers_in_lanes(count, dtype):
    rng = random(count, dtype)
    x, y = (values(dtype, (2, count), rng, special=False) for _ in range(2))
    check(
        shaped(x.shape, lambda c, x, y: c.map(x.shape, x.dtype, lambda *i: x[i] * y[i] - x[i])),
        x,
        y,
    )
