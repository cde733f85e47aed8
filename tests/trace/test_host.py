"""Python inside graphs: what its errors become, and in which order things happen."""

import sys

import numpy as np
import pytest

import headrace as tf

X = tf.constant([1.0, 2.0])


def failing(error):
    def broken(value):
        raise error

    return broken


def graph(call):
    return tf.function(call, autograph=False)


@pytest.mark.parametrize("caller", [tf.py_function, tf.numpy_function])
@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ValueError("mine"), tf.errors.InvalidArgumentError),
        (TypeError("mine"), tf.errors.InvalidArgumentError),
        (NotImplementedError("mine"), tf.errors.UnimplementedError),
        (StopIteration("mine"), tf.errors.OutOfRangeError),
        (MemoryError("mine"), tf.errors.ResourceExhaustedError),
        (ZeroDivisionError("mine"), tf.errors.UnknownError),
        (tf.errors.NotFoundError(None, None, "mine"), tf.errors.NotFoundError),
    ],
)
def test_errors_of_python_keep_their_words_and_lines(caller, raised, expected):
    call = graph(lambda x: caller(failing(raised), [x], tf.float32))
    with pytest.raises(expected) as caught:
        call(X)
    text = str(caught.value)
    assert "mine" in text
    if not isinstance(raised, tf.errors.OpError):
        assert f"{type(raised).__name__}: mine" in text
        assert f'File "{__file__}"' in text and "in broken" in text


def test_eager_errors_are_pythons_own():
    for caller in (tf.py_function, tf.numpy_function):
        with pytest.raises(ValueError, match="^mine$"):
            caller(failing(ValueError("mine")), [X], tf.float32)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda v: v.astype(np.float64), "0-th value returned by <lambda> is double, but"),
        (lambda v: (v, v), "<lambda> returns 2 values, but expects to see 1 values."),
    ],
)
def test_results_must_be_what_was_declared(function, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        graph(lambda x: tf.numpy_function(function, [x], tf.float32))(X)


def test_effects_happen_in_the_programs_order(capsys):
    variable = tf.Variable(1.0)
    seen = []

    @tf.function
    def steps(x):
        tf.print("a", x, output_stream=sys.stdout)
        variable.assign_add(1.0)
        tf.py_function(lambda v: seen.append(float(v)), [variable], [])
        if x > 0.0:
            tf.print("b", variable, output_stream=sys.stdout)
        variable.assign(7.0)
        tf.py_function(lambda v: seen.append(float(v)), [variable], [])
        tf.debugging.Assert(variable < 9.0, ["too large", variable])
        for i in tf.range(2):
            variable.assign_add(1.0)
            tf.print("c", i, variable, output_stream=sys.stdout)
        tf.debugging.assert_less(variable, 9.0, message="at the end")
        return variable.read_value()

    with pytest.raises(tf.errors.InvalidArgumentError, match="at the end"):
        steps(tf.constant(2.0))
    assert capsys.readouterr().out == "a 2\nb 2\nc 0 8\nc 1 9\n"
    assert seen == [2.0, 7.0] and float(variable) == 9.0


def test_what_nobody_needs_does_not_run():
    @tf.function
    def quiet(x):
        tf.gather(x, [7])
        tf.numpy_function(failing(ValueError("mine")), [x], tf.float32, stateful=False)
        return x

    assert quiet(X).numpy().tolist() == [1.0, 2.0]


def test_a_wrong_static_input_is_explained():
    @tf.function
    def shaped(x, n):
        return tf.reshape(x, [n, 7])

    with pytest.raises(tf.errors.InvalidArgumentError, match="Input to reshape"):
        shaped(X, tf.constant(3))


def test_functions_may_run_eagerly():
    seen = []

    @tf.function
    def look(x):
        seen.append(tf.executing_eagerly())
        return x * 2.0

    tf.config.run_functions_eagerly(True)
    try:
        assert tf.config.functions_run_eagerly()
        look(X)
        look(X)
    finally:
        tf.config.run_functions_eagerly(False)
    look(X)
    look(X)
    assert seen == [True, True, False]
