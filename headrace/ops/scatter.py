"""`tensor_scatter_nd_*`: tensors with elements or slices replaced, or combined with others.

The records are alike but for how an element joins what is there; a maker holds what they share.
Read `ops/gather.py` before.
"""

from __future__ import annotations

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, NUMERIC, REALS, int64
from headrace.base.export import export
from headrace.base.shapes import compatible
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.cast import cast
from headrace.ops.compare import equal
from headrace.ops.create import zeros_like
from headrace.ops.gather import INDEX, check_nd, gather_nd, outside_nd
from headrace.ops.samples import Bad, S
from headrace.ops.shapes import brackets

_UFUNCS = {"Add": np.add, "Sub": np.subtract, "Max": np.maximum, "Min": np.minimum}
_COMBINE = {"Update": "set", "Add": "add", "Sub": "add", "Max": "max", "Min": "min"}
_INT32 = (None, "int32", None)
_ROWS = ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[2], [0]], [[9.0, 1.0], [0.5, 8.0]])


def _check(tensor, indices, updates):
    """Refuse shapes that do not fit."""
    for name, shape in (("Indices", indices), ("Updates", updates)):
        if len(shape) < 1:
            raise errors.invalid_argument(
                f"{name} shape must have rank at least one. Found:{brackets(shape)}"
            )
    full = [None not in shape and 0 not in shape for shape in (indices, updates)]
    if (0 in tensor and full[0]) or (0 in indices and full[1]):
        raise errors.invalid_argument("Indices and updates specified for empty output shape")
    outer, depth = len(indices) - 1, indices[-1]
    if not compatible(indices[:-1], updates[:outer]):
        raise errors.invalid_argument(
            "Outer dimensions of indices and update must match. Indices shape: "
            f"{brackets(indices)}, updates shape:{brackets(updates)}"
        )
    if depth is None:
        return
    inner = len(updates) - outer
    if inner != len(tensor) - depth:
        raise errors.invalid_argument(
            "Inner dimensions of output shape must match inner dimensions of updates shape. "
            f"Output: {brackets(tensor)} updates: {brackets(updates)}"
        )
    if not compatible(tensor[depth:], updates[outer:]):
        raise errors.invalid_argument(
            f"The inner {inner} dimensions of output.shape={brackets(tensor)} must match the "
            f"inner {inner} dimensions of updates.shape={brackets(updates)}"
        )


def _scatter(how, tensor, indices, updates):
    return apply(RECORDS[how], (tensor, indices, updates))


def _by_tensor(how):
    """The rule for the gradient of the tensor."""

    def rule(dy, y, tensor, indices, updates):
        if how in ("Add", "Sub"):
            return dy
        if how == "Update":
            return _scatter("Update", dy, indices, zeros_like(updates))
        return _share(dy, y, tensor, indices, updates) * cast(equal(y, tensor), dy.dtype)

    return rule


def _by_updates(how):
    """The rule for the gradient of the updates."""

    def rule(dy, y, tensor, indices, updates):
        if how in ("Update", "Add", "Sub"):
            found = gather_nd(dy, indices)
            return -found if how == "Sub" else found
        shared = gather_nd(_share(dy, y, tensor, indices, updates), indices)
        return shared * cast(equal(gather_nd(y, indices), updates), dy.dtype)

    return rule


def _share(dy, y, tensor, indices, updates):
    """An extreme value's gradient, divided by the number of elements that have that value."""
    chosen = cast(equal(gather_nd(y, indices), updates), dy.dtype)
    return dy / _scatter("Add", cast(equal(y, tensor), dy.dtype), indices, chosen)


