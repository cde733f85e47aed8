"""Reductions: many elements become one, along some axes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import (
    FLOATS,
    NUMERIC,
    REALS,
    as_dtype,
    bfloat16,
    float16,
    float32,
    float64,
    int32,
    int64,
)
from headrace.base.export import export as export_as
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor, Tensor
from headrace.ops.cast import cast, conj
from headrace.ops.compare import BOOL, equal, is_finite, not_equal, where
from headrace.ops.concat_pad import concat
from headrace.ops.create import ones_like, range_
from headrace.ops.elementwise import squared_difference
from headrace.ops.make import document, kinds, public
from headrace.ops.reshape import (
    expand_dims,
    invert_permutation,
    reshape,
    stop_gradient,
    transpose,
)
from headrace.ops.samples import Bad, S
from headrace.ops.scan import cumprod
from headrace.ops.shapes import BroadcastTo, dims_of, rank, shape_of, size
from headrace.ops.transcendental import exp, log, sqrt

SAMPLES = (
    S(3, 4, axis=(0,)),
    S(3, 4, axis=(1,), keep_dims=True),
    S(2, 3, 4, axis=(0, 2)),
    S(2, 3, 4, axis=(0, 1, 2), keep_dims=True),
    S(axis=()),
    S(3, 4, axis=()),
    Bad(3, axis=(1,), match=r"Invalid reduction dimension \(1 for input with 1 dimension"),
)
EMPTY = (S(0, 3, axis=(0,)), S(3, 0, axis=(0,)))
ULP = {float16: 4, bfloat16: 4, float32: 4, float64: 4}


def reduction(
    name: str,
    doc: str,
    *,
    export: tuple[str, ...],
    dtypes: frozenset,
    kernel: Callable,
    combine: str,
    oracle: Callable,
    example: str,
    finish: Callable | None = None,
    samples: tuple = (*SAMPLES, *EMPTY),
    **rules,
) -> Callable:
    """A reduction `(input, axis, keep_dims)`.

    Args:
        kernel: `(array, axes, keepdims) -> array`.
        combine: how the compiler's loops join two elements ("add", "mul", "max", ...).
        finish: `(builder, total, count) -> result` where the total is not yet it.
        oracle: function of a list of Python numbers.
        (the others as for `make.unary`)
    Returns:
        The public function `f(input_tensor, axis=None, keepdims=False, name=None)`.
    """

    def infer(input, axis, keep_dims=False):
        return Spec(reduced_shape(input.shape, axis, keep_dims), input.dtype)

    def run(input, axis, keep_dims=False):
        return kernel(input, axis, keep_dims)

    def lower(c, input, axis, keep_dims=False):
        return lower_reduction(c, combine, input, axis, keep_dims, finish)

    text = document(
        doc,
        (
            f"input_tensor: {kinds(dtypes)} tensor, any shape.",
            "axis: int or ints, the axes to reduce (default: all).",
            "keepdims: whether reduced axes stay, with size 1.",
            "name: of the operation in a graph.",
        ),
        "tensor of the same dtype without the reduced axes.",
        name,
        example,
        "InvalidArgumentError: an axis that the tensor does not have.",
    )
    rules.update(infer=infer, kernel=run, lower=lower, oracle=oracle, samples=samples)
    rules.update(kind=Kind.REDUCE, inputs=("input", "axis"), static=("axis",))
    rules.update(attrs={"keep_dims": False}, dtypes=dtypes, __doc__=text, __module__=__name__)
    op = type(name, (Op,), rules)

    def function(input_tensor, axis=None, keepdims=False, name=None):
        return reduce_with(op, input_tensor, axis, keepdims, name)

    return public(function, op, export)


def reduce_with(op, input_tensor, axis, keepdims, name=None):
    """Apply a reduction after normalising its axes."""
    x = input_tensor if input_tensor.__class__ is EagerTensor else convert(input_tensor)
    result = apply(op, (x,), {"axis": axes_of(x, axis), "keep_dims": bool(keepdims)}, name)
    if axis is None and x.ndim is None and not keepdims:
        result.set_shape(())
    return result


def axes_of(x: Tensor, axis):
    """`axis` as a tuple, or as a vector that only the graph knows; None is all axes."""
    if axis is None:
        count = x.ndim
        if count is None:
            return range_(rank(x))
        return _ALL_AXES[count] if count < 8 else tuple(range(count))
    axis = static(axis)
    if axis.__class__ is int:
        axis = (axis,)
    if axis.__class__ is not tuple:
        return reshape(axis, (-1,)) if axis.shape.rank == 0 else axis
    if (count := x.ndim) is not None:
        return tuple(a + count if -count <= a < 0 else a for a in axis)
    return axis


_ALL_AXES = [tuple(range(rank)) for rank in range(8)]


def reduced_shape(shape, axis, keep_dims):
    """The shape after reducing `axis`."""
    if shape is None or axis is None or None in axis:
        return None if not keep_dims or shape is None else (None,) * len(shape)
    for a in axis:
        if not 0 <= a < len(shape):
            raise errors.invalid_argument(
                f"Invalid reduction dimension ({a} for input with {len(shape)} dimension(s)"
            )
    if len(set(axis)) != len(axis):
        raise errors.invalid_argument(
            f"Invalid reduction arguments: Axes contains duplicate dimension: {axis[0]}"
        )
    if keep_dims:
        return tuple(1 if i in axis else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def lower_reduction(c, combine, input, axis, keep_dims, finish=None):
    """The loops of a reduction over `axis`."""
    kept = [i for i in range(input.rank) if i not in axis]
    order = sorted(axis)
    extents = tuple(input.shape[i] for i in order)

    def element(index, r):
        at = dict(zip(order, r, strict=True))
        if keep_dims:
            at.update((i, index[i]) for i in kept)
        else:
            at.update(zip(kept, index, strict=True))
        return input[tuple(at[i] for i in range(input.rank))]

    shape = reduced_shape(input.shape, axis, keep_dims)
    total = c.reduce(combine, shape, input.dtype, extents, element)
    if finish is None:
        return total
    count = math.prod(extents)
    return c.map(shape, input.dtype, lambda *index: finish(c, total[index], count))


def stretched(dy, x, axis, keep_dims):
    """A reduction's gradient (or result) with the reduced axes back, of size 1."""
    if keep_dims or dy.ndim == 0:
        return dy
    dims = dims_of(x)
    if dims.__class__ is tuple and axis.__class__ is tuple:
        return reshape(dy, tuple(1 if i in axis else n for i, n in enumerate(dims)))
    return reshape(dy, reduced_sum_shape(dims, axis))


