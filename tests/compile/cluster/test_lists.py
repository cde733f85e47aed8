"""Lists of tensors in native code: what shares memory, and who may write it."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.base import flags


def both(function, *args):
    """The results of a function, compiled and node by node, as lists of arrays."""
    found = []
    for how in ("always", "never"):
        with flags.COMPILE.override(how):
            results = tf.function(function, autograph=False)(*args)
            found.append([x.numpy().tolist() for x in tf.nest.flatten(results)])
    return found


def array(*items, size=3):
    """A TensorArray of numbers."""
    made = tf.TensorArray(tf.float32, size, element_shape=[], clear_after_read=False)
    return made.unstack(tf.stack(items)) if items else made


def test_a_list_made_of_a_variable_leaves_it_alone():
    v = tf.Variable([1.0, 2.0, 3.0])

    def run():
        v.assign_add([1.0, 1.0, 1.0])
        return array(*[0.0] * 3).unstack(v.read_value()).write(0, 5.0).stack()

    assert both(run) == [[[5.0, 3.0, 4.0]], [[5.0, 4.0, 5.0]]]
    assert v.numpy().tolist() == [3.0, 4.0, 5.0]


def test_a_list_made_of_a_variable_keeps_its_items():
    v = tf.Variable([1.0, 2.0, 3.0])

    def run():
        kept = array(*[0.0] * 3).unstack(v.read_value())
        v.assign([7.0, 8.0, 9.0])
        return kept.stack(), kept.read(1)

    assert both(run) == [[[1.0, 2.0, 3.0], 2.0], [[7.0, 8.0, 9.0], 8.0]]


def test_a_list_made_of_a_loop_variable_leaves_it_alone():
    def run(x):
        def body(i, y, total):
            kept = array(*[0.0] * 3).unstack(y).write(i, 10.0)
            return i + 1, y + 1.0, total + kept.stack() + y

        return tf.while_loop(lambda i, *_: i < 3, body, (tf.constant(0), x, x * 0.0))

    found, expected = both(run, tf.constant([1.0, 2.0, 3.0]))
    assert found == expected


def test_what_a_loop_kept_of_a_variable_is_its_value_then():
    v = tf.Variable(2.0)

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.while_loop(
                lambda i, y: i < 3, lambda i, y: (i + 1, y * v), (tf.constant(0), x)
            )[1]
        v.assign(100.0)
        slope = tape.gradient(y, x)
        v.assign(2.0)
        return y, slope

    assert both(run, tf.constant(5.0)) == [[40.0, 8.0]] * 2


def test_what_a_loop_kept_of_an_outer_loop_is_its_value_then():
    def run(x):
        def outer(i, a, total):
            z = tf.identity(x)
            with tf.GradientTape() as tape:
                tape.watch(z)
                y = tf.while_loop(
                    lambda j, y: j < 2, lambda j, y: (j + 1, y * a), (tf.constant(0), z)
                )[1]
            return i + 1, a + 1.0, total + tape.gradient(y, z)

        start = (tf.constant(0), tf.constant(1.0), tf.constant(0.0))
        return tf.while_loop(lambda i, *_: i < 3, outer, start)

    assert both(run, tf.constant(5.0)) == [[3, 4.0, 14.0]] * 2


def test_a_fresh_list_of_each_round():
    def run():
        def body(i, kept):
            return i + 1, array().write(i, 5.0)

        return tf.while_loop(lambda i, _: i < 2, body, (tf.constant(0), array()))[1].stack()

    assert both(run) == [[[0.0, 5.0, 0.0]]] * 2


def test_an_item_is_what_a_variable_was():
    v = tf.Variable(2.0)

    def run():
        kept = array().write(1, v.read_value())
        v.assign(3.0)
        return kept.stack()

    assert both(run) == [[[0.0, 2.0, 0.0]], [[0.0, 3.0, 0.0]]]


@pytest.mark.parametrize("rounds", [1, 2])
def test_lists_that_change_places(rounds):
    def run():
        def body(i, a, b):
            return i + 1, b.write(0, tf.cast(i, tf.float32)), a

        start = (tf.constant(0), array(1.0, 2.0, 3.0), array(4.0, 5.0, 6.0))
        _, a, b = tf.while_loop(lambda i, *_: i < rounds, body, start)
        return a.stack(), b.stack()

    found, expected = both(run)
    assert found == expected


def test_one_list_starts_two():
    def run():
        def body(i, a, b):
            return i + 1, a.write(i, 10.0), b.write(i, 20.0)

        made = array(1.0, 2.0, 3.0)
        made = made.write(0, 7.0)
        _, a, b = tf.while_loop(lambda i, *_: i < 2, body, (tf.constant(0), made, made))
        return a.stack(), b.stack()

    assert both(run) == [[[10.0, 10.0, 3.0], [20.0, 20.0, 3.0]]] * 2


def test_a_list_is_handed_on_and_read_as_it_was():
    def run():
        made = array(1.0, 2.0, 3.0).write(0, 7.0)

        def body(i, a):
            return i + 1, a.write(i, 10.0 + made.read(i))

        return tf.while_loop(lambda i, _: i < 3, body, (tf.constant(0), made))[1].stack()

    assert both(run) == [[[17.0, 12.0, 13.0]]] * 2


def test_a_list_under_two_names():
    def run():
        made = array(1.0, 2.0, 3.0).write(0, 7.0)
        same = made.identity()
        return made.write(1, 9.0).stack(), same.stack()

    assert both(run) == [[[7.0, 9.0, 3.0], [7.0, 2.0, 3.0]]] * 2


def refused(function):
    """What a function raises when it is compiled, and node by node."""
    found = []
    for how in ("always", "never"):
        with flags.COMPILE.override(how), pytest.raises(Exception) as caught:
            tf.function(function, autograph=False)()
        found.append((type(caught.value), str(caught.value).split("[[")[0]))
    return found


def test_an_item_of_another_dtype_is_an_error_of_the_program():
    compiled, nodes = refused(lambda: array().write(0, tf.constant(1)).stack())
    assert compiled == nodes and compiled[0] is tf.errors.InvalidArgumentError


def test_an_index_may_have_one_element():
    found, expected = both(lambda: array(1.0, 2.0, 3.0).read([2]))
    assert found == expected == [3.0]


def test_parts_of_nothing_have_slopes():
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x[3:3] * x[3:3]
        return tape.gradient(y, x)

    found, expected = both(run, tf.constant(np.arange(4.0)))
    assert found == expected
