"""What compiled functions promise: variables, effects, loops, errors, shapes, threads."""

from __future__ import annotations

import gc
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags
from headrace.compile.run import later, tiers
from headrace.compile.run.memory import memory


@pytest.fixture(autouse=True)
def at_once():
    with flags.COMPILE.override("always"):
        yield


def native(function, *args):
    """The lines of `explain` that say that something runs by its kernel."""
    lines = tf.explain(function, *args).splitlines()
    assert any(line.strip().startswith("native") for line in lines), lines
    return [line.strip() for line in lines if line.strip().startswith("kernel")]


# Variables


def test_a_value_that_was_read_is_not_what_is_assigned_later():
    v = tf.Variable([1.0, 2.0, 3.0])

    @tf.function
    def step(x):
        before = v.read_value()
        doubled = before * 2.0
        v.assign(v[::-1] + x)
        v.assign_add(before)
        return before, doubled, v.read_value()

    before, doubled, after = step(tf.constant(10.0))
    assert before.numpy().tolist() == [1, 2, 3] and doubled.numpy().tolist() == [2, 4, 6]
    assert after.numpy().tolist() == v.numpy().tolist() == [14, 14, 14]
    assert native(step) == []


def test_tensors_outside_keep_what_a_function_overwrites():
    v = tf.Variable(np.arange(5000, dtype=np.float32))
    outside = v.value()

    @tf.function
    def step():
        v.assign_add(tf.ones([5000]))

    for _ in range(3):
        step()
    np.testing.assert_array_equal(outside, np.arange(5000))
    np.testing.assert_array_equal(v, np.arange(5000) + 3)


