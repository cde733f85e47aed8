"""Complex numbers in compiled code: a pair of real expressions.

Buffers know complex dtypes, scalars do not: every rule on a `Complex` is written out here in
real arithmetic, so that the loop language, its referee and the emitter never meet one. Sums,
products and quotients are those of NumPy (Smith's quotient); the functions follow Kahan,
"Branch cuts for complex elementary functions" (1987). complex64 functions compute in float64.
Read `expr.py` before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops.expr import Const, Expr, apply, cast, const, lift, select
from headrace.compile.loops.operations import part


@dataclass(frozen=True, slots=True, eq=False)
class Complex:
    """A complex scalar: two real expressions of the part's dtype."""

    dtype: DType
    re: Expr
    im: Expr

    def __add__(self, other: Any) -> Complex:
        y = raised(other, self.dtype)
        return Complex(self.dtype, self.re + y.re, self.im + y.im)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Complex:
        y = raised(other, self.dtype)
        return Complex(self.dtype, self.re - y.re, self.im - y.im)

    def __rsub__(self, other: Any) -> Complex:
        return raised(other, self.dtype) - self

    def __mul__(self, other: Any) -> Complex:
        y = raised(other, self.dtype)
        re = self.re * y.re - self.im * y.im
        return Complex(self.dtype, re, self.re * y.im + self.im * y.re)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Complex:
        return _quotient(self, raised(other, self.dtype))

    def __rtruediv__(self, other: Any) -> Complex:
        return _quotient(raised(other, self.dtype), self)

    def __pow__(self, other: Any) -> Complex:
        return power(self, raised(other, self.dtype))

    def __rpow__(self, other: Any) -> Complex:
        return power(raised(other, self.dtype), self)

    def __neg__(self) -> Complex:
        return Complex(self.dtype, -self.re, -self.im)

    def __pos__(self) -> Complex:
        return self

    def __abs__(self) -> Expr:
        return apply("hypot", self.re, self.im)

    def __eq__(self, other: Any) -> Expr:  # type: ignore[override]
        y = raised(other, self.dtype)
        return (self.re == y.re) & (self.im == y.im)

    def __ne__(self, other: Any) -> Expr:  # type: ignore[override]
        y = raised(other, self.dtype)
        return (self.re != y.re) | (self.im != y.im)

    __hash__ = object.__hash__

    __bool__ = Expr.__bool__


Scalar: TypeAlias = Expr | Complex
Function: TypeAlias = Callable[[Complex], Complex]
_SMALL = 100
"""Powers to integers below are products."""


def raised(value: Any, dtype: DType) -> Complex:
    """`value` (a number, a real scalar, a complex one) as a complex scalar of `dtype`."""
    if isinstance(value, Complex):
        if value.dtype is not dtype:
            raise TypeError(f"{value.dtype.name} with {dtype.name}: cast first.")
        return value
    if isinstance(value, complex | np.complexfloating):
        real = part(dtype)
        return Complex(dtype, const(value.real, real), const(value.imag, real))
    re = lift(value, part(dtype))
    return Complex(dtype, re, const(0, part(dtype)))


def convert(z: Complex, dtype: DType) -> Complex:
    """`z` in another complex dtype."""
    return Complex(dtype, cast(z.re, part(dtype)), cast(z.im, part(dtype)))


def choose(condition: Expr, x: Complex, y: Complex, lazy: bool = False) -> Complex:
    """`x` where the condition holds, else `y`."""
    re, im = select(condition, x.re, y.re, lazy), select(condition, x.im, y.im, lazy)
    return Complex(x.dtype, re, im)


def conj(z: Complex) -> Complex:
    return Complex(z.dtype, z.re, -z.im)


def angle(z: Complex) -> Expr:
    return apply("atan2", z.im, z.re)


def _pair(re: Expr, im: Expr) -> Complex:
    return Complex(
        dtypes.complex64 if re.dtype is dtypes.float32 else dtypes.complex128, re, im
    )


