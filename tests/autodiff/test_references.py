"""Gradients against references that know nothing of tapes: differences and formulas."""

import gc
import threading
import tracemalloc

import numpy as np
import pytest

import headrace as tf
from headrace.core import context

FUNCTIONS = {
    "polynomial": lambda x: tf.reduce_sum(x**3 - 2.0 * x),
    "reused": lambda x: tf.reduce_sum(x * x * tf.sin(x) / (x + 3.0)),
    "broadcast": lambda x: tf.reduce_sum(x * tf.reshape(x, [-1, 1]) + x),
    "softmax": lambda x: tf.reduce_sum(tf.nn.softmax(x) * tf.exp(x)),
    "matmul": lambda x: tf.reduce_sum(tf.square(tf.matmul(x[None], tf.reshape(x, [-1, 1])))),
    "gather": lambda x: tf.reduce_sum(tf.square(tf.gather(x, [0, 2, 0, 1]))),
    "slices": lambda x: tf.reduce_sum(x[1:] * x[:-1]) + x[0] * x[-1] + tf.reduce_sum(x[::-2]),
    "concat": lambda x: tf.reduce_sum(tf.concat([x, x * x, x[:1]], 0) ** 2),
    "stack": lambda x: tf.reduce_sum(tf.stack([x, 2.0 * x]) * tf.stack([x, x])),
    "unstack": lambda x: tf.add_n(tf.unstack(x * x)) * tf.unstack(x)[0],
    "where": lambda x: tf.reduce_sum(tf.where(x > 0.5, x * x, tf.sin(x))),
    "reduction": lambda x: tf.reduce_max(x) * tf.reduce_mean(x) * tf.reduce_prod(x),
    "norm": lambda x: tf.math.reduce_euclidean_norm(x) + tf.reduce_logsumexp(x),
    "cumsum": lambda x: tf.reduce_sum(tf.cumsum(x) ** 2),
    "cast": lambda x: tf.cast(tf.cast(x, tf.float64) * 2.0, tf.float64)[0] * x[1],
    "tensordot": lambda x: tf.reduce_sum(tf.tensordot(x, tf.square(x), 0)),
}
POINT = np.array([0.7, -0.4, 1.3])


def differences(f, x, step=1e-5):
    """Central differences of a function of a float64 array."""
    columns = []
    for i in range(x.size):
        direction = np.zeros_like(x)
        direction.flat[i] = step
        high, low = f(x + direction), f(x - direction)
        columns.append((np.asarray(high) - np.asarray(low)) / (2 * step))
    return np.stack(columns, axis=-1).reshape(np.shape(columns[0]) + x.shape)


def gradient(f, x):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    return tf.convert_to_tensor(tape.gradient(y, x))


def plain(f):
    return lambda x: f(tf.constant(x)).numpy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_order(name):
    f = FUNCTIONS[name]
    first = differences(plain(f), POINT)
    np.testing.assert_allclose(gradient(f, POINT).numpy(), first, rtol=1e-7, atol=1e-8)
    x = tf.constant(POINT)
    with tf.GradientTape() as tape:
        tape.watch(x)
        d = gradient(f, x)
    hessian = tape.jacobian(d, x, unconnected_gradients="zero").numpy()
    np.testing.assert_allclose(
        hessian, differences(lambda p: gradient(f, p).numpy(), POINT), rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-10)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_forward_mode_is_reverse_mode_transposed(name):
    f = FUNCTIONS[name]
    direction = np.array([0.3, -1.1, 0.6])
    x = tf.constant(POINT)
    with tf.autodiff.ForwardAccumulator(x, tf.constant(direction)) as accumulator:
        y = f(x)
        d = gradient(f, x)
    np.testing.assert_allclose(
        accumulator.jvp(y).numpy(), gradient(f, POINT).numpy() @ direction, rtol=1e-10
    )
    expected = differences(lambda p: gradient(f, p).numpy(), POINT) @ direction
    tangent = accumulator.jvp(d, unconnected_gradients="zero").numpy()
    np.testing.assert_allclose(tangent, expected, rtol=1e-6, atol=1e-7)


def test_orders_up_to_four():
    x = tf.constant(0.3, tf.float64)
    values = []
    with tf.GradientTape() as t4:
        t4.watch(x)
        with tf.GradientTape() as t3:
            t3.watch(x)
            with tf.GradientTape() as t2:
                t2.watch(x)
                with tf.GradientTape() as t1:
                    t1.watch(x)
                    y = tf.exp(2.0 * x) * tf.sin(x)
                values.append(t1.gradient(y, x))
            values.append(t2.gradient(values[-1], x))
        values.append(t3.gradient(values[-1], x))
    values.append(t4.gradient(values[-1], x))
    # exp(2x) sin(x) is the imaginary part of exp((2 + i) x).
    expected = [((2 + 1j) ** n * np.exp((2 + 1j) * 0.3)).imag for n in (1, 2, 3, 4)]
    np.testing.assert_allclose([float(v) for v in values], expected, rtol=1e-12)


