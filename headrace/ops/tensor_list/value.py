"""The value of a list of tensors, which never changes: an op that writes gives a new list.

A list in a loop is mostly written and then never looked at again in its old form. So a list
and those that were written from it share one dictionary of items, which the newest of them
owns; what a write replaced is noted in a log, and a list that is no longer the newest takes a
copy of its own, by that log, when it is used again. A write then costs the same however long
the list is. Items that nobody has set count as zeros and take no room.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from headrace.base import errors, shapes
from headrace.base.dtypes import float32, variant
from headrace.base.shapes import Dims
from headrace.core.op import Spec
from headrace.core.tensor import Handle, as_array

_SPARE = 64
"""So many entries of a log are looked through; a longer one is let go where it can be."""

_lock = threading.Lock()


class _Cells:
    """Items by their index, shared by lists; `log` has (index, what stood there) of writes."""

    __slots__ = ("items", "log", "extent")

    def __init__(self, items: dict[int, Any], extent: int) -> None:
        self.items, self.extent = items, extent
        self.log: list[tuple[int, Any]] = []


class TensorList(Handle):
    """Items of one dtype; made by `TensorList.of`, or from another by `updated` and `resized`.

    Attributes:
        element: the spec that all items fit.
        like: a list whose items have the shapes of those that are unset here, if these shapes
            differ.
    """

    __slots__ = ("_cells", "_version", "_length", "element", "like")
    size = 1

    def __init__(
        self, cells: _Cells, version: int, length: int, element: Spec, like: Any = None
    ) -> None:
        self._cells, self._version, self._length = cells, version, length
        self.element, self.like = element, like

    @classmethod
    def of(cls, items: Sequence[Any], element: Spec) -> TensorList:
        """A list of these items; None is an item that is not set."""
        found = {i: x for i, x in enumerate(items) if x is not None}
        return cls(_Cells(found, len(items)), 0, len(items), element)

    @classmethod
    def empty(cls, length: int, element: Spec, like: TensorList | None = None) -> TensorList:
        """A list of which no item is set."""
        return cls(_Cells({}, 0), 0, length, element, like)

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        dims, dtype = self.element.shape, self.element.dtype
        return f"TensorList({self._length} of {dtype.name}{shapes.TensorShape(dims)})"

    def __getitem__(self, key: tuple[()]) -> TensorList:
        """A list counts as an array without axes, and itself as the only element of that."""
        return self

    # Reading

    def get(self, index: int) -> Any:
        """The item, or None if it is not set; the index is in range."""
        cells = self._cells
        item = cells.items.get(index)
        # A write enters itself in the log before it replaces the item.
        if len(cells.log) == self._version:
            return item
        with _lock:
            cells, version = self._cells, self._version
            if len(cells.log) - version > _SPARE:
                return self._own().items.get(index)
            for place, before in cells.log[version:]:
                if place == index:
                    return before
            return cells.items.get(index)

    def items(self) -> dict[int, Any]:
        """The items that are set, by their index."""
        with _lock:
            cells = self._own()
            length = self._length
            if cells.extent <= length:
                return dict(cells.items)
            return {i: x for i, x in cells.items.items() if i < length}

    def dims_of(self, index: int) -> Dims:
        """The shape of an item, as far as it is known."""
        item = self.get(index)
        if item is not None:
            return item.shape
        if self.like is not None and index < len(self.like):
            return self.like.dims_of(index)
        return self.element.shape

    def filled(self, dims: Dims, problem: str) -> Iterator[Any]:
        """All items; those that are not set are zeros.

        Args:
            dims: the shape that all items have, as far as it is known.
            problem: the text of the error for zeros of unknown shape.
        """
        items = self.items()
        for index in range(self._length):
            item = items.get(index)
            yield item if item is not None else self.zero(index, dims, problem)

    def zero(self, index: int, dims: Dims, problem: str) -> Any:
        """What stands for an item that is not set.

        Raises:
            InvalidArgumentError: its shape is not known.
        """
        if self.element.dtype is variant:
            return TensorList.empty(0, _inner(self.element))
        if self.like is not None and (dims is None or None in dims):
            dims = merged(dims, self.dims_of(index))
        if dims is None or None in dims:
            raise errors.invalid_argument(problem)
        return zeros(dims, self.element)

    def common_dims(self, dims: Dims) -> Dims:
        """The shape that is `dims`, and that of the list's items.

        Raises:
            InvalidArgumentError: these differ.
        """
        dims = merged(dims, self.element.shape)
        if self.element.dtype is not variant:
            seen = None
            for item in self.items().values():
                if item.shape != seen:
                    dims, seen = merged(dims, item.shape), item.shape
        return dims

    # Writing

    def updated(
        self, pairs: Iterable[tuple[int, Any]], length: int | None = None
    ) -> TensorList:
        """The list with other items at some places; None there is an item that is not set.

        Args:
            pairs: index and item.
            length: of the result, at most one more than this list's, and then that is set.
        """
        size = self._length if length is None else length
        with _lock:
            cells = self._own()
            if len(cells.log) > 2 * len(cells.items) + _SPARE:
                cells = _Cells(dict(cells.items), cells.extent)
            items, log = cells.items, cells.log
            for index, item in pairs:
                log.append((index, items.get(index)))
                if item is None:
                    items.pop(index, None)
                else:
                    items[index] = item
            cells.extent = max(cells.extent, size)
            return TensorList(cells, len(log), size, self.element, self.like)

    def resized(self, length: int) -> TensorList:
        """The first `length` items, followed by unset ones if there are not so many."""
        if length > self._length and self._cells.extent > self._length:
            cells = _Cells(self.items(), self._length)
            return TensorList(cells, 0, length, self.element, self.like)
        with _lock:
            return TensorList(self._own(), self._version, length, self.element, self.like)

    def zeros(self) -> TensorList:
        """A list of as many zeros of the same shapes."""
        return TensorList.empty(self._length, self.element, self._form())

    def cleared(self, index: int) -> TensorList:
        """The list with zeros for an item."""
        found = self.updated([(index, None)])
        found.like = self._form()
        return found

    def plus(self, other: TensorList) -> TensorList:
        """The sums of the items of two lists."""
        if len(self._cells.items) < len(other._cells.items):
            self, other = other, self
        sums = [(i, _sum(self.get(i), x)) for i, x in other.items().items()]
        found = self.resized(max(len(self), len(other))).updated(sums)
        if found.like is None:
            found.like = other.like
        return found

    def _form(self) -> Any:
        """A list that has the shapes of this one's items, if their common one is not known."""
        if shapes.size(self.element.shape) is not None and self.element.dtype is not variant:
            return None
        return self.like if self.like is not None else self

    def _own(self) -> _Cells:
        """The cells as this list sees them; the lock is held."""
        cells, version = self._cells, self._version
        if len(cells.log) == version:
            return cells
        items = dict(cells.items)
        for index, before in reversed(cells.log[version:]):
            if before is None:
                items.pop(index, None)
            else:
                items[index] = before
        length = self._length
        kept = {i: x for i, x in items.items() if i < length}
        self._cells, self._version = _Cells(kept, length), 0
        return self._cells


