"""Slicing: `t[1:, ..., None]`, `tf.slice`, `tf.strided_slice`, and assignment to slices.

An index expression becomes TensorFlow's form: begin, end and strides, with bit masks for what
is left out, for `...`, for new axes and for axes that one index removes.
"""

from __future__ import annotations

import functools
import math
from types import EllipsisType

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, int16, int32, int64
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.export import export
from headrace.core.context import modes
from headrace.core.convert import convert, hooks, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import EagerTensor, Tensor, wrap
from headrace.core.variable import Variable
from headrace.ops.cast import cast
from headrace.ops.compare import where
from headrace.ops.gather import gather
from headrace.ops.reshape import reshape
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, dims_of, shape_of

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
_INDEX = frozenset({int16, int32, int64})
_NO_MASKS = dict.fromkeys(_MASKS, 0)
_TEXT = (
    "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
    "tf.int32/tf.int64 tensors are valid indices, got {!r}"
)


def key_of(begin, end, strides, **masks):
    """TensorFlow's form as a NumPy index."""
    masks = {**_NO_MASKS, **masks}
    key = []
    for i, (b, e, s) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << i
        if masks["ellipsis_mask"] & bit:
            key.append(Ellipsis)
        elif masks["new_axis_mask"] & bit:
            key.append(None)
        elif masks["shrink_axis_mask"] & bit:
            key.append(b)
        else:
            if s == 0:
                raise errors.invalid_argument(f"strides[{i}] must be non-zero")
            start = None if masks["begin_mask"] & bit else b
            stop = None if masks["end_mask"] & bit else e
            key.append(slice(start, stop, s))
    return tuple(key)


def _plan(shape, key):
    """For each axis of the result `(input axis or None, begin, stride, size)`, and the points.

    Raises:
        InvalidArgumentError: an index outside, or more indices than axes.
    """
    rank = len(shape)
    used = sum(1 for k in key if k is not None and k is not Ellipsis)
    if key.count(Ellipsis) > 1:
        raise errors.invalid_argument("Multiple ellipses in slice spec not allowed")
    if used and not rank:
        raise errors.invalid_argument("Attempting to slice scalar input.")
    if used > rank:
        raise errors.invalid_argument(
            f"Index out of range using input dim {rank}; input has only {rank} dims"
        )
    full = []
    for k in key:
        full.extend([slice(None)] * (rank - used) if k is Ellipsis else [k])
    if Ellipsis not in key:
        full.extend([slice(None)] * (rank - used))
    axes, points, axis = [], {}, 0
    for k in full:
        if k is None:
            axes.append((None, 0, 1, 1))
            continue
        n = shape[axis]
        if isinstance(k, slice):
            if n is None or any(p is not None and p.__class__ is not int for p in _parts(k)):
                axes.append((axis, 0, 1, None))
            else:
                begin, end, stride = k.indices(n)
                axes.append((axis, begin, stride, len(range(begin, end, stride))))
        else:
            if n is not None and k is not None and not -n <= k < n:
                shown = k + n if k < 0 else k
                raise errors.invalid_argument(
                    f"slice index {shown} of dimension {axis} out of bounds."
                )
            points[axis] = k + n if k < 0 and n is not None else k
        axis += 1
    return axes, points


def _native_plan(c, shape, begin, end, strides, masks):
    """`_plan` in compiled code, where an index may be a scalar of the program."""
    others = masks["ellipsis_mask"] | masks["new_axis_mask"]
    single = [i for i in range(len(begin)) if masks["shrink_axis_mask"] & ~others & 1 << i]
    first, last = list(begin), list(end)
    for i in single:
        if begin[i].__class__ is not int:
            first[i] = last[i] = 0
    if any(k.__class__ is not int for k in (*first, *last)):
        c.refuse("a part whose size is not known")
    axes, points = _plan(shape, key_of(first, last, strides, **masks))
    for axis, i in zip(list(points), single, strict=True):
        if begin[i].__class__ is not int:
            points[axis] = _inside(c, begin[i], axis, shape[axis])
    return axes, points


