"""Comparison, logic, bits, and choice between two tensors."""

from __future__ import annotations

import math
import operator

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import ALL, FLOATS, INTS, REALS, int64
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.dtypes import string as string_dtype
from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.make import binary, unary
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, sum_to_like

inf, nan = math.inf, math.nan
BOOL = frozenset({bool_dtype})
_TRUTH = "truth value"
_TIES = [0.0, -0.0, 1.0, 2.0, inf, -inf, nan, nan]
_SAMPLES = (
    S((3, 4), (3, 4)),
    S((3, 1), (4,)),
    S((), ()),
    S((0, 3), (3,)),
    S(values=(_TIES, [-0.0, 0.0, 2.0, 1.0, inf, inf, nan, 1.0]), dtype=("float32", "float32")),
    Bad((2, 3), (4, 5), match=r"Incompatible shapes: \[2,3\] vs. \[4,5\]"),
)


def _to_bool(dtype):
    return bool_dtype


equal = binary(
    "Equal",
    "Whether two elements are equal: `x == y`.",
    export=("math.equal", "equal"),
    example="tf.equal([1, 2], [1, 3]).numpy() -> array([ True, False])",
    dtypes=ALL,
    out=_to_bool,
    kernel=np.equal,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x == y,
    oracle=operator.eq,
    samples=_SAMPLES,
)

not_equal = binary(
    "NotEqual",
    "Whether two elements differ: `x != y`.",
    export=("math.not_equal", "not_equal"),
    example="tf.not_equal([1, 2], [1, 3]).numpy() -> array([False,  True])",
    dtypes=ALL,
    out=_to_bool,
    kernel=np.not_equal,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x != y,
    oracle=operator.ne,
    samples=_SAMPLES,
)

less = binary(
    "Less",
    "Whether the element of `x` is the smaller one: `x < y`.",
    export=("math.less", "less"),
    example="tf.less([1, 2], [2, 2]).numpy() -> array([ True, False])",
    dtypes=REALS,
    out=_to_bool,
    kernel=np.less,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x < y,
    oracle=operator.lt,
    samples=_SAMPLES,
)

less_equal = binary(
    "LessEqual",
    "Whether the element of `x` is not the larger one: `x <= y`.",
    export=("math.less_equal", "less_equal"),
    example="tf.less_equal([1, 3], [1, 2]).numpy() -> array([ True, False])",
    dtypes=REALS,
    out=_to_bool,
    kernel=np.less_equal,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x <= y,
    oracle=operator.le,
    samples=_SAMPLES,
)

greater = binary(
    "Greater",
    "Whether the element of `x` is the larger one: `x > y`.",
    export=("math.greater", "greater"),
    example="tf.greater([3, 2], [2, 2]).numpy() -> array([ True, False])",
    dtypes=REALS,
    out=_to_bool,
    kernel=np.greater,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x > y,
    oracle=operator.gt,
    samples=_SAMPLES,
)

greater_equal = binary(
    "GreaterEqual",
    "Whether the element of `x` is not the smaller one: `x >= y`.",
    export=("math.greater_equal", "greater_equal"),
    example="tf.greater_equal([2, 1], [2, 2]).numpy() -> array([ True, False])",
    dtypes=REALS,
    out=_to_bool,
    kernel=np.greater_equal,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x >= y,
    oracle=operator.ge,
    samples=_SAMPLES,
)

_LOGIC = (S((3, 4), (3, 4)), S((3, 1), (4,)), S((), ()), S((0,), (1,)))

logical_and = binary(
    "LogicalAnd",
    "Whether both elements are true: `x & y`.",
    export=("math.logical_and", "logical_and"),
    example="tf.logical_and([True, True], [True, False]).numpy() -> array([ True, False])",
    dtypes=BOOL,
    kernel=np.logical_and,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x & y,
    oracle=lambda x, y: x and y,
    samples=_LOGIC,
)

