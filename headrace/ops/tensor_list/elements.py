"""Lists of tensors as values of a graph: what loops keep for gradients, and TensorArrays.

A list (`value.py`) never changes: an op that writes gives a new one. The spec of a symbol of
dtype variant carries what is known of the items as its value, a `Spec`. A shape of items
(`element_shape`) is None where even the rank is open. The gradient of a list is a list.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import ALL, HANDLES, int32, int64, variant
from headrace.core.dispatch import apply, create
from headrace.core.graph import Symbol
from headrace.core.op import Kind, Op, Spec
from headrace.ops.shapes import shape_of
from headrace.ops.tensor_list.value import TensorList, bracketed, merged

_ITEMS = ALL | HANDLES
_LIST = frozenset({variant})
INT = frozenset({int32})
HANDLE = {"input_handle": ("input_handle", _LIST)}
NATIVE = "lists become buffers when a loop is compiled"
_COUNT = "integer result"


def element_of(held: Spec) -> Spec | None:
    """What is known of the items of a symbolic list."""
    return held.value if isinstance(held.value, Spec) else None


def learn_items(held: Any, dims: Any) -> None:
    """Note the shape that all items of a symbolic list turn out to have."""
    known = element_of(held.spec) if isinstance(held, Symbol) else None
    if known is not None and shapes.compatible(known.shape, dims):
        element = known._replace(shape=shapes.merge(known.shape, dims))
        held.spec = held.spec._replace(value=element)


def item_spec(held: Spec, dims: Any, dtype: Any) -> Spec:
    """What is known of an item of a symbolic list."""
    element = element_of(held)
    if dtype is variant:
        return Spec((), variant, None if element is None else element.value)
    return Spec(dims if element is None else merged(dims, element.shape), dtype)


def check_dtype(held: TensorList, dtype: Any) -> None:
    """Check that the items have a dtype."""
    if held.element.dtype is not dtype:
        raise other_type(dtype.np, held)


def other_type(dtype: np.dtype, held: TensorList) -> Exception:
    kind, own = str(dtype), held.element.dtype.name
    names = {"float32": "float", "float64": "double", "float16": "half", "object": "string"}
    return errors.invalid_argument(
        f"Invalid data types; op elements {names.get(kind, kind)} but list elements "
        f"{names.get(own, own)}"
    )


def place_of(held: TensorList, index: Any, what: str = "access") -> int:
    """An index into a list."""
    place = index if index.__class__ is int else index.item()
    if not 0 <= place < len(held):
        raise errors.invalid_argument(
            f"Trying to {what} element {place} in a list with {len(held)} elements."
        )
    return place


def _checked(c: Any, held: Any, index: Any, what: str) -> Any:
    """An index into a list of compiled code, as a number that is inside."""
    if not held.count:
        c.refuse("an item of an empty list")
    if index.size != 1:
        c.refuse("a place in a list that is not one number")
    place = c.cast(index.reshape(())[()], int64)
    text = f"Trying to {what} element {{}} in a list with {held.count} elements."
    c.check((place >= 0) & (place < held.count), text, place)
    return place


def _refuse_other(c: Any, held: Any, dtype: Any) -> None:
    """Leave items that have not the dtype that was said to the kernel, which says so."""
    if dtype is not (variant if held.nested else held.dtype):
        c.refuse("items of another dtype than was said")


def differentiable(dtype: Any) -> bool:
    return dtype.is_floating or dtype.is_complex or dtype is variant


class EmptyTensorList(Op):
    """A list without items."""

    kind = Kind.STATE
    inputs = ("element_shape",)
    static = ("element_shape",)
    attrs = {"element_dtype": None}
    no_grad = "it is constant"
    no_lower = NATIVE

    def infer(element_shape, element_dtype):
        return Spec((), variant, Spec(element_shape, element_dtype))

    def kernel(element_shape, element_dtype):
        return TensorList.empty(0, Spec(element_shape, element_dtype))


class TensorListReserve(Op):
    """A list of a number of items that are not set."""

    kind = Kind.STATE
    inputs = ("element_shape", "num_elements")
    static = ("element_shape", "num_elements")
    attrs = {"element_dtype": None}
    no_grad = "it is constant"

    def infer(element_shape, num_elements, element_dtype):
        return Spec((), variant, Spec(element_shape, element_dtype))

    def lower(c, element_shape, num_elements, element_dtype):
        return c.list_of_zeros(num_elements)

    def kernel(element_shape, num_elements, element_dtype):
        if num_elements < 0:
            raise errors.invalid_argument(
                "The num_elements to reserve must be a non negative number, but got "
                f"{num_elements}"
            )
        return TensorList.empty(num_elements, Spec(element_shape, element_dtype))


class TensorListFromTensor(Op):
    """The list of the slices of a tensor along its first axis."""

    kind = Kind.STATE
    inputs = ("tensor", "element_shape")
    static = ("element_shape",)
    dtypes = ALL
    keep = ()

    def infer(tensor, element_shape):
        if tensor.shape is None:
            return Spec((), variant, Spec(element_shape, tensor.dtype))
        if not tensor.shape:
            raise no_vector(tensor.shape)
        inner = tensor.shape[1:]
        if not shapes.compatible(element_shape, inner):
            raise errors.invalid_argument(
                f"Specified a list with shape {bracketed(element_shape)} from a tensor with "
                f"shape {bracketed(inner)}"
            )
        return Spec((), variant, Spec(shapes.merge(element_shape, inner), tensor.dtype))

    def lower(c, tensor, element_shape):
        return c.list_of(tensor)

    def kernel(tensor, element_shape):
        found = TensorListFromTensor.infer(spec_of(tensor), element_shape)
        return TensorList.of([tensor[i, ...] for i in range(len(tensor))], found.value)

    def grad(dy, y, tensor, element_shape):
        size = shapes.as_tuple(tensor.shape)
        count = None if size is None else size[0]
        return stack(dy, tensor.dtype, shape_of(tensor)[1:], count)


def no_vector(dims: Any) -> Exception:
    return errors.invalid_argument(
        f"Tensor must be at least a vector, but saw shape: {bracketed(dims)}"
    )


def spec_of(array: Any) -> Spec:
    """The spec of an array, an item of a list or what a list is made of."""
    return Spec(array.shape, ITEM_TYPES[array.dtype])


ITEM_TYPES = {dtype.np: dtype for dtype in _ITEMS}


class TensorListStack(Op):
    """The items of a list along a new first axis."""

    kind = Kind.STATE
    inputs = ("input_handle", "element_shape")
    static = ("element_shape",)
    types = HANDLE
    dtypes = ALL
    attrs = {"element_dtype": None, "num_elements": None}
    keep = ()

    def infer(input_handle, element_shape, element_dtype, num_elements=None):
        item = item_spec(input_handle, element_shape, element_dtype)
        dims = None if item.shape is None else (num_elements, *item.shape)
        return Spec(dims, element_dtype)

    def lower(c, input_handle, element_shape, element_dtype, num_elements=None):
        if num_elements not in (None, input_handle.count):
            c.refuse("a list of another length than was said")
        _refuse_other(c, input_handle, element_dtype)
        return input_handle.whole(c)

    def kernel(input_handle, element_shape, element_dtype, num_elements=None):
        held = input_handle
        check_dtype(held, element_dtype)
        if num_elements is not None and num_elements != len(held):
            raise errors.invalid_argument(
                f"Operation expected a list with {num_elements} elements but got a list with "
                f"{len(held)} elements."
            )
        dims = held.common_dims(element_shape)
        problem = (
            "Tried to stack list which only contains uninitialized tensors and has a "
            f"non-fully-defined element_shape: {bracketed(dims)}"
            if len(held)
            else "Tried to stack elements of an empty list with non-fully-defined "
            f"element_shape: {bracketed(dims)}"
        )
        return stacked(held.filled(dims, problem), len(held), dims, element_dtype, problem)

    def grad(dy, y, input_handle, element_shape, element_dtype, num_elements=None):
        return from_tensor(dy) if differentiable(element_dtype) else None


def stacked(items: Any, count: int, dims: Any, dtype: Any, problem: str) -> Any:
    """Items of one shape as an array."""
    found = list(items)
    if found:
        dims = found[0].shape
    elif dims is None or None in dims:
        raise errors.invalid_argument(problem)
    result = np.empty((count, *dims), dtype.np)
    for i, item in enumerate(found):
        result[i, ...] = item
    return result


class TensorListLength(Op):
    """The number of items of a list."""

    kind = Kind.STATE
    inputs = ("input_handle",)
    types = HANDLE
    no_grad = _COUNT

    def infer(input_handle):
        return Spec((), int32)

    def lower(c, input_handle):
        return c.fill((), int32, input_handle.count)

    def kernel(input_handle):
        return np.array(len(input_handle), np.int32)


class TensorListResize(Op):
    """A list made shorter, or longer by items that are not set."""

    kind = Kind.STATE
    inputs = ("input_handle", "size")
    types = {**HANDLE, "size": ("size", INT)}
    no_lower = NATIVE
    grad = (lambda dy, y, input_handle, size: resize(dy, length(input_handle)), None)

    def infer(input_handle, size):
        return input_handle

    def kernel(input_handle, size):
        if size < 0:
            raise errors.invalid_argument(
                f"TensorListSlice expects size to be non-negative. Got: {size}"
            )
        return input_handle.resized(int(size))


class TensorListGetItem(Op):
    """An item of a list."""

    kind = Kind.STATE
    inputs = ("input_handle", "index", "element_shape")
    static = ("element_shape",)
    types = {**HANDLE, "index": ("index", INT)}
    attrs = {"element_dtype": None}

    def infer(input_handle, index, element_shape, element_dtype):
        return item_spec(input_handle, element_shape, element_dtype)

    def lower(c, input_handle, index, element_shape, element_dtype):
        _refuse_other(c, input_handle, element_dtype)
        return input_handle.get(c, _checked(c, input_handle, index, "access"))

    def kernel(input_handle, index, element_shape, element_dtype):
        held = input_handle
        place = place_of(held, index)
        item = held.get(place)
        if held.element.dtype is not element_dtype:
            raise other_type(element_dtype.np, held)
        if item is not None:
            return item
        dims = merged(element_shape, held.element.shape)
        if held.like is None and (dims is None or None in dims):
            dims = held.common_dims(dims)
        return held.zero(
            place,
            dims,
            "Trying to read an uninitialized tensor but element_shape is not fully defined: "
            f"{bracketed(dims)} and no list element is set.",
        )

    def grad(dy, y, input_handle, index, element_shape, element_dtype):
        if not differentiable(element_dtype):
            return None, None
        return set_item(zeros_of_list(input_handle), index, dy), None


class TensorListSetItem(Op):
    """A list with one item replaced."""

    kind = Kind.STATE
    inputs = ("input_handle", "index", "item")
    types = {**HANDLE, "index": ("index", INT)}
    dtypes = _ITEMS
    attrs = {"resize_if_index_out_of_bounds": False}

    def infer(input_handle, index, item, resize_if_index_out_of_bounds=False):
        return _with_item(input_handle, item)

    def lower(c, input_handle, index, item, resize_if_index_out_of_bounds=False):
        if resize_if_index_out_of_bounds:
            c.refuse("a list that grows")
        _refuse_other(c, input_handle, item.dtype)
        if input_handle.shape != item.shape:
            c.refuse("an item of another shape")
        return c.with_item(input_handle, _checked(c, input_handle, index, "modify"), item)

    def kernel(input_handle, index, item, resize_if_index_out_of_bounds=False):
        held = input_handle
        place = index.item()
        if resize_if_index_out_of_bounds and place >= len(held):
            held = held.resized(place + 1)
        place_of(held, place, "modify")
        if item.dtype != held.element.dtype.np:
            raise other_type(item.dtype, held)
        if not shapes.compatible(held.element.shape, item.shape):
            raise errors.invalid_argument(
                "Tried to set a tensor with incompatible shape at a list index. Item element "
                f"shape: {bracketed(item.shape)} list shape: {bracketed(held.element.shape)}"
            )
        return held.updated([(place, item)])

    def grad(dy, y, held, index, x, resize_if_index_out_of_bounds=False):
        of_item = _gradient_item(dy, index, x)  # read first: the list can then change in place
        cleared = clear_item(dy, index)
        if resize_if_index_out_of_bounds:
            cleared = resize(cleared, length(held))
        return cleared, None, of_item


def _with_item(held: Spec, item: Spec) -> Spec:
    """The spec of a list into which an item was put: its element, if nothing else is known."""
    if element_of(held) is None:
        inner = item.value if item.dtype is variant else None
        dims = () if item.dtype is variant else None
        return held._replace(value=Spec(dims, item.dtype, inner))
    return held


def _gradient_item(held: Any, index: Any, like: Any) -> Any:
    if not differentiable(like.dtype):
        return None
    dims = () if like.dtype is variant else shape_of(like)
    return get_item(held, index, like.dtype, dims)


class TensorListClearItem(Op):
    """A list with zeros instead of an item; TensorFlow has none, its gradients set zeros."""

    kind = Kind.STATE
    inputs = ("input_handle", "index")
    types = {**HANDLE, "index": ("index", INT)}
    grad = (lambda dy, y, input_handle, index: clear_item(dy, index), None)

    def infer(input_handle, index):
        return input_handle

    def lower(c, input_handle, index):
        zero = c.fill(input_handle.shape, input_handle.dtype, 0)
        return c.with_item(input_handle, _checked(c, input_handle, index, "modify"), zero)

    def kernel(input_handle, index):
        return input_handle.cleared(place_of(input_handle, index, "modify"))


class TensorListPushBack(Op):
    """A list with one item more at its end."""

    kind = Kind.STATE
    inputs = ("input_handle", "tensor")
    types = HANDLE
    dtypes = _ITEMS
    no_lower = NATIVE

    def infer(input_handle, tensor):
        return _with_item(input_handle, tensor)

    def kernel(input_handle, tensor):
        held = input_handle
        if tensor.dtype != held.element.dtype.np:
            raise other_type(tensor.dtype, held)
        if not shapes.compatible(held.element.shape, tensor.shape):
            raise errors.invalid_argument(
                "Tried to append a tensor with incompatible shape to a list. Op element shape: "
                f"{bracketed(tensor.shape)} list shape: {bracketed(held.element.shape)}"
            )
        return held.updated([(len(held), tensor)], len(held) + 1)

    def grad(dy, y, input_handle, tensor):
        dims = () if tensor.dtype is variant else shape_of(tensor)
        shorter, item = pop_back(dy, tensor.dtype, dims)
        return shorter, item if differentiable(tensor.dtype) else None


class TensorListPopBack(Op):
    """A list without its last item, and that item."""

    kind = Kind.STATE
    inputs = ("input_handle", "element_shape")
    static = ("element_shape",)
    types = HANDLE
    dtypes = _ITEMS
    attrs = {"element_dtype": None}
    no_lower = NATIVE

    def infer(input_handle, element_shape, element_dtype):
        return input_handle, item_spec(input_handle, element_shape, element_dtype)

    def kernel(input_handle, element_shape, element_dtype):
        held = input_handle
        if not len(held):
            raise errors.invalid_argument("Trying to pop from an empty list.")
        check_dtype(held, element_dtype)
        last = len(held) - 1
        item = held.get(last)
        if item is None:
            dims = merged(element_shape, held.element.shape)
            problem = (
                "Trying to read an uninitialized tensor but element_shape is not fully "
                f"defined.{bracketed(dims)}"
            )
            item = held.zero(last, dims, problem)
        return held.resized(last), item

    def grad(dys, ys, input_handle, element_shape, element_dtype):
        return push_back(*dys)


class ZerosLike(Op):
    """A list of zeros in the form of another."""

    kind = Kind.STATE
    inputs = ("x",)
    types = {"x": ("T", _LIST)}
    no_grad = "it is constant"

    def infer(x):
        return x

    def lower(c, x):
        return x.zeros()

    def kernel(x):
        return x.zeros()


class TensorListAdd(Op):
    """The sums of the items of two lists (TensorFlow's `AddN` of variants)."""

    kind = Kind.STATE
    inputs = ("x", "y")
    types = {"x": ("T", _LIST), "y": ("T", _LIST)}
    grad = (lambda dy, z, x, y: dy, lambda dy, z, x, y: dy)

    def infer(x, y):
        return x if x.value is not None else y

    def lower(c, x, y):
        return c.with_sum(x, y)

    def kernel(x, y):
        return x.plus(y)


# What the records are called by: TensorArrays, loops and the gradients above.


def item(held: Any, index: Any, element: Spec) -> Any:
    """Item `index` of a symbolic list."""
    return get_item(held, index, element.dtype, element.shape)


def reserve(count: Any, dtype: Any, dims: Any = None, name: str | None = None) -> Any:
    """A list of `count` items (int or int32 scalar) that are not set."""
    attrs = {"element_shape": dims, "num_elements": count, "element_dtype": dtype}
    return create(TensorListReserve, attrs, name)


def empty_list(dtype: Any, dims: Any = None) -> Any:
    """A list without items."""
    return create(EmptyTensorList, {"element_shape": dims, "element_dtype": dtype})


def from_tensor(tensor: Any, dims: Any = None, name: str | None = None) -> Any:
    """The list of the slices of a tensor along its first axis."""
    return apply(TensorListFromTensor, (tensor,), {"element_shape": dims}, name)


def stack(
    held: Any, dtype: Any, dims: Any = None, count: int | None = None, name: str | None = None
) -> Any:
    """The items along a new first axis, whose size is `count` if that is given."""
    attrs = {"element_shape": dims, "element_dtype": dtype, "num_elements": count}
    return apply(TensorListStack, (held,), attrs, name)


def length(held: Any, name: str | None = None) -> Any:
    """The number of items, an int32 scalar."""
    return apply(TensorListLength, (held,), {}, name)


def resize(held: Any, size: Any) -> Any:
    """The list with `size` (int32 scalar) items."""
    return apply(TensorListResize, (held, size))


def get_item(held: Any, index: Any, dtype: Any, dims: Any, name: str | None = None) -> Any:
    """Item `index` (int32 scalar); zeros of shape `dims` where it is not set."""
    attrs = {"element_dtype": dtype, "element_shape": dims}
    return apply(TensorListGetItem, (held, index), attrs, name)


def set_item(held: Any, index: Any, x: Any, grow: bool = False, name: str | None = None) -> Any:
    """The list with another item; with `grow` it is made as long as that needs."""
    attrs = {"resize_if_index_out_of_bounds": grow}
    return apply(TensorListSetItem, (held, index, x), attrs, name)


def clear_item(held: Any, index: Any) -> Any:
    """The list with an item that is not set."""
    return apply(TensorListClearItem, (held, index))


def push_back(held: Any, x: Any) -> Any:
    """The list with one item more."""
    return apply(TensorListPushBack, (held, x))


def pop_back(held: Any, dtype: Any, dims: Any = None) -> Any:
    """The list without its last item, and that item."""
    attrs = {"element_dtype": dtype, "element_shape": dims}
    return apply(TensorListPopBack, (held,), attrs)


def zeros_of_list(held: Any) -> Any:
    """A list of zeros in the form of another."""
    return apply(ZerosLike, (held,))


def add_lists(x: Any, y: Any) -> Any:
    """The sums of the items of two lists."""
    return apply(TensorListAdd, (x, y))
