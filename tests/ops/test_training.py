"""Updates of many weights at once: what they compute, and that no two of them lock each other
out."""

import threading
import time

import numpy as np
import pytest

import headrace as tf
from headrace import keras
from headrace.ops.training import update_all

SMALL, LARGE = 3, 1 << 13
"""Sizes of weights that are joined, and of weights that go one by one."""


class SlowLock:
    """A variable's lock that gives other threads time to take theirs, and does not wait for
    ever."""

    def __init__(self):
        self.lock = threading.RLock()

    def acquire(self):
        if not self.lock.acquire(timeout=2):
            raise TimeoutError("two threads wait for each other")
        time.sleep(0.02)

    def release(self):
        self.lock.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *exc):
        self.release()


def variables(count, size):
    made = [tf.Variable(tf.zeros([size])) for _ in range(count)]
    for variable in made:
        variable._lock = SlowLock()
    return made


def add(of, gradient, *slots):
    for slot in slots:
        slot += gradient
    return -gradient, *slots


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("turn", [lambda a, b: (a[::-1], b[::-1]), lambda a, b: (b, a)])
def test_variables_in_another_order_do_not_block(size, turn):
    """Two threads update the same variables, one of them in the opposite order."""
    columns = variables(2, size), variables(2, size)
    failures = []

    def work(weights, slots):
        try:
            for _ in range(2):
                update_all(add, weights, [slots], [tf.ones([size])] * 2)
        except Exception as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=args, daemon=True)
        for args in (columns, turn(*columns))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert not failures and not any(thread.is_alive() for thread in threads), failures
    for variable in columns[0] + columns[1]:
        np.testing.assert_array_equal(variable, np.full(size, 4.0))


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_weight_with_two_gradients_takes_both(size):
    weight, other = tf.Variable(tf.zeros([size])), tf.Variable(tf.zeros([size]))
    gradients = [tf.fill([size], value) for value in (1.0, 5.0, 20.0)]
    update_all(add, [weight, other, weight], [], gradients)
    np.testing.assert_array_equal(weight, np.full(size, 21.0))
    np.testing.assert_array_equal(other, np.full(size, 5.0))


def test_adam_with_two_gradients_of_one_weight():
    """The numbers are TensorFlow's."""
    weight = tf.Variable([1.0, 2.0])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build([weight])
    optimizer.apply_gradients([([1.0, -1.0], weight), ([5.0, 3.0], weight)])
    np.testing.assert_allclose(weight, [0.7842911, 2.0335884], rtol=3e-6)


def test_a_refused_gradient_changes_nothing():
    weights = [tf.Variable([1.0, 2.0]), tf.Variable([3.0])]
    with pytest.raises(ValueError, match="The gradient of Variable:0 has shape"):
        update_all(add, weights, [], [tf.ones([2]), tf.ones([2])])
    np.testing.assert_array_equal(weights[0], [1.0, 2.0])