def native_part(c, shape, begin, end, strides, **masks):
    """The sizes of a part in compiled code, and where in the whole its elements are."""
    axes, points = _native_plan(c, shape, begin, end, strides, {**_NO_MASKS, **masks})

    def place(*i):
        at = dict(points)
        for k, (axis, first, stride, _) in zip(i, axes, strict=True):
            if axis is not None:
                at[axis] = first + k * stride
        return tuple(at[d] for d in range(len(shape)))

    return tuple(size for *_, size in axes), place


def _inside(c, k, axis, n):
    """A computed index, which may count from the end, as one that is inside."""
    k = c.where(k < 0, k + n, k)
    c.check((k >= 0) & (k < n), f"slice index {{}} of dimension {axis} out of bounds.", k)
    return k


def _parts(k):
    return k.start, k.stop, k.step


class StridedSlice(Op):
    """A regular part of a tensor."""

    kind = Kind.MOVEMENT
    inputs = ("input", "begin", "end", "strides")
    static = ("begin", "end", "strides")
    attrs = _NO_MASKS
    computed = ("begin", "end")
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, begin=(1,), end=(3,), strides=(1,)),
        S(3, 4, begin=(0, 3), end=(0, 0), strides=(1, -2), begin_mask=1, end_mask=1),
        S(3, 4, begin=(-1,), end=(0,), strides=(1,), shrink_axis_mask=1),
        S(
            3,
            4,
            begin=(0, 0, 2),
            end=(0, 0, 0),
            strides=(1, 1, 1),
            ellipsis_mask=1,
            new_axis_mask=2,
            shrink_axis_mask=4,
        ),
        S(4, begin=(3,), end=(1,), strides=(1,)),
        Bad(
            3,
            begin=(5,),
            end=(6,),
            strides=(1,),
            shrink_axis_mask=1,
            match="slice index 5 of dimension 0 out of bounds",
        ),
        Bad(
            3,
            begin=(0, 0),
            end=(1, 1),
            strides=(1, 1),
            match="Index out of range using input dim 1",
        ),
        Bad(3, begin=(0,), end=(1,), strides=(0,), match=r"strides\[0\] must be non-zero"),
    )

    def infer(input, begin, end, strides, **masks):
        if input.shape is None or begin is None or end is None or strides is None:
            return Spec(None, input.dtype)
        key = key_of(begin, end, strides, **masks)
        if None in (*input.shape, *begin, *end, *strides):
            return Spec(_open_shape(input.shape, key, masks), input.dtype)
        axes, _ = _plan(input.shape, key)
        return Spec(tuple(size for *_, size in axes), input.dtype)

    def kernel(input, begin, end, strides, **masks):
        key = key_of(begin, end, strides, **masks)
        _plan(input.shape, key)
        return input[key]

    def grad(dy, y, input, begin, end, strides, **masks):
        attrs = {
            "shape": shape_of(input),
            "begin": begin,
            "end": end,
            "strides": strides,
            **masks,
        }
        return apply(StridedSliceGrad, (dy,), attrs)

    def lower(c, input, begin, end, strides, **masks):
        sizes, place = native_part(c, input.shape, begin, end, strides, **masks)
        return c.map(sizes, input.dtype, lambda *i: input[place(*i)])

    def oracle(input, begin, end, strides, **masks):
        axes, points = _plan(input.shape, key_of(begin, end, strides, **masks))
        result = np.empty([size for *_, size in axes], dtype=input.dtype)
        for index in np.ndindex(*result.shape):
            at = dict(points)
            for k, (axis, first, stride, _) in zip(index, axes, strict=True):
                if axis is not None:
                    at[axis] = first + k * stride
            result[index] = input[tuple(at[d] for d in range(input.ndim))]
        return result


def _open_shape(shape, key, masks):
    """The shape of a slice as far as it is known: of sizes and bounds some are None."""
    masks = {**_NO_MASKS, **masks}
    result, axis = [], 0
    used = sum(
        1
        for i in range(len(key))
        if not (masks["ellipsis_mask"] | masks["new_axis_mask"]) >> i & 1
    )
    for i, k in enumerate(key):
        if masks["ellipsis_mask"] >> i & 1:
            kept = len(shape) - used
            result += shape[axis : axis + kept]
            axis += kept
        elif masks["new_axis_mask"] >> i & 1:
            result.append(1)
        else:
            if axis >= len(shape):
                raise errors.invalid_argument(
                    f"Index out of range using input dim {axis}; input has only "
                    f"{len(shape)} dims"
                )
            if not masks["shrink_axis_mask"] >> i & 1:
                result.append(_open_size(shape[axis], k, i, masks))
            axis += 1
    return (*result, *shape[axis:])


