"""Movement without arithmetic: the same elements in another form or order."""

from __future__ import annotations

import math

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, HANDLES, NUMERIC, int32
from headrace.base.export import export
from headrace.core.convert import convert, hooks, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import dims_of, shape_of


class Reshape(Op):
    """The same elements in row-major order, in another shape."""

    kind = Kind.MOVEMENT
    inputs = ("tensor", "shape")
    static = ("shape",)
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, shape=(2, 6)),
        S(3, 4, shape=(-1,)),
        S(6, shape=(2, -1)),
        S(shape=(1, 1)),
        S(1, shape=()),
        S(0, 3, shape=(3, 0)),
        S(0, 3, shape=(-1, 3)),
        Bad(
            3,
            4,
            shape=(5, 2),
            match="Input to reshape is a tensor with 12 values, but the requested shape has 10",
        ),
        Bad(3, 4, shape=(5, -1), match="requested shape requires a multiple of 5"),
        Bad(3, 4, shape=(-1, -1), match="Only one input size may be -1"),
    )

    def infer(tensor, shape):
        return Spec(resolved(tensor.shape, shape), tensor.dtype)

    def kernel(tensor, shape):
        return tensor.reshape(shape)

    def grad(dy, y, tensor, shape):
        return reshape(dy, shape_of(tensor))

    def lower(c, tensor, shape):
        return tensor.reshape(resolved(tensor.shape, shape))

    def oracle(tensor, shape):
        flat = [tensor[index] for index in np.ndindex(*tensor.shape)]
        result = np.empty(resolved(tensor.shape, shape), dtype=tensor.dtype)
        for index, item in zip(np.ndindex(*result.shape), flat, strict=True):
            result[index] = item
        return result


def resolved(old, shape):
    """The shape that `shape`, with at most one -1, asks for."""
    if shape is None:
        return None
    if sum(dim == -1 for dim in shape) > 1:
        places = [i for i, dim in enumerate(shape) if dim == -1]
        raise errors.invalid_argument(
            f"Only one input size may be -1, not both {places[0]} and {places[1]}"
        )
    for i, dim in enumerate(shape):
        if dim is not None and dim < -1:
            raise errors.invalid_argument(f"Size {i} must be non-negative, not {dim}")
    if old is None or None in old or None in shape:
        return tuple(None if dim == -1 else dim for dim in shape)
    count = math.prod(old)
    known = math.prod(dim for dim in shape if dim != -1)
    if -1 not in shape:
        if known != count:
            raise errors.invalid_argument(
                f"Input to reshape is a tensor with {count} values, but the requested shape "
                f"has {known}"
            )
        return tuple(shape)
    if known == 0:
        if count:
            raise errors.invalid_argument(
                "reshape cannot infer the missing input size for an empty tensor unless all "
                "specified input sizes are non-zero"
            )
        return tuple(0 if dim == -1 else dim for dim in shape)
    if count % known:
        raise errors.invalid_argument(
            f"Input to reshape is a tensor with {count} values, but the requested shape "
            "requires "
            f"a multiple of {known}"
        )
    return tuple(count // known if dim == -1 else dim for dim in shape)


@export("reshape")
def reshape(tensor, shape, name=None):
    """The same elements in another shape.

    Args:
        tensor: tensor of any dtype and shape.
        shape: integer vector; one entry may be -1, it follows from the others.
        name: of the operation in a graph.
    Returns: tensor of that shape.
    Raises: InvalidArgumentError: the number of elements does not fit.
    Source: TensorFlow's `Reshape`.

    >>> tf.reshape([1, 2, 3, 4], [2, -1]).numpy()
    array([[1, 2],
           [3, 4]], dtype=int32)
    """
    shape = static(shape)
    if shape.__class__ is int:
        raise errors.invalid_argument("sizes input must be 1-D, not []", "Reshape")
    return apply(Reshape, (tensor,), {"shape": shape}, name=name)


class Transpose(Op):
    """The axes in another order."""

    kind = Kind.MOVEMENT
    inputs = ("x", "perm")
    static = ("perm",)
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, perm=(1, 0)),
        S(2, 3, 4, perm=(2, 0, 1)),
        S(perm=()),
        S(0, 3, perm=(1, 0)),
        Bad(
            3,
            4,
            perm=(0,),
            match="transpose expects a vector of size 2. But input.1. is a vector of size 1",
        ),
        Bad(3, 4, perm=(0, 0), match="1 is missing from"),
        Bad(3, 4, perm=(0, 2), match="2 is out of range"),
    )

    def infer(x, perm):
        if perm is None or x.shape is None or None in perm:
            return Spec(None if x.shape is None else (None,) * len(x.shape), x.dtype)
        _check_permutation(perm, len(x.shape))
        return Spec(tuple(x.shape[p] for p in perm), x.dtype)

    def kernel(x, perm):
        return x.transpose(perm)

    def grad(dy, y, x, perm):
        if perm.__class__ is not tuple:
            return transpose(dy, invert_permutation(perm))
        return transpose(dy, tuple(perm.index(i) for i in range(len(perm))))

    def lower(c, x, perm):
        shape = tuple(x.shape[p] for p in perm)
        return c.map(
            shape, x.dtype, lambda *i: x[tuple(i[perm.index(d)] for d in range(x.rank))]
        )

    def oracle(x, perm):
        result = np.empty([x.shape[p] for p in perm], dtype=x.dtype)
        for index in np.ndindex(*x.shape):
            result[tuple(index[p] for p in perm)] = x[index]
        return result


