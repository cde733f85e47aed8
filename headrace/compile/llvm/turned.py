"""Blocks of memory that are read along rows and used across them.

A loop in lanes that steps from row to row of an array would gather its lanes one by one. A
turned loop stands inside of it and steps along these rows: before its steps, the block of all
lanes and steps comes in with one load a row, a network of shuffles makes of the rows the
vectors of the columns, and these wait on the stack, or in registers where the steps are
written out. No element is touched that the steps don't mean. Read `memory.py` before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headrace.compile.llvm import memory
from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.text import Vector, memory_type, of_lanes
from headrace.compile.loops import ir
from headrace.compile.loops.affine import affine
from headrace.compile.loops.expr import Apply, Choose, Expr, Index, Load, operands
from headrace.compile.loops.operations import FLOAT_FUNCTIONS

if TYPE_CHECKING:
    from headrace.compile.llvm.values import Emitter

_PIECE = 16
"""Bytes within which shuffles are cheap; all vectors of x86 consist of such pieces."""

_LIGHT = 12


def blocks(body: Sequence[ir.Statement], row: Index, column: Index) -> list[Load]:
    """What a turned loop over columns reads as blocks: elements that lie side by side along
    the columns and apart along the rows, wherever no condition guards them."""
    stored = {id(s.buffer) for s in body if isinstance(s, ir.Store)}
    seen: set[int] = set()
    return [
        x
        for s in body
        for x in _loads(ir.expressions(s), seen)
        if id(x.buffer) not in stored and _turns(x, row, column)
    ]


def _loads(roots: Sequence[Expr], seen: set[int]) -> Iterator[Load]:
    """The loads that are done whatever conditions say."""
    for x in roots:
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, Load):
            yield x
        inside = (x.condition,) if isinstance(x, Choose) and x.lazy else operands(x)
        yield from _loads(inside, seen)


def _turns(x: Load, row: Index, column: Index) -> bool:
    where = affine(x.offset)
    apart = where.factor(row)
    if where.factor(column) != 1 or apart is None or -1 <= apart <= memory.NEAR:
        return False
    return all(isinstance(atom, Index) for key, atom in where.atoms.items() if where.terms[key])


def light(body: Sequence[ir.Statement]) -> bool:
    """Whether so little is done in a step that a few may be written out."""
    seen: set[int] = set()
    stack = [x for s in body for x in ir.expressions(s)]
    weight = 0
    while stack:
        x = stack.pop()
        if id(x) in seen:
            continue
        seen.add(id(x))
        stack += operands(x)
        if isinstance(x, Apply) and x.dtype is not ir.INDEX:
            weight += _LIGHT if x.name in FLOAT_FUNCTIONS else 1
    return weight < _LIGHT


def in_part(size: int) -> bool:
    """Whether the processor loads the first few elements, of so many bytes, of a vector."""
    return size >= 4 or "+avx512bw" in host().features


def _key(x: Load) -> tuple[int, int]:
    return id(x.buffer), id(x.offset)


def prepare(e: Emitter, loop: ir.For) -> None:
    """Load and turn the blocks of a turned loop, whose index stands at 0."""
    assert e.vector is not None
    for x in blocks(loop.body, e.vector, loop.index):
        if _key(x) in e.blocks:
            continue
        whole = of_lanes(memory_type(x.dtype), e.lanes * memory.parts(x.buffer))
        place = e.name()
        e.allocations.append(f"  {place} = alloca [{loop.index.extent} x {whole}], align 64")
        for k, column in enumerate(_columns(e, x, loop.index.extent)):
            at = e.line(f"getelementptr {whole}, ptr {place}, i64 {k}")
            e.effect(f"store {whole} {column}, ptr {at}")
        e.blocks[_key(x)] = place, loop.index


def _columns(e: Emitter, x: Load, extent: int) -> list[Vector]:
    """The vectors of a block's first columns: their lanes are the rows."""
    kind, width = memory_type(x.dtype), 1 << (extent - 1).bit_length()
    size, many = x.buffer.dtype.np.itemsize, width * memory.parts(x.buffer)
    rows = _rows(e, x, extent, width)
    whole = of_lanes(kind, many)
    squares = [_turned(e, whole, size, rows[k : k + width]) for k in range(0, e.lanes, width)]
    return [_joined(e, kind, [s[k] for s in squares], many) for k in range(extent)]


