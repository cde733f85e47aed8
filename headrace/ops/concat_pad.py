"""Joining tensors, taking them apart, and padding."""

from __future__ import annotations

from itertools import chain

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, int32
from headrace.base.dtypes import bool as bool_dtype
from headrace.base.export import export
from headrace.core.convert import convert, hooks, static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import Tensor
from headrace.ops.reshape import identity, reverse
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets, dims_of, shape_of


class ConcatV2(Op):
    """Tensors one after the other along an axis."""

    label = "concat"
    kind = Kind.MOVEMENT
    inputs = ("*values", "axis")
    static = ("axis",)
    dtypes = ALL
    keep = ()
    samples = (
        S((2, 3), (1, 3), axis=0),
        S((2, 3), (2, 1), (2, 2), axis=-1),
        S((0, 3), (2, 3), axis=0),
        S((3,), axis=0),
        Bad(
            (2, 3), (2, 4), axis=0, match=r"ConcatOp : Dimension 1 in both shapes must be equal"
        ),
        Bad((2, 3), (2,), axis=0, match="ConcatOp : Ranks of all input tensors should match"),
        Bad(
            (2,),
            (2,),
            axis=1,
            match=r"ConcatOp : Expected concatenating dimensions in the range",
        ),
    )

    def infer(*values, axis):
        shapes = [v.shape for v in values]
        if any(s is None for s in shapes) or axis is None:
            return Spec(None, values[0].dtype)
        return Spec(_joined(shapes, axis), values[0].dtype)

    def kernel(*values, axis):
        return np.concatenate(values, axis)

    def grad(dy, y, *values, axis):
        return split(dy, [dims_of(v)[axis] for v in values], axis, num=len(values))

    def lower(c, *values, axis):
        axis %= values[0].rank
        shape = _joined([v.shape for v in values], axis)

        def element(*i):
            def part(number, begin):
                value = values[number]

                def read():
                    return value[i[:axis] + (i[axis] - begin,) + i[axis + 1 :]]

                if number == len(values) - 1:
                    return read
                end = begin + value.shape[axis]
                return lambda: c.where(i[axis] < end, read, part(number + 1, end))

            return part(0, 0)()

        return c.map(shape, values[0].dtype, element)

    def oracle(*values, axis):
        moved = [np.moveaxis(v, axis, 0) for v in values]
        rows = [row for v in moved for row in v]
        joined = np.empty((len(rows), *moved[0].shape[1:]), values[0].dtype)
        for place, row in enumerate(rows):
            joined[place] = row
        return np.moveaxis(joined, 0, axis)


def _joined(shapes, axis):
    first = shapes[0]
    rank = len(first)
    if any(len(s) != rank for s in shapes):
        shown = " vs. ".join(f"shape[{i}] = {brackets(s)}" for i, s in enumerate(shapes[:2]))
        raise errors.invalid_argument(
            f"ConcatOp : Ranks of all input tensors should match: {shown}"
        )
    if not -rank <= axis < rank:
        raise errors.invalid_argument(
            "ConcatOp : Expected concatenating dimensions in the range "
            f"[{-rank}, {rank}), but got {axis}"
        )
    axis %= rank
    merged = list(first)
    total = 0
    for number, s in enumerate(shapes):
        total = None if total is None or s[axis] is None else total + s[axis]
        for d in range(rank):
            if d == axis:
                continue
            if None not in (merged[d], s[d]) and merged[d] != s[d]:
                raise errors.invalid_argument(
                    f"ConcatOp : Dimension {d} in both shapes must be equal: shape[0] = "
                    f"{brackets(first)} vs. shape[{number}] = {brackets(s)}"
                )
            merged[d] = s[d] if merged[d] is None else merged[d]
    merged[axis] = total
    return tuple(merged)


