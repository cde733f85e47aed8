"""Shapes: `tf.TensorShape`, and the same rules on plain tuples.

Inside Headrace a shape is a tuple of ints in which `None` stands for an unknown dimension;
`None` instead of the tuple is a shape of unknown rank. `TensorShape` is what users see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from headrace.base.export import export

Dims = tuple[int | None, ...] | None


def broadcast(a: Dims, b: Dims) -> Dims:
    """The shape of an elementwise result of operands of shapes `a` and `b`.

    Raises:
        ValueError: they do not fit.
    """
    if a == b and a is not None and None not in a:
        return a
    if a is None or b is None:
        return None
    longer, shorter = (a, b) if len(a) >= len(b) else (b, a)
    lead = len(longer) - len(shorter)
    return (*longer[:lead], *map(_stretched, longer[lead:], shorter))


def _stretched(m: int | None, n: int | None) -> int | None:
    if m == n or n == 1:
        return m
    if m == 1:
        return n
    if m is None or n is None:
        return n if m is None else m
    raise ValueError(f"Incompatible shapes for broadcasting: {m} and {n}")


def merge(a: Dims, b: Dims) -> Dims:
    """What is known of a shape that is both `a` and `b`.

    Raises:
        ValueError: they contradict each other.
    """
    if a is None or b is None:
        return b if a is None else a
    if len(a) != len(b):
        raise ValueError(f"Shapes {TensorShape(a)} and {TensorShape(b)} must have the same rank")
    if any(m is not None and n is not None and m != n for m, n in zip(a, b, strict=True)):
        raise ValueError(f"Shapes {TensorShape(a)} and {TensorShape(b)} are not compatible")
    return tuple(n if m is None else m for m, n in zip(a, b, strict=True))


def size(shape: Dims) -> int | None:
    """The number of elements, or None if it is not known."""
    if shape is None or None in shape:
        return None
    count = 1
    for dim in shape:
        count *= dim  # type: ignore[operator]
    return count


def as_tuple(shape: Any) -> Dims:
    """`shape` (TensorShape, sequence, int or None) as a tuple."""
    if shape is None or shape.__class__ is tuple:
        return shape
    return as_shape(shape)._dims


def as_shape(shape: Any) -> TensorShape:
    """`shape` as a TensorShape."""
    return shape if isinstance(shape, TensorShape) else TensorShape(shape)


def _dimension(dim: Any) -> int | None:
    if dim is None or dim.__class__ is int:
        value = dim
    elif isinstance(dim, (str, bytes)):
        raise TypeError(
            f"Dimension value must be integer or None or have an __index__ method, got value "
            f"{dim!r} with type {type(dim)!r}"
        )
    else:
        try:
            value = dim.__index__()
        except (AttributeError, TypeError):
            raise TypeError(
                "Dimension value must be integer or None or have an __index__ method, got value "
                f"{dim!r} with type {type(dim)!r}"
            ) from None
    if value is not None and value < 0:
        if value == -1:
            return None
        raise ValueError(f"Dimension {value} must be >= 0")
    return value


@export("TensorShape")
class TensorShape:
    """The shape of a tensor: as many dimensions as its rank, each an int or None (unknown).

    Args:
        dims: sequence of ints and Nones, an int (one dimension), another shape, or None for an
            unknown rank.

    >>> tf.TensorShape([None, 3]).is_compatible_with([2, 3])
    True
    """

    __slots__ = ("_dims",)
    _dims: Dims

    def __init__(self, dims: Any = None) -> None:
        if dims.__class__ is tuple:
            for dim in dims:
                if dim.__class__ is not int or dim < 0:
                    self._dims = tuple(_dimension(dim) for dim in dims)
                    return
            self._dims = dims
        elif dims is None:
            self._dims = None
        elif isinstance(dims, TensorShape):
            self._dims = dims._dims
        elif isinstance(dims, (str, bytes)):
            raise TypeError(f"A shape is a sequence of dimensions, got {dims!r}")
        elif hasattr(dims, "dim"):
            unknown = getattr(dims, "unknown_rank", False)
            self._dims = None if unknown else tuple(_dimension(d.size) for d in dims.dim)
        elif hasattr(dims, "__iter__") and getattr(dims, "ndim", 1):
            self._dims = tuple(_dimension(dim) for dim in dims)
        else:
            self._dims = (_dimension(dims),)

    @property
    def rank(self) -> int | None:
        """The number of dimensions, or None."""
        return None if self._dims is None else len(self._dims)

    @property
    def ndims(self) -> int | None:
        """The number of dimensions, or None (older spelling of `rank`)."""
        return self.rank

    @property
    def dims(self) -> list[int | None] | None:
        """The dimensions as a list, or None."""
        return None if self._dims is None else list(self._dims)

    def as_list(self) -> list[int | None]:
        """The dimensions as a list.

        Raises:
            ValueError: unknown rank.
        """
        if self._dims is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(self._dims)

    def num_elements(self) -> int | None:
        """The number of elements, or None."""
        return size(self._dims)

    def is_fully_defined(self) -> bool:
        """Whether every dimension is known."""
        return self._dims is not None and None not in self._dims

    def assert_is_fully_defined(self) -> None:
        """Raise ValueError unless every dimension is known."""
        if not self.is_fully_defined():
            raise ValueError(f"Shape {self} is not fully defined")

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one tensor could have both shapes."""
        try:
            merge(self._dims, as_shape(other)._dims)
        except ValueError:
            return False
        return True

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise ValueError unless one tensor could have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {as_shape(other)} are incompatible")

    def is_subtype_of(self, other: Any) -> bool:
        """Whether every tensor of this shape has the shape `other` too."""
        dims = as_shape(other)._dims
        if dims is None:
            return True
        if self._dims is None or len(self._dims) != len(dims):
            return False
        return all(n is None or m == n for m, n in zip(self._dims, dims, strict=True))

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The shape that knows all that is true of both."""
        dims = as_shape(other)._dims
        if self._dims is None or dims is None or len(self._dims) != len(dims):
            return TensorShape(None)
        return TensorShape(
            tuple(m if m == n else None for m, n in zip(self._dims, dims, strict=True))
        )

    def merge_with(self, other: Any) -> TensorShape:
        """What is known of a tensor that has both shapes."""
        return TensorShape(merge(self._dims, as_shape(other)._dims))

    def concatenate(self, other: Any) -> TensorShape:
        """The dimensions of this shape followed by those of `other`."""
        dims = as_shape(other)._dims
        return TensorShape(None if self._dims is None or dims is None else self._dims + dims)

    def with_rank(self, rank: int) -> TensorShape:
        """This shape, known to have `rank` dimensions."""
        try:
            return self.merge_with((None,) * rank)
        except ValueError:
            raise ValueError(f"Shape {self} must have rank {rank}") from None

    def assert_has_rank(self, rank: int) -> None:
        """Raise ValueError unless the rank can be `rank`."""
        if self.rank not in (None, rank):
            raise ValueError(f"Shape {self} must have rank {rank}")

    def assert_same_rank(self, other: Any) -> None:
        """Raise ValueError unless both can have the same rank."""
        rank = as_shape(other).rank
        if self.rank is not None and rank is not None and self.rank != rank:
            raise ValueError(f"Shapes {self} and {as_shape(other)} must have the same rank")

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape, refused if it has fewer dimensions."""
        if self.rank is not None and self.rank < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape, refused if it has more dimensions."""
        if self.rank is not None and self.rank > rank:
            raise ValueError(f"Shape {self} must have rank at most {rank}")
        return self

    def __len__(self) -> int:
        if self._dims is None:
            raise ValueError("Cannot take the length of shape with unknown rank.")
        return len(self._dims)

    def __bool__(self) -> bool:
        return self._dims is not None

    def __iter__(self) -> Iterator[int | None]:
        if self._dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return iter(self._dims)

    def __getitem__(self, key: Any) -> Any:
        if self._dims is not None:
            part = self._dims[key]
            return TensorShape(part) if isinstance(key, slice) else part
        if not isinstance(key, slice):
            return None
        start, stop = key.start or 0, key.stop
        if key.step is not None:
            raise ValueError("Steps are not yet handled")
        if stop is None or start < 0 or stop < 0:
            return TensorShape(None)
        return TensorShape((None,) * max(stop - start, 0))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TensorShape):
            return self._dims == other._dims
        try:
            return self._dims == as_shape(other)._dims
        except (TypeError, ValueError):
            return False

    def __hash__(self) -> int:
        return hash(self._dims)

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return as_shape(other).concatenate(self)

    def __str__(self) -> str:
        if self._dims is None:
            return "<unknown>"
        if len(self._dims) == 1:
            return f"({self._dims[0]},)"
        return "(" + ", ".join(map(str, self._dims)) + ")"

    def __repr__(self) -> str:
        return f"TensorShape({None if self._dims is None else list(self._dims)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self._dims,)


@export("broadcast_static_shape")
def broadcast_static_shape(shape_x: TensorShape, shape_y: TensorShape) -> TensorShape:
    """The shape of an elementwise result of operands of two known shapes.

    Raises:
        ValueError: they do not fit.

    >>> tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3]))
    TensorShape([2, 3])
    """
    try:
        return TensorShape(broadcast(as_shape(shape_x)._dims, as_shape(shape_y)._dims))
    except ValueError:
        raise ValueError(
            f"Incompatible shapes for broadcasting: {as_shape(shape_x)} and {as_shape(shape_y)}."
        ) from None


__all__ = ["Sequence", "TensorShape", "as_shape", "as_tuple", "broadcast", "merge", "size"]