def _rows(e: Emitter, x: Load, extent: int, width: int) -> list[Vector]:
    """One vector for each lane; those that don't count are not loaded."""
    assert e.vector is not None
    kind, apart = memory_type(x.dtype), affine(x.offset).factor(e.vector)
    assert apart is not None
    many = memory.parts(x.buffer)
    first = memory.address(e, x.buffer, 0, e.scalar(x.offset))
    mask = None if extent == width else memory.lanes_mask(width * many, 0, extent * many)
    found = []
    for k in range(e.lanes if e.tail is None else e.rest):
        place = e.line(f"getelementptr {kind}, ptr {first}, i64 {k * apart * many}")
        found.append(memory.contiguous(e, kind, place, width * many, mask))
    return found + [Vector("poison")] * (e.lanes - len(found))


def _turned(e: Emitter, whole: str, size: int, rows: Sequence[Vector]) -> list[Vector]:
    """The columns of a square of elements of some bytes; `whole` is the type of its vectors.

    Numbers of rows and of elements in them are bits. Each level puts one bit of a row's number
    into its elements' numbers, and gets a bit of these for it: first single elements change
    places within pieces, then pairs of them, ..., then whole pieces. Levels that move more
    than an element say so in wider elements, which LLVM understands sooner.
    """
    count, found, given = len(rows), list(rows), whole
    piece, zips, level = min(_PIECE, size * count), 0, 0
    while 1 << level < count:
        unit = min(size << level, 8)
        units, half = size * count // unit, piece // unit // 2
        zips += size << level < piece
        masks = _zipped(units, half) if size << level < piece else _sorted(units, 2 * half)
        wider = of_lanes(f"i{8 * unit}", units)
        found, given = [_as(e, x, given, wider) for x in found], wider
        for k in (k for k in range(count) if not k >> level & 1):
            pair = found[k], found[k + (1 << level)]
            for side, mask in enumerate(masks):
                found[k + (side << level)] = _shuffled(e, f"i{8 * unit}", pair, mask)
        level += 1
    places = [_reversed(k, zips) for k in range(count)]
    return [_as(e, found[k], given, whole) for k in places]


def _as(e: Emitter, x: Vector, given: str, wanted: str) -> Vector:
    """The same bits as a vector of another type."""
    if x == "poison" or given == wanted:
        return x
    return Vector(e.line(f"bitcast {given} {x} to {wanted}", True))


def _reversed(number: int, bits: int) -> int:
    """A number whose lowest bits stand the other way round."""
    low = sum((number >> k & 1) << (bits - 1 - k) for k in range(bits))
    return number >> bits << bits | low


def _shuffled(e: Emitter, kind: str, pair: tuple[Vector, Vector], mask: list[int]) -> Vector:
    if pair == ("poison", "poison"):
        return pair[0]
    return memory.shuffled(e, kind, *pair, mask, len(mask))


def _zipped(count: int, half: int) -> tuple[list[int], list[int]]:
    """Lower and upper halves of all pieces of two vectors, one element of each in turn."""
    low = [
        start + k + side * count
        for start in range(0, count, 2 * half)
        for k in range(half)
        for side in range(2)
    ]
    return low, [k + half for k in low]


def _sorted(count: int, piece: int) -> tuple[list[int], list[int]]:
    """Every second piece of two vectors in a row, and the others."""
    even = [start + k for start in range(0, 2 * count, 2 * piece) for k in range(piece)]
    return even, [k + piece for k in even]


def _joined(e: Emitter, kind: str, parts: list[Vector], width: int) -> Vector:
    """Vectors one behind the other."""
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=True)
        mask = list(range(2 * width))
        parts = [
            Vector("poison")
            if pair == ("poison", "poison")
            else memory.shuffled(e, kind, *pair, mask, width)
            for pair in pairs
        ]
        width *= 2
    return parts[0]