def reduced_sum_shape(shape, axis):
    """The shape of a reduction that keeps its axes, for shapes that only the graph knows."""
    axis = cast(convert(axis, None, int32), int32)
    return apply(KeptShape, (convert(shape, None, int32), axis))


class KeptShape(Op):
    """A shape vector with 1 at the reduced axes."""

    kind = Kind.OPAQUE
    inputs = ("input", "axis")
    dtypes = frozenset({int32, int64})
    no_grad = "integer result"
    no_lower = "known when compiled: folded into a constant"
    samples = (S(values=([3, 4, 5], [1, 2]), dtype=("int32", "int32")),)

    def infer(input, axis):
        return Spec(input.shape, input.dtype)

    def kernel(input, axis):
        result = input.copy()
        result[axis] = 1
        return result

    def oracle(input, axis):
        return np.array([1 if i in axis else n for i, n in enumerate(input)])


def _wide(ufunc):
    """A reduction by a ufunc; 16-bit floats are accumulated in float32."""

    def kernel(x, axis, keep):
        if x.dtype.itemsize == 2 and x.dtype.kind not in "iu":
            wide = ufunc.reduce(x.astype(np.float32), axis=axis, keepdims=keep)
            return np.asarray(wide).astype(x.dtype)
        return ufunc.reduce(x, axis=axis, keepdims=keep, dtype=x.dtype)

    return kernel


def _mean(x, axis, keep):
    count = math.prod(x.shape[a] for a in axis)
    if x.dtype.kind in "iu":
        total = np.add.reduce(x, axis=axis, keepdims=keep, dtype=np.int64)
        return (np.asarray(total / count) if not count else _towards_zero(total, count)).astype(
            x.dtype
        )
    if x.dtype.itemsize == 2:
        wide = np.add.reduce(x.astype(np.float32), axis=axis, keepdims=keep)
        return np.asarray(np.true_divide(wide, count)).astype(x.dtype)
    return np.true_divide(np.add.reduce(x, axis=axis, keepdims=keep), x.dtype.type(count))


