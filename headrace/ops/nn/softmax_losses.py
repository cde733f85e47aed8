"""Cross-entropies of logits: the softmax ones are records, the sigmoid ones are made of others.

The two records give the loss and, in the same pass, its gradient by the logits (`backprop`),
so that a training step reads the logits once.
"""

from __future__ import annotations

import math

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import FLOATS, bfloat16, float16, float32, float64, int32, int64
from headrace.base.export import export
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import cast
from headrace.ops.compare import greater_equal, where
from headrace.ops.create import zeros_like
from headrace.ops.nn.activation import LogSoftmax, Softmax, relu, shifted
from headrace.ops.reduce import reduce_sum
from headrace.ops.reshape import expand_dims, reshape, transpose
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, dims_of, shape_of, sum_to_like
from headrace.ops.transcendental import exp, log1p

_ULP = {float16: 8, bfloat16: 8, float32: 16, float64: 16}
_SUMS_TO_1 = ([[1.0, 2.0, 3.0], [4.0, -2.0, 0.5]], [[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
_FAR = ([[1000.0, 0.0, -1000.0]], [[0.0, 1.0, 0.0]])


def _powers(c, logits, rows):
    """`exp(x - max)` of each element of a matrix, its sums by row, and `max`: loops."""
    wide, n = c.compute(logits.dtype), logits.shape[1:]
    top = c.reduce("max", rows, wide, n, lambda i, r: logits[i + r])
    powers = c.store(c.map(logits.shape, wide, lambda i, j: c.math.exp(logits[i, j] - top[i])))
    return powers, c.reduce("add", rows, wide, n, lambda i, r: powers[i + r]), top


def _jacobian(dbackprop, features):
    """The gradient that arrived at `softmax(features)`, handed on to `features`."""
    y = apply(Softmax, (features,))
    return (dbackprop - reduce_sum(dbackprop * y, -1, keepdims=True)) * y


def _by_logits(dy, y, features):
    """The gradient by the logits; `dy` has None for a result that nobody differentiates."""
    dloss, dbackprop = dy
    gradient = None if dloss is None else expand_dims(dloss, -1) * y[1]
    if dbackprop is None:
        return gradient
    second = _jacobian(dbackprop, features)
    return second if gradient is None else gradient + second


# Labels that are distributions


def _common(features, labels):
    """The shape `(batch, classes)` of logits and labels after broadcasting; None: unknown."""
    if features is None or labels is None:
        return (None, None)
    try:
        shape = shapes.broadcast(features, labels)
    except ValueError:
        raise errors.invalid_argument(
            f"logits and labels must be broadcastable: logits_size={brackets(features)} "
            f"labels_size={brackets(labels)}"
        ) from None
    if len(shape) != 2:
        raise errors.invalid_argument(
            "logits and labels must be either 2-dimensional, or broadcasted to be 2-dimensional"
        )
    return shape


class SoftmaxCrossEntropyWithLogits(Op):
    """`-sum(labels * log(softmax(features)))` of each row, and `softmax(features) - labels`.

    The gradient of `backprop` by the labels is -1, which TensorFlow leaves out.
    """

    kind = Kind.REDUCE
    inputs = ("features", "labels")
    dtypes = FLOATS
    keep = ("features", "output")
    partial = True
    ulp = _ULP
    samples = (
        S(values=_SUMS_TO_1),
        S((3, 4), (3, 4), grad=False),
        S((3, 4), (1, 4), grad=False),
        S((4,), (2, 4), grad=False),
        S((0, 3), (0, 3)),
        S((3, 0), (3, 0)),
        S(values=_FAR, dtype="float32"),
        Bad((1, 3), (1, 2), match=r"must be broadcastable: logits_size=\[1,3\] labels_size="),
        Bad((3,), (3,), match="must be either 2-dimensional, or broadcasted to be"),
        Bad((1, 2, 3), (1, 2, 3), match="must be either 2-dimensional, or broadcasted to be"),
    )

    def infer(features, labels):
        batch, classes = _common(features.shape, labels.shape)
        return Spec((batch,), features.dtype), Spec((batch, classes), features.dtype)

    def kernel(features, labels):
        if features.shape != labels.shape or features.ndim != 2:
            shape = _common(features.shape, labels.shape)
            features, labels = np.broadcast_to(features, shape), np.broadcast_to(labels, shape)
        rest = shifted(features, -1)
        powers = np.exp(rest)
        total = powers.sum(axis=1, keepdims=True)
        loss = ((np.log(total) - rest) * labels).sum(axis=1)
        powers /= total
        powers -= labels
        return loss.astype(features.dtype, copy=False), powers.astype(
            features.dtype, copy=False
        )

    grad = (
        lambda dy, y, features, labels: sum_to_like(_by_logits(dy, y, features), features),
        lambda dy, y, features, labels: sum_to_like(_by_labels(dy, features), labels),
    )

    def lower(c, features, labels):
        shape = _common(features.shape, labels.shape)
        dtype = features.dtype
        wide, rows, n = c.compute(dtype), shape[:1], shape[1:]
        logits = c.map(shape, dtype, lambda *i: features.broadcast(i, shape))
        powers, total, top = _powers(c, logits, rows)

        def term(i, r):
            distance = c.math.log(total[i]) - (logits[i + r] - top[i])
            return labels.broadcast(i + r, shape) * distance

        loss = c.reduce("add", rows, wide, n, term)
        return c.map(rows, dtype, lambda i: loss[i]), c.map(
            shape, dtype, lambda *i: powers[i] / total[i[0]] - labels.broadcast(i, shape)
        )

    def oracle(features, labels):
        features, labels = np.broadcast_arrays(features, labels)
        loss, backprop = [], np.zeros(features.shape)
        for row, (x, p) in enumerate(zip(features.tolist(), labels.tolist(), strict=True)):
            top = max(x, default=0.0)
            total = math.log(math.fsum(math.exp(v - top) for v in x)) if x else 0.0
            loss.append(math.fsum(q * (total - (v - top)) for v, q in zip(x, p, strict=True)))
            backprop[row] = [math.exp(v - top - total) - q for v, q in zip(x, p, strict=True)]
        return np.array(loss), backprop


def _by_labels(dy, features):
    """The gradient by the labels."""
    dloss, dbackprop = dy
    gradient = (
        None if dloss is None else expand_dims(-dloss, -1) * apply(LogSoftmax, (features,))
    )
    if dbackprop is None:
        return gradient
    return -dbackprop if gradient is None else gradient - dbackprop


@export("nn.softmax_cross_entropy_with_logits")
def softmax_cross_entropy_with_logits(labels, logits, axis=-1, name=None):
    """Cross-entropy between labels that are distributions and the softmax of logits.

    Args:
        labels: float tensor `[..., classes]`; each row is a distribution.
        logits: float tensor of the same shape: unnormalised log-probabilities.
        axis: int, the axis of the classes.
        name: of the operation in a graph.
    Returns: tensor without the axis, one loss a row.
    Raises: InvalidArgumentError: shapes that do not fit.
    Source: TensorFlow's `SoftmaxCrossEntropyWithLogits`.

    >>> tf.nn.softmax_cross_entropy_with_logits([[0., 0., 1.]], [[1., 2., 3.]]).numpy()
    array([0.40760595], dtype=float32)
    """
    logits, labels = convert(logits), convert(labels)
    narrow = logits.dtype if logits.dtype.size == 2 else None
    logits = logits if narrow is None else cast(logits, float32)
    labels = cast(labels, logits.dtype)
    axis = static(axis)
    if axis != -1 and axis + 1 != logits.ndim:
        logits, labels = _moved_last(logits, axis), _moved_last(labels, axis)
    rows = None if logits.ndim == labels.ndim == 2 else dims_of(logits)[:-1]
    if rows is not None:
        logits, labels = _matrix(logits), _matrix(labels)
    loss, _ = apply(SoftmaxCrossEntropyWithLogits, (logits, labels), name=name)
    if rows is not None:
        loss = reshape(loss, rows)
    return loss if narrow is None else cast(loss, narrow)


def _moved_last(x, axis):
    if x.ndim is None:
        raise ValueError(f"Cross-entropy along axis {axis} needs logits whose rank is known.")
    if not -x.ndim <= axis < x.ndim:
        raise errors.invalid_argument(
            f"axis must be in [{-x.ndim}, {x.ndim}) for a tensor of shape "
            f"{brackets(x.shape)}, got {axis}",
            "SoftmaxCrossEntropyWithLogits",
        )
    axis %= x.ndim
    return transpose(x, (*range(axis), *range(axis + 1, x.ndim), axis))


def _matrix(x):
    """The rows along the last axis."""
    if x.ndim == 0:
        raise errors.invalid_argument(
            "logits and labels must be either 2-dimensional, or broadcasted to be "
            "2-dimensional",
            "SoftmaxCrossEntropyWithLogits",
        )
    dims = dims_of(x)
    known = dims.__class__ is tuple and all(n.__class__ is int for n in dims)
    return reshape(x, (math.prod(dims[:-1]) if known else -1, dims[-1]))


# Labels that are class numbers

_LABELS = frozenset({int32, int64})


class SparseSoftmaxCrossEntropyWithLogits(Op):
    """As `SoftmaxCrossEntropyWithLogits`, for labels that are the numbers of classes."""

    kind = Kind.REDUCE
    inputs = ("features", "labels")
    types = {"labels": ("Tlabels", _LABELS)}
    dtypes = FLOATS
    keep = ("features", "output")
    partial = True
    ulp = _ULP
    samples = (
        S((4, 3), (4,), dtype=(None, "int32"), low=(-2, 0), high=(2, 3)),
        S((2, 5), (2,), dtype=(None, "int64"), low=(-2, 0), high=(2, 5)),
        S((0, 3), (0,), dtype=(None, "int32")),
        S(values=([[1000.0, 0.0, -1000.0]], [1]), dtype=("float32", "int32")),
        Bad(
            values=([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], [2, 5]),
            dtype=("float32", "int32"),
            match=r"Received a label value of 5 which is outside the valid range of \[0, 3\)\. "
            " Label values: 2 5",
        ),
        Bad((3,), (1,), dtype=(None, "int32"), match=r"logits must be 2-D, but got shape \[3"),
        Bad((1, 3), (), dtype=(None, "int32"), match=r"labels must be 1-D, but got shape \[\]"),
        Bad(
            (2, 3),
            (1,),
            dtype=(None, "int32"),
            match=r"the same first dimension, got logits shape \[2,3\] and labels shape \[1\]",
        ),
        Bad((3, 0), (3,), dtype=(None, "int32"), match="Must have at least one class, but got"),
    )

    def infer(features, labels):
        batch, classes = _fitting(features.shape, labels.shape)
        return Spec((batch,), features.dtype), Spec((batch, classes), features.dtype)

    def kernel(features, labels):
        _fitting(features.shape, labels.shape)
        count, classes = features.shape
        if not count:
            return np.empty(0, features.dtype), np.empty(features.shape, features.dtype)
        _check_labels(labels, classes)
        rest = shifted(features, -1)
        at = np.arange(count), labels
        chosen = rest[at]
        powers = np.exp(rest, out=rest)
        total = powers.sum(axis=1, keepdims=True)
        loss = np.log(total[:, 0]) - chosen
        powers /= total
        powers[at] -= 1
        return loss.astype(features.dtype, copy=False), powers.astype(
            features.dtype, copy=False
        )

    grad = (lambda dy, y, features, labels: _by_logits(dy, y, features), None)

    def lower(c, features, labels):
        rows, classes = features.shape[:1], features.shape[1]
        powers, total, top = _powers(c, features, rows)
        limits = f"outside the valid range of [0, {classes})."

        def label(i):
            k = c.cast(labels[i], int64)
            c.check(
                (k >= 0) & (k < classes), "Received a label value of {} which is " + limits, k
            )
            return k

        def loss(i):
            return c.math.log(total[i]) - (features[i, label(i)] - top[i])

        def backprop(i, j):
            y = powers[i, j] / total[i]
            return c.where(j == label(i), y - 1, y)

        return (
            c.map(rows, features.dtype, loss),
            c.map(features.shape, features.dtype, backprop),
        )

    def oracle(features, labels):
        hot = np.zeros(features.shape)
        for row, k in enumerate(labels.tolist()):
            hot[row, k] = 1.0
        loss, backprop = [], np.zeros(features.shape)
        for row, (x, p) in enumerate(zip(features.tolist(), hot.tolist(), strict=True)):
            top = max(x)
            total = math.log(math.fsum(math.exp(v - top) for v in x))
            loss.append(total - (x[labels[row]] - top))
            backprop[row] = [math.exp(v - top - total) - q for v, q in zip(x, p, strict=True)]
        return np.array(loss), backprop


def _fitting(features, labels):
    """The shape `(batch, classes)` of logits with labels `[batch]`; None: unknown."""
    if features is not None and len(features) != 2:
        raise errors.invalid_argument(f"logits must be 2-D, but got shape {brackets(features)}")
    if labels is not None and len(labels) != 1:
        raise errors.invalid_argument(f"labels must be 1-D, but got shape {brackets(labels)}")
    batch, classes = (None, None) if features is None else features
    other = None if labels is None else labels[0]
    if None not in (batch, other) and batch != other:
        raise errors.invalid_argument(
            "logits and labels must have the same first dimension, got logits shape "
            f"{brackets(features)} and labels shape {brackets(labels)}"
        )
    if classes == 0:
        raise errors.invalid_argument(
            f"Must have at least one class, but got logits shape {brackets(features)}"
        )
    return other if batch is None else batch, classes


def _check_labels(labels, classes):
    bad = (labels < 0) | (labels >= classes)
    if bad.any():
        raise errors.invalid_argument(
            f"Received a label value of {labels[bad][0]} which is outside the valid range of "
            f"[0, {classes}).  Label values: {' '.join(map(str, labels.tolist()))}"
        )


@export("nn.sparse_softmax_cross_entropy_with_logits")
def sparse_softmax_cross_entropy_with_logits(labels, logits, name=None):
    """Cross-entropy between class numbers and the softmax of logits.

    Args:
        labels: int32 or int64 tensor `[...]`: numbers in [0, classes).
        logits: float tensor `[..., classes]`: unnormalised log-probabilities.
        name: of the operation in a graph.
    Returns: tensor of the labels' shape, one loss each.
    Raises: ValueError: shapes that do not fit. InvalidArgumentError: a label outside.
    Source: TensorFlow's `SparseSoftmaxCrossEntropyWithLogits`.

    >>> tf.nn.sparse_softmax_cross_entropy_with_logits([2], [[1., 2., 3.]]).numpy()
    array([0.40760595], dtype=float32)
    """
    _demand_both(labels, logits, "sparse_softmax_cross_entropy_with_logits")
    given, labels, logits = logits, convert(labels), convert(logits)
    narrow = logits.dtype if logits.dtype.size == 2 else None
    logits = logits if narrow is None else cast(logits, float32)
    if logits.ndim == 0:
        raise ValueError(f"`logits` cannot be a scalar. Received logits={given}`")
    if None not in (logits.ndim, labels.ndim) and labels.ndim != logits.ndim - 1:
        raise ValueError(
            "`labels.shape.rank` must equal `logits.shape.rank - 1`. Received: "
            f"labels.shape={labels.shape} of rank {labels.ndim} and "
            f"logits.shape={logits.shape} of rank {logits.ndim}"
        )
    if not labels.shape.is_compatible_with(logits.shape[:-1]):
        raise ValueError(
            "`labels.shape` must equal `logits.shape` except for the last dimension. Received: "
            f"labels.shape={labels.shape} and logits.shape={logits.shape}"
        )
    rows = None if logits.ndim == 2 else shape_of(labels)
    if rows is not None:
        logits, labels = _matrix(logits), reshape(labels, (-1,))
    loss, _ = apply(SparseSoftmaxCrossEntropyWithLogits, (logits, labels), name=name)
    if rows is not None:
        loss = reshape(loss, rows)
    return loss if narrow is None else cast(loss, narrow)


def _demand_both(labels, logits, name):
    if labels is None or logits is None:
        raise ValueError(
            f"Both `labels` and `logits` must be provided for {name}"
            f"Received: labels={labels} and logits={logits}"
        )


# Sigmoids


@export("nn.sigmoid_cross_entropy_with_logits")
def sigmoid_cross_entropy_with_logits(labels=None, logits=None, name=None):
    """Cross-entropy between labels and the sigmoid of logits, elementwise, without overflow.

    Args:
        labels: float tensor, probabilities in [0, 1].
        logits: float tensor of the same shape and dtype.
        name: of the operation in a graph.
    Returns: tensor of the same shape: `max(x, 0) - x z + log(1 + exp(-|x|))`.
    Raises: ValueError: one is missing, or the shapes differ.

    >>> tf.nn.sigmoid_cross_entropy_with_logits([1., 0.], [0., 100.]).numpy()
    array([  0.6931472, 100.       ], dtype=float32)
    """
    _demand_both(labels, logits, "sigmoid_cross_entropy_with_logits")
    x, z = _pair(labels, logits)
    zeros = zeros_like(x)
    positive = greater_equal(x, zeros)
    return (where(positive, x, zeros) - x * z) + log1p(exp(where(positive, -x, x)))


@export("nn.weighted_cross_entropy_with_logits")
def weighted_cross_entropy_with_logits(labels, logits, pos_weight, name=None):
    """`sigmoid_cross_entropy_with_logits` with a weight for what should be 1.

    Args:
        labels: float tensor, probabilities in [0, 1].
        logits: float tensor of the same shape and dtype.
        pos_weight: the weight, which broadcasts.
        name: of the operation in a graph.
    Raises: ValueError: the shapes differ.

    >>> tf.nn.weighted_cross_entropy_with_logits([1., 0.], [0., 0.], 2.).numpy()
    array([1.3862944, 0.6931472], dtype=float32)
    """
    x, z = _pair(labels, logits)
    weight = 1 + (pos_weight - 1) * z
    return (1 - z) * x + weight * (log1p(exp(-abs(x))) + relu(-x))


def _pair(labels, logits):
    x, z = convert(logits), convert(labels)
    if not z.shape.is_compatible_with(x.shape):
        raise ValueError(
            "`logits` and `labels` must have the same shape, received "
            f"({x.shape} vs {z.shape})."
        )
    return x, z
