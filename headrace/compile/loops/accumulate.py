"""How a combination accumulates: which registers, which update, what comes out of them.

Registers have the dtype that arithmetic has. A long sum of floats stays exact because the
schedule splits it: short sums side by side, then sums of those. Read `ir.py` before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.base.dtypes import DType
from headrace.compile.loops import ir
from headrace.compile.loops.complex import Complex, Scalar, raised
from headrace.compile.loops.expr import Expr, Read, cast, lift
from headrace.compile.loops.operations import compute, highest, lowest, part

SPLITS = frozenset({"add", "mul", "max", "min", "and", "or"})
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
        self.combine = combine
        self.real = part(dtype)
        self.count = 2 if dtype.is_complex else 1
        first = identity(combine, self.real) if init is None else init
        self.first = parts(raised(first, dtype) if dtype.is_complex else fitted(first, dtype))
        self.registers = [make("a", self.real) for _ in range(self.count)]

    def begin(self) -> tuple[ir.Statement, ...]:
        pairs = zip(self.registers, self.first, strict=True)
        return tuple(ir.Begin(a, x) for a, x in pairs)

    def update(self, value: Scalar) -> tuple[ir.Statement, ...]:
        values = parts(value)
        if self.combine == "mul" and self.count == 2:
            return (ir.Update("complex_product", tuple(self.registers), values),)
        pairs = zip(self.registers, values, strict=True)
        return tuple(ir.Update(self.combine, (a,), (x,)) for a, x in pairs)

    def result(self) -> Scalar:
        found = [Read(self.real, a) for a in self.registers]
        return Complex(self.dtype, *found) if self.count == 2 else found[0]


def carried(body: Sequence[ir.Statement]) -> list[ir.Update]:
    """One update for each accumulator that begins outside of a body."""
    found: dict[int, ir.Update] = {}
    begun: set[int] = set()
    for statement in ir.statements(tuple(body)):
        if isinstance(statement, ir.Begin):
            begun.add(id(statement.accumulator))
        elif isinstance(statement, ir.Update):
            found.setdefault(id(statement.accumulators[0]), statement)
    return [update for key, update in found.items() if key not in begun]


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
