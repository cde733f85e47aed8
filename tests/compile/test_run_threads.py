"""The pool: every chunk once, whatever the number of threads; nesting, forks and the end."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest

from headrace.base import errors, flags
from headrace.compile import executable
from headrace.compile.llvm import abi, pool
from headrace.compile.llvm.emit import emit
from headrace.compile.llvm.engine import ENGINE
from headrace.compile.llvm.runtime import runtime
from headrace.compile.run.threads import threads
from headrace.compile.schedule import schedule, tiles
from headrace.ops.matmul import MatMul
from tests.compile.support import compiled, shaped

pytestmark = pytest.mark.skipif(not pool.AVAILABLE, reason="there are no workers")

TASKS = """
; env: parallel, pool, counts, rounds of work, chunks inside
define void @task(ptr %env, i64 %begin, i64 %end) {
entry:
  %counts.at = getelementptr ptr, ptr %env, i64 2
  %counts = load ptr, ptr %counts.at
  %rounds.at = getelementptr i64, ptr %env, i64 3
  %rounds = load i64, ptr %rounds.at
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %i1, %next ]
  %p = getelementptr i64, ptr %counts, i64 %i
  br label %work
work:
  %r = phi i64 [ 0, %loop ], [ %r1, %work ]
  %r1 = add i64 %r, 1
  %old = load volatile i64, ptr %p
  %new = add i64 %old, 1
  store volatile i64 %new, ptr %p
  %again = icmp slt i64 %r1, %rounds
  br i1 %again, label %work, label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}

; the first chunk is short, and the second long
define void @late(ptr %env, i64 %begin, i64 %end) {
entry:
  %counts.at = getelementptr ptr, ptr %env, i64 2
  %counts = load ptr, ptr %counts.at
  %rounds.at = getelementptr i64, ptr %env, i64 3
  %rounds = load i64, ptr %rounds.at
  %first = icmp eq i64 %begin, 0
  %some = udiv i64 %rounds, 16
  %most = select i1 %first, i64 %some, i64 %rounds
  br label %work
work:
  %r = phi i64 [ 0, %entry ], [ %r1, %work ]
  %r1 = add i64 %r, 1
  %p = getelementptr i64, ptr %counts, i64 %begin
  %old = load volatile i64, ptr %p
  %new = add i64 %old, 1
  store volatile i64 %new, ptr %p
  %again = icmp slt i64 %r1, %most
  br i1 %again, label %work, label %done
done:
  ret void
}

