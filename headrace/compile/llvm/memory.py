"""LLVM text of loads and stores, of one element or of one for each lane.

What lies side by side is one access. Elements at equal small distances, backwards or in pairs
(complex numbers) are side by side too, but for a shuffle. Everything else is gathered and
scattered. The emitter's `tail` and `guard` say which lanes count; the memory of others is not
touched. Read `values.py` before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.compile.llvm.text import (
    Vector,
    memory_type,
    of_lanes,
    splat_literal,
    suffix,
    value_type,
)
from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine
from headrace.compile.loops.expr import Expr, Load
from headrace.compile.loops.operations import letter, part

if TYPE_CHECKING:
    from headrace.compile.llvm.values import Emitter

NEAR = 4
"""Up to this distance all that lies between elements is loaded too."""
_ALIGNS = {"float": 4, "double": 8}


def load(e: Emitter, x: Load) -> str:
    """The element, or those of all lanes."""
    step = _stride(e, x.offset)
    if step == 0:
        place = address(e, x.buffer, x.part, _safe(e, e.scalar(x.offset)))
        found = e.line(f"load {memory_type(x.dtype)}, ptr {place}")
        return e.line(f"trunc i8 {found} to i1") if letter(x.dtype) == "b" else found
    if (id(x.buffer), id(x.offset)) in e.blocks:
        found = _column(e, x)
    elif x.buffer.dtype.is_complex:
        pair = step == 1 and e.guard is None
        return _half_of_pairs(e, x) if pair else _gather(e, x)
    else:
        found = _gather(e, x) if step is None else _load_lanes(e, x, step)
    if letter(x.dtype) == "b":
        given = of_lanes("i8", e.lanes)
        found = e.line(f"trunc {given} {found} to {of_lanes('i1', e.lanes)}", True)
    return found


def _column(e: Emitter, x: Load) -> Vector:
    """The vector of a turned block."""
    place, index = e.blocks[id(x.buffer), id(x.offset)]
    kind, many = memory_type(x.dtype), e.lanes * parts(x.buffer)
    whole = of_lanes(kind, many)
    at = e.line(f"getelementptr {whole}, ptr {place}, i64 {e.scalar(index)}")
    found = Vector(e.line(f"load {whole}, ptr {at}", True))
    if many == e.lanes:
        return found
    return shuffled(e, kind, found, found, range(x.part, many, 2), many)


def parts(buffer: ir.Buffer) -> int:
    """How many numbers an element is."""
    return 2 if buffer.dtype.is_complex else 1


def _load_lanes(e: Emitter, x: Load, step: int) -> str:
    kind, offset = memory_type(x.dtype), e.scalar(x.offset)
    if step == 1:
        return contiguous(e, kind, address(e, x.buffer, 0, offset), e.lanes, e.mask())
    if e.guard is not None or not (step == -1 or 1 < step <= NEAR):
        return _gather(e, x)
    if step == -1:
        last = e.line(f"sub nsw i64 {offset}, {e.lanes - 1}")
        mask = None if e.tail is None else lanes_mask(e.lanes, e.lanes - e.rest, e.lanes)
        found = contiguous(e, kind, address(e, x.buffer, 0, last), e.lanes, mask)
        return shuffled(e, kind, found, found, range(e.lanes - 1, -1, -1))
    # No further than the last element that counts: behind it may be nothing.
    many = e.lanes * step
    mask = lanes_mask(many, 0, ((e.rest if e.tail is not None else e.lanes) - 1) * step + 1)
    found = contiguous(e, kind, address(e, x.buffer, 0, offset), many, mask)
    return shuffled(e, kind, found, found, range(0, many, step), many)


def _half_of_pairs(e: Emitter, x: Load) -> str:
    """Real or imaginary parts; both come with one load."""
    kind, many, frame = memory_type(x.dtype), 2 * e.lanes, e.frame
    key = id(x.buffer), id(x.offset)
    found = frame.pairs.get(key)
    if found is None:
        mask = None if e.tail is None else lanes_mask(many, 0, 2 * e.rest)
        place = address(e, x.buffer, 0, e.scalar(x.offset))
        found = frame.pairs[key] = contiguous(e, kind, place, many, mask)
    return shuffled(e, kind, found, found, range(x.part, many, 2), many)


def store(e: Emitter, buffer: ir.Buffer, which: int, offset: Expr, value: Expr) -> None:
    """Store one element, or one of each lane."""
    kind, step = memory_type(value.dtype), _stride(e, offset)
    found = e.wide(value)
    if step == 0:
        assert not isinstance(found, Vector), "lanes that store into one place"
        if letter(value.dtype) == "b":
            found = e.line(f"zext i1 {found} to i8")
        place = address(e, buffer, which, e.scalar(offset))
        e.effect(f"store {kind} {found}, ptr {place}")
        return
    found = e.widened(found, value_type(value.dtype))
    if letter(value.dtype) == "b":
        whole = of_lanes("i8", e.lanes)
        found = Vector(e.line(f"zext {of_lanes('i1', e.lanes)} {found} to {whole}", True))
    if step == 1 and not buffer.dtype.is_complex:
        place = address(e, buffer, which, e.scalar(offset))
        _store_contiguous(e, kind, found, place, e.lanes, e.mask())
        return
    _scatter(e, kind, found, address(e, buffer, which, _indices(e, buffer, offset)))


def stored_pairs(e: Emitter, re: ir.Statement, im: ir.Statement | None) -> bool:
    """Store both parts of complex numbers, if that is what two statements do, side by side."""
    if not (isinstance(re, ir.Store) and isinstance(im, ir.Store)) or e.guard is not None:
        return False
    if re.buffer is not im.buffer or re.offset is not im.offset or (re.part, im.part) != (0, 1):
        return False
    if _stride(e, re.offset) != 1 or e.loads_from(re.buffer, im.value):
        return False
    kind = memory_type(re.value.dtype)
    parts = [e.widened(e.wide(s.value), kind) for s in (re, im)]
    lanes = [k // 2 + e.lanes * (k % 2) for k in range(2 * e.lanes)]
    found = shuffled(e, kind, parts[0], parts[1], lanes)
    mask = None if e.tail is None else lanes_mask(2 * e.lanes, 0, 2 * e.rest)
    place = address(e, re.buffer, 0, e.scalar(re.offset))
    _store_contiguous(e, kind, found, place, 2 * e.lanes, mask)
    return True


# Addresses


def _stride(e: Emitter, offset: Expr) -> int | None:
    """How far the next lane's element is; None if that is not one number."""
    if e.vector is None or not e.depends(offset):
        return 0
    place = affine(offset)
    atoms = [place.atoms[key] for key, factor in place.terms.items() if factor]
    if any(x is not e.vector and e.depends(x) for x in atoms):
        return None  # a register has what was computed for each lane
    return place.factor(e.vector)


