"""Shapes at run time, and broadcasting in both directions.

`shape_of` is what gradient rules use: Python ints while they are known, the `Shape` op's result
where they are not. `sum_to_like` undoes broadcasting; it is an op of its own because a graph
may not know yet which axes were stretched.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import ALL, NUMERIC, DType, int32, int64
from headrace.base.export import export
from headrace.core.convert import convert, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor, Tensor
from headrace.ops.samples import Bad, S

_INDEX = frozenset({int32, int64})
_FEW = 1 << 12
"""Up to so many elements a copy is made sooner than NumPy's view."""


class Shape(Op):
    """The shape of a tensor as a vector."""

    kind = Kind.MOVEMENT
    inputs = ("input",)
    attrs = {"out_type": int32}
    dtypes = ALL
    samples = (S(3, 4), S(), S(0), S(2, 0, 3, out_type=int64))
    no_grad = "integer result"
    no_lower = "known when compiled: folded into a constant"

    def infer(input, out_type=int32):
        rank = None if input.shape is None else len(input.shape)
        return Spec((rank,), out_type, input.shape)

    def kernel(input, out_type=int32):
        return np.array(input.shape, dtype=out_type.np)

    def oracle(input, out_type=int32):
        sizes = []
        while isinstance(input, (list, np.ndarray)) and np.ndim(input):
            sizes.append(len(input))
            input = input[0] if len(input) else np.empty(np.shape(input)[1:])
        return np.array(sizes, dtype=np.int64)


@export("shape")
def shape(input: Any, out_type: DType | None = None, name: str | None = None) -> Any:
    """The shape of `input` as an integer tensor `[rank]`.

    Args:
        input: tensor of any shape and dtype.
        out_type: int32 (default) or int64.
    Source: TensorFlow's `Shape`.

    >>> tf.shape([[1., 2., 3.], [4., 5., 6.]])
    <tf.Tensor: shape=(2,), dtype=int32, numpy=array([2, 3], dtype=int32)>
    """
    return apply(
        Shape, (input,), {"out_type": int32 if out_type is None else out_type}, name=name
    )


@export("shape_n")
def shape_n(input: Any, out_type: DType | None = None, name: str | None = None) -> list[Any]:
    """The shape of each tensor of a list.

    Args:
        input: list of tensors.
        out_type: int32 (default) or int64.

    >>> [s.numpy().tolist() for s in tf.shape_n([[1., 2.], [[3.]]])]
    [[2], [1, 1]]
    """
    return [shape(x, out_type) for x in input]


class Rank(Op):
    """The number of dimensions of a tensor."""

    kind = Kind.MOVEMENT
    inputs = ("input",)
    dtypes = ALL
    samples = (S(3, 4), S(), S(0), S(2, 0, 3))
    no_grad = "integer result"
    no_lower = "known when compiled: folded into a constant"

    def infer(input):
        return Spec((), int32, None if input.shape is None else len(input.shape))

    def kernel(input):
        return np.array(input.ndim, dtype=np.int32)

    def oracle(input):
        return np.array(len(np.shape(input)), dtype=np.int32)


@export("rank")
def rank(input: Any, name: str | None = None) -> Any:
    """The number of dimensions of `input`, an int32 scalar.

    Args:
        input: tensor of any shape and dtype.
    Source: TensorFlow's `Rank`.

    >>> int(tf.rank([[1., 2.], [3., 4.]]))
    2
    """
    return apply(Rank, (input,), name=name)


class Size(Op):
    """The number of elements of a tensor."""

    kind = Kind.MOVEMENT
    inputs = ("input",)
    attrs = {"out_type": int32}
    dtypes = ALL
    samples = (S(3, 4), S(), S(0), S(2, 0, 3, out_type=int64))
    no_grad = "integer result"
    no_lower = "known when compiled: folded into a constant"

    def infer(input, out_type=int32):
        return Spec((), out_type, shapes.size(input.shape))

    def kernel(input, out_type=int32):
        return np.array(input.size, dtype=out_type.np)

    def oracle(input, out_type=int32):
        return np.array(len(np.asarray(input).reshape(-1)), dtype=np.int64)


@export("size")
def size(input: Any, out_type: DType | None = None, name: str | None = None) -> Any:
    """The number of elements of `input`, an integer scalar.

    Args:
        input: tensor of any shape and dtype.
        out_type: int32 (default) or int64.
    Source: TensorFlow's `Size`.

    >>> int(tf.size([[1., 2.], [3., 4.]]))
    4
    """
    return apply(
        Size, (input,), {"out_type": int32 if out_type is None else out_type}, name=name
    )


def shape_of(x: Tensor) -> Any:
    """The shape of `x` for a static input: a tuple of ints, or a symbolic vector."""
    if isinstance(x, EagerTensor):
        return x._array.shape
    known = shapes.as_tuple(x.shape)
    if known is not None and None not in known:
        return known
    return apply(Shape, (x,), {"out_type": int32})


def dims_of(x: Tensor) -> Any:
    """As `shape_of`, but ints and symbolic scalars one by one where the rank is known."""
    shape = shape_of(x)
    known = shapes.as_tuple(x.shape)
    if shape.__class__ is tuple or known is None:
        return shape
    return tuple(shape[i] if n is None else n for i, n in enumerate(known))


