"""Views: what a `lower` rule sees of an array: a shape, a dtype, and elements by index.

A view is stored (its elements are loads from a buffer) or mapped (its elements are computed
where they are read). A rule can't tell the two apart, which is what lets a compiler fuse one
op into another without asking the rules. Read `expr.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeAlias

from headrace.base.dtypes import DType
from headrace.compile.loops.complex import Complex, Scalar
from headrace.compile.loops.expr import Const, Expr, Load, cast, const
from headrace.compile.loops.ir import INDEX, Buffer
from headrace.compile.loops.operations import letter, part

Shape: TypeAlias = tuple[int, ...]
Position: TypeAlias = tuple[Expr, ...]


def position(value: Any) -> Expr:
    """An index as an int64 scalar."""
    if isinstance(value, Expr):
        if letter(value.dtype) not in "iu":
            raise TypeError(f"An index is an integer scalar, got {value.dtype.name}.")
        return cast(value, INDEX)
    return const(value, INDEX)


def ravel(index: Sequence[Any], shape: Sequence[int]) -> Expr:
    """The row-major position of `index` in `shape`."""
    if len(index) != len(shape):
        raise IndexError(f"{len(index)} indices for shape {list(shape)}.")
    offset: Expr = const(0, INDEX)
    for at, extent in zip(index, shape, strict=True):
        offset = position(at) if extent == prod(shape) else offset * extent + position(at)
    return offset


def unravel(n: Any, shape: Sequence[int]) -> Position:
    """The index in `shape` of row-major position `n`."""
    rest = position(n)
    found = []
    for extent in reversed(shape):
        found.append(rest % extent if extent else rest)
        rest = rest // extent if extent else rest
    return tuple(reversed(found))


class View:
    """Base of the views."""

    def __init__(self, shape: Sequence[int], dtype: DType) -> None:
        self.shape: Shape = tuple(int(n) for n in shape)
        self.dtype = dtype

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    def __getitem__(self, index: Any) -> Any:
        """The element at an index: one int64 scalar or int per dimension."""
        if not isinstance(index, tuple):
            index = (index,)
        if len(index) != self.rank:
            raise IndexError(f"{len(index)} indices for a view of shape {list(self.shape)}.")
        return self.element(tuple(position(at) for at in index))

    def element(self, index: Position) -> Scalar:
        raise NotImplementedError

    def flat(self, n: Any) -> Any:
        """The element at row-major position n."""
        return self.element(unravel(n, self.shape))

    def reshape(self, shape: Sequence[int]) -> View:
        """The same elements in row-major order under another shape of equal size."""
        raise NotImplementedError

    def broadcast(self, index: Position, shape: Shape) -> Scalar:
        """The element that stands at `index` after broadcasting to `shape`."""
        last = index[len(shape) - self.rank :]
        zero = const(0, INDEX)
        places = (zero if n == 1 else at for n, at in zip(self.shape, last, strict=True))
        return self.element(tuple(places))

    def _check_size(self, shape: Sequence[int]) -> None:
        if prod(shape) != self.size:
            raise ValueError(f"Can't reshape {list(self.shape)} to {list(shape)}.")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dtype.name}{list(self.shape)})"


class Stored(View):
    """The elements of a buffer."""

    def __init__(self, buffer: Buffer, shape: Sequence[int] | None = None) -> None:
        super().__init__(buffer.shape if shape is None else shape, buffer.dtype)
        self.buffer = buffer

    def element(self, index: Position) -> Scalar:
        return self._load(ravel(index, self.shape))

    def flat(self, n: Any) -> Any:
        return self._load(position(n))

    def _load(self, offset: Expr) -> Scalar:
        real = part(self.dtype)
        first = Load(real, self.buffer, offset)
        if not self.dtype.is_complex:
            return first
        return Complex(self.dtype, first, Load(real, self.buffer, offset, 1))

    def reshape(self, shape: Sequence[int]) -> View:
        self._check_size(shape)
        return Stored(self.buffer, shape)


class Mapped(View):
    """Elements computed by a function of the index, once per place of use.

    Args:
        place: gives the place of the program that is being written (a stage, or a branch in
            it): there, equal indices give the same scalar.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: DType,
        compute: Callable[..., Scalar],
        place: Callable[[], object],
    ) -> None:
        super().__init__(shape, dtype)
        self._compute = compute
        self._place = place
        self._seen: dict[tuple[Any, ...], tuple[object, Position, Scalar]] = {}

    def element(self, index: Position) -> Scalar:
        place = self._place()
        key = (id(place), *(at.value if isinstance(at, Const) else (id(at),) for at in index))
        if key not in self._seen:
            self._seen[key] = (place, index, self._compute(*index))
        return self._seen[key][2]

    def reshape(self, shape: Sequence[int]) -> View:
        self._check_size(shape)

        def element(*index: Expr) -> Scalar:
            return self.element(unravel(ravel(index, shape), self.shape))

        return Mapped(shape, self.dtype, element, self._place)
