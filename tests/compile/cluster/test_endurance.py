"""What many calls and many threads leave behind: nothing, and the right numbers."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags

STATM = Path("/proc/self/statm")
CALLS = 100_000


def held() -> tuple[int, int]:
    """Python's blocks of memory, and the pages of the process."""
    gc.collect()
    return sys.getallocatedblocks(), int(STATM.read_text().split()[1]) if STATM.exists() else 0


def grown(call) -> tuple[int, int]:
    """By how many blocks and pages the process has grown after many calls."""
    for _ in range(CALLS // 10):
        call()
    blocks, pages = held()
    for _ in range(CALLS):
        call()
    after = held()
    return after[0] - blocks, after[1] - pages


def flat(call) -> None:
    """Many calls leave less than one block for every hundredth of them, and half a megabyte."""
    blocks, pages = grown(call)
    assert blocks < CALLS // 100 and pages < 128, (blocks, pages)


@pytest.fixture(autouse=True)
def at_once():
    with flags.COMPILE.override("always"):
        yield


def test_pure_calls_leave_memory_flat():
    cube = tf.function(lambda x: (x * x * x, tf.reduce_sum(x)))
    x = tf.ones([5])
    flat(lambda: cube(x))


def test_calls_on_arrays_that_change_variables_leave_memory_flat():
    v = tf.Variable(tf.zeros([3]))

    @tf.function
    def step(x):
        v.assign_add(x)
        return v * 2.0

    x = np.ones(3, np.float32)
    flat(lambda: step(x))
    assert v.numpy().tolist() == [CALLS + CALLS // 10] * 3


def test_failing_and_drawing_calls_leave_memory_flat():
    @tf.function
    def step(i):
        return tf.gather(tf.random.uniform([4]), i)

    right, wrong = tf.constant([1, 3]), tf.constant([1, 9])
    count = 0

    def call():
        nonlocal count
        count += 1
        if count % 50:
            step(right)
            return
        with pytest.raises(tf.errors.InvalidArgumentError):
            step(wrong)

    flat(call)


@pytest.mark.parametrize("size", [3, 200_000])  # with the interpreter's lock, and without it
def test_threads_get_their_own_results(size):
    """Sixteen threads in one function: its temporaries belong to a call, variables to all."""
    v, rounds = tf.Variable(tf.zeros([size])), 300 if size < 100 else 40

    @tf.function(jit_compile=True)
    def pure(x):
        y = tf.cumsum(x)
        return tf.reduce_max(y), tf.reverse(y, [0]) + x

    @tf.function(jit_compile=True)
    def changing(x):
        before = v.read_value()
        v.assign_add(x)
        return v - before, tf.reduce_max(v) - tf.reduce_max(before)

    def work(number):
        x = tf.fill([size], float(number + 1))
        total, rows = pure(x)
        for _ in range(rounds):
            again = pure(x)
            assert again[0].numpy() == total.numpy() and (again[1] == rows).numpy().all()
            difference, largest = changing(x)
            assert (difference.numpy() == number + 1).all()
            assert largest.numpy() == number + 1
        expected = np.arange(size + 1, 1, -1, dtype=np.float32) * (number + 1)
        np.testing.assert_array_equal(rows.numpy(), expected)
        assert total.numpy() == size * (number + 1)
        return number

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == list(range(16))
    assert (v.numpy() == rounds * sum(range(1, 17))).all()
