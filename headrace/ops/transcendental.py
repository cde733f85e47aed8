"""Exponentials, logarithms, roots, trigonometric and related functions of each element."""

from __future__ import annotations

import cmath
import math

import numpy as np

from headrace.base.dtypes import COMPLEX, FLOATS, bfloat16, float16, float32, float64
from headrace.base.lazy import lazy_module
from headrace.ops.cast import conj
from headrace.ops.make import binary, unary
from headrace.ops.samples import Bad, S

special = lazy_module("scipy.special")
inf, nan = math.inf, math.nan
BOTH = FLOATS | COMPLEX
ULP = {float16: 2, bfloat16: 2, float32: 4, float64: 4}
_SPECIAL = S(values=[0.0, -0.0, 1.0, -1.0, inf, -inf, nan], dtype=("float32",), grad=False)
_ONE = (S(3, 4), S(), S(0), _SPECIAL)
_POSITIVE = (S(3, 4, low=0.25, high=4.0), S(low=0.25, high=4.0), S(0), _SPECIAL)
_INSIDE = (S(3, 4, low=-0.9, high=0.9), S(low=-0.9, high=0.9), S(0), _SPECIAL)


def _expm1(x):
    """The oracle of `Expm1`; for complex numbers as a product, in which nothing cancels."""
    if isinstance(x, complex):
        return 2 * cmath.exp(x / 2) * cmath.sinh(x / 2)
    return math.expm1(x)


def _log1p(x):
    """The oracle of `Log1p`."""
    return 2 * cmath.atanh(x / (x + 2)) if isinstance(x, complex) else math.log1p(x)


def _through_float32(function):
    """A kernel for 16-bit floats from one that knows wider types only."""
    return lambda x: function(x.astype(np.float32)).astype(x.dtype)


def _narrow(function):
    return {dtype: _through_float32(function) for dtype in (float16, bfloat16)}


exp = unary(
    "Exp",
    "e to the power of each element.",
    export=("math.exp", "exp"),
    example="tf.exp([0., 1.]).numpy() -> array([1.       , 2.7182817], dtype=float32)",
    dtypes=BOTH,
    kernel=np.exp,
    grad=lambda dy, y, x: dy * conj(y),
    keep=("output",),
    scalar=lambda b, x: b.math.exp(x),
    oracle=math.exp,
    samples=_ONE,
    ulp=ULP,
)

expm1 = unary(
    "Expm1",
    "`exp(x) - 1`, exact for small x.",
    export=("math.expm1",),
    example="tf.math.expm1([0., 1.]).numpy() -> array([0.       , 1.7182819], dtype=float32)",
    dtypes=BOTH,
    kernel=np.expm1,
    kernels=_narrow(np.expm1),
    grad=lambda dy, y, x: dy * conj(y + 1.0),
    keep=("output",),
    scalar=lambda b, x: b.math.expm1(x),
    oracle=_expm1,
    samples=_ONE,
    ulp=ULP,
)

log = unary(
    "Log",
    "Natural logarithm of each element.",
    export=("math.log",),
    example="tf.math.log([1., 10.]).numpy() -> array([0.       , 2.3025851], dtype=float32)",
    dtypes=BOTH,
    kernel=np.log,
    grad=lambda dy, y, x: dy / conj(x),
    keep=("x",),
    scalar=lambda b, x: b.math.log(x),
    oracle=math.log,
    samples=_POSITIVE,
    ulp=ULP,
)

log1p = unary(
    "Log1p",
    "`log(1 + x)`, exact for small x.",
    export=("math.log1p",),
    example="tf.math.log1p([0., 1.]).numpy() -> array([0.       , 0.6931472], dtype=float32)",
    dtypes=BOTH,
    kernel=np.log1p,
    kernels=_narrow(np.log1p),
    grad=lambda dy, y, x: dy / conj(1.0 + x),
    keep=("x",),
    scalar=lambda b, x: b.math.log1p(x),
    oracle=_log1p,
    samples=_POSITIVE,
    ulp=ULP,
)

sqrt = unary(
    "Sqrt",
    "Square root of each element.",
    export=("math.sqrt", "sqrt"),
    example="tf.sqrt([4., 9.]).numpy() -> array([2., 3.], dtype=float32)",
    dtypes=BOTH,
    kernel=np.sqrt,
    grad=lambda dy, y, x: dy * 0.5 / conj(y),
    keep=("output",),
    scalar=lambda b, x: b.math.sqrt(x),
    oracle=math.sqrt,
    samples=_POSITIVE,
    ulp=ULP,
)

