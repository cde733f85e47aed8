"""Optimizers and metrics: what they promise beside their numbers."""

import numpy as np
import pytest

import headrace as tf
from headrace import keras


def test_lr_is_learning_rate():
    optimizer = keras.optimizers.Nadam(lr=0.02)
    assert float(optimizer.lr) == float(optimizer.learning_rate) == np.float32(0.02)
    optimizer.lr = 0.5
    assert float(optimizer.learning_rate) == 0.5


@pytest.mark.parametrize("name", ["SGD", "Adam", "Nadam", "Adamax", "RMSprop", "Adagrad"])
def test_config_round_trip(name):
    optimizer = keras.optimizers.get(name.lower())
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(restored) is type(optimizer)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_sparse_gradients_equal_dense_ones(name):
    results = []
    for sparse in (True, False):
        table = tf.Variable(np.arange(8.0, dtype=np.float32).reshape(4, 2))
        optimizer = getattr(keras.optimizers, name)(0.1)
        for _ in range(3):
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(tf.square(tf.gather(table, [1, 3, 1])))
            gradient = tape.gradient(value, table)
            gradient = gradient if sparse else tf.convert_to_tensor(gradient)
            optimizer.apply_gradients([(gradient, table)])
        results.append(table.numpy())
    np.testing.assert_allclose(*results, rtol=1e-6)


def test_gradients_that_are_missing():
    optimizer = keras.optimizers.SGD(0.1)
    first, second = tf.Variable(1.0), tf.Variable(2.0)
    optimizer.apply_gradients(zip([tf.constant(1.0), None], [first, second], strict=True))
    assert float(second) == 2.0
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        optimizer.apply_gradients([(None, first)])
    with pytest.raises(KeyError, match="cannot recognize variable"):
        optimizer.apply_gradients([(tf.constant(1.0), tf.Variable(1.0))])


def test_constraints_are_applied():
    weight = tf.Variable([1.0, -1.0], constraint=keras.constraints.NonNeg())
    keras.optimizers.SGD(1.0).apply_gradients([(tf.constant([3.0, 0.0]), weight)])
    np.testing.assert_array_equal(weight, [0.0, 0.0])


def test_moving_averages():
    weight = tf.Variable(1.0)
    optimizer = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant(1.0), weight)])
    optimizer.finalize_variable_values([weight])
    assert float(weight) == pytest.approx(0.5 * (0.5 * 1.0 + 0.5 * 0.0) + 0.5 * -1.0)


def test_minimize():
    weight = tf.Variable(4.0)
    optimizer = keras.optimizers.SGD(0.25)
    optimizer.minimize(lambda: tf.square(weight), [weight])
    assert float(weight) == 2.0
    with tf.GradientTape() as tape:
        loss = tf.square(weight)
    optimizer.minimize(loss, [weight], tape=tape)
    assert float(weight) == 1.0
    assert int(optimizer.iterations) == 2


def test_schedule_moves_the_rate():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [1.0, 0.5])
    optimizer, weight = keras.optimizers.SGD(schedule), tf.Variable(0.0)
    for _ in range(2):
        optimizer.apply_gradients([(tf.constant(1.0), weight)])
    assert float(weight) == -1.5
    with pytest.raises(TypeError, match="not settable"):
        optimizer.learning_rate = 0.1


def test_mean_resets():
    mean = keras.metrics.Mean()
    mean([1.0, 3.0])
    assert float(mean(5.0)) == 3.0
    assert [v.name for v in mean.variables] == ["total:0", "count:0"]
    mean.reset_states()
    assert float(mean.result()) == 0.0


def test_metric_of_a_user():
    class Largest(keras.metrics.Metric):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.value = self.add_weight("value", initializer="zeros")

        def update_state(self, y_true, y_pred, sample_weight=None):
            error = tf.reduce_max(tf.abs(tf.convert_to_tensor(y_true) - y_pred))
            self.value.assign(tf.maximum(self.value, error))

        def result(self):
            return self.value

    metric = Largest(name="largest")
    metric([1.0, 2.0], [1.5, 2.0])
    assert float(metric([0.0], [0.25])) == 0.5
    assert metric.name == "largest"


def test_merged_metrics():
    first, second = keras.metrics.Mean(), keras.metrics.Mean()
    first([1.0, 2.0])
    second([6.0])
    first.merge_state([second])
    assert float(first.result()) == 3.0


def test_seeds_repeat_a_run():
    def weights():
        keras.utils.set_random_seed(5)
        model = keras.Sequential([keras.layers.Dense(3, input_shape=(2,))])
        return model.get_weights()[0], np.random.random(), tf.random.uniform([]).numpy()

    for first, second in zip(weights(), weights(), strict=True):
        np.testing.assert_array_equal(first, second)


def test_backend_functions():
    K = keras.backend
    t = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    np.testing.assert_array_equal(K.square(K.transpose(t)) + 10, t.numpy().T ** 2 + 10)
    assert K.int_shape(t) == (2, 3)
    assert float(K.mean(K.equal(t, 1.0))) == pytest.approx(1 / 6)
    np.testing.assert_array_equal(K.clip(t, 2, 4), np.clip(t, 2, 4))
    assert K.get_value(K.zeros((2,))).tolist() == [0, 0]
