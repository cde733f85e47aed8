"""Scalar expressions: typed, immutable, and simplified while they are built.

A rule of an op record computes with these as if they were numbers; what it returns is the
program of one element. An expression is a graph: a node that is used twice is computed once.
Index arithmetic (int64) folds constants and knows the range of each loop index, so that
`i % n` is `i` where i < n, and a condition that always holds disappears.
Read `operations.py` before; `ir.py` (statements) and `complex.py` (pairs) after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops.operations import TABLE, bits, compute, letter, limits

if TYPE_CHECKING:
    from headrace.compile.loops.ir import Accumulator, Buffer

Range: TypeAlias = tuple[int, int] | None
Number: TypeAlias = bool | int | float


@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """Base of all expressions; the operators are those of Python, on equal dtypes."""

    dtype: DType

    def __add__(self, other: Operand) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return binary("floordiv", self, other)

    def __rfloordiv__(self, other: Operand) -> Expr:
        return binary("floordiv", other, self)

    def __mod__(self, other: Operand) -> Expr:
        return binary("floormod", self, other)

    def __rmod__(self, other: Operand) -> Expr:
        return binary("floormod", other, self)

    def __pow__(self, other: Operand) -> Expr:
        return binary("pow", self, other)

    def __rpow__(self, other: Operand) -> Expr:
        return binary("pow", other, self)

    def __and__(self, other: Operand) -> Expr:
        return binary("and", self, other)

    __rand__ = __and__

    def __or__(self, other: Operand) -> Expr:
        return binary("or", self, other)

    __ror__ = __or__

    def __xor__(self, other: Operand) -> Expr:
        return binary("xor", self, other)

    __rxor__ = __xor__

    def __lshift__(self, other: Operand) -> Expr:
        return binary("shl", self, other)

    def __rlshift__(self, other: Operand) -> Expr:
        return binary("shl", other, self)

    def __rshift__(self, other: Operand) -> Expr:
        return binary("shr", self, other)

    def __rrshift__(self, other: Operand) -> Expr:
        return binary("shr", other, self)

    def __neg__(self) -> Expr:
        return apply("neg", self)

    def __pos__(self) -> Expr:
        return self

    def __invert__(self) -> Expr:
        return apply("not", self)

    def __abs__(self) -> Expr:
        kind = letter(compute(self.dtype))
        if kind == "f":
            return apply("abs", self)
        return self if kind == "u" else select(self < 0, -self, self)

    def __eq__(self, other: Operand) -> Expr:  # type: ignore[override]
        return binary("eq", self, other)

    def __ne__(self, other: Operand) -> Expr:  # type: ignore[override]
        return binary("ne", self, other)

    def __lt__(self, other: Operand) -> Expr:
        return binary("lt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return binary("le", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return binary("gt", self, other)

    def __ge__(self, other: Operand) -> Expr:
        return binary("ge", self, other)

    __hash__ = object.__hash__

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "A scalar of compiled code has no truth value while it is built: "
            "write `b.where(condition, x, y)` instead of `x if condition else y`, and "
            "`p & q` instead of `p and q`."
        )


Operand: TypeAlias = Expr | bool | int | float


@dataclass(frozen=True, slots=True, eq=False)
class Const(Expr):
    value: Number


@dataclass(frozen=True, slots=True, eq=False)
class Index(Expr):
    """The counter of one loop, 0 <= index < extent."""

    name: str
    extent: int


@dataclass(frozen=True, slots=True, eq=False)
class Load(Expr):
    """Element `offset` (row-major) of a buffer; `part` 1 is the imaginary half."""

    buffer: Buffer
    offset: Expr
    part: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Read(Expr):
    """The present value of an accumulator."""

    accumulator: Accumulator


@dataclass(frozen=True, slots=True, eq=False)
class Apply(Expr):
    """An operation of `operations.TABLE`; `known` bounds an int64 result."""

    name: str
    args: tuple[Expr, ...]
    known: Range = None


@dataclass(frozen=True, slots=True, eq=False)
class Cast(Expr):
    """Conversion of the value; with `bitwise`, the same bits read as another dtype."""

    x: Expr
    bitwise: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Choose(Expr):
    """`then` where the condition holds, else `other`; `lazy`: the other is not evaluated."""

    condition: Expr
    then: Expr
    other: Expr
    lazy: bool = False


def operands(x: Expr) -> tuple[Expr, ...]:
    """The expressions that `x` is made of."""
    match x:
        case Apply():
            return x.args
        case Load():
            return (x.offset,)
        case Cast():
            return (x.x,)
        case Choose():
            return (x.condition, x.then, x.other)
        case _:
            return ()


def const(value: Any, dtype: DType) -> Const:
    """A constant; 16-bit floats are rounded to their dtype.

    Raises:
        TypeError: the number has no exact place in the dtype (a fraction in an integer).
    """
    kind = letter(dtype)
    if kind in "fh":
        return Const(dtype, float(dtype.np.type(value)))
    if kind == "b":
        if value not in (0, 1):
            raise TypeError(f"{value!r} is not a bool.")
        return Const(dtype, bool(value))
    low, high = limits(dtype)
    if isinstance(value, complex) or value != int(value) or not low <= value <= high:
        raise TypeError(f"{value!r} can't be a constant of dtype {dtype.name}; cast first.")
    return Const(dtype, int(value))


def lift(value: Any, dtype: DType) -> Expr:
    """`value` as an expression: a Python number takes `dtype`."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, bool | int | float | np.generic):
        return const(value, dtype)
    raise TypeError(f"Expected a scalar or a number, got {value!r}.")


