"""What is done with each element of a product joins the product, row by row.

A bias, an activation, a residual: a stage of maps over the elements of a product's output runs
over a few rows as soon as these are there, while they are in the first cache. If nobody else
reads the output, it lies where the result goes, and is not stored apart. Read `contract.py`
before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from headrace.compile.loops import ir
from headrace.compile.loops.expr import Const, Expr, Index, Load
from headrace.compile.loops.product import Product, Tail
from headrace.compile.loops.rewrite import Rewriter, with_indices
from headrace.compile.schedule.accesses import Accesses, Place, accesses, independent, place
from headrace.compile.schedule.flatten import flatten
from headrace.compile.schedule.vectorize import vectorize

Body = tuple[ir.Statement, ...]


def tails(loops: ir.Loops) -> ir.Loops:
    """The program with maps joined to the products that they read."""
    if all(stage.how is None for stage in ir.stages(loops.stages)):
        return loops
    steps = _steps(loops.stages, _Uses(loops))
    used = {key for stage in ir.stages(steps) for key in accesses(stage.body).buffers}
    used |= {id(b) for b in ir.deciding(steps)}
    kept = tuple([b for b in loops.temporaries if id(b) in used])
    return replace(loops, stages=steps, temporaries=kept)


class _Uses:
    """In how many stages each buffer is loaded, which ones are temporaries, and which ones
    products fill."""

    def __init__(self, loops: ir.Loops) -> None:
        self.counts: dict[int, int] = {}
        every = ir.stages(loops.stages)
        self.products = {id(s.how.output.buffer) for s in every if s.how is not None}
        for stage in ir.stages(loops.stages):
            for key in accesses(stage.body).loads:
                self.counts[key] = self.counts.get(key, 0) + 1
        deciding = {id(b) for b in ir.deciding(loops.stages)}
        self.temporaries = {id(b) for b in loops.temporaries} - deciding

    def alone(self, buffer: ir.Buffer) -> bool:
        """Whether one stage reads a temporary."""
        return id(buffer) in self.temporaries and self.counts.get(id(buffer)) == 1


def _steps(steps: ir.Steps, uses: _Uses) -> ir.Steps:
    found: list[ir.Step] = []
    for step in steps:
        match step:
            case ir.Stage(kind="map"):
                if not _joined(step, found, uses):
                    found.append(step)
            case ir.Stage():
                found.append(step)
            case ir.Repeat(head, condition, body):
                found.append(ir.Repeat(_steps(head, uses), condition, _steps(body, uses)))
            case ir.Branch(index, sides):
                found.append(ir.Branch(index, tuple([_steps(s, uses) for s in sides])))
    return tuple(found)


def _joined(stage: ir.Stage, before: list[ir.Step], uses: _Uses) -> bool:
    """Join a stage to the product that it reads, if all between may come later."""
    touches = accesses(stage.body)
    if touches.loads.keys().isdisjoint(uses.products):
        return False
    for number in range(len(before) - 1, -1, -1):
        step = before[number]
        if not isinstance(step, ir.Stage):
            return False
        if step.how is not None and id(step.how.output.buffer) in touches.loads:
            found = _with_tail(step, step.how, stage, touches, uses)
            if found is not None:
                assert found.how is not None
                before[number] = found
                uses.products.add(id(found.how.output.buffer))
            return found is not None
        if not independent(accesses(step.body), touches):
            return False
    return False


def _with_tail(
    stage: ir.Stage, how: Product, after: ir.Stage, touches: Accesses, uses: _Uses
) -> ir.Stage | None:
    output = how.output.buffer
    if how.form not in ("tiles", "packed", "panels") or how.steps or not _dense(how):
        return None
    mine = accesses(stage.body)
    if touches.sequential or touches.writes:
        return None
    if touches.stores.keys() & (mine.loads.keys() | mine.stores.keys() | touches.loads.keys()):
        return None
    if touches.loads.keys() & mine.stores.keys() != {id(output)}:
        return None
    row = Index(ir.INDEX, f"{how.copies.name if how.copies else output.name}r", how.m)
    body = _of_row(after.body, how, row)
    if body is None or not _in_place(body, how, row):
        return None
    target = output if how.tail else _target(body, how, uses)
    tail = _scheduled(vectorize, body)
    if how.tail is not None:  # one more: it sees the same rows
        tail = (*with_indices(how.tail.body, {how.tail.row: row}), *tail)
    work = (*stage.body, *after.body)
    if target is not output:
        tail, work = _renamed(tail, output, target), _renamed(work, output, target)
    to = replace(how.output, buffer=target)
    return ir.Stage(stage.kind, work, replace(how, output=to, tail=Tail(row, tail)))


def _dense(how: Product) -> bool:
    """Whether the output is a whole buffer."""
    output = how.output
    return (
        isinstance(output.offset, Const)
        and output.offset.value == 0
        and (output.rows, output.columns) == (how.n, 1)
        and output.buffer.size == how.m * how.n
    )


def _of_row(work: Body, how: Product, row: Index) -> Body | None:
    """A stage's statements for one row of the output: a loop over columns."""
    if len(work) != 1 or not isinstance(work[0], ir.For):
        return None
    (flat,) = _scheduled(flatten, work)
    assert isinstance(flat, ir.For)
    inner = flat.body[0]
    body: Body
    if flat.index.extent == how.m * how.n:
        column = Index(ir.INDEX, f"{flat.index.name}c", how.n)
        body = with_indices(flat.body, {flat.index: row * how.n + column})
        body = (ir.For(column, body),)
    elif flat.index.extent == how.m and isinstance(inner, ir.For) and len(flat.body) == 1:
        body = with_indices(flat.body, {flat.index: row})
    else:
        return None
    return body if _columns(body, how.n) else None


