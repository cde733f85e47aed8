"""Lists of tensors in compiled code: one buffer with a row for each item.

The number of items and their shape are known. A list that nobody needs any more is written in
place, as a list that loops hand on is; any other is copied by who writes. Lists of zeros, of
one item among zeros (a gradient), and of one value again and again need no memory as long as
nobody writes them. Records of `ops/tensor_list` call these methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.base.dtypes import HANDLES, DType
from headrace.compile.cluster.builder import ProgramBuilder
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Expr, Load, operands
from headrace.compile.loops.lower import CannotLower
from headrace.compile.loops.views import Stored, View
from headrace.core.op import Spec

Shape = tuple[int, ...]


class Items:
    """A list of `count` items of one shape and dtype.

    Attributes:
        buffer: a row for each item; None where nobody has written.
        single: the place and the view of the one item that is not zero, without a buffer.
        repeated: the view that all items are, without a buffer.
        rows: the view that holds the items along its first axis, without a buffer.
        depends: memory that these three read and that may change, by id.
        nested: how deep an item is a list of lists; its rows are that list's items.
    """

    def __init__(
        self,
        count: int,
        shape: Shape,
        dtype: DType,
        buffer: ir.Buffer | None = None,
        single: tuple[Expr, View] | None = None,
        repeated: View | None = None,
        rows: View | None = None,
        depends: frozenset[int] = frozenset(),
        nested: int = 0,
    ) -> None:
        self.count, self.shape, self.dtype = count, shape, dtype
        self.buffer, self.single, self.repeated, self.rows = buffer, single, repeated, rows
        self.depends, self.nested = depends, nested

    def like(self, **fields: Any) -> Items:
        """A list of as many items of the same form."""
        return Items(self.count, self.shape, self.dtype, nested=self.nested, **fields)

    def memory(self, c: ProgramBuilder) -> frozenset[int]:
        """All memory that the items lie in and that may change, by id."""
        return self.depends | (_changing(c, self.buffer) if self.buffer else frozenset())

    def apart(self, c: ProgramBuilder) -> Items:
        """The same list, in memory that nobody else has."""
        if self.buffer is not None:
            return self.owned(c, kept=True)
        if self.rows is not None:
            return self.like(rows=c.copied(self.rows))
        if self.repeated is not None:
            return self.like(repeated=c.copied(self.repeated))
        if self.single is not None:
            place, item = self.single
            held = c.copied(c.map((), ir.INDEX, lambda: place))
            return self.like(single=(held[()], c.copied(item)))
        return self

    # Reading

    def get(self, c: ProgramBuilder, place: Expr) -> Any:
        """The item at a place that is inside: a view, or a list."""
        view = self._item(c, place)
        if not self.nested:
            return view
        depends = self.memory(c) | _read_by(c, place)
        form = self.shape[0], self.shape[1:], self.dtype
        return Items(*form, rows=view, depends=depends, nested=self.nested - 1)

    def _item(self, c: ProgramBuilder, place: Expr) -> View:
        if self.repeated is not None:
            return self.repeated
        if self.is_zero:
            return c.fill(self.shape, self.dtype, 0)
        whole = self.whole(c)
        return c.map(self.shape, self.dtype, lambda *i: whole[(place, *i)])

    def whole(self, c: ProgramBuilder) -> View:
        """All items along a new first axis."""
        shape = (self.count, *self.shape)
        if self.buffer is not None:
            return Stored(self.buffer)
        if self.rows is not None:
            return self.rows
        if self.repeated is not None:
            one = self.repeated
            return c.map(shape, self.dtype, lambda _, *i: one[i])
        if self.single is None:
            return c.fill(shape, self.dtype, 0)
        place, item = self.single
        zero: Any = 0
        return c.map(
            shape, self.dtype, lambda k, *i: c.where(k == place, lambda: item[i], zero)
        )

    # Writing

    def owned(self, c: ProgramBuilder, kept: bool) -> Items:
        """The list in memory that may be written.

        Args:
            kept: whether somebody still needs the list as it is.
        """
        if self.buffer is not None and not kept and id(self.buffer) in c.mutable:
            return self
        buffer = c.carry((self.count, *self.shape), self.dtype)
        c.write(buffer, self.whole(c))
        return self.like(buffer=buffer)

    def put(self, c: ProgramBuilder, place: Expr, item: Any) -> Items:
        """Write an item; the list is owned."""
        assert self.buffer is not None
        c.write(self.buffer, as_view(c, item), (place,))
        return self

    def become(self, c: ProgramBuilder, other: Items) -> None:
        """Write all items of another list; the list is owned."""
        assert self.buffer is not None
        c.write(self.buffer, other.whole(c))

    def zeros(self) -> Items:
        """A list of zeros like this one."""
        return self.like()

    @property
    def is_zero(self) -> bool:
        held = (self.buffer, self.single, self.repeated, self.rows)
        return all(x is None for x in held)


def as_view(c: ProgramBuilder, item: Any) -> View:
    """An item as a view: of a list, all its items."""
    return item.whole(c) if isinstance(item, Items) else item


def _changing(c: ProgramBuilder, buffer: ir.Buffer) -> frozenset[int]:
    return frozenset((id(buffer),)) if id(buffer) in c.mutable else frozenset()


def _read_by(c: ProgramBuilder, *found: Expr | View) -> frozenset[int]:
    """The memory that may change of what some numbers and stored views are read from."""
    buffers = [x.buffer for x in found if isinstance(x, Stored)]
    waiting: list[Any] = [x for x in found if not isinstance(x, View)]
    while waiting:
        x = waiting.pop()
        if isinstance(x, Load):
            buffers.append(x.buffer)
        waiting.extend(operands(x))
    return frozenset[int]().union(*[_changing(c, buffer) for buffer in buffers])


def items_like(count: int, element: Spec) -> Items:
    """A list of zeros.

    Raises:
        CannotLower: the shape of its items is not known.
    """
    if element.shape is None or None in element.shape or element.dtype in HANDLES:
        raise CannotLower("the shape of a list's items is not known")
    return Items(count, tuple(element.shape), element.dtype)  # type: ignore[arg-type]


class ListRules:
    """What rules of records do with lists; a part of `c`."""

    carry: Callable[..., ir.Buffer]
    current: Any

    def list_of_zeros(self, count: Any) -> Items:
        """A list of items that are not set, as the node that is lowered gives it."""
        if not isinstance(count, int):
            raise CannotLower("the length of a list is not known")
        lowering = self.current
        (value,) = lowering.program.nodes[lowering.now].outputs
        return items_like(count, value.spec.value)

    def list_of(self, view: View) -> Items:
        """The list of the slices of a view along its first axis."""
        c: Any = self
        stored = view if isinstance(view, Stored) else c.copied(view)
        if stored.shape != stored.buffer.shape or _changing(c, stored.buffer):
            stored = c.copied(view)
        return Items(view.shape[0], view.shape[1:], view.dtype, stored.buffer)

    def with_item(self, items: Items, place: Expr, item: Any) -> Items:
        """The list with another item."""
        c: Any = self
        if items.is_zero and not self._kept(0):
            item = c.store(as_view(c, item))
            return items.like(single=(place, item), depends=_read_by(c, place, item))
        return self._changing(items.owned(c, self._kept(0))).put(c, place, item)

    def with_sum(self, x: Items, y: Items) -> Items:
        """The sums of the items of two lists."""
        c: Any = self
        if x.is_zero or y.is_zero:
            return y if x.is_zero else x
        if y.single is None and x.single is not None:
            x, y, kept = y, x, self._kept(1)
        else:
            kept = self._kept(0)
        target = self._changing(x.owned(c, kept))
        assert target.buffer is not None
        if y.single is not None:
            place, item = y.single
            old = target._item(c, place)
            total = c.map(x.shape, x.dtype, lambda *i: old[i] + item[i])
            return target.put(c, place, total)
        a, b = Stored(target.buffer), y.whole(c)
        c.write(target.buffer, c.map(a.shape, x.dtype, lambda *i: a[i] + b[i]))
        return target

    def _changing(self, items: Items) -> Items:
        """A list that is written now: what waits to read it reads it first."""
        self.current.overwritten({id(items.buffer)})
        return items

    def _kept(self, operand: int) -> bool:
        """Whether the node's operand is still needed after it."""
        lowering = self.current
        return lowering.kept(lowering.program.nodes[lowering.now].inputs[operand])
