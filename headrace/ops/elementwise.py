"""Arithmetic: ops on single elements that take no more than the processor's own operations."""

from __future__ import annotations

import math
import operator

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import (
    COMPLEX,
    FLOATS,
    INTS,
    NUMERIC,
    REALS,
    SIGNED,
    bfloat16,
    float16,
    float32,
    float64,
)
from headrace.base.dtypes import string as string_dtype
from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.tensor import Tensor
from headrace.ops.cast import cast, conj
from headrace.ops.compare import (
    greater,
    greater_equal,
    less_equal,
    logical_not,
    not_equal,
    where,
)
from headrace.ops.make import binary, broadcast, unary
from headrace.ops.samples import Bad, S
from headrace.ops.transcendental import log

inf, nan = math.inf, math.nan
ONE = (S(3, 4), S(), S(0))
TWO = (S((3, 4), (3, 4)), S((3, 1), (4,)), S((), (2, 3)), S((0, 3), (1,)), S((), ()))
BAD = Bad((2, 3), (4, 5), match=r"Incompatible shapes: \[2,3\] vs. \[4,5\]")
SPECIAL = [0.0, -0.0, 1.0, -1.0, inf, -inf, nan]
EDGES = S(values=SPECIAL, dtype=("float32",), grad=False)
EDGES_2 = S(values=(SPECIAL, SPECIAL[::-1]), dtype=("float32", "float32"), grad=False)
EXACT = {float16: 0.5, bfloat16: 0.5, float32: 0.5, float64: 0.5}


add = binary(
    "AddV2",
    "Sum of two tensors, element by element: `x + y`.",
    export=("math.add", "add"),
    example="tf.add([1., 2.], 10.).numpy() -> array([11., 12.], dtype=float32)",
    label="Add",
    dtypes=NUMERIC | {string_dtype},
    kernel=np.add,
    grad=(lambda dy, z, x, y: dy, lambda dy, z, x, y: dy),
    keep=(),
    scalar=lambda b, x, y: x + y,
    oracle=operator.add,
    samples=(*TWO, BAD, EDGES_2),
)

subtract = binary(
    "Sub",
    "Difference of two tensors, element by element: `x - y`.",
    export=("math.subtract", "subtract"),
    example="tf.subtract([11., 12.], 10.).numpy() -> array([1., 2.], dtype=float32)",
    dtypes=NUMERIC,
    kernel=np.subtract,
    grad=(lambda dy, z, x, y: dy, lambda dy, z, x, y: negative(dy)),
    keep=(),
    scalar=lambda b, x, y: x - y,
    oracle=operator.sub,
    samples=(*TWO, BAD, EDGES_2),
)

multiply = binary(
    "Mul",
    "Product of two tensors, element by element: `x * y`.",
    export=("math.multiply", "multiply"),
    example="tf.multiply([1., 2.], [3., 4.]).numpy() -> array([3., 8.], dtype=float32)",
    dtypes=NUMERIC,
    kernel=np.multiply,
    grad=(lambda dy, z, x, y: dy * conj(y), lambda dy, z, x, y: conj(x) * dy),
    scalar=lambda b, x, y: x * y,
    oracle=operator.mul,
    samples=(*TWO, BAD, EDGES_2),
)

divide_real = binary(
    "RealDiv",
    "Quotient of two tensors, element by element.",
    export=("realdiv",),
    example="tf.realdiv([1., 3.], [2., 4.]).numpy() -> array([0.5 , 0.75], dtype=float32)",
    label="truediv",
    dtypes=FLOATS | COMPLEX,
    kernel=np.true_divide,
    grad=(
        lambda dy, z, x, y: dy / conj(y),
        lambda dy, z, x, y: dy * conj(-x / y / y),
    ),
    scalar=lambda b, x, y: x / y,
    oracle=operator.truediv,
    samples=(
        S((3, 4), (3, 4), low=(-2, 0.5)),
        S((3, 1), (4,), low=(-2, 0.5)),
        S((), (2, 3), low=(-2, 0.5)),
        S((0, 3), (1,), low=(-2, 0.5)),
        BAD,
        EDGES_2,
    ),
)


def _no_zero(divide):
    def kernel(x, y):
        if not y.all():
            broadcast(x.shape, y.shape)  # shapes that do not fit are the first mistake
            raise errors.invalid_argument("Integer division by zero")
        return divide(x, y)

    return kernel