def _record(how, doc, dtypes):
    """A record `(tensor, indices, updates)`."""
    name = f"TensorScatter{how}"

    def infer(tensor, indices, updates):
        if None not in (tensor.shape, indices.shape, updates.shape):
            _check(tensor.shape, indices.shape, updates.shape)
        return Spec(tensor.shape, tensor.dtype)

    def kernel(tensor, indices, updates):
        _check(tensor.shape, indices.shape, updates.shape)
        outside_nd(indices, tensor.shape)
        result = tensor.copy()
        target, at = result, tuple(np.moveaxis(indices, -1, 0))
        if not at:
            target, at = result[None], (np.zeros(indices.shape[:-1], np.int64),)
        if how == "Update":
            target[at] = updates
        else:
            _UFUNCS[how].at(target, at, updates)
        return result

    def lower(c, tensor, indices, updates):
        depth, outer = indices.shape[-1], indices.rank - 1

        def place(*i):
            at = [c.cast(indices[(*i[:outer], d)], int64) for d in range(depth)]
            check_nd(c, at, i[:outer], tensor.shape, "")
            return (*at, *i[outer:]), -updates[i] if how == "Sub" else updates[i]

        return c.scatter(_COMBINE[how], tensor, updates.shape, place)

    def oracle(tensor, indices, updates):
        result = tensor.copy()
        for index in np.ndindex(*indices.shape[:-1]):
            at = tuple(indices[index])
            new = updates[index]
            result[at] = new if how == "Update" else _UFUNCS[how](result[at], new)
        return result

    rules = {"infer": infer, "kernel": kernel, "lower": lower, "oracle": oracle}
    rules.update(kind=Kind.MOVEMENT, inputs=("tensor", "indices", "updates"), dtypes=dtypes)
    rules.update(types={"indices": ("Tindices", INDEX)}, __doc__=doc, __module__=__name__)
    rules.update(grad=(_by_tensor(how), None, _by_updates(how)))
    if how in ("Update", "Add", "Sub"):
        rules.update(keep=("indices",))
    rules.update(
        samples=(
            S(values=_ROWS, dtype=_INT32),
            S(values=([1.0, 2.0, 3.0], [[1]], [5.0]), dtype=(None, "int64", None)),
            S(
                (2, 3),
                (1, 2),
                (1,),
                dtype=_INT32,
                low=(-2, 0, -2),
                high=(2, 1, 2),
            ),
            S((3,), (0, 1), (0,), dtype=_INT32),
            Bad((2, 2), (1, 0), (1, 2, 2), dtype=_INT32, match="specified for empty output"),
            Bad((4,), (1, 1), (2,), dtype=_INT32, match="Outer dimensions of"),
            Bad((4,), (1,), (1,), dtype=_INT32, match="Inner dimensions of out"),
            Bad((4,), (), (), dtype=_INT32, match=r"Indices shape must have rank"),
            Bad(
                values=([1.0, 2.0], [[2]], [1.0]),
                dtype=("float32", "int32", "float32"),
                match=r"indices\[0\] = \[2\] does not index into shape \[2\]",
            ),
        )
    )
    return type(name, (Op,), rules)


RECORDS = {
    how: _record(how, doc, dtypes)
    for how, doc, dtypes in (
        ("Update", "A tensor with slices replaced; of several for one place the last.", ALL),
        ("Add", "A tensor with slices added to it.", NUMERIC),
        ("Sub", "A tensor with slices subtracted from it.", NUMERIC),
        ("Max", "A tensor with the larger of each element and those of slices.", REALS),
        ("Min", "A tensor with the smaller of each element and those of slices.", REALS),
    )
}


def _public(how, doc, example):
    def function(tensor, indices, updates, name=None):
        return apply(RECORDS[how], (tensor, indices, updates), name=name)

    short = f"tensor_scatter_nd_{how.lower()}"
    function.__doc__ = f"""{doc}

    Args:
        tensor: tensor.
        indices: int32 or int64 tensor `[..., k]`: positions in the first k dimensions.
        updates: tensor of tensor's dtype, `indices.shape[:-1] + tensor.shape[k:]`.
        name: of the operation in a graph.
    Returns: tensor of tensor's shape and dtype.
    Raises: InvalidArgumentError: a position outside, or shapes that do not fit.
    Source: TensorFlow's `TensorScatter{how}`.

    >>> tf.{short}([1., 2., 3.], [[1], [1]], [7., -1.]).numpy()
    {example}
    """
    function.__name__ = function.__qualname__ = short
    return export(short)(function)


tensor_scatter_nd_update = _public(
    "Update",
    "A copy of a tensor with elements or slices replaced.",
    "array([ 1., -1.,  3.], dtype=float32)",
)
tensor_scatter_nd_add = _public(
    "Add",
    "A copy of a tensor with `updates` added at positions.",
    "array([1., 8., 3.], dtype=float32)",
)
tensor_scatter_nd_sub = _public(
    "Sub",
    "A copy of a tensor with `updates` subtracted at positions.",
    "array([ 1., -4.,  3.], dtype=float32)",
)
tensor_scatter_nd_max = _public(
    "Max",
    "A copy of a tensor with the larger of what is there and `updates`.",
    "array([1., 7., 3.], dtype=float32)",
)
tensor_scatter_nd_min = _public(
    "Min",
    "A copy of a tensor with the smaller of what is there and `updates`.",
    "array([ 1., -1.,  3.], dtype=float32)",
)
