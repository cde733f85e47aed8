"""What loops need and LLVM has no instruction for: functions, as LLVM text.

Three kinds: intrinsics that become instructions (sqrt, floor), functions of the C math library
that have no recipe (see `recipes`), found by name in the process, and helpers written out here
because compiled code can't link to LLVM's own (16-bit floats) or there are none (integer
powers). A helper is defined in each module that uses it, so that an object file depends on
nothing but the C library.
"""

from __future__ import annotations

INTRINSICS = {
    "abs": "llvm.fabs",
    "sqrt": "llvm.sqrt",
    "floor": "llvm.floor",
    "ceil": "llvm.ceil",
    "trunc": "llvm.trunc",
    "rint": "llvm.rint",
    "copysign": "llvm.copysign",
}

# Functions of the C library, whose names are ours: `exp`, and `expf` for float32.
LIBRARY = frozenset("erf erfc lgamma pow hypot fmod nextafter".split())

# float32 functions whose C library version is far from correctly rounded: float64 inside.
IN_DOUBLE = frozenset({"lgamma"})

PURE = "attributes #0 = { nounwind willreturn memory(none) }"


def suffix(llvm_type: str) -> str:
    """LLVM's name of a float type in names of intrinsics."""
    return {"float": "f32", "double": "f64"}[llvm_type]


def declaration(name: str, llvm_type: str, arity: int) -> tuple[str, str]:
    """Symbol and declaration of a function of `operations.TABLE`."""
    arguments = ", ".join([llvm_type] * arity)
    if name in INTRINSICS:
        symbol = f"@{INTRINSICS[name]}.{suffix(llvm_type)}"
        return symbol, f"declare {llvm_type} {symbol}({arguments})"
    if name not in LIBRARY:
        raise ValueError(f"LLVM and the C library have no {name!r}.")
    symbol = f"@{name}{'f' if llvm_type == 'float' else ''}"
    return symbol, f"declare {llvm_type} {symbol}({arguments}) #0"


def popcount(llvm_type: str) -> tuple[str, str]:
    """Symbol and declaration of the bit count of an integer type."""
    symbol = f"@llvm.ctpop.{llvm_type}"
    return symbol, f"declare {llvm_type} {symbol}({llvm_type})"


def power(llvm_type: str) -> tuple[str, str]:
    """x to the power y by squaring, wrapping; y below 0 is refused before."""
    symbol = f"@hr.power.{llvm_type}"
    return symbol, _POWER.replace("@NAME", symbol).replace("TYPE", llvm_type)


_POWER = """\
define internal TYPE @NAME(TYPE %x, TYPE %y) #0 {
entry:
  br label %loop
loop:
  %base = phi TYPE [ %x, %entry ], [ %squared, %body ]
  %rest = phi TYPE [ %y, %entry ], [ %halved, %body ]
  %found = phi TYPE [ 1, %entry ], [ %next, %body ]
  %done = icmp eq TYPE %rest, 0
  br i1 %done, label %exit, label %body
body:
  %odd = trunc TYPE %rest to i1
  %times = mul TYPE %found, %base
  %next = select i1 %odd, TYPE %times, TYPE %found
  %squared = mul TYPE %base, %base
  %halved = lshr TYPE %rest, 1
  br label %loop
exit:
  ret TYPE %found
}"""

# 16-bit floats. Rounding is to nearest, ties to even; NaN stays a quiet NaN.

TO_BFLOAT = """\
define internal i16 @hr.to_bfloat(float %x) alwaysinline #0 {
  %u = bitcast float %x to i32
  %top = lshr i32 %u, 16
  %odd = and i32 %top, 1
  %half = add i32 %odd, 32767
  %rounded = add i32 %u, %half
  %finite = lshr i32 %rounded, 16
  %nan = fcmp uno float %x, 0.0
  %quiet = or i32 %top, 64
  %wide = select i1 %nan, i32 %quiet, i32 %finite
  %bits = trunc i32 %wide to i16
  ret i16 %bits
}"""

FROM_BFLOAT = """\
define internal float @hr.from_bfloat(i16 %x) alwaysinline #0 {
  %wide = zext i16 %x to i32
  %u = shl i32 %wide, 16
  %y = bitcast i32 %u to float
  ret float %y
}"""

# Small results: adding 0.5 lets the hardware round at the last place of a half's denormals.
TO_HALF = """\
define internal i16 @hr.to_half(float %x) alwaysinline #0 {
  %u = bitcast float %x to i32
  %size = and i32 %u, 2147483647
  %sign = lshr i32 %u, 16
  %signbit = and i32 %sign, 32768
  %nan = icmp ugt i32 %size, 2139095040
  %top = select i1 %nan, i32 32256, i32 31744
  %absolute = bitcast i32 %size to float
  %shifted = fadd float %absolute, 5.0e-01
  %shiftedbits = bitcast float %shifted to i32
  %small = sub i32 %shiftedbits, 1056964608
  %place = lshr i32 %size, 13
  %odd = and i32 %place, 1
  %rebased = add i32 %size, 3355447295
  %rounded = add i32 %rebased, %odd
  %normal = lshr i32 %rounded, 13
  %huge = icmp uge i32 %size, 1199570944
  %tiny = icmp ult i32 %size, 947912704
  %a = select i1 %tiny, i32 %small, i32 %normal
  %b = select i1 %huge, i32 %top, i32 %a
  %c = or i32 %b, %signbit
  %bits = trunc i32 %c to i16
  ret i16 %bits
}"""

FROM_HALF = """\
define internal float @hr.from_half(i16 %x) alwaysinline #0 {
  %wide = zext i16 %x to i32
  %magnitude = and i32 %wide, 32767
  %place = shl i32 %magnitude, 13
  %exponent = and i32 %place, 260046848
  %normal = add i32 %place, 939524096
  %special = add i32 %place, 1879048192
  %above = add i32 %place, 947912704
  %raised = bitcast i32 %above to float
  %small = fsub float %raised, 0x3F10000000000000
  %smallbits = bitcast float %small to i32
  %isspecial = icmp eq i32 %exponent, 260046848
  %issmall = icmp eq i32 %exponent, 0
  %a = select i1 %issmall, i32 %smallbits, i32 %normal
  %b = select i1 %isspecial, i32 %special, i32 %a
  %negative = and i32 %wide, 32768
  %signbit = shl i32 %negative, 16
  %c = or i32 %b, %signbit
  %y = bitcast i32 %c to float
  ret float %y
}"""
