"""Shapes: `tf.TensorShape`, and the same rules on plain tuples.

Inside Headrace a shape is a tuple of ints in which `None` stands for an unknown dimension;
`None` instead of the tuple is a shape of unknown rank. `TensorShape` is what users see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from headrace.base.dimension import Dimension, checked
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
    try:
        return (*longer[:lead], *map(_stretched, longer[lead:], shorter))
    except ValueError:
        raise ValueError(
            "Incompatible shapes for broadcasting. Two shapes are compatible if for each "
            "dimension pair they are either equal or one of them is 1. Received: "
            f"{TensorShape(a)} and {TensorShape(b)}."
        ) from None


def _stretched(m: int | None, n: int | None) -> int | None:
    if m == n or n == 1:
        return m
    if m == 1:
        return n
    if m is None or n is None:
        return n if m is None else m
    raise ValueError


def merge(a: Dims, b: Dims) -> Dims:
    """What is known of a shape that is both `a` and `b`.

    Raises:
        ValueError: they contradict each other.
    """
    if not compatible(a, b):
        raise ValueError(f"Shapes {TensorShape(a)} and {TensorShape(b)} are not compatible")
    if a is None or b is None:
        return b if a is None else a
    return tuple([n if m is None else m for m, n in zip(a, b, strict=True)])


def compatible(a: Dims, b: Dims) -> bool:
    """Whether one tensor could have both shapes."""
    if a is None or b is None:
        return True
    if len(a) != len(b):
        return False
    for m, n in zip(a, b, strict=True):
        if m != n and m is not None and n is not None:
            return False
    return True


def common(a: Dims, b: Dims) -> Dims:
    """What is true of both shapes: dimensions that differ are unknown."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple([m if m == n else None for m, n in zip(a, b, strict=True)])


def size(shape: Dims) -> int | None:
    """The number of elements, or None if it is not known."""
    if shape is None or None in shape:
        return None
    count = 1
    for dim in shape:
        count *= dim  # type: ignore[operator]
    return count


def as_tuple(shape: Any) -> Dims:
    """`shape` (TensorShape, sequence, int or None) as a tuple, or None."""
    if shape is None or shape.__class__ is tuple:
        return shape
    return as_shape(shape)._dims


def as_shape(shape: Any) -> TensorShape:
    """`shape` as a TensorShape."""
    return shape if isinstance(shape, TensorShape) else TensorShape(shape)


def of(dims: Dims) -> TensorShape:
    """The TensorShape of a tuple that is known to be one, without checks."""
    shape = TensorShape.__new__(TensorShape)
    shape._dims = dims
    return shape


def _from_anything(dims: Any) -> Dims:
    if dims is None:
        return None
    if isinstance(dims, (tuple, list)):
        return tuple([checked(dim) for dim in dims])
    if isinstance(dims, TensorShape):
        return dims._dims
    if hasattr(dims, "unknown_rank"):  # a TensorShapeProto
        if dims.unknown_rank:
            return None
        return tuple([None if dim.size == -1 else checked(dim.size) for dim in dims.dim])
    try:
        sequence = iter(dims)
    except TypeError:
        return (checked(dims),)
    return tuple([_checked_part(dim, dims) for dim in sequence])


def _checked_part(dim: Any, dims: Any) -> int | None:
    try:
        return checked(dim)
    except TypeError:
        raise TypeError(
            f"Failed to convert '{dims!r}' to a shape: '{dim!r}'"
            "could not be converted to a dimension. A shape should either be single dimension "
            "(e.g. 10), or an iterable of dimensions (e.g. [1, 10, None])."
        ) from None


