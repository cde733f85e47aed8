"""Functions made of other ops: sums of lists, clipping, norms, moments, polynomials."""

from __future__ import annotations

import math

from headrace.base import errors
from headrace.base.dtypes import NUMERIC, as_dtype
from headrace.base.export import export
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import cast, imag, real
from headrace.ops.compare import greater
from headrace.ops.compare import where as where_
from headrace.ops.elementwise import maximum, minimum, square, squared_difference
from headrace.ops.matmul import matmul
from headrace.ops.reduce import reduce_mean, reduce_sum
from headrace.ops.reshape import reshape, squeeze, stop_gradient, transpose
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, dims_of
from headrace.ops.transcendental import rsqrt, sqrt


class AddN(Op):
    """The sum of tensors of one shape."""

    kind = Kind.ELEMENTWISE
    inputs = ("*inputs",)
    dtypes = NUMERIC
    keep = ()
    samples = (
        S((2, 3), (2, 3), (2, 3)),
        S((2,)),
        S((), ()),
        Bad((2,), (3,), match="Inputs to operation AddN must have the same size and shape"),
    )

    def infer(*inputs):
        merged = inputs[0].shape
        for spec in inputs[1:]:
            if merged is None or spec.shape is None:
                merged = merged or spec.shape
            elif len(merged) != len(spec.shape) or any(
                None not in pair and pair[0] != pair[1]
                for pair in zip(merged, spec.shape, strict=True)
            ):
                raise errors.invalid_argument(
                    "Inputs to operation AddN must have the same size and shape.  Input 0: "
                    f"{brackets(merged)} != input 1: {brackets(spec.shape)}"
                )
            else:
                pairs = zip(merged, spec.shape, strict=True)
                merged = tuple(b if a is None else a for a, b in pairs)
        return Spec(merged, inputs[0].dtype)

    def kernel(*inputs):
        total = inputs[0]
        for x in inputs[1:]:
            if x.shape != total.shape:
                raise ValueError
            total = total + x
        return total

    def grad(dy, y, *inputs):
        return tuple(dy for _ in inputs)

    def scalar(b, *inputs):
        total = inputs[0]
        for x in inputs[1:]:
            total = total + x
        return total

    def oracle(*inputs):
        return sum(inputs)


@export("math.add_n", "add_n")
def add_n(inputs, name=None):
    """The sum of tensors of one dtype and shape.

    Args:
        inputs: list of number tensors or `tf.IndexedSlices`.
        name: of the operation in a graph.
    Returns: tensor of their shape.
    Raises: ValueError: no list, or an empty one. InvalidArgumentError: shapes that differ.
    Source: TensorFlow's `AddN`.

    >>> tf.add_n([[1., 2.], [3., 4.]]).numpy()
    array([4., 6.], dtype=float32)
    """
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError(
            "Inputs must be an iterable of at least one Tensor/IndexedSlices with the "
            "same dtype "
            f"and shape. Received: {inputs}"
        )
    parts = [convert(x) if isinstance(x, IndexedSlices) else x for x in inputs]
    return apply(AddN, parts, name=name)


@export("math.accumulate_n")
def accumulate_n(inputs, shape=None, tensor_dtype=None, name=None):
    """The sum of tensors of one dtype and shape; as `add_n`.

    Args:
        inputs: list of number tensors.
        shape: the shape that they must have.
        tensor_dtype: the dtype that they must have.
        name: of the operation in a graph.
    """
    for x in inputs:
        x = convert(x)
        if shape is not None and not x.shape.is_compatible_with(shape):
            raise ValueError(f"Shapes {x.shape} and {shape} are incompatible")
        if tensor_dtype is not None and x.dtype != as_dtype(tensor_dtype):
            raise TypeError(f"tensor_dtype is {tensor_dtype}, but input is of type {x.dtype}")
    return add_n(inputs)