def _check_permutation(perm, rank):
    if len(perm) != rank:
        raise errors.invalid_argument(
            f"transpose expects a vector of size {rank}. But input(1) is a vector of size "
            f"{len(perm)}"
        )
    for p in perm:
        if not 0 <= p < rank:
            raise errors.invalid_argument(f"{p} is out of range [0 .. {rank})")
    for i in range(rank):
        if i not in perm:
            raise errors.invalid_argument(
                f"{i} is missing from {{{','.join(map(str, perm))}}}."
            )


@export("transpose", "linalg.transpose")
def transpose(a, perm=None, conjugate=False, name="transpose"):
    """The axes of `a` in another order; by default reversed.

    Args:
        a: tensor of any dtype and shape.
        perm: integer vector: axis i of the result is axis `perm[i]` of `a`.
        conjugate: whether to conjugate complex elements too.
        name: of the operation in a graph.
    Returns: tensor of a's dtype.
    Raises: InvalidArgumentError: `perm` is no permutation of a's axes.
    Source: TensorFlow's `Transpose`.

    >>> tf.transpose([[1, 2, 3], [4, 5, 6]]).numpy()
    array([[1, 4],
           [2, 5],
           [3, 6]], dtype=int32)
    """
    a = a if a.__class__ is EagerTensor else convert(a)
    if perm is None:
        rank = a.ndim
        perm = reversed_axes(a) if rank is None else tuple(range(rank - 1, -1, -1))
    else:
        perm = static(perm)
        if perm.__class__ is tuple and any(p is not None and p < 0 for p in perm):
            perm = tuple(p + len(perm) if p < 0 else p for p in perm)
    result = apply(Transpose, (a,), {"perm": perm}, name or "transpose")
    return hooks.conjugate(result) if conjugate and a.dtype.is_complex else result


class Identity(Op):
    """The tensor itself."""

    kind = Kind.MOVEMENT
    inputs = ("input",)
    dtypes = ALL | HANDLES
    keep = ()
    samples = (S(3, 4), S(), S(0))

    def infer(input):
        return Spec(input.shape, input.dtype, input.value if input.dtype in HANDLES else None)

    def kernel(input):
        return input

    def grad(dy, y, input):
        return dy

    def lower(c, input):
        return input

    def oracle(input):
        return input


@export("identity")
def identity(input, name=None):
    """A tensor with the same value.

    Args:
        input: tensor, variable, or what can be converted to a tensor.
        name: of the operation in a graph.
    Source: TensorFlow's `Identity`.

    >>> tf.identity([1., 2.]).numpy()
    array([1., 2.], dtype=float32)
    """
    return apply(Identity, (input,), name=name)


