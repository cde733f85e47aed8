"""Several items of a list at once: joined, cut from a tensor, gathered and scattered.

See `elements.py` for lists as values of a graph, and for their single items.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import ALL, int64, variant
from headrace.core.convert import static
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.ops.shapes import shape_of
from headrace.ops.tensor_list.elements import (
    HANDLE,
    INT,
    NATIVE,
    check_dtype,
    differentiable,
    element_of,
    item_spec,
    length,
    no_vector,
    other_type,
    place_of,
    resize,
    spec_of,
    stacked,
    zeros_of_list,
)
from headrace.ops.tensor_list.value import TensorList, bracketed, merged


class TensorListConcatV2(Op):
    """The items of a list one after the other along their first axis, and how long each is.

    `leading_dims` are the lengths of items that are not set.
    """

    kind = Kind.STATE
    inputs = ("input_handle", "element_shape", "leading_dims")
    static = ("element_shape", "leading_dims")
    types = HANDLE
    dtypes = ALL
    attrs = {"element_dtype": None}
    partial = True
    no_lower = NATIVE

    def infer(input_handle, element_shape, leading_dims, element_dtype):
        dims = item_spec(input_handle, element_shape, element_dtype).shape
        if dims == ():
            raise _scalar_item(0)
        joined = None if dims is None else (None, *dims[1:])
        return Spec(joined, element_dtype), Spec((None,), int64)

    def kernel(input_handle, element_shape, leading_dims, element_dtype):
        held = input_handle
        check_dtype(held, element_dtype)
        inner, lead = _inner_dims(held, element_shape)
        if not len(held) and (inner is None or None in inner):
            raise errors.invalid_argument(
                "All except the first dimension must be fully defined when concating an empty "
                f"tensor list. element_shape: {bracketed(element_shape)}"
            )
        items = held.items()
        parts = [
            items[i] if i in items else _missing_part(held, i, lead, inner, leading_dims)
            for i in range(len(held))
        ]
        lengths = np.array([len(part) for part in parts], np.int64)
        if not parts:
            return np.zeros((0, *inner), element_dtype.np), lengths
        return np.concatenate(parts), lengths

    def grad(dys, ys, input_handle, element_shape, leading_dims, element_dtype):
        dy = dys[0]
        if dy is None or not differentiable(element_dtype):
            return None
        return split(dy, ys[1])


def _scalar_item(index: int) -> Exception:
    return errors.invalid_argument(
        f"Concat saw a scalar shape at index {index} but requires at least vectors."
    )


def _inner_dims(held: TensorList, dims: Any) -> tuple[Any, Any]:
    """The common shape of the items without the first axis, and the size of that if given."""
    dims = merged(dims, held.element.shape)
    inner, lead = (None, None) if dims is None else (dims[1:], dims[0] if dims else None)
    items = held.items()
    for index in sorted(items):
        if not items[index].shape:
            raise _scalar_item(index)
        inner = merged(inner, items[index].shape[1:])
        if lead is None and len(items) < len(held) and held.like is None:
            lead = len(items[index])
    return inner, lead


def _missing_part(held: TensorList, index: int, lead: Any, inner: Any, leading: Any) -> Any:
    """Zeros for an item that is not set."""
    if held.like is None and (inner is None or None in inner):
        raise errors.invalid_argument(
            "Trying to concat list with only uninitialized tensors but "
            f"element_shape_except_first_dim is not fully defined: {bracketed(inner)}"
        )
    problem = (
        f"List contains uninitialized tensor at index {index} but leading_dims has only "
        f"{len(leading)} elements."
    )
    lead = leading[index] if index < len(leading) else lead
    return held.zero(index, None if inner is None else (lead, *inner), problem)


class TensorListSplit(Op):
    """The list of pieces of a tensor along its first axis."""

    kind = Kind.STATE
    inputs = ("tensor", "element_shape", "lengths")
    static = ("element_shape",)
    types = {"lengths": ("lengths", frozenset({int64}))}
    dtypes = ALL
    no_lower = NATIVE

    def infer(tensor, lengths, element_shape):
        if lengths.shape is not None and len(lengths.shape) != 1:
            raise errors.invalid_argument(
                f"Expected lengths to be a vector, received shape: {bracketed(lengths.shape)}"
            )
        if tensor.shape is None:
            return Spec((), variant, Spec(element_shape, tensor.dtype))
        if not tensor.shape:
            raise no_vector(tensor.shape)
        dims = merged(element_shape, (None, *tensor.shape[1:]))
        return Spec((), variant, Spec(dims, tensor.dtype))

    def kernel(tensor, lengths, element_shape):
        size = len(tensor) if tensor.ndim else 0
        element = TensorListSplit.infer(
            spec_of(tensor), Spec(lengths.shape, int64), element_shape
        )
        pieces, begin = [], 0
        for n in lengths.tolist():
            if n < 0:
                raise errors.invalid_argument(f"Invalid value in lengths: {n}")
            if begin + n > size:
                raise errors.invalid_argument(
                    f"Attempting to slice [{begin}, {begin + n}] from tensor with length {size}"
                )
            pieces.append(tensor[begin : begin + n])
            begin += n
        if begin != size:
            raise errors.invalid_argument(
                f"Unused values in tensor. Length of tensor: {size} Values used: {begin}"
            )
        return TensorList.of(pieces, element.value)

    def grad(dy, y, tensor, lengths, element_shape):
        known = shapes.as_tuple(tensor.shape)
        dims = None if known is None else (None, *known[1:])
        return concat(dy, tensor.dtype, dims, static(lengths))[0], None


class TensorListGather(Op):
    """Items of a list along a new first axis."""

    kind = Kind.STATE
    inputs = ("input_handle", "indices", "element_shape")
    static = ("element_shape",)
    types = {**HANDLE, "indices": ("indices", INT)}
    dtypes = ALL
    attrs = {"element_dtype": None}
    no_lower = NATIVE

    def infer(input_handle, indices, element_shape, element_dtype):
        item = item_spec(input_handle, element_shape, element_dtype)
        if item.shape is None or indices.shape is None:
            return Spec(None, element_dtype)
        return Spec((*(indices.shape or (1,)), *item.shape), element_dtype)

    def kernel(input_handle, indices, element_shape, element_dtype):
        held = input_handle
        check_dtype(held, element_dtype)
        places = [place_of(held, i, "gather") for i in indices.reshape(-1).tolist()]
        dims = held.common_dims(element_shape)
        problem = (
            "Tried to gather uninitialized tensors from a list with non-fully-defined "
            f"element_shape: {bracketed(dims)}"
            if places
            else "Tried to gather 0-elements from a list with non-fully-defined shape: "
            f"{bracketed(dims)}"
        )
        items = held.items()
        found = (items[i] if i in items else held.zero(i, dims, problem) for i in places)
        return stacked(found, len(places), dims, element_dtype, problem)

    def grad(dy, y, input_handle, indices, element_shape, element_dtype):
        if not differentiable(element_dtype):
            return None, None
        return scatter_add(zeros_of_list(input_handle), dy, indices), None


def _checked_rows(tensor: Any, indices: Any) -> list[int]:
    """Indices that say where the slices of a tensor go."""
    if not tensor.ndim:
        raise no_vector(tensor.shape)
    places = indices.reshape(-1).tolist()
    if len(places) != len(tensor):
        raise errors.invalid_argument(
            "Invalid number of rows in input tensor. Expected: "
            f"{len(places)} Actual: {len(tensor)}"
        )
    if any(i < 0 for i in places):
        raise errors.invalid_argument("Indices in TensorListScatter must all be non-negative.")
    return places


def _rows_spec(held: Spec, tensor: Spec, indices: Spec) -> Spec:
    dims = None if tensor.shape is None else tensor.shape[1:]
    if element_of(held) is None:
        return held._replace(value=Spec(dims, tensor.dtype))
    merged(dims, held.value.shape)
    return held


class TensorListScatterV2(Op):
    """The list that has the slices of a tensor at given places.

    `num_elements` is the length of the list; it is as long as the indices ask for if that is
    negative.
    """

    kind = Kind.STATE
    inputs = ("tensor", "indices", "element_shape", "num_elements")
    static = ("element_shape", "num_elements")
    types = {"indices": ("indices", INT)}
    dtypes = ALL
    no_lower = NATIVE

    def infer(tensor, indices, element_shape, num_elements=-1):
        inner = None if tensor.shape is None else tensor.shape[1:]
        return Spec((), variant, Spec(merged(element_shape, inner), tensor.dtype))

    def kernel(tensor, indices, element_shape, num_elements=-1):
        places = _checked_rows(tensor, indices)
        size = max(places, default=-1) + 1 if num_elements < 0 else num_elements
        for i in places:
            if i >= size:
                raise errors.invalid_argument(
                    f"TensorListScatter: Trying to scatter at index {i} in list with size "
                    f"{size}"
                )
        element = TensorListScatterV2.infer(spec_of(tensor), None, element_shape).value
        empty = TensorList.empty(size, element)
        return empty.updated((i, tensor[k, ...]) for k, i in enumerate(places))

    def grad(dy, y, tensor, indices, element_shape, num_elements=-1):
        return gather(dy, indices, tensor.dtype, shape_of(tensor)[1:]), None


class TensorListScatterIntoExistingList(Op):
    """A list with the slices of a tensor at given places; it grows where these ask for it."""

    kind = Kind.STATE
    inputs = ("input_handle", "tensor", "indices")
    types = {**HANDLE, "indices": ("indices", INT)}
    dtypes = ALL
    no_lower = NATIVE

    def infer(input_handle, tensor, indices):
        return _rows_spec(input_handle, tensor, indices)

    def kernel(input_handle, tensor, indices):
        held = input_handle
        if tensor.dtype != held.element.dtype.np:
            raise other_type(tensor.dtype, held)
        if tensor.ndim and len(tensor) != indices.size:
            raise errors.invalid_argument(
                f"Expected len(indices) == tensor.shape[0], but saw: {indices.size} vs. "
                f"{len(tensor)}"
            )
        places = _checked_rows(tensor, indices)
        merged(held.element.shape, tensor.shape[1:])
        size = max(places, default=-1) + 1
        grown = held.resized(size) if size > len(held) else held
        return grown.updated((i, tensor[k, ...]) for k, i in enumerate(places))

    def grad(dy, y, input_handle, tensor, indices):
        item = gather(dy, indices, tensor.dtype, shape_of(tensor)[1:])
        rest = resize(scatter_into(dy, item - item, indices), length(input_handle))
        return rest, item, None


class TensorListScatterAdd(Op):
    """A list with the slices of a tensor added at given places; the gradient of a gather."""

    kind = Kind.STATE
    inputs = ("input_handle", "tensor", "indices")
    types = {**HANDLE, "indices": ("indices", INT)}
    dtypes = ALL
    no_lower = NATIVE

    def infer(input_handle, tensor, indices):
        return _rows_spec(input_handle, tensor, indices)

    def kernel(input_handle, tensor, indices):
        places = _checked_rows(tensor, indices)
        sums: dict[int, Any] = {}
        for k, i in enumerate(places):
            row = tensor[k, ...]
            sums[i] = np.asarray(sums[i] + row) if i in sums else row
        added = TensorList.empty(len(input_handle), input_handle.element).updated(sums.items())
        return input_handle.plus(added)

    def grad(dy, y, input_handle, tensor, indices):
        return dy, gather(dy, indices, tensor.dtype, shape_of(tensor)[1:]), None


def concat(
    held: Any, dtype: Any, dims: Any = None, leading: Any = (), name: str | None = None
) -> Any:
    """The items one after the other, and their lengths."""
    attrs = {"element_shape": dims, "leading_dims": leading, "element_dtype": dtype}
    return apply(TensorListConcatV2, (held,), attrs, name)


def split(tensor: Any, lengths: Any, dims: Any = None, name: str | None = None) -> Any:
    """The list of pieces of `tensor` of the given lengths (int64 vector)."""
    return apply(TensorListSplit, (tensor, lengths), {"element_shape": dims}, name)


def gather(
    held: Any, indices: Any, dtype: Any, dims: Any = None, name: str | None = None
) -> Any:
    """Items along a new first axis."""
    attrs = {"element_shape": dims, "element_dtype": dtype}
    return apply(TensorListGather, (held, indices), attrs, name)


def scatter_into(held: Any, tensor: Any, indices: Any, name: str | None = None) -> Any:
    """The list with the slices of `tensor` at the places `indices`."""
    return apply(TensorListScatterIntoExistingList, (held, tensor, indices), {}, name)


def scatter_add(held: Any, tensor: Any, indices: Any) -> Any:
    """The list with the slices of `tensor` added at the places `indices`."""
    return apply(TensorListScatterAdd, (held, tensor, indices))
