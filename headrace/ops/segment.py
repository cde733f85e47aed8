"""Segments: slices that have the same number are combined into one.

The unsorted ones take any numbers and say how many segments there are; the others take sorted
numbers and see it from the last. Both kinds come from one maker each.
"""

from __future__ import annotations

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import NUMERIC, REALS, as_dtype, int32, int64
from headrace.base.export import export
from headrace.core.convert import convert, hooks, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import cast, conj
from headrace.ops.compare import equal, greater, greater_equal, where
from headrace.ops.create import ones, ones_like
from headrace.ops.elementwise import maximum
from headrace.ops.gather import INDEX, gather
from headrace.ops.reshape import reshape
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, dims_of, rank, shape_of
from headrace.ops.transcendental import sqrt

_UFUNCS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _neutral(combine, dtype):
    """What a segment without slices is: the value that changes no other."""
    if combine in ("add", "mul"):
        return int(combine == "mul")
    dtype = as_dtype(dtype)
    return dtype.min if combine == "max" else dtype.max


# Gradients


def rows_of(values, ids):
    """The row of `values` for each segment number; zeros for numbers below 0."""
    kept = cast(greater_equal(ids, 0), values.dtype)
    rows = gather(values, maximum(ids, 0))
    if rows.ndim is None:
        extra = hooks.ones(reshape(rank(rows) - rank(ids), (1,)), int32)
        shape = hooks.concat([convert(shape_of(ids), None, int32), extra], 0)
        return rows * reshape(kept, shape)
    return rows * reshape(kept, (*dims_of(ids), *(1,) * (rows.ndim - ids.ndim)))


def _shared(again, dy, y, data, ids):
    """The gradient of an extreme value, shared by all elements that have it.

    Args:
        again: function `(combine, values)` that combines other values in the same segments.
    """
    chosen = cast(equal(data, rows_of(y, ids)), data.dtype)
    count = maximum(again("add", chosen), 1)
    return chosen * rows_of(dy / count, ids)


def _of_product(again, dy, y, data, ids):
    """Each element's gradient is the product of the others, also where elements are 0."""
    zero = equal(data, 0)
    zeros = again("add", cast(zero, data.dtype))
    alone = where(_several(zeros), cast(0, dy.dtype) * dy, dy)
    others = again("mul", where(zero, ones_like(data), data))
    safe = where(zero, ones_like(data), data)
    part = where(zero, rows_of(others, ids), rows_of(y, ids) / safe)
    return rows_of(alone, ids) * conj(part)


def _several(count):
    """Whether more than one was counted."""
    return greater(cast(count, int32), 1)


_GRADIENTS = {"max": _shared, "min": _shared, "mul": _of_product}


# Unsorted segments

_F64 = ("float64", "int32")
_SAMPLES = (
    S((4, 2), (4,), dtype=(None, "int32"), low=(-2, 0), high=(2, 1), num_segments=1),
    S((2, 3), (2, 3), dtype=_F64, low=(-2, 0), high=(2, 3), num_segments=5, grad=False),
    S(values=([1.5, -2.0, 0.5, 3.0], [0, 1, 0, -1]), dtype=_F64, num_segments=2),
    S((4, 2), (4,), dtype=("int32", "int64"), low=(-2, -1), high=(2, 3), num_segments=3),
    S(values=([1.0, 2.0], [-1, 0]), dtype=("float32", "int32"), num_segments=1),
    S((0, 2), (0,), dtype=_F64, num_segments=2, grad=False),
    Bad(
        values=([1.0], [3]),
        dtype=("float32", "int32"),
        num_segments=2,
        match=r"segment_ids\[0\] = 3 is out of range \[0, 2\)",
    ),
    Bad(
        (3, 2),
        (2,),
        dtype=(None, "int32"),
        num_segments=2,
        match=r"data.shape = \[3,2\] does not start with segment_ids.shape = \[2\]",
    ),
    Bad((2,), (2,), dtype=(None, "int32"), num_segments=-1, match="must not be negative"),
)


