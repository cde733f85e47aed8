"""TensorArrays: TensorFlow's answers, gradients through loops and branches, long arrays."""

import json

import numpy as np
import pytest

import headrace as tf
from tests.trace import arrays
from tests.trace.differences import assert_gradients

EXPECTED = json.loads(arrays.FILE.read_text())
OWN_WORDS = {
    "gather oob, graph",
    "concat scalars, graph",
    "split scalar, graph",
    "split len rank, graph",
    "read float idx, graph",
    "read i64 idx, graph",
}
"""Errors of TensorFlow's class, with the words that our own graphs use."""

X = np.array([[0.1, 0.5], [0.3, 0.4], [0.2, -0.1]])


@pytest.fixture(scope="module")
def found():
    return arrays.answers(tf)


@pytest.mark.parametrize("name", EXPECTED)
def test_answer(name, found):
    if name in OWN_WORDS:
        assert found[name].split(":")[0] == EXPECTED[name].split(":")[0]
    else:
        assert found[name] == EXPECTED[name]


def while_loop(x):
    source = tf.TensorArray(tf.float64, 3).unstack(x)

    def step(i, s, ta):
        s = tf.sin(s) * source.read(i) + s
        return i + 1, s, ta.write(i, s)

    ta = tf.TensorArray(tf.float64, 0, dynamic_size=True)
    _, s, ta = tf.while_loop(lambda i, s, ta: i < 3, step, (tf.constant(0), x[0], ta))
    return ta.stack() * s


def rewritten_in_branches(x):
    ta = tf.TensorArray(tf.float64, 3, element_shape=[2])
    s = x[0]
    for i in tf.range(3):
        s = s * x[i] + tf.cos(s)
        ta = ta.write(i, s)
        if tf.reduce_sum(s) > 1.2:
            ta = ta.write(i, s * s)
        else:
            ta = ta.write(i, s * 3.0)
    return tf.reduce_sum(ta.stack(), 0) + ta.gather([0, 2, 0])[2] + ta.concat()[:2]


def read_and_written(x):
    ta = tf.TensorArray(tf.float64, 4, clear_after_read=False)
    ta = ta.unstack(tf.concat([x, x[:1]], 0))
    for i in tf.range(1, 4):
        ta = ta.write(i, ta.read(i - 1) * ta.read(i) + ta.read(0))
    return ta.stack()


def made_in_a_branch(x):
    ta = tf.TensorArray(tf.float64, 2, element_shape=[2])

    def other():
        made = tf.TensorArray(tf.float64, 2, element_shape=[2])
        return made.write(1, x[0] * x[1])

    ta = tf.cond(x[0, 0] > 0.0, other, lambda: ta.write(1, x[1]))
    return ta.stack() * x[2] * tf.cast(ta.size(), tf.float64)


def of_different_lengths(x):
    ta = tf.TensorArray(tf.float64, 3, infer_shape=False)
    ta = ta.split(tf.reshape(x, [6]), [1, 2, 3])
    tb = tf.TensorArray(tf.float64, 3, infer_shape=False)
    for i in tf.range(2):
        part = ta.read(i)
        tb = tb.write(i, part * part * tf.cast(i + 1, tf.float64))
    return tb.write(2, x[0]).concat()


def scattered_and_gathered(x):
    ta = tf.TensorArray(tf.float64, 5, element_shape=[2]).scatter([4, 0, 2], x * x)
    ta = ta.scatter([0, 1], x[:2] * 2.0)
    return ta.stack() + ta.gather([0, 0, 2, 4, 1])


def one_in_another(x):
    out = tf.TensorArray(tf.float64, 3)
    for i in tf.range(3):
        ta = tf.TensorArray(tf.float64, 0, dynamic_size=True)
        for j in tf.range(2):
            ta = ta.write(j, x[i, j] * x[j, 1])
        out = out.write(i, ta.stack())
    return out.stack()


PROGRAMS = (
    while_loop,
    rewritten_in_branches,
    read_and_written,
    made_in_a_branch,
    of_different_lengths,
    scattered_and_gathered,
    one_in_another,
)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_graph_is_eager_and_gradients_are_differences(program, sign):
    assert_gradients(program, X * sign)


