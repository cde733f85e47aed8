"""How a combination accumulates: which registers, which update, what comes out of them.

Sums run in registers wide enough that their rounding does not show: float32 in float64, and
float64 beside a second register that holds what rounding lost. Read `ir.py` before.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops import ir
from headrace.compile.loops.complex import Complex, Scalar, raised
from headrace.compile.loops.expr import Expr, Read, cast, const, lift, select
from headrace.compile.loops.operations import compute, highest, letter, lowest, part

SPLITS = frozenset({"add", "mul", "max", "min", "and", "or", "exact_sum"})
"""The combinations whose parts may be accumulated apart and combined afterwards."""


class Register:
    """The accumulators of one combination (complex: one for each part).

    Args:
        combine: a name of `ir.COMBINE` with one operand.
        dtype: of the values, as arithmetic has it.
        init: the first value, or None for the identity.
        make: gives a fresh accumulator.
    """

    def __init__(
        self,
        combine: str,
        dtype: DType,
        init: Any,
        make: Callable[[str, DType], ir.Accumulator],
    ) -> None:
        self.dtype = dtype
        real = part(dtype)
        self.wide = combine == "add" and letter(real) == "f"
        self.exact = self.wide and real is dtypes.float64
        self.combine = combine
        self.real = dtypes.float64 if self.wide else real
        self.count = 2 if dtype.is_complex else 1
        first = identity(combine, real) if init is None else init
        self.first = parts(raised(first, dtype) if dtype.is_complex else fitted(first, dtype))
        names = [make("a", self.real) for _ in range(self.count)]
        self.registers = names
        self.lost = [make("a", self.real) for _ in range(self.count)] if self.exact else []

    def begin(self) -> tuple[ir.Statement, ...]:
        values = [cast(x, self.real) for x in self.first]
        begun = [ir.Begin(a, x) for a, x in zip(self.registers, values, strict=True)]
        return (*begun, *(ir.Begin(a, const(0, self.real)) for a in self.lost))

    def update(self, value: Scalar) -> tuple[ir.Statement, ...]:
        values = tuple(cast(x, self.real) for x in parts(value))
        if self.combine == "mul" and self.count == 2:
            return (ir.Update("complex_product", tuple(self.registers), values),)
        if self.exact:
            return tuple(
                ir.Update("exact_sum", (total, lost), (x,))
                for total, lost, x in zip(self.registers, self.lost, values, strict=True)
            )
        return tuple(
            ir.Update(self.combine, (a,), (x,))
            for a, x in zip(self.registers, values, strict=True)
        )

    def result(self) -> Scalar:
        found: list[Expr] = [Read(self.real, a) for a in self.registers]
        if self.exact:
            lost = [Read(self.real, a) for a in self.lost]
            found = [
                x + select(abs(y) < math.inf, y, const(0, self.real))
                for x, y in zip(found, lost, strict=True)
            ]
        real = part(self.dtype)
        narrow = [cast(x, real) for x in found]
        return Complex(self.dtype, *narrow) if self.count == 2 else narrow[0]


def identity(combine: str, dtype: DType) -> Any:
    """What combines with x to x."""
    match combine:
        case "add":
            return 0
        case "mul":
            return 1
        case "max":
            return lowest(dtype)
        case "min":
            return highest(dtype)
        case "and":
            return True if dtype.is_bool else (highest(dtype) if dtype.is_unsigned else -1)
        case "or":
            return False if dtype.is_bool else 0
    raise ValueError(f"Unknown combination {combine!r}.")


def fitted(value: Any, dtype: DType) -> Scalar:
    """What a rule gave, as a scalar of `dtype`: a number, or float32 for a 16-bit float.

    Raises:
        TypeError: another dtype.
    """
    if isinstance(value, Complex):
        if not dtype.is_complex or value.dtype is not dtype:
            raise TypeError(
                f"Expected a scalar of {dtype.name}, the rule gave {value.dtype.name}."
            )
        return value
    if dtype.is_complex:
        return raised(value, dtype)
    scalar = lift(value, dtype)
    if compute(scalar.dtype) is not compute(dtype):
        raise TypeError(
            f"Expected a scalar of {dtype.name}, the rule gave {scalar.dtype.name}."
        )
    return cast(scalar, dtype)


def parts(value: Scalar) -> tuple[Expr, ...]:
    """The real scalars that a scalar consists of."""
    return (value.re, value.im) if isinstance(value, Complex) else (value,)
