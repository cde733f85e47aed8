"""What can go wrong in a conversion, and values that stand for names without a value."""

from __future__ import annotations

from typing import Any

GUIDE = (
    "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/python/autograph/g3doc/"
    "reference/limitations.md#consistency-of-control-flow-types"
)

NONRETURNING = (
    "a return statement cannot be placed inside this TensorFlow loop; this may happen if a "
    "return statement depends on a static Python condition such as a hyperparameter"
)
MIXED_FOR = (
    "break and return statements which depend on a TF condition are not supported in Python "
    f"for loops. Did you intend to make it a TF loop?\nSee {GUIDE} for more info."
)


class NotConverted(Exception):
    """The function has something that is not converted; it runs as it is."""


class ConversionError(Exception):
    """Something was to be converted that is no Python function, or cannot be."""


class SourceNotFound(NotConverted):
    """There is no source to convert."""


class Undefined:
    """Stands in a local variable that has no value yet.

    Reads of variables that may hold it go through `ld`, which raises Python's error.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<undefined {self.name}>"


class UndefinedReturn(Undefined):
    """Stands for what a function returns while it has not come to a `return`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("return value")


class PendingReturn(UndefinedReturn):
    """The same where a `return` is sure to come, or in a loop: that `return` shows its form."""

    __slots__ = ()


def ld(value: Any) -> Any:
    """The value of a variable.

    Raises:
        UnboundLocalError: it has none.
    """
    if isinstance(value, Undefined):
        raise UnboundLocalError(f"'{value.name}' is used before assignment")
    return value


def ldu(read: Any, name: str) -> Any:
    """What `read` gives, or an `Undefined` if there is nothing to read."""
    try:
        return read()
    except (NameError, AttributeError, KeyError, IndexError):
        return Undefined(name)


__all__ = [
    "ConversionError",
    "MIXED_FOR",
    "NONRETURNING",
    "NotConverted",
    "PendingReturn",
    "SourceNotFound",
    "Undefined",
    "UndefinedReturn",
    "ld",
    "ldu",
]
