"""Loops that threads share give the same for any number of threads, and in the caller alone."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.base import dtypes
from headrace.compile import executable, interpret
from headrace.compile.llvm import parallel, pool
from headrace.compile.loops import ir
from headrace.compile.loops.accumulate import carried
from headrace.compile.loops.expr import Index, Load, const
from headrace.compile.loops.verify import verify
from headrace.compile.run import build
from headrace.compile.run.threads import threads
from headrace.compile.schedule import schedule
from tests.compile.support import Guarded, close, compiled, elementwise, shaped, values


def random(*parts: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(parts).encode()))


def share(loops: ir.Loops) -> ir.Loops:
    """The schedule, and every outermost loop shared that hands no register on."""
    loops = schedule(loops)

    def marked(statement: ir.Statement) -> ir.Statement:
        if isinstance(statement, ir.If):
            return ir.If(statement.condition, tuple([marked(s) for s in statement.body]))
        free = isinstance(statement, ir.For) and not carried(statement.body)
        return replace(statement, threads=True) if free else statement

    def change(stages: Any) -> list[ir.Stage]:
        return [replace(s, body=tuple([marked(x) for x in s.body])) for s in stages]

    return replace(loops, stages=ir.rewritten(loops.stages, change))


@pytest.fixture
def shared(monkeypatch):
    """All outermost loops are shared, in small chunks."""
    monkeypatch.setattr(build, "schedule", share)
    monkeypatch.setattr(parallel, "WORK", 1)


def agrees(loops: ir.Loops, *arrays: np.ndarray) -> None:
    expected, program = interpret(loops, arrays), executable(loops)
    for count in (1, 2, 3, 7):
        with threads().limited(count):
            before = threads().jobs
            given = [Guarded(a, True).array for a in (*arrays, *expected)]
            program.call(*given)
            used = threads().jobs > before
        for got, wanted in zip(given[len(arrays) :], expected, strict=True):
            close(got, wanted)
        assert used == (count > 1 and pool.AVAILABLE and expected[0].size > 64)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(256, 700), st.sampled_from((dtypes.float32, dtypes.int8)))
def test_elements(rows, count, dtype):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "schedule", share)
        patch.setattr(parallel, "WORK", 1)
        x = values(dtype, (rows, count), random(rows, count, dtype))
        y = values(dtype, (rows, count), random(count, rows, dtype))
        agrees(compiled(elementwise(lambda b, x, y: x * y - x), x, y), x, y)


def test_rows_that_accumulate(shared):
    x = values(dtypes.int32, (70, 33), random("rows"))

    def rule(c, x):
        return c.reduce("add", (70,), x.dtype, (33,), lambda i, r: x[i + r])

    agrees(compiled(shaped((70,), rule), x), x)


def test_each_thread_has_local_buffers(shared, monkeypatch):
    monkeypatch.setattr(build, "schedule", lambda loops: loops)
    rows, count = 90, 41
    x = ir.Buffer("x", (rows, count), dtypes.float32)
    y = ir.Buffer("y", (rows, count), dtypes.float32)
    t = ir.Buffer("t", (count,), dtypes.float32, local=True)
    i, j, k = (Index(ir.INDEX, n, e) for n, e in (("i", rows), ("j", count), ("k", count)))
    one = const(1.0, dtypes.float32)
    first = ir.For(j, (ir.Store(t, j, Load(x.dtype, x, i * count + j) + one),), lanes=16)
    second = ir.For(k, (ir.Store(y, i * count + k, Load(t.dtype, t, count - 1 - k)),))
    body = (ir.For(i, (first, second), threads=True),)
    loops = ir.Loops("local", (x,), (y,), (t,), (ir.Stage("map", body),), ())
    given = values(dtypes.float32, (rows, count), random("local"))
    agrees(verify(loops), given)


def test_loops_with_checks_are_not_shared(shared):
    x = np.arange(1000)

    def rule(c, x):
        def element(i):
            c.check(x[i] < 900, "{} is too much", x[i])
            return x[i]

        return c.map((1000,), x.dtype, element)

    with pytest.raises(Exception, match="900 is too much"):
        executable(compiled(shaped((1000,), rule), x))((x,))


def test_where_chunks_begin_follows_from_the_loop():
    index = Index(ir.INDEX, "i", 10_000_000)
    loop = ir.For(index, (), lanes=16, threads=True)
    found = parallel.cut(loop)
    assert found is not None and found.chunks == parallel.CHUNKS
    assert found.size * (found.chunks - 1) < found.whole <= found.size * found.chunks
    assert parallel.cut(replace(loop, threads=False)) is None
    assert parallel.cut(ir.For(Index(ir.INDEX, "i", 20), (), lanes=16, threads=True)) is None