def _open_size(size, part, position, masks):
    """How many elements a part of an axis has, or None."""
    given = [
        (part.start, masks["begin_mask"] >> position & 1),
        (part.stop, masks["end_mask"] >> position & 1),
    ]
    if part.step is None or any(bound is None and not left for bound, left in given):
        return None
    if size is None:
        whole = given[0][1] and given[1][1] and abs(part.step) == 1
        return None if not whole else size
    return len(range(*slice(part.start, part.stop, part.step).indices(size)))


def _put_back(c, dy, shape, begin):
    """Zeros with `dy` from `begin` on, where numbers may be scalars of the program."""
    first = [_clamped(c, k, n) for k, n in zip(begin, shape, strict=False)]
    begin = (*first, *[0] * (len(shape) - len(first)))

    def element(*i):
        at = [k - b for k, b in zip(i, begin, strict=True)]
        inside = c.all((k >= 0) & (k < n) for k, n in zip(at, dy.shape, strict=True))
        return c.where(inside, lambda: dy[tuple(at)], lambda: c.const(0, dy.dtype))

    return c.map(shape, dy.dtype, element)


def _clamped(c, k, n):
    """Where a part begins, which may be counted from the end."""
    if k.__class__ is int:
        return min(max(k + n if k < 0 else k, 0), n)
    return c.minimum(c.maximum(c.where(k < 0, k + n, k), 0), n)


class StridedSliceGrad(Op):
    """Zeros of a shape with `dy` at the places that a slice reads."""

    kind = Kind.MOVEMENT
    inputs = ("shape", "begin", "end", "strides", "dy")
    static = ("shape", "begin", "end", "strides")
    attrs = _NO_MASKS
    computed = ("begin", "end")
    dtypes = ALL
    keep = ()
    samples = (
        S(2, 4, shape=(3, 4), begin=(1,), end=(3,), strides=(1,)),
        S(
            3,
            2,
            shape=(3, 4),
            begin=(0, 3),
            end=(0, 0),
            strides=(1, -2),
            begin_mask=1,
            end_mask=1,
        ),
        S(4, shape=(3, 4), begin=(-1,), end=(0,), strides=(1,), shrink_axis_mask=1),
    )

    def infer(dy, shape, begin, end, strides, **masks):
        return Spec(shape, dy.dtype)

    def kernel(dy, shape, begin, end, strides, **masks):
        result = np.zeros(shape, dy.dtype)
        result[key_of(begin, end, strides, **masks)] = dy
        return result

    def grad(dz, z, dy, shape, begin, end, strides, **masks):
        attrs = {"begin": begin, "end": end, "strides": strides, **masks}
        return apply(StridedSlice, (dz,), attrs)

    def lower(c, dy, shape, begin, end, strides, **masks):
        computed = any(k.__class__ is not int for k in (*begin, *end))
        if computed and set(strides) == {1} and not any({**_NO_MASKS, **masks}.values()):
            return _put_back(c, dy, shape, begin)
        axes, points = _native_plan(c, shape, begin, end, strides, masks)

        def element(*i):
            inside = c.const(True, bool_dtype)
            for axis, k in points.items():
                inside = inside & (i[axis] == k)
            at = []
            for axis, first, stride, size in axes:
                if axis is None:
                    at.append(0)
                    continue
                steps = (i[axis] - first) // stride
                exact = steps * stride + first == i[axis]
                inside = inside & exact & (steps >= 0) & (steps < size)
                at.append(steps)
            return c.where(inside, lambda: dy[tuple(at)], lambda: c.const(0, dy.dtype))

        return c.map(shape, dy.dtype, element)

    def oracle(dy, shape, begin, end, strides, **masks):
        numbers = np.arange(int(np.prod(shape))).reshape(shape)
        key = {"begin": begin, "end": end, "strides": strides, **masks}
        places = StridedSlice.oracle(numbers, **key)
        result = np.zeros(int(np.prod(shape)), dy.dtype)
        for index in np.ndindex(*dy.shape):
            result[places[index]] = dy[index]
        return result.reshape(shape)


