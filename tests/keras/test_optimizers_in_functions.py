"""Optimizers in `tf.function`: the numbers of eager steps, and what is made when."""

import numpy as np
import pytest

import headrace as tf
from headrace import keras
from tests.keras.cases import GRADIENT, OPTIMIZERS, SCHEDULES, WEIGHTS

schedules = keras.optimizers.schedules
EXTRA = [
    ("Nadam", {"weight_decay": 0.01, "global_clipnorm": 1.0}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}),
    *(("RMSprop", {"schedule": name}) for name in SCHEDULES),
]
EVERY = [(name, options) for name, all_of in OPTIMIZERS.items() for options in all_of] + EXTRA


def make(name, options):
    options = dict(options)
    rate = 0.1
    if "schedule" in options:
        kind = options.pop("schedule")
        rate = getattr(schedules, kind)(**SCHEDULES[kind])
    return getattr(keras.optimizers, name)(learning_rate=rate, **options)


def three_weights(name, options, wrap):
    """Five steps for weights of three shapes; all values with which they and the optimizer
    end."""
    optimizer = make(name, options)
    matrix = tf.Variable(WEIGHTS, constraint=keras.constraints.MaxNorm(2.0))
    vector, scalar = tf.Variable([1.0, 2.0]), tf.Variable(3.0)

    def step(gradient):
        pairs = (gradient, matrix), (matrix[0] * 0.5 + vector, vector), (scalar * 2, scalar)
        return optimizer.apply_gradients(pairs)

    run = wrap(step)
    for count in range(5):
        run(tf.constant(GRADIENT * (1.5 - count)))
    return [v.numpy() for v in (matrix, vector, scalar, *optimizer.variables)]