def _unsorted(name, combine, doc, dtypes):
    """A record `(data, segment_ids, num_segments)`."""
    ufunc = _UFUNCS[combine]

    def infer(data, segment_ids, num_segments):
        _check_count(num_segments)
        if data.shape is None or segment_ids.shape is None:
            return Spec(None, data.dtype)
        count = len(segment_ids.shape)
        known = None not in (*data.shape[:count], *segment_ids.shape)
        if known and data.shape[:count] != segment_ids.shape:
            raise errors.invalid_argument(
                f"data.shape = {brackets(data.shape)} does not start with segment_ids.shape = "
                f"{brackets(segment_ids.shape)}"
            )
        return Spec((num_segments, *data.shape[count:]), data.dtype)

    def kernel(data, segment_ids, num_segments):
        if data.shape[: segment_ids.ndim] != segment_ids.shape or num_segments < 0:
            raise ValueError
        bad = segment_ids >= num_segments
        if bad.any():
            first = tuple(np.argwhere(bad)[0])
            raise errors.invalid_argument(
                f"segment_ids[{','.join(map(str, first))}] = {segment_ids[first]} is out of "
                f"range [0, {num_segments})"
            )
        shape = (num_segments, *data.shape[segment_ids.ndim :])
        result = np.full(shape, _neutral(combine, data.dtype), data.dtype)
        kept = segment_ids >= 0
        ufunc.at(result, segment_ids[kept], data[kept])
        return result

    def gradient(dy, y, data, segment_ids, num_segments):
        def again(how, values):
            attrs = {"num_segments": num_segments}
            return apply(UNSORTED[how], (values, segment_ids), attrs)

        if combine == "add":
            return rows_of(dy, segment_ids)
        return _GRADIENTS[combine](again, dy, y, data, segment_ids)

    def lower(c, data, segment_ids, num_segments):
        count = segment_ids.rank
        holes = ",".join("{}" for _ in range(count))
        text = f"segment_ids[{holes}] = {{}} is out of range [0, {num_segments})"

        def place(*i):
            k = c.cast(segment_ids[i[:count]], int64)
            c.check(k < num_segments, text, *i[:count], k)
            return (k, *i[count:]), data[i]

        shape = (num_segments, *data.shape[count:])
        start = c.fill(shape, data.dtype, _neutral(combine, data.dtype))
        kept = lambda *i: c.cast(segment_ids[i[:count]], int64) >= 0  # noqa: E731
        return c.scatter(combine, start, data.shape, place, when=kept)

    def oracle(data, segment_ids, num_segments):
        shape = (num_segments, *data.shape[segment_ids.ndim :])
        result = np.full(shape, _neutral(combine, data.dtype), data.dtype)
        for index in np.ndindex(*segment_ids.shape):
            if segment_ids[index] >= 0:
                k = segment_ids[index]
                result[k] = ufunc(result[k], data[index])
        return result

    rules = {"infer": infer, "kernel": kernel, "lower": lower, "oracle": oracle}
    rules.update(kind=Kind.MOVEMENT, inputs=("data", "segment_ids", "num_segments"))
    rules.update(static=("num_segments",), types={"segment_ids": ("Tindices", INDEX)})
    rules.update(dtypes=dtypes, samples=_SAMPLES, grad=(gradient, None))
    rules.update(__doc__=doc, __module__=__name__)
    if combine == "add":
        rules.update(keep=("segment_ids",))
    return type(name, (Op,), rules)


def _check_count(num_segments):
    if isinstance(num_segments, tuple):
        raise errors.invalid_argument(
            f"num_segments should be a scalar, not shape {brackets(np.shape(num_segments))}"
        )
    if num_segments is not None and num_segments < 0:
        raise errors.invalid_argument(
            f"Input num_segments == {num_segments} must not be negative."
        )


UNSORTED = {
    combine: _unsorted(f"UnsortedSegment{name}", combine, doc, dtypes)
    for combine, name, doc, dtypes in (
        ("add", "Sum", "Sums of the slices that have the same segment number.", NUMERIC),
        ("mul", "Prod", "Products of the slices of one segment number.", NUMERIC),
        ("max", "Max", "The largest elements of the slices of one segment number.", REALS),
        ("min", "Min", "The smallest elements of the slices of one segment number.", REALS),
    )
}


# Sorted segments

_SORTED_SAMPLES = (
    S(values=([1.0, 2.0, 3.0, 0.5], [0, 0, 2, 2]), dtype=(None, "int32")),
    S(values=([[1.0, 2.0], [5.0, 4.0]], [1, 1]), dtype=(None, "int64")),
    S((0, 2), (0,), dtype=(None, "int32")),
    Bad((), (1,), dtype=(None, "int32"), match="input must be at least rank 1"),
    Bad((3,), (1, 2), dtype=(None, "int32"), match="segment_ids should be a vector."),
    Bad((3,), (2,), dtype=(None, "int32"), match="should be the same size as dimension 0 of"),
    Bad(
        values=([1.0, 2.0, 3.0], [0, 2, 1]),
        dtype=("float32", "int32"),
        match="segment ids are not increasing",
    ),
    Bad(
        values=([1.0, 2.0], [-1, 0]),
        dtype=("float32", "int32"),
        match=r"Segment id -1 out of range \[0, 1\), possibly because 'segment_ids' input is",
    ),
)