def _towards_zero(total, count):
    return np.asarray(np.sign(total) * (np.abs(total) // count))


def _extreme(ufunc, empty):
    """max or min; over nothing the lowest or highest value, as TensorFlow has it."""

    def kernel(x, axis, keep):
        if x.size:
            return ufunc.reduce(x, axis=axis, keepdims=keep)
        return ufunc.reduce(x, axis=axis, keepdims=keep, initial=empty(as_dtype(x.dtype)))

    return kernel


def _lowest(dtype):
    return dtype.np.type(-math.inf) if dtype.is_floating else dtype.min


def _highest(dtype):
    return dtype.np.type(math.inf) if dtype.is_floating else dtype.max


def _share(dy, y, x, axis, keep_dims=False):
    """The gradient of an extreme value, shared by all elements that have it."""
    y, dy = stretched(y, x, axis, keep_dims), stretched(dy, x, axis, keep_dims)
    chosen = cast(equal(x, y), x.dtype)
    number = apply(Sum, (chosen,), {"axis": axis, "keep_dims": True})
    return chosen / number * dy


def _sum_grad(dy, y, x, axis, keep_dims=False):
    return apply(BroadcastTo, (stretched(dy, x, axis, keep_dims),), {"shape": shape_of(x)})


def _mean_grad(dy, y, x, axis, keep_dims=False):
    shape = shape_of(x)
    if shape.__class__ is tuple and axis.__class__ is tuple:
        count = float(max(1, math.prod([shape[a] for a in axis])))
    else:
        count = cast(size(x) / size(y), y.dtype)
    return _sum_grad(dy / count, y, x, axis, keep_dims)


def _prod_grad(dy, y, x, axis, keep_dims=False):
    """Each element's gradient is the product of all others, also where elements are 0."""
    order, back, count = _front(x, axis)
    moved = transpose(x, order)
    shape = shape_of(moved)
    if shape.__class__ is tuple:
        sizes = (math.prod(shape[:count]), math.prod(shape[count:]))
    else:
        sizes = (reduce_prod(shape[:count]), reduce_prod(shape[count:]))
    flat = reshape(moved, sizes)
    others = cumprod(flat, 0, exclusive=True) * cumprod(flat, 0, exclusive=True, reverse=True)
    return conj(transpose(reshape(others, shape), back)) * stretched(dy, x, axis, keep_dims)


def _front(x, axis):
    """The order of axes in which some come first, the way back, and how many they are."""
    if x.ndim is not None and axis.__class__ is tuple:
        order = (*axis, *(i for i in range(x.ndim) if i not in axis))
        return order, tuple(order.index(i) for i in range(x.ndim)), len(axis)
    count = rank(x)
    axes = range_(count)
    given = cast(convert(axis, None, int32), int32)
    chosen = equal(
        expand_dims(axes, 1), reshape(where(given < 0, given + count, given), (1, -1))
    )
    first = reduce_any(chosen, 1)
    order = reshape(concat([where(first), where(~first)], 0), (-1,))
    return order, invert_permutation(order), size(given)


def _all(x, axis, keep):
    return np.logical_and.reduce(x, axis=axis, keepdims=keep)


def _any(x, axis, keep):
    return np.logical_or.reduce(x, axis=axis, keepdims=keep)


reduce_sum = reduction(
    "Sum",
    "The sum of the elements along some axes.",
    export=("math.reduce_sum", "reduce_sum"),
    example="tf.reduce_sum([[1., 2.], [3., 4.]], axis=0).numpy() "
    "-> array([4., 6.], dtype=float32)",
    dtypes=NUMERIC,
    kernel=_wide(np.add),
    combine="add",
    grad=_sum_grad,
    keep=(),
    oracle=sum,
    ulp=ULP,
)
Sum = reduce_sum.op

reduce_mean = reduction(
    "Mean",
    "The mean of the elements along some axes; of integers, rounded towards zero.",
    export=("math.reduce_mean", "reduce_mean"),
    example="tf.reduce_mean([[1., 2.], [3., 4.]], axis=0).numpy() "
    "-> array([2., 3.], dtype=float32)",
    dtypes=NUMERIC,
    kernel=_mean,
    combine="add",
    finish=lambda c, total, count: (
        c.truncatediv(total, count) if not _fractional(total.dtype) else total / float(count)
    ),
    grad=_mean_grad,
    keep=(),
    oracle=lambda items: sum(items) / len(items) if items else math.nan,
    samples=(*SAMPLES, S(0, 3, axis=(0,), dtype=("float32",))),
    ulp=ULP,
)


def _fractional(dtype):
    return dtype.is_floating or dtype.is_complex


reduce_prod = reduction(
    "Prod",
    "The product of the elements along some axes.",
    export=("math.reduce_prod", "reduce_prod"),
    example="tf.reduce_prod([[1., 2.], [3., 4.]], axis=0).numpy() "
    "-> array([3., 8.], dtype=float32)",
    dtypes=NUMERIC,
    kernel=_wide(np.multiply),
    combine="mul",
    grad=_prod_grad,
    oracle=math.prod,
    ulp={**ULP, float32: 8, float64: 8},
)

reduce_max = reduction(
    "Max",
    "The largest element along some axes; NaN if one is NaN.",
    export=("math.reduce_max", "reduce_max"),
    example="tf.reduce_max([[1., 2.], [3., 0.]], axis=0).numpy() "
    "-> array([3., 2.], dtype=float32)",
    dtypes=REALS,
    kernel=_extreme(np.maximum, _lowest),
    combine="max",
    grad=_share,
    oracle=max,
    samples=SAMPLES,
)

reduce_min = reduction(
    "Min",
    "The smallest element along some axes; NaN if one is NaN.",
    export=("math.reduce_min", "reduce_min"),
    example="tf.reduce_min([[1., 2.], [3., 0.]], axis=0).numpy() "
    "-> array([1., 0.], dtype=float32)",
    dtypes=REALS,
    kernel=_extreme(np.minimum, _highest),
    combine="min",
    grad=_share,
    oracle=min,
    samples=SAMPLES,
)

reduce_all = reduction(
    "All",
    "Whether all elements along some axes are true.",
    export=("math.reduce_all", "reduce_all"),
    example="tf.reduce_all([[True, False], [True, True]], axis=0).numpy() "
    "-> array([ True, False])",
    dtypes=BOOL,
    kernel=_all,
    combine="and",
    no_grad="truth value",
    oracle=all,
)

reduce_any = reduction(
    "Any",
    "Whether one of the elements along some axes is true.",
    export=("math.reduce_any", "reduce_any"),
    example="tf.reduce_any([[True, False], [True, False]], axis=0).numpy() "
    "-> array([ True, False])",
    dtypes=BOOL,
    kernel=_any,
    combine="or",
    no_grad="truth value",
    oracle=any,
)


@export_as("math.reduce_variance")
def reduce_variance(input_tensor, axis=None, keepdims=False, name=None):
    """The variance of the elements along some axes (divided by their number).

    Args:
        input_tensor: float or complex tensor, any shape.
        axis: int or ints, the axes to reduce (default: all).
        keepdims: whether reduced axes stay, with size 1.
        name: of the operation in a graph.
    Returns: real tensor without the reduced axes.
    Raises: TypeError: an integer tensor.

    >>> tf.math.reduce_variance([1., 2., 3., 4.])
    <tf.Tensor: shape=(), dtype=float32, numpy=1.25>
    """
    x = convert(input_tensor)
    if not _fractional(x.dtype):
        raise TypeError(
            f"Input must be either real or complex. Received integer type {x.dtype}."
        )
    distance = squared_difference(x, reduce_mean(x, axis, keepdims=True))
    if x.dtype.is_complex:
        distance = cast(distance, x.dtype.real_dtype)
    return reduce_mean(distance, axis, keepdims)


@export_as("math.reduce_std")
def reduce_std(input_tensor, axis=None, keepdims=False, name=None):
    """The standard deviation of the elements along some axes; see `reduce_variance`.

    >>> tf.math.reduce_std([1., 2., 3., 4.])
    <tf.Tensor: shape=(), dtype=float32, numpy=1.118034>
    """
    return sqrt(reduce_variance(input_tensor, axis, keepdims))


@export_as("math.reduce_euclidean_norm")
def reduce_euclidean_norm(input_tensor, axis=None, keepdims=False, name=None):
    """The root of the sum of squares along some axes.

    Args:
        input_tensor: number tensor, any shape.
        axis: int or ints, the axes to reduce (default: all).
        keepdims: whether reduced axes stay, with size 1.
        name: of the operation in a graph.
    Returns: tensor of the same dtype without the reduced axes.

    >>> tf.math.reduce_euclidean_norm([3., 4.])
    <tf.Tensor: shape=(), dtype=float32, numpy=5.0>
    """
    x = convert(input_tensor)
    wide = x if _fractional(x.dtype) else cast(x, float64)
    return cast(sqrt(reduce_sum(wide * conj(wide), axis, keepdims)), x.dtype)


@export_as("math.reduce_logsumexp", "reduce_logsumexp")
def reduce_logsumexp(input_tensor, axis=None, keepdims=False, name=None):
    """`log(sum(exp(x)))` along some axes, computed so that it does not overflow.

    Args:
        input_tensor: float tensor, any shape.
        axis: int or ints, the axes to reduce (default: all).
        keepdims: whether reduced axes stay, with size 1.
        name: of the operation in a graph.
    Returns: tensor of the same dtype without the reduced axes.

    >>> tf.reduce_logsumexp([1000., 1000.])
    <tf.Tensor: shape=(), dtype=float32, numpy=1000.6931>
    """
    x = convert(input_tensor)
    top = stop_gradient(reduce_max(x, axis, keepdims=True))
    top = where(is_finite(top), top, 0 * ones_like(top))
    total = log(reduce_sum(exp(x - top), axis, keepdims))
    return total + (top if keepdims else reshape(top, shape_of(total)))


@export_as("math.count_nonzero")
def count_nonzero(input, axis=None, keepdims=None, dtype=int64, name=None):
    """How many elements along some axes are not zero (not empty, for strings).

    Args:
        input: tensor of any dtype and shape.
        axis: int or ints, the axes to reduce (default: all).
        keepdims: whether reduced axes stay, with size 1.
        dtype: dtype of the result.
        name: of the operation in a graph.

    >>> tf.math.count_nonzero([0, 3, 4])
    <tf.Tensor: shape=(), dtype=int64, numpy=2>
    """
    x = convert(input)
    zero = "" if x.dtype == "string" else convert(0 if x.dtype != "bool" else False, x.dtype)
    return cast(reduce_sum(cast(not_equal(x, zero), int64), axis, bool(keepdims)), dtype)


class ArgMax(Op):
    """The position of the first largest element along an axis."""

    kind = Kind.REDUCE
    inputs = ("input", "dimension")
    static = ("dimension",)
    attrs = {"output_type": int64}
    dtypes = REALS | BOOL
    no_grad = "integer result"
    samples = (
        S(3, 4, dimension=0),
        S(3, 4, dimension=1, output_type=int32),
        S(values=[1.0, 3.0, 3.0], dimension=0),
        S(values=[1.0, math.nan, 2.0], dimension=0, dtype=("float32",)),
        Bad(3, 4, dimension=2, match=r"Expected dimension in the range \[-2, 2\), but got 2"),
        Bad(0, dimension=0, match="Reduction axis 0 is empty in shape"),
    )

    def infer(input, dimension, output_type=int64):
        return Spec(_without(input.shape, dimension), output_type)

    def kernel(input, dimension, output_type=int64):
        return _argument(np.argmax, input, dimension, output_type)

    def lower(c, input, dimension, output_type=int64):
        return _lower_argument(c, "max", input, dimension, output_type)

    def oracle(items, output_type=int64):
        return items.index(max(x for x in items if x == x))


class ArgMin(Op):
    """The position of the first smallest element along an axis."""

    kind = Kind.REDUCE
    inputs = ("input", "dimension")
    static = ("dimension",)
    attrs = {"output_type": int64}
    dtypes = REALS | BOOL
    no_grad = "integer result"
    samples = ArgMax.samples

    infer = ArgMax.infer

    def kernel(input, dimension, output_type=int64):
        return _argument(np.argmin, input, dimension, output_type)

    def lower(c, input, dimension, output_type=int64):
        return _lower_argument(c, "min", input, dimension, output_type)

    def oracle(items, output_type=int64):
        return items.index(min(x for x in items if x == x))


def _without(shape, axis):
    if shape is None or axis is None:
        return None
    if not -len(shape) <= axis < len(shape):
        raise errors.invalid_argument(
            f"Expected dimension in the range [{-len(shape)}, {len(shape)}), but got {axis}"
        )
    if shape[axis] == 0:
        raise errors.invalid_argument(
            f"Reduction axis {axis} is empty in shape {list(shape)}".replace(" ,", ",")
        )
    axis %= len(shape)
    return shape[:axis] + shape[axis + 1 :]


def _argument(find, x, axis, output_type):
    _without(x.shape, axis)
    if x.dtype.kind not in "iub":
        # NumPy lets NaN win, TensorFlow passes over it.
        worst = -np.inf if find is np.argmax else np.inf
        x = np.where(np.isnan(x), x.dtype.type(worst), x)
    return np.asarray(find(x, axis=axis)).astype(output_type.np)


def _lower_argument(c, combine, x, axis, output_type):
    axis %= x.rank
    shape = x.shape[:axis] + x.shape[axis + 1 :]

    def element(index, r):
        return x[index[:axis] + r + index[axis:]]

    return c.arg_reduce(combine, shape, output_type, x.shape[axis], element)


@export_as("math.argmax", "argmax")
def argmax(input, axis=None, output_type=int64, name=None):
    """The position of the first largest element along an axis.

    Args:
        input: real or bool tensor of rank 1 or more.
        axis: int, the axis to search (default 0).
        output_type: int64 (default), int32, int16 or uint16.
        name: of the operation in a graph.
    Returns: integer tensor without that axis.
    Source: TensorFlow's `ArgMax`.

    >>> tf.argmax([[1., 5.], [7., 2.]], axis=1).numpy()
    array([1, 0])
    """
    return _find(ArgMax, input, axis, output_type)


@export_as("math.argmin", "argmin")
def argmin(input, axis=None, output_type=int64, name=None):
    """The position of the first smallest element along an axis; arguments as in `argmax`.

    >>> tf.argmin([[1., 5.], [7., 2.]], axis=1).numpy()
    array([0, 1])
    """
    return _find(ArgMin, input, axis, output_type)


def _find(op, input, axis, output_type):
    dimension = 0 if axis is None else static(axis)
    return apply(op, (input,), {"dimension": dimension, "output_type": as_dtype(output_type)})


class L2Loss(Op):
    """Half the sum of the squares of all elements."""

    kind = Kind.REDUCE
    inputs = ("t",)
    dtypes = FLOATS
    samples = (S(3, 4), S(), S(0))
    ulp = {**ULP, float32: 8, float64: 8}

    def infer(t):
        return Spec((), t.dtype)

    def kernel(t):
        flat = t.reshape(-1)
        if t.dtype.itemsize == 2:
            flat = flat.astype(np.float32)
        return (np.dot(flat, flat) * flat.dtype.type(0.5)).astype(t.dtype)

    def grad(dy, y, t):
        return t * dy

    def lower(c, t):
        flat = t.reshape((t.size,))
        total = c.reduce(
            "add", (), c.compute(t.dtype), (t.size,), lambda i, r: flat[r] * flat[r]
        )
        return c.map((), t.dtype, lambda: total[()] * 0.5)

    def oracle(t):
        return math.fsum(float(x) * float(x) for x in t.reshape(-1)) / 2


@export_as("nn.l2_loss")
def l2_loss(t, name=None):
    """Half the sum of the squares of all elements.

    Args:
        t: float tensor, any shape.
        name: of the operation in a graph.
    Returns: scalar.
    Source: TensorFlow's `L2Loss`.

    >>> tf.nn.l2_loss([1., -2.])
    <tf.Tensor: shape=(), dtype=float32, numpy=2.5>
    """
    return apply(L2Loss, (t,), name=name)