def merged(a: Dims, b: Dims) -> Dims:
    """What is known of a shape that is both.

    Raises:
        InvalidArgumentError: they contradict each other.
    """
    if a is None or b is None or a == b:
        return b if a is None else a
    if len(a) != len(b):
        raise errors.invalid_argument(
            f"PartialTensorShape: Incompatible ranks during merge: {len(a)} vs. {len(b)}"
        )
    if not shapes.compatible(a, b):
        raise errors.invalid_argument(
            f"PartialTensorShape: Incompatible shapes during merge: {bracketed(a)} vs. "
            f"{bracketed(b)}"
        )
    return shapes.merge(a, b)


def bracketed(dims: Dims) -> str:
    """A shape in the form of TensorFlow's error texts: `[2,?]`, or `<unknown>`."""
    if dims is None:
        return "<unknown>"
    return "[" + ",".join("?" if n is None else str(n) for n in dims) + "]"


def zeros(dims: Any, element: Spec) -> Any:
    """Zeros (for text: empty ones) as an item."""
    dtype = element.dtype.np
    if dtype.kind == "O":
        return np.full(dims, b"", dtype)
    return np.zeros(dims, dtype)


def _inner(element: Spec) -> Spec:
    """What is known of the items of the lists that are the items."""
    return element.value if isinstance(element.value, Spec) else Spec(None, float32)


def _sum(x: Any, y: Any) -> Any:
    if x is None:
        return y
    return x.plus(y) if isinstance(x, TensorList) else as_array(x + y)
