"""Loads and stores of vectors: any distance between lanes, nothing outside of the arrays."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base import dtypes
from headrace.compile import executable, interpret
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
