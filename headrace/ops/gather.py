"""Gathers, and the scatters that are their gradients."""

from __future__ import annotations

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, NUMERIC, int32, int64
from headrace.base.export import export
from headrace.base.shapes import compatible
from headrace.core.convert import convert, hooks, static
from headrace.core.dispatch import apply
from headrace.core.indexed_slices import IndexedSlices
from headrace.core.op import Kind, Op, Spec
from headrace.ops.reshape import reshape
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, dims_of, rank, shape_of, size

INDEX = frozenset({int32, int64})
_NO_FIT = r"\[0,1\) of indices\[shape=\[1,1\]\] must match dimensions \[0,1\) of updates"
_BAD_INDEX = r"indices\[1\] = 7 is not in \[0, 3\)"


def _outside(indices, size):
    """Refuse an index outside [0, size)."""
    bad = (indices < 0) | (indices >= size)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        label = ",".join(map(str, first))
        where = f"indices[{label}]" if first else "indices"
        raise errors.invalid_argument(f"{where} = {indices[first]} is not in [0, {size})")


class GatherV2(Op):
    """Slices of a tensor at given positions along an axis."""

    kind = Kind.MOVEMENT
    inputs = ("params", "indices", "axis")
    static = ("axis",)
    attrs = {"batch_dims": 0}
    dtypes = ALL
    types = {"indices": ("Tindices", INDEX)}
    keep = ("indices",)
    samples = (
        S((3, 4), (2,), dtype=(None, "int32"), low=(-2, 0), high=(2, 3), axis=0),
        S((3, 4), (2, 2), dtype=(None, "int64"), low=(-2, 0), high=(2, 4), axis=1),
        S(
            (2, 3, 4),
            (2, 5),
            dtype=(None, "int32"),
            low=(-2, 0),
            high=(2, 3),
            axis=1,
            batch_dims=1,
        ),
        S((3,), (), dtype=(None, "int32"), low=(-2, 0), high=(2, 3), axis=0),
        S((3, 2), (0,), dtype=(None, "int32"), axis=0),
        Bad(
            values=([1.0, 2.0, 3.0], [0, 7]),
            dtype=("float32", "int32"),
            axis=0,
            match=_BAD_INDEX,
        ),
        Bad((3,), (2,), dtype=(None, "int32"), axis=1, match="at least rank 2 but is rank 1"),
    )

    def infer(params, indices, axis, batch_dims=0):
        if params.shape is None or indices.shape is None or axis is None:
            return Spec(None, params.dtype)
        axis = _checked(axis, params.shape, batch_dims)
        middle = indices.shape[batch_dims:]
        return Spec((*params.shape[:axis], *middle, *params.shape[axis + 1 :]), params.dtype)

    def kernel(params, indices, axis, batch_dims=0):
        axis = _checked(axis, params.shape, batch_dims)
        for k, (m, n) in enumerate(zip(params.shape[:batch_dims], indices.shape, strict=False)):
            if m != n:
                raise errors.invalid_argument(
                    f"params.shape[{k}]: {m} should be equal to indices.shape[{k}]: {n}"
                )
        _outside(indices, params.shape[axis])
        if not batch_dims:
            return params.take(indices, axis)
        return _batched(params, indices, axis, batch_dims)

    grad = (
        lambda dy, y, params, indices, axis, batch_dims=0: _gather_grad(
            dy, params, indices, axis, batch_dims
        ),
        None,
    )

    def lower(c, params, indices, axis, batch_dims=0):
        axis = _checked(axis, params.shape, batch_dims)
        size = params.shape[axis]
        middle = indices.shape[batch_dims:]
        shape = (*params.shape[:axis], *middle, *params.shape[axis + 1 :])
        holes = ",".join("{}" for _ in indices.shape)
        text = (
            f"indices[{holes}]" if indices.shape else "indices"
        ) + f" = {{}} is not in [0, {size})"

        def element(*i):
            at = i[:batch_dims] + i[axis : axis + len(middle)]
            k = c.cast(indices[at], int64)
            c.check((k >= 0) & (k < size), text, *at, k)
            return params[i[:axis] + (k,) + i[axis + len(middle) :]]

        return c.map(shape, params.dtype, element)

    def oracle(params, indices, axis, batch_dims=0):
        if batch_dims:
            rows = [
                GatherV2.oracle(p, i, axis - 1, batch_dims - 1)
                for p, i in zip(params, indices, strict=True)
            ]
            return np.array(rows)
        parts = [np.take(params, k, axis) for k in indices.reshape(-1)]
        rest = params.shape[:axis] + params.shape[axis + 1 :]
        flat = np.array(parts, dtype=params.dtype).reshape((len(parts), *rest))
        flat = flat.reshape((*indices.shape, *rest))
        return np.moveaxis(flat, range(indices.ndim), range(axis, axis + indices.ndim))