def _quotient(x: Complex, y: Complex) -> Complex:
    """Smith's division: scaled by the larger part of the divisor; by zero as real numbers."""
    wide = abs(y.re) >= abs(y.im)
    big, small = select(wide, y.re, y.im), select(wide, y.im, y.re)
    ratio = small / big
    scale = 1 / (big + small * ratio)
    re = select(wide, x.re + x.im * ratio, x.re * ratio + x.im) * scale
    im = select(wide, x.im - x.re * ratio, x.im * ratio - x.re) * scale
    by_zero = (abs(y.re) == 0) & (abs(y.im) == 0)
    re = select(by_zero, x.re / abs(y.re), re)
    return _pair(re, select(by_zero, x.im / abs(y.re), im))


def _f(name: str, *args: Expr) -> Expr:
    return apply(name, *args)


def _times_i(z: Complex) -> Complex:
    return _pair(-z.im, z.re)


def _over_i(z: Complex) -> Complex:
    return _pair(z.im, -z.re)


def _exp(z: Complex) -> Complex:
    size = _f("exp", z.re)
    still = z.im == 0
    re = select(still, size, size * _f("cos", z.im))
    im = select(still, z.im, size * _f("sin", z.im))
    vanishes = (z.re == -math.inf) & (_f("isnan", z.im) | (abs(z.im) == math.inf))
    zero = const(0, z.re.dtype)
    return _pair(select(vanishes, zero, re), select(vanishes, zero, im))


def _expm1(z: Complex) -> Complex:
    half = _f("sin", z.im * 0.5)
    re = _f("expm1", z.re) * _f("cos", z.im) - 2 * half * half
    return _pair(re, _f("exp", z.re) * _f("sin", z.im))


def _log_size(z: Complex) -> Expr:
    """log |z|, without cancellation near |z| = 1."""
    x, y = abs(z.re), abs(z.im)
    larger = select(x > y, x, y)
    smaller = select(x > y, y, x)
    near = _f("log1p", (larger - 1) * (larger + 1) + smaller * smaller) * 0.5
    size = abs(z)
    return select((size > 0.5) & (size < 2), near, _f("log", size))


def _log(z: Complex) -> Complex:
    return _pair(_log_size(z), angle(z))


def _log1p(z: Complex) -> Complex:
    near = _f("log1p", z.re * (2 + z.re) + z.im * z.im) * 0.5
    size = _log_size(_pair(1 + z.re, z.im))
    return _pair(select(abs(z) < 0.5, near, size), _f("atan2", z.im, 1 + z.re))


def _sqrt(z: Complex) -> Complex:
    x, y = abs(z.re), abs(z.im)
    root = _f("sqrt", x * 0.5 + _f("hypot", x * 0.5, y * 0.5))
    other = y / (2 * root)
    right = z.re >= 0
    re, im = select(right, root, other), select(right, other, root)
    zero = (x == 0) & (y == 0)
    re = select(zero, x, select(y == math.inf, y, re))
    im = select(zero, y, select(y == math.inf, y, im))
    im = select((z.re == -math.inf) & (y < math.inf), x, im)
    im = select((z.re == math.inf) & (y < math.inf), const(0, x.dtype), im)
    re = select((z.re == -math.inf) & (y < math.inf), const(0, x.dtype), re)
    return _pair(re, _f("copysign", im, z.im))


def _sinh(z: Complex) -> Complex:
    re = _f("sinh", z.re) * _f("cos", z.im)
    im = select(z.im == 0, z.im, _f("cosh", z.re) * _f("sin", z.im))
    return _pair(select(z.re == 0, z.re, re), im)


def _cosh(z: Complex) -> Complex:
    flat = (z.im == 0) | (z.re == 0)
    im = select(flat, z.re * z.im, _f("sinh", z.re) * _f("sin", z.im))
    return _pair(_f("cosh", z.re) * _f("cos", z.im), im)


def _tanh(z: Complex) -> Complex:
    tangent = _f("tan", z.im)
    sine = _f("sinh", z.re)
    beta = 1 + tangent * tangent
    below = 1 + beta * sine * sine
    re = beta * _f("sqrt", 1 + sine * sine) * sine / below
    far = abs(z.re) > 20
    one = _f("copysign", const(1, z.re.dtype), z.re)
    decay = 4 * _f("sin", z.im) * _f("cos", z.im) * _f("exp", -2 * abs(z.re))
    end = abs(z.re) == math.inf
    decay = select(end, _f("copysign", const(0, z.im.dtype), z.im), decay)
    return _pair(select(far, one, re), select(far, decay, tangent / below))