rsqrt = unary(
    "Rsqrt",
    "One over the square root of each element.",
    export=("math.rsqrt",),
    example="tf.math.rsqrt([4., 16.]).numpy() -> array([0.5 , 0.25], dtype=float32)",
    dtypes=BOTH,
    kernel=lambda x: np.true_divide(np.ones((), x.dtype), np.sqrt(x)),
    kernels=_narrow(lambda x: np.float32(1) / np.sqrt(x)),
    grad=lambda dy, y, x: dy * -0.5 * conj(y * y * y),
    keep=("output",),
    scalar=lambda b, x: b.math.rsqrt(x),
    oracle=lambda x: 1 / (cmath.sqrt(x) if isinstance(x, complex) else math.sqrt(x)),
    samples=_POSITIVE,
    ulp=ULP,
)

sin = unary(
    "Sin",
    "Sine of each element, in radians.",
    export=("math.sin", "sin"),
    example="tf.sin([0., 1.]).numpy() -> array([0.       , 0.8414709], dtype=float32)",
    dtypes=BOTH,
    kernel=np.sin,
    grad=lambda dy, y, x: dy * conj(cos(x)),
    keep=("x",),
    scalar=lambda b, x: b.math.sin(x),
    oracle=math.sin,
    samples=_ONE,
    ulp=ULP,
)

cos = unary(
    "Cos",
    "Cosine of each element, in radians.",
    export=("math.cos", "cos"),
    example="tf.cos([0., 1.]).numpy() -> array([1.       , 0.5403023], dtype=float32)",
    dtypes=BOTH,
    kernel=np.cos,
    grad=lambda dy, y, x: -dy * conj(sin(x)),
    keep=("x",),
    scalar=lambda b, x: b.math.cos(x),
    oracle=math.cos,
    samples=_ONE,
    ulp=ULP,
)

tan = unary(
    "Tan",
    "Tangent of each element, in radians.",
    export=("math.tan", "tan"),
    example="tf.tan([0., 1.]).numpy() -> array([0.       , 1.5574077], dtype=float32)",
    dtypes=BOTH,
    kernel=np.tan,
    grad=lambda dy, y, x: dy * conj(1.0 + y * y),
    keep=("output",),
    scalar=lambda b, x: b.math.tan(x),
    oracle=math.tan,
    samples=_INSIDE,
    ulp=ULP,
)

asin = unary(
    "Asin",
    "The angle in [-pi/2, pi/2] whose sine each element is.",
    export=("math.asin", "asin"),
    example="tf.asin([0., 1.]).numpy() -> array([0.       , 1.5707964], dtype=float32)",
    dtypes=BOTH,
    kernel=np.arcsin,
    grad=lambda dy, y, x: dy / conj(sqrt(1.0 - x * x)),
    keep=("x",),
    scalar=lambda b, x: b.math.asin(x),
    oracle=math.asin,
    samples=_INSIDE,
    ulp=ULP,
)

acos = unary(
    "Acos",
    "The angle in [0, pi] whose cosine each element is.",
    export=("math.acos", "acos"),
    example="tf.acos([1., 0.]).numpy() -> array([0.       , 1.5707964], dtype=float32)",
    dtypes=BOTH,
    kernel=np.arccos,
    grad=lambda dy, y, x: -dy / conj(sqrt(1.0 - x * x)),
    keep=("x",),
    scalar=lambda b, x: b.math.acos(x),
    oracle=math.acos,
    samples=_INSIDE,
    ulp=ULP,
)

atan = unary(
    "Atan",
    "The angle in [-pi/2, pi/2] whose tangent each element is.",
    export=("math.atan", "atan"),
    example="tf.atan([0., 1.]).numpy() -> array([0.       , 0.7853982], dtype=float32)",
    dtypes=BOTH,
    kernel=np.arctan,
    grad=lambda dy, y, x: dy / conj(1.0 + x * x),
    keep=("x",),
    scalar=lambda b, x: b.math.atan(x),
    oracle=math.atan,
    samples=_ONE,
    ulp=ULP,
)

sinh = unary(
    "Sinh",
    "Hyperbolic sine of each element.",
    export=("math.sinh", "sinh"),
    example="tf.sinh([0., 1.]).numpy() -> array([0.       , 1.1752012], dtype=float32)",
    dtypes=BOTH,
    kernel=np.sinh,
    grad=lambda dy, y, x: dy * conj(cosh(x)),
    keep=("x",),
    scalar=lambda b, x: b.math.sinh(x),
    oracle=math.sinh,
    samples=_ONE,
    ulp=ULP,
)

cosh = unary(
    "Cosh",
    "Hyperbolic cosine of each element.",
    export=("math.cosh", "cosh"),
    example="tf.cosh([0., 1.]).numpy() -> array([1.       , 1.5430807], dtype=float32)",
    dtypes=BOTH,
    kernel=np.cosh,
    grad=lambda dy, y, x: dy * conj(sinh(x)),
    keep=("x",),
    scalar=lambda b, x: b.math.cosh(x),
    oracle=math.cosh,
    samples=_ONE,
    ulp=ULP,
)