def _floor_divide(x, y):
    return np.floor(np.true_divide(x, y))


def _floor_mod(x, y):
    rest = np.fmod(x, y)
    return np.where((rest != 0) & ((y < 0) != (rest < 0)), rest + y, rest)


def _truncated_divide(x, y):
    quotient = np.floor_divide(x, y)
    inexact = quotient * y != x
    return quotient + (inexact & ((x < 0) != (y < 0))).astype(x.dtype)


_DIVISIONS = (
    S((3, 4), (3, 4), low=(-9, 1), high=(9, 5)),
    S((3, 1), (4,), low=(-9, 1), high=(9, 5)),
    S((0,), (1,), low=(-9, 1), high=(9, 5)),
    S(values=([-7, 7, -7, 7], [3, 3, -3, -3]), dtype=("int32", "int32")),
    Bad(values=([1], [0]), dtype=("int32", "int32"), match="Integer division by zero"),
    BAD,
)

floordiv = binary(
    "FloorDiv",
    "Quotient of two tensors, rounded towards minus infinity: `x // y`.",
    export=("math.floordiv", "floordiv"),
    example="tf.math.floordiv([-7, 7], [2, 2]).numpy() -> array([-4,  3], dtype=int32)",
    label="floordiv",
    dtypes=REALS,
    kernel=_floor_divide,
    kernels={dtype: _no_zero(np.floor_divide) for dtype in INTS},
    no_grad="piecewise constant",
    scalar=lambda b, x, y: x // y,
    oracle=lambda x, y: x // y if isinstance(x, int) else math.floor(x / y),
    samples=_DIVISIONS,
)

floormod = binary(
    "FloorMod",
    "Remainder of `floordiv`, with the sign of `y`: `x % y`.",
    export=("math.floormod", "math.mod", "floormod", "mod"),
    example="tf.math.floormod([-7, 7], [3, 3]).numpy() -> array([2, 1], dtype=int32)",
    dtypes=REALS,
    kernel=_floor_mod,
    kernels={dtype: _no_zero(np.mod) for dtype in INTS},
    grad=(lambda dy, z, x, y: dy, lambda dy, z, x, y: -dy * floordiv(x, y)),
    scalar=lambda b, x, y: x % y,
    oracle=operator.mod,
    samples=_DIVISIONS,
)


truncatediv = binary(
    "TruncateDiv",
    "Quotient of two integer tensors, rounded towards zero.",
    export=("truncatediv",),
    example="tf.truncatediv([-7, 7], [2, 2]).numpy() -> array([-3,  3], dtype=int32)",
    dtypes=INTS,
    kernel=_no_zero(_truncated_divide),
    no_grad="integer result",
    scalar=lambda b, x, y: b.truncatediv(x, y),
    oracle=lambda x, y: abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1),
    samples=_DIVISIONS,
)

truncatemod = binary(
    "TruncateMod",
    "Remainder of division rounded towards zero, with the sign of `x`.",
    export=("truncatemod",),
    example="tf.truncatemod([-7, 7], [3, 3]).numpy() -> array([-1,  1], dtype=int32)",
    dtypes=REALS,
    kernel=np.fmod,
    kernels={dtype: _no_zero(np.fmod) for dtype in INTS},
    no_grad="TensorFlow defines none",
    scalar=lambda b, x, y: b.truncatemod(x, y),
    oracle=math.fmod,
    samples=_DIVISIONS,
)


def _divide_no_nan(x, y):
    if not y.ndim and y:
        return np.true_divide(x, y)
    return np.where(y == 0, np.zeros((), x.dtype), np.true_divide(x, y))


divide_no_nan = binary(
    "DivNoNan",
    "Quotient of two tensors, 0 where `y` is 0.",
    export=("math.divide_no_nan",),
    example="tf.math.divide_no_nan([1., 3.], [0., 4.]).numpy() "
    "-> array([0.  , 0.75], dtype=float32)",
    dtypes=FLOATS | COMPLEX,
    kernel=_divide_no_nan,
    grad=(
        lambda dy, z, x, y: divide_no_nan(dy, conj(y)),
        lambda dy, z, x, y: dy * conj(divide_no_nan(divide_no_nan(-x, y), y)),
    ),
    scalar=lambda b, x, y: b.where(y == 0, b.const(0, x.dtype), x / y),
    oracle=lambda x, y: x / y if y else 0 * y,
    samples=(
        S((3, 4), (3, 4), low=(-2, 0.5)),
        S((3, 1), (4,), low=(-2, 0.5)),
        S(values=([1.0, inf, nan], [0.0, 0.0, 0.0]), dtype=("float32", "float32"), grad=False),
        BAD,
    ),
)