def address(e: Emitter, buffer: ir.Buffer, which: int, offset: str) -> str:
    """Where an element is: of the scalar `offset`, or one address for each lane."""
    stored, wide = memory_type(part(buffer.dtype)), isinstance(offset, Vector)
    kind = of_lanes(_index_type(buffer), e.lanes) if wide else "i64"
    if buffer.dtype.is_complex:
        one = splat_literal(_index_type(buffer), "1") if wide else "1"
        offset = e.line(f"shl nsw {kind} {offset}, {one}", wide)
        if which:
            offset = e.line(f"or disjoint {kind} {offset}, {one}", wide)
    base = e.buffers[id(buffer)]
    return e.line(f"getelementptr {stored}, ptr {base}, {kind} {offset}", wide)


def _index_type(buffer: ir.Buffer) -> str:
    """What the lanes' offsets into a buffer fit into: narrow ones are half as many vectors."""
    return "i32" if buffer.size < 2**29 else "i64"


def _indices(e: Emitter, buffer: ir.Buffer, offset: Expr) -> Vector:
    """The offset of each lane."""
    found = e.widened(e.wide(offset), "i64")
    kind = _index_type(buffer)
    if kind == "i64":
        return found
    whole, narrow = of_lanes("i64", e.lanes), of_lanes(kind, e.lanes)
    return Vector(e.line(f"trunc {whole} {found} to {narrow}", True))


