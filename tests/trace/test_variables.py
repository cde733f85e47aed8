"""Variables inside functions: gradients, updates, and how they come into a trace."""

import numpy as np
import pytest

import headrace as tf

PROGRAMS = {
    "product": lambda w, x: w * x,
    "reflected": lambda w, x: x * w,
    "read": lambda w, x: tf.square(w.read_value()) * x,
    "value": lambda w, x: tf.exp(w.value()) * x,
    "part": lambda w, x: w[0] * x,
    "rows": lambda w, x: tf.gather(w, [0, 0, 1]) * x,
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("autograph", [True, False])
@pytest.mark.parametrize("passed", ["captured", "argument"])
def test_gradient_of_a_variable_is_the_tapes(program, autograph, passed):
    variable = tf.Variable([0.5, -2.0, 3.0])

    def of(w, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(program(w, x))
        return tf.convert_to_tensor(tape.gradient(loss, w))

    x = tf.constant([1.0, 2.0, 4.0])
    if passed == "captured":
        found = tf.function(lambda x: of(variable, x), autograph=autograph)(x)
    else:
        found = tf.function(of, autograph=autograph)(variable, x)
    np.testing.assert_array_equal(found, of(variable, x))
    assert np.any(found.numpy())


def test_a_training_step_takes_its_variable_as_an_argument():
    optimizer = tf.keras.optimizers.SGD(0.25)

    @tf.function
    def step(w, x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(w * x - y))
        optimizer.apply_gradients(zip(tape.gradient(loss, [w]), [w], strict=True))
        return loss

    w = tf.Variable(2.0)
    assert float(step(w, tf.constant([-1.0]), tf.constant([2.0]))) == 16.0
    assert float(w) == 0.0  # the slope was 8


def test_a_tape_watches_what_it_is_told_to_inside_a_function():
    variable = tf.Variable(3.0)

    @tf.function
    def slopes(x):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            y = variable * x
        with tf.GradientTape(watch_accessed_variables=False) as other:
            other.watch(variable)
            z = variable * variable
        return tape.gradient(y, [x, variable]), other.gradient(z, variable)

    (of_x, of_variable), told = slopes(tf.constant(5.0))
    assert (float(of_x), of_variable, float(told)) == (3.0, None, 6.0)


def test_defaults_that_are_tensors_and_variables():
    variable, constant = tf.Variable([1.0, 2.0]), tf.constant([1.0, 1.0])

    @tf.function
    def add(kept=variable, changes=(constant,)):
        kept.assign_add(changes[0])
        return kept + 0.0

    for count in range(1, 4):
        np.testing.assert_array_equal(add(), [1.0 + count, 2.0 + count])
    assert add.experimental_get_tracing_count() == 1
