"""Calls of programs: the native method and the portable one, and what they may be given."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes, errors, flags
from headrace.compile import executable
from headrace.compile.llvm.entry import STACK
from headrace.compile.loops import ir
from headrace.compile.loops.expr import Index, Load, const
from headrace.compile.run import layout
from headrace.compile.run.build import UNLOCKED, work
from headrace.compile.run.entry import Portable
from headrace.compile.run.memory import LARGE
from tests.compile.support import compiled, elementwise, shaped

f32, i64 = dtypes.float32, dtypes.int64


@pytest.fixture(params=["native", "portable"])
def make(request, monkeypatch):
    """`executable` with one of the two ways to call."""
    if request.param == "portable":
        monkeypatch.setattr("headrace.compile.run.layout.known", lambda: False)

    def made(loops):
        found = executable(loops)
        assert isinstance(found.call, Portable) == (request.param == "portable")
        return found

    return made


def scaled(size=3):
    """v, a state, is multiplied by x, and y is what it was."""
    i, j = Index(i64, "i", size), Index(i64, "j", size)
    x, y, v = (ir.Buffer(name, (size,), f32) for name in "xyv")
    first = ir.Stage("map", (ir.For(i, (ir.Store(y, i, Load(f32, v, i)),)),))
    second = ir.Stage("map", (ir.For(j, (ir.Store(v, j, Load(f32, v, j) * Load(f32, x, j)),)),))
    return ir.Loops("scaled", (x,), (y,), (), (first, second), (), (v,))


def positive(size=4):
    """x itself; an error where an element is not positive."""

    def lower(c, x):
        def element(i):
            c.check(x[i] > 0, "element {} is not positive", i)
            return x[i]

        return c.map(x.shape, x.dtype, element)

    return compiled(shaped((size,), lower), np.ones(size, np.int32))


def test_this_interpreter_is_known():
    assert layout.known()


def test_inputs_states_and_outputs(make):
    run = make(scaled())
    x, v = np.array([1, 2, 3], np.float32), np.full(3, 10, np.float32)
    (y,) = run.call(x, v)
    assert y.tolist() == [10, 10, 10] and v.tolist() == [10, 20, 30]
    given = np.zeros(3, np.float32)
    (again,) = run.call(x, v, given)
    assert again is given and given.tolist() == [10, 20, 30] and v.tolist() == [10, 40, 90]
    (fresh,) = run.call(x, v, None)
    assert fresh.tolist() == [10, 40, 90] and fresh.flags.owndata


def test_what_does_not_suit_is_named(make):
    run, x = make(scaled()), np.ones(3, np.float32)
    locked = np.ones(3, np.float32)
    locked.flags.writeable = False
    assert run.call() == -1 and run.call(x) == -1 and run.call(x, x, x, x) == -1
    for bad in (
        x.astype(np.float64),
        np.ones(4, np.float32),
        np.ones((1, 3), np.float32),
        np.ones(6, np.float32)[::2],
        np.frombuffer(bytes(13), np.uint8)[1:].view(np.float32),
        x.view(type("Sub", (np.ndarray,), {})),
        x.tolist(),
        None,
        "x",
    ):
        assert run.call(bad, x) == 0
        assert run.call(x, bad) == 1
        assert run.call(x, x, bad) == 2 or bad is None
    assert run.call(locked, x)[0].tolist() == [1, 1, 1]
    assert run.call(x, locked) == 1 and run.call(x, x, locked) == 2


def test_variables_alone_with_their_buffers_are_taken():
    run, x, v = executable(scaled()), tf.Variable([1.0, 2.0, 3.0]), tf.Variable([10.0] * 3)
    run.call(x, v)
    assert v.numpy().tolist() == [10, 20, 30]
    held = v.value()
    assert run.call(x, v) == 1 and run.call(v, x) == 0
    del held
    assert run.call(x, tf.Variable([1.0])) == 1 and run.call(tf.Variable([1, 2, 3]), v) == 0
    assert run.call(x, v.assign_add(x)) == 1  # of another class
    run.call(v, v)
    assert v.numpy().tolist() == [121, 484, 1089]


def test_programs_without_the_lock_take_no_variables():
    large = executable(scaled(10**6))
    x, v = np.ones(10**6, np.float32), tf.Variable(tf.ones([10**6]))
    assert large.program.unlock and large.call(x, v) == 1 and large.call(v, x) == 0


def test_inputs_are_made_ready(make):
    run = make(compiled(elementwise(lambda b, x: x * 2), np.ones((2, 3), np.float32)))
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    noted = np.dtype(np.float32, metadata={"note": 1})
    for same in (
        np.asfortranarray(x),
        x.astype(">f4").astype(np.float32),
        x.view(type("Sub", (np.ndarray,), {})),
        x.view(noted),
        np.repeat(x, 2, axis=1)[:, ::2],
    ):
        (y,) = run((same,))
        assert type(y) is np.ndarray
        np.testing.assert_array_equal(y, x * 2)


def test_states_are_made_ready_or_refused(make):
    run, x = make(scaled()), np.full(3, 2, np.float32)
    noted = np.ones(3, np.dtype(np.float32, metadata={"note": 1}))
    run((x,), (noted,))
    assert noted.tolist() == [2, 2, 2]
    with pytest.raises(ValueError, match="v is a state"):
        run((x,), (np.ones(6, np.float32)[::2],))
    with pytest.raises(ValueError, match="takes 2 arrays, got 1"):
        run((x,))
    with pytest.raises(ValueError, match=r"v is float32\[3\], got an array of float32\[4\]"):
        run((x,), (np.ones(4, np.float32),))


def test_a_failed_check_is_told(make):
    run = make(positive())
    with pytest.raises(errors.InvalidArgumentError, match="element 2 is not positive"):
        run((np.array([1, 1, 0, 1], np.int32),))
    assert run((np.ones(4, np.int32),))[0].tolist() == [1, 1, 1, 1]


def test_scalars_and_nothing(make):
    run = make(compiled(elementwise(lambda b, x: x + 1), np.ones((), np.int64)))
    (one,) = run((np.array(41),))
    assert one.shape == () and one == 42
    run = make(compiled(elementwise(lambda b, x: x + 1), np.ones((3, 0), np.int64)))
    assert run((np.ones((3, 0), np.int64),))[0].shape == (3, 0)


@pytest.mark.parametrize("size", [100, STACK // 8, STACK // 8 + 1, LARGE])
def test_temporaries_on_the_stack_and_in_blocks(make, size):
    def lower(c, x):
        twice = c.store(c.map(x.shape, x.dtype, lambda i: x[i] * 2))
        return c.map(x.shape, x.dtype, lambda i: twice[x.size - 1 - i] + x[i])

    x = np.arange(size, dtype=np.float64)
    run = make(compiled(shaped((size,), lower), x))
    np.testing.assert_array_equal(run((x,))[0], x[::-1] * 2 + x)


def test_fresh_memory_may_be_poisoned(make):
    x, y = ir.Buffer("x", (4,), f32), ir.Buffer("y", (4,), f32)
    first = ir.Stage("map", (ir.Store(y, const(1, i64), Load(f32, x, const(0, i64))),))
    loops = ir.Loops("part", (x,), (y,), (), (first,), ())
    with flags.POISON.override("1"):
        run = make(loops)
    (found,) = run((np.ones(4, np.float32),))
    np.testing.assert_array_equal(found, [np.nan, 1, np.nan, np.nan])


def test_references_are_balanced(make):
    run, x = make(positive()), np.ones(4, np.int32)
    bad, out, dtype = np.zeros(4, np.int32), np.ones(4, np.int32), np.dtype(np.int32)
    watched = (x, bad, out, dtype, run.call)

    def counts():
        return [sys.getrefcount(w) for w in watched]

    def calls():
        for _ in range(1000):
            run.call(x), run.call(bad), run.call(x, out), run.call(out[::2]), run.call()
            run.call(x, out[::2]), run.call(x, None)

    calls()
    gc.collect()
    before, known = counts(), sys.getallocatedblocks()
    calls()
    gc.collect()
    assert counts() == before
    assert sys.getallocatedblocks() - known < 100


def test_long_programs_let_other_threads_run():
    small = executable(compiled(elementwise(lambda b, x: x + 1), np.ones(10, np.float32)))
    large = executable(compiled(elementwise(lambda b, x: x + 1), np.ones(10**6, np.float32)))
    assert not small.program.unlock and large.program.unlock
    assert work(small.loops.stages) < UNLOCKED / 100
    x = np.ones(10**6, np.float32)
    with ThreadPoolExecutor(8) as pool:
        for (y,) in pool.map(lambda _: large((x,)), range(32)):
            assert y[0] == y[-1] == 2
