"""What neighbouring lanes share is computed once for them: the same bits, and less code."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.base import dtypes
from headrace.compile import executable, interpret
from headrace.compile.llvm.emit import emit
from headrace.compile.loops import ir
from headrace.compile.loops.builder import Builder
from headrace.compile.loops.views import Stored
from headrace.compile.schedule import schedule

SIZES = (0, 3, 17, 200)


def program(shape, rule, dtype=dtypes.int32):
    """The program of a map whose elements are `rule(c, x, flat position)`; x has 7 elements."""
    c = Builder()
    x = ir.Buffer("x", (7,), dtypes.int32)
    view = c.map(shape, dtype, lambda *i: rule(c, Stored(x), c.ravel(i, shape)))
    return c.finish("Test", [x], [c.store(view)])


def number(c, x, n):
    return c.cast(n, dtypes.int32)


def mixed(c, x, n):
    """Enough work that lanes are worth being many."""
    for turn in range(12):
        n = (n ^ c.mulhi(n, 1234567 + turn)) * 77 + x[turn % 7]
    return n


RULES = {
    "blocks": lambda c, x, n: mixed(c, x, number(c, x, n // 4)) + number(c, x, n % 4),
    "pairs in blocks": lambda c, x, n: c.where(
        n % 4 // 2 == 0,
        mixed(c, x, number(c, x, n // 4)),
        mixed(c, x, number(c, x, n // 2)) * number(c, x, n % 2),
    ),
    "blocks of many sizes": lambda c, x, n: (
        mixed(c, x, number(c, x, n // 8 + n // 2)) - number(c, x, n // 4 * 3 + n // 16)
    ),
    "shifted blocks": lambda c, x, n: mixed(c, x, number(c, x, (n - 8) // 4 + (n + 2) // 4)),
    "no powers of two": lambda c, x, n: mixed(c, x, number(c, x, n // 3 + n // 12 + n % 6)),
    "loads in blocks": lambda c, x, n: x[n // 4 % 7] + mixed(c, x, number(c, x, n // 4)),
    "divisions in blocks": lambda c, x, n: (
        mixed(c, x, number(c, x, n // 4)) // c.maximum(number(c, x, n // 4), 1)
    ),
    "guarded": lambda c, x, n: c.where(
        x[n % 7] > 0, lambda: x[n // 4 % 5] + mixed(c, x, number(c, x, n // 4)), lambda: 5
    ),
}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
@pytest.mark.parametrize("size", SIZES)
def test_repeated_lanes_have_the_same_bits(rule, size):
    x = (np.arange(-3, 4, dtype=np.int32) * 987654321,)
    for shape in ((size,), (3, size)):
        loops = program(shape, rule)
        np.testing.assert_array_equal(executable(loops)(x)[0], interpret(loops, x)[0])


def test_sums_over_blocks_have_the_same_bits():
    def total(n):
        c = Builder()
        x = ir.Buffer("x", (7,), dtypes.int32)
        value = RULES["pairs in blocks"]
        found = c.reduce(
            "add", (2,), dtypes.int32, (n,), lambda i, r: value(c, Stored(x), i[0] * n + r[0])
        )
        return c.finish("Test", [x], [found])

    x = (np.arange(7, dtype=np.int32),)
    for n in (1, 5, 64, 1000, 4099):
        np.testing.assert_array_equal(executable(total(n))(x)[0], interpret(total(n), x)[0])


def test_a_block_is_computed_once():
    def products(rule):
        return emit(schedule(program((4096,), rule))).count(" mul <64 x i32>")

    assert not products(RULES["blocks"])
    assert emit(schedule(program((4096,), RULES["blocks"]))).count(" mul <16 x i32>") == 12
