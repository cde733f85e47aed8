"""Lists of tensors as values of a graph: what loops keep for gradients, and TensorArrays.

A `TensorList` never changes: an op that writes gives a new list. Items that nobody has set
count as zeros. The spec of a symbol of dtype variant carries the spec of the items as its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.base import errors
from headrace.base.dtypes import ALL, int32, variant
from headrace.core.dispatch import apply
from headrace.core.op import Kind, Op, Spec
from headrace.core.tensor import Handle

_LIST = frozenset({variant})
_INDEX = frozenset({int32})


class TensorList(Handle):
    """Items of one dtype; None stands for zeros.

    Args:
        items: arrays or None.
        element: the spec that all items fit.
        dims: the shapes of the items that are None, where `element` leaves them open.
    """

    __slots__ = ("items", "element", "dims")

    def __init__(self, items: Sequence[Any], element: Spec, dims: Any = None) -> None:
        self.items, self.element, self.dims = items, element, dims

    @classmethod
    def of(cls, items: Sequence[Any], element: Spec) -> TensorList:
        """A list of these items."""
        return cls(items, element)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        item = self.items[index]
        if item is not None:
            return item
        dims = self.element.shape if self.dims is None else self.dims[index]
        if dims is None or None in dims:
            raise errors.invalid_argument(
                f"Trying to read an uninitialized tensor but element_shape is not fully "
                f"defined: {dims}"
            )
        return np.zeros(dims, self.element.dtype.np)

    def shapes(self) -> list[Any]:
        """The shape of each item."""
        known = self.element.shape if self.dims is None else None
        return [
            item.shape if item is not None else known if self.dims is None else self.dims[i]
            for i, item in enumerate(self.items)
        ]

    def replaced(self, index: int, item: Any) -> TensorList:
        """The list with another item."""
        items = list(self.items)
        items[index] = item
        return TensorList(items, self.element, self.dims)

    def zeros(self) -> TensorList:
        """A list of as many zeros of the same shapes."""
        return TensorList([None] * len(self.items), self.element, self.shapes())


def checked(held: TensorList, index: Any) -> int:
    """An index into a list.

    Raises:
        InvalidArgumentError: there is no such item.
    """
    place = int(index)
    if not 0 <= place < len(held):
        raise errors.invalid_argument(
            f"Trying to access element {place} in a list with {len(held)} elements."
        )
    return place


class TensorListGetItem(Op):
    """An item of a list."""

    kind = Kind.STATE
    inputs = ("input_handle", "index")
    types = {"input_handle": ("handle", _LIST), "index": ("index", _INDEX)}
    dtypes = ALL
    attrs = {"element_dtype": None, "element_shape": None}
    no_lower = "lists become buffers when a loop is compiled"

    def infer(input_handle, index, element_dtype, element_shape):
        return Spec(element_shape, element_dtype)

    def kernel(input_handle, index, element_dtype, element_shape):
        return input_handle[checked(input_handle, index)]

    grad = (
        lambda dy, y, handle, index, **_: apply(
            TensorListSetItem, (apply(ZerosLike, (handle,)), index, dy)
        ),
        None,
    )


class TensorListSetItem(Op):
    """A list with one item replaced."""

    kind = Kind.STATE
    inputs = ("input_handle", "index", "item")
    types = {"input_handle": ("handle", _LIST), "index": ("index", _INDEX)}
    dtypes = ALL
    no_lower = "lists become buffers when a loop is compiled"

    def infer(input_handle, index, item):
        return input_handle

    def kernel(input_handle, index, item):
        return input_handle.replaced(checked(input_handle, index), item)

    grad = (
        lambda dy, y, handle, index, x: apply(TensorListSetItem, (dy, index, x - x)),
        None,
        lambda dy, y, handle, index, x: item(dy, index, Spec(x.spec.shape, x.dtype)),
    )


class ZerosLike(Op):
    """A list of zeros in the form of another."""

    kind = Kind.STATE
    inputs = ("x",)
    types = {"x": ("T", _LIST)}
    dtypes = ALL
    no_grad = "it is constant"
    no_lower = "lists become buffers when a loop is compiled"

    def infer(x):
        return x

    def kernel(x):
        return x.zeros()


class TensorListAdd(Op):
    """The sums of the items of two lists."""

    kind = Kind.STATE
    inputs = ("x", "y")
    types = {"x": ("T", _LIST), "y": ("T", _LIST)}
    dtypes = ALL
    no_lower = "lists become buffers when a loop is compiled"
    grad = (lambda dy, z, x, y: dy, lambda dy, z, x, y: dy)

    def infer(x, y):
        return x if x.value is not None else y

    def kernel(x, y):
        items = [
            b if a is None else a if b is None else a + b
            for a, b in zip(x.items, y.items, strict=True)
        ]
        return TensorList(items, x.element, x.dims if x.dims is not None else y.dims)


def item(held: Any, index: Any, element: Spec) -> Any:
    """Item `index` of a symbolic list."""
    attrs = {"element_dtype": element.dtype, "element_shape": element.shape}
    return apply(TensorListGetItem, (held, index), attrs)


def zeros_of_list(held: Any) -> Any:
    """A list of zeros in the form of a symbolic list."""
    return apply(ZerosLike, (held,))


def add_lists(x: Any, y: Any) -> Any:
    """The sums of the items of two symbolic lists."""
    return apply(TensorListAdd, (x, y))