def test_a_failed_check_comes_before_the_write_that_it_guards():
    v = tf.Variable([0.0, 0.0])
    table = tf.constant(np.arange(300, dtype=np.float32))

    @tf.function
    def step(i):
        v.assign_add(tf.gather(table, i))

    step(tf.constant([1, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"indices\[1\] = 300 is not in"):
        step(tf.constant([1, 300]))
    assert v.numpy().tolist() == [1, 2]


@pytest.mark.parametrize("wrong", ["place", "divisor"])
def test_what_fails_does_so_where_it_stands_and_for_elements_that_nobody_reads(wrong):
    v = tf.Variable(0.0)

    @tf.function
    def step(i):
        if wrong == "place":
            found = tf.gather(tf.constant([1.0, 2.0, 3.0]), i)[0]
        else:
            found = tf.cast(6 // (9 - i), tf.float32)[0]
        v.assign_add(1.0)
        return found + v

    step(tf.constant([0, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError):
        step(tf.constant([0, 9]))
    assert float(v) == 1.0 and native(step) == []


def test_what_a_loop_of_no_rounds_would_read_is_not_looked_for():
    @tf.function
    def run(i, n):
        total = tf.constant(0.0)
        for _ in tf.range(n):
            total += tf.gather(tf.constant([1.0, 2.0]), i)
        return total

    assert float(run(tf.constant(9), tf.constant(0))) == 0.0


def test_a_failed_call_has_drawn_what_it_drew():
    def numbers(how):
        tf.random.set_seed(3)

        @tf.function
        def step(i):
            drawn = tf.random.uniform([2], seed=4)
            return drawn + tf.gather(tf.constant([1.0, 2.0]), i)

        with flags.COMPILE.override(how):
            with pytest.raises(tf.errors.InvalidArgumentError):
                step(tf.constant(5))
            return step(tf.constant(0)).numpy().tolist()

    assert numbers("always") == numbers("never")


def test_updates_from_many_threads_are_all_there():
    v, w = tf.Variable(tf.zeros([64])), tf.Variable(0)

    @tf.function
    def step(x):
        v.assign_add(x)
        w.assign_add(1)
        return tf.reduce_sum(x * 2.0)

    x = tf.ones([64])

    def work(_):
        return [float(step(x)) for _ in range(100)]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(16)))
    assert found == [[128.0] * 100] * 16
    assert int(w) == 1600 and v.numpy().tolist() == [1600.0] * 64
    assert step.experimental_get_tracing_count() == 1


def test_effects_keep_their_order():
    v, seen = tf.Variable(1.0), []

    @tf.function
    def step():
        v.assign_add(1.0)
        tf.py_function(lambda: seen.append(float(v)), [], [])
        v.assign(v * 10.0)
        tf.py_function(lambda: seen.append(float(v)), [], [])
        return v + 0.5

    assert float(step()) == 20.5 and seen == [2.0, 20.0]
    assert [line.split()[1] for line in native(step)] == ["EagerPyFunc", "EagerPyFunc"]


# Loops and branches


def test_a_whole_training_loop_is_one_native_call():
    data = tf.constant(np.linspace(-1, 1, 400, dtype=np.float32).reshape(200, 2))
    w, steps = tf.Variable([[0.5], [-0.25]]), tf.Variable(0)

    def train(n):
        loss = tf.constant(0.0)
        for _ in range(n) if isinstance(n, int) else tf.range(n):
            rows = tf.random.uniform([8], 0, 200, dtype=tf.int32, seed=3)
            x = tf.gather(data, rows)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(tf.tanh(x @ w) - 1.0))
            w.assign_sub(0.1 * tape.gradient(loss, w))
            steps.assign_add(1)
        return loss

    found = []
    for how in ("never", "always"):
        with flags.COMPILE.override(how):
            w.assign([[0.5], [-0.25]])
            steps.assign(0)
            tf.random.set_seed(5)
            function = tf.function(train)
            found.append([float(function(tf.constant(7))), w.numpy(), int(steps)])
    assert native(function) == []
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("rounds", [0, 1, 5])
def test_gradients_through_loops_and_lists(rounds):
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            kept = tf.TensorArray(tf.float32, 6, element_shape=[3])
            h = tf.zeros([3])
            for t in tf.range(rounds):
                h = tf.tanh(h * 0.5 + x[t])
                kept = kept.write(t, h * tf.cast(t + 1, tf.float32))
            loss = tf.reduce_sum(tf.square(kept.stack())) + tf.reduce_sum(h)
        return loss, tape.gradient(loss, x)

    x = tf.constant(np.random.default_rng(0).normal(size=(6, 3)), tf.float32)
    function = tf.function(run)
    loss, slope = function(x)
    assert rounds == 0 or native(function) == []
    truth, expected = run(x)
    np.testing.assert_allclose(loss, truth, rtol=1e-5)
    expected = tf.zeros_like(x) if expected is None else expected
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("taken", [0, 1])
def test_native_code_takes_what_a_branch_that_was_not_taken_has_not_kept(taken):
    def run(x, n):
        def checked():
            tf.debugging.Assert(n >= 0, [n])  # runs by its kernel, and so does the branch
            return tf.tanh(x * 2.0)

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.switch_case(n, [lambda: tf.math.cumprod(tf.sin(x)), checked])
        return tape.gradient(y, x)

    x, n = tf.constant([0.5, 1.5, -2.0]), tf.constant(taken)
    np.testing.assert_allclose(tf.function(run)(x, n), run(x, n), rtol=1e-5)


def test_scans_and_maps_are_native():
    x = tf.constant(np.random.default_rng(1).normal(size=(5, 3)), tf.float32)

    @tf.function
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.scan(lambda a, e: tf.tanh(a + e), x, initializer=tf.zeros([3]))
            z = tf.map_fn(lambda e: e * tf.reduce_sum(e), x)
            loss = tf.reduce_sum(y * z)
        return loss, tape.gradient(loss, x)

    found = both(x)
    assert native(both) == []
    with flags.COMPILE.override("never"):
        expected = tf.function(both.python_function)(x)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5)


def test_loops_in_loops_with_branches_and_variables():
    v = tf.Variable(tf.zeros([4]))

    def run(n):
        total = tf.zeros([4])
        for i in tf.range(n):
            for j in tf.range(i + 1):
                if (i + j) % 2 == 0:
                    v.assign_add(tf.ones([4]) * tf.cast(j, tf.float32))
                    total += v
                else:
                    total -= tf.reverse(v, [0]) * 0.5
        return total

    with flags.COMPILE.override("never"):
        expected, state = tf.function(run)(tf.constant(5)), v.numpy()
    v.assign(tf.zeros([4]))
    function = tf.function(run)
    np.testing.assert_array_equal(function(tf.constant(5)), expected)
    np.testing.assert_array_equal(v, state)


def test_a_list_that_grows_runs_by_its_kernels():
    @tf.function
    def run(x):
        kept = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=[])
        for i in tf.range(3):
            kept = kept.write(i, tf.reduce_sum(x) + tf.cast(i, tf.float32))
        return kept.stack() * 2.0

    assert run(tf.ones([2])).numpy().tolist() == [4.0, 6.0, 8.0]


# Shapes, errors, tiers


def test_unknown_shapes_are_compiled_one_by_one():
    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def mean(x):
        return tf.reduce_mean(x, axis=0)

    for n in (1, 4, 2, 4):
        assert mean(tf.ones([n, 3])).numpy().tolist() == [1.0] * 3
    assert mean.experimental_get_tracing_count() == 1
    runner = mean._traces.concretes[0]._body.runner
    assert sorted(shape[0] for (shape,) in runner.by_shape) == [1, 2, 4]
    assert all(each.native is not None for each in runner.by_shape.values())
    for n in range(5, 5 + tiers.SHAPES):
        mean(tf.ones([n, 3]))
    assert len(runner.by_shape) == tiers.SHAPES


