"""sin, cos, tan and their inverses.

x = n pi/2 + r with a whole n and |r| <= pi/4 or a little more. pi/2 is taken off in three parts
with fused steps, which is exact enough while n is small; of larger arguments the C library
takes care. Read `code.py` before.
"""

from __future__ import annotations

import math

from headrace.compile.llvm.recipes.code import Code, Value
from headrace.compile.llvm.recipes.tables import ASIN, ATAN, COS, SIN

# pi / 2 in three parts, in float32 and in float64, each the float nearest to what is left.
HALF_PI = (
    (1.57079637050628662109375, -4.37113900018624283e-8, -1.71512451664e-15),
    (1.5707963267948965580, 6.123233995736766036e-17, -1.497384904859169777e-33),
)


class _Reduced:
    """sin r, cos r, and n as an integer; where n is too large. `rest` is what r lacks."""

    def __init__(self, c: Code, x: Value) -> None:
        shifter = c.pick(1.5 * 2.0**23, 1.5 * 2.0**52)
        shifted = c.fma(x, 2 / math.pi, shifter)
        n = shifted - shifter
        high, low, lowest = c.pick(*HALF_PI)
        first = c.fma(n, -high, x)
        second = n * low
        r = first - second
        rest = ((first - r) - second) - c.fma(n, lowest, c.fma(n, low, -second))
        u = r * r
        self.n = c.bits(shifted)
        self.sin = r + c.fma(r * u, c.poly(u, c.pick(*SIN)), rest)
        tail = c.fma(u * u, c.poly(u, c.pick(*COS)), -(r * rest))
        self.cos = _one_less(c, u * 0.5, tail)
        size = c.abs(x)
        self.hard = (size > c.pick(2.0**17, 2.0**27)) & (size < math.inf)


def _one_less(c: Code, x: Value, tail: Value) -> Value:
    """1 - x + tail, where tail is small."""
    near = 1 - x
    return near + (((1 - near) - x) + tail)


def _turned(c: Code, y: Value, quarters: Value) -> Value:
    """-y if the number of quarter turns is 2 or 3."""
    sign = (quarters & 2) << c.pick(30, 62)
    return c.of_bits(c.bits(y) ^ sign)


def sin(c: Code, x: Value) -> Value:
    part = _Reduced(c, x)
    odd = (part.n & 1) != 0
    found = _turned(c, c.select(odd, part.cos, part.sin), part.n)
    return c.unless(part.hard, c.select(x == 0, x, found), "sin", x)


def cos(c: Code, x: Value) -> Value:
    part = _Reduced(c, x)
    odd = (part.n & 1) != 0
    found = _turned(c, c.select(odd, part.sin, part.cos), part.n + 1)
    return c.unless(part.hard, found, "cos", x)


def tan(c: Code, x: Value) -> Value:
    part = _Reduced(c, x)
    odd = (part.n & 1) != 0
    above = c.select(odd, -part.cos, part.sin)
    below = c.select(odd, part.sin, part.cos)
    return c.unless(part.hard, c.select(x == 0, x, above / below), "tan", x)


def _atan(c: Code, x: Value) -> Value:
    """atan x, |x| <= 1."""
    u = x * x
    return c.fma(x * u, c.poly(u, c.pick(*ATAN)), x)


def atan(c: Code, x: Value) -> Value:
    """atan x = pi/2 - atan(1/x) beyond 1."""
    a = c.abs(x)
    beyond = a > 1
    near = _atan(c, c.select(beyond, -1 / a, a))
    high, low, _ = c.pick(*HALF_PI)
    return c.copysign(c.select(beyond, (near + low) + high, near), x)


def atan2(c: Code, y: Value, x: Value) -> Value:
    a, b = c.abs(x), c.abs(y)
    steep = a < b
    small, large = c.select(steep, a, b), c.select(steep, b, a)
    equal = c.select(large == 0, 0.0, 1.0)
    t = _atan(c, c.select(small == large, equal, small / large))
    high, low, _ = c.pick(*HALF_PI)
    t = c.select(steep, high - (t - low), t)
    left = c.copysign(1.0, x) < 0
    t = c.select(left, 2 * high - (t - 2 * low), t)
    return c.copysign(t, y)


class _Arc:
    """asin of s, where s is |x| or, near 1, sqrt((1 - |x|) / 2)."""

    def __init__(self, c: Code, x: Value) -> None:
        a = c.abs(x)
        self.near_one = a > 0.5
        u = c.select(self.near_one, (1 - a) * 0.5, a * a)
        s = c.select(self.near_one, c.sqrt(u), a)
        self.found = c.fma(s * u, c.poly(u, c.pick(*ASIN)), s)


def asin(c: Code, x: Value) -> Value:
    """pi/2 - 2 asin sqrt((1 - x) / 2) near 1."""
    arc = _Arc(c, x)
    high, low, _ = c.pick(*HALF_PI)
    other = high - c.fma(arc.found, 2, -low)
    return c.copysign(c.select(arc.near_one, other, arc.found), x)


def acos(c: Code, x: Value) -> Value:
    arc = _Arc(c, x)
    high, low, _ = c.pick(*HALF_PI)
    twice = arc.found + arc.found
    outer = c.select(x < 0, 2 * high - (twice - 2 * low), twice)
    return c.select(arc.near_one, outer, high - (c.copysign(arc.found, x) - low))
