"""The operations of the loop language: name, number of operands, which types they take.

One table, read by the constructors in `expr.py` (what is allowed), by `verify.py` (is it so),
by `interp.py` and `llvm/emit.py` (which must know every name in it). Types are told apart by
letter: b bool, i signed and u unsigned integers, f float32 and float64, h the 16-bit floats,
which are storage only: nothing but moving, choosing and casting is done with them.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from headrace.base import dtypes
from headrace.base.dtypes import DType


class Operation(NamedTuple):
    """`takes`: letters of the operands' types; `to_bool`: the result is bool."""

    arity: int
    takes: str
    to_bool: bool = False


def _table() -> dict[str, Operation]:
    table = {name: Operation(2, "iuf") for name in ("add", "sub", "mul", "pow")}
    table |= {name: Operation(2, "biuf") for name in ("min", "max")}
    for name in ("floordiv", "floormod", "truncdiv", "truncmod", "shl", "shr", "mulhi"):
        table[name] = Operation(2, "iu")
    for name in ("and", "or", "xor"):
        table[name] = Operation(2, "biu")
    for name in ("eq", "ne"):
        table[name] = Operation(2, "biuf", to_bool=True)
    for name in ("lt", "le", "gt", "ge"):
        table[name] = Operation(2, "biuf", to_bool=True)
    for name in ("div", "fmod", "copysign", "atan2", "hypot", "nextafter"):
        table[name] = Operation(2, "f")
    for name in FLOAT_FUNCTIONS:
        table[name] = Operation(1, "f")
    table |= {"not": Operation(1, "biu"), "neg": Operation(1, "iuf")}
    table |= {"popcount": Operation(1, "iu"), "isnan": Operation(1, "f", to_bool=True)}
    return table


FLOAT_FUNCTIONS = (
    "abs floor ceil rint trunc sqrt exp expm1 log log1p sin cos tan asin acos atan "
    "sinh cosh tanh asinh acosh atanh erf erfc lgamma sigmoid softplus"
).split()

TABLE: dict[str, Operation] = _table()

_HALVES = (dtypes.float16, dtypes.bfloat16)
_REAL_PARTS = {dtypes.complex64: dtypes.float32, dtypes.complex128: dtypes.float64}


@cache
def letter(dtype: DType) -> str:
    """The class of a real dtype: one of `b i u f h`."""
    if dtype.is_bool:
        return "b"
    if dtype in _HALVES:
        return "h"
    if dtype.is_floating:
        return "f"
    if dtype.is_integer:
        return "u" if dtype.is_unsigned else "i"
    raise TypeError(f"{dtype.name} has no scalars in compiled code.")


@cache
def bits(dtype: DType) -> int:
    """Width of one scalar in memory (bool: 8)."""
    return 8 * dtype.np.itemsize


def compute(dtype: DType) -> DType:
    """The dtype of arithmetic on `dtype`: float32 for the 16-bit floats, else itself."""
    return dtypes.float32 if dtype in _HALVES else dtype


def part(dtype: DType) -> DType:
    """The dtype of one part of a complex dtype; a real dtype itself."""
    return _REAL_PARTS.get(dtype, dtype)


@cache
def limits(dtype: DType) -> tuple[int, int]:
    """Smallest and largest value of an integer dtype."""
    width = bits(dtype)
    return (
        (0, 2**width - 1) if dtype.is_unsigned else (-(2 ** (width - 1)), 2 ** (width - 1) - 1)
    )


def lowest(dtype: DType) -> int | float:
    """What every value of `dtype` is greater than or equal to."""
    if dtype.is_bool:
        return False
    return limits(dtype)[0] if letter(dtype) in "iu" else float("-inf")


def highest(dtype: DType) -> int | float:
    """What every value of `dtype` is less than or equal to."""
    if dtype.is_bool:
        return True
    return limits(dtype)[1] if letter(dtype) in "iu" else float("inf")
