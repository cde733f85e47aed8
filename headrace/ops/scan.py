"""Running sums and products along an axis."""

from __future__ import annotations

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import NUMERIC, bfloat16, float16, float32, float64
from headrace.base.export import export
from headrace.core.convert import static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import conj
from headrace.ops.elementwise import divide_no_nan
from headrace.ops.samples import Bad, S

SAMPLES = (
    S(3, 4, axis=0),
    S(3, 4, axis=1, exclusive=True),
    S(3, 4, axis=-1, reverse=True),
    S(4, axis=0, exclusive=True, reverse=True),
    S(0, 3, axis=0),
    Bad(3, axis=1, match=r"ScanOp: Expected scan axis in the range \[-1, 1\), but got 1"),
)
ULP = {float16: 4, bfloat16: 4, float32: 4, float64: 4}


def _infer(x, axis, exclusive=False, reverse=False):
    if x.shape is not None and axis is not None and not -len(x.shape) <= axis < len(x.shape):
        raise errors.invalid_argument(
            f"ScanOp: Expected scan axis in the range [{-len(x.shape)}, {len(x.shape)}), "
            f"but got {axis}"
        )
    return Spec(x.shape, x.dtype)


def _running(ufunc, neutral):
    def kernel(x, axis, exclusive=False, reverse=False):
        wide = np.float32 if x.dtype.itemsize == 2 and x.dtype.kind not in "iu" else x.dtype
        data = np.flip(x, axis) if reverse else x
        total = ufunc.accumulate(data, axis=axis, dtype=wide)
        if exclusive:
            total = np.roll(total, 1, axis)
            first = [slice(None)] * x.ndim
            first[axis] = slice(0, 1)
            total[tuple(first)] = neutral
        return (np.flip(total, axis) if reverse else total).astype(x.dtype)

    return kernel


def _lower(combine):
    def lower(c, x, axis, exclusive=False, reverse=False):
        return c.scan(
            combine,
            x.shape,
            x.dtype,
            axis % x.rank,
            lambda *i: x[i],
            exclusive=exclusive,
            reverse=reverse,
        )

    return lower


def _oracle(start, join):
    """A running total over a list, as Python would write it."""

    def oracle(items, exclusive=False, reverse=False):
        totals, total = [], start
        for item in reversed(items) if reverse else items:
            before, total = total, join(total, item)
            totals.append(before if exclusive else total)
        return totals[::-1] if reverse else totals

    return oracle


class Cumsum(Op):
    """Running sum along an axis."""

    kind = Kind.REDUCE
    inputs = ("x", "axis")
    static = ("axis",)
    attrs = {"exclusive": False, "reverse": False}
    dtypes = NUMERIC
    keep = ()
    samples = SAMPLES
    ulp = ULP
    infer = _infer
    kernel = _running(np.add, 0)
    lower = _lower("add")
    oracle = _oracle(0, lambda total, item: total + item)

    def grad(dy, y, x, axis, exclusive=False, reverse=False):
        return cumsum(dy, axis, exclusive, not reverse)


class Cumprod(Op):
    """Running product along an axis."""

    kind = Kind.REDUCE
    inputs = ("x", "axis")
    static = ("axis",)
    attrs = {"exclusive": False, "reverse": False}
    dtypes = NUMERIC
    samples = SAMPLES
    ulp = ULP
    infer = _infer
    kernel = _running(np.multiply, 1)
    lower = _lower("mul")
    oracle = _oracle(1, lambda total, item: total * item)

    def grad(dy, y, x, axis, exclusive=False, reverse=False):
        total = cumsum(conj(y) * dy, axis, exclusive, not reverse)
        return divide_no_nan(total, conj(x))


@export("math.cumsum", "cumsum")
def cumsum(x, axis=0, exclusive=False, reverse=False, name=None):
    """Running sum along an axis.

    Args:
        x: number tensor of rank 1 or more.
        axis: int, the axis.
        exclusive: whether an element's own value is left out of its sum.
        reverse: whether to sum from the end.
        name: of the operation in a graph.
    Returns: tensor of x's shape and dtype.
    Raises: InvalidArgumentError: x has no such axis.
    Source: TensorFlow's `Cumsum`.

    >>> tf.cumsum([1, 2, 3]).numpy()
    array([1, 3, 6], dtype=int32)
    """
    return apply(
        Cumsum,
        (x,),
        {"axis": static(axis), "exclusive": exclusive, "reverse": reverse},
        name=name,
    )


@export("math.cumprod")
def cumprod(x, axis=0, exclusive=False, reverse=False, name=None):
    """Running product along an axis; arguments as in `cumsum`.

    >>> tf.math.cumprod([1, 2, 3, 4]).numpy()
    array([ 1,  2,  6, 24], dtype=int32)
    """
    return apply(
        Cumprod,
        (x,),
        {"axis": static(axis), "exclusive": exclusive, "reverse": reverse},
        name=name,
    )