def _stretches(old, new):
    """Whether a tensor of shape `old` can be stretched to `new`."""
    try:
        return shapes.broadcast(old, new) == tuple(new)
    except ValueError:
        return False


class BroadcastTo(Op):
    """A tensor stretched to a larger shape."""

    kind = Kind.MOVEMENT
    inputs = ("input", "shape")
    static = ("shape",)
    dtypes = ALL
    samples = (
        S(3, 1, shape=(3, 4)),
        S(shape=(2, 2)),
        S(3, shape=(2, 3)),
        S(1, 0, shape=(5, 0)),
        Bad(3, shape=(2, 4), match="Incompatible shapes"),
    )

    def infer(input, shape):
        if shape is None or input.shape is None or None in input.shape or None in shape:
            return Spec(shape, input.dtype)
        if not _stretches(input.shape, shape):
            raise errors.invalid_argument(
                f"Incompatible shapes: {brackets(input.shape)} vs. {brackets(shape)}"
            )
        return Spec(tuple(shape), input.dtype)

    def kernel(input, shape):
        if math.prod(shape) > _FEW or input.ndim > len(shape):
            return np.broadcast_to(input, shape)
        result = np.empty(shape, input.dtype)
        result[...] = input
        return result

    def grad(dy, y, input, shape):
        return sum_to_like(dy, input)

    def lower(c, input, shape):
        skip = len(shape) - input.rank

        def element(*index):
            kept = index[skip:]
            zero = tuple(i if n != 1 else 0 for i, n in zip(kept, input.shape, strict=True))
            return input[zero]

        return c.map(shape, input.dtype, element)

    def oracle(input, shape):
        result = np.empty(shape, input.dtype)
        for index in np.ndindex(*shape):
            kept = index[len(shape) - input.ndim :]
            sizes = zip(kept, input.shape, strict=True)
            result[index] = input[tuple(i if n != 1 else 0 for i, n in sizes)]
        return result


@export("broadcast_to")
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """`input` stretched to `shape` as in arithmetic between the two.

    Args:
        input: tensor whose shape is compatible with `shape` for broadcasting.
        shape: integer vector, the result's shape.
    Raises:
        InvalidArgumentError: the shapes do not fit.
    Source: TensorFlow's `BroadcastTo`.

    >>> tf.broadcast_to([1., 2.], [2, 2]).numpy()
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    return apply(BroadcastTo, (input,), {"shape": static(shape)}, name=name)


class SumToShape(Op):
    """A tensor summed over the axes along which a smaller shape would have been stretched."""

    kind = Kind.REDUCE
    inputs = ("input", "shape")
    static = ("shape",)
    dtypes = NUMERIC
    samples = (
        S(3, 4, shape=(3, 1)),
        S(2, 3, shape=(3,)),
        S(2, 3, shape=()),
        S(0, 3, shape=(3,)),
    )

    def infer(input, shape):
        return Spec(shape, input.dtype)

    def kernel(input, shape):
        lead = input.ndim - len(shape)
        dtype = input.dtype
        wide = np.float32 if dtype.itemsize == 2 and dtype.kind not in "iu" else dtype
        if lead == 1 and input.shape[1:] == shape:
            return np.asarray(np.add.reduce(input, axis=0, dtype=wide)).astype(
                dtype, copy=False
            )
        axes = tuple(
            i for i in range(input.ndim) if i < lead or (shape[i - lead] == 1 != input.shape[i])
        )
        total = np.asarray(np.add.reduce(input, axis=axes, dtype=wide))
        return total.reshape(shape).astype(dtype, copy=False)

    def grad(dy, y, input, shape):
        return broadcast_to(dy, shape_of(input))

    def lower(c, input, shape):
        lead = input.rank - len(shape)
        summed = [
            i for i in range(input.rank) if i < lead or (shape[i - lead] == 1 != input.shape[i])
        ]
        extents = tuple(input.shape[i] for i in summed)

        def element(index, r):
            at = [index[i - lead] if i >= lead else 0 for i in range(input.rank)]
            for axis, position in zip(summed, r, strict=True):
                at[axis] = position
            return input[tuple(at)]

        return c.reduce("add", shape, input.dtype, extents, element)

    def oracle(input, shape):
        total = np.zeros(shape, dtype=input.dtype)
        for index in np.ndindex(*input.shape):
            kept = index[len(index) - len(shape) :]
            total[tuple(i if n != 1 else 0 for i, n in zip(kept, shape, strict=True))] += input[
                index
            ]
        return total


def sum_to_like(gradient: Any, like: Any) -> Any:
    """`gradient` of a broadcast result, summed to the shape of `like`, the operand."""
    try:
        if gradient._array.shape == like._array.shape:
            return gradient
    except AttributeError:
        gradient, like = convert(gradient), convert(like)
        known = shapes.as_tuple(gradient.shape), shapes.as_tuple(like.shape)
        if None not in known and known[0] == known[1] and None not in known[0]:
            return gradient
    return apply(SumToShape, (gradient,), {"shape": shape_of(like)})


def brackets(shape: Any) -> str:
    """A shape in the form of TensorFlow's error texts: `[2,3]`."""
    return "[" + ",".join("?" if dim is None else str(dim) for dim in shape) + "]"