@pytest.mark.parametrize("shape", [[0], [0, 3], [3, 0]])
def test_nothing_fails_where_there_are_no_elements(shape):
    @tf.function
    def run(x, zero):
        return tf.tile(x // zero, [2] * len(shape)), tf.reduce_sum(x % zero, axis=0)

    tiled, total = run(tf.zeros(shape, tf.int32), tf.constant(0))
    assert tiled.shape.as_list() == [2 * n for n in shape]
    assert native(run) == [] and not total.numpy().any()


def test_errors_name_the_node_and_the_line():
    @tf.function
    def divided(x, y):
        return x // y

    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        divided(tf.constant([1, 2]), tf.constant([1, 0]))
    text = str(caught.value)
    assert "Integer division by zero" in text and "in divided" in text
    assert "{{node floordiv" in text.lower()


def test_a_mistake_of_the_compiler_is_logged_and_the_kernels_go_on(monkeypatch, caplog):
    def broken(_):
        raise RuntimeError("no such luck")

    monkeypatch.setattr(tiers, "compiled", broken)

    @tf.function(jit_compile=True)
    def double(x):
        return x * 2.0

    with flags.COMPILE.override("auto"), caplog.at_level(logging.ERROR, "headrace"):
        assert [float(double(tf.constant(2.0))) for _ in range(3)] == [4.0] * 3
    assert "can't be compiled" in caplog.text and "no such luck" in caplog.text


def test_warm_functions_are_compiled_in_the_background():
    @tf.function
    def double(x):
        return x * 2.0

    with flags.COMPILE.override("auto"):
        for _ in range(tiers.WARM):
            double(tf.ones([3]))
        runner = double._traces.concretes[0]._body.runner
        later.compile_later(lambda: None).result(60)
        assert runner.native is not None
        assert double(tf.ones([3])).numpy().tolist() == [2.0] * 3


@pytest.mark.full
def test_calls_leave_memory_flat():
    v = tf.Variable(tf.zeros([300_000]))

    @tf.function
    def step(x):
        v.assign_add(x)
        return x * 2.0, tf.reduce_sum(v)

    x = tf.ones([300_000])
    for _ in range(100):
        step(x)
    gc.collect()
    before = memory().statistics
    for _ in range(2000):
        step(x)
    gc.collect()
    after = memory().statistics
    assert after[:4] == before[:4]  # bytes and blocks; the others count what happened
    assert (after.taken - before.taken, after.reused - before.reused) == (2000, 2000)


# Lists that loops hand on


@pytest.mark.parametrize("mode", ["always", "never"])
def test_lists_may_change_places(mode):
    @tf.function
    def run(x, y):
        a = tf.TensorArray(tf.float32, 3, element_shape=[2]).unstack(x)
        b = tf.TensorArray(tf.float32, 3, element_shape=[2]).unstack(y)
        for i in tf.range(3):
            a, b = b, a
            a = a.write(i, tf.ones([2]) * tf.cast(i, tf.float32))
        return a.stack(), b.stack()

    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    with flags.COMPILE.override(mode):
        a, b = run(tf.constant(x), tf.constant(10 * x))
    np.testing.assert_array_equal(a, [[0, 0], [20, 30], [2, 2]])
    np.testing.assert_array_equal(b, [[0, 1], [1, 1], [4, 5]])


@pytest.mark.parametrize("mode", ["always", "never"])
def test_a_list_of_one_item_keeps_its_place(mode):
    @tf.function
    def run(x):
        a, total = tf.TensorArray(tf.float32, 4, element_shape=[]), tf.zeros([])
        for i in tf.range(3):
            total += a.read(i) * 10.0 + 1.0
            a = tf.TensorArray(tf.float32, 4, element_shape=[]).write(i + 1, x[i])
        return a.stack(), total

    with flags.COMPILE.override(mode):
        a, total = run(tf.constant([1.0, 2.0, 3.0]))
    assert a.numpy().tolist() == [0, 0, 0, 3] and total.numpy() == 33


def test_elements_that_repeat_may_be_divided():
    """Loops are cut at the period, but not those of which a check knows the indices."""

    @tf.function
    def run(x, y):
        x = tf.tile(x, [2, 1])
        return tf.stack([x // tf.where(x == 0, 1, x), x % tf.tile(y, [2, 1])])

    x = np.arange(17 * 8, dtype=np.int32).reshape(17, 8) - 9
    y = np.full((17, 8), 5, np.int32)
    got = run(tf.constant(x), tf.constant(y))
    x = np.tile(x, (2, 1))
    np.testing.assert_array_equal(got, [x != 0, x % 5])
    y[16, 7] = 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="Integer division by zero"):
        run(tf.constant(x[:17]), tf.constant(y))