class StopGradient(Op):
    """The tensor itself, through which no gradient flows."""

    kind = Kind.MOVEMENT
    inputs = ("input",)
    dtypes = ALL
    samples = (S(3, 4), S(), S(0))
    no_grad = "that is its purpose"
    infer = Identity.infer
    kernel = Identity.kernel
    lower = Identity.lower
    oracle = Identity.oracle


@export("stop_gradient")
def stop_gradient(input, name=None):
    """A tensor with the same value that counts as a constant for gradients.

    Args:
        input: tensor, variable, or what can be converted to a tensor.
        name: of the operation in a graph.
    Source: TensorFlow's `StopGradient`.

    >>> x = tf.Variable(3.)
    >>> with tf.GradientTape() as tape:
    ...     y = x * tf.stop_gradient(x)
    >>> tape.gradient(y, x)
    <tf.Tensor: shape=(), dtype=float32, numpy=3.0>
    """
    return apply(StopGradient, (input,), name=name)


class ExpandDims(Op):
    """A new axis of size 1."""

    kind = Kind.MOVEMENT
    inputs = ("input", "axis")
    static = ("axis",)
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, axis=0),
        S(3, 4, axis=-1),
        S(axis=0),
        S(0, axis=1),
        Bad(3, 4, axis=3, match=r"Tried to expand dim index 3 for tensor with 2 dimensions"),
    )

    def infer(input, axis):
        if input.shape is None:
            return Spec(None, input.dtype)
        rank = len(input.shape)
        if axis is None:
            return Spec((None,) * (rank + 1), input.dtype)
        if not -rank - 1 <= axis <= rank:
            raise errors.invalid_argument(
                f"Tried to expand dim index {axis} for tensor with {rank} dimensions."
            )
        axis = axis % (rank + 1)
        return Spec((*input.shape[:axis], 1, *input.shape[axis:]), input.dtype)

    def kernel(input, axis):
        return input.reshape(_expanded(input.shape, axis))

    def grad(dy, y, input, axis):
        return reshape(dy, shape_of(input))

    def lower(c, input, axis):
        return input.reshape(_expanded(input.shape, axis))

    def oracle(input, axis):
        return np.expand_dims(input, axis)


def _expanded(shape, axis):
    if not -len(shape) - 1 <= axis <= len(shape):
        raise IndexError
    axis %= len(shape) + 1
    return (*shape[:axis], 1, *shape[axis:])


@export("expand_dims")
def expand_dims(input, axis, name=None):
    """A tensor with a new axis of size 1.

    Args:
        input: tensor of any dtype and shape.
        axis: int, where the new axis stands; negative values count from the end.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: no such place.
    Source: TensorFlow's `ExpandDims`.

    >>> tf.expand_dims([1, 2], axis=1).numpy()
    array([[1],
           [2]], dtype=int32)
    """
    axis = static(axis)
    return apply(
        ExpandDims, (input,), {"axis": axis[0] if axis.__class__ is tuple else axis}, name=name
    )


class Squeeze(Op):
    """A tensor without axes of size 1."""

    kind = Kind.MOVEMENT
    inputs = ("input",)
    attrs = {"squeeze_dims": ()}
    dtypes = ALL
    keep = ()
    samples = (
        S(1, 3, 1),
        S(1, 3, 1, squeeze_dims=(0,)),
        S(1, 3, 1, squeeze_dims=(-1,)),
        S(1, 0),
        Bad(
            3,
            1,
            squeeze_dims=(0,),
            match="Can not squeeze dim.0., expected a dimension of 1, got 3",
        ),
        Bad(1, squeeze_dims=(2,), match=r"Tried to squeeze dim index 2 for tensor with 1"),
    )

    def infer(input, squeeze_dims=()):
        shape = input.shape
        if shape is None or (not squeeze_dims and None in shape):
            return Spec(None, input.dtype)
        return Spec(_squeezed(shape, squeeze_dims), input.dtype)

    def kernel(input, squeeze_dims=()):
        return input.reshape(_squeezed(input.shape, squeeze_dims))

    def grad(dy, y, input, squeeze_dims=()):
        return reshape(dy, shape_of(input))

    def lower(c, input, squeeze_dims=()):
        return input.reshape(_squeezed(input.shape, squeeze_dims))

    def oracle(input, squeeze_dims=()):
        return np.squeeze(input, squeeze_dims or None)


