"""Functions, tapes in loops and retraced functions leak nothing."""

import gc
import tracemalloc
import weakref

import pytest

import headrace as tf
from headrace.compile.run.later import compile_later
from headrace.trace.traces import Traces

SLACK = 100_000
"""Bytes: what caches and the allocator may still move."""


@pytest.fixture(autouse=True)
def node_by_node(monkeypatch):
    monkeypatch.setenv("HEADRACE_COMPILE", "never")
    compile_later(lambda: None).result(
        300
    )  # what earlier tests left to be compiled takes memory


def many(counts=(1_000, 10_000)):
    """So many calls; the larger number in long runs only."""
    few, more = counts
    return pytest.mark.parametrize("calls", [few, pytest.param(more, marks=pytest.mark.full)])


def growth(work, calls):
    """How many bytes are held after so many calls that were not after the first ones."""
    for i in range(20):
        work(i)
    gc.collect()
    tracemalloc.start()
    try:
        for i in range(20):
            work(i)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for i in range(calls):
            work(i)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@many()
def test_calls_of_a_function(calls):
    variable = tf.Variable(1.0)

    @tf.function
    def step(x):
        variable.assign_add(tf.reduce_sum(x))
        return variable * x

    x = tf.ones([50])
    assert growth(lambda i: step(x), calls) < SLACK


@many()
def test_tapes_in_a_loop(calls):
    variable = tf.Variable([1.0, 2.0])

    @tf.function
    def loss(x):
        y = variable * x
        return tf.reduce_sum(y * y) if tf.reduce_sum(y) > 0.0 else tf.reduce_sum(y)

    def work(i):
        with tf.GradientTape() as tape:
            value = loss(tf.constant(2.0)) + tf.reduce_sum(variable)
        variable.assign_sub(tape.gradient(value, variable) * 1e-9)

    assert growth(work, calls) < SLACK


@many((40, 2_000))
def test_a_function_that_is_retraced(calls, monkeypatch):
    monkeypatch.setattr(Traces, "most", 8)

    @tf.function
    def scaled(x, factor):
        return tf.tanh(x * factor) if tf.reduce_sum(x) > 0.0 else x

    x = tf.ones([3])
    assert growth(lambda i: scaled(x, i), calls) < SLACK
    assert len(scaled.traces()) == 8


def test_functions_and_what_they_hold_go_away():
    class Model(tf.Module):
        def __init__(self):
            self.weight = tf.Variable(tf.ones([100]))

        @tf.function
        def call(self, x):
            with tf.GradientTape() as tape:
                y = tf.reduce_sum(self.weight * x)
            return tape.gradient(y, self.weight)

    model = Model()
    model.call(tf.ones([100]))
    held = [weakref.ref(model), weakref.ref(model.weight), weakref.ref(model.call)]
    del model
    gc.collect()
    assert [reference() for reference in held] == [None, None, None]


@many((100, 2_000))
def test_one_function_made_in_each_iteration(calls):
    x = tf.ones([3])

    def work(i):
        return tf.function(lambda x: x * 2.0, autograph=False)(x)

    assert growth(work, calls) < SLACK
