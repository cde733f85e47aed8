"""pow and hypot in float32, with float64 inside. Read `logarithm.py` before."""

from __future__ import annotations

import math

from headrace.compile.llvm.recipes.code import Code, Value
from headrace.compile.llvm.recipes.logarithm import split
from headrace.compile.llvm.recipes.tables import EXP2, LOG2


def _log2(c: Code, x: Value) -> Value:
    """log2 of a float64 that is not negative."""
    k, m = split(c, x)
    f = m - 1
    found = c.fma(f, c.poly(f, c.pick(*LOG2)), c.to_float(k))
    return c.select(x == 0, -math.inf, c.select(x < math.inf, found, x))


def _exp2(c: Code, t: Value) -> Value:
    """2^t in float64; infinite or 0 for float32 at the ends."""
    shifter = 1.5 * 2.0**52
    t = c.at_least(c.at_most(t, 200.0), -200.0)
    shifted = t + shifter
    power = c.of_bits((c.bits(shifted) << 52) + c.bits(c.const(1)))
    return c.poly(t - (shifted - shifter), c.pick(*EXP2)) * power


def pow(c: Code, x: Value, y: Value) -> Value:
    """2^(y log2 |x|), with the sign of x for odd y."""
    wide, a = c.twice(), c.abs(x)
    t = wide.widen(y) * _log2(wide, wide.widen(a))
    size = c.narrow(_exp2(wide, t))
    half, fraction = y * 0.5, c.rint(y) != y
    odd = (c.rint(half) != half) & (c.rint(y) == y)
    signed = c.select((c.copysign(1.0, x) < 0) & odd, -size, size)
    signed = c.select((x < 0) & (a < math.inf) & fraction, math.nan, signed)
    one = (y == 0) | (x == 1) | ((a == 1) & (c.abs(y) == math.inf))
    return c.select(one, 1.0, signed)


def hypot(c: Code, x: Value, y: Value) -> Value:
    """In float64 nothing overflows, and x^2 is exact."""
    wide = c.twice()
    a, b = wide.widen(x), wide.widen(y)
    found = c.narrow(wide.sqrt(wide.fma(a, a, b * b)))
    endless = (c.abs(x) == math.inf) | (c.abs(y) == math.inf)
    return c.select(endless, math.inf, found)