def _check_sorted(data, ids):
    if len(data) < 1:
        raise errors.invalid_argument("input must be at least rank 1")
    if len(ids) != 1:
        raise errors.invalid_argument("segment_ids should be a vector.")
    if None not in (data[0], ids[0]) and data[0] != ids[0]:
        raise errors.invalid_argument(
            "segment_ids should be the same size as dimension 0 of input."
        )


def _starts(ids):
    """Where each segment begins among sorted numbers."""
    if (ids[1:] < ids[:-1]).any():
        raise errors.invalid_argument("segment ids are not increasing")
    if len(ids) and ids[0] < 0:
        raise errors.invalid_argument(
            f"Segment id {ids[0]} out of range [0, {ids[-1] + 1}), possibly because "
            "'segment_ids' input is not sorted."
        )
    return np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])


def _sorted(name, combine, doc, dtypes):
    """A record `(data, segment_ids)`; `combine` is "add", "mul", "max", "min" or "mean"."""
    ufunc = _UFUNCS.get(combine, np.add)
    empty = 1 if combine == "mul" else 0

    def infer(data, segment_ids):
        if data.shape is None or segment_ids.shape is None:
            return Spec(None, data.dtype)
        _check_sorted(data.shape, segment_ids.shape)
        return Spec((None, *data.shape[1:]), data.dtype)

    def kernel(data, segment_ids):
        _check_sorted(data.shape, segment_ids.shape)
        starts = _starts(segment_ids)
        count = int(segment_ids[-1]) + 1 if len(segment_ids) else 0
        result = np.full((count, *data.shape[1:]), empty, data.dtype)
        if len(starts):
            dtype = data.dtype
            narrow = dtype.itemsize == 2 and dtype.kind not in "iu"
            wide = data.astype(np.float32) if narrow else data
            found = ufunc.reduceat(wide, starts, axis=0, dtype=wide.dtype)
            if combine == "mean":
                sizes = np.diff(np.append(starts, len(segment_ids)))
                found = _divided(found, sizes.reshape(-1, *(1,) * (data.ndim - 1)))
            result[segment_ids[starts]] = found.astype(dtype)
        return result

    def gradient(dy, y, data, segment_ids):
        def again(how, values):
            return apply(SORTED[how], (values, segment_ids))

        if combine == "add":
            return rows_of(dy, segment_ids)
        if combine == "mean":
            count = again("add", ones_like(data))
            return rows_of(dy / maximum_of_one(count), segment_ids)
        return _GRADIENTS[combine](again, dy, y, data, segment_ids)

    def oracle(data, segment_ids):
        groups = {}
        for k, row in zip(segment_ids.tolist(), data, strict=True):
            groups.setdefault(k, []).append(row)
        count = max(groups, default=-1) + 1
        result = np.full((count, *data.shape[1:]), empty, data.dtype)
        for k, rows in groups.items():
            total = rows[0]
            for row in rows[1:]:
                total = ufunc(total, row)
            result[k] = _divided(total, len(rows)) if combine == "mean" else total
        return result

    rules = {"infer": infer, "kernel": kernel, "oracle": oracle}
    rules.update(kind=Kind.MOVEMENT, inputs=("data", "segment_ids"), dtypes=dtypes)
    rules.update(types={"segment_ids": ("Tindices", INDEX)}, samples=_SORTED_SAMPLES)
    rules.update(grad=(gradient, None), __doc__=doc, __module__=__name__)
    rules.update(no_lower="the number of segments depends on the data")
    return type(name, (Op,), rules)


