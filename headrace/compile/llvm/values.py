"""LLVM text of scalar expressions: one method of `Emitter` for each kind of node.

Values live in LLVM's SSA names; accumulators in stack slots, which LLVM turns into registers.
bool is i1 in registers and a byte in memory; the 16-bit floats are i16 until they are widened.
Read `loops/expr.py` before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TypeAlias

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.llvm import mathlib
from headrace.compile.loops import ir
from headrace.compile.loops.expr import (
    Apply,
    Cast,
    Choose,
    Const,
    Expr,
    Index,
    Load,
    Read,
    bounds,
)
from headrace.compile.loops.operations import bits, letter, part

Seen: TypeAlias = dict[int, str]


def value_type(dtype: DType) -> str:
    """LLVM type of a scalar in a register."""
    kind = letter(dtype)
    if kind == "b":
        return "i1"
    if kind == "f":
        return "float" if dtype is dtypes.float32 else "double"
    return f"i{bits(dtype)}"


def memory_type(dtype: DType) -> str:
    """LLVM type of a scalar in memory."""
    return "i8" if letter(dtype) == "b" else value_type(dtype)


class Emitter:
    """Lines of one LLVM function, and what it declares."""

    def __init__(self, buffers: dict[int, str]) -> None:
        self.buffers = buffers
        self.declarations: dict[str, str] = {}
        self.allocations: list[str] = []
        self.lines: list[str] = []
        self.indices: dict[int, str] = {}
        self.registers: dict[int, str] = {}
        self.block = "entry"
        self._count = 0

    # Lines and blocks.

    def name(self) -> str:
        self._count += 1
        return f"%v{self._count}"

    def label(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    def line(self, text: str) -> str:
        """One instruction that has a result; gives the result's name."""
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    def jump(self, label: str) -> None:
        self.lines.append(f"  br label %{label}")

    def branch(self, condition: str, then: str, other: str) -> None:
        self.lines.append(f"  br i1 {condition}, label %{then}, label %{other}")

    def call(self, declared: tuple[str, str], result: str, arguments: str) -> str:
        symbol, declaration = declared
        self.declarations[symbol] = declaration
        return self.line(f"call {result} {symbol}({arguments})")

    # Memory and registers.

    def address(self, buffer: ir.Buffer, which: int, offset: str) -> str:
        stored = memory_type(part(buffer.dtype))
        if buffer.dtype.is_complex:
            offset = self.line(f"shl nsw i64 {offset}, 1")
            if which:
                offset = self.line(f"or disjoint i64 {offset}, 1")
        base = self.buffers[id(buffer)]
        return self.line(f"getelementptr inbounds {stored}, ptr {base}, i64 {offset}")

    def store(self, buffer: ir.Buffer, which: int, offset: str, x: Expr, seen: Seen) -> None:
        value, stored = self.value(x, seen), memory_type(x.dtype)
        if letter(x.dtype) == "b":
            value = self.line(f"zext i1 {value} to i8")
        place = self.address(buffer, which, offset)
        self.lines.append(f"  store {stored} {value}, ptr {place}")

    def register(self, accumulator: ir.Accumulator) -> None:
        if id(accumulator) not in self.registers:
            name = self.name()
            self.registers[id(accumulator)] = name
            self.allocations.append(f"  {name} = alloca {value_type(accumulator.dtype)}")

    def set(self, accumulator: ir.Accumulator, value: str) -> None:
        kind, place = value_type(accumulator.dtype), self.registers[id(accumulator)]
        self.lines.append(f"  store {kind} {value}, ptr {place}")

    # Expressions.

    def value(self, x: Expr, seen: Seen) -> str:
        """The operand that holds `x`; `seen` has what this place can see computed already."""
        key = id(x)
        if key not in seen:
            seen[key] = self._compute(x, seen)
        return seen[key]

    def _compute(self, x: Expr, seen: Seen) -> str:
        match x:
            case Const():
                return _constant(x)
            case Index():
                return self.indices[id(x)]
            case Read(dtype, accumulator):
                return self.line(
                    f"load {value_type(dtype)}, ptr {self.registers[id(accumulator)]}"
                )
            case Load():
                return self._load(x, seen)
            case Apply():
                return self._apply(x, [self.value(y, seen) for y in x.args])
            case Cast():
                return self._cast(x, self.value(x.x, seen))
            case Choose():
                return self._choose(x, seen)
        raise TypeError(x)

    def _load(self, x: Load, seen: Seen) -> str:
        place = self.address(x.buffer, x.part, self.value(x.offset, seen))
        found = self.line(f"load {memory_type(x.dtype)}, ptr {place}")
        return self.line(f"trunc i8 {found} to i1") if letter(x.dtype) == "b" else found

    def _choose(self, x: Choose, seen: Seen) -> str:
        kind = value_type(x.dtype)
        condition = self.value(x.condition, seen)
        if not x.lazy:
            then, other = self.value(x.then, seen), self.value(x.other, seen)
            return self.line(f"select i1 {condition}, {kind} {then}, {kind} {other}")
        labels = self.label("then"), self.label("else"), self.label("both")
        self.branch(condition, labels[0], labels[1])
        ends = []
        for label, side in zip(labels, (x.then, x.other), strict=False):
            self.start(label)
            value = self.value(side, dict(seen))
            ends.append(f"[ {value}, %{self.block} ]")
            self.jump(labels[2])
        self.start(labels[2])
        return self.line(f"phi {kind} {', '.join(ends)}")

    def _apply(self, x: Apply, args: list[str]) -> str:
        dtype = x.args[0].dtype
        kind, types = letter(dtype), value_type(dtype)
        if x.name in _PREDICATES:
            which = _PREDICATES[x.name]
            if kind == "f":
                return self.line(f"fcmp {which[2]} {types} {', '.join(args)}")
            predicate = which[1] if kind in "bu" else which[0]
            return self.line(f"icmp {predicate} {types} {', '.join(args)}")
        if x.name == "isnan":
            return self.line(f"fcmp uno {types} {args[0]}, {args[0]}")
        if kind == "f":
            return self._float(x.name, types, args)
        simple = _INTEGER.get(x.name)
        if simple is not None:
            proven = " nsw" if x.known and simple in ("add", "sub", "mul") else ""
            return self.line(f"{simple}{proven} {types} {', '.join(args)}")
        return _SPECIAL[x.name](self, x, types, args)

    def _float(self, name: str, types: str, args: list[str]) -> str:
        if name in _FLOAT:
            return self.line(f"{_FLOAT[name]} {types} {', '.join(args)}")
        if name in ("min", "max"):
            order = "olt" if name == "min" else "ogt"
            nan = self.line(f"fcmp uno {types} {args[0]}, {args[0]}")
            first = self.line(f"fcmp {order} {types} {', '.join(args)}")
            either = self.line(f"or i1 {nan}, {first}")
            return self.line(f"select i1 {either}, {types} {args[0]}, {types} {args[1]}")
        if types == "float" and name in mathlib.IN_DOUBLE:
            wide = [self.line(f"fpext float {a} to double") for a in args]
            return self.line(f"fptrunc double {self._float(name, 'double', wide)} to float")
        given = ", ".join(f"{types} {a}" for a in args)
        return self.call(mathlib.declaration(name, types, len(args)), types, given)

    # Casts.

    def _cast(self, x: Cast, value: str) -> str:
        source, target = x.x.dtype, x.dtype
        a, b = value_type(source), value_type(target)
        if x.bitwise:
            return value if a == b else self.line(f"bitcast {a} {value} to {b}")
        kinds = letter(source) + letter(target)
        if "h" in kinds:
            return self._half(source, target, value)
        match kinds:
            case "ff":
                word = "fpext" if bits(source) < bits(target) else "fptrunc"
                return self.line(f"{word} {a} {value} to {b}")
            case "fb":
                return self.line(f"fcmp une {a} {value}, 0.0")
            case "ib" | "ub":
                return self.line(f"icmp ne {a} {value}, 0")
            case "fi" | "fu":
                return self._truncate(a, value, target)
            case "if":
                return self.line(f"sitofp {a} {value} to {b}")
            case "uf" | "bf":
                return self.line(f"uitofp {a} {value} to {b}")
        return self._resize(a, value, b, signed=kinds[0] == "i")

    def _resize(self, a: str, value: str, b: str, signed: bool) -> str:
        if a == b:
            return value
        wider = int(b[1:]) > int(a[1:])
        word = ("sext" if signed else "zext") if wider else "trunc"
        return self.line(f"{word} {a} {value} to {b}")

    def _half(self, source: DType, target: DType, value: str) -> str:
        to, text = {
            (dtypes.float32, dtypes.float16): ("to_half", mathlib.TO_HALF),
            (dtypes.float32, dtypes.bfloat16): ("to_bfloat", mathlib.TO_BFLOAT),
            (dtypes.float16, dtypes.float32): ("from_half", mathlib.FROM_HALF),
            (dtypes.bfloat16, dtypes.float32): ("from_bfloat", mathlib.FROM_BFLOAT),
        }[source, target]
        declared = f"@hr.{to}", text
        return self.call(declared, value_type(target), f"{value_type(source)} {value}")

    def _truncate(self, a: str, value: str, target: DType) -> str:
        """Towards zero; outside, what x86 gives (see `loops/interp.py`)."""
        width = 32 if bits(target) < 32 or target is dtypes.int32 else 64
        low, high = -(2.0 ** (width - 1)), 2.0 ** (width - 1)
        found = self._inside(a, value, low, high, f"fptosi {a} {value} to i{width}", width)
        if target is dtypes.uint64:
            words = f"fptoui {a} {value} to i64"
            return self._inside(a, value, high, 2.0**64, words, 64, found)
        return self._resize(f"i{width}", found, value_type(target), signed=True)

    def _inside(
        self, a: str, x: str, low: float, high: float, words: str, width: int, other: str = ""
    ) -> str:
        above = self.line(f"fcmp oge {a} {x}, {_bits(low)}")
        below = self.line(f"fcmp olt {a} {x}, {_bits(high)}")
        both = self.line(f"and i1 {above}, {below}")
        found = self.line(words)
        other = other or str(-(2 ** (width - 1)))
        return self.line(f"select i1 {both}, i{width} {found}, i{width} {other}")


