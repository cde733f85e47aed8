"""log and its relatives.

x = 2^k (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2); then log x = k ln 2 + log(1 + f), and the
latter is a polynomial. Read `code.py` before.
"""

from __future__ import annotations

import math

from headrace.compile.llvm.recipes.code import Code, Operand, Value
from headrace.compile.llvm.recipes.tables import LOG

# ln 2 as a float and what that lacks, in float32 and in float64.
LN2 = (
    (0.693147182464599609375, -1.904654299957768e-09),
    (0.693147180559945286227, 2.319046813846299558e-17),
)


def split(c: Code, x: Value) -> tuple[Value, Value]:
    """The integer k and 1 + f of a normal positive x."""
    bits = c.bits(x)
    root = c.bits(c.const(math.sqrt(0.5)))
    k = (bits - root) >> c.pick(23, 52)
    return k, c.of_bits(bits - (k << c.pick(23, 52)))


def _sum(c: Code, k: Value, f: Value) -> Value:
    """k ln 2 + log(1 + f)."""
    high, low = c.pick(*LN2)
    q = c.fma(f, c.poly(f, c.pick(*LOG)), -0.5)
    return c.fma(k, high, f + c.fma(f * f, q, k * low))


def log(c: Code, x: Value) -> Value:
    tiny = x < c.pick(2.0**-126, 2.0**-1022)
    width = c.pick(23, 52)
    k, m = split(c, c.select(tiny, x * 2.0**width, x))
    found = _sum(c, c.to_float(k) - c.select(tiny, float(width), 0.0), m - 1)
    return _ends(c, x, 0, found)


def _ends(c: Code, x: Value, pole: float, found: Value) -> Value:
    """-infinity at the pole, NaN below, infinity at infinity."""
    below = c.select(x == pole, -math.inf, math.nan)
    return c.select(x > pole, c.select(x == math.inf, math.inf, found), below)


def log1p(c: Code, x: Value) -> Value:
    return log1p_times(c, x, 0.0)


def log1p_times(c: Code, x: Value, twos: Operand) -> Value:
    """log((1 + x) 2^twos), where 1 + x keeps what rounding takes."""
    whole = x + 1
    back = whole - 1
    lost = (1 - (whole - back)) + (x - back)
    k, m = split(c, whole)
    width, bias = c.pick((23, 127), (52, 1023))
    down = c.of_bits((bias - c.select(k > 64, 64, k)) << width)
    f = c.fma(lost, down, m - 1)
    found = _sum(c, c.to_float(k) + twos, f)
    return _ends(c, x, -1, c.copysign(found, x))


def _far(c: Code) -> float:
    """From here on x + 1 and sqrt(x^2 + 1) are x."""
    return c.pick(2.0**30, 2.0**60)


def asinh(c: Code, x: Value) -> Value:
    a = c.abs(x)
    far = a > _far(c)
    square = a * a
    near = a + square / (1 + c.sqrt(1 + square))
    found = log1p_times(c, c.select(far, a, near), c.select(far, 1.0, 0.0))
    return c.copysign(found, x)


def acosh(c: Code, x: Value) -> Value:
    t = x - 1
    far = t > _far(c)
    near = t + c.sqrt(t * (t + 2))
    found = log1p_times(c, c.select(far, t, near), c.select(far, 1.0, 0.0))
    return c.select(x < 1, math.nan, found)


def atanh(c: Code, x: Value) -> Value:
    a = c.abs(x)
    return c.copysign(log1p(c, (a + a) / (1 - a)) * 0.5, x)
