"""Tensors from nothing: constants, fills, ranges, identity matrices."""

from __future__ import annotations

import math

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, REALS, as_dtype, float32, int32, int64, variant
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.dtypes import string as string_dtype
from headrace.base.export import export
from headrace.base.shapes import TensorShape, as_tuple, broadcast
from headrace.core.context import state
from headrace.core.convert import CONVERTERS, convert, hooks, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor, Tensor, wrap
from headrace.ops.cast import cast
from headrace.ops.compare import equal, where
from headrace.ops.elementwise import maximum
from headrace.ops.reshape import reshape, transpose
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import Shape, broadcast_to, shape_of, size
from headrace.ops.tensor_list.elements import zeros_of_list


@export("convert_to_tensor")
def convert_to_tensor(value, dtype=None, dtype_hint=None, name=None):
    """`value` as a tensor.

    Args:
        value: tensor, variable, array, number, text, or nested list of these.
        dtype: the dtype it must have.
        dtype_hint: the dtype it should have if the value allows it.
        name: of the operation in a graph.
    Raises: TypeError, ValueError: no tensor can be made of it.

    >>> tf.convert_to_tensor([[1, 2], [3, 4]])
    <tf.Tensor: shape=(2, 2), dtype=int32, numpy=
    array([[1, 2],
           [3, 4]], dtype=int32)>
    """
    wanted = None if dtype is None else as_dtype(dtype)
    hint = None if dtype_hint is None else as_dtype(dtype_hint)
    tensor = convert(value, wanted, hint)
    if state.graph is not None and tensor.__class__ is EagerTensor and tensor is not value:
        return state.graph.constant(tensor._array, name)
    return tensor


