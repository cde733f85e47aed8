"""Lanes that would be gathered from rows of memory come in as blocks that are turned.

Where a loop in lanes goes across the rows of an array and one around it along them, so many
steps of the latter go inside of the lanes and run as a `turned` loop (`llvm/turned.py`), which
reads and writes whole lines. A loop that stands inside of lanes anyway, such as a sum over
rows of which each lane has one, is turned where it stands. Read `vectorize.py` before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from headrace.compile.llvm.cpu import host
from headrace.compile.llvm.turned import blocks, in_part
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index, const
from headrace.compile.loops.rewrite import with_indices, with_loops
from headrace.compile.schedule.accesses import accesses
from headrace.compile.schedule.names import Names
from headrace.compile.schedule.split import again
from headrace.compile.schedule.vectorize import apart, no_more

FEWEST = 4
"""So many steps are worth a turned block."""
LARGE = 1 << 20  # elements that go through tiles
GROUP, STRIP = 8, 128  # blocks and lanes' steps of a tile
FEW = 8


def turn(loops: ir.Loops) -> ir.Loops:
    """The program with turned loops."""
    names = Names(loops)

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        return [replace(s, body=_body(s.body, names)) for s in stages]

    return replace(loops, stages=ir.rewritten(loops.stages, change))


def _body(body: Sequence[ir.Statement], names: Names) -> tuple[ir.Statement, ...]:
    return with_loops(body, lambda loop: _loop(loop, names))


def _loop(loop: ir.For, names: Names) -> list[ir.Statement]:
    """A loop, or what it becomes where a loop inside of it, or it itself, is turned."""
    nest = _nest(loop)
    for place in reversed(range(len(nest) - 1)):
        steps = _steps(nest, place)
        if steps >= FEWEST:
            outer, inner = nest[:place], nest[place:]
            found = _tiled(inner, steps, names)
            return [_around(outer, tuple(found))] if outer else found
    inside = _body(loop.body, names) if loop.lanes == 1 else _within(loop.body, loop, names)
    return [replace(loop, body=inside)]


def _within(
    body: Sequence[ir.Statement], row: ir.For, names: Names
) -> tuple[ir.Statement, ...]:
    """What stands in a loop in lanes; loops in it that go along its rows are turned."""
    found: list[ir.Statement] = []
    for statement in body:
        if not isinstance(statement, ir.For):
            found.append(statement)
            continue
        steps = _width(statement.body, row, statement.index)
        if steps >= FEWEST:
            found += _blocks(statement, row, steps, names)
        else:
            found.append(replace(statement, body=_within(statement.body, row, names)))
    return tuple(found)


def _blocks(loop: ir.For, row: ir.For, steps: int, names: Names) -> list[ir.Statement]:
    """A loop inside of lanes, in blocks that are turned, and what is left over."""
    found: list[ir.Statement] = []
    for block, step, body in _pieces([loop], 0, steps, names):
        if block is None:
            found += _within((ir.For(step, body),), row, names)
            continue
        turned = ir.For(step, body, turned=True)
        found.append(turned if block.extent == 1 else ir.For(block, (turned,)))
    return [found[0], *again(found[1:], {}, {}, names)]


def _nest(loop: ir.For) -> list[ir.For]:
    """A loop in lanes and those around it that hold nothing else; none if there are other
    loops, or steps that depend on each other."""
    nest = [loop]
    while nest[-1].lanes == 1:
        inner = nest[-1].body[0] if len(nest[-1].body) == 1 else None
        if not isinstance(inner, ir.For):
            return []
        nest.append(inner)
    touches = accesses(nest[-1].body)
    return [] if touches.sequential or touches.writes - touches.begun else nest


def _steps(nest: list[ir.For], place: int) -> int:
    """How many steps of a loop in a nest make a block; 0 if it can't be turned."""
    found = _width(nest[-1].body, nest[-1], nest[place].index)
    return found if found and all(apart(f, accesses(f.body)) for f in nest[place:]) else 0


def _width(body: Sequence[ir.Statement], row: ir.For, column: Index) -> int:
    """How many steps of a loop with a lane for each row make a block; 0: there is none."""
    found = blocks(body, row.index, column)
    if not found or any(isinstance(s, ir.For | ir.If) for s in body):
        return 0
    width = 64 if "+avx512f" in host().features else 32
    size = max(x.buffer.dtype.np.itemsize for x in found)
    steps = min(width // size, row.lanes, column.extent)
    return steps if steps & (steps - 1) == 0 else _part(steps, size)


def _part(steps: int, size: int) -> int:
    """So many steps, or as many of them as one can load."""
    return steps if in_part(size) else 1 << (steps.bit_length() - 1)


def _tiled(nest: list[ir.For], steps: int, names: Names) -> list[ir.Statement]:
    """A nest whose first loop is turned; a large one in tiles that stay in the caches."""
    columns, rows = nest[0].index.extent, nest[-1].index.extent
    high = GROUP * steps
    if columns < 2 * high or rows < 2 * STRIP or columns * rows < LARGE:
        return _turned(nest, steps, names)
    cuts = [(0, high), (len(nest) - 1, STRIP)]
    if columns // high < min(FEW, rows // STRIP):  # threads share the outermost loop
        cuts.reverse()
    return _cut(nest, cuts, names)


def _cut(
    nest: list[ir.For], cuts: Sequence[tuple[int, int]], names: Names
) -> list[ir.Statement]:
    """A nest of which some loops, by their places, run in pieces of some sizes."""
    if not cuts:
        return _loop(_around(nest[:-1], (nest[-1],)), names)
    place, size = cuts[0]
    found: list[ir.Statement] = []
    for piece, step, body in _pieces(nest, place, size, names):
        inner = [*nest[:-1], replace(nest[-1], body=body)]
        loop = inner[place]
        inner[place] = replace(loop, index=step, lanes=no_more(loop.lanes, step.extent))
        made = _cut(inner, cuts[1:], names)
        found += made if piece is None else [ir.For(piece, tuple(made))]
    return [found[0], *again(found[1:], {}, {}, names)]


def _turned(nest: list[ir.For], steps: int, names: Names) -> list[ir.Statement]:
    """A nest whose first loop is turned: in blocks, and what is left over."""
    found: list[ir.Statement] = []
    for block, step, body in _pieces(nest, 0, steps, names):
        if block is None:
            found += _loop(ir.For(step, (_around(nest[1:], body),)), names)
            continue
        within = _around(nest[1:], (ir.For(step, body, turned=True),))
        found.append(within if block.extent == 1 else ir.For(block, (within,)))
    return [found[0], *again(found[1:], {}, {}, names)]


def _pieces(
    nest: list[ir.For], place: int, size: int, names: Names
) -> Iterator[tuple[Index | None, Index, tuple[ir.Statement, ...]]]:
    """For the pieces of a loop of some size, and for what is left over: the index of the piece,
    if there may be several, that within it, and the nest's innermost body."""
    index = nest[place].index
    count, rest = divmod(index.extent, size)
    if count:
        piece, step = names.index(count), names.index(size, "i")
        first = piece * size if count > 1 else const(0, ir.INDEX)
        yield piece, step, with_indices(nest[-1].body, {index: first + step})
    if rest:
        step = names.index(rest, "i")
        start = const(count * size, ir.INDEX)
        yield None, step, with_indices(nest[-1].body, {index: start + step})


def _around(loops: Sequence[ir.For], body: tuple[ir.Statement, ...]) -> ir.For:
    """Statements in the loops of a nest."""
    for loop in reversed(loops):
        body = (replace(loop, body=body),)
    found = body[0]
    assert isinstance(found, ir.For)
    return found