def widen(x: Expr) -> Expr:
    """`x` in the dtype that arithmetic has: a 16-bit float becomes float32."""
    return cast(x, compute(x.dtype))


def binary(name: str, x: Any, y: Any) -> Expr:
    """`apply` for operands of which one may be a Python number (it takes the other's dtype)."""
    for value in (x, y):
        if not isinstance(value, Expr | bool | int | float | np.generic):
            return NotImplemented  # a complex pair has its own operators
    like = compute((x if isinstance(x, Expr) else y).dtype)
    a, b = lift(x, like), lift(y, like)
    if name in _OF_FLOATS and letter(like) == "f":
        return _OF_FLOATS[name](a, b)
    return apply(name, a, b)


def _floor_quotient(x: Expr, y: Expr) -> Expr:
    return apply("floor", apply("div", x, y))


def _floor_remainder(x: Expr, y: Expr) -> Expr:
    rest = apply("fmod", x, y)
    shifted = (rest != 0) & ((y < 0) != (rest < 0))
    return select(shifted, rest + y, rest)


_OF_FLOATS = {"floordiv": _floor_quotient, "floormod": _floor_remainder}


def apply(name: str, *args: Expr) -> Expr:
    """The operation `name` of `operations.TABLE` on scalars of one dtype, simplified.

    Raises:
        TypeError: different dtypes, or a dtype that the operation does not take.
    """
    operation = TABLE[name]
    args = tuple(widen(x) for x in args)
    dtype = args[0].dtype
    if len(args) != operation.arity or any(x.dtype is not dtype for x in args):
        raise TypeError(f"{name} of {', '.join(x.dtype.name for x in args)}: cast first.")
    if letter(dtype) not in operation.takes:
        raise TypeError(f"{name} is not defined on {dtype.name}.")
    result = dtypes.bool if operation.to_bool else dtype
    if dtype is dtypes.int64 or dtype is dtypes.bool:
        found = _fold(name, args, result)
        if found is not None:
            return found
        return Apply(result, name, args, _range(name, args) if dtype is dtypes.int64 else None)
    return Apply(result, name, args)


def cast(x: Expr, dtype: DType) -> Expr:
    """`x` converted: floats truncate towards zero, bool is `!= 0`; 16-bit through float32."""
    if x.dtype is dtype:
        return x
    if isinstance(x, Const) and letter(dtype) in "iub" and letter(x.dtype) in "iub":
        return _cast_integer(int(x.value), dtype)
    if isinstance(x, Const) and letter(dtype) == "f":
        return const(x.value, dtype)
    if letter(x.dtype) == "h":
        return cast(Cast(dtypes.float32, x), dtype)
    if letter(dtype) == "h":
        narrow = cast(x, dtypes.float32)
        if isinstance(narrow, Cast) and narrow.x.dtype is dtype and not narrow.bitwise:
            return narrow.x
        return Cast(dtype, narrow)
    return Cast(dtype, x)


def _cast_integer(value: int, dtype: DType) -> Const:
    if letter(dtype) == "b":
        return Const(dtype, value != 0)
    low, _ = limits(dtype)
    return Const(dtype, (value - low) % 2 ** bits(dtype) + low)


def bitcast(x: Expr, dtype: DType) -> Expr:
    """The bits of `x` read as `dtype`, which has the same width."""
    if letter(x.dtype) == "b" or letter(dtype) == "b" or bits(x.dtype) != bits(dtype):
        raise TypeError(f"bitcast from {x.dtype.name} to {dtype.name}: the widths differ.")
    return x if x.dtype is dtype else Cast(dtype, x, bitwise=True)


def select(condition: Expr, then: Expr, other: Expr, lazy: bool = False) -> Expr:
    """`then` where the bool scalar `condition` holds, else `other` (of the same dtype)."""
    if condition.dtype is not dtypes.bool or then.dtype is not other.dtype:
        raise TypeError(
            f"where({condition.dtype.name}, {then.dtype.name}, {other.dtype.name}): expected a "
            "bool and two scalars of one dtype."
        )
    if isinstance(condition, Const):
        return then if condition.value else other
    return Choose(then.dtype, condition, then, other, lazy)


