"""What recipes are written with: values that become LLVM text while one computes with them.

A recipe is a Python function `f(code, x) -> value`. The same function gives the text for one
element and for any number of lanes, in float32 and in float64. Integers have the width of the
floats, so that bits can be looked at. Branches cost all lanes: recipes choose with `select`.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.text import element, lanes_of, literal, number, of_lanes, suffix


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """An operand: its name in the text and its LLVM type. Python's operators write lines."""

    code: Code
    name: str
    type: str

    @property
    def is_float(self) -> bool:
        return element(self.type) in ("float", "double")

    def __add__(self, other: Operand) -> Value:
        return self.code.two("add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.code.two("add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.code.two("sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.code.two("sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.code.two("mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.code.two("mul", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return self.code.two("div", self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return self.code.two("div", other, self)

    def __and__(self, other: Operand) -> Value:
        return self.code.two("and", self, other)

    def __or__(self, other: Operand) -> Value:
        return self.code.two("or", self, other)

    def __xor__(self, other: Operand) -> Value:
        return self.code.two("xor", self, other)

    def __lshift__(self, other: Operand) -> Value:
        return self.code.two("shl", self, other)

    def __rshift__(self, other: Operand) -> Value:
        return self.code.two("ashr", self, other)

    def __neg__(self) -> Value:
        return self.code.line(f"fneg {self.type} {self.name}", self.type)

    def __gt__(self, other: Operand) -> Value:
        return self.code.compare("gt", self, other)

    def __lt__(self, other: Operand) -> Value:
        return self.code.compare("lt", self, other)

    def __ge__(self, other: Operand) -> Value:
        return self.code.compare("ge", self, other)

    def __le__(self, other: Operand) -> Value:
        return self.code.compare("le", self, other)

    def __eq__(self, other: Operand) -> Value:  # type: ignore[override]
        return self.code.compare("eq", self, other)

    def __ne__(self, other: Operand) -> Value:  # type: ignore[override]
        return self.code.compare("ne", self, other)

    __hash__ = object.__hash__


Operand: TypeAlias = Value | int | float
Recipe: TypeAlias = Callable[..., Value]


class Code:
    """The text of one recipe.

    Attributes:
        kind: `float` or `double`, what the recipe computes in.
        single: whether that is `float`.
        lanes: how many elements side by side.
    """

    def __init__(self, kind: str, lanes: int) -> None:
        self.kind, self.lanes = kind, lanes
        self.single = kind == "float"
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self._names = itertools.count()

    def twice(self) -> Code:
        """The same text, continued in float64."""
        other = Code("double", self.lanes)
        other.lines, other.declarations = self.lines, self.declarations
        other._names = self._names
        return other

    # Types

    def _wide(self, kind: str) -> str:
        return of_lanes(kind, self.lanes) if self.lanes > 1 else kind

    @property
    def floats(self) -> str:
        return self._wide(self.kind)

    @property
    def integers(self) -> str:
        return self._wide("i32" if self.single else "i64")

    @property
    def bools(self) -> str:
        return self._wide("i1")

    def pick(self, single: Any, double: Any) -> Any:
        """What belongs to the precision that the recipe is written in."""
        return single if self.single else double

    # Lines

    def line(self, text: str, kind: str) -> Value:
        name = f"%r{next(self._names)}"
        self.lines.append(f"  {name} = {text}")
        return Value(self, name, kind)

    def lift(self, x: Operand, kind: str) -> Value:
        """A number as a constant of a type."""
        if isinstance(x, Value):
            return x
        match element(kind):
            case "float":
                text = number(struct.unpack("f", struct.pack("f", x))[0])
            case "double":
                text = number(x)
            case _:
                text = str(int(x))
        return Value(self, literal(kind, text), kind)

    def const(self, x: float) -> Value:
        """A float constant."""
        return self.lift(x, self.floats)

    def two(self, name: str, x: Operand, y: Operand) -> Value:
        """An instruction with two operands of one type."""
        kind = x.type if isinstance(x, Value) else y.type  # type: ignore[union-attr]
        a, b = self.lift(x, kind), self.lift(y, kind)
        prefix = "f" if a.is_float else ""
        return self.line(f"{prefix}{name} {kind} {a.name}, {b.name}", kind)

    def compare(self, name: str, x: Value, y: Operand) -> Value:
        """False where an operand is NaN; `ne` is True there."""
        if x.is_float:
            word, order = "fcmp", "u" if name == "ne" else "o"
        else:
            word, order = "icmp", "" if name in ("eq", "ne") else "s"
        other = self.lift(y, x.type)
        return self.line(f"{word} {order}{name} {x.type} {x.name}, {other.name}", self.bools)

    def call(self, name: str, *args: Value) -> Value:
        """An intrinsic on values of one type."""
        kind = args[0].type
        symbol = f"@llvm.{name}.{suffix(kind)}"
        self.declarations[symbol] = f"declare {kind} {symbol}({', '.join([kind] * len(args))})"
        given = ", ".join(f"{kind} {a.name}" for a in args)
        return self.line(f"call {kind} {symbol}({given})", kind)

    # Floats

    def fma(self, x: Operand, y: Operand, z: Operand) -> Value:
        """x * y + z, rounded once."""
        kind = next(v.type for v in (x, y, z) if isinstance(v, Value))
        return self.call("fma", *(self.lift(v, kind) for v in (x, y, z)))

    def abs(self, x: Value) -> Value:
        return self.call("fabs", x)

    def sqrt(self, x: Value) -> Value:
        return self.call("sqrt", x)

    def rint(self, x: Value) -> Value:
        return self.call("rint", x)

    def copysign(self, x: Operand, sign: Value) -> Value:
        return self.call("copysign", self.lift(x, sign.type), sign)

    def select(self, condition: Value, x: Operand, y: Operand) -> Value:
        kind = next((v.type for v in (x, y) if isinstance(v, Value)), self.floats)
        a, b = self.lift(x, kind), self.lift(y, kind)
        given = f"{self.bools} {condition.name}, {kind} {a.name}, {kind} {b.name}"
        return self.line(f"select {given}", kind)

    def at_most(self, x: Value, limit: Operand) -> Value:
        """The smaller one; NaN where x is NaN."""
        return self.select(x > limit, limit, x)

    def at_least(self, x: Value, limit: Operand) -> Value:
        """The larger one; NaN where x is NaN."""
        return self.select(x < limit, limit, x)

    def poly(self, x: Value, coefficients: Sequence[float]) -> Value:
        """c0 + c1 x + c2 x^2 + ..., by Horner's rule."""
        found: Operand = coefficients[-1]
        for c in reversed(coefficients[:-1]):
            found = self.fma(found, x, c)
        assert isinstance(found, Value)
        return found

    # Bits

    def bits(self, x: Value) -> Value:
        """The bits of a float as an integer."""
        return self.line(f"bitcast {x.type} {x.name} to {self.integers}", self.integers)

    def of_bits(self, x: Value) -> Value:
        """The float that has the bits of an integer."""
        return self.line(f"bitcast {x.type} {x.name} to {self.floats}", self.floats)

    def to_float(self, x: Value) -> Value:
        """A small integer as a float."""
        return self.line(f"sitofp {x.type} {x.name} to {self.floats}", self.floats)

    def scale(self, x: Value, n: Value) -> Value:
        """x * 2 ** n, rounded once; n is whole, its size up to twice the exponents'."""
        each = self.pick(16, 8)
        if self.lanes % each == 0 and "+avx512f" in host().features:
            return self._by_vectors(self._scale_instruction, each, x, n)
        shifter, mantissa, bias = self.pick((1.5 * 2.0**23, 23, 127), (1.5 * 2.0**52, 52, 1023))
        exponent = self.bits(n + shifter) - self.bits(self.const(shifter))
        half = exponent >> 1
        first = self.of_bits((half + bias) << mantissa)
        second = self.of_bits(((exponent - half) + bias) << mantissa)
        return x * first * second

    def _scale_instruction(self, x: Value, n: Value) -> Value:
        kind, mask = x.type, self.pick("i16", "i8")
        symbol = f"@llvm.x86.avx512.mask.scalef.{self.pick('ps', 'pd')}.512"
        declared = f"declare {kind} {symbol}({kind}, {kind}, {kind}, {mask}, i32)"
        self.declarations[symbol] = declared
        values = f"{kind} {x.name}, {kind} {n.name}, {kind} zeroinitializer"
        return self.line(f"call {kind} {symbol}({values}, {mask} -1, i32 4)", kind)

    def _by_vectors(self, compute: Recipe, each: int, *args: Value) -> Value:
        """What `compute` gives for so many lanes of its arguments at a time."""
        parts = []
        for start in range(0, self.lanes, each):
            lanes = range(start, start + each)
            parts.append(compute(*(self._shuffled(a, a, lanes) for a in args)))
        while len(parts) > 1:
            lanes = range(2 * lanes_of(parts[0].type))
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [self._shuffled(a, b, lanes) for a, b in pairs]
        return parts[0]

    def _shuffled(self, x: Value, y: Value, lanes: Sequence[int]) -> Value:
        """The chosen lanes of two vectors in a row."""
        if len(lanes) == lanes_of(x.type):
            return x
        chosen = ", ".join(f"i32 {k}" for k in lanes)
        mask = f"<{len(lanes)} x i32> <{chosen}>"
        text = f"shufflevector {x.type} {x.name}, {y.type} {y.name}, {mask}"
        return self.line(text, of_lanes(element(x.type), len(lanes)))

    # What is seldom needed

    def unless(self, hard: Value, found: Value, function: str, x: Value) -> Value:
        """`found`; but where `hard` holds in some lane, the C library's function in all."""
        some = hard
        if self.lanes > 1:
            symbol = f"@llvm.vector.reduce.or.{suffix(self.bools)}"
            self.declarations[symbol] = f"declare i1 {symbol}({self.bools})"
            some = self.line(f"call i1 {symbol}({self.bools} {hard.name})", "i1")
        symbol = self._library(function)
        self.lines += [f"  br i1 {some.name}, label %hard, label %easy", "hard:"]
        slow = self.line(f"call {x.type} {symbol}({x.type} {x.name})", x.type)
        self.lines += ["  br label %easy", "easy:"]
        sides = f"[ {found.name}, %entry ], [ {slow.name}, %hard ]"
        return self.line(f"phi {x.type} {sides}", x.type)

    def _library(self, function: str) -> str:
        """The symbol of a function of the C library, on all lanes."""
        name = function + self.pick("f", "")
        self.declarations[f"@{name}"] = f"declare {self.kind} @{name}({self.kind}) #0"
        if self.lanes == 1:
            return f"@{name}"
        symbol, text = one_by_one(name, self.kind, self.lanes)
        self.declarations[symbol] = text
        return symbol

    # Twice the precision

    def widen(self, x: Value) -> Value:
        """A float32 as a float64."""
        return self.line(f"fpext {x.type} {x.name} to {self.floats}", self.floats)

    def narrow(self, x: Value) -> Value:
        """A float64 rounded to float32."""
        return self.line(f"fptrunc {x.type} {x.name} to {self.floats}", self.floats)


def one_by_one(name: str, kind: str, lanes: int) -> tuple[str, str]:
    """Symbol and text of a function that calls another for one lane after the other."""
    whole = of_lanes(kind, lanes)
    symbol = f"@hr.each.{name}.{lanes}"
    return (
        symbol,
        f"""\
define internal {whole} {symbol}({whole} %x) noinline #0 {{
entry:
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %next, %loop ]
  %given = phi {whole} [ %x, %entry ], [ %found, %loop ]
  %one = extractelement {whole} %given, i64 %k
  %y = call {kind} @{name}({kind} %one)
  %found = insertelement {whole} %given, {kind} %y, i64 %k
  %next = add nuw nsw i64 %k, 1
  %more = icmp ult i64 %next, {lanes}
  br i1 %more, label %loop, label %end
end:
  ret {whole} %found
}}""",
    )