tanh = unary(
    "Tanh",
    "Hyperbolic tangent of each element, in [-1, 1].",
    export=("math.tanh", "tanh", "nn.tanh"),
    example="tf.tanh([0., 1.]).numpy() -> array([0.       , 0.7615942], dtype=float32)",
    dtypes=BOTH,
    kernel=np.tanh,
    grad=lambda dy, y, x: dy * conj(1.0 - y * y),
    keep=("output",),
    scalar=lambda b, x: b.math.tanh(x),
    oracle=math.tanh,
    samples=_ONE,
    ulp=ULP,
)

asinh = unary(
    "Asinh",
    "Inverse hyperbolic sine of each element.",
    export=("math.asinh", "asinh"),
    example="tf.asinh([0., 1.]).numpy() -> array([0.       , 0.8813736], dtype=float32)",
    dtypes=BOTH,
    kernel=np.arcsinh,
    grad=lambda dy, y, x: dy / conj(cosh(y)),
    keep=("output",),
    scalar=lambda b, x: b.math.asinh(x),
    oracle=math.asinh,
    samples=_ONE,
    ulp=ULP,
)

acosh = unary(
    "Acosh",
    "Inverse hyperbolic cosine of each element, from 1 on.",
    export=("math.acosh", "acosh"),
    example="tf.acosh([1., 2.]).numpy() -> array([0.       , 1.3169578], dtype=float32)",
    dtypes=BOTH,
    kernel=np.arccosh,
    grad=lambda dy, y, x: dy / conj(sinh(y)),
    keep=("output",),
    scalar=lambda b, x: b.math.acosh(x),
    oracle=math.acosh,
    samples=(S(3, 4, low=1.5, high=4.0), S(0), _SPECIAL),
    ulp=ULP,
)

atanh = unary(
    "Atanh",
    "Inverse hyperbolic tangent of each element.",
    export=("math.atanh", "atanh"),
    example="tf.atanh([0., 0.5]).numpy() -> array([0.        , 0.54930615], dtype=float32)",
    dtypes=BOTH,
    kernel=np.arctanh,
    grad=lambda dy, y, x: dy / conj(1.0 - x * x),
    keep=("x",),
    scalar=lambda b, x: b.math.atanh(x),
    oracle=math.atanh,
    samples=_INSIDE,
    ulp=ULP,
)

atan2 = binary(
    "Atan2",
    "The angle of the point with ordinate `x` and abscissa `y`, in [-pi, pi].",
    export=("math.atan2", "atan2"),
    example="tf.atan2([1., 0.], [1., -1.]).numpy() "
    "-> array([0.7853982, 3.1415927], dtype=float32)",
    dtypes=FLOATS,
    kernel=np.arctan2,
    grad=(
        lambda dy, z, x, y: dy * y / (x * x + y * y),
        lambda dy, z, x, y: -dy * x / (x * x + y * y),
    ),
    scalar=lambda b, x, y: b.math.atan2(x, y),
    oracle=math.atan2,
    samples=(
        S((3, 4), (3, 4), low=0.25),
        S((3, 1), (4,), low=0.25),
        S((), (), low=0.25),
        S((0,), (0,)),
        Bad((2, 3), (4, 5), match="Incompatible shapes"),
    ),
    ulp=ULP,
    operands=("y", "x"),
)

erf = unary(
    "Erf",
    "The error function of each element.",
    export=("math.erf",),
    example="tf.math.erf([0., 1.]).numpy() -> array([0.       , 0.8427008], dtype=float32)",
    dtypes=FLOATS,
    kernel=lambda x: special.erf(x),
    kernels=_narrow(lambda x: special.erf(x)),
    grad=lambda dy, y, x: dy * (2.0 / math.sqrt(math.pi)) * exp(-x * x),
    keep=("x",),
    scalar=lambda b, x: b.math.erf(x),
    oracle=math.erf,
    samples=_ONE,
    ulp=ULP,
)

erfc = unary(
    "Erfc",
    "One minus the error function of each element.",
    export=("math.erfc",),
    example="tf.math.erfc([0., 1.]).numpy() -> array([1.       , 0.1572992], dtype=float32)",
    dtypes=FLOATS,
    kernel=lambda x: special.erfc(x),
    kernels=_narrow(lambda x: special.erfc(x)),
    grad=lambda dy, y, x: dy * (-2.0 / math.sqrt(math.pi)) * exp(-x * x),
    keep=("x",),
    scalar=lambda b, x: b.math.erfc(x),
    oracle=math.erfc,
    samples=_ONE,
    ulp=ULP,
)