@export("constant")
def constant(value, dtype=None, shape=None, name="Const"):
    """A tensor with the given value.

    Args:
        value: number, text, array, or nested list of these.
        dtype: dtype of the result; numbers are converted to it.
        shape: shape of the result; a single number fills it.
        name: of the operation in a graph.
    Raises: TypeError, ValueError: the value does not fit dtype or shape, or is ragged.

    >>> tf.constant([1, 2, 3, 4], shape=(2, 2), dtype=tf.float32).numpy()
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(value, EagerTensor) and wanted is not None and value.dtype is not wanted:
        raise TypeError(
            f"Expected tensor {value.numpy()} with dtype {wanted!r}, but got dtype "
            f"{value.dtype!r}."
        )
    tensor = _shaped_constant(value, wanted, shape)
    if state.graph is not None and isinstance(tensor, EagerTensor):
        return state.graph.constant(tensor._array, name)
    return tensor


def _shaped_constant(value, dtype, shape):
    tensor = convert(value, dtype)
    if shape is None:
        return tensor
    dims = as_tuple(TensorShape(shape))
    if dims is None or None in dims:
        raise ValueError(
            "Attempt to convert a value (None) with an unsupported type (<class 'NoneType'>) "
            f"to a Tensor: the shape of a constant must be known, got {shape}."
        )
    count = math.prod(dims)
    if tensor.shape == dims:
        return tensor
    if tensor.shape.num_elements() == count:
        return wrap(tensor._array.reshape(dims))
    if tensor.shape.num_elements() == 1:
        return wrap(np.broadcast_to(tensor._array.reshape(()), dims).copy())
    raise TypeError(
        f"Eager execution of tf.constant with unsupported shape. Tensor {tensor.numpy()} "
        f"(converted from {value}) has {tensor.shape.num_elements()} elements, but got `shape` "
        f"{dims} with {count} elements)."
    )


@export("register_tensor_conversion_function")
def register_tensor_conversion_function(base_type, conversion_func, priority=100):
    """Let objects of a class be used as tensors.

    Args:
        base_type: class, or tuple of classes.
        conversion_func: `(value, dtype=None, name=None, as_ref=False)` that gives a tensor, or
            NotImplemented.
        priority: functions with smaller numbers are asked first.
    """
    CONVERTERS.append((priority, base_type, conversion_func))
    CONVERTERS.sort(key=lambda entry: entry[0])


@export("is_tensor")
def is_tensor(x):
    """Whether `x` is a tensor, a variable, or another of TensorFlow's tensor-like objects.

    >>> tf.is_tensor(tf.constant(1)), tf.is_tensor(1)
    (True, False)
    """
    return isinstance(x, Tensor) or hasattr(x, "__tf_tensor__")


class Fill(Op):
    """A tensor of one value."""

    kind = Kind.CREATION
    inputs = ("dims", "value")
    static = ("dims",)
    dtypes = ALL
    keep = ()
    samples = (
        S(dims=(2, 3)),
        S(dims=()),
        S(dims=(0,)),
        Bad(2, dims=(3,), match=r"value must be a scalar. Got shape \[2\]"),
        Bad(dims=(-1,), match="Fill dimensions must be >= 0"),
    )

    def infer(value, dims):
        if value.shape not in ((), None):
            shown = "[" + ",".join(map(str, value.shape)) + "]"
            raise errors.invalid_argument(f"value must be a scalar. Got shape {shown}")
        if dims is not None and any(d is not None and d < 0 for d in dims):
            raise errors.invalid_argument("Fill dimensions must be >= 0")
        return Spec(dims, value.dtype)

    def kernel(value, dims):
        if value.ndim:
            raise ValueError
        return np.full(dims, value[()], value.dtype)

    def grad(dy, y, value, dims):
        return _total(dy)

    def lower(c, value, dims):
        return c.map(dims, value.dtype, lambda *i: value[()])

    def oracle(value, dims):
        result = np.empty(dims, dtype=value.dtype)
        for index in np.ndindex(*result.shape):
            result[index] = value[()]
        return result


def _total(dy):
    return hooks.reduce_sum(dy, None)


@export("fill")
def fill(dims, value, name=None):
    """A tensor of shape `dims` filled with `value`.

    Args:
        dims: integer vector, the shape.
        value: scalar of any dtype.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: a negative size, or a value that is no scalar.
    Source: TensorFlow's `Fill`.

    >>> tf.fill([2, 2], 7).numpy()
    array([[7, 7],
           [7, 7]], dtype=int32)
    """
    return apply(Fill, (value,), {"dims": static(dims)}, name=name)


_FEW = 1 << 12
"""Up to so many elements stand in a graph as a value, larger ones as `Fill`."""


def _filled(shape, number, dtype, name):
    """A tensor of `shape`; eager when the shape is known."""
    dims = static(shape)
    dims = (dims,) if dims.__class__ is int else dims
    if dims.__class__ is tuple and all(d.__class__ is int for d in dims):
        if any(d < 0 for d in dims):
            raise errors.invalid_argument("Fill dimensions must be >= 0", "Fill")
        if dtype is string_dtype:
            return wrap(np.full(dims, b"" if not number else b"1", object))
        array = np.zeros(dims, dtype.np) if not number else np.full(dims, number, dtype.np)
        if state.graph is None:
            return wrap(array)
        if array.size < _FEW:
            return state.graph.constant(array, name)
    return fill(dims, convert(dtype.np.type(number)), name)


@export("zeros")
def zeros(shape, dtype=float32, name=None, layout=None):
    """A tensor of zeros (empty strings, False).

    Args:
        shape: integer vector, or a single int for a vector.
        dtype: dtype of the result.
        name: of the operation in a graph.
        layout: layouts for distributed tensors are not supported; must be None.

    >>> tf.zeros([2, 3]).numpy()
    array([[0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    _no_layout(layout)
    return _filled(shape, 0, as_dtype(dtype), name or "zeros")


@export("ones")
def ones(shape, dtype=float32, name=None, layout=None):
    """A tensor of ones (True); arguments as in `zeros`.

    >>> tf.ones([2], tf.int32).numpy()
    array([1, 1], dtype=int32)
    """
    _no_layout(layout)
    wanted = as_dtype(dtype)
    if wanted is string_dtype:
        raise TypeError("tf.ones is not defined for dtype string")
    return _filled(shape, 1, wanted, name or "ones")


def _no_layout(layout):
    if layout is not None:
        raise errors.unimplemented(
            f"layouts of distributed tensors are not supported: {layout}"
        )


@export("zeros_like")
def zeros_like(input, dtype=None, name=None, layout=None):
    """Zeros in the shape of `input`.

    Args:
        input: tensor, variable, or what can be converted to a tensor.
        dtype: dtype of the result (default: that of input).
        name: of the operation in a graph.
        layout: must be None.

    >>> tf.zeros_like([1., 2.]).numpy()
    array([0., 0.], dtype=float32)
    """
    _no_layout(layout)
    x = convert(input)
    if x.dtype is variant:
        return zeros_of_list(x)
    wanted = x.dtype if dtype is None else as_dtype(dtype)
    return _filled(shape_of(x), 0, wanted, name or "zeros_like")


@export("ones_like")
def ones_like(input, dtype=None, name=None, layout=None):
    """Ones in the shape of `input`; arguments as in `zeros_like`.

    >>> tf.ones_like([1., 2.]).numpy()
    array([1., 1.], dtype=float32)
    """
    _no_layout(layout)
    x = input if input.__class__ is EagerTensor else convert(input)
    wanted = x.dtype if dtype is None else as_dtype(dtype)
    return _filled(shape_of(x), 1, wanted, name or "ones_like")


class Range(Op):
    """Numbers from a start in equal steps, short of a limit."""

    label = "range"
    kind = Kind.OPAQUE
    inputs = ("start", "limit", "delta")
    dtypes = REALS
    no_grad = "TensorFlow defines none"
    no_lower = "the shape of the result depends on the values"
    samples = (
        S(values=(0, 5, 1), dtype=("int32",) * 3),
        S(values=(5, 0, -2), dtype=("int32",) * 3),
        S(values=(0.0, 1.0, 0.25), dtype=("float32",) * 3),
        Bad(values=(0, 5, 0), dtype=("int32",) * 3, match="Requires delta != 0"),
        Bad(
            values=(5, 0, 1),
            dtype=("int32",) * 3,
            match="Requires start <= limit when delta > 0",
        ),
    )

    def infer(start, limit, delta):
        for name, spec in (("start", start), ("limit", limit), ("delta", delta)):
            if spec.shape not in ((), None):
                shown = "[" + ",".join(map(str, spec.shape)) + "]"
                raise errors.invalid_argument(f"{name} must be a scalar, not shape {shown}")
        known = [spec.value for spec in (start, limit, delta)]
        if not all(isinstance(value, np.ndarray) for value in known):
            return Spec((None,), start.dtype)
        return Spec((_count(*[value[()] for value in known]),), start.dtype)

    def kernel(start, limit, delta):
        if start.ndim or limit.ndim or delta.ndim:
            raise ValueError
        first, last, step = start[()], limit[()], delta[()]
        count = _count(first, last, step)
        if start.dtype.kind in "iu":
            return np.arange(int(first), int(last), int(step)).astype(start.dtype)
        return (np.arange(count, dtype=start.dtype) * step + first).astype(start.dtype)

    def oracle(start, limit, delta):
        items, value = [], start
        while (value < limit) if delta > 0 else (value > limit):
            items.append(value)
            value = start + len(items) * delta
        return items


def _count(first, last, step):
    """How many numbers a range has."""
    if step == 0:
        raise errors.invalid_argument("Requires delta != 0: 0")
    if (step > 0) == (first > last) and first != last:
        sign = "<=" if step > 0 else ">="
        relation = ">" if step > 0 else "<"
        raise errors.invalid_argument(
            f"Requires start {sign} limit when delta {relation} 0: {first}/{last}"
        )
    if first.dtype.kind in "iu":
        return len(range(int(first), int(last), int(step)))
    return math.ceil(abs((float(last) - float(first)) / float(step)))


@export("range")
def range_(start, limit=None, delta=1, dtype=None, name="range"):
    """Numbers from `start` in steps of `delta`, short of `limit`.

    Args:
        start: scalar; with one argument this is the limit, and 0 is the start.
        limit: scalar, not reached.
        delta: scalar, the step; may be negative.
        dtype: dtype of the result (default: the widest of the arguments').
        name: of the operation in a graph.
    Returns: vector.
    Raises: InvalidArgumentError: a step of 0, or one in the wrong direction.
    Source: TensorFlow's `Range`.

    >>> tf.range(3, 18, 3).numpy()
    array([ 3,  6,  9, 12, 15], dtype=int32)
    """
    if limit is None:
        start, limit = 0, start
    if dtype is not None:
        target = as_dtype(dtype)
        parts = [_scalar(part, target) for part in (start, limit, delta)]
    else:
        parts = [convert(part) for part in (start, limit, delta)]
        target = max((part.dtype for part in parts), key=_HIERARCHY.index)
        parts = [cast(part, target) for part in parts]
    return apply(Range, parts, name=name)


def _scalar(value, dtype):
    return cast(value, dtype) if isinstance(value, Tensor) else convert(value, dtype)


_NAMES = "uint8 int8 uint16 int16 uint32 int32 uint64 int64 bfloat16 float16 float32 float64"
_HIERARCHY = [as_dtype(name) for name in _NAMES.split()]


@export("eye", "linalg.eye")
def eye(num_rows, num_columns=None, batch_shape=None, dtype=float32, name=None):
    """Identity matrices: 1 on the diagonal, 0 elsewhere.

    Args:
        num_rows: int, the number of rows.
        num_columns: int, the number of columns (default: as many).
        batch_shape: integer vector: as many matrices in leading dimensions.
        dtype: dtype of the result.
        name: of the operation in a graph.
    Returns: tensor `[batch..., rows, columns]`.

    >>> tf.eye(2).numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    rows = static(num_rows)
    columns = rows if num_columns is None else static(num_columns)
    batch = () if batch_shape is None else static(batch_shape)
    if not (isinstance(rows, Tensor) or isinstance(columns, Tensor) or _computed(batch)):
        matrix = np.eye(rows, columns, dtype=as_dtype(dtype).np)
        return wrap(np.broadcast_to(matrix, (*batch, rows, columns)).copy())
    matrix = one_hot(range_(rows), columns, dtype=as_dtype(dtype))
    if batch == ():
        return matrix
    shape = hooks.concat([convert(batch, None, int32), convert((rows, columns), int32)], 0)
    return broadcast_to(matrix, shape)


def _computed(sizes):
    """Whether only the graph knows some of the sizes."""
    return isinstance(sizes, Tensor) or any(isinstance(n, Tensor) for n in sizes)


@export("linspace", "lin_space")
def linspace(start, stop, num, name=None, axis=0):
    """`num` numbers in equal steps from `start` to `stop`, both included.

    Args:
        start: float tensor.
        stop: float tensor of start's dtype; shapes broadcast.
        num: int, how many; at least 1.
        name: of the operation in a graph.
        axis: int, where the new axis stands.
    Raises: InvalidArgumentError: fewer than 1 number.

    >>> tf.linspace(0., 1., 5).numpy()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    count = static(num)
    if count.__class__ is int and count < 1:
        raise errors.invalid_argument(f"Requires num > 0: {count}", "LinSpace")
    start = convert(start)
    stop = convert(stop, start.dtype)
    both = broadcast(as_tuple(start.shape), as_tuple(stop.shape))
    steps = reshape(range_(count), (-1,) + (1,) * len(both))
    intervals = maximum(convert(count, int32) - 1, 1)
    length = (stop - start) / cast(intervals, start.dtype)
    values = cast(start, length.dtype) + cast(steps, length.dtype) * length
    ends = equal(steps, intervals)
    values = where(ends, cast(stop, values.dtype), values)
    order = [*range(1, len(both) + 1)]
    order.insert(axis % len(both + (0,)), 0)
    return transpose(values, order) if axis else values


class OneHot(Op):
    """Vectors that are `on_value` at one position and `off_value` elsewhere."""

    label = "one_hot"
    kind = Kind.MOVEMENT
    inputs = ("indices", "depth", "on_value", "off_value")
    static = ("depth",)
    attrs = {"axis": -1}
    dtypes = ALL
    types = {"indices": ("TI", frozenset({as_dtype("uint8"), as_dtype("int8"), int32, int64}))}
    keep = ("indices",)
    samples = (
        S(values=([0, 2, -1, 5], 1.0, 0.0), dtype=("int32", None, None), depth=3),
        S(values=([[0], [2]], 3.0, 1.0), dtype=("int64", None, None), depth=3, axis=0),
        S(values=(1, 3.0, 1.0), dtype=("int32", None, None), depth=4),
        Bad(
            values=([0], 1.0, 0.0),
            dtype=("int32", None, None),
            depth=-1,
            match="depth must be non",
        ),
    )

    def infer(indices, on_value, off_value, depth, axis=-1):
        if depth is not None and depth < 0:
            raise errors.invalid_argument(f"depth must be non-negative, got: {depth}")
        if indices.shape is None:
            return Spec(None, on_value.dtype)
        if not -1 <= axis <= len(indices.shape):
            raise errors.invalid_argument(
                f"Expected axis to be -1 or between [0, {len(indices.shape) + 1}).  But "
                f"received: {axis}"
            )
        return Spec(_with_axis(indices.shape, axis, depth), on_value.dtype)

    def kernel(indices, on_value, off_value, depth, axis=-1):
        if depth < 0:
            raise ValueError
        place = indices.ndim if axis == -1 else axis
        grid = np.arange(depth).reshape((-1,) + (1,) * (indices.ndim - place))
        return np.where(np.expand_dims(indices, place) == grid, on_value, off_value)

    def grad(dy, y, indices, on_value, off_value, depth, axis=-1):
        mask = one_hot(indices, depth, axis=axis, dtype=dy.dtype)
        return None, _total(dy * mask), _total(dy * (1 - mask))

    def lower(c, indices, on_value, off_value, depth, axis=-1):
        place = indices.rank if axis == -1 else axis

        def element(*i):
            where = c.cast(indices[i[:place] + i[place + 1 :]], int64) == i[place]
            return c.where(where, on_value[()], off_value[()])

        return c.map(_with_axis(indices.shape, axis, depth), on_value.dtype, element)

    def oracle(indices, on_value, off_value, depth, axis=-1):
        rows = np.full((*indices.shape, depth), off_value[()])
        for index in np.ndindex(*indices.shape):
            if 0 <= indices[index] < depth:
                rows[(*index, indices[index])] = on_value[()]
        return np.moveaxis(rows, -1, axis)


def _with_axis(shape, axis, depth):
    place = len(shape) if axis == -1 else axis
    return (*shape[:place], depth, *shape[place:])


@export("one_hot")
def one_hot(indices, depth, on_value=None, off_value=None, axis=None, dtype=None, name=None):
    """For each index a vector that is 1 at that position and 0 elsewhere.

    Args:
        indices: integer tensor; an index outside [0, depth) gives a vector of zeros.
        depth: int, the vectors' length.
        on_value: scalar instead of 1.
        off_value: scalar instead of 0.
        axis: int, where the new axis stands (default: last).
        dtype: dtype of the result (default: that of the values, else float32).
        name: of the operation in a graph.
    Raises: TypeError: the values' dtypes differ from each other or from `dtype`.
    Source: TensorFlow's `OneHot`.

    >>> tf.one_hot([0, 2], depth=3).numpy()
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    target = None if dtype is None else as_dtype(dtype)
    on = None if on_value is None else convert(on_value, None, target)
    off = None if off_value is None else convert(off_value, None, target)
    for label, value in (("on_value", on), ("off_value", off)):
        if value is not None and target is not None and value.dtype != target:
            raise TypeError(
                f"dtype {value.dtype} of {label} does not match dtype parameter {target}"
            )
    if on is not None and off is not None and on.dtype != off.dtype:
        raise TypeError(
            f"dtype {on.dtype} of on_value does not match dtype {off.dtype} of off_value"
        )
    given = on if on is not None else off
    target = target or (given.dtype if given is not None else float32)
    on = _scalar(True if target is bool_dtype else 1, target) if on is None else on
    off = _scalar(False if target is bool_dtype else 0, target) if off is None else off
    attrs = {"depth": static(depth), "axis": -1 if axis is None else axis}
    return apply(OneHot, (indices, on, off), attrs, name=name)


@export("meshgrid")
def meshgrid(*args, **kwargs):
    """The coordinates of a grid: for each vector a tensor that varies along one axis only.

    Args:
        *args: vectors (other tensors are flattened) of lengths n1, n2, ...
        indexing: `"xy"` (default: the first two axes are swapped, as in pictures) or `"ij"`.
        name: of the operation in a graph.
    Returns: list of tensors `[n2, n1, n3, ...]`, or `[n1, n2, n3, ...]` for `"ij"`.
    Raises: TypeError, ValueError: another argument, or another word for `indexing`.

    >>> [g.numpy().tolist() for g in tf.meshgrid([1, 2], [3, 4])]
    [[[1, 2], [1, 2]], [[3, 3], [4, 4]]]
    """
    indexing = kwargs.pop("indexing", "xy")
    kwargs.pop("name", None)
    if kwargs:
        raise TypeError(
            f"{next(iter(kwargs))!r} is an invalid keyword argument for this function"
        )
    if indexing not in ("xy", "ij"):
        raise ValueError(
            f"Argument `indexing` parameter must be either 'xy' or 'ij', got {indexing!r}"
        )
    vectors = [reshape(convert(value), (-1,)) for value in args]
    places = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        places[:2] = 1, 0
    sizes = [0] * len(vectors)
    for vector, place in zip(vectors, places, strict=True):
        sizes[place] = size(vector) if vector.shape[0] is None else vector.shape[0]
    return [
        broadcast_to(reshape(v, tuple(-1 if i == p else 1 for i in range(len(vectors)))), sizes)
        for v, p in zip(vectors, places, strict=True)
    ]


def range_of_rank(a):
    """The axes of a tensor whose rank only the graph knows, last first."""
    shape = apply(Shape, (a,), {"out_type": int32})
    rank = apply(Shape, (shape,), {"out_type": int32})
    return apply(Range, [rank[0] - 1, convert(-1), convert(-1)])