def test_hessian_vector_product_of_variables():
    w, b = (
        tf.Variable([[1.0, 2.0], [3.0, 4.0]], dtype=tf.float64),
        tf.Variable(0.5, dtype=tf.float64),
    )
    dw, db = tf.ones_like(w), tf.constant(2.0, tf.float64)
    with tf.autodiff.ForwardAccumulator([w, b], [dw, db]) as accumulator:
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(w * w * w) * b * b
        gradients = tape.gradient(y, [w, b])
    hw, hb = accumulator.jvp(gradients)
    # y = S b^2 with S = sum w^3: the mixed terms are 6 w^2 b and the pure ones 6 w b^2, 2 S.
    value = w.numpy()
    np.testing.assert_allclose(hw.numpy(), 6 * value * 0.25 + 6 * value**2 * 0.5 * 2.0)
    np.testing.assert_allclose(float(hb), (6 * value**2 * 0.5).sum() + 2 * (value**3).sum() * 2)


def test_jacobian_of_a_matrix():
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]], tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.matmul(x, x)
    expected = differences(lambda p: p @ p, x.numpy())
    np.testing.assert_allclose(tape.jacobian(y, x).numpy(), expected, atol=1e-8)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.stack([tf.reduce_sum(x**2, 1), tf.reduce_prod(x, 1)], 1)
    batch = tape.batch_jacobian(y, x).numpy()
    for row, point in zip(batch, x.numpy(), strict=True):
        np.testing.assert_allclose(row, [2 * point, point[::-1]])


def test_embedding_rows_add_up():
    table = tf.Variable(np.arange(12.0).reshape(4, 3))
    ids = [[1, 1, 3], [0, 1, 3]]
    weights = np.arange(18.0).reshape(2, 3, 3)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(tf.gather(table, ids) * weights)
    found = tape.gradient(y, table)
    assert isinstance(found, tf.IndexedSlices)
    assert found.dense_shape.numpy().tolist() == [4, 3]
    expected = np.zeros((4, 3))
    np.add.at(expected, np.array(ids).ravel(), weights.reshape(6, 3))
    np.testing.assert_array_equal(tf.convert_to_tensor(found).numpy(), expected)
    table.scatter_sub(found)
    np.testing.assert_array_equal(table.numpy(), np.arange(12.0).reshape(4, 3) - expected)


def test_complex_gradients():
    theoretical, numeric = tf.test.compute_gradient(
        lambda z: tf.exp(z) * tf.math.conj(z) / 2.0,
        [tf.constant([1 + 2j, -0.5j], tf.complex128)],
        delta=1e-5,
    )
    np.testing.assert_allclose(theoretical[0], numeric[0], atol=1e-8)
    assert theoretical[0].shape == (4, 4)


def test_a_tape_belongs_to_its_thread():
    v = tf.Variable(2.0)
    results = [None] * 8
    failures = []

    def work(i):
        try:
            for _ in range(50):
                with tf.GradientTape() as outer:
                    with tf.GradientTape() as tape:
                        y = v ** float(i) * tf.constant(1.0)
                    d = tape.gradient(y, v)
                e = outer.gradient(d, v)
                results[i] = (float(d), 0.0 if e is None else float(e))
                assert len(tape.watched_variables()) == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    with tf.GradientTape() as mine:
        for thread in threads:
            thread.join()
    assert not failures, failures
    assert mine.watched_variables() == ()
    expected = [(i * 2.0 ** (i - 1), i * (i - 1) * 2.0 ** (i - 2)) for i in range(8)]
    np.testing.assert_allclose(results, expected, rtol=1e-6)


def step(v, x):
    with tf.GradientTape() as outer:
        with tf.GradientTape(persistent=True) as tape:
            y = tf.reduce_sum(tf.square(v * x + 1.0))
        d = tape.gradient(y, v)
    return outer.gradient(d, v)


def test_a_thousand_tapes_leave_nothing():
    v, x = tf.Variable(tf.ones([50])), tf.ones([50])
    for _ in range(20):
        step(v, x)
    gc.collect()
    objects = len(gc.get_objects())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            step(v, x)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000
    assert len(gc.get_objects()) - objects < 100


def test_a_tape_that_is_done_lets_go():
    """Without the collector of cycles: what a tape held is free once its gradient is known."""
    x = tf.ones([100_000])
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(tf.exp(tf.sin(x)) * x)
            tape.gradient(y, x)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert grown < 1_000_000


def test_an_error_inside_leaves_no_tape_behind():
    v = tf.Variable(1.0)
    with pytest.raises(ZeroDivisionError):
        with tf.GradientTape():
            with tf.autodiff.ForwardAccumulator(v, tf.constant(1.0)):
                raise ZeroDivisionError
    with tf.GradientTape() as tape:
        y = v * v
    with pytest.raises(tf.errors.InvalidArgumentError):
        with tf.GradientTape():
            tf.ones([2]) + tf.ones([3])
    assert float(tape.gradient(y, v)) == 2.0

    assert context.modes == [] and context.state.recorders == ()