def _checked(axis, shape, batch_dims):
    rank = len(shape)
    if not rank:
        raise errors.invalid_argument("params must be at least 1 dimensional")
    if axis >= rank:
        raise errors.invalid_argument(
            f"Shape must be at least rank {axis + 1} but is rank {rank}"
        )
    if axis < -rank:
        raise errors.invalid_argument(
            f"Expected axis in the range [{-rank}, {rank}), but got {axis}"
        )
    axis %= rank
    if batch_dims > axis:
        raise errors.invalid_argument(
            f"batch_dims ({batch_dims}) must be less than or equal to axis ({axis})."
        )
    return axis


def _batched(params, indices, axis, batch):
    """A gather whose first `batch` dimensions go together."""
    count = int(np.prod(params.shape[:batch]))
    rows = params.reshape((count, *params.shape[batch:]))
    places = indices.reshape((count, *indices.shape[batch:]))
    parts = [row.take(place, axis - batch) for row, place in zip(rows, places, strict=True)]
    shape = (*params.shape[:axis], *indices.shape[batch:], *params.shape[axis + 1 :])
    return np.stack(parts).reshape(shape) if parts else np.zeros(shape, params.dtype)


def _gather_grad(dy, params, indices, axis, batch_dims):
    dims = dims_of(params)
    if axis.__class__ is int and axis < 0:
        axis = axis + (rank(params) if params.ndim is None else params.ndim)
    if axis.__class__ is int and axis == 0 and not batch_dims:
        return _rows_of(dy, dims, indices)
    return apply(
        GatherGrad, (dy, indices), {"shape": dims, "axis": axis, "batch_dims": batch_dims}
    )


def _rows_of(dy, dims, indices):
    """The gradient of a gather along the first axis: the rows that were read."""
    count = static(size(indices))
    if dims.__class__ is tuple:
        shape = (count, *dims[1:])
    else:
        shape = hooks.concat([reshape(count, (1,)), dims[1:]], 0)
    places = reshape(indices, (-1,))
    return IndexedSlices(reshape(dy, shape), places, convert(dims, None, int32))


class GatherGrad(Op):
    """Zeros of a shape with the slices of `dy` added at given positions along an axis."""

    kind = Kind.MOVEMENT
    inputs = ("dy", "indices", "shape", "axis")
    static = ("shape", "axis")
    attrs = {"batch_dims": 0}
    dtypes = NUMERIC
    types = {"indices": ("Tindices", INDEX)}
    keep = ("indices",)
    samples = (
        S((3, 2), (2,), dtype=(None, "int32"), low=(-2, 0), high=(2, 4), shape=(3, 4), axis=1),
        S(
            (2, 5, 4),
            (2, 5),
            dtype=(None, "int32"),
            low=(-2, 0),
            high=(2, 3),
            shape=(2, 3, 4),
            axis=1,
            batch_dims=1,
        ),
    )

    def infer(dy, indices, shape, axis, batch_dims=0):
        return Spec(shape, dy.dtype)

    def kernel(dy, indices, shape, axis, batch_dims=0):
        _outside(indices, shape[axis])
        result = np.zeros(shape, dy.dtype)
        grids = np.ix_(*(np.arange(n) for n in dy.shape))
        middle = indices.ndim - batch_dims
        inner = indices.reshape(
            indices.shape[:batch_dims]
            + (1,) * (axis - batch_dims)
            + indices.shape[batch_dims:]
            + (1,) * (dy.ndim - axis - middle)
        )
        np.add.at(result, (*grids[:axis], inner, *grids[axis + middle :]), dy)
        return result

    grad = (
        lambda dz, z, dy, indices, shape, axis, batch_dims=0: gather(
            dz, indices, axis=axis, batch_dims=batch_dims
        ),
        None,
    )

    def lower(c, dy, indices, shape, axis, batch_dims=0):
        middle = indices.rank - batch_dims
        size = shape[axis]

        def place(*i):
            k = c.cast(indices[i[:batch_dims] + i[axis : axis + middle]], int64)
            c.check((k >= 0) & (k < size), "indices = {} is not in [0, " + str(size) + ")", k)
            return i[:axis] + (k,) + i[axis + middle :], dy[i]

        return c.scatter("add", c.fill(shape, dy.dtype, 0), dy.shape, place)

    def oracle(dy, indices, shape, axis, batch_dims=0):
        result = np.zeros(shape, dy.dtype)
        middle = indices.ndim - batch_dims
        for i in np.ndindex(*dy.shape):
            k = indices[i[:batch_dims] + i[axis : axis + middle]]
            result[i[:axis] + (k,) + i[axis + middle :]] += dy[i]
        return result


