"""`b`: what the `scalar` rule of an op record may call.

Most of it hands over to `expr.py` and `complex.py`; the functions that are short formulas of
others (sigmoid, rsqrt, a float's floormod) are written here, once, for every dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops import complex as pairs
from headrace.compile.loops.complex import Complex, Scalar
from headrace.compile.loops.expr import (
    Expr,
    apply,
    bitcast,
    cast,
    const,
    lift,
    select,
    widen,
)
from headrace.compile.loops.operations import FLOAT_FUNCTIONS, compute, letter, part


class Math:
    """`b.math`: functions of one scalar (a few of two), real and complex."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: _function(name, *args)

    def __dir__(self) -> list[str]:
        return sorted({*FLOAT_FUNCTIONS, *_FORMULAS, *_BINARY, *pairs.FUNCTIONS})


class Scalars:
    """The builder of one element."""

    def __init__(self) -> None:
        self.math = Math()

    def const(self, value: Any, dtype: DType) -> Scalar:
        """A constant of `dtype`, not weak."""
        return pairs.raised(value, dtype) if dtype.is_complex else const(value, dtype)

    def cast(self, x: Scalar, dtype: DType) -> Scalar:
        """tf.cast of one element: the real part of a complex one, zero beside a real one."""
        if isinstance(x, Complex):
            return pairs.convert(x, dtype) if dtype.is_complex else self._from_complex(x, dtype)
        if dtype.is_complex:
            return pairs.raised(cast(x, part(dtype)), dtype)
        return cast(x, dtype)

    def _from_complex(self, x: Complex, dtype: DType) -> Expr:
        if dtype.is_bool:
            return (x.re != 0) | (x.im != 0)
        return cast(x.re, dtype)

    def bitcast(self, x: Expr, dtype: DType) -> Expr:
        """The same bits as another dtype of the same width."""
        return bitcast(x, dtype)

    def compute(self, dtype: DType) -> DType:
        """The dtype that arithmetic on `dtype` has: float32 for float16 and bfloat16."""
        return compute(dtype)

    def where(self, condition: Expr, x: Any, y: Any) -> Scalar:
        """x where the condition holds, else y; functions are called and evaluated lazily."""
        lazy = callable(x) or callable(y)
        then = x() if callable(x) else x
        other = y() if callable(y) else y
        return chosen(condition, then, other, lazy)

    def minimum(self, x: Any, y: Any) -> Expr:
        """The smaller one; NaN where one is NaN."""
        return _binary("min", x, y)

    def maximum(self, x: Any, y: Any) -> Expr:
        """The larger one; NaN where one is NaN."""
        return _binary("max", x, y)

    def truncatediv(self, x: Any, y: Any) -> Expr:
        """Quotient, rounded towards zero."""
        if letter(compute(_dtype(x, y))) == "f":
            return apply("trunc", _binary("div", x, y))
        return _binary("truncdiv", x, y)

    def truncatemod(self, x: Any, y: Any) -> Expr:
        """Remainder with the sign of x."""
        name = "fmod" if letter(compute(_dtype(x, y))) == "f" else "truncmod"
        return _binary(name, x, y)

    def mulhi(self, x: Expr, y: Any) -> Expr:
        """The upper half of an integer product."""
        return _binary("mulhi", x, y)

    def complex(self, re: Any, im: Any) -> Complex:
        """A complex scalar of two float32 or two float64 ones."""
        dtype = _dtype(re, im)
        whole = dtypes.complex128 if dtype is dtypes.float64 else dtypes.complex64
        return Complex(whole, lift(re, part(whole)), lift(im, part(whole)))

    def real(self, x: Scalar) -> Expr:
        """The real part."""
        return x.re if isinstance(x, Complex) else x

    def imag(self, x: Scalar) -> Expr:
        """The imaginary part; 0 of a real scalar."""
        return x.im if isinstance(x, Complex) else const(0, compute(x.dtype))

    def conj(self, x: Scalar) -> Scalar:
        """The conjugate."""
        return pairs.conj(x) if isinstance(x, Complex) else x

    def all(self, conditions: Iterable[Expr]) -> Expr:
        """Whether all hold; True of none."""
        found: Expr = const(True, dtypes.bool)
        for condition in conditions:
            found = found & condition
        return found

    def any(self, conditions: Iterable[Expr]) -> Expr:
        """Whether one holds; False of none."""
        found: Expr = const(False, dtypes.bool)
        for condition in conditions:
            found = found | condition
        return found


def chosen(condition: Expr, x: Any, y: Any, lazy: bool) -> Scalar:
    """A choice between two scalars or numbers; float32 beside a 16-bit float widens it."""
    for one in (x, y):
        if isinstance(one, Complex):
            then, other = pairs.raised(x, one.dtype), pairs.raised(y, one.dtype)
            return pairs.choose(condition, then, other, lazy)
    like = _dtype(x, y)
    x, y = lift(x, like), lift(y, like)
    if x.dtype is not y.dtype:
        x, y = widen(x), widen(y)
    return select(condition, x, y, lazy)