def _columns(body: Body, n: int) -> bool:
    """Whether a body is one loop over `n` columns that only stores."""
    (loop,) = body
    if not isinstance(loop, ir.For) or loop.index.extent != n:
        return False
    return all(isinstance(s, ir.Store) and s.part == 0 for s in loop.body)


def _scheduled(step: Callable[[ir.Loops], ir.Loops], body: Body) -> Body:
    """Statements after a step of the schedule."""
    (stage,) = step(ir.Loops("", (), (), (), (ir.Stage("map", body),), ())).stages
    assert isinstance(stage, ir.Stage)
    return stage.body


def _in_place(body: Body, how: Product, row: Index) -> bool:
    """Whether the output is read just where a row's loop stands."""
    (loop,) = body
    assert isinstance(loop, ir.For)
    return all(
        _factors(read) == {id(row): how.n, id(loop.index): 1}
        for read in accesses(body).loads[id(how.output.buffer)].values()
    )


def _factors(where: Place) -> dict[int, int] | None:
    """How far each index moves an offset; None where there is a constant too."""
    return None if where.constant else {k: t.factor for k, t in where.terms.items()}


def _target(body: Body, how: Product, uses: _Uses) -> ir.Buffer:
    """Where the output may lie: where the result goes, instead of in a buffer of its own."""
    (loop,) = body
    assert isinstance(loop, ir.For)
    output, store = how.output.buffer, loop.body[0]
    assert isinstance(store, ir.Store)
    same = store.buffer.dtype is output.dtype and store.buffer.size == output.size
    if not uses.alone(output) or len(loop.body) != 1 or not same:
        return output
    (read, *_) = accesses(body).loads[id(output)].values()
    same = _factors(read) == _factors(place(store.offset))
    return store.buffer if same else output


def _renamed(body: Body, old: ir.Buffer, new: ir.Buffer) -> Body:
    """Statements in which one buffer stands for another."""

    def change(x: Expr) -> Expr | None:
        if isinstance(x, Load) and x.buffer is old:
            return Load(x.dtype, new, rewriter(x.offset), x.part)
        return None

    rewriter = Rewriter(change)

    def stored(statement: ir.Statement) -> ir.Statement:
        if isinstance(statement, ir.For | ir.If):
            return replace(statement, body=tuple([stored(s) for s in statement.body]))
        if isinstance(statement, ir.Store) and statement.buffer is old:
            return replace(statement, buffer=new)
        return statement

    return tuple([stored(s) for s in rewriter.body(body)])
