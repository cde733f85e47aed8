"""Biases, and normalisation by given means and variances."""

from __future__ import annotations

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import NUMERIC, bfloat16, float16, float32, float64
from headrace.base.export import export
from headrace.core.convert import convert
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import cast
from headrace.ops.concat_pad import concat
from headrace.ops.create import fill
from headrace.ops.reshape import reshape
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, broadcast_to, rank, shape, shape_of
from headrace.ops.transcendental import rsqrt

_LAST, _SECOND = "NHWC", "NCHW"


def _channel(data_format, rank):
    """The axis of the channels."""
    return 1 if data_format == _SECOND else rank - 1


def _spread(bias, rank, data_format):
    """The shape of a bias that broadcasts along the channels."""
    return (*bias, *(1 for _ in range(rank - 1 - _channel(data_format, rank))))


def _check_bias(value, bias, data_format):
    if len(value) < 2:
        raise errors.invalid_argument(f"Input tensor must be at least 2D: {brackets(value)}")
    if len(bias) != 1:
        raise errors.invalid_argument(f"Biases must be 1D: {brackets(bias)}")
    channels = value[_channel(data_format, len(value))]
    if None not in (channels, bias[0]) and channels != bias[0]:
        which = "channel" if data_format == _SECOND else "last"
        raise errors.invalid_argument(
            f"Must provide as many biases as the {which} dimension of the input tensor: "
            f"{brackets(bias)} vs. {brackets(value)}"
        )


class BiasAdd(Op):
    """A vector added along the channels of a tensor: its last axis, or the second one."""

    kind = Kind.ELEMENTWISE
    inputs = ("value", "bias")
    attrs = {"data_format": _LAST}
    dtypes = NUMERIC
    keep = ()
    samples = (
        S((3, 4), (4,)),
        S((2, 3, 4), (4,)),
        S((2, 3, 4, 2), (3,), data_format=_SECOND),
        S((0, 4), (4,)),
        Bad((4,), (4,), match=r"Input tensor must be at least 2D: \[4\]"),
        Bad((1, 2), (1, 2), match=r"Biases must be 1D: \[1,2\]"),
        Bad((1, 2), (3,), match=r"as many biases as the last dimension .*: \[3\] vs. \[1,2\]"),
    )

    def infer(value, bias, data_format=_LAST):
        if value.shape is not None and bias.shape is not None:
            _check_bias(value.shape, bias.shape, data_format)
        return Spec(value.shape, value.dtype)

    def kernel(value, bias, data_format=_LAST):
        if value.ndim < 2 or bias.shape != (value.shape[_channel(data_format, value.ndim)],):
            raise ValueError
        return value + bias.reshape(_spread(bias.shape, value.ndim, data_format))

    grad = (
        lambda dy, y, value, bias, data_format=_LAST: dy,
        lambda dy, y, value, bias, data_format=_LAST: apply(
            BiasAddGrad, (dy,), {"data_format": data_format}
        ),
    )

    def lower(c, value, bias, data_format=_LAST):
        channel = _channel(data_format, value.rank)
        return c.map(value.shape, value.dtype, lambda *i: value[i] + bias[i[channel]])

    def oracle(value, bias, data_format=_LAST):
        result = np.empty_like(value)
        for index in np.ndindex(*value.shape):
            result[index] = value[index] + bias[index[1 if data_format == _SECOND else -1]]
        return result