@export("gather")
def gather(params, indices, validate_indices=None, axis=None, batch_dims=0, name=None):
    """Slices of a tensor at given positions along an axis.

    Args:
        params: tensor of rank 1 or more.
        indices: int32 or int64 tensor of positions, any shape.
        validate_indices: not used; positions are always checked.
        axis: int, the axis (default: `batch_dims`).
        batch_dims: int, how many leading dimensions of both go together.
        name: of the operation in a graph.
    Returns: tensor `params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis+1:]`.
    Raises: InvalidArgumentError: a position outside.
    Source: TensorFlow's `GatherV2`.

    >>> tf.gather([10, 20, 30], [2, 0]).numpy()
    array([30, 10], dtype=int32)
    """
    indices = convert(indices)
    batch = static(batch_dims)
    batch = batch + indices.shape.rank if batch < 0 else batch
    axis = static(batch_dims if axis is None else axis)
    return apply(GatherV2, (params, indices), {"axis": axis, "batch_dims": batch}, name=name)


class GatherNd(Op):
    """Slices of a tensor at positions in its first dimensions."""

    kind = Kind.MOVEMENT
    inputs = ("params", "indices")
    dtypes = ALL
    types = {"indices": ("Tindices", INDEX)}
    keep = ("indices",)
    samples = (
        S((3, 4), (2, 2), dtype=(None, "int32"), low=(-2, 0), high=(2, 3)),
        S((3, 4), (2, 1), dtype=(None, "int64"), low=(-2, 0), high=(2, 3)),
        S((3, 4), (2, 0), dtype=(None, "int32")),
        Bad(
            values=([[1.0], [2.0]], [[0, 5]]),
            dtype=("float32", "int32"),
            match=r"indices\[0\] = \[0, 5\] does not index into param shape \[2,1\]",
        ),
        Bad(
            (3,),
            (2, 2),
            dtype=(None, "int32"),
            match="index innermost dimension length must be",
        ),
    )

    def infer(params, indices):
        if params.shape is None or indices.shape is None or indices.shape[-1] is None:
            return Spec(None, params.dtype)
        depth = indices.shape[-1]
        if depth > len(params.shape):
            raise errors.invalid_argument(
                f"index innermost dimension length must be <= params rank; saw: {depth} vs. "
                f"{len(params.shape)}"
            )
        return Spec((*indices.shape[:-1], *params.shape[depth:]), params.dtype)

    def kernel(params, indices):
        depth = indices.shape[-1]
        if depth > params.ndim:
            raise ValueError
        outside_nd(indices, params.shape, "param ")
        if not depth:
            return np.broadcast_to(params, (*indices.shape[:-1], *params.shape)).copy()
        return params[tuple(np.moveaxis(indices, -1, 0))]

    grad = (
        lambda dy, y, params, indices: scatter_nd(indices, dy, shape_of(params)),
        None,
    )

    def lower(c, params, indices):
        depth, outer = indices.shape[-1], indices.rank - 1
        shape = (*indices.shape[:-1], *params.shape[depth:])

        def element(*i):
            at = [c.cast(indices[(*i[:outer], d)], int64) for d in range(depth)]
            check_nd(c, at, i[:outer], params.shape, "param ")
            return params[(*at, *i[outer:])]

        return c.map(shape, params.dtype, element)

    def oracle(params, indices):
        depth = indices.shape[-1]
        result = np.empty((*indices.shape[:-1], *params.shape[depth:]), params.dtype)
        for index in np.ndindex(*indices.shape[:-1]):
            result[index] = params[tuple(indices[index])]
        return result


def check_nd(c, at, outer, shape, what):
    holes = ",".join("{}" for _ in outer)
    inner = ", ".join("{}" for _ in at)
    text = f"indices[{holes}] = [{inner}] does not index into {what}shape {brackets(shape)}"
    for k, n in zip(at, shape, strict=False):
        c.check((k >= 0) & (k < n), text, *outer, *at)


def outside_nd(indices, shape, what=""):
    depth = indices.shape[-1]
    bad = ((indices < 0) | (indices >= np.array(shape[:depth], np.int64))).any(axis=-1)
    if bad.any():
        first = tuple(np.argwhere(bad)[0])
        label = ",".join(map(str, first))
        position = ", ".join(map(str, indices[first]))
        raise errors.invalid_argument(
            f"indices[{label}] = [{position}] does not index into {what}shape {brackets(shape)}"
        )


