"""Long accumulations become short ones side by side, and what combines their results.

A float that takes thousands of others in turn rounds as often; a tree of short sums loses as
little as NumPy's pairwise one. So a loop adds at most `STEPS` values into a lane; more are
split into chunks, whose sums are added in the same way. Where a loop is long and nothing
around it gives threads work, the chunks' results go to memory, so that chunks are independent:
how a result is grouped depends on shapes alone, never on the number of threads.
Read `vectorize.py` before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from headrace.compile.loops import ir
from headrace.compile.loops.accumulate import SPLITS, carried, identity
from headrace.compile.loops.expr import Expr, Index, Load, Read, const
from headrace.compile.loops.rewrite import copied, with_indices
from headrace.compile.loops.views import ravel
from headrace.compile.schedule.accesses import Accesses, accesses
from headrace.compile.schedule.names import Names
from headrace.compile.schedule.vectorize import apart, no_more

STEPS = 128
"""So many floats are added into one register in turn."""
PLAIN_STEPS = 256  # the same where lanes hold different sums, or there are no lanes
LARGE = 1 << 15  # elements of a reduction that threads may share
CHUNK = 1 << 14  # elements of a chunk, where a step has several
LANES = 64  # of the loop that combines chunks
FEW = 16  # steps of the loops around it that would give threads work enough


def split(loops: ir.Loops) -> ir.Loops:
    """The program with short accumulations."""
    names = Names(loops)

    def change(stages: Sequence[ir.Stage]) -> list[ir.Stage]:
        found: list[ir.Stage] = []
        for stage in stages:
            for part in _in_chunks(stage, names):
                deep = stage.kind != "contract"  # there the order is that of a matrix product
                body = _short(part.body, names) if deep else part.body
                found.append(replace(part, body=body))
        return found

    steps = ir.rewritten(loops.stages, change)
    return replace(loops, stages=steps, temporaries=(*loops.temporaries, *names.buffers))


def size_of_chunks(extent: int, most: int, lanes: int) -> int:
    """A number up to `most` that leaves nothing or little over, whole vectors if may be."""
    best = most
    for step in (lanes, 1):
        for size in range(most - most % step, max(most // 4, 2) - 1, -step):
            if extent % size == 0:
                return size
    return best


# Chunks whose results go to memory.


def _trips(body: Sequence[ir.Statement]) -> int:
    """How often the innermost loops of a body turn, all together; at least once."""
    loops = [s for s in body if isinstance(s, ir.For)]
    return max(1, sum(loop.index.extent * _trips(loop.body) for loop in loops))


class _Nest(NamedTuple):
    """`around` loops that hold `before`, a loop that accumulates, and `after`."""

    around: list[ir.For]
    before: tuple[ir.Begin, ...]
    loop: ir.For
    after: tuple[ir.Statement, ...]
    updates: list[ir.Update]


def _in_chunks(stage: ir.Stage, names: Names) -> list[ir.Stage]:
    """A stage as one that fills partial results and one that combines them, or as it is."""
    nest = _found(stage.body)
    if nest is None:
        return [stage]
    extent = nest.loop.index.extent
    outer = prod(f.index.extent for f in nest.around)
    inner = _trips(nest.loop.body)
    columns = any(f.lanes > 1 for f in nest.around)
    if outer * extent * inner < LARGE or (outer >= FEW and not columns):
        return [stage]
    most = PLAIN_STEPS
    if not columns:
        most = STEPS * nest.loop.lanes if inner == 1 else max(1, min(most, CHUNK // inner))
    if extent < 2 * most:
        return [stage]
    size = size_of_chunks(extent, most, nest.loop.lanes)
    chunks = -(-extent // size)
    kept = [f.index.extent for f in nest.around]
    shape = (chunks, *kept) if columns else (*kept, chunks)
    partial = {
        id(a): names.buffer(shape, a.dtype) for u in nest.updates for a in u.accumulators
    }
    first = _filling(nest, partial, size, columns, names)
    last = _combining(nest, partial, chunks, columns, names)
    return [ir.Stage(stage.kind, first), ir.Stage(stage.kind, last)]


def _found(body: Sequence[ir.Statement]) -> _Nest | None:
    around: list[ir.For] = []
    while len(body) == 1 and isinstance(body[0], ir.For):
        around.append(body[0])
        body = body[0].body
    places = [k for k, s in enumerate(body) if isinstance(s, ir.For)]
    if len(places) != 1:
        return None
    before, loop, after = body[: places[0]], body[places[0]], tuple(body[places[0] + 1 :])
    assert isinstance(loop, ir.For)
    begins = tuple([s for s in before if isinstance(s, ir.Begin)])
    if len(begins) != len(before):
        return None
    updates, touches = carried(loop.body), accesses(loop.body)
    if not updates or not _splits(updates, touches) or not apart(loop, touches, local=True):
        return None
    if not accesses(after).stores.keys().isdisjoint(touches.buffers):
        return None
    if (
        (touches.reads | touches.writes)
        - touches.begun
        - {id(a) for u in updates for a in u.accumulators}
    ):
        return None
    return _Nest(around, begins, loop, after, updates)


def _splits(updates: Sequence[ir.Update], touches: Accesses) -> bool:
    if touches.sequential or any(u.combine not in SPLITS for u in updates):
        return False
    return not any(id(a) in touches.reads for u in updates for a in u.accumulators)


def _filling(
    nest: _Nest, partial: dict[int, ir.Buffer], size: int, columns: bool, names: Names
) -> tuple[ir.Statement, ...]:
    """The statements that compute the partial results of all chunks."""
    whole, rest = divmod(nest.loop.index.extent, size)
    chunk = names.index(whole)
    found = [ir.For(chunk, _chunk(nest, partial, chunk, size, chunk * size, columns, names))]
    if not rest:
        return tuple(found)
    last, start = const(whole, ir.INDEX), const(whole * size, ir.INDEX)
    return (*found, *_chunk(nest, partial, last, rest, start, columns, names))


def _chunk(
    nest: _Nest,
    partial: dict[int, ir.Buffer],
    chunk: Expr,
    size: int,
    start: Expr,
    columns: bool,
    names: Names,
) -> tuple[ir.Statement, ...]:
    """The partial results of one chunk."""
    step = names.index(size, "r")
    loop = replace(
        nest.loop,
        index=step,
        body=with_indices(nest.loop.body, {nest.loop.index: start + step}),
        lanes=no_more(nest.loop.lanes, size),
    )
    begins: list[ir.Statement] = []
    stores: list[ir.Statement] = []
    for update in nest.updates:
        for a in update.accumulators:
            offset = _offset(nest, partial[id(a)], chunk, columns)
            begins.append(ir.Begin(a, const(identity(update.combine, a.dtype), a.dtype)))
            stores.append(ir.Store(partial[id(a)], offset, Read(a.dtype, a)))
    body: tuple[ir.Statement, ...] = (*begins, loop, *stores)
    for around in reversed(nest.around):
        body = (replace(around, body=body),)
    return again(body, {}, {}, names)


def _offset(nest: _Nest, buffer: ir.Buffer, chunk: Expr, columns: bool) -> Expr:
    kept = [f.index for f in nest.around]
    return ravel([chunk, *kept] if columns else [*kept, chunk], buffer.shape)


def _combining(
    nest: _Nest, partial: dict[int, ir.Buffer], chunks: int, columns: bool, names: Names
) -> tuple[ir.Statement, ...]:
    """The statements that combine partial results."""
    chunk = names.index(chunks)
    updates: list[ir.Statement] = []
    lanes = 1 if columns else no_more(LANES, chunks)
    for update in nest.updates:
        values = tuple(
            [
                Load(a.dtype, partial[id(a)], _offset(nest, partial[id(a)], chunk, columns))
                for a in update.accumulators
            ]
        )
        updates.append(ir.Update(update.combine, update.accumulators, values))
    loop = ir.For(chunk, tuple(updates), lanes)
    body: tuple[ir.Statement, ...] = (*nest.before, loop, *nest.after)
    for around in reversed(nest.around):
        body = (replace(around, body=body),)
    return body


def again(
    body: Sequence[ir.Statement],
    places: Mapping[Index, Expr],
    registers: Mapping[int, ir.Accumulator],
    names: Names,
) -> tuple[ir.Statement, ...]:
    """A second set of statements, with loops and registers of its own."""
    return copied(
        body,
        places,
        registers,
        lambda index: names.index(index.extent, "i"),
        lambda a: names.register(a.dtype),
    )


# Chunks whose results go to a register.


def _short(body: Sequence[ir.Statement], names: Names) -> tuple[ir.Statement, ...]:
    found: list[ir.Statement] = []
    for statement in body:
        if isinstance(statement, ir.For):
            found += _short_loop(statement, names)
        elif isinstance(statement, ir.If):
            found.append(replace(statement, body=_short(statement.body, names)))
        else:
            found.append(statement)
    return tuple(found)


def _short_loop(loop: ir.For, names: Names) -> list[ir.Statement]:
    """A loop that adds no more than so many floats to a register in turn."""
    loop = replace(loop, body=_short(loop.body, names))
    sums = _sums(loop.body)
    most = STEPS if loop.lanes > 1 else PLAIN_STEPS
    steps = -(-loop.index.extent // loop.lanes)
    if not sums or steps * _adds(loop.body, sums) <= most:
        return [loop]
    body: list[ir.Statement] = []
    for statement in loop.body:
        inside = isinstance(statement, ir.For) and _adds((statement,), sums) > 1
        body += _apart(statement, sums, names) if inside else [statement]
    loop = replace(loop, body=tuple(body))
    return [loop] if steps <= most else _chunked(loop, sums, most * loop.lanes, names)


def _sums(body: Sequence[ir.Statement]) -> list[ir.Accumulator]:
    """The floats that a body adds up for what is outside."""
    reads = accesses(body).reads
    return [
        a
        for update in carried(body)
        for a in update.accumulators
        if update.combine == "add" and a.dtype.is_floating and id(a) not in reads
    ]


def _adds(body: Sequence[ir.Statement], sums: Sequence[ir.Accumulator]) -> int:
    """How often a body adds to one of some registers, at most."""
    found = dict.fromkeys((id(a) for a in sums), 0)

    def count(body: Sequence[ir.Statement], times: int) -> None:
        for s in body:
            if isinstance(s, ir.For):
                count(s.body, times * -(-s.index.extent // s.lanes))
            elif isinstance(s, ir.If):
                count(s.body, times)
            elif isinstance(s, ir.Update):
                for a in s.accumulators:
                    if id(a) in found:
                        found[id(a)] += times

    count(body, 1)
    return max(found.values(), default=0)


def _apart(
    statement: ir.Statement, sums: Sequence[ir.Accumulator], names: Names
) -> list[ir.Statement]:
    """A statement that adds to registers of its own, which are then added to the others."""
    mine = {id(a) for u in carried((statement,)) for a in u.accumulators}
    own = {id(a): names.register(a.dtype) for a in sums if id(a) in mine}
    return [
        *(ir.Begin(p, const(0, p.dtype)) for p in own.values()),
        *again((statement,), {}, own, names),
        *(ir.Update("add", (a,), (Read(a.dtype, own[id(a)]),)) for a in sums if id(a) in own),
    ]


def _chunked(
    loop: ir.For, sums: Sequence[ir.Accumulator], most: int, names: Names
) -> list[ir.Statement]:
    """A loop as chunks that add to registers of their own, and what is left over."""
    size = size_of_chunks(loop.index.extent, most, loop.lanes)
    whole, rest = divmod(loop.index.extent, size)
    chunk, step = names.index(whole), names.index(size, "r")
    inner = replace(
        loop, index=step, body=with_indices(loop.body, {loop.index: chunk * size + step})
    )
    found = _short_loop(ir.For(chunk, tuple(_apart(inner, sums, names))), names)
    if rest:
        step = names.index(rest, "r")
        start = const(whole * size, ir.INDEX)
        body = again(loop.body, {loop.index: start + step}, {}, names)
        found.append(ir.For(step, body, no_more(loop.lanes, rest)))
    return found