@export("concat")
def concat(values, axis, name="concat"):
    """Tensors one after the other along an existing axis.

    Args:
        values: list of tensors of one dtype, equal in all dimensions but `axis`.
        axis: int, the axis.
        name: of the operation in a graph.
    Returns: tensor of the same rank.
    Raises: InvalidArgumentError: shapes that do not fit, or no such axis.
    Source: TensorFlow's `ConcatV2`.

    >>> tf.concat([[1, 2], [3]], axis=0).numpy()
    array([1, 2, 3], dtype=int32)
    """
    if not isinstance(values, (list, tuple)):
        values = [values]
    axis = static(axis)
    if len(values) == 1:
        return identity(values[0])
    return apply(ConcatV2, values, {"axis": axis}, name=name)


class Pack(Op):
    """Tensors of one shape along a new axis."""

    label = "stack"
    kind = Kind.MOVEMENT
    inputs = ("*values",)
    attrs = {"axis": 0}
    dtypes = ALL
    keep = ()
    samples = (
        S((2, 3), (2, 3)),
        S((2, 3), (2, 3), axis=-1),
        S((), (), ()),
        S((0,), (0,), axis=1),
        Bad(
            (2,),
            (3,),
            match=r"Shapes of all inputs must match: values\[0\].shape = \[2\] != "
            r"values\[1\].shape = \[3\]",
        ),
        Bad((2,), (2,), axis=2, match="not in"),
    )

    def infer(*values, axis=0):
        known = [v.shape for v in values if v.shape is not None]
        if not known:
            return Spec(None, values[0].dtype)
        merged = list(known[0])
        for number, s in enumerate(known):
            for d, n in enumerate(s):
                clash = len(s) != len(merged) or (None not in (merged[d], n) and merged[d] != n)
                if clash:
                    raise errors.invalid_argument(
                        f"Shapes of all inputs must match: values[0].shape = "
                        f"{brackets(known[0])} != values[{number}].shape = {brackets(s)}"
                    )
                merged[d] = n if merged[d] is None else merged[d]
            if len(s) != len(merged):
                raise errors.invalid_argument(
                    f"Shapes of all inputs must match: values[0].shape = {brackets(known[0])} "
                    f"!= values[{number}].shape = {brackets(s)}"
                )
        rank = len(merged)
        if not -rank - 1 <= axis <= rank:
            raise errors.invalid_argument(f"axis = {axis} not in [{-rank - 1}, {rank + 1})")
        merged.insert(axis % (rank + 1), len(values))
        return Spec(tuple(merged), values[0].dtype)

    def kernel(*values, axis=0):
        return np.stack(values, axis)

    def grad(dy, y, *values, axis=0):
        return unstack(dy, len(values), axis)

    def lower(c, *values, axis=0):
        rank = values[0].rank + 1
        axis %= rank
        shape = (*values[0].shape[:axis], len(values), *values[0].shape[axis:])

        def element(*i):
            rest = i[:axis] + i[axis + 1 :]

            def choose(number):
                if number == len(values) - 1:
                    return lambda: values[number][rest]
                return lambda: c.where(
                    i[axis] == number, lambda: values[number][rest], choose(number + 1)
                )

            return choose(0)()

        return c.map(shape, values[0].dtype, element)

    def oracle(*values, axis=0):
        return np.moveaxis(
            np.array([v.tolist() for v in values], dtype=values[0].dtype).reshape(
                (len(values), *values[0].shape)
            ),
            0,
            axis,
        )