def _squeezed(shape, axes):
    if not axes:
        return tuple(n for n in shape if n != 1)
    for axis in axes:
        if not -len(shape) <= axis < len(shape):
            raise errors.invalid_argument(
                f"Tried to squeeze dim index {axis} for tensor with {len(shape)} dimensions."
            )
        if shape[axis] not in (1, None):
            raise errors.invalid_argument(
                f"Can not squeeze dim[{axis}], expected a dimension of 1, got {shape[axis]}"
            )
    gone = {axis % len(shape) for axis in axes}
    return tuple(n for i, n in enumerate(shape) if i not in gone)


@export("squeeze")
def squeeze(input, axis=None, name=None):
    """A tensor without its axes of size 1, or without some of them.

    Args:
        input: tensor of any dtype and shape.
        axis: int or ints, the axes to remove (default: all of size 1).
        name: of the operation in a graph.
    Raises: InvalidArgumentError: an axis of another size.
    Source: TensorFlow's `Squeeze`.

    >>> tf.squeeze([[1], [2]]).numpy()
    array([1, 2], dtype=int32)
    """
    axes = () if axis is None else static(axis)
    axes = (axes,) if axes.__class__ is int else axes
    return apply(Squeeze, (input,), {"squeeze_dims": axes}, name=name)


class Tile(Op):
    """A tensor repeated along its axes."""

    kind = Kind.MOVEMENT
    inputs = ("input", "multiples")
    static = ("multiples",)
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, multiples=(2, 1)),
        S(2, multiples=(3,)),
        S(multiples=()),
        S(2, multiples=(0,)),
        Bad(
            2, 3, multiples=(1,), match="Expected multiples argument to be a vector of length 2"
        ),
        Bad(2, multiples=(-1,), match="Expected multiples"),
    )

    def infer(input, multiples):
        shape = input.shape
        if shape is None or multiples is None:
            return Spec(None if shape is None else (None,) * len(shape), input.dtype)
        if len(multiples) != len(shape):
            raise errors.invalid_argument(
                f"Expected multiples argument to be a vector of length {len(shape)} but got "
                f"length {len(multiples)}"
            )
        for i, m in enumerate(multiples):
            if m is not None and m < 0:
                raise errors.invalid_argument(f"Expected multiples[{i}] >= 0, but got {m}")
        sizes = zip(shape, multiples, strict=True)
        return Spec(
            tuple(None if None in pair else pair[0] * pair[1] for pair in sizes), input.dtype
        )

    def kernel(input, multiples):
        if len(multiples) != input.ndim:
            raise ValueError
        return np.tile(input, multiples)

    def grad(dy, y, input, multiples):
        if multiples.__class__ is not tuple:
            pairs = hooks.pack([multiples, convert(shape_of(input), None, int32)], 1)
            split = reshape(pairs, (-1,))
            return hooks.reduce_sum(reshape(dy, split), hooks.range(0, 2 * input.shape.rank, 2))
        dims = dims_of(input)
        split = tuple(n for i, times in enumerate(multiples) for n in (times, dims[i]))
        return hooks.reduce_sum(reshape(dy, split), tuple(range(0, len(split), 2)))

    def lower(c, input, multiples):
        shape = tuple(n * m for n, m in zip(input.shape, multiples, strict=True))
        return c.map(
            shape,
            input.dtype,
            lambda *i: input[tuple(k % n for k, n in zip(i, input.shape, strict=True))],
        )

    def oracle(input, multiples):
        for axis, m in enumerate(multiples):
            parts = [input] * m or [np.take(input, [], axis)]
            input = np.concatenate(parts, axis)
        return input


@export("tile")
def tile(input, multiples, name=None):
    """A tensor repeated `multiples[i]` times along axis i.

    Args:
        input: tensor of any dtype and shape.
        multiples: integer vector, one entry an axis.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: not one entry an axis, or a negative one.
    Source: TensorFlow's `Tile`.

    >>> tf.tile([1, 2], [2]).numpy()
    array([1, 2, 1, 2], dtype=int32)
    """
    return apply(Tile, (input,), {"multiples": static(multiples)}, name=name)