@export("clip_by_value")
def clip_by_value(t, clip_value_min, clip_value_max, name=None):
    """Each element, moved to the nearest limit if it lies outside.

    Args:
        t: real tensor, or `tf.IndexedSlices`.
        clip_value_min: the lower limit; its shape broadcasts to t's.
        clip_value_max: the upper limit; its shape broadcasts to t's.
        name: of the operation in a graph.
    Returns: tensor of t's shape.
    Raises: InvalidArgumentError: limits that make the tensor larger.

    >>> tf.clip_by_value([-3., 0.5, 7.], 0., 1.).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if isinstance(t, IndexedSlices):
        values = clip_by_value(t.values, clip_value_min, clip_value_max)
        return IndexedSlices(values, t.indices, t.dense_shape)
    t = convert(t)
    low, high = convert(clip_value_min, None, t.dtype), convert(clip_value_max, None, t.dtype)
    result = maximum(minimum(t, high), low)
    if not result.shape.is_compatible_with(t.shape):
        raise errors.invalid_argument(
            f"Incompatible shapes: {brackets(result.shape)} vs. {brackets(t.shape)}",
            "ClipByValue",
        )
    return result


@export("clip_by_norm")
def clip_by_norm(t, clip_norm, axes=None, name=None):
    """A tensor, scaled down to a norm if its own is larger.

    Args:
        t: float tensor, or `tf.IndexedSlices`.
        clip_norm: scalar, the largest norm.
        axes: ints, the axes over which norms are taken (default: all).
        name: of the operation in a graph.

    >>> tf.clip_by_norm([3., 4.], 1.).numpy()
    array([0.6, 0.8], dtype=float32)
    """
    values = convert(t.values if isinstance(t, IndexedSlices) else t)
    total = reduce_sum(values * values, axes, keepdims=True)
    positive = greater(total, 0)
    norm = where_(positive, sqrt(where_(positive, total, 1)), total)
    scaled = values * clip_norm / maximum(norm, convert(clip_norm, values.dtype))
    if isinstance(t, IndexedSlices):
        return IndexedSlices(scaled, t.indices, t.dense_shape)
    return scaled


@export("linalg.global_norm")
def global_norm(t_list, name=None):
    """The root of the sum of squares of all elements of several tensors.

    Args:
        t_list: list of float tensors or `tf.IndexedSlices`; None is left out.
        name: of the operation in a graph.

    >>> tf.linalg.global_norm([[3.], [4.]])
    <tf.Tensor: shape=(), dtype=float32, numpy=5.0>
    """
    if not isinstance(t_list, (list, tuple)):
        raise TypeError(f"`t_list` should be a sequence of tensors. Received {type(t_list)}.")
    values = [t.values if isinstance(t, IndexedSlices) else t for t in t_list if t is not None]
    return sqrt(add_n([reduce_sum(square(v)) for v in values]))


@export("clip_by_global_norm")
def clip_by_global_norm(t_list, clip_norm, use_norm=None, name=None):
    """Several tensors, scaled down together if the norm of all is larger than `clip_norm`.

    Args:
        t_list: list of float tensors or `tf.IndexedSlices`; None stays None.
        clip_norm: scalar, the largest norm.
        use_norm: scalar, the norm if it is known.
        name: of the operation in a graph.
    Returns: `(list of tensors, the norm that they had)`; NaN if that norm is infinite.

    >>> clipped, norm = tf.clip_by_global_norm([[3.], [4.]], 1.)
    >>> norm
    <tf.Tensor: shape=(), dtype=float32, numpy=5.0>
    """
    if not isinstance(t_list, (list, tuple)):
        raise TypeError(f"`t_list` should be a sequence of tensors. Received {type(t_list)}.")
    norm = global_norm(t_list) if use_norm is None else convert(use_norm)
    scale = clip_norm * minimum(1.0 / norm, convert(1.0, norm.dtype) / clip_norm)
    scale = scale + (norm - norm)
    clipped = []
    for t in t_list:
        if isinstance(t, IndexedSlices):
            clipped.append(IndexedSlices(t.values * scale, t.indices, t.dense_shape))
        else:
            clipped.append(None if t is None else convert(t) * scale)
    return clipped, norm


@export("math.l2_normalize", "linalg.l2_normalize", "nn.l2_normalize")
def l2_normalize(x, axis=None, epsilon=1e-12, name=None):
    """A tensor divided by its Euclidean norm along some axes.

    Args:
        x: float or complex tensor.
        axis: int or ints.
        epsilon: the least squared norm to divide by.
        name: of the operation in a graph.

    >>> tf.math.l2_normalize([3., 4.]).numpy()
    array([0.6      , 0.8000001], dtype=float32)
    """
    x = convert(x)
    if x.dtype.is_complex:
        total = reduce_sum(square(real(x)) + square(imag(x)), axis, keepdims=True)
        return x * cast(rsqrt(maximum(total, convert(epsilon, total.dtype))), x.dtype)
    total = reduce_sum(square(x), axis, keepdims=True)
    return x * rsqrt(maximum(total, convert(epsilon, x.dtype)))


@export("nn.moments")
def moments(x, axes, shift=None, keepdims=False, name=None):
    """Mean and variance of a tensor along some axes.

    Args:
        x: float tensor.
        axes: ints.
        shift: not used, as in TensorFlow.
        keepdims: whether reduced axes stay, with size 1.
        name: of the operation in a graph.
    Returns: `(mean, variance)`.

    >>> mean, variance = tf.nn.moments([1., 2., 3., 4.], axes=[0])
    >>> float(mean), float(variance)
    (2.5, 1.25)
    """
    x = convert(x)
    narrow = x.dtype.size == 2
    wide = cast(x, "float32") if narrow else x
    mean = reduce_mean(wide, axes, keepdims=True)
    variance = reduce_mean(squared_difference(wide, stop_gradient(mean)), axes, keepdims=True)
    if not keepdims:
        axes = static(axes)
        axes = (axes,) if axes.__class__ is int else axes
        mean, variance = squeeze(mean, axes), squeeze(variance, axes)
    return (cast(mean, x.dtype), cast(variance, x.dtype)) if narrow else (mean, variance)


@export("math.polyval")
def polyval(coeffs, x, name=None):
    """A polynomial, the highest power first, by Horner's rule.

    Args:
        coeffs: list of tensors.
        x: tensor.
        name: of the operation in a graph.

    >>> tf.math.polyval([1., 2., 3.], 2.)
    <tf.Tensor: shape=(), dtype=float32, numpy=11.0>
    """
    if not isinstance(coeffs, list):
        raise ValueError(f"Argument coeffs must be list type. Received type {type(coeffs)}.")
    x = convert(x)
    if not coeffs:
        return x * 0
    total = convert(coeffs[0], None, x.dtype)
    for coefficient in coeffs[1:]:
        total = coefficient + total * x
    return total


@export("tensordot", "linalg.tensordot")
def tensordot(a, b, axes, name=None):
    """The product of tensors, summed over pairs of axes.

    Args:
        a: number tensor.
        b: tensor of a's dtype.
        axes: int n (the last n axes of a with the first n of b), or two lists of axes.
        name: of the operation in a graph.
    Raises: ValueError: lists of different lengths.
    Source: a product of matrices after transposing.

    >>> tf.tensordot([[1., 2.]], [[3.], [4.]], axes=1).numpy()
    array([[11.]], dtype=float32)
    """
    a = convert(a)
    b = convert(b, None, a.dtype)
    left, right = _paired(a, b, axes)
    free_a = [i for i in range(a.ndim) if i not in left]
    free_b = [i for i in range(b.ndim) if i not in right]
    sa, sb = dims_of(a), dims_of(b)
    rows = reshape(transpose(a, (*free_a, *left)), (_extent(sa, free_a), _extent(sa, left)))
    columns = reshape(
        transpose(b, (*right, *free_b)), (_extent(sb, right), _extent(sb, free_b))
    )
    shape = (*(sa[i] for i in free_a), *(sb[i] for i in free_b))
    return reshape(matmul(rows, columns), shape)


def _paired(a, b, axes):
    axes = static(axes)
    if axes.__class__ is int:
        if axes < 0:
            raise ValueError(f"`axes` must be at least 0. Received: {axes}.")
        if axes > a.ndim:
            raise ValueError(
                f"`axes` must not be larger than the number of dimensions of tensor {a}.  "
                f"Received {axes}, vs tensor dimensions {a.ndim}."
            )
        return tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    if len(axes) != 2:
        given = [list(part) if part.__class__ is tuple else part for part in axes]
        raise ValueError(f"`axes` must be an integer or have length 2. Received {given}.")
    left, right = ((x,) if x.__class__ is int else x for x in axes)
    if len(left) != len(right):
        raise ValueError(
            f"Different number of contraction axes `a` and `b`, {len(left)} != {len(right)}."
        )
    return _within(left, a.ndim), _within(right, b.ndim)


def _within(axes, rank):
    """Axes of a tensor of a rank, none of them negative."""
    found = tuple(i + rank if i < 0 else i for i in axes)
    if any(not 0 <= i < rank for i in found):
        raise IndexError("list index out of range")
    return found


def _extent(shape, axes):
    """The number of elements along some axes."""
    return math.prod(shape[i] for i in axes)