@export("stack")
def stack(values, axis=0, name="stack"):
    """Tensors of one shape along a new axis.

    Args:
        values: list of tensors of one dtype and shape.
        axis: int, where the new axis stands.
        name: of the operation in a graph.
    Returns: tensor of one rank more.
    Raises: InvalidArgumentError: shapes that differ. ValueError: no such axis.
    Source: TensorFlow's `Pack`.

    >>> tf.stack([[1, 2], [3, 4]], axis=1).numpy()
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    axis = static(axis)
    if isinstance(values, Tensor):
        values = unstack(values)
    values = list(values)
    if not values:
        raise ValueError("Argument `values` of tf.stack must not be empty.")
    if not any(isinstance(v, Tensor) or hasattr(v, "__tf_tensor__") for v in values):
        values = _of_one_dtype(values)
    first = convert(values[0])
    rank = first.shape.rank
    if rank is not None and not -rank - 1 <= axis <= rank:
        raise ValueError(f"Argument `axis` = {axis} not in range [{-rank - 1}, {rank + 1})")
    return apply(Pack, [first, *values[1:]], {"axis": axis}, name=name)


def _of_one_dtype(values):
    """Plain values as tensors of the dtype that suits all, where there is one."""
    try:
        dtype = convert(values).dtype
    except (TypeError, ValueError):
        return values
    return [convert(value, dtype) for value in values]


class Unpack(Op):
    """The slices of a tensor along an axis, without that axis."""

    label = "unstack"
    kind = Kind.MOVEMENT
    inputs = ("value",)
    attrs = {"num": None, "axis": 0}
    dtypes = ALL
    keep = ()
    samples = (S(2, 3, num=2), S(2, 3, num=3, axis=-1), S(2, 0, num=2))

    def infer(value, num, axis=0):
        if value.shape is None:
            return tuple(Spec(None, value.dtype) for _ in range(num))
        axis = _checked_axis(axis, value.shape)
        if value.shape[axis] not in (None, num):
            raise errors.invalid_argument(
                f"Input shape axis {axis} must equal {num}, got shape {brackets(value.shape)}"
            )
        shape = value.shape[:axis] + value.shape[axis + 1 :]
        return tuple(Spec(shape, value.dtype) for _ in range(num))

    def kernel(value, num, axis=0):
        if value.shape[axis] != num:
            raise ValueError
        return tuple(np.moveaxis(value, axis, 0))

    def grad(dy, y, value, num, axis=0):
        return stack(dy if num != 1 or isinstance(dy, list) else [dy], axis)

    def lower(c, value, num, axis=0):
        axis %= value.rank
        shape = value.shape[:axis] + value.shape[axis + 1 :]
        return tuple(
            c.map(shape, value.dtype, lambda *i, k=k: value[i[:axis] + (k,) + i[axis:]])
            for k in range(num)
        )

    def oracle(value, num, axis=0):
        return [np.take(value, k, axis) for k in range(num)]


def _checked_axis(axis, shape):
    if not -len(shape) <= axis < len(shape):
        raise errors.invalid_argument(f"axis = {axis} not in [{-len(shape)}, {len(shape)})")
    return axis % len(shape)


@export("unstack")
def unstack(value, num=None, axis=0, name="unstack"):
    """The slices of a tensor along an axis, as a list of tensors of one rank less.

    Args:
        value: tensor of rank 1 or more.
        num: int, how many slices there are (default: the axis's size).
        axis: int, the axis.
        name: of the operation in a graph.
    Raises: ValueError: no such axis, or an unknown size.
    Source: TensorFlow's `Unpack`.

    >>> [t.numpy() for t in tf.unstack([[1, 2], [3, 4]])]
    [array([1, 2], dtype=int32), array([3, 4], dtype=int32)]
    """
    value = convert(value)
    if num is None:
        shape = value.shape
        if shape.rank is not None and not -shape.rank <= axis < shape.rank:
            raise ValueError(
                f"Argument `axis` = {axis} not in range [{-shape.rank}, {shape.rank})"
            )
        num = shape[axis] if shape.rank is not None else None
        if num is None:
            raise ValueError(f"Cannot infer argument `num` from shape {shape}")
    return apply(Unpack, (value,), {"num": static(num), "axis": axis}, name=name)


class SplitV(Op):
    """Consecutive pieces of a tensor along an axis."""

    label = "split"
    kind = Kind.MOVEMENT
    inputs = ("value", "size_splits", "axis")
    static = ("size_splits", "axis")
    dtypes = ALL
    keep = ()
    samples = (
        S(4, 3, size_splits=(1, 3), axis=0),
        S(4, 3, size_splits=(1, 0, 2), axis=-1),
        S(4, size_splits=(1, -1), axis=0),
        Bad(4, size_splits=(1, 2), axis=0, match="Determined shape must either match"),
        Bad(
            4, size_splits=(1, 3), axis=1, match=r"-input rank\(-1\) <= split_dim < input rank"
        ),
    )

    def infer(value, size_splits, axis):
        if size_splits is None or value.shape is None or axis is None:
            count = len(size_splits) if size_splits is not None else 1
            return tuple(Spec(None, value.dtype) for _ in range(count))
        sizes = _sizes(value.shape, size_splits, axis)
        axis %= len(value.shape)
        return tuple(
            Spec((*value.shape[:axis], n, *value.shape[axis + 1 :]), value.dtype) for n in sizes
        )

    def kernel(value, size_splits, axis):
        sizes = _sizes(value.shape, size_splits, axis)
        return tuple(np.split(value, np.cumsum(sizes)[:-1], axis))

    def grad(dy, y, value, size_splits, axis):
        return concat(dy, axis)

    def lower(c, value, size_splits, axis):
        axis %= value.rank
        pieces, begin = [], 0
        for n in _sizes(value.shape, size_splits, axis):
            shape = (*value.shape[:axis], n, *value.shape[axis + 1 :])
            pieces.append(
                c.map(
                    shape,
                    value.dtype,
                    lambda *i, b=begin: value[i[:axis] + (i[axis] + b,) + i[axis + 1 :]],
                )
            )
            begin += n
        return tuple(pieces)

    def oracle(value, size_splits, axis):
        sizes, pieces, begin = list(size_splits), [], 0
        if -1 in sizes:
            sizes[sizes.index(-1)] = value.shape[axis] - sum(sizes) - 1
        for n in sizes:
            pieces.append(np.take(value, range(begin, begin + n), axis))
            begin += n
        return pieces


def _sizes(shape, sizes, axis):
    rank = len(shape)
    if not -rank <= axis < rank:
        raise errors.invalid_argument(
            f"-input rank(-{rank}) <= split_dim < input rank ({rank}), but got {axis}"
        )
    total = shape[axis]
    if -1 in sizes:
        rest = None if total is None or None in sizes else total - sum(sizes) - 1
        sizes = tuple(rest if n == -1 else n for n in sizes)
    known = None not in (*sizes, total)
    if known and (sum(sizes) != total or any(n < 0 for n in sizes)):
        raise errors.invalid_argument(
            "Determined shape must either match input shape along split_dim exactly if fully "
            "specified, or be less than the size of the input along split_dim if not fully "
            f"specified.  Got: {sum(sizes)}"
        )
    return sizes


@export("split")
def split(value, num_or_size_splits, axis=0, num=None, name="split"):
    """Consecutive pieces of a tensor along an axis.

    Args:
        value: tensor of rank 1 or more.
        num_or_size_splits: int, the number of equal pieces; or their sizes, of which one may be
            -1 (the rest).
        axis: int, the axis.
        num: int, how many pieces there are, where the sizes are not known.
        name: of the operation in a graph.
    Returns: list of tensors.
    Raises: InvalidArgumentError: sizes that do not add up.
    Source: TensorFlow's `Split` and `SplitV`.

    >>> [t.numpy() for t in tf.split([1, 2, 3], [1, 2])]
    [array([1], dtype=int32), array([2, 3], dtype=int32)]
    """
    value, axis = convert(value), static(axis)
    sizes = static(num_or_size_splits)
    if sizes.__class__ is int:
        shape = value.shape
        if shape.rank is not None and not -shape.rank <= axis < shape.rank:
            _sizes(tuple(shape), (None,), axis)
        size = dims_of(value)[axis]
        if sizes <= 0 or (size.__class__ is int and size % sizes):
            raise errors.invalid_argument(
                f"Number of ways to split should evenly divide the split dimension, but got "
                f"split_dim {axis} (size = {size}) and num_split {sizes}",
                "Split",
            )
        sizes = (size // sizes,) * sizes
    return apply(SplitV, (value,), {"size_splits": sizes, "axis": axis}, name=name)


class PadV2(Op):
    """A tensor with a border of one value."""

    kind = Kind.MOVEMENT
    inputs = ("input", "paddings", "constant_values")
    static = ("paddings",)
    dtypes = ALL
    keep = ()
    samples = (
        S((2, 3), (), paddings=((1, 0), (2, 1))),
        S((0,), (), paddings=((1, 1),)),
        S((), (), paddings=()),
        Bad((2,), (), paddings=((1, -1),), match="Paddings must be non-negative: 1 -1"),
        Bad(
            (2, 3),
            (),
            paddings=((1, 1),),
            match="The first dimension of paddings must be the rank",
        ),
    )

    def infer(input, constant_values, paddings):
        if input.shape is None or paddings is None:
            return Spec(_open(input.shape), input.dtype)
        _check_paddings(paddings, input.shape)
        return Spec(_padded(input.shape, paddings), input.dtype)

    def kernel(input, constant_values, paddings):
        _check_paddings(paddings, input.shape)
        result = np.full(_padded(input.shape, paddings), constant_values[()], input.dtype)
        inside = tuple(slice(b, b + n) for (b, _), n in zip(paddings, input.shape, strict=True))
        result[inside] = input if input.ndim else input[()]
        return result

    def grad(dy, y, input, constant_values, paddings):
        if paddings.__class__ is tuple:
            begin = tuple(before for before, _ in paddings)
        else:
            begin = paddings[:, 0]
        inside = hooks.slice(dy, begin, shape_of(input))
        return inside, hooks.reduce_sum(dy, None) - hooks.reduce_sum(inside, None)

    def lower(c, input, constant_values, paddings):
        def element(*i):
            at = tuple(k - b for k, (b, _) in zip(i, paddings, strict=True))
            inside = c.const(True, bool_dtype)
            for k, n in zip(at, input.shape, strict=True):
                inside = inside & (k >= 0) & (k < n)
            return c.where(inside, lambda: input[at], lambda: constant_values[()])

        return c.map(_padded(input.shape, paddings), input.dtype, element)

    def oracle(input, constant_values, paddings):
        result = np.empty(_padded(input.shape, paddings), dtype=input.dtype)
        for index in np.ndindex(*result.shape):
            at = [k - b for k, (b, _) in zip(index, paddings, strict=True)]
            inside = all(0 <= k < n for k, n in zip(at, input.shape, strict=True))
            result[index] = input[tuple(at)] if inside else constant_values[()]
        return result


def _open(shape):
    return None if shape is None else (None,) * len(shape)


def _padded(shape, paddings):
    return tuple(
        None if None in (b, n, a) else b + n + a
        for (b, a), n in zip(paddings, shape, strict=True)
    )


def _check_paddings(paddings, shape):
    if len(paddings) != len(shape):
        raise errors.invalid_argument(
            "The first dimension of paddings must be the rank of inputs"
            f"[{len(paddings)},2] {brackets(shape)}"
        )
    for before, after in paddings:
        if (before or 0) < 0 or (after or 0) < 0:
            raise errors.invalid_argument(f"Paddings must be non-negative: {before} {after}")


class MirrorPad(Op):
    """A tensor with a border of its own elements, mirrored."""

    kind = Kind.MOVEMENT
    inputs = ("input", "paddings")
    static = ("paddings",)
    attrs = {"mode": "REFLECT"}
    dtypes = ALL
    keep = ()
    samples = (
        S(3, 4, paddings=((1, 2), (3, 0)), mode="REFLECT"),
        S(3, 4, paddings=((3, 2), (1, 4)), mode="SYMMETRIC"),
        Bad(
            3,
            paddings=((3, 0),),
            mode="REFLECT",
            match="paddings must be less than the dimension",
        ),
    )

    def infer(input, paddings, mode="REFLECT"):
        if input.shape is None or paddings is None:
            return Spec(_open(input.shape), input.dtype)
        _check_paddings(paddings, input.shape)
        limit = 0 if mode == "SYMMETRIC" else 1
        for pair, n in zip(paddings, input.shape, strict=True):
            for width in pair:
                if None not in (n, width) and width > n - limit:
                    relation = "no greater" if mode == "SYMMETRIC" else "less"
                    raise errors.invalid_argument(
                        f"paddings must be {relation} than the dimension size: {pair[0]}, "
                        f"{pair[1]} greater than {n}"
                    )
        return Spec(_padded(input.shape, paddings), input.dtype)

    def kernel(input, paddings, mode="REFLECT"):
        MirrorPad.infer(Spec(input.shape, None), paddings, mode)
        if not input.ndim:
            return input
        return np.pad(input, paddings, mode=mode.lower())

    def grad(dy, y, input, paddings, mode="REFLECT"):
        if paddings.__class__ is tuple:
            dy.set_shape([None] * len(paddings))
        else:
            paddings = [(paddings[i, 0], paddings[i, 1]) for i in range(dy.ndim)]
        for axis, (before, after) in enumerate(paddings):
            dy = _folded(dy, axis, before, after, 0 if mode == "SYMMETRIC" else 1)
        return dy

    def lower(c, input, paddings, mode="REFLECT"):
        skip = 0 if mode == "SYMMETRIC" else 1

        def mirrored(k, n):
            k = c.where(k < 0, -k - 1 + skip, k)
            return c.where(k >= n, 2 * n - 1 - skip - k, k)

        def element(*i):
            pairs = zip(i, paddings, input.shape, strict=True)
            return input[tuple(mirrored(k - b, n) for k, (b, _), n in pairs)]

        return c.map(_padded(input.shape, paddings), input.dtype, element)

    def oracle(input, paddings, mode="REFLECT"):
        for axis, (before, after) in enumerate(paddings):
            n, skip = input.shape[axis], 0 if mode == "SYMMETRIC" else 1
            left = [skip + k for k in range(before)][::-1]
            right = [n - 1 - skip - k for k in range(after)]
            input = np.take(input, [*left, *range(n), *right], axis)
        return input


def _folded(dy, axis, before, after, skip):
    """The gradient of one axis's mirroring: the borders added back where they came from."""
    size, rank = dims_of(dy)[axis], dy.ndim
    inner = size - before - after
    left, middle, right = split(dy, (before, inner, after), axis)
    for border, begin in ((left, skip), (right, inner - skip - after)):
        width = before if border is left else after
        flipped = reverse(border, (axis,))
        paddings = [(0, 0)] * rank
        paddings[axis] = (begin, inner - begin - width)
        middle = middle + pad(flipped, tuple(paddings))
    return middle


@export("pad")
def pad(tensor, paddings, mode="CONSTANT", constant_values=0, name=None):
    """A tensor with a border.

    Args:
        tensor: tensor of any dtype.
        paddings: integer tensor `[rank, 2]`: how much to add before and after each axis.
        mode: "CONSTANT", "REFLECT" (the edge is not repeated) or "SYMMETRIC" (it is).
        constant_values: scalar of the border in mode CONSTANT.
        name: of the operation in a graph.
    Raises: InvalidArgumentError: paddings that do not fit. ValueError: an unknown mode.
    Source: TensorFlow's `Pad`, `PadV2` and `MirrorPad`.

    >>> tf.pad([1, 2, 3], [[1, 2]]).numpy()
    array([0, 1, 2, 3, 0, 0], dtype=int32)
    """
    tensor = convert(tensor)
    widths = static(paddings)
    if widths.__class__ is tuple:
        widths = tuple(pair if isinstance(pair, Tensor) else tuple(pair) for pair in widths)
        if any(isinstance(part, Tensor) for part in (*widths, *chain(*widths))):
            widths = convert(paddings, None, int32)
    kind = mode.upper()
    if kind == "CONSTANT":
        value = convert(constant_values, tensor.dtype)
        return apply(PadV2, (tensor, value), {"paddings": widths}, name=name)
    if kind in ("REFLECT", "SYMMETRIC"):
        return apply(MirrorPad, (tensor,), {"paddings": widths, "mode": kind}, name=name)
    raise ValueError(
        'Value of argument `mode` expected to be one of "CONSTANT", "REFLECT", or "SYMMETRIC". '
        f"Received `mode` = {mode}"
    )
