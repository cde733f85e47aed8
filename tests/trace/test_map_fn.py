"""`tf.map_fn` and its kin: TensorFlow's answers, and gradients against differences."""

import json

import numpy as np
import pytest

import headrace as tf
from tests.trace import slices
from tests.trace.differences import assert_gradients

EXPECTED = json.loads(slices.FILE.read_text())
X = np.array([[0.1, 0.5], [0.3, 0.4], [0.2, -0.1]])


@pytest.fixture(scope="module")
def found():
    return slices.answers(tf)


def own_words(name, expected):
    """Whether only the class of an error is TensorFlow's: loops and Nones have other words,
    and what indexing an empty list says by accident says more here.
    """
    return (
        expected.startswith(("IndexError", "TypeError"))
        or "enters the loop" in expected
        or "None values" in expected
        or name == "vmap mism, graph"
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_answer(name, found):
    expected = EXPECTED[name]
    if own_words(name, expected):
        assert found[name].split(":")[0] == expected.split(":")[0]
    else:
        assert found[name] == expected


PROGRAMS = {
    "map": lambda x: tf.map_fn(lambda r: tf.sin(r) * tf.reduce_sum(r), x),
    "map of a tuple": lambda x: tf.map_fn(lambda p: (p[0] * p[1], p[0] + 1.0), (x, x * x))[0],
    "map of one": lambda x: tf.map_fn(lambda r: r * r * r, x[1:2]),
    "scan": lambda x: tf.scan(lambda a, r: tf.sin(a) * r + a, x),
    "scan in reverse": lambda x: tf.scan(
        lambda a, r: tf.sin(a) * r + a, x, initializer=x[0] * x[1], reverse=True
    ),
    "foldl": lambda x: tf.foldl(lambda a, r: tf.sin(a) * r + a, x),
    "foldr": lambda x: tf.foldr(lambda a, r: tf.sin(a) * r + a, x, initializer=x[0]),
    "vectorized": lambda x: tf.vectorized_map(lambda r: tf.sin(r) * tf.reduce_sum(r), x),
    "vectorized, one for all": lambda x: tf.vectorized_map(
        lambda p: tf.sin(p[0]) * p[1], (x, x[1:2])
    ),
    "map in a map": lambda x: tf.map_fn(lambda r: tf.map_fn(lambda s: s * s * r[0], r), x),
    "fold in a scan": lambda x: tf.scan(
        lambda a, r: a + tf.foldl(lambda b, s: b * s, r),
        x,
        initializer=tf.constant(1.0, tf.float64),
    ),
}
OPEN = [tf.TensorSpec([None, None], tf.float64)]


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("signature", [None, OPEN], ids=["known", "open"])
def test_graph_is_eager_and_gradients_are_differences(name, signature):
    assert_gradients(PROGRAMS[name], X, input_signature=signature)


def test_variables_are_trained_through_a_map():
    v = tf.Variable([1.0, 2.0])
    x = tf.constant(X, tf.float32)
    gradients = []
    for wrap in (tf.function, lambda f: f):
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(wrap(lambda: tf.map_fn(lambda r: r * v, x))() ** 2)
        gradients.append(tape.gradient(y, v).numpy())
    expected = 2 * (X**2).sum(0) * [1.0, 2.0]
    np.testing.assert_allclose(gradients, [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("stage", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize(
    "mapped",
    [
        lambda x: tf.map_fn(lambda r: r * r, x, back_prop=False),
        lambda x: tf.scan(lambda a, r: a * r, x, back_prop=False),
        lambda x: tf.foldl(lambda a, r: a * r, x, back_prop=False),
    ],
    ids=["map_fn", "scan", "foldl"],
)
def test_back_prop(mapped, stage):
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = stage(mapped)(x)
    assert tape.gradient(y, x) is None


@pytest.mark.parametrize(
    "use", [tf.map_fn, tf.scan, tf.foldl, tf.foldr, tf.vectorized_map], ids=lambda f: f.__name__
)
def test_something_that_is_no_function(use):
    with pytest.raises(TypeError, match="callable"):
        use(3, tf.constant([1.0]))


def test_vectorized_map_traces_once():
    calls = []

    def double(x):
        calls.append(1)
        return x * 2

    tf.vectorized_map(double, tf.constant([1, 2, 3]))
    assert len(calls) == 1


def test_shapes_in_graphs():
    @tf.function
    def program(x):
        for use in (tf.map_fn, tf.vectorized_map):
            assert use(lambda r: r * 2.0, x).shape == [3, 2]
        assert tf.scan(lambda a, r: a * r, x).shape == [3, 2]
        return tf.foldl(lambda a, r: a * r, x)

    assert program(tf.constant(X)).shape == [2]


def test_gradients_of_long_maps_do_not_copy():
    """Summing gradients of all slices by whole lists would make this take a minute."""
    x = tf.ones([20000])
    square = tf.function(lambda x: tf.reduce_sum(tf.map_fn(lambda r: r * r, x)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = square(x)
    assert float(tf.reduce_sum(tape.gradient(y, x))) == 40000.0