def _item(k):
    """One part of an index as Python has it: int, slice, None or Ellipsis."""
    if k is None or k is Ellipsis:
        return k
    if isinstance(k, slice):
        return slice(*(p if p is None else _position(p) for p in _parts(k)))
    return _position(k)


def _position(k):
    if isinstance(k, (bool, np.bool_)):
        raise TypeError(_TEXT.format(k))
    if isinstance(k, (int, np.integer)):
        if not -(2**63) <= k < 2**63:
            raise ValueError(
                "Can't convert Python sequence with out-of-range integer to Tensor."
            )
        return int(k)
    if isinstance(k, (Tensor, Variable)) and k.dtype in _INDEX and k.shape.rank in (0, None):
        return static(k)
    if isinstance(k, np.ndarray) and not k.ndim and k.dtype.kind in "iu":
        return int(k)
    raise TypeError(_TEXT.format(k))


def _form(key):
    """An index expression in TensorFlow's form, as attributes of `StridedSlice`."""
    begin, end, strides = [], [], []
    masks = dict(_NO_MASKS)
    for i, k in enumerate(key):
        b, e, s = 0, 0, 1
        if k is Ellipsis:
            masks["ellipsis_mask"] |= 1 << i
        elif k is None:
            masks["new_axis_mask"] |= 1 << i
        elif isinstance(k, slice):
            b, e, s = k.start, k.stop, 1 if k.step is None else k.step
            if b is None:
                b, masks["begin_mask"] = 0, masks["begin_mask"] | 1 << i
            if e is None:
                e, masks["end_mask"] = 0, masks["end_mask"] | 1 << i
        else:
            b, e = k, k + 1
            masks["shrink_axis_mask"] |= 1 << i
        begin.append(b)
        end.append(e)
        strides.append(s)
    return {"begin": tuple(begin), "end": tuple(end), "strides": tuple(strides), **masks}


_SIMPLE = frozenset({int, slice, type(None), EllipsisType})


def _normalised(key):
    parts = key if key.__class__ is tuple else tuple(key) if isinstance(key, list) else (key,)
    if any(isinstance(k, bool) for k in parts):
        raise errors.invalid_argument(
            "Value for attr 'Index' of bool is not in the list of allowed values: int16, "
            "int32, int64",
            "StridedSlice",
        )
    return tuple(_item(k) for k in parts)