logical_or = binary(
    "LogicalOr",
    "Whether one of two elements is true: `x | y`.",
    export=("math.logical_or", "logical_or"),
    example="tf.logical_or([True, False], [False, False]).numpy() -> array([ True, False])",
    dtypes=BOOL,
    kernel=np.logical_or,
    no_grad=_TRUTH,
    scalar=lambda b, x, y: x | y,
    oracle=lambda x, y: x or y,
    samples=_LOGIC,
)

logical_not = unary(
    "LogicalNot",
    "True for false, false for true: `~x`.",
    export=("math.logical_not", "logical_not"),
    example="tf.logical_not([True, False]).numpy() -> array([False,  True])",
    dtypes=BOOL,
    kernel=np.logical_not,
    no_grad=_TRUTH,
    scalar=lambda b, x: ~x,
    oracle=operator.not_,
    samples=(S(3, 4), S(), S(0)),
)


@export("math.logical_xor")
def logical_xor(x, y, name="LogicalXor"):
    """Whether exactly one of two elements is true: `x ^ y`.

    Args:
        x: bool tensor, any shape.
        y: bool tensor whose shape broadcasts with x's.
        name: of the operation in a graph.
    Returns: bool tensor of the broadcast shape.

    >>> tf.math.logical_xor([True, True], [True, False]).numpy()
    array([False,  True])
    """
    return logical_and(logical_or(x, y), logical_not(logical_and(x, y)))


_BITS = (S((3, 4), (3, 4)), S((3, 1), (4,)), S((), ()))

bitwise_and = binary(
    "BitwiseAnd",
    "The bits that are set in both elements.",
    export=("bitwise.bitwise_and",),
    example="tf.bitwise.bitwise_and([5], [3]).numpy() -> array([1], dtype=int32)",
    dtypes=INTS,
    kernel=np.bitwise_and,
    no_grad="integer result",
    scalar=lambda b, x, y: x & y,
    oracle=operator.and_,
    samples=_BITS,
)

bitwise_or = binary(
    "BitwiseOr",
    "The bits that are set in one of two elements.",
    export=("bitwise.bitwise_or",),
    example="tf.bitwise.bitwise_or([5], [3]).numpy() -> array([7], dtype=int32)",
    dtypes=INTS,
    kernel=np.bitwise_or,
    no_grad="integer result",
    scalar=lambda b, x, y: x | y,
    oracle=operator.or_,
    samples=_BITS,
)

bitwise_xor = binary(
    "BitwiseXor",
    "The bits that are set in exactly one of two elements.",
    export=("bitwise.bitwise_xor",),
    example="tf.bitwise.bitwise_xor([5], [3]).numpy() -> array([6], dtype=int32)",
    dtypes=INTS,
    kernel=np.bitwise_xor,
    no_grad="integer result",
    scalar=lambda b, x, y: x ^ y,
    oracle=operator.xor,
    samples=_BITS,
)

invert = unary(
    "Invert",
    "Every bit of each element flipped.",
    export=("bitwise.invert",),
    example="tf.bitwise.invert([0, 5]).numpy() -> array([-1, -6], dtype=int32)",
    dtypes=INTS,
    kernel=np.invert,
    no_grad="integer result",
    scalar=lambda b, x: ~x,
    oracle=operator.invert,
    samples=(S(3, 4), S(), S(0)),
)

_FLAGS = (S(3, 4), S(), S(0), S(values=[0.0, inf, -inf, nan]))

is_nan = unary(
    "IsNan",
    "Whether each element is not a number.",
    export=("math.is_nan",),
    example="tf.math.is_nan([1., float('nan')]).numpy() -> array([False,  True])",
    dtypes=FLOATS,
    out=_to_bool,
    kernel=np.isnan,
    no_grad=_TRUTH,
    scalar=lambda b, x: b.math.isnan(x),
    oracle=math.isnan,
    samples=_FLAGS,
)

is_inf = unary(
    "IsInf",
    "Whether each element is infinite.",
    export=("math.is_inf",),
    example="tf.math.is_inf([1., float('inf')]).numpy() -> array([False,  True])",
    dtypes=FLOATS,
    out=_to_bool,
    kernel=np.isinf,
    no_grad=_TRUTH,
    scalar=lambda b, x: b.math.isinf(x),
    oracle=math.isinf,
    samples=_FLAGS,
)