@export("gather_nd")
def gather_nd(params, indices, batch_dims=0, name=None, bad_indices_policy=""):
    """Slices of a tensor at positions in its first dimensions.

    Args:
        params: tensor, or variable.
        indices: int32 or int64 tensor `[..., k]`: positions in the first k dimensions.
        batch_dims: must be 0 here.
        name: of the operation in a graph.
        bad_indices_policy: "" or "ERROR": a position outside is an error.
    Returns: tensor `indices.shape[:-1] + params.shape[k:]`.
    Raises: InvalidArgumentError: a position outside.
    Source: TensorFlow's `GatherNd`.

    >>> tf.gather_nd([[1, 2], [3, 4]], [[0, 1], [1, 0]]).numpy()
    array([2, 3], dtype=int32)
    """
    if static(batch_dims) != 0:
        raise errors.unimplemented("tf.gather_nd with batch_dims is not supported")
    if bad_indices_policy not in ("", "ERROR", "DEFAULT"):
        raise errors.unimplemented(
            f"bad_indices_policy {bad_indices_policy!r} is not supported"
        )
    return apply(GatherNd, (params, indices), name=name)


class ScatterNd(Op):
    """Zeros of a shape with `updates` added at positions in the first dimensions."""

    kind = Kind.MOVEMENT
    inputs = ("indices", "updates", "shape")
    static = ("shape",)
    dtypes = NUMERIC
    types = {"indices": ("Tindices", INDEX)}
    keep = ("indices",)
    samples = (
        S((2, 1), (2, 4), dtype=("int32", None), low=(0, -2), high=(3, 2), shape=(3, 4)),
        S((2, 2), (2,), dtype=("int32", None), low=(0, -2), high=(3, 2), shape=(3, 4)),
        Bad(
            values=([[5]], [1.0]),
            dtype=("int32", "float32"),
            shape=(3,),
            match=r"indices\[0\] = \[5\] does not index into shape \[3\]",
        ),
        Bad((1, 1), (2,), dtype=("int32", None), shape=(3,), match=_NO_FIT),
    )

    def infer(indices, updates, shape):
        if None not in (indices.shape, updates.shape, shape):
            _check_parts(indices.shape, updates.shape, shape)
        return Spec(shape, updates.dtype)

    def kernel(indices, updates, shape):
        depth = indices.shape[-1]
        if updates.shape != (*indices.shape[:-1], *shape[depth:]) or depth > len(shape):
            raise ValueError
        if 0 in shape and indices.size:
            raise errors.invalid_argument(
                "Indices and updates specified for empty output.  indices shape: "
                f"{brackets(indices.shape)}"
            )
        outside_nd(indices, shape)
        if not depth:
            axes = tuple(range(indices.ndim - 1))
            return np.asarray(np.add.reduce(updates, axis=axes, dtype=updates.dtype))
        result = np.zeros(shape, updates.dtype)
        np.add.at(result, tuple(np.moveaxis(indices, -1, 0)), updates)
        return result

    grad = (
        None,
        lambda dy, y, indices, updates, shape: gather_nd(dy, indices),
    )

    def lower(c, indices, updates, shape):
        depth, outer = indices.shape[-1], indices.rank - 1

        def place(*i):
            at = [c.cast(indices[(*i[:outer], d)], int64) for d in range(depth)]
            check_nd(c, at, i[:outer], shape, "")
            return (*at, *i[outer:]), updates[i]

        return c.scatter("add", c.fill(shape, updates.dtype, 0), updates.shape, place)

    def oracle(indices, updates, shape):
        result = np.zeros(shape, updates.dtype)
        for index in np.ndindex(*indices.shape[:-1]):
            result[tuple(indices[index])] += updates[index]
        return result


def _check_parts(indices, updates, shape):
    """Refuse shapes of indices and updates that do not fit a result's."""
    outer, depth = len(indices) - 1, indices[-1]
    for name, given, first, last, end in (
        ("indices", indices, 0, outer, outer),
        ("input", shape, depth, len(shape), len(updates)),
    ):
        begin = 0 if name == "indices" else outer
        if depth is None and name == "input":
            continue
        if last < first or not compatible(given[first:last], updates[begin:end]):
            raise errors.invalid_argument(
                f"Dimensions [{first},{last}) of {name}[shape={brackets(given)}] must match "
                f"dimensions [{begin},{end}) of updates[shape={brackets(updates)}]"
            )


@export("scatter_nd")
def scatter_nd(indices, updates, shape, name=None):
    """Zeros of a shape with `updates` added at positions in the first dimensions.

    Args:
        indices: int32 or int64 tensor `[..., k]`.
        updates: number tensor `indices.shape[:-1] + shape[k:]`.
        shape: integer vector, the result's shape.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: a position outside, or shapes that do not fit.
    Source: TensorFlow's `ScatterNd`.

    >>> tf.scatter_nd([[1], [3]], [9., 10.], [5]).numpy()
    array([ 0.,  9.,  0., 10.,  0.], dtype=float32)
    """
    return apply(ScatterNd, (indices, updates), {"shape": static(shape)}, name=name)