def _mask(key):
    """`key` as a bool array if it is a mask, else None."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or isinstance(key, (tuple, np.bool_)) or dtype != "bool":
        if isinstance(key, bool):
            raise ValueError("mask cannot be scalar.")
        return None
    mask = convert(key)
    if mask.shape.rank == 0:
        raise ValueError("mask cannot be scalar.")
    return mask


def getitem(x, key):
    """`x[key]` for a tensor."""
    if not modes and x.__class__ is EagerTensor:
        parts = key if key.__class__ is tuple else (key,)
        for k in parts:
            if k.__class__ not in _SIMPLE:
                break
        else:
            try:
                array = x._array[key]
            except (IndexError, ValueError, TypeError):
                return _general(x, key)
            if array.__class__ is not np.ndarray:
                array = np.asarray(array, x._array.dtype)
            return wrap(array)
    return _general(x, key)


def _general(x, key):
    mask = _mask(key)
    if mask is not None:
        return boolean_mask(x, mask)
    parts = _normalised(key)
    if sum(part is Ellipsis for part in parts) > 1:
        raise errors.invalid_argument(
            "Multiple ellipses in slice spec not allowed", "StridedSlice"
        )
    return apply(StridedSlice, (x,), _form(parts), "strided_slice")


_NOTHING = np.zeros(0, np.float32)


class SlicedVariable(EagerTensor):
    """What `v[1:]` gives: a tensor that can also be assigned to."""

    __slots__ = ("_variable", "_key")

    def assign(self, value, use_locking=False, name=None, read_value=True):
        """Replace this part of the variable.

        Args:
            value: what broadcasts to the part's shape.
        Returns: the variable as it is from now on.
        Raises: InvalidArgumentError: a value that does not fit; nothing is changed.
        """
        variable = self._variable
        new = convert(value, variable.dtype)._array
        try:
            new = np.broadcast_to(new, self._array.shape)
        except ValueError:
            raise errors.invalid_argument(
                f"Cannot broadcast input shape {brackets(new.shape)} into final shape "
                f"{brackets(self._array.shape)}",
                "ResourceStridedSliceAssign",
            ) from None
        new = new if new.ndim else new[()]
        self._array = _NOTHING  # lets go of the variable's buffer
        with variable._lock:
            variable._writable()[self._key] = new
        self._array = variable._array[self._key]
        return variable._unread() if read_value else None


def getitem_of_variable(variable, key):
    """`v[key]`: a tensor with a method `assign`."""
    value = getitem(variable.value(), key)
    if _mask(key) is not None:
        return value
    if not isinstance(value, EagerTensor):
        value.assign = functools.partial(state_hooks.assign_part, variable, value)
        return value
    return sliced_variable(variable, value, _normalised(key))


def sliced_variable(variable, value, key):
    """The part `value` of a variable at a NumPy index, which can be assigned to."""
    sliced = SlicedVariable.__new__(SlicedVariable)
    sliced._array, sliced._uid = value._array, value._uid
    sliced._variable, sliced._key = variable, key
    return sliced


class _Hooks:
    """What `ops/state.py` provides: assignment to a part of a variable in a graph."""


state_hooks = _Hooks()


@export("strided_slice")
def strided_slice(
    input_,
    begin,
    end,
    strides=None,
    begin_mask=0,
    end_mask=0,
    ellipsis_mask=0,
    new_axis_mask=0,
    shrink_axis_mask=0,
    var=None,
    name=None,
):
    """A regular part of a tensor, in the form that index expressions have in graphs.

    Args:
        input_: tensor of any dtype.
        begin, end, strides: integer vectors of one length; strides are 1 by default.
        begin_mask, end_mask: bit i: `begin[i]`, `end[i]` is left out.
        ellipsis_mask: bit i: position i stands for all axes that are not named.
        new_axis_mask: bit i: position i is a new axis of size 1.
        shrink_axis_mask: bit i: `begin[i]` is one index, whose axis goes.
        var: the variable that the part belongs to; its result can then be assigned to.
        name: of the operation in a graph.
    Source: TensorFlow's `StridedSlice`.

    >>> tf.strided_slice([1, 2, 3, 4], [0], [4], [2]).numpy()
    array([1, 3], dtype=int32)
    """
    begin, end = static(begin), static(end)
    strides = (1,) * len(begin) if strides is None else static(strides)
    given = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    masks = dict(zip(_MASKS, given, strict=True))
    if var is not None:
        return getitem_of_variable(var, key_of(begin, end, strides, **masks))
    return apply(
        StridedSlice,
        (input_,),
        {"begin": begin, "end": end, "strides": strides, **masks},
        name=name,
    )


@export("slice")
def slice_(input_, begin, size, name=None):
    """The part of a tensor that starts at `begin` and has shape `size`.

    Args:
        input_: tensor of any dtype.
        begin: integer vector, one entry an axis.
        size: integer vector; -1 is all that is left.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: the part does not lie inside.
    Source: TensorFlow's `Slice`.

    >>> tf.slice([1, 2, 3, 4], begin=[1], size=[2]).numpy()
    array([2, 3], dtype=int32)
    """
    return apply(Slice, (input_,), {"begin": static(begin), "size": static(size)}, name=name)


class Slice(Op):
    """The part of a tensor that starts at `begin` and has shape `size`."""

    kind = Kind.MOVEMENT
    inputs = ("input", "begin", "size")
    static = ("begin", "size")
    computed = ("begin",)
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, begin=(1, 0), size=(2, 3)),
        S(3, 4, begin=(1, 2), size=(-1, -1)),
        S(begin=(), size=()),
        S(0, begin=(0,), size=(0,)),
        Bad(3, begin=(2,), size=(2,), match=r"Expected size\[0\] in \[0, 1\], but got 2"),
        Bad(3, begin=(4,), size=(-1,), match=r"Expected begin\[0\] in \[0, 3\], but got 4"),
    )

    def infer(input, begin, size):
        if input.shape is None or begin is None or size is None:
            return Spec(None if size is None else (None,) * len(size), input.dtype)
        return Spec(_extent(input.shape, begin, size), input.dtype)

    def kernel(input, begin, size):
        sizes = _extent(input.shape, begin, size)
        return input[tuple(slice(b, b + n) for b, n in zip(begin, sizes, strict=True))]

    def grad(dy, y, input, begin, size):
        shape = shape_of(input)
        if begin.__class__ is tuple:
            sizes = dims_of(dy)
            end = tuple(b + sizes[i] for i, b in enumerate(begin))
            strides = (1,) * len(begin)
        else:
            end, strides = begin + cast(shape_of(dy), begin.dtype), hooks.ones_like(begin)
        attrs = {"shape": shape, "begin": begin, "end": end, "strides": strides}
        return apply(StridedSliceGrad, (dy,), attrs)

    def lower(c, input, begin, size):
        first = tuple(b if b.__class__ is int else None for b in begin)
        sizes = _extent(input.shape, first, size)
        if None in sizes:
            c.refuse("a part whose size is not known")
        for axis, (b, n, count) in enumerate(zip(begin, input.shape, sizes, strict=True)):
            if b.__class__ is not int:
                text = f"Expected begin[{axis}] in [0, {n}], but got {{}}"
                c.check((b >= 0) & (b <= n), text, b)
                text = f"Expected size[{axis}] in [0, {{}}], but got {count}"
                c.check(b <= n - count, text, n - b)
        return c.map(
            sizes,
            input.dtype,
            lambda *i: input[tuple(k + b for k, b in zip(i, begin, strict=True))],
        )

    def oracle(input, begin, size):
        for axis, (b, n) in enumerate(zip(begin, size, strict=True)):
            stop = input.shape[axis] if n == -1 else b + n
            input = np.take(input, range(b, stop), axis)
        return input


def _extent(shape, begin, size):
    if len(begin) != len(shape) or len(size) != len(shape):
        raise errors.invalid_argument(
            "Expected begin and size arguments to be 1-D tensors of size "
            f"{len(shape)}, but got shapes [{len(begin)}] and [{len(size)}] instead."
        )
    sizes = []
    for i, (n, b, count) in enumerate(zip(shape, begin, size, strict=True)):
        if None in (n, b, count):
            sizes.append(count if count != -1 else None)
            continue
        if not 0 <= b <= n:
            raise errors.invalid_argument(f"Expected begin[{i}] in [0, {n}], but got {b}")
        count = n - b if count == -1 else count
        if not 0 <= count <= n - b:
            raise errors.invalid_argument(
                f"Expected size[{i}] in [0, {n - b}], but got {count}"
            )
        sizes.append(count)
    return tuple(sizes)


@export("boolean_mask")
def boolean_mask(tensor, mask, axis=None, name="boolean_mask"):
    """The elements (or slices) of a tensor where a mask is true.

    Args:
        tensor: tensor of any dtype.
        mask: bool tensor of rank 1 or more; its shape is that of the masked axes.
        axis: int, the first masked axis (default 0).
        name: of the operation in a graph.
    Raises: ValueError: a scalar mask, or shapes that do not fit.

    >>> tf.boolean_mask([1, 2, 3], [True, False, True]).numpy()
    array([1, 3], dtype=int32)
    """
    tensor, mask = convert(tensor), convert(mask)
    first, rank = 0 if axis is None else static(axis), mask.shape.rank
    if rank == 0:
        raise ValueError("mask cannot be scalar.")
    if rank is None:
        raise ValueError(
            "Number of mask dimensions must be specified, even if some dimensions are None.  "
            "E.g. shape=[None] is ok, but shape=None is not."
        )
    if first < 0 and tensor.shape.rank is not None:
        first += tensor.shape.rank
    masked = tensor.shape[first : first + rank]
    if not masked.is_compatible_with(mask.shape):
        raise ValueError(f"Shapes {masked} and {mask.shape} are incompatible")
    dims = dims_of(tensor)
    if dims.__class__ is tuple:
        count = math.prod(dims[first : first + rank])
        shape = (*dims[:first], count, *dims[first + rank :])
    else:
        count = hooks.reduce_prod(dims[first : first + rank], keepdims=True)
        shape = hooks.concat([dims[:first], count, dims[first + rank :]], 0)
    chosen = reshape(where(reshape(mask, (-1,))), (-1,))
    return gather(reshape(tensor, shape), chosen, axis=first)