is_finite = unary(
    "IsFinite",
    "Whether each element is neither infinite nor NaN.",
    export=("math.is_finite",),
    example="tf.math.is_finite([1., float('inf')]).numpy() -> array([ True, False])",
    dtypes=FLOATS,
    out=_to_bool,
    kernel=np.isfinite,
    no_grad=_TRUTH,
    scalar=lambda b, x: b.math.isfinite(x),
    oracle=math.isfinite,
    samples=_FLAGS,
)


class SelectV2(Op):
    """For each position the element of `t` where `condition` is true, else that of `e`."""

    kind = Kind.ELEMENTWISE
    inputs = ("condition", "t", "e")
    dtypes = ALL
    types = {"condition": ("condition", BOOL)}
    keep = ("condition",)
    samples = (
        S((3, 4), (3, 4), (3, 4), dtype=("bool", None, None)),
        S((3, 1), (4,), (), dtype=("bool", None, None)),
        S((), (2, 3), (3,), dtype=("bool", None, None)),
        Bad(
            (2,),
            (3,),
            (3,),
            dtype=("bool", None, None),
            match=r"condition \[2\], then \[3\], and else \[3\] must be broadcastable",
        ),
    )

    def infer(condition, t, e):
        parts = condition.shape, t.shape, e.shape
        try:
            return Spec(shapes.broadcast(shapes.broadcast(*parts[:2]), parts[2]), t.dtype)
        except ValueError:
            texts = [brackets(part) for part in parts]
            raise errors.invalid_argument(
                f"condition {texts[0]}, then {texts[1]}, and else {texts[2]} must be "
                "broadcastable"
            ) from None

    kernel = np.where
    grad = (
        None,
        lambda dy, y, condition, t, e: sum_to_like(select(condition, dy, 0), t),
        lambda dy, y, condition, t, e: sum_to_like(select(logical_not(condition), dy, 0), e),
    )

    def scalar(b, condition, t, e):
        return b.where(condition, t, e)

    def oracle(condition, t, e):
        return t if condition else e


def select(condition, t, e):
    """`where` of three tensors."""
    return apply(SelectV2, (condition, t, e))


class Where(Op):
    """The positions of the true elements, in row-major order."""

    kind = Kind.OPAQUE
    inputs = ("condition",)
    dtypes = ALL - {string_dtype}
    no_grad = "integer result"
    no_lower = "the shape of the result depends on the data"
    samples = (S(3, 4, dtype=("bool",)), S(dtype=("bool",)), S(0, dtype=("bool",)))

    def infer(condition):
        rank = None if condition.shape is None else len(condition.shape)
        return Spec((None, rank), int64)

    def kernel(condition):
        if not condition.ndim:
            return np.zeros((int(bool(condition)), 0), np.int64)
        return np.argwhere(condition)

    def oracle(condition):
        found = [index for index in np.ndindex(*condition.shape) if condition[index]]
        return np.array(found, dtype=np.int64).reshape(len(found), condition.ndim)


@export("where")
def where(condition, x=None, y=None, name=None):
    """Elements of `x` or `y` by a condition; or, with the condition alone, its true positions.

    Args:
        condition: bool tensor; shapes of all three broadcast. Alone: any tensor.
        x: tensor, taken where the condition is true.
        y: tensor of x's dtype, taken elsewhere.
        name: of the operation in a graph.
    Returns: tensor of the broadcast shape; or an int64 tensor `[number of true ones, rank]`.
    Raises: ValueError: only one of `x` and `y` is given.
    Source: TensorFlow's `SelectV2` and `Where`.

    >>> tf.where([True, False], [1, 2], [3, 4]).numpy()
    array([1, 4], dtype=int32)
    >>> tf.where([True, False, True]).numpy()
    array([[0],
           [2]])
    """
    if x is None and y is None:
        return apply(Where, (convert(condition),), name=name)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    return apply(SelectV2, (condition, x, y), name=name)