class BiasAddGrad(Op):
    """The sums of a tensor over all axes but that of the channels."""

    kind = Kind.REDUCE
    inputs = ("out_backprop",)
    attrs = {"data_format": _LAST}
    dtypes = NUMERIC
    keep = ()
    ulp = {float16: 4, bfloat16: 4, float32: 4, float64: 4}
    samples = (
        S(3, 4),
        S(2, 3, 4),
        S(2, 3, 4, 2, data_format=_SECOND),
        S(0, 4),
        Bad(4, match=r"Input tensor must be at least 2D: \[4\]"),
    )

    def infer(out_backprop, data_format=_LAST):
        shape = out_backprop.shape
        if shape is None:
            return Spec((None,), out_backprop.dtype)
        if len(shape) < 2:
            raise errors.invalid_argument(
                f"Input tensor must be at least 2D: {brackets(shape)}"
            )
        return Spec((shape[_channel(data_format, len(shape))],), out_backprop.dtype)

    def kernel(out_backprop, data_format=_LAST):
        x, dtype = out_backprop, out_backprop.dtype
        if x.ndim < 2:
            raise ValueError
        channel = _channel(data_format, x.ndim)
        wide = np.float32 if dtype.itemsize == 2 and dtype.kind not in "iu" else dtype
        axes = tuple(axis for axis in range(x.ndim) if axis != channel)
        return np.add.reduce(x, axis=axes, dtype=wide).astype(dtype, copy=False)

    def grad(dz, z, out_backprop, data_format=_LAST):
        if data_format == _SECOND:
            ones = fill([rank(out_backprop) - 2], 1)
            dz = reshape(dz, concat([shape(dz), ones], 0))
        return broadcast_to(dz, shape_of(out_backprop))

    def lower(c, out_backprop, data_format=_LAST):
        x = out_backprop
        channel = _channel(data_format, x.rank)
        extents = x.shape[:channel] + x.shape[channel + 1 :]
        return c.reduce(
            "add",
            (x.shape[channel],),
            x.dtype,
            extents,
            lambda i, r: x[r[:channel] + i + r[channel:]],
        )

    def oracle(out_backprop, data_format=_LAST):
        channel = 1 if data_format == _SECOND else out_backprop.ndim - 1
        total = np.zeros(out_backprop.shape[channel], out_backprop.dtype)
        for index in np.ndindex(*out_backprop.shape):
            total[index[channel]] += out_backprop[index]
        return total


@export("nn.bias_add")
def bias_add(value, bias, data_format=None, name=None):
    """A vector added along the channels of a tensor.

    Args:
        value: number tensor of rank 2 or more.
        bias: vector of value's dtype, as long as value has channels.
        data_format: "N...C" (default) or "NC...", with or without dots: which axis has the
            channels.
        name: of the operation in a graph.
    Returns: tensor of value's shape.
    Raises: ValueError: another format. InvalidArgumentError: shapes that do not fit.
    Source: TensorFlow's `BiasAdd`.

    >>> tf.nn.bias_add([[1., 2.]], [10., 20.]).numpy()
    array([[11., 22.]], dtype=float32)
    """
    attrs = {"data_format": _LAST}
    if data_format is not None:
        if data_format.startswith("NC"):
            attrs = {"data_format": _SECOND}
        elif not (data_format.startswith("N") and data_format.endswith("C")):
            raise ValueError(
                "`data_format` must be of the form `N...C` or `NC...`. Received: "
                f"data_format={data_format}"
            )
    return apply(BiasAdd, (convert(value), bias), attrs, name=name)


@export("nn.batch_normalization")
def batch_normalization(x, mean, variance, offset, scale, variance_epsilon, name=None):
    """`scale (x - mean) / sqrt(variance + epsilon) + offset` (Ioffe, Szegedy 2015).

    Args:
        x: float tensor.
        mean, variance: tensors that broadcast with `x`.
        offset: tensor that is added, or None.
        scale: tensor that is multiplied with, or None.
        variance_epsilon: a small number that keeps the root from 0.
        name: of the operation in a graph.
    Returns: tensor of x's shape and dtype.

    >>> x, mean, variance = tf.constant([[1., 3.]]), tf.constant(1.), tf.constant(4.)
    >>> tf.nn.batch_normalization(x, mean, variance, None, None, 0.).numpy()
    array([[0., 1.]], dtype=float32)
    """
    x = convert(x)
    factor = rsqrt(variance + variance_epsilon)
    if scale is not None:
        factor = factor * scale
    term = -mean * factor if offset is None else offset - mean * factor
    return x * cast(factor, x.dtype) + cast(term, x.dtype)