multiply_no_nan = binary(
    "MulNoNan",
    "Product of two tensors, 0 where `y` is 0 even if `x` is infinite or NaN.",
    export=("math.multiply_no_nan",),
    example="tf.math.multiply_no_nan([float('nan'), 3.], [0., 4.]).numpy() "
    "-> array([ 0., 12.], dtype=float32)",
    dtypes=FLOATS | COMPLEX,
    kernel=lambda x, y: np.where(y == 0, np.zeros((), x.dtype), x * y),
    grad=(
        lambda dy, z, x, y: multiply_no_nan(dy, y),
        lambda dy, z, x, y: multiply_no_nan(x, dy),
    ),
    scalar=lambda b, x, y: b.where(y == 0, b.const(0, x.dtype), x * y),
    oracle=lambda x, y: x * y if y else 0.0 * y,
    samples=(*TWO, BAD),
)


def _pow_kernel(x, y):
    try:
        return np.power(x, y)
    except ValueError as error:
        if "negative integer powers" in str(error):
            raise errors.invalid_argument(
                "Integers to negative integer powers are not allowed"
            ) from None
        raise


power = binary(
    "Pow",
    "Each element of `x` to the power of that of `y`: `x ** y`.",
    export=("math.pow", "pow"),
    example="tf.pow([2., 3.], [3., 2.]).numpy() -> array([8., 9.], dtype=float32)",
    dtypes=FLOATS | SIGNED | COMPLEX,
    kernel=_pow_kernel,
    grad=(
        lambda dy, z, x, y: dy * conj(y * power(x, y - 1)),
        lambda dy, z, x, y: dy * conj(z * _safe_log(x)),
    ),
    scalar=lambda b, x, y: b.math.pow(x, y),
    oracle=operator.pow,
    samples=(
        S((3, 4), (3, 4), low=(0.5, -2), dtype=("float32", "float32")),
        S((3, 4), (3, 4), low=(0.5, -2), dtype=("float64", "float64")),
        S((3, 1), (4,), low=(0, 0), high=(4, 4)),
        S(values=([2, -3], [5, 3]), dtype=("int32", "int32")),
        Bad(values=([2], [-1]), dtype=("int32", "int32"), match="negative integer powers"),
        BAD,
    ),
    ulp={float16: 2, bfloat16: 2, float32: 4, float64: 4},
)


def _safe_log(x):
    """ln x where it is defined, 0 elsewhere: the exponent's gradient at x <= 0 is 0."""
    valid = not_equal(x, 0) if x.dtype.is_complex else greater(x, 0)
    return where(valid, log(where(valid, x, 1)), 0)


maximum = binary(
    "Maximum",
    "The larger of two elements; NaN if one is NaN.",
    export=("math.maximum", "maximum"),
    example="tf.maximum([1., 5.], [3., 4.]).numpy() -> array([3., 5.], dtype=float32)",
    dtypes=REALS,
    kernel=np.maximum,
    grad=(
        lambda dy, z, x, y: where(greater_equal(x, y), dy, 0),
        lambda dy, z, x, y: where(logical_not(greater_equal(x, y)), dy, 0),
    ),
    scalar=lambda b, x, y: b.maximum(x, y),
    oracle=lambda x, y: nan if x != x or y != y else max(x, y),
    samples=(*TWO, BAD, EDGES_2),
)

minimum = binary(
    "Minimum",
    "The smaller of two elements; NaN if one is NaN.",
    export=("math.minimum", "minimum"),
    example="tf.minimum([1., 5.], [3., 4.]).numpy() -> array([1., 4.], dtype=float32)",
    dtypes=REALS,
    kernel=np.minimum,
    grad=(
        lambda dy, z, x, y: where(less_equal(x, y), dy, 0),
        lambda dy, z, x, y: where(logical_not(less_equal(x, y)), dy, 0),
    ),
    scalar=lambda b, x, y: b.minimum(x, y),
    oracle=lambda x, y: nan if x != x or y != y else min(x, y),
    samples=(*TWO, BAD, EDGES_2),
)

