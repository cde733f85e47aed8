"""Loops that threads share: a loop becomes a function of the chunks that it is to run.

The stage hands `hr.parallel` (`pool.py`) that function and the addresses of the buffers; both
the pool and `hr.parallel` come out of the context. Where chunks begin follows from the loop
alone, nothing is carried from one to the next, and so results do not depend on the number of
threads. Read `emit.py` before.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from headrace.compile.llvm.values import Emitter
from headrace.compile.loops import ir

CHUNKS = 64
"""No more than so many: enough for the threads of a large machine to end at one time."""
WORK = 1024
"""About so many turns of innermost loops make a chunk: a few microseconds."""


class Cut(NamedTuple):
    """A loop in chunks: the steps of each, how many there are, the steps in whole vectors."""

    size: int
    chunks: int
    whole: int


class Span(NamedTuple):
    """Operands: the first step of some chunks, the end, and whether the loop ends with them."""

    start: str
    end: str
    last: str


def cut(statement: ir.Statement) -> Cut | None:
    """How threads share a statement; None if they do not."""
    if not isinstance(statement, ir.For) or not statement.threads:
        return None
    if any(isinstance(s, ir.Check) for s in ir.statements(statement.body)):
        return None
    extent, unit = statement.index.extent, statement.lanes
    unit *= max(1, min(statement.copies, extent // unit))
    units = extent // unit
    if units < 2:
        return None
    wanted = min(units, CHUNKS, ceil(_turns(statement) / WORK))
    size = ceil(units / wanted)
    count = ceil(units / size)
    return Cut(size * unit, count, units * unit) if count > 1 else None


def _turns(statement: ir.Statement) -> float:
    """How often the bodies of innermost loops run."""
    if isinstance(statement, ir.For):
        inside = sum(_turns(s) for s in statement.body)
        return max(inside, 1) * statement.index.extent / statement.lanes
    return sum(_turns(s) for s in statement.body) if isinstance(statement, ir.If) else 0


def span(e: Emitter, cut: Cut) -> Span:
    """The steps of the chunks %begin to %end, at the begin of their function."""
    start = e.line(f"mul nuw nsw i64 %begin, {cut.size}")
    end = e.line(f"mul nuw nsw i64 %end, {cut.size}")
    over = e.line(f"icmp ugt i64 {end}, {cut.whole}")
    end = e.line(f"select i1 {over}, i64 {cut.whole}, i64 {end}")
    return Span(start, end, e.line(f"icmp eq i64 %end, {cut.chunks}"))


def task(name: str, count: int) -> list[str]:
    """What the pool calls, `task.NAME`: it takes the addresses of so many buffers out of its
    environment and hands them to the function `NAME`."""
    passed = "".join(f"ptr %b{k}, " for k in range(count))
    return [
        f"define internal void @task.{name}(ptr %env, i64 %begin, i64 %end) nounwind {{",
        *_taken(count),
        f"  call void @{name}({passed}i64 %begin, i64 %end)",
        "  ret void",
        "}",
    ]


def task_of_parts(name: str, count: int) -> list[str]:
    """The same for a function of one part at a time."""
    passed = "".join(f"ptr %b{k}, " for k in range(count))
    return [
        f"define internal void @task.{name}(ptr %env, i64 %begin, i64 %end) nounwind {{",
        "entry:",
        *_taken(count),
        "  br label %loop",
        "loop:",
        "  %part = phi i64 [ %begin, %entry ], [ %after, %loop ]",
        f"  call void @{name}({passed}i64 %part)",
        "  %after = add i64 %part, 1",
        "  %more = icmp slt i64 %after, %end",
        "  br i1 %more, label %loop, label %done",
        "done:",
        "  ret void",
        "}",
    ]


def _taken(count: int) -> list[str]:
    """The addresses in an environment, as %b0, %b1, ..."""
    lines = []
    for k in range(count):
        lines.append(f"  %p{k} = getelementptr inbounds ptr, ptr %env, i64 {k}")
        lines.append(f"  %b{k} = load ptr, ptr %p{k}")
    return lines


def share(e: Emitter, name: str, buffers: Sequence[int], cut: Cut, slot: int) -> None:
    """The call that runs all chunks; `slot` is where the context has `parallel`."""
    env = e.name()
    e.allocations.append(f"  {env} = alloca [{max(len(buffers), 1)} x ptr]")
    for k, key in enumerate(buffers):
        place = e.line(f"getelementptr inbounds ptr, ptr {env}, i64 {k}")
        e.effect(f"store ptr {e.buffers[key]}, ptr {place}")
    found = []
    for k in range(2):
        place = e.line(f"getelementptr inbounds ptr, ptr %ctx, i64 {slot + k}")
        found.append(e.line(f"load ptr, ptr {place}"))
    given = f"ptr {found[1]}, ptr @task.{name}, ptr {env}, i64 {cut.chunks}"
    e.effect(f"call void {found[0]}({given})")
