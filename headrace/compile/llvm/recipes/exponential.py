"""exp and its relatives.

x = n ln 2 + r with a whole n and |r| <= ln(2) / 2; then e^x = 2^n e^r, and e^r - 1 is a
polynomial. n ln 2 is taken off in two fused steps, of which the first is exact. Read `code.py`
and `logarithm.py` before.
"""

from __future__ import annotations

import math

from headrace.compile.llvm.recipes.code import Code, Value
from headrace.compile.llvm.recipes.logarithm import LN2
from headrace.compile.llvm.recipes.tables import ATANH, EXP, SINH


def _clamped(c: Code, x: Value, highest: float) -> Value:
    """x within the range where the result is neither 0 nor infinite, and a little more."""
    return c.at_least(c.at_most(x, highest), c.pick(-104.0, -746.0))


def reduced(c: Code, x: Value) -> tuple[Value, Value]:
    """n and e^r - 1."""
    n = c.rint(x * (1 / math.log(2)))
    high, low = c.pick(*LN2)
    r = c.fma(n, -low, c.fma(n, -high, x))
    return n, c.fma(r * r, c.poly(r, c.pick(*EXP)), r)


def exp(c: Code, x: Value) -> Value:
    n, p = reduced(c, _clamped(c, x, c.pick(89.0, 710.0)))
    return c.scale(p + 1, n)


def _half_exp(c: Code, x: Value) -> Value:
    """e^x / 2, which overflows later."""
    n, p = reduced(c, _clamped(c, x, c.pick(90.0, 711.0)))
    return c.scale(p + 1, n - 1)


def _expm1(c: Code, x: Value) -> Value:
    """e^x - 1 = 2^n ((e^r - 1) + (1 - 2^-n)), x not so low that 2^-n overflows."""
    n, p = reduced(c, x)
    return c.scale(p + (1 - c.scale(c.const(1), -n)), n)


def expm1(c: Code, x: Value) -> Value:
    bounded = c.at_least(c.at_most(x, c.pick(89.0, 710.0)), c.pick(-20.0, -40.0))
    return c.select(x == 0, x, _expm1(c, bounded))


def tanh(c: Code, x: Value) -> Value:
    """t / (t + 2) with t = e^2|x| - 1."""
    t = _expm1(c, c.at_most(c.abs(x), c.pick(10.0, 20.0)) * 2)
    return c.copysign(t / (t + 2), x)


def sigmoid(c: Code, x: Value) -> Value:
    """1 / (1 + e^-x), by e^-|x|, which does not overflow."""
    t = exp(c, -c.abs(x))
    y = 1 / (1 + t)
    return c.select(x < 0, t * y, y)


def softplus(c: Code, x: Value) -> Value:
    """log(1 + e^x) = max(x, 0) + log(1 + t) with t = e^-|x|; that is 2 atanh(t / (t + 2))."""
    t = exp(c, -c.abs(x))
    s = t / (t + 2)
    u, twice = s * s, s + s
    return c.at_least(x, 0) + c.fma(twice * u, c.poly(u, c.pick(*ATANH)), twice)


def sinh(c: Code, x: Value) -> Value:
    u, size = x * x, c.abs(x)
    small = c.fma(x * u, c.poly(u, c.pick(*SINH)), x)
    half = _half_exp(c, size)
    return c.select(size < 1, small, c.copysign(half - 0.25 / half, x))


def cosh(c: Code, x: Value) -> Value:
    half = _half_exp(c, c.abs(x))
    return half + 0.25 / half
