"""Names of types and constants in LLVM's text, for scalars and for vectors of lanes."""

from __future__ import annotations

import re
import struct
from functools import cache

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.loops.expr import Const
from headrace.compile.loops.operations import bits, letter


class Vector(str):
    """An operand that is a vector, one value for each lane."""

    __slots__ = ()


@cache
def value_type(dtype: DType) -> str:
    """LLVM type of a scalar in a register."""
    kind = letter(dtype)
    if kind == "b":
        return "i1"
    if kind == "f":
        return "float" if dtype is dtypes.float32 else "double"
    return f"i{bits(dtype)}"


@cache
def memory_type(dtype: DType) -> str:
    """LLVM type of a scalar in memory."""
    return "i8" if letter(dtype) == "b" else value_type(dtype)


@cache
def of_lanes(kind: str, lanes: int) -> str:
    """The type of a vector."""
    return f"<{lanes} x {kind}>"


@cache
def element(kind: str) -> str:
    """The type of one lane; of a scalar, itself."""
    return kind[1:-1].partition(" x ")[2] if kind.startswith("<") else kind


def lanes_of(kind: str) -> int:
    """How many lanes a type has; 1 for a scalar."""
    return int(kind[1:].partition(" ")[0]) if kind.startswith("<") else 1


@cache
def suffix(kind: str) -> str:
    """LLVM's name of a type in names of intrinsics: `f32`, `v16f32`."""
    one = {"float": "f32", "double": "f64"}.get(element(kind), element(kind))
    return f"v{lanes_of(kind)}{one}" if kind.startswith("<") else one


def splat_literal(kind: str, literal: str) -> Vector:
    """A constant in all lanes; `kind` is the type of one."""
    return Vector(f"splat ({kind} {literal})")


def literal(kind: str, value: str) -> str:
    """A constant of a type that may be a vector."""
    return splat_literal(element(kind), value) if kind.startswith("<") else value


def number(value: float) -> str:
    """A float constant, exactly."""
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def constant(x: Const) -> str:
    """A constant scalar."""
    kind = letter(x.dtype)
    if kind == "f":
        return number(float(x.value))
    if kind == "h":
        return str(int.from_bytes(x.dtype.np.type(x.value).tobytes(), "little"))
    return str(x.value).lower()


_TOKEN = re.compile(r"(?P<type>\b(?:i\d+|float)\b)|(?<=[ ,])(?P<literal>-?\d[\w.+-]*)(?=,|$)")


@cache
def in_lanes(function: str, lanes: int) -> str:
    """The text of a branch-free function of scalars as one of vectors.

    Its types are written before the operands, as LLVM has them, and its constants take the
    last of these types.
    """
    lines = []
    for text in function.splitlines():
        kind = ""

        def changed(match: re.Match[str]) -> str:
            nonlocal kind
            if match["type"]:
                kind = match["type"]
                return of_lanes(kind, lanes)
            return splat_literal(kind, match["literal"])

        lines.append(_TOKEN.sub(changed, text))
    return "\n".join(lines)