def _divided(total, count):
    """A mean: of integers, rounded towards zero."""
    if np.asarray(total).dtype.kind in "iu":
        return np.sign(total) * (np.abs(total) // count)
    return total / count


def maximum_of_one(count):
    """A count, at least 1, in any dtype."""
    return where(equal(count, 0), ones_like(count), count)


SORTED = {
    combine: _sorted(f"Segment{name}", combine, doc, dtypes)
    for combine, name, doc, dtypes in (
        ("add", "Sum", "Sums of the slices that have the same, sorted number.", NUMERIC),
        ("mean", "Mean", "Means of the slices that have the same, sorted number.", NUMERIC),
        ("mul", "Prod", "Products of the slices that have the same, sorted number.", NUMERIC),
        ("max", "Max", "The largest elements of slices of the same, sorted number.", REALS),
        ("min", "Min", "The smallest elements of slices of the same, sorted number.", REALS),
    )
}


# Public functions


def _public_unsorted(name, combine, what, example):
    def function(data, segment_ids, num_segments, name=None):
        attrs = {"num_segments": static(num_segments)}
        return apply(UNSORTED[combine], (data, segment_ids), attrs, name)

    function.__doc__ = f"""{what} of the slices of `data` that have the same segment number.

    Args:
        data: number tensor `ids.shape + [...]`.
        segment_ids: int32 or int64 tensor; slices with a negative number are left out.
        num_segments: int, the number of segments.
        name: of the operation in a graph.
    Returns: tensor `[num_segments, ...]`.
    Raises: InvalidArgumentError: a number that is too large, or shapes that do not fit.
    Source: TensorFlow's `{UNSORTED[combine].name}`.

    >>> tf.math.{name}([1., 2., 4.], [0, 1, 0], 2).numpy()
    {example}
    """
    function.__name__ = function.__qualname__ = name
    return export(f"math.{name}")(function)


unsorted_segment_sum = _public_unsorted(
    "unsorted_segment_sum", "add", "Sums", "array([5., 2.], dtype=float32)"
)
unsorted_segment_prod = _public_unsorted(
    "unsorted_segment_prod", "mul", "Products", "array([4., 2.], dtype=float32)"
)
unsorted_segment_max = _public_unsorted(
    "unsorted_segment_max", "max", "The largest elements", "array([4., 2.], dtype=float32)"
)
unsorted_segment_min = _public_unsorted(
    "unsorted_segment_min", "min", "The smallest elements", "array([1., 2.], dtype=float32)"
)


def _public_sorted(name, combine, what, example):
    def function(data, segment_ids, name=None):
        return apply(SORTED[combine], (data, segment_ids), name=name)

    function.__doc__ = f"""{what} of the slices of `data` that have the same segment number.

    Args:
        data: number tensor `[n, ...]`.
        segment_ids: int32 or int64 vector `[n]`, sorted, none below 0.
        name: of the operation in a graph.
    Returns: tensor with a row for each number up to the last.
    Raises: InvalidArgumentError: numbers that are not sorted, or shapes that do not fit.
    Source: TensorFlow's `{SORTED[combine].name}`.

    >>> tf.math.{name}([1., 2., 4.], [0, 0, 1]).numpy()
    {example}
    """
    function.__name__ = function.__qualname__ = name
    return export(f"math.{name}")(function)


segment_sum = _public_sorted("segment_sum", "add", "Sums", "array([3., 4.], dtype=float32)")
segment_mean = _public_sorted(
    "segment_mean", "mean", "Means", "array([1.5, 4. ], dtype=float32)"
)
segment_prod = _public_sorted(
    "segment_prod", "mul", "Products", "array([2., 4.], dtype=float32)"
)
segment_max = _public_sorted(
    "segment_max", "max", "The largest elements", "array([2., 4.], dtype=float32)"
)
segment_min = _public_sorted(
    "segment_min", "min", "The smallest elements", "array([1., 4.], dtype=float32)"
)


def _counts(data, ids, num_segments):
    """How many slices each segment has, at least 1, in a shape that broadcasts to sums."""
    found = unsorted_segment_sum(ones(shape_of(ids), data.dtype), ids, num_segments)
    found = maximum(found, 1)
    return reshape(found, (*dims_of(found), *(1,) * (data.ndim - ids.ndim)))


@export("math.unsorted_segment_mean")
def unsorted_segment_mean(data, segment_ids, num_segments, name=None):
    """Means of the slices of `data` that have the same segment number.

    Args:
        data, segment_ids, num_segments, name: as in `tf.math.unsorted_segment_sum`.
    Returns: tensor `[num_segments, ...]`; 0 for a segment without slices.

    >>> tf.math.unsorted_segment_mean([1., 2., 4.], [0, 1, 0], 2).numpy()
    array([2.5, 2. ], dtype=float32)
    """
    data, ids = convert(data), convert(segment_ids)
    total = unsorted_segment_sum(data, ids, num_segments)
    return total / _counts(data, ids, num_segments)


@export("math.unsorted_segment_sqrt_n")
def unsorted_segment_sqrt_n(data, segment_ids, num_segments, name=None):
    """Sums of the slices that have the same segment number, divided by the root of their count.

    Args:
        data, segment_ids, num_segments, name: as in `tf.math.unsorted_segment_sum`.
    Returns: tensor `[num_segments, ...]`; 0 for a segment without slices.

    >>> tf.math.unsorted_segment_sqrt_n([1., 2., 4.], [0, 1, 1], 2).numpy()
    array([1.       , 4.2426405], dtype=float32)
    """
    data, ids = convert(data), convert(segment_ids)
    total = unsorted_segment_sum(data, ids, num_segments)
    return total / sqrt(_counts(data, ids, num_segments))


def densify(slices):
    """`tf.IndexedSlices` as a tensor."""
    shape = static(slices.dense_shape)
    return unsorted_segment_sum(slices.values, slices.indices, shape[0])
