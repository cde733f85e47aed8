"""Contractions become matrix products where that is faster than loops.

A stage of kind "contract" sums products of two loads. Each of its loops moves one or two of the
three arrays: what moves `a` and the output is a row, `b` and the output a column, `a` and `b`
the sum, and all three a step. Loops that walk through memory as one become one; of each kind
the longest one that is left is a side of the matrices, the others are steps around them. So a
transposed operand is a pair of strides, and a convolution is a product with more steps.
Which form then runs is decided by sizes; `tiles.py` has the numbers. Read `loops/product.py`
before.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from headrace.base import dtypes
from headrace.compile.loops import ir
from headrace.compile.loops.affine import Affine, affine
from headrace.compile.loops.expr import Apply, Cast, Expr, Index, Load, const
from headrace.compile.loops.product import Matrix, Product
from headrace.compile.schedule import tiles
from headrace.compile.schedule.accesses import accesses, visited
from headrace.compile.schedule.tiles import Sizes


def contract(loops: ir.Loops) -> ir.Loops:
    """The program with the products that pay."""
    count = itertools.count()

    def decided(stage: ir.Stage) -> ir.Stage:
        how = product(stage, f"copies{next(count)}")
        return stage if how is None else replace(stage, how=how)

    return replace(loops, stages=ir.each(loops.stages, decided))


def share(loops: ir.Loops) -> ir.Loops:
    """The program with large products cut into parts, and with memory for packed operands."""
    steps = _shared(loops.stages, ())
    copies = [b for stage in ir.stages(steps) for b in stage.copies]
    return replace(loops, stages=steps, temporaries=(*loops.temporaries, *copies))


Written = tuple[frozenset[int], ...]
"""What each of the loops around a step writes, by id; the innermost last."""


def _shared(steps: ir.Steps, around: Written) -> ir.Steps:
    found: list[ir.Step] = []
    for step in steps:
        match step:
            case ir.Stage(_, _, how):
                if how is not None:
                    how = tiles.share(replace(how, outside=_outside(how, around)))
                found.append(replace(step, how=how))
            case ir.Repeat(head, condition, body):
                stages = ir.stages((*head, *body))
                written = {key for s in stages for key in accesses(s.body).stores}
                inside = (*around, frozenset(written))
                head, body = _shared(head, inside), _shared(body, inside)
                found.append(ir.Repeat(head, condition, body))
            case ir.Branch(index, sides):
                found.append(ir.Branch(index, tuple([_shared(s, around) for s in sides])))
    return tuple(found)


def _outside(how: Product, around: Written) -> int:
    """How many of the loops around a product leave an operand that is packed as it is."""
    if not how.once:
        return 0
    read = {id(x.buffer) for x in visited([how.b.offset]) if isinstance(x, Load)}
    read.add(id(how.b.buffer))
    return sum(1 for _ in itertools.takewhile(read.isdisjoint, reversed(around)))


class Turn(NamedTuple):
    """A loop, or several that walk as one: how far it moves the output, `a` and `b`."""

    extent: int
    c: int
    a: int
    b: int

    @property
    def swapped(self) -> Turn:
        return Turn(self.extent, self.c, self.b, self.a)


@dataclass(frozen=True, slots=True)
class Contraction:
    """A stage that sums products: its arrays, where they begin, and how loops move them."""

    buffers: tuple[ir.Buffer, ir.Buffer, ir.Buffer]
    offsets: tuple[Expr, Expr, Expr]
    outer: tuple[Turn, ...]
    summed: tuple[Turn, ...]


def product(stage: ir.Stage, name: str) -> Product | None:
    """How a stage runs as matrix products; None where its loops stay."""
    found = recognised(stage) if stage.kind == "contract" else None
    return None if found is None else _product(found, name)


def recognised(stage: ir.Stage) -> Contraction | None:
    """The contraction that a stage is, if it is one over dense real floats."""
    outer, body = ir.nest(stage.body)
    begins = [s for s in body if isinstance(s, ir.Begin)]
    rest = [s for s in body if not isinstance(s, ir.Begin)]
    if not begins or len(rest) != 2 or not isinstance(rest[1], ir.Store):
        return None
    summed, inner = ir.nest(tuple(rest[:1]))
    if len(inner) != 1 or not isinstance(inner[0], ir.Update):
        return None
    update, store = inner[0], rest[1]
    loads = _factors(update.values[0])
    if loads is None or update.combine != "add":
        return None
    places = [(store.buffer, store.offset), *((x.buffer, x.offset) for x in loads)]
    dtype = store.buffer.dtype
    if dtype not in (dtypes.float32, dtypes.float64):
        return None
    if any(b.dtype is not dtype for b, _ in places) or _loads(store.value):
        return None
    sums = [affine(offset) for _, offset in places]
    turns = [_turns(loop, sums) for loop in (outer, summed)]
    if None in turns:
        return None
    indices = frozenset(id(i) for i in (*outer, *summed))
    offsets = tuple(_start(place, indices) for place in sums)
    return Contraction(tuple(b for b, _ in places), offsets, *turns)  # type: ignore[arg-type]


def _factors(x: Expr) -> tuple[Load, Load] | None:
    """The two loads of which an expression is the product."""
    while isinstance(x, Cast) and not x.bitwise:
        x = x.x
    if isinstance(x, Apply) and x.name == "mul":
        a, b = x.args
        if isinstance(a, Load) and isinstance(b, Load):
            return a, b
    return None


def _loads(x: Expr) -> bool:
    return any(isinstance(y, Load) for y in visited([x]))


def _turns(loop: Sequence[Index], sums: Sequence[Affine]) -> tuple[Turn, ...] | None:
    """How loops move the three arrays; None where one does so unevenly, or never turns."""
    found = []
    for index in loop:
        factors = [place.factor(index) for place in sums]
        if not index.extent or None in factors:
            return None
        if index.extent > 1:
            found.append(Turn(index.extent, *factors))  # type: ignore[arg-type]
    return tuple(found)


def _start(place: Affine, indices: frozenset[int]) -> Expr:
    """The part of an offset that no loop moves."""
    found: Expr = const(place.constant, ir.INDEX)
    for key, factor in place.terms.items():
        if key not in indices and factor:
            found = found + place.atoms[key] * factor
    return found


def _product(x: Contraction, name: str) -> Product | None:
    rows = _merged([t for t in x.outer if not t.b])
    columns = _merged([t for t in x.outer if not t.a])
    steps = _merged([t for t in x.outer if t.a and t.b])
    summed = _merged(x.summed)
    if any(not t.c or not (t.a or t.b) for t in (*rows, *columns, *steps)):
        return None
    if not summed or any(not (t.a and t.b) for t in summed):
        return None
    swapped = not any(t.c == 1 for t in columns) and any(t.c == 1 for t in rows)
    buffers, offsets = x.buffers, x.offsets
    if swapped:
        buffers = (buffers[0], buffers[2], buffers[1])
        offsets = (offsets[0], offsets[2], offsets[1])
        rows, columns = [t.swapped for t in columns], [t.swapped for t in rows]
        steps, summed = [t.swapped for t in steps], [t.swapped for t in summed]
    m, rows = _side(rows)
    n, columns = _side([t for t in columns if t.c == 1] or columns, columns)
    k, summed = _side(summed)
    around = (*steps, *rows, *columns, *summed)
    sizes = Sizes(
        m.extent, n.extent, k.extent, (m.a, k.a), (k.b, n.b), (m.c, n.c), _count(around)
    )
    return _decided(sizes, buffers, offsets, (m, n, k), around, name)


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """Turns, those joined that move all arrays as one loop would; the widest first."""
    found: list[Turn] = []
    for turn in sorted(turns, key=lambda t: (t.c, t.a, t.b)):
        last = found[-1] if found else None
        if last and turn[1:] == tuple(last.extent * step for step in last[1:]):
            found[-1] = Turn(last.extent * turn.extent, *last[1:])
        else:
            found.append(turn)
    return found[::-1]


def _side(turns: Sequence[Turn], of: Sequence[Turn] | None = None) -> tuple[Turn, list[Turn]]:
    """The longest of some turns, and the rest of `of`; one that stands still where none is."""
    if not turns:
        return Turn(1, 0, 0, 0), []
    longest = max(turns, key=lambda t: t.extent)
    return longest, [t for t in (turns if of is None else of) if t is not longest]


def _count(turns: Sequence[Turn]) -> int:
    found = 1
    for turn in turns:
        found *= turn.extent
    return found


def _decided(
    sizes: Sizes,
    buffers: tuple[ir.Buffer, ...],
    offsets: tuple[Expr, ...],
    sides: tuple[Turn, Turn, Turn],
    around: Sequence[Turn],
    name: str,
) -> Product | None:
    dtype = buffers[0].dtype
    choice = tiles.choose(sizes, dtype)
    if choice is None:
        return None
    m, n, k = sides
    output = Matrix(buffers[0], offsets[0], m.c, n.c, tuple(t.c for t in around))
    a = Matrix(buffers[1], offsets[1], m.a, k.a, tuple(t.a for t in around))
    b = Matrix(buffers[2], offsets[2], k.b, n.b, tuple(t.b for t in around))
    steps = tuple(t.extent for t in around)
    extents = m.extent, n.extent, k.extent
    if choice.turned:  # the output's transpose is the product of b's and a's
        output, a, b = _transposed(output), _transposed(b), _transposed(a)
        extents = n.extent, m.extent, k.extent
    copies = ir.Buffer(name, (choice.copies,), dtype) if choice.copies else None
    return Product(
        output, a, b, *extents, steps, choice.form, choice.tile, choice.depth, copies
    )


def _transposed(x: Matrix) -> Matrix:
    return Matrix(x.buffer, x.offset, x.columns, x.rows, x.steps)