squared_difference = binary(
    "SquaredDifference",
    "Squared distance of two elements: `(x - y) (x - y)`, conjugated for complex numbers.",
    export=("math.squared_difference",),
    example="tf.math.squared_difference([1., 5.], [3., 4.]).numpy() "
    "-> array([4., 1.], dtype=float32)",
    dtypes=FLOATS | COMPLEX | SIGNED,
    kernel=lambda x, y: np.square(x - y),
    kernels={d: lambda x, y: (x - y) * np.conjugate(x - y) for d in COMPLEX},
    grad=(
        lambda dy, z, x, y: 2 * dy * (x - y),
        lambda dy, z, x, y: -2 * dy * (x - y),
    ),
    scalar=lambda b, x, y: (x - y) * b.math.conj(x - y),
    oracle=lambda x, y: (x - y) * (x - y).conjugate(),
    samples=(*TWO, BAD),
    ulp={float16: 4, bfloat16: 4, float32: 4, float64: 4},
)

negative = unary(
    "Neg",
    "Each element with the opposite sign: `-x`.",
    export=("math.negative", "negative"),
    example="tf.negative([1., -2.]).numpy() -> array([-1.,  2.], dtype=float32)",
    dtypes=FLOATS | SIGNED | COMPLEX,
    kernel=np.negative,
    grad=lambda dy, y, x: negative(dy),
    keep=(),
    scalar=lambda b, x: -x,
    oracle=operator.neg,
    samples=(*ONE, EDGES),
)

square = unary(
    "Square",
    "Each element times itself.",
    export=("math.square", "square"),
    example="tf.square([1., -2.]).numpy() -> array([1., 4.], dtype=float32)",
    dtypes=NUMERIC,
    kernel=np.square,
    grad=lambda dy, y, x: dy * (2 * conj(x)),
    scalar=lambda b, x: x * x,
    oracle=lambda x: x * x,
    samples=(*ONE, EDGES),
)

reciprocal = unary(
    "Reciprocal",
    "One over each element.",
    export=("math.reciprocal",),
    example="tf.math.reciprocal([2., 4.]).numpy() -> array([0.5 , 0.25], dtype=float32)",
    dtypes=FLOATS | COMPLEX,
    kernel=lambda x: np.true_divide(np.ones((), x.dtype), x),
    grad=lambda dy, y, x: -dy * conj(y * y),
    keep=("output",),
    scalar=lambda b, x: b.const(1, x.dtype) / x,
    oracle=lambda x: 1 / x,
    samples=(S(3, 4, low=0.5), S(0), EDGES),
)

abs_real = unary(
    "Abs",
    "Absolute value of each element of a real tensor.",
    example="tf.abs([1., -2.]).numpy() -> array([1., 2.], dtype=float32)",
    dtypes=FLOATS | SIGNED,
    kernel=np.abs,
    grad=lambda dy, y, x: dy * sign(x),
    scalar=lambda b, x: b.math.abs(x),
    oracle=abs,
    samples=(*ONE, EDGES, S(values=[0.0, -0.0], grad=False)),
)

abs_complex = unary(
    "ComplexAbs",
    "Absolute value of each element of a complex tensor.",
    example="tf.abs([3+4j]).numpy() -> array([5.])",
    dtypes=COMPLEX,
    out=lambda dtype: dtype.real_dtype,
    kernel=np.abs,
    grad=lambda dy, y, x: cast(divide_no_nan(dy, y), x.dtype) * x,
    scalar=lambda b, x: b.math.abs(x),
    oracle=abs,
    samples=ONE,
)


@export("math.abs", "abs")
def absolute(x, name=None):
    """Absolute value of each element.

    Args:
        x: float, signed integer or complex tensor, any shape.
        name: of the operation in a graph.
    Returns: real tensor of x's shape (complex64 gives float32, complex128 float64).
    Source: TensorFlow's `Abs` and `ComplexAbs`.

    >>> tf.abs([-1.5, 2.]).numpy()
    array([1.5, 2. ], dtype=float32)
    """
    x = convert(x)
    return abs_complex(x) if x.dtype.is_complex else abs_real(x)


def _sign_of(x):
    if isinstance(x, complex):
        return x / abs(x) if x else x
    return x if x != x else (x > 0) - (x < 0)