@pytest.mark.parametrize("name, options", EVERY, ids=str)
def test_graph_equals_eager(name, options):
    eager = three_weights(name, options, lambda step: step)
    graph = three_weights(name, options, tf.function)
    assert eager[3] == graph[3] == 5
    for expected, found in zip(eager, graph, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("name, options", EVERY[:20:3], ids=str)
def test_large_weights(name, options):
    """What eager steps do part by part, and to matrices of either order."""
    values = np.random.default_rng(3).standard_normal((2, 250, 130)).astype(np.float32)
    ends = []
    for wrap in (lambda step: step, tf.function):
        optimizer = make(name, options)
        weights = [tf.Variable(values[0]), tf.Variable(tf.transpose(values[0]))]
        gradients = [tf.constant(values[1]), tf.transpose(values[1])]

        def step(optimizer=optimizer, weights=weights, gradients=gradients):
            optimizer.apply_gradients(zip(gradients, weights, strict=True))

        run = wrap(step)
        run()
        run()
        ends.append([v.numpy() for v in (*weights, *optimizer.variables)])
    for expected, found in zip(*ends, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    np.testing.assert_array_equal(ends[0][0], ends[0][1].T)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_of_other_dtypes(name, dtype):
    """Each weight is updated in its own dtype, also beside weights of others."""
    ends = []
    for wrap in (lambda step: step, tf.function):
        optimizer = make(name, {})
        weight, other = tf.Variable([1.0, -2.0], dtype=dtype), tf.Variable([1.0, -2.0])

        def step(optimizer=optimizer, weight=weight, other=other):
            optimizer.apply_gradients([(weight * 2, weight), (other * 2, other)])

        run = wrap(step)
        for _ in range(3):
            run()
        ends.append((np.float64(weight.numpy()), other.numpy()))
    assert weight.dtype == dtype
    rtol = {"float16": 2e-3, "bfloat16": 2e-2, "float64": 1e-12}[dtype]
    np.testing.assert_allclose(ends[1][0], ends[0][0], rtol=rtol)
    np.testing.assert_allclose(ends[1][1], ends[0][1], rtol=2e-6)


def test_retracing_goes_on_where_the_last_step_ended():
    weights = []
    for wrap in (lambda step: step, tf.function):
        optimizer, weight = make("Nadam", {}), tf.Variable([1.0, 2.0])

        def step(x, optimizer=optimizer, weight=weight):
            optimizer.apply_gradients([(weight * tf.reduce_sum(x), weight)])

        run = wrap(step)
        for size in (1, 2, 3, 1):
            run(tf.ones([size]))
        weights.append(weight.numpy())
        assert int(optimizer.iterations) == 4
    assert run.experimental_get_tracing_count() == 3
    np.testing.assert_allclose(weights[1], weights[0], rtol=2e-6)


def test_variables_are_made_on_the_first_trace_only():
    optimizer, weight = make("Adam", {"amsgrad": True}), tf.Variable([1.0])
    step = tf.function(lambda g: optimizer.apply_gradients([(g, weight)]))
    step(tf.constant([1.0]))
    before = [id(v) for v in optimizer.variables]
    step.get_concrete_function(tf.TensorSpec([None]))
    step(tf.constant([1.0]))
    assert [id(v) for v in optimizer.variables] == before
    assert len(before) == 4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_of_an_optimizer_carry_on_a_run(name):
    whole, weight = make(name, {}), tf.Variable([1.0, 2.0])
    halves, other = [make(name, {}), make(name, {})], tf.Variable([1.0, 2.0])
    for _ in range(6):
        whole.apply_gradients([(weight * 2.0, weight)])
    for half in halves:
        half.build([other])
    for position, half in enumerate(halves):
        if position:
            half.set_weights(halves[0].get_weights())
        for _ in range(3):
            half.apply_gradients([(other * 2.0, other)])
    np.testing.assert_allclose(other, weight, rtol=2e-6)


def test_one_optimizer_for_two_models():
    optimizer = make("Adam", {})
    models = [keras.Sequential([keras.layers.Dense(1, input_shape=(2,))]) for _ in range(2)]
    optimizer.build([v for model in models for v in model.trainable_variables])

    def trainer(model):
        @tf.function
        def step(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(model(x) - 1.0))
            optimizer.minimize(loss, model.trainable_variables, tape=tape)
            return loss

        return step

    x = tf.constant([[1.0, 2.0], [-1.0, 0.5]])
    steps = [trainer(model) for model in models]
    first = [float(step(x)) for step in steps]
    for _ in range(20):
        last = [float(step(x)) for step in steps]
    assert int(optimizer.iterations) == 42
    assert all(b < a for a, b in zip(first, last, strict=True))


def test_an_unknown_weight_is_refused_while_tracing():
    optimizer, first, second = make("SGD", {}), tf.Variable(1.0), tf.Variable(1.0)
    optimizer.build([first])
    step = tf.function(lambda: optimizer.apply_gradients([(tf.constant(1.0), second)]))
    with pytest.raises(KeyError, match="cannot recognize variable"):
        step()


def test_a_misfit_is_refused_while_tracing():
    optimizer, weight = make("SGD", {}), tf.Variable([1.0, 2.0])
    step = tf.function(lambda: optimizer.apply_gradients([(tf.constant(1.0), weight)]))
    with pytest.raises(ValueError, match="The gradient of Variable:0 has shape"):
        step()
    np.testing.assert_array_equal(weight, [1.0, 2.0])


def test_the_rate_can_be_changed_between_calls():
    optimizer, weight = make("SGD", {}), tf.Variable(0.0)
    step = tf.function(lambda: optimizer.apply_gradients([(tf.constant(1.0), weight)]))
    step()
    optimizer.learning_rate = 0.5
    step()
    assert float(weight) == pytest.approx(-0.6)


@pytest.mark.parametrize("wrap", [lambda step: step, tf.function], ids=["eager", "function"])
def test_optimizer_of_a_user(wrap):
    class Momentum(keras.optimizers.Optimizer):
        def __init__(self, learning_rate, name="Momentum"):
            super().__init__(name=name)
            self._learning_rate = self._build_learning_rate(learning_rate)

        def build(self, var_list):
            super().build(var_list)
            self.kept = [self.add_variable_from_reference(v, "kept") for v in var_list]

        def update_step(self, gradient, variable):
            kept = self.kept[self._index_dict[self._var_key(variable)]]
            scale = self.learning_rate / tf.cast(self.iterations + 1, tf.float32)
            kept.assign(0.5 * kept + gradient)
            variable.assign_sub(scale * kept)

    optimizer, weights = Momentum(0.5), [tf.Variable(1.0), tf.Variable([1.0])]
    run = wrap(lambda: optimizer.apply_gradients([(v * 0 + 1.0, v) for v in weights]))
    run()
    run()
    assert float(weights[0]) == pytest.approx(1 - 0.5 - 0.25 * 1.5)
    assert [v.name for v in optimizer.variables][1] == "Momentum/kept/Variable:0"


def test_a_rule_of_keras_can_be_extended():
    class Scaled(keras.optimizers.Adam):
        def update_step(self, gradient, variable):
            super().update_step(gradient * 3.0, variable)

    ends = []
    for cls, factor in ((Scaled, 1.0), (keras.optimizers.Adam, 3.0)):
        optimizer, weight = cls(0.1, epsilon=1.0), tf.Variable([1.0, 2.0])
        for _ in range(2):
            optimizer.apply_gradients([(weight * factor, weight)])
        ends.append(weight.numpy())
    np.testing.assert_array_equal(*ends)


def test_an_optimizer_made_in_a_function():
    weight, made = tf.Variable(2.0), []

    @tf.function
    def step():
        if not made:
            made.append(keras.optimizers.Adam(0.1))
        made[0].apply_gradients([(weight * 1.0, weight)])

    step()
    step()
    assert int(made[0].iterations) == 2
    assert float(weight) == pytest.approx(1.8, abs=1e-3)
