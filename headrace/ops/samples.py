"""Descriptions of inputs on which the tests try an op. They are descriptions, not arrays, so
that importing an op record costs nothing; `tests/ops/` turns them into values."""

from __future__ import annotations

from typing import Any


class S:
    """One sample of an op: shapes or values of its operands, and its attributes.

    `S(3, 4)` is one operand of shape `[3, 4]`, `S()` a scalar, `S(0)` an empty vector;
    `S((3, 4), (4,))` are two operands. `values=` gives numbers instead of shapes: a list for
    one operand, a tuple of lists for several. Every other keyword is an attribute or a static
    input.

    Args:
        values: the operands' values, instead of shapes.
        dtype: only with this dtype (a name), or a tuple with one name an operand (None: any).
        low, high: the range of the random values (a tuple: one an operand).
        grad: whether the gradient is checked here (not where the op has a kink).
    """

    def __init__(
        self,
        *shapes: Any,
        values: Any = None,
        dtype: Any = None,
        low: Any = -2.0,
        high: Any = 2.0,
        grad: bool = True,
        **attrs: Any,
    ) -> None:
        if all(isinstance(dim, int) for dim in shapes):
            shapes = (tuple(shapes),)
        self.shapes: tuple[tuple[int, ...], ...] = tuple(tuple(shape) for shape in shapes)
        self.values = values
        self.dtype = dtype
        self.low, self.high = low, high
        self.grad = grad
        self.attrs = attrs

    def __repr__(self) -> str:
        what = f"values={self.values}" if self.values is not None else f"{self.shapes}"
        return f"{type(self).__name__}({what}, dtype={self.dtype}, {self.attrs})"


class Bad(S):
    """A sample that must be refused.

    Args:
        match: regular expression that the error's text must contain.
        error: name of the error class, of `tf.errors` or of Python.
    """

    def __init__(
        self, *shapes: Any, match: str, error: str = "InvalidArgumentError", **options: Any
    ) -> None:
        super().__init__(*shapes, **options)
        self.match, self.error = match, error