def _roots(z: Complex) -> tuple[Complex, Complex]:
    """sqrt(1 - z) and sqrt(1 + z), zero's sign kept."""
    return _sqrt(_pair(1 - z.re, -z.im)), _sqrt(_pair(1 + z.re, z.im))


def _acos(z: Complex) -> Complex:
    minus, plus = _roots(z)
    re = 2 * _f("atan2", minus.re, plus.re)
    return _pair(re, _f("asinh", plus.re * minus.im - plus.im * minus.re))


def _asin(z: Complex) -> Complex:
    minus, plus = _roots(z)
    re = _f("atan2", z.re, minus.re * plus.re - minus.im * plus.im)
    return _pair(re, _f("asinh", minus.re * plus.im - minus.im * plus.re))


def _acosh(z: Complex) -> Complex:
    minus = _sqrt(_pair(z.re - 1, z.im))
    plus = _sqrt(_pair(z.re + 1, z.im))
    re = _f("asinh", minus.re * plus.re + minus.im * plus.im)
    return _pair(re, 2 * _f("atan2", minus.im, plus.re))


def _atanh(z: Complex) -> Complex:
    x, y = z.re, z.im
    re = _f("log1p", 4 * x / ((1 - x) * (1 - x) + y * y)) * 0.25
    far = abs(z) > 1e100
    re = select(far, const(0, x.dtype), re)
    im = _f("atan2", 2 * y, (1 - x) * (1 + x) - y * y) * 0.5
    return _pair(re, select(far, _f("copysign", const(math.pi / 2, x.dtype), y), im))


def _through_i(function: Function) -> Function:
    """f(z) from its hyperbolic twin g: f(z) = -i g(iz)."""
    return lambda z: _over_i(function(_times_i(z)))


def _sigmoid(z: Complex) -> Complex:
    return _reciprocal(1 + _exp(-z))


def _reciprocal(z: Complex) -> Complex:
    return raised(1, z.dtype) / z


def _sign(z: Complex) -> Complex:
    size = abs(z)
    zero = (z.re == 0) & (z.im == 0)
    nothing = const(0, size.dtype)
    return _pair(select(zero, nothing, z.re / size), select(zero, nothing, z.im / size))


def _power(x: Complex, y: Complex) -> Complex:
    """exp(y log x); 0 ** 0 is 1 and 0 to a positive power 0."""
    zero, one = raised(0, x.dtype), raised(1, x.dtype)
    found = choose((x == 0) & (y.re > 0), zero, _exp(y * _log(x)))
    return choose(y == 0, one, found)


def _natural(y: Complex) -> int | None:
    """The small integer above 0 that an exponent is known to be."""
    if not (isinstance(y.re, Const) and isinstance(y.im, Const)) or y.im.value != 0:
        return None
    n = y.re.value
    return int(n) if 0 < n < _SMALL and n == int(n) else None


def _product(x: Complex, n: int) -> Complex:
    """x multiplied with itself, n > 0 times in all, by squaring."""
    found: Complex | None = None
    while n > 1:
        if n & 1:
            found = x if found is None else found * x
        n >>= 1
        x = x * x
    return x if found is None else found * x


def power(x: Complex, y: Complex) -> Complex:
    """x to the power y; to a small integer above 0 by products, as NumPy does it."""
    n = _natural(y)
    if n is not None:
        return _product(x, n)
    wide = dtypes.complex128
    return convert(_power(convert(x, wide), convert(y, wide)), x.dtype)


FUNCTIONS: dict[str, Function] = {
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "sqrt": _sqrt,
    "rsqrt": lambda z: _reciprocal(_sqrt(z)),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "sin": _through_i(_sinh),
    "cos": lambda z: _cosh(_times_i(z)),
    "tan": _through_i(_tanh),
    "asin": _asin,
    "acos": _acos,
    "asinh": lambda z: _over_i(_asin(_times_i(z))),
    "acosh": _acosh,
    "atanh": _atanh,
    "atan": _through_i(_atanh),
    "sigmoid": _sigmoid,
    "reciprocal": _reciprocal,
    "sign": _sign,
}


def function(name: str, z: Complex) -> Complex:
    """The complex function `name` of `z`, computed in complex128."""
    return convert(FUNCTIONS[name](convert(z, dtypes.complex128)), z.dtype)