# What is known of index arithmetic.


def bounds(x: Expr) -> Range:
    """Smallest and largest value that the int64 scalar `x` can have, if that is known."""
    match x:
        case Const():
            return (int(x.value), int(x.value))
        case Index():
            return (0, x.extent - 1) if x.extent > 0 else None
        case Apply():
            return x.known
        case Choose():
            a, b = bounds(x.then), bounds(x.other)
            return (min(a[0], b[0]), max(a[1], b[1])) if a and b else None
        case _:
            return None


def _range(name: str, args: tuple[Expr, ...]) -> Range:
    if name == "floormod" and isinstance(args[1], Const) and args[1].value > 0:
        return (0, int(args[1].value) - 1)
    known = [bounds(x) for x in args]
    if any(k is None for k in known):
        return None
    (a, b), (c, d) = known[0], known[-1]  # type: ignore[misc]
    match name:
        case "add":
            found = (a + c, b + d)
        case "sub":
            found = (a - d, b - c)
        case "neg":
            found = (-b, -a)
        case "mul":
            corners = (a * c, a * d, b * c, b * d)
            found = (min(corners), max(corners))
        case "floordiv" if c == d and c > 0:
            found = (a // c, b // c)
        case "min":
            found = (min(a, c), min(b, d))
        case "max":
            found = (max(a, c), max(b, d))
        case _:
            return None
    low, high = limits(dtypes.int64)
    return found if low <= found[0] and found[1] <= high else None


def _fold(name: str, args: tuple[Expr, ...], result: DType) -> Expr | None:
    """A simpler form of an operation on int64 or bool scalars, or None."""
    x, y = args[0], args[-1]
    if args[0].dtype is dtypes.bool:
        return _fold_bool(name, x, y)
    known = _range(name, args)
    if known is not None and known[0] == known[1]:
        return Const(result, known[0])
    if result is dtypes.bool:
        return _fold_comparison(name, x, y)
    left = x.value if isinstance(x, Const) else None
    right = y.value if isinstance(y, Const) else None
    if name == "add":
        return y if left == 0 else x if right == 0 else _gathered(x, y)
    if name == "sub":
        return x if right == 0 else None
    if name in ("min", "max"):
        return _fold_extreme(name, x, y)
    if name == "mul":
        return y if left == 1 else x if right == 1 else None
    if right is not None and right > 0 and name in ("floordiv", "floormod"):
        span = bounds(x)
        inside = span is not None and span[0] >= 0 and span[1] < right
        if inside:
            return x if name == "floormod" else const(0, result)
        return x if right == 1 and name == "floordiv" else _divided(name, x, int(right))
    return None


def _divided(name: str, x: Expr, n: int) -> Expr | None:
    """Quotient and remainder of a * k + r for a k that n divides."""
    match x:
        case Apply(_, "add", (Apply(_, "mul", (a, Const() as k)), r)) if k.value % n == 0:
            if bounds(x) is not None:
                return r % n if name == "floormod" else a * (int(k.value) // n) + r // n
    return None


def _gathered(x: Expr, y: Expr) -> Expr | None:
    """(x + 2) + 3 as x + 5."""
    if isinstance(y, Const) and isinstance(x, Apply) and x.name == "add":
        inner = x.args[1]
        if isinstance(inner, Const) and abs(inner.value + y.value) < 2**62:
            return apply("add", x.args[0], const(inner.value + y.value, x.dtype))
    return None


def _fold_extreme(name: str, x: Expr, y: Expr) -> Expr | None:
    """The smaller or larger of two numbers of which it is known which one that is."""
    a, b = bounds(x), bounds(y)
    if a is None or b is None or (a[1] > b[0] and b[1] > a[0]):
        return None
    return x if (a[1] <= b[0]) == (name == "min") else y


def _fold_comparison(name: str, x: Expr, y: Expr) -> Expr | None:
    if x is y:
        return const(name in ("eq", "le", "ge"), dtypes.bool)
    a, b = bounds(x), bounds(y)
    if a is None or b is None:
        return None
    match name:
        case "lt" | "ge":
            answer = True if a[1] < b[0] else False if a[0] >= b[1] else None
        case "le" | "gt":
            answer = True if a[1] <= b[0] else False if a[0] > b[1] else None
        case _:
            equal = a[0] == a[1] == b[0] == b[1]
            answer = True if equal else False if a[1] < b[0] or b[1] < a[0] else None
    if answer is None:
        return None
    return const(answer != (name in ("ge", "gt", "ne")), dtypes.bool)


def _fold_bool(name: str, x: Expr, y: Expr) -> Expr | None:
    if name == "not":
        return const(not x.value, dtypes.bool) if isinstance(x, Const) else None
    if name not in ("and", "or"):
        return None
    neutral = name == "and"
    for one, other in ((x, y), (y, x)):
        if isinstance(one, Const):
            return other if one.value is neutral else one
    return None