def _bits(value: float) -> str:
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _constant(x: Const) -> str:
    kind = letter(x.dtype)
    if kind == "f":
        return _bits(float(x.value))
    if kind == "h":
        bits_ = int.from_bytes(x.dtype.np.type(x.value).tobytes(), "little")
        return str(bits_)
    return str(x.value).lower()


# Names in LLVM: comparison as (signed, unsigned, float).

_PREDICATES = {
    "eq": ("eq", "eq", "oeq"),
    "ne": ("ne", "ne", "une"),
    "lt": ("slt", "ult", "olt"),
    "le": ("sle", "ule", "ole"),
    "gt": ("sgt", "ugt", "ogt"),
    "ge": ("sge", "uge", "oge"),
}
_FLOAT = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "neg": "fneg"}
_INTEGER = {name: name for name in ("add", "sub", "mul", "and", "or", "xor")}


# Integer operations of more than one instruction.


def _not(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    return e.line(f"xor {types} {args[0]}, {'true' if types == 'i1' else '-1'}")


def _negative(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    return e.line(f"sub {types} 0, {args[0]}")


def _extreme(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    unsigned = letter(x.dtype) in "bu"
    order = {"min": "lt", "max": "gt"}[x.name]
    first = e.line(f"icmp {'u' if unsigned else 's'}{order} {types} {', '.join(args)}")
    return e.line(f"select i1 {first}, {types} {args[0]}, {types} {args[1]}")


def _divide(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    """Quotient or remainder; the divisor is not 0 here, but -1 would trap on the lowest."""
    quotient = x.name.endswith("div")
    floor = x.name.startswith("floor")
    known, divisor = bounds(x.args[0]), x.args[1]
    positive = isinstance(divisor, Const) and divisor.value > 0
    if letter(x.dtype) == "u" or (positive and known is not None and known[0] >= 0):
        return e.line(f"{'udiv' if quotient else 'urem'} {types} {', '.join(args)}")
    by = args[1]
    if not positive:
        minus = e.line(f"icmp eq {types} {by}, -1")
        by = e.line(f"select i1 {minus}, {types} 1, {types} {by}")
    rest = e.line(f"srem {types} {args[0]}, {by}")
    found = e.line(f"sdiv {types} {args[0]}, {by}") if quotient else rest
    if floor:
        found = _floored(e, types, rest, by, found, quotient)
    if quotient and not positive:
        opposite = e.line(f"sub {types} 0, {args[0]}")
        found = e.line(f"select i1 {minus}, {types} {opposite}, {types} {found}")
    return found


def _floored(e: Emitter, types: str, rest: str, by: str, found: str, quotient: bool) -> str:
    signs = e.line(f"xor {types} {rest}, {by}")
    differ = e.line(f"icmp slt {types} {signs}, 0")
    some = e.line(f"icmp ne {types} {rest}, 0")
    below = e.line(f"and i1 {differ}, {some}")
    step = "-1" if quotient else by
    moved = e.line(f"add {types} {found}, {step}")
    return e.line(f"select i1 {below}, {types} {moved}, {types} {found}")


def _shift(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    top, amount = bits(x.dtype) - 1, args[1]
    if not isinstance(x.args[1], Const) or not 0 <= x.args[1].value <= top:
        signed = "u" if letter(x.dtype) == "u" else "s"
        over = e.line(f"icmp {signed}gt {types} {amount}, {top}")
        amount = e.line(f"select i1 {over}, {types} {top}, {types} {amount}")
        if signed == "s":
            under = e.line(f"icmp slt {types} {amount}, 0")
            amount = e.line(f"select i1 {under}, {types} 0, {types} {amount}")
    right = "lshr" if letter(x.dtype) == "u" else "ashr"
    return e.line(f"{'shl' if x.name == 'shl' else right} {types} {args[0]}, {amount}")


def _upper(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    width = bits(x.dtype)
    extend = "zext" if letter(x.dtype) == "u" else "sext"
    a, b = (e.line(f"{extend} {types} {v} to i{2 * width}") for v in args)
    product = e.line(f"mul i{2 * width} {a}, {b}")
    shifted = e.line(f"lshr i{2 * width} {product}, {width}")
    return e.line(f"trunc i{2 * width} {shifted} to {types}")


def _power(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    return e.call(mathlib.power(types), types, ", ".join(f"{types} {a}" for a in args))


def _popcount(e: Emitter, x: Apply, types: str, args: list[str]) -> str:
    return e.call(mathlib.popcount(types), types, f"{types} {args[0]}")


_SPECIAL: dict[str, Callable[[Emitter, Apply, str, list[str]], str]] = {
    "not": _not,
    "neg": _negative,
    "min": _extreme,
    "max": _extreme,
    "floordiv": _divide,
    "floormod": _divide,
    "truncdiv": _divide,
    "truncmod": _divide,
    "shl": _shift,
    "shr": _shift,
    "mulhi": _upper,
    "pow": _power,
    "popcount": _popcount,
}
