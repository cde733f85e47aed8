"""One dimension of a shape: how its value is checked, and TensorFlow 1's `Dimension`.

A shape holds plain ints and Nones; `Dimension`, in which "unknown" spreads through arithmetic
and comparisons, is what `TensorShape.dims` and `tf.compat.v1` still speak.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from headrace.base.export import export


def checked(value: Any) -> int | None:
    """`value` as the int of a dimension, or None.

    Raises:
        TypeError: no integer. ValueError: a negative one.
    """
    if value.__class__ is not int:
        if value is None:
            return None
        if value.__class__ is Dimension:
            return value.value
        value = _integer(value)
    if value < 0:
        raise ValueError(f"Dimension {value} must be >= 0")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, int):
        return value
    try:
        index = value.__index__
    except AttributeError:
        raise TypeError(
            "Dimension value must be integer or None or have an __index__ method, "
            f"got value '{value!r}' with type '{type(value)!r}'"
        ) from None
    return index()


@export("compat.v1.Dimension")
class Dimension:
    """The size of one dimension, or that it is unknown.

    Args:
        value: int, None or another Dimension.
    Raises:
        TypeError: no integer. ValueError: a negative one.

    >>> tf.compat.v1.Dimension(3) + None
    Dimension(None)
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any) -> None:
        self._value = checked(value)

    @property
    def value(self) -> int | None:
        """The size, or None."""
        return self._value

    def is_compatible_with(self, other: Any) -> bool:
        """Whether both can be sizes of one dimension."""
        size = Dimension(other)._value
        return self._value is None or size is None or self._value == size

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raise ValueError unless both can be sizes of one dimension."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {self} and {Dimension(other)} are not compatible")

    def merge_with(self, other: Any) -> Dimension:
        """What is known of a dimension that has both sizes."""
        self.assert_is_compatible_with(other)
        return Dimension(other) if self._value is None else Dimension(self)

    def _computed(self, compute: Callable[[int, int], int], other: Any) -> Any:
        """A Dimension of the result; unknown if a side is."""
        try:
            size = checked(other)
        except (TypeError, ValueError):
            return NotImplemented
        if self._value is None or size is None:
            return Dimension(None)
        return Dimension(compute(self._value, size))

    def __add__(self, other: Any) -> Any:
        return self._computed(operator.add, other)

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __sub__(self, other: Any) -> Any:
        return self._computed(operator.sub, other)

    def __rsub__(self, other: Any) -> Any:
        return self._computed(lambda x, y: y - x, other)

    def __mul__(self, other: Any) -> Any:
        return self._computed(operator.mul, other)

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __floordiv__(self, other: Any) -> Any:
        return self._computed(operator.floordiv, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._computed(lambda x, y: y // x, other)

    def __mod__(self, other: Any) -> Any:
        return self._computed(operator.mod, other)

    def __rmod__(self, other: Any) -> Any:
        return self._computed(lambda x, y: y % x, other)

    def __truediv__(self, other: Any) -> Any:
        raise _no_fractions("Dimension", type(other).__name__)

    def __rtruediv__(self, other: Any) -> Any:
        raise _no_fractions(type(other).__name__, "Dimension")

    def _compared(self, compare: Callable[[int, int], bool], other: Any) -> Any:
        """True or False; None if a side is unknown."""
        size = checked(other)
        return None if self._value is None or size is None else compare(self._value, size)

    def __eq__(self, other: object) -> Any:
        try:
            return self._compared(operator.eq, other)
        except (TypeError, ValueError):
            return NotImplemented

    def __ne__(self, other: object) -> Any:
        try:
            return self._compared(operator.ne, other)
        except (TypeError, ValueError):
            return NotImplemented

    def __lt__(self, other: Any) -> Any:
        return self._compared(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compared(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compared(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compared(operator.ge, other)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __int__(self) -> int:
        return self._value  # type: ignore[return-value]

    def __index__(self) -> int:
        return self._value  # type: ignore[return-value]

    def __str__(self) -> str:
        return "?" if self._value is None else str(self._value)

    def __repr__(self) -> str:
        return f"Dimension({self._value})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Dimension, (self._value,)


def _no_fractions(left: str, right: str) -> TypeError:
    return TypeError(
        f"unsupported operand type(s) for /: '{left}' and '{right}', please use // instead"
    )


@export("compat.dimension_value", "compat.v1.dimension_value")
def dimension_value(dimension: Any) -> Any:
    """The int (or None) of a Dimension; anything else as it is.

    >>> tf.compat.dimension_value(tf.TensorShape([3])[0])
    3
    """
    return dimension.value if isinstance(dimension, Dimension) else dimension