def test_a_list_crosses_the_border_of_a_function():
    @tf.function
    def reader(x):
        ta = tf.TensorArray(tf.float32, 3).unstack(x)

        @tf.function
        def second():
            return ta.read(1) * ta.read(2)

        return second()

    x = tf.constant([2.0, 3.0, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = reader(x)
    assert float(y) == 15.0
    assert tape.gradient(y, x).numpy().tolist() == [0.0, 5.0, 3.0]


def test_an_eager_array_enters_a_loop_of_a_graph():
    ta = tf.TensorArray(tf.float32, 3).write(1, 7.0)

    @tf.function
    def program():
        _, result = tf.while_loop(
            lambda i, ta: i < 1, lambda i, ta: (i + 1, ta.write(i, 5.0)), (0, ta)
        )
        return result.stack()

    assert program().numpy().tolist() == [5.0, 7.0, 0.0]


def test_shapes_are_learnt_in_a_loop():
    @tf.function
    def program(n):
        ta = tf.TensorArray(tf.float32, 4)
        for i in tf.range(n):
            ta = ta.write(i, [1.0, 2.0])
        assert ta.element_shape == [2]
        assert ta.stack().shape == [4, 2]
        assert ta.concat().shape.as_list() == [None]
        assert ta.gather([0, 1]).shape == [2, 2]
        return ta.read(0)

    assert program(tf.constant(2)).shape == [2]


def test_a_loop_with_promised_shapes_carries_arrays():
    @tf.function
    def program(n):
        x = tf.zeros([0])
        ta = tf.TensorArray(tf.float32, 0, dynamic_size=True, infer_shape=False)
        for i in tf.range(n):
            tf.autograph.experimental.set_loop_options(
                shape_invariants=[(x, tf.TensorShape([None]))]
            )
            x = tf.concat([x, [2.0]], 0)
            ta = ta.write(i, x)
        return ta.concat()

    assert program(tf.constant(3)).numpy().tolist() == [2.0] * 6


@pytest.mark.parametrize("count", [300, 30000])
def test_a_write_does_not_copy(count):
    """A copy for each write would make the long case take minutes."""

    @tf.function
    def program(n):
        ta = tf.TensorArray(tf.int32, n)
        for i in tf.range(n):
            ta = ta.write(i, i)
        return tf.reduce_max(ta.stack())

    assert int(program(tf.constant(count))) == count - 1


def test_what_was_written_from_one_array_is_not_seen_in_another():
    @tf.function
    def program():
        a = tf.TensorArray(tf.int32, 2, element_shape=[]).write(0, 1)
        b = a.write(1, 2)
        c = a.write(1, 3)
        d = b.write(0, 9)
        return a.stack(), b.stack(), c.stack(), d.stack()

    found = [t.numpy().tolist() for t in program()]
    assert found == [[1, 0], [1, 2], [1, 3], [9, 2]]


def test_properties_and_things_of_tensorflow_1():
    ta = tf.TensorArray("float32", 2, dynamic_size=True)
    assert (ta.dtype, ta.dynamic_size, ta.handle) == (tf.float32, True, None)
    assert ta.identity() is ta
    with pytest.raises(NotImplementedError, match="is not supported when executing eagerly"):
        ta.grad("x")
    with pytest.raises(ValueError, match="TensorArray handles are not supported"):
        tf.TensorArray(tf.float32, 1, handle=tf.constant(1.0))
    ta.close()
    assert int(ta.size()) == 0


def test_spec():
    spec = tf.TensorArraySpec([2], tf.float32, True, False)
    assert repr(spec) == "TensorArraySpec(TensorShape([2]), tf.float32, True, False)"
    ta = tf.TensorArray(tf.float32, 2, element_shape=[2])
    own = tf.TensorArraySpec.from_value(ta)
    assert own == tf.TensorArraySpec([2]) != spec
    assert own.is_compatible_with(ta)
    wider = tf.TensorArraySpec(None)
    assert own.is_subtype_of(wider) and not wider.is_subtype_of(own)
    assert own.most_specific_common_supertype([wider]) == wider
