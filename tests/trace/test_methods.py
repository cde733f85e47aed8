"""Functions as methods: bound to their objects, which they do not keep alive."""

import functools

import pytest

import headrace as tf


class Counter(tf.Module):
    def __init__(self, step):
        self.step, self.traced = step, 0
        self.total = tf.Variable(0)

    @tf.function
    def add(self, x):
        self.traced += 1
        self.total.assign_add(x * self.step)
        return self.total.read_value()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def __call__(self, x):
        return self.add(tf.reduce_sum(x))

    @staticmethod
    @tf.function
    def double(x):
        return x * 2


def test_each_object_has_traces_of_its_own():
    one, ten = Counter(1), Counter(10)
    assert [int(one.add(tf.constant(k))) for k in (1, 2)] == [1, 3]
    assert int(ten.add(tf.constant(1))) == 10
    assert (one.traced, ten.traced) == (1, 1)
    assert one.add is one.add and one.add is not ten.add
    assert one.add.experimental_get_tracing_count() == 1


def test_methods_call_one_another():
    counter = Counter(2)
    assert int(counter(tf.constant([1, 2, 3]))) == 12
    assert int(counter([4])) == 20
    assert int(Counter.double(tf.constant(4))) == 8


def test_a_method_of_an_object_that_is_gone_says_so():
    with pytest.raises(ReferenceError, match="Counter.add is called is gone.*in a variable"):
        Counter(1).add(tf.constant(1))


def test_what_else_can_be_called():
    class Scale:
        def __call__(self, x, factor=3):
            return x * factor

    assert int(tf.function(Scale())(tf.constant(2))) == 6
    partial = functools.partial(Scale().__call__, factor=5)
    assert int(tf.function(partial)(tf.constant(2))) == 10
