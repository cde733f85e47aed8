"""LLVM text of operations and conversions, on scalars and on vectors of lanes alike.

Every function here gets operands that are all scalars or all vectors (`wide`). What LLVM can't
do on vectors (calls of the C library) is done lane by lane. Read `values.py` before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headrace.base import dtypes
from headrace.base.dtypes import DType
from headrace.compile.llvm import mathlib
from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.recipes import recipe
from headrace.compile.llvm.text import (
    Vector,
    element,
    in_lanes,
    lanes_of,
    literal,
    number,
    of_lanes,
    suffix,
    value_type,
)
from headrace.compile.loops.expr import Apply, Cast, Const, bounds
from headrace.compile.loops.operations import bits, letter

if TYPE_CHECKING:
    from headrace.compile.llvm.values import Emitter

OFTEN = 256
"""From so many turns of a loop on, functions are written into it. A call costs 1 ns a vector
(exp: 4.2 instead of 3.2), and a function written once more 2 ms of compilation."""

_PREDICATES = {  # signed, unsigned, float
    "eq": ("eq", "eq", "oeq"),
    "ne": ("ne", "ne", "une"),
    "lt": ("slt", "ult", "olt"),
    "le": ("sle", "ule", "ole"),
    "gt": ("sgt", "ugt", "ogt"),
    "ge": ("sge", "uge", "oge"),
}
_FLOAT = {
    "add": "fadd",
    "sub": "fsub",
    "mul": "fmul",
    "div": "fdiv",
    "neg": "fneg",
}
_INTEGER = {name: name for name in ("add", "sub", "mul", "and", "or", "xor")}


def operation(e: Emitter, x: Apply, args: list[str], wide: bool) -> str:
    """The value of an operation on operands that are emitted already."""
    dtype = x.args[0].dtype
    kind, types = letter(dtype), e.type(dtype, wide)
    if x.name in _PREDICATES:
        which = _PREDICATES[x.name]
        if kind == "f":
            return e.line(f"fcmp {which[2]} {types} {', '.join(args)}", wide)
        predicate = which[1] if kind in "bu" else which[0]
        return e.line(f"icmp {predicate} {types} {', '.join(args)}", wide)
    if x.name == "isnan":
        return e.line(f"fcmp uno {types} {args[0]}, {args[0]}", wide)
    if kind == "f":
        return _float(e, x.name, types, args, wide)
    simple = _INTEGER.get(x.name)
    if simple is not None:
        proven = " nsw" if x.known and simple in ("add", "sub", "mul") else ""
        return e.line(f"{simple}{proven} {types} {', '.join(args)}", wide)
    return _SPECIAL[x.name](e, x, types, args, wide)


def _float(e: Emitter, name: str, types: str, args: list[str], wide: bool) -> str:
    if name in _FLOAT:
        return e.line(f"{_FLOAT[name]} {types} {', '.join(args)}", wide)
    if name in ("min", "max"):
        order = "olt" if name == "min" else "ogt"
        bools = e.type(dtypes.bool, wide)
        nan = e.line(f"fcmp uno {types} {args[0]}, {args[0]}", wide)
        first = e.line(f"fcmp {order} {types} {', '.join(args)}", wide)
        either = e.line(f"or {bools} {nan}, {first}", wide)
        return e.line(f"select {bools} {either}, {types} {args[0]}, {types} {args[1]}", wide)
    if name in mathlib.INTRINSICS:
        symbol = f"@{mathlib.INTRINSICS[name]}.{suffix(types)}"
        declared = symbol, f"declare {types} {symbol}({', '.join([types] * len(args))})"
        return e.call(declared, types, ", ".join(f"{types} {a}" for a in args), wide)
    found = recipe(name, types, e.trips >= OFTEN)
    if found is not None:
        e.declarations |= found.declarations
        given = ", ".join(f"{types} {a}" for a in args)
        return e.call((found.symbol, found.definition), types, given, wide)
    if wide:
        return _by_lane(e, types, args, lambda one: _float(e, name, element(types), one, False))
    if types == "float" and name in mathlib.IN_DOUBLE:
        doubles = [e.line(f"fpext float {a} to double") for a in args]
        return e.line(f"fptrunc double {_float(e, name, 'double', doubles, False)} to float")
    given = ", ".join(f"{types} {a}" for a in args)
    return e.call(mathlib.declaration(name, types, len(args)), types, given)


def _by_lane(
    e: Emitter, types: str, args: list[str], compute: Callable[[list[str]], str]
) -> str:
    """One lane after the other."""
    found = "poison"
    for lane in range(lanes_of(types)):
        one = [e.line(f"extractelement {types} {a}, i64 {lane}") for a in args]
        value = compute(one)
        put = f"insertelement {types} {found}, {element(types)} {value}, i64 {lane}"
        found = e.line(put, True)
    return found


# Conversions


def conversion(e: Emitter, x: Cast, value: str, wide: bool) -> str:
    """The value of a cast whose operand is emitted already."""
    source, target = x.x.dtype, x.dtype
    a, b = e.type(source, wide), e.type(target, wide)
    if x.bitwise:
        return value if a == b else e.line(f"bitcast {a} {value} to {b}", wide)
    kinds = letter(source) + letter(target)
    if "h" in kinds:
        return _half(e, source, target, value, wide)
    match kinds:
        case "ff":
            word = "fpext" if bits(source) < bits(target) else "fptrunc"
            return e.line(f"{word} {a} {value} to {b}", wide)
        case "fb":
            return e.line(f"fcmp une {a} {value}, {literal(a, '0.0')}", wide)
        case "ib" | "ub":
            return e.line(f"icmp ne {a} {value}, {literal(a, '0')}", wide)
        case "fi" | "fu":
            return _truncate(e, a, value, target, wide)
        case "if":
            return e.line(f"sitofp {a} {value} to {b}", wide)
        case "uf" | "bf":
            return e.line(f"uitofp {a} {value} to {b}", wide)
    return _resize(e, a, value, b, kinds[0] == "i", wide)


def _resize(e: Emitter, a: str, value: str, b: str, signed: bool, wide: bool) -> str:
    if a == b:
        return value
    wider = int(element(b)[1:]) > int(element(a)[1:])
    word = ("sext" if signed else "zext") if wider else "trunc"
    return e.line(f"{word} {a} {value} to {b}", wide)


def _half(e: Emitter, source: DType, target: DType, value: str, wide: bool) -> str:
    if dtypes.float16 in (source, target) and "+f16c" in host().features:
        return _half_instruction(e, e.type(source, wide), value, e.type(target, wide), wide)
    to, text = {
        (dtypes.float32, dtypes.float16): ("to_half", mathlib.TO_HALF),
        (dtypes.float32, dtypes.bfloat16): ("to_bfloat", mathlib.TO_BFLOAT),
        (dtypes.float16, dtypes.float32): ("from_half", mathlib.FROM_HALF),
        (dtypes.bfloat16, dtypes.float32): ("from_bfloat", mathlib.FROM_BFLOAT),
    }[source, target]
    symbol = f"@hr.{to}"
    if wide:
        symbol, text = f"{symbol}.{e.lanes}", in_lanes(text, e.lanes)
        text = text.replace(f"@hr.{to}", symbol)
    return e.call((symbol, text), e.type(target, wide), f"{e.type(source, wide)} {value}", wide)


def _half_instruction(e: Emitter, a: str, value: str, b: str, wide: bool) -> str:
    """By the processor's own conversion; LLVM's type of a float16 occurs only here."""
    half = of_lanes("half", e.lanes) if wide else "half"
    if element(a) == "float":
        narrow = e.line(f"fptrunc {a} {value} to {half}", wide)
        return e.line(f"bitcast {half} {narrow} to {b}", wide)
    same = e.line(f"bitcast {a} {value} to {half}", wide)
    return e.line(f"fpext {half} {same} to {b}", wide)


def _truncate(e: Emitter, a: str, value: str, target: DType, wide: bool) -> str:
    """Towards zero; outside, what x86 gives (see `loops/interp.py`)."""
    width = 32 if bits(target) < 32 or target is dtypes.int32 else 64
    low, high = -(2.0 ** (width - 1)), 2.0 ** (width - 1)
    whole = of_lanes(f"i{width}", e.lanes) if wide else f"i{width}"
    words = f"fptosi {a} {value} to {whole}"
    found = _inside(e, a, value, low, high, words, whole, literal(whole, str(int(low))), wide)
    if target is dtypes.uint64:
        words = f"fptoui {a} {value} to {whole}"
        return _inside(e, a, value, high, 2.0**64, words, whole, found, wide)
    return _resize(e, whole, found, e.type(target, wide), True, wide)


def _inside(
    e: Emitter,
    a: str,
    x: str,
    low: float,
    high: float,
    words: str,
    whole: str,
    other: str,
    wide: bool,
) -> str:
    """What `words` computes where low <= x < high, else `other`."""
    bools = e.type(dtypes.bool, wide)
    above = e.line(f"fcmp oge {a} {x}, {literal(a, number(low))}", wide)
    below = e.line(f"fcmp olt {a} {x}, {literal(a, number(high))}", wide)
    both = e.line(f"and {bools} {above}, {below}", wide)
    found = e.line(words, wide)
    return e.line(f"select {bools} {both}, {whole} {found}, {whole} {other}", wide)


# Integer operations of more than one instruction


def _not(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    ones = literal(types, "true" if element(types) == "i1" else "-1")
    return e.line(f"xor {types} {args[0]}, {ones}", wide)


def _negative(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    return e.line(f"sub {types} {literal(types, '0')}, {args[0]}", wide)


def _extreme(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    unsigned = letter(x.dtype) in "bu"
    order = {"min": "lt", "max": "gt"}[x.name]
    bools = e.type(dtypes.bool, wide)
    first = e.line(f"icmp {'u' if unsigned else 's'}{order} {types} {', '.join(args)}", wide)
    return e.line(f"select {bools} {first}, {types} {args[0]}, {types} {args[1]}", wide)


def _divide(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    """Quotient or remainder. The divisor is not 0 where lanes count (elsewhere it becomes 1),
    but -1 would trap on the lowest number."""
    quotient = x.name.endswith("div")
    floor = x.name.startswith("floor")
    known, divisor = bounds(x.args[0]), x.args[1]
    positive = isinstance(divisor, Const) and divisor.value > 0
    bools, one = e.type(dtypes.bool, wide), literal(types, "1")
    by = args[1]
    mask = e.mask() if wide and not isinstance(divisor, Const) else None
    if mask is not None:
        by = e.line(f"select {bools} {mask}, {types} {by}, {types} {one}", True)
    if letter(x.dtype) == "u" or (positive and known is not None and known[0] >= 0):
        return e.line(f"{'udiv' if quotient else 'urem'} {types} {args[0]}, {by}", wide)
    if not positive:
        minus = e.line(f"icmp eq {types} {by}, {literal(types, '-1')}", wide)
        by = e.line(f"select {bools} {minus}, {types} {one}, {types} {by}", wide)
    rest = e.line(f"srem {types} {args[0]}, {by}", wide)
    found = e.line(f"sdiv {types} {args[0]}, {by}", wide) if quotient else rest
    if floor:
        found = _floored(e, types, rest, by, found, quotient, wide)
    if quotient and not positive:
        opposite = e.line(f"sub {types} {literal(types, '0')}, {args[0]}", wide)
        found = e.line(f"select {bools} {minus}, {types} {opposite}, {types} {found}", wide)
    return found


def _floored(
    e: Emitter, types: str, rest: str, by: str, found: str, quotient: bool, wide: bool
) -> str:
    zero, bools = literal(types, "0"), e.type(dtypes.bool, wide)
    signs = e.line(f"xor {types} {rest}, {by}", wide)
    differ = e.line(f"icmp slt {types} {signs}, {zero}", wide)
    some = e.line(f"icmp ne {types} {rest}, {zero}", wide)
    below = e.line(f"and {bools} {differ}, {some}", wide)
    step = literal(types, "-1") if quotient else by
    moved = e.line(f"add {types} {found}, {step}", wide)
    return e.line(f"select {bools} {below}, {types} {moved}, {types} {found}", wide)


def _shift(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    last, amount = bits(x.dtype) - 1, args[1]
    if not isinstance(x.args[1], Const) or not 0 <= x.args[1].value <= last:
        top, zero = literal(types, str(last)), literal(types, "0")
        bools = e.type(dtypes.bool, wide)
        signed = "u" if letter(x.dtype) == "u" else "s"
        over = e.line(f"icmp {signed}gt {types} {amount}, {top}", wide)
        amount = e.line(f"select {bools} {over}, {types} {top}, {types} {amount}", wide)
        if signed == "s":
            under = e.line(f"icmp slt {types} {amount}, {zero}", wide)
            amount = e.line(f"select {bools} {under}, {types} {zero}, {types} {amount}", wide)
    right = "lshr" if letter(x.dtype) == "u" else "ashr"
    return e.line(f"{'shl' if x.name == 'shl' else right} {types} {args[0]}, {amount}", wide)


def _upper(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    width = bits(x.dtype)
    twice = of_lanes(f"i{2 * width}", e.lanes) if wide else f"i{2 * width}"
    extend = "zext" if letter(x.dtype) == "u" else "sext"
    a, b = (e.line(f"{extend} {types} {v} to {twice}", wide) for v in args)
    product = e.line(f"mul {twice} {a}, {b}", wide)
    shifted = e.line(f"lshr {twice} {product}, {literal(twice, str(width))}", wide)
    return e.line(f"trunc {twice} {shifted} to {types}", wide)


def _power(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    if not wide:
        return e.call(mathlib.power(types), types, ", ".join(f"{types} {a}" for a in args))
    base, exponent = args
    mask = e.mask()
    if mask is not None:  # the loop over the exponent's bits ends for what counts
        bools, zero = e.type(dtypes.bool, True), literal(types, "0")
        exponent = e.line(f"select {bools} {mask}, {types} {exponent}, {types} {zero}", True)
    return _by_lane(
        e, types, [base, exponent], lambda one: _power(e, x, element(types), one, False)
    )


def _popcount(e: Emitter, x: Apply, types: str, args: list[str], wide: bool) -> str:
    symbol = f"@llvm.ctpop.{suffix(types)}"
    declared = symbol, f"declare {types} {symbol}({types})"
    return e.call(declared, types, f"{types} {args[0]}", wide)


_SPECIAL: dict[str, Callable[[Emitter, Apply, str, list[str], bool], str]] = {
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

__all__ = ["Vector", "conversion", "operation", "value_type"]
