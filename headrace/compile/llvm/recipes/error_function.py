"""erf and erfc, in float32. Read `exponential.py` before."""

from __future__ import annotations

from headrace.compile.llvm.recipes.code import Code, Value
from headrace.compile.llvm.recipes.exponential import reduced
from headrace.compile.llvm.recipes.tables import ERF, ERF_TAIL, ERFCX


def erf(c: Code, x: Value) -> Value:
    """A polynomial up to 1; beyond, 1 - e^p with a polynomial p."""
    a = c.abs(x)
    near = c.fma(x, c.poly(x * x, c.pick(*ERF)), x)
    n, p = reduced(c, c.poly(c.at_most(a, 4), c.pick(*ERF_TAIL)))
    far = c.copysign(1 - c.scale(p + 1, n), x)
    return c.select(a < 1, near, far)


def erfc(c: Code, x: Value) -> Value:
    """1 - erf(x) up to 1/2; beyond, with a = |x|, e^(-a^2) times a function that is nearly
    flat, where the rounding of a^2 is put back."""
    near = 1 - c.fma(x, c.poly(x * x, c.pick(*ERF)), x)
    a = c.at_most(c.abs(x), 10.2)
    square = a * a
    lost = c.fma(a, a, -square)
    n, p = reduced(c, -square)
    flat = c.poly((a - 2) / (a + 2), c.pick(*ERFCX))
    above_one = c.fma(p + 1, -lost, p)
    found = c.scale(c.fma(flat, above_one, flat) / c.fma(a, 2, 1), n)
    return c.select(c.abs(x) < 0.5, near, c.select(x < 0, 2 - found, found))
