"""`inline` and `dead_branches`: calls, branches and loops of traced functions."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags
from headrace.compile import pipeline
from headrace.compile.passes.branches import choice, dead_branches
from headrace.compile.passes.dead import dead
from headrace.compile.passes.fold import fold
from headrace.compile.passes.inline import inline
from headrace.compile.passes.narrow import narrow
from headrace.compile.passes.program import Program, program_of
from headrace.compile.passes.verify import verify
from tests.compile.passes.support import assert_same, ops, passed

X = np.array([1.0, -2.0, 3.0], np.float32)


def traced(function, *arrays):
    graph = tf.function(function).get_concrete_function(*map(tf.constant, arrays)).graph
    return program_of(graph, graph.parameters, graph.outputs, "test")


@tf.function
def double(x):
    return x * 2.0


@tf.function
def quadruple(x):
    return double(double(x)) + 0.5


def test_calls_within_calls():
    made = traced(lambda x: quadruple(x) + double(x), X)
    assert ops(made).count("PartitionedCall") == 2
    after = passed(inline, made, X)
    assert sorted(set(ops(after))) == ["AddV2", "Identity", "Mul"]
    names = [node.name for node in after.nodes]
    assert any(name.startswith("PartitionedCall/PartitionedCall/") for name in names)


def test_effects_of_calls_keep_their_order():
    v = tf.Variable(1.0)

    @tf.function
    def grow():
        v.assign_add(1.0)
        return v.read_value()

    def f(x):
        a = grow()
        v.assign(v * 10.0)
        return x + a * 100.0 + grow()

    made = traced(f, X)
    after = pipeline.optimized(made)
    verify(after, made)
    assert not any(name.endswith("Call") for name in ops(after))
    assert pipeline.Plan(after)([X, v])[0].tolist() == [222.0, 219.0, 224.0]
    assert float(v) == 21.0


def test_gradients_through_calls():
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(quadruple(x) ** 2.0)
        return tape.gradient(y, x)

    made = traced(f, X)
    after = passed(pipeline.optimized, made, X)
    assert not any("Call" in name for name in ops(after))


def test_each_copy_of_a_call_draws_by_itself():
    """As TensorFlow has it: two calls of a function with a seeded op give the same numbers."""

    @tf.function
    def draw():
        return tf.random.uniform([], seed=1)

    @tf.function
    def both():
        return draw(), draw()

    (a, b), (c, d) = both(), both()
    assert float(a) == float(b) != float(c) == float(d)


def test_a_call_that_others_wait_for_stays():
    def f(x):
        y = double(x)
        with tf.control_dependencies([y]):
            return tf.exp(x)

    made = traced(f, X)
    assert "PartitionedCall" in ops(passed(inline, made, X))


@pytest.mark.parametrize("taken", [True, False])
def test_a_branch_that_is_decided(taken):
    v = tf.Variable(2.0)

    def f(x):
        flag = tf.constant(taken)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.cond(flag, lambda: tf.sin(x) * v, lambda: tf.exp(x * v))
        return y, tape.gradient(y, x)

    made = traced(f, X)
    after = pipeline.optimized(made)
    verify(after, made)
    assert not any("If" in name for name in ops(after))
    assert ("Exp" in ops(after)) is not taken
    for found, wanted in zip(
        pipeline.Plan(after)([X, v]), pipeline.Plan(made)([X, v]), strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_a_branch_by_number():
    def by(number):
        return lambda x: tf.switch_case(
            tf.constant(number), [lambda: x, lambda: x * 2.0, lambda: x * 3.0]
        )

    for number in (-1, 0, 1, 2, 7):
        after = passed(lambda p: dead(dead_branches(p)), traced(by(number), X), X)
        assert not any("Case" in name for name in ops(after))
    assert [choice(np.array(i), 3) for i in (-1, 0, 2, 3)] == [2, 0, 2, 2]


def test_a_branch_that_is_open_stays():
    made = traced(lambda x: tf.cond(x[0] > 0.0, lambda: x, lambda: -x), X)
    assert "StatelessIf" in ops(passed(dead_branches, made, X))


def test_branches_and_loops_give_what_is_read():
    """A graph that was differentiated, run for its results alone."""
    v = tf.Variable(1.5)

    @tf.function
    def f(x):
        y = tf.cond(x[0] > 0.0, lambda: tf.sin(x) * v, lambda: tf.exp(x * v))
        i, z = tf.while_loop(
            lambda i, z: i < 3, lambda i, z: (i + 1, tf.tanh(z) * v), (tf.constant(0), y)
        )
        return z + tf.cast(i, tf.float32)

    concrete = f.get_concrete_function(tf.constant(X))
    with tf.GradientTape() as tape:
        wanted = f(tf.constant(X))
    assert tape.gradient(wanted, v) is not None
    graph = concrete.graph
    made = program_of(graph, graph.parameters, graph.outputs)
    after = narrow(made)
    verify(after, made)
    narrowed = [new for old, new in zip(made.nodes, after.nodes, strict=True) if new is not old]
    assert ops(Program(narrowed, (), ())) == ["StatelessIf", "StatelessWhile"]
    assert all(len(node.outputs) == node.attrs["count"] for node in narrowed)
    found = pipeline.Plan(after)([X, *[v for _ in graph.outside]])
    assert_same(found, [wanted.numpy()])


def test_a_list_that_is_read_stays():
    def f(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            _, y = tf.while_loop(
                lambda i, y: i < 3, lambda i, y: (i + 1, tf.sin(y) * x), (tf.constant(0), x)
            )
            y = tf.cond(y[0] > 0.0, lambda: tf.sin(y) * x, lambda: tf.exp(y) * x)
        return tape.gradient(y, x)

    made = traced(f, X)
    passed(narrow, made, X)
    passed(pipeline.optimized, made, X)
    only_x = Program(made.nodes, made.inputs, made.fetches)
    assert_same(pipeline.Plan(narrow(only_x))([X]), pipeline.Plan(made)([X]))


def test_a_loop_that_does_not_run():
    def f(x):
        i = tf.constant(5)
        i, y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2.0), (i, x))
        return y, i

    after = passed(lambda p: dead(dead_branches(fold(p))), traced(f, X), X)
    assert not any("While" in name for name in ops(after))


def test_loops_that_run_stay():
    def f(x, n):
        return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 2.0), (0, x))

    for count in (0, 3):
        made = traced(f, X, np.int32(count))
        after = passed(pipeline.optimized, made, X, np.int32(count))
        assert any("While" in name for name in ops(after))


def test_without_passes_results_are_the_same():
    with flags.PASSES.override("0"):
        plain = tf.function(lambda x: quadruple(x) * 1.0)(tf.constant(X))
    np.testing.assert_array_equal(plain, tf.function(lambda x: quadruple(x))(tf.constant(X)))