@export("TensorShape")
class TensorShape:
    """The shape of a tensor: as many dimensions as its rank, each an int or None (unknown).

    Args:
        dims: sequence of ints and Nones, an int (one dimension), another shape, or None for an
            unknown rank.
    Raises:
        TypeError: no dimensions. ValueError: negative ones.

    >>> tf.TensorShape([None, 3]).is_compatible_with([2, 3])
    True
    """

    __slots__ = ("_dims",)
    _dims: Dims

    def __init__(self, dims: Any) -> None:
        if dims.__class__ is tuple:
            for dim in dims:
                if dim.__class__ is not int or dim < 0:
                    break
            else:
                self._dims = dims
                return
        self._dims = _from_anything(dims)

    @property
    def rank(self) -> int | None:
        """The number of dimensions, or None."""
        return None if self._dims is None else len(self._dims)

    @property
    def ndims(self) -> int | None:
        """The number of dimensions, or None (older spelling of `rank`)."""
        return None if self._dims is None else len(self._dims)

    @property
    def dims(self) -> list[Dimension] | None:
        """The dimensions as a list of TensorFlow 1's Dimension, or None."""
        return None if self._dims is None else [Dimension(dim) for dim in self._dims]

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
        return compatible(self._dims, as_shape(other)._dims)

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise ValueError unless one tensor could have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {other} are incompatible")

    def is_subtype_of(self, other: Any) -> bool:
        """Whether every tensor of this shape has the TensorShape `other` too."""
        if not isinstance(other, TensorShape):
            return False
        return other._dims is None or other._dims == common(self._dims, other._dims)

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The shape that knows all that is true of both."""
        return of(common(self._dims, as_shape(other)._dims))

    def most_specific_common_supertype(self, others: Iterable[Any]) -> TensorShape | None:
        """The shape that knows all that is true of this one and `others`.

        None if one of them is no TensorShape.
        """
        dims = self._dims
        for other in others:
            if not isinstance(other, TensorShape):
                return None
            dims = common(dims, other._dims)
        return of(dims)

    def merge_with(self, other: Any) -> TensorShape:
        """What is known of a tensor that has both shapes.

        Raises:
            ValueError: they contradict each other.
        """
        return of(merge(self._dims, as_shape(other)._dims))

    def concatenate(self, other: Any) -> TensorShape:
        """The dimensions of this shape followed by those of `other`."""
        dims = as_shape(other)._dims
        return of(None if self._dims is None or dims is None else self._dims + dims)

    def with_rank(self, rank: int | None) -> TensorShape:
        """This shape, known to have `rank` dimensions; ValueError if it has not."""
        self.assert_has_rank(rank)
        return of((None,) * rank) if self._dims is None and rank is not None else self

    def assert_has_rank(self, rank: int | None) -> None:
        """Raise ValueError unless the rank can be `rank`."""
        if self._dims is not None and rank is not None and len(self._dims) != rank:
            raise ValueError(f"Shape {self} must have rank {rank}")

    def assert_same_rank(self, other: Any) -> None:
        """Raise ValueError unless both can have the same rank."""
        other = as_shape(other)
        if None not in (self.rank, other.rank) and self.rank != other.rank:
            raise ValueError(f"Shapes {self} and {other} must have the same rank")

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape; ValueError if it has fewer dimensions."""
        if self._dims is not None and len(self._dims) < rank:
            raise ValueError(f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape; ValueError if it has more dimensions."""
        if self._dims is not None and len(self._dims) > rank:
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
            return of(part) if part.__class__ is tuple else part
        if not isinstance(key, slice):
            return None
        if key.step is not None:
            raise ValueError("Steps are not yet handled")
        start, stop = key.start or 0, key.stop
        if stop is None or start < 0 or stop < 0:
            return of(None)
        return of((None,) * (stop - start))

    def __eq__(self, other: object) -> bool:
        try:
            return self._dims == as_shape(other)._dims
        except TypeError:
            return NotImplemented

    def __hash__(self) -> int:
        return hash(self._dims)

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return as_shape(other).concatenate(self)

    def __str__(self) -> str:
        return "<unknown>" if self._dims is None else str(self._dims)

    def __repr__(self) -> str:
        return f"TensorShape({None if self._dims is None else list(self._dims)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self._dims,)


@export("broadcast_static_shape")
def broadcast_static_shape(shape_x: TensorShape, shape_y: TensorShape) -> TensorShape:
    """The shape of an elementwise result of operands of two known shapes.

    Args:
        shape_x, shape_y: TensorShapes.
    Raises:
        ValueError: they do not fit.

    >>> tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3]))
    TensorShape([2, 3])
    """
    return of(broadcast(shape_x._dims, shape_y._dims))


@export("compat.dimension_at_index", "compat.v1.dimension_at_index")
def dimension_at_index(shape: TensorShape, index: int) -> Dimension:
    """The Dimension of a TensorShape at an index; unknown if the rank is.

    >>> tf.compat.dimension_at_index(tf.TensorShape([2, None]), 1)
    Dimension(None)
    """
    return Dimension(None) if shape.dims is None else shape.dims[index]