def _dtype(x: Any, y: Any) -> DType:
    """The dtype of the one that has one."""
    for value in (x, y):
        if isinstance(value, Expr):
            return value.dtype
    raise TypeError(f"{x!r} and {y!r} are both numbers: give one a dtype with b.const.")


def _binary(name: str, x: Any, y: Any) -> Expr:
    dtype = compute(_dtype(x, y))
    return apply(name, lift(x, dtype), lift(y, dtype))


# Functions that are formulas of others.


def _sign(x: Expr) -> Expr:
    x = widen(x)
    zero, one = const(0, x.dtype), const(1, x.dtype)
    if letter(x.dtype) == "u":
        return select(x > 0, one, zero)
    below = select(x < 0, -one, zero)
    if letter(x.dtype) == "f":
        below = select(apply("isnan", x), x, below)
    return select(x > 0, one, below)


def _isinf(x: Expr) -> Expr:
    return abs(x) == math.inf


def _isfinite(x: Expr) -> Expr:
    return abs(x) < math.inf


def _digamma(x: Expr) -> Expr:
    """Ten steps of psi(x) = psi(x + 1) - 1 / x, then the asymptotic series; reflected below 0.
    In float64. (Abramowitz and Stegun, 6.3.5, 6.3.7 and 6.3.18)"""
    given = widen(x)
    x = cast(given, dtypes.float64)
    reflected = x <= 0
    y = select(reflected, 1 - x, x)
    steps: Expr = const(0, dtypes.float64)
    for k in range(10):
        steps = steps + 1 / (y + k)
    z = y + 10
    w = 1 / (z * z)
    series: Expr = const(0, dtypes.float64)
    for coefficient in (1 / 12, -691 / 32760, 1 / 132, -1 / 240, 1 / 252, -1 / 120, 1 / 12):
        series = w * (coefficient + series)
    found = apply("log", z) - 0.5 / z - series - steps
    turn = x - apply("rint", x)
    found = select(reflected, found - math.pi / apply("tan", turn * math.pi), found)
    pole = reflected & (turn == 0)
    wrong: Expr = const(math.nan, dtypes.float64)
    found = select(pole, select(x == 0, -1 / x, wrong), found)
    found = select(x == math.inf, x, select(x == -math.inf, wrong, found))
    return cast(found, given.dtype)


_FORMULAS: dict[str, Callable[..., Expr]] = {
    "rsqrt": lambda x: 1 / apply("sqrt", x),
    "reciprocal": lambda x: 1 / x,
    "digamma": _digamma,
    "sign": _sign,
    "abs": abs,
    "isnan": lambda x: apply("isnan", x),
    "isinf": _isinf,
    "isfinite": _isfinite,
    "popcount": lambda x: apply("popcount", x),
    "conj": lambda x: x,
    "real": lambda x: x,
    "angle": lambda x: select(
        x < 0, const(math.pi, compute(x.dtype)), const(0, compute(x.dtype))
    ),
}
_ROUNDING = ("floor", "ceil", "rint", "trunc")
_BINARY = ("pow", "atan2", "hypot", "copysign", "nextafter")
_OF_PARTS: dict[str, Callable[[Complex], Scalar]] = {
    "abs": abs,
    "angle": pairs.angle,
    "conj": pairs.conj,
    "real": lambda z: z.re,
    "imag": lambda z: z.im,
    "isnan": lambda z: apply("isnan", z.re) | apply("isnan", z.im),
    "isinf": lambda z: _isinf(z.re) | _isinf(z.im),
    "isfinite": lambda z: _isfinite(z.re) & _isfinite(z.im),
}


def _function(name: str, *args: Any) -> Scalar:
    """`b.math.name(*args)`."""
    if any(isinstance(x, Complex | complex | np.complexfloating) for x in args):
        return _complex_function(name, *args)
    if name in _BINARY:
        return _binary(name, *args)
    (x,) = args
    if name in _FORMULAS:
        return _FORMULAS[name](x)
    if name == "imag":
        return const(0, compute(x.dtype))
    if name in _ROUNDING and letter(x.dtype) in "iu":
        return x
    if name in FLOAT_FUNCTIONS:
        return apply(name, x)
    raise AttributeError(f"b.math has no function {name!r}.")


def _complex_function(name: str, *args: Any) -> Scalar:
    dtype = next(x.dtype for x in args if isinstance(x, Complex))
    if name == "pow":
        return pairs.power(*(pairs.raised(x, dtype) for x in args))
    if name in _OF_PARTS:
        return _OF_PARTS[name](args[0])
    if name in pairs.FUNCTIONS:
        return pairs.function(name, args[0])
    raise AttributeError(f"b.math has no complex function {name!r}.")