class ReverseV2(Op):
    """The elements in opposite order along some axes."""

    kind = Kind.MOVEMENT
    inputs = ("tensor", "axis")
    static = ("axis",)
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, axis=(0,)),
        S(3, 4, axis=(0, -1)),
        S(0, 3, axis=(1,)),
        S(3, axis=()),
        Bad(3, axis=(1,), match=r"'axis'\[0\] = 1 is out of valid range \[-1, 0"),
        Bad(3, 4, axis=(0, 0), match="axis 0 specified more than once"),
    )

    def infer(tensor, axis):
        rank = None if tensor.shape is None else len(tensor.shape)
        if rank is not None and axis is not None and None not in axis:
            _check_reversed(rank, axis)
        return Spec(tensor.shape, tensor.dtype)

    def kernel(tensor, axis):
        return np.flip(tensor, axis)

    def grad(dy, y, tensor, axis):
        return reverse(dy, axis)

    def lower(c, tensor, axis):
        axes = {a % tensor.rank for a in axis}
        return c.map(
            tensor.shape,
            tensor.dtype,
            lambda *i: tensor[
                tuple(tensor.shape[d] - 1 - k if d in axes else k for d, k in enumerate(i))
            ],
        )

    def oracle(tensor, axis):
        result = np.empty_like(tensor)
        axes = {a % tensor.ndim for a in axis}
        for index in np.ndindex(*tensor.shape):
            other = tuple(
                tensor.shape[d] - 1 - k if d in axes else k for d, k in enumerate(index)
            )
            result[other] = tensor[index]
        return result


def _check_reversed(rank, axis):
    for i, a in enumerate(axis):
        if not -rank <= a < rank:
            raise errors.invalid_argument(
                f"'axis'[{i}] = {a} is out of valid range [{-rank}, {rank - 1}]"
            )
    seen = [a % rank for a in axis]
    for a in seen:
        if seen.count(a) > 1:
            raise errors.invalid_argument(f"axis {a} specified more than once.")


@export("reverse")
def reverse(tensor, axis, name=None):
    """The elements in opposite order along some axes.

    Args:
        tensor: tensor of any dtype and shape.
        axis: integer vector, the axes to reverse.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: no such axis, or one twice.
    Source: TensorFlow's `ReverseV2`.

    >>> tf.reverse([1, 2, 3], axis=[0]).numpy()
    array([3, 2, 1], dtype=int32)
    """
    return apply(ReverseV2, (tensor,), {"axis": static(axis)}, name=name)


class InvertPermutation(Op):
    """For a permutation p the vector q with q[p[i]] = i."""

    kind = Kind.OPAQUE
    inputs = ("x",)
    dtypes = frozenset(d for d in NUMERIC if d.name in ("int32", "int64"))
    no_grad = "integer result"
    no_lower = "small and on integers; runs by its kernel"
    samples = (
        S(values=[2, 0, 1], dtype=("int32",)),
        Bad(values=[0, 0], dtype=("int32",), match="0 is duplicated in the input"),
        Bad(values=[0, 5], dtype=("int32",), match="5 is not between 0 and 2"),
    )

    def infer(x):
        return Spec(x.shape, x.dtype)

    def kernel(x):
        result = np.full_like(x, -1)
        for i, p in enumerate(x):
            if not 0 <= p < len(x):
                raise errors.invalid_argument(f"{p} is not between 0 and {len(x)}")
            if result[p] != -1:
                raise errors.invalid_argument(f"{p} is duplicated in the input.")
            result[p] = i
        return result

    def oracle(x):
        return np.argsort(x)


@export("math.invert_permutation")
def invert_permutation(x, name=None):
    """For a permutation `x` of 0, 1, ... the vector y with `y[x[i]] = i`.

    Args:
        x: int32 or int64 vector.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: x is no permutation.
    Source: TensorFlow's `InvertPermutation`.

    >>> tf.math.invert_permutation([2, 0, 1]).numpy()
    array([1, 2, 0], dtype=int32)
    """
    return apply(InvertPermutation, (x,), name=name)


def reversed_axes(a):
    """The axes of a tensor of unknown rank, last first."""
    return hooks.range_of_rank(a)