sign = unary(
    "Sign",
    "-1, 0 or 1 as each element is negative, zero or positive; `x / |x|` for complex ones.",
    export=("math.sign", "sign"),
    example="tf.sign([-3., 0., 2.]).numpy() -> array([-1.,  0.,  1.], dtype=float32)",
    dtypes=FLOATS | SIGNED | COMPLEX,
    kernel=np.sign,
    grad=lambda dy, y, x: dy * 0,
    keep=(),
    scalar=lambda b, x: b.math.sign(x),
    oracle=_sign_of,
    samples=(
        S(3, 4, grad=False),
        S(0),
        S(values=[0.0, inf, -inf, nan], dtype=("float32",), grad=False),
    ),
)

floor = unary(
    "Floor",
    "The largest whole number that is not above each element.",
    export=("math.floor", "floor"),
    example="tf.floor([1.7, -1.2]).numpy() -> array([ 1., -2.], dtype=float32)",
    dtypes=FLOATS,
    kernel=np.floor,
    no_grad="piecewise constant",
    scalar=lambda b, x: b.math.floor(x),
    oracle=lambda x: x if not math.isfinite(x) else float(math.floor(x)),
    samples=(*ONE, S(values=[1.0, -1.0, inf, -inf, nan])),
    ulp=EXACT,
)

ceil = unary(
    "Ceil",
    "The smallest whole number that is not below each element.",
    export=("math.ceil",),
    example="tf.math.ceil([1.2, -1.7]).numpy() -> array([ 2., -1.], dtype=float32)",
    dtypes=FLOATS,
    kernel=np.ceil,
    no_grad="piecewise constant",
    scalar=lambda b, x: b.math.ceil(x),
    oracle=lambda x: x if not math.isfinite(x) else float(math.ceil(x)),
    samples=(*ONE, S(values=[1.0, -1.0, inf, -inf, nan])),
    ulp=EXACT,
)

round_half_even = unary(
    "Round",
    "The nearest whole number of each element, the even one of two that are equally near.",
    export=("math.round", "round", "math.rint"),
    example="tf.round([0.5, 1.5, 2.6]).numpy() -> array([0., 2., 3.], dtype=float32)",
    dtypes=FLOATS | SIGNED,
    kernel=np.rint,
    kernels=dict.fromkeys(SIGNED, np.positive),
    no_grad="piecewise constant",
    scalar=lambda b, x: b.math.rint(x),
    oracle=lambda x: x if not math.isfinite(x) else type(x)(round(x)),
    samples=(*ONE, S(values=[0.5, 1.5, -0.5, -2.5], dtype=("float32",))),
    ulp=EXACT,
)


@export("math.truediv", "truediv")
def truediv(x, y, name=None):
    """Quotient of two tensors, element by element: `x / y`; integers are made floats first.

    Args:
        x: number tensor, any shape; int8 and int16 become float32, other integers float64.
        y: tensor of x's dtype whose shape broadcasts with x's.
        name: of the operation in a graph.
    Returns: float or complex tensor of the broadcast shape.
    Raises: TypeError: the dtypes differ.
    Source: TensorFlow's `RealDiv`.

    >>> tf.truediv([1, 3], [2, 4]).numpy()
    array([0.5 , 0.75])
    """
    x = convert(x)
    y = convert(y, None, x.dtype)
    if x.dtype is not y.dtype:
        raise TypeError(
            f"`x` and `y` must have the same dtype, got {x.dtype!r} != {y.dtype!r}."
        )
    if x.dtype.is_integer and y.dtype is x.dtype:
        target = float32 if x.dtype.size <= 2 else float64
        x, y = cast(x, target), cast(y, target)
    return divide_real(x, y, name or "truediv")


@export("math.divide", "divide", "div")
def divide(x, y, name=None):
    """Quotient of two tensors as Python has it: `x / y`.

    Args:
        x: number tensor, any shape; a plain value takes y's dtype.
        y: tensor of x's dtype whose shape broadcasts with x's.
        name: of the operation in a graph.
    Returns: float or complex tensor of the broadcast shape.
    Raises: TypeError: the dtypes differ.
    Source: TensorFlow's `RealDiv`.

    >>> tf.divide(1, 4).numpy()
    np.float64(0.25)
    """
    if isinstance(y, Tensor) and not isinstance(x, Tensor):
        x = convert(x, y.dtype)
    return truediv(x, y, name)