def _safe(e: Emitter, offset: str) -> str:
    """An offset that all lanes share, or 0 where no lane means it."""
    if e.guard is None:
        return offset
    kind = of_lanes("i1", e.lanes)
    symbol = f"@llvm.vector.reduce.or.v{e.lanes}i1"
    some = e.call((symbol, f"declare i1 {symbol}({kind})"), "i1", f"{kind} {e.guard}")
    return e.line(f"select i1 {some}, i64 {offset}, i64 0")


# Accesses of vectors


def lanes_mask(lanes: int, start: int, end: int) -> Vector:
    """The lanes from start to end count."""
    bits = ", ".join(f"i1 {'true' if start <= k < end else 'false'}" for k in range(lanes))
    return Vector(f"<{bits}>")


def shuffled(
    e: Emitter, kind: str, x: str, y: str, lanes: range | list[int], given: int = 0
) -> Vector:
    """The chosen lanes of two vectors of `given` lanes (as many as there are) in a row."""
    whole = of_lanes(kind, given or e.lanes)
    mask = f"<{len(lanes)} x i32> <{', '.join(f'i32 {k}' for k in lanes)}>"
    return Vector(e.line(f"shufflevector {whole} {x}, {whole} {y}, {mask}", True))


def contiguous(e: Emitter, kind: str, place: str, lanes: int, mask: str | None) -> Vector:
    """Elements that lie side by side."""
    whole, align = of_lanes(kind, lanes), _align(kind)
    if mask is None:
        return Vector(e.line(f"load {whole}, ptr {place}, align {align}", True))
    symbol, bools = f"@llvm.masked.load.{suffix(whole)}.p0", of_lanes("i1", lanes)
    declaration = f"declare {whole} {symbol}(ptr, i32, {bools}, {whole})"
    given = f"ptr {place}, i32 {align}, {bools} {mask}, {whole} zeroinitializer"
    return Vector(e.call((symbol, declaration), whole, given, True))


def _store_contiguous(
    e: Emitter, kind: str, value: str, place: str, lanes: int, mask: str | None
) -> None:
    whole, align = of_lanes(kind, lanes), _align(kind)
    if mask is None:
        e.effect(f"store {whole} {value}, ptr {place}, align {align}")
        return
    if mask == lanes_mask(lanes, 0, 1):  # LLVM would store a narrowed lane at its old width
        one = e.line(f"extractelement {whole} {value}, i64 0")
        e.effect(f"store {kind} {one}, ptr {place}, align {align}")
        return
    symbol, bools = f"@llvm.masked.store.{suffix(whole)}.p0", of_lanes("i1", lanes)
    e.declarations[symbol] = f"declare void {symbol}({whole}, ptr, i32, {bools})"
    given = f"{whole} {value}, ptr {place}, i32 {align}, {bools} {mask}"
    e.effect(f"call void {symbol}({given})")


def _gather(e: Emitter, x: Load) -> Vector:
    kind = memory_type(x.dtype)
    places = address(e, x.buffer, x.part, _indices(e, x.buffer, x.offset))
    whole, many, bools = (of_lanes(k, e.lanes) for k in (kind, "ptr", "i1"))
    symbol = f"@llvm.masked.gather.{suffix(whole)}.v{e.lanes}p0"
    declaration = f"declare {whole} {symbol}({many}, i32, {bools}, {whole})"
    mask = e.mask() or splat_literal("i1", "true")
    given = f"{many} {places}, i32 {_align(kind)}, {bools} {mask}, {whole} zeroinitializer"
    return Vector(e.call((symbol, declaration), whole, given, True))


def _scatter(e: Emitter, kind: str, value: str, places: str) -> None:
    whole, many, bools = (of_lanes(k, e.lanes) for k in (kind, "ptr", "i1"))
    symbol = f"@llvm.masked.scatter.{suffix(whole)}.v{e.lanes}p0"
    e.declarations[symbol] = f"declare void {symbol}({whole}, {many}, i32, {bools})"
    mask = e.mask() or splat_literal("i1", "true")
    given = f"{whole} {value}, {many} {places}, i32 {_align(kind)}, {bools} {mask}"
    e.effect(f"call void {symbol}({given})")


def _align(kind: str) -> int:
    return _ALIGNS.get(kind) or int(kind[1:]) // 8