; each chunk runs all of a loop of its own
define void @nested(ptr %env, i64 %begin, i64 %end) {
entry:
  %parallel = load ptr, ptr %env
  %pool.at = getelementptr ptr, ptr %env, i64 1
  %pool = load ptr, ptr %pool.at
  %counts.at = getelementptr ptr, ptr %env, i64 2
  %counts = load ptr, ptr %counts.at
  %inside.at = getelementptr i64, ptr %env, i64 4
  %inside = load i64, ptr %inside.at
  br label %loop
loop:
  %i = phi i64 [ %begin, %entry ], [ %i1, %loop ]
  %own = alloca [5 x i64]
  call void @llvm.memcpy.p0.p0.i64(ptr %own, ptr %env, i64 40, i1 false)
  %shift = mul i64 %i, %inside
  %row = getelementptr i64, ptr %counts, i64 %shift
  %row.at = getelementptr ptr, ptr %own, i64 2
  store ptr %row, ptr %row.at
  call void %parallel(ptr %pool, ptr @task, ptr %own, i64 %inside)
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""


@cache
def tasks():
    return ENGINE.library(TASKS, ("task", "late", "nested"))


def run(name, counts, chunks, rounds=1, inside=0):
    """Call `parallel` as a program does."""
    threads()
    parallel, place, *_ = runtime().slots
    assert abi.SLOTS[:2] == ("parallel", "pool")
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
    env = np.array([parallel, place, counts.ctypes.data, rounds, inside], np.int64)
    kind(parallel)(place, tasks()[name], env.ctypes.data, chunks)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("chunks", [0, 1, 2, 5, 64, 1000])
def test_every_chunk_runs_once(count, chunks):
    counts = np.zeros(chunks + 1, np.int64)
    with threads().limited(count):
        for _ in range(20):
            run("task", counts, chunks)
        assert threads().started in (0, count - 1)
    assert counts.tolist() == [20] * chunks + [0]


def test_workers_start_late_and_take_part():
    with threads().limited(3):
        counts = np.zeros(64, np.int64)
        run("task", counts, 1)
        assert threads().started == 0
        before = threads().jobs
        run("task", counts, 64, rounds=100_000)
        assert threads().started == 2 and threads().jobs == before + 1
    assert threads().started == 0


def test_workers_wake_after_a_pause():
    counts = np.zeros(8, np.int64)
    with threads().limited(4):
        for _ in range(5):
            run("task", counts, 8, rounds=1000)
            time.sleep(0.005)
    assert counts.tolist() == [5000] * 8


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_task_may_ask_for_threads_itself(count):
    counts = np.zeros((20, 30), np.int64)
    with threads().limited(count):
        run("nested", counts, 20, rounds=3, inside=30)
    assert (counts == 3).all()


def test_many_callers_at_once():
    def work(_):
        counts = np.zeros(50, np.int64)
        for _ in range(100):
            run("task", counts, 50, rounds=20)
        return counts.tolist() == [2000] * 50

    with threads().limited(4), ThreadPoolExecutor(8) as callers:
        assert all(callers.map(work, range(16)))


@pytest.mark.parametrize("chunks", [2, 5, 6, 64])
def test_chunks_are_divided_among_threads(chunks):
    with threads().limited(6):
        run("task", np.zeros(chunks, np.int64), chunks)
        place = runtime().address["hr.pool"] + 8 * pool.PARTS["next"]
        shares = min(6, chunks)
        assert word("chunks") == chunks and word("shares") == shares
        ends = (ctypes.c_int64 * (8 * shares)).from_address(place)[::8]
        bounds = [k * chunks // shares for k in range(1, shares + 1)]
        assert all(got >= end for got, end in zip(ends, bounds, strict=True))


def word(name):
    return threads()._words[pool.PARTS[name]]


def asleep(microseconds):
    """Whether the worker is asleep so long after a job."""
    run("task", np.zeros(8, np.int64), 8)
    begin = time.perf_counter()
    while time.perf_counter() - begin < microseconds * 1e-6:
        pass
    return word("sleepers") == 1


def test_workers_stay_awake_while_a_program_runs():
    with threads().limited(2):
        run("task", np.zeros(8, np.int64), 8, rounds=10**6)
        threads()._words[pool.PARTS["calls"]] = 1
        try:
            assert not all(asleep(200) for _ in range(200))
            assert any(asleep(20_000) for _ in range(200))  # but not for ever
        finally:
            threads()._words[pool.PARTS["calls"]] = 0
        assert any(asleep(400) for _ in range(200))


def program(c, x, y):
    """Two products, large enough to be shared."""
    first = c.contract(x, "ik", y, "kj", "ij")
    return c.contract(first, "ik", y, "kj", "ij")


def test_programs_with_several_jobs_count_themselves(monkeypatch):
    monkeypatch.setattr(tiles, "WORTH", 1.0)
    monkeypatch.setattr(tiles, "PART", 30.0)
    x = np.ones((40, 40), np.float32)
    several = compiled(shaped((40, 40), program), x, x)
    single = compiled(MatMul, x, x)
    mark = "%in = atomicrmw add"
    assert mark in emit(schedule(several)) and mark not in emit(schedule(single))
    with threads().limited(2):
        before = threads().jobs
        np.testing.assert_array_equal(executable(several)((x, x))[0], np.full((40, 40), 1600))
        assert threads().jobs == before + 2 and word("calls") == 0


def test_a_program_that_fails_counts_itself_out(monkeypatch):
    monkeypatch.setattr(tiles, "WORTH", 1.0)
    monkeypatch.setattr(tiles, "PART", 30.0)
    x = np.ones((40, 40), np.float32)

    def lower(c, x, y):
        found = c.store(program(c, x, y))
        c.check(found[0, 0] < 0, "too large")
        return found

    run_it = executable(compiled(shaped((40, 40), lower), x, x))
    with threads().limited(2), pytest.raises(errors.InvalidArgumentError, match="too large"):
        run_it((x, x))
    assert word("calls") == 0


def test_callers_go_alone_after_they_have_waited_for_a_worker():
    counts = np.zeros(2, np.int64)
    with threads().limited(2):
        for _ in range(200):
            run("late", counts, 2, rounds=10**7)
            if word("rest"):
                break
        before = threads().jobs
        run("task", counts, 2)
        assert word("rest") and threads().jobs == before
        threads().resize(2)
        run("task", counts, 2)
        assert threads().jobs == before + 1


def test_the_flag_decides():
    script = (
        "from headrace.compile.run.threads import threads\n"
        "from tests.compile.test_run_threads import *\n"
        "assert threads().count == 5\n"
        "run('task', np.zeros(9, np.int64), 9)\n"
        "assert threads().started == 4\n"
    )
    with flags.THREADS.override("5"):
        subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)


def test_a_fork_starts_its_own_workers():
    script = (
        "import os\n"
        "from tests.compile.test_run_threads import *\n"
        "counts = np.zeros(99, np.int64)\n"
        "threads().resize(3)\n"
        "run('task', counts, 99)\n"
        "child = os.fork()\n"
        "assert threads().started == (2 if child else 0)\n"
        "for _ in range(100):\n"
        "    run('task', counts, 99, 100)\n"
        "assert threads().started == 2 and (counts == 10001).all()\n"
        "assert not child or os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


def test_signals_reach_pythons_thread():
    script = (
        "import signal, time\n"
        "from tests.compile.test_run_threads import *\n"
        "seen = []\n"
        "signal.signal(signal.SIGALRM, lambda *_: seen.append(1))\n"
        "threads().resize(4)\n"
        "run('task', np.zeros(9, np.int64), 9)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "begin = time.monotonic()\n"
        "while not seen and time.monotonic() - begin < 5:\n"
        "    signal.pause()\n"
        "assert seen and time.monotonic() - begin < 4\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
