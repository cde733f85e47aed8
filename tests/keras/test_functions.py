"""Keras in `tf.function`: what a layer, loss or metric gives there is what it gives eagerly.

Each piece runs eagerly and in functions that know the inputs' shapes, all but the batch, only
the number of dimensions, and nothing.
"""

import time

import numpy as np
import pytest

import headrace as tf
from headrace import keras

layers, metrics, losses = keras.layers, keras.metrics, keras.losses
RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((4, 6)).astype(np.float32)
X3 = RANDOM.standard_normal((4, 3, 6)).astype(np.float32)
Y = RANDOM.random((4, 6)).astype(np.float32)
WEIGHT = RANDOM.random(4).astype(np.float32)
ALL = ("shape", "batch", "dims", "nothing")
LAST = ALL[:2]

ACTIVATIONS = (
    "linear relu elu selu gelu sigmoid hard_sigmoid tanh exponential softplus softsign "
    "swish mish"
).split()
LAYERS = {
    "Dense": (lambda: layers.Dense(3, "elu"), X, LAST),
    "Dense of three axes": (lambda: layers.Dense(3, activity_regularizer="l2"), X3, LAST),
    "Dropout": (lambda: layers.Dropout(0.5, seed=1), X, ALL),
    "Dropout of rows": (lambda: layers.Dropout(0.5, (None, 1), seed=1), X, ALL),
    "Flatten": (lambda: layers.Flatten(), X3, ALL[:3]),
    "Flatten channels first": (lambda: layers.Flatten("channels_first"), X3, ALL[:3]),
    "LayerNormalization": (lambda: layers.LayerNormalization(), X3, LAST),
    "LayerNormalization of axes": (lambda: layers.LayerNormalization([1, 2]), X3, ALL[:1]),
    "Lambda": (lambda: layers.Lambda(lambda x: x * 2.0), X, ALL),
    "softmax": (lambda: layers.Activation("softmax"), X, ALL[:3]),
    **{n: (lambda n=n: layers.Activation(n), X, ALL) for n in ACTIVATIONS},
}
ERRORS = "MeanSquared MeanAbsolute MeanAbsolutePercentage MeanSquaredLogarithmic".split()
CLASSES = ["BinaryCrossentropy", "CategoricalCrossentropy"]
LOSSES = [*(f"{name}Error" for name in ERRORS), "Huber", "LogCosh", *CLASSES]
METRICS = [*(f"{name}Error" for name in ERRORS), "RootMeanSquaredError", "LogCoshError"]
METRICS += [*CLASSES, "BinaryAccuracy", "CategoricalAccuracy"]


def signature(arrays, known):
    """Specs of arrays of which something is known."""
    specs = {
        "shape": lambda shape: shape,
        "batch": lambda shape: (None, *shape[1:]) if shape else (),
        "dims": lambda shape: (None,) * len(shape),
        "nothing": lambda shape: None,
    }
    return [tf.TensorSpec(specs[known](np.shape(a)), a.dtype) for a in arrays]


def compare(make, arrays, known):
    """What `make()` gives for the arrays eagerly and in a function."""
    tensors = [tf.constant(a) for a in arrays]
    eager = make()(*tensors)
    graph = tf.function(make(), input_signature=signature(arrays, known))(*tensors)
    for expected, found in zip(tf.nest.flatten(eager), tf.nest.flatten(graph), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name, known", [(name, known) for name, (_, _, knows) in LAYERS.items() for known in knows]
)
def test_layers(name, known):
    make, x, _ = LAYERS[name]

    def fresh():
        keras.utils.set_random_seed(3)
        layer = make()
        training = {"training": True} if "Dropout" in name else {}
        return lambda x: (layer(x, **training), layer.losses)

    compare(fresh, [x], known)


@pytest.mark.parametrize("name", ["Dense", "Flatten"])
def test_layers_that_need_a_shape(name):
    make, x, _ = LAYERS[name]
    for known in ("dims", "nothing") if name == "Dense" else ("nothing",):
        layer = make()
        with pytest.raises(ValueError, match="should be defined|requires a defined rank"):
            tf.function(layer.__call__, input_signature=signature([x], known))(tf.constant(x))


@pytest.mark.parametrize("weights", [(), (WEIGHT,)], ids=["plain", "weighted"])
@pytest.mark.parametrize("known", ALL)
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, known, weights):
    for reduction in ("none", "sum", "sum_over_batch_size"):
        compare(lambda r=reduction: getattr(losses, name)(reduction=r), [Y, X, *weights], known)


LABELS = np.array([0, 3, 1, 5], np.int64)
SHARES = np.exp(X) / np.exp(X).sum(-1, keepdims=True)
CLASSES = {
    "BinaryCrossentropy": (np.round(Y), Y),
    "CategoricalCrossentropy": (np.eye(6, dtype=np.float32)[LABELS], SHARES),
    "SparseCategoricalCrossentropy": (LABELS, SHARES),
}


@pytest.mark.parametrize("known", ALL)
@pytest.mark.parametrize("name", CLASSES)
def test_losses_of_classes(name, known):
    for options in ({}, {"from_logits": True}, {"reduction": "none"}):
        compare(lambda o=options: getattr(losses, name)(**o), CLASSES[name], known)
        compare(lambda o=options: getattr(losses, name)(**o), (*CLASSES[name], WEIGHT), known)


def counted(make):
    """A metric that is updated, read, reset and updated again."""

    def fresh():
        metric = make()

        def run(*arguments):
            metric.update_state(*arguments)
            first = metric.result()
            second = metric(*arguments)
            metric.reset_state()
            zero = metric.result()
            metric.update_state(*arguments)
            return first, second, zero, metric.result(), metric.variables

        return run

    return fresh


@pytest.mark.parametrize("arrays", [(Y, X), (Y, X, WEIGHT), (Y[:, :1], X[:, 0])], ids=len)
@pytest.mark.parametrize("known", ALL)
@pytest.mark.parametrize("name", METRICS)
def test_metrics(name, known, arrays):
    compare(counted(getattr(metrics, name)), arrays, known)


ACCURACIES = "BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy".split()


@pytest.mark.parametrize("known", ALL)
@pytest.mark.parametrize("name", [*CLASSES, *ACCURACIES])
def test_metrics_of_classes(name, known):
    arrays = CLASSES[name.replace("Accuracy", "Crossentropy")]
    compare(counted(getattr(metrics, name)), arrays, known)
    compare(counted(getattr(metrics, name)), (*arrays, WEIGHT), known)


@pytest.mark.parametrize("arrays", [(X,), (X, WEIGHT), (X[0], WEIGHT[0])])
@pytest.mark.parametrize("known", ALL)
@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_means(name, known, arrays):
    compare(counted(getattr(metrics, name)), arrays, known)


@pytest.mark.parametrize("name", ["l1", "l2", "l1_l2", "orthogonal_regularizer"])
def test_regularizers(name):
    compare(getattr(keras.regularizers, name), [X], "shape")


@pytest.mark.parametrize("known", ALL)
@pytest.mark.parametrize("name", ["MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"])
def test_constraints(name, known):
    compare(getattr(keras.constraints, name), [X], known)


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "function"])
def test_dropout_in_a_mode_that_is_a_tensor(wrap):
    layer = layers.Dropout(0.5)
    run = wrap(lambda x, training: layer(x, training=training))
    x = tf.ones([40])
    np.testing.assert_array_equal(run(x, tf.constant(False)), x)
    assert set(run(x, tf.constant(True)).numpy()) == {0.0, 2.0}


def test_dropout_draws_anew_at_each_call():
    layer = layers.Dropout(0.5)
    run = tf.function(lambda x: layer(x, training=True))
    x = tf.ones([40])
    assert not np.array_equal(run(x), run(x))


def test_a_mode_reaches_inner_layers():
    class Outer(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([layers.Dropout(0.5), layers.Flatten()])

        def call(self, inputs, training=None):
            return self.inner(inputs)

    model = Outer()
    run = tf.function(lambda x, training: model(x, training=training))
    x = tf.ones([2, 30])
    assert set(run(x, True).numpy().flat) == {0.0, 2.0}
    np.testing.assert_array_equal(run(x, False), x)


def test_a_layer_makes_its_weights_at_the_first_trace():
    model = keras.Sequential([layers.Dense(3), layers.Dense(1)])
    run = tf.function(model.__call__)
    run(tf.ones([2, 4]))
    before = [id(v) for v in model.weights]
    assert len(before) == 4
    np.testing.assert_allclose(run(tf.ones([5, 4]))[:2], model(tf.ones([2, 4])), rtol=1e-6)
    assert [id(v) for v in model.weights] == before


def test_weights_that_are_given_are_set_once():
    given = [np.ones((4, 2), np.float32), np.zeros(2, np.float32)]
    layer = layers.Dense(2, weights=given)
    run = tf.function(layer.__call__)
    np.testing.assert_array_equal(run(tf.ones([1, 4])), [[4.0, 4.0]])
    layer.set_weights([2.0 * given[0], given[1]])
    np.testing.assert_array_equal(run(tf.ones([1, 4])), [[8.0, 8.0]])


def test_a_metric_made_at_a_later_trace():
    class Watched(layers.Layer):
        def call(self, inputs, watch=False):
            if watch:
                self.add_metric(tf.reduce_mean(inputs), name="mean")
            return inputs

    layer = Watched()
    run = tf.function(lambda x, watch: layer(x, watch=watch))
    run(tf.ones([2]), False)
    run(tf.ones([2]), True)
    run(3.0 * tf.ones([2]), True)
    assert [m.name for m in layer.metrics] == ["mean"]
    assert float(layer.metrics[0].result()) == 2.0


class Reconstructing(keras.Model):
    """A model with a loss and a metric of its own, and a layer that is made in `build`."""

    def __init__(self):
        super().__init__()
        self.hidden = [layers.Dense(5, "selu", kernel_regularizer="l1_l2") for _ in range(2)]
        self.out = layers.Dense(1, bias_constraint="non_neg")
        self.mean = metrics.Mean(name="reconstruction")

    def build(self, batch_input_shape):
        self.reconstruct = layers.Dense(batch_input_shape[-1])
        super().build(batch_input_shape)

    def call(self, inputs, training=None):
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        loss = tf.reduce_mean(tf.square(self.reconstruct(z) - inputs))
        self.add_loss(0.05 * loss)
        if training:
            self.add_metric(self.mean(loss))
        return self.out(z)


def trained(wrap, optimizer, steps=6):
    """The chapter's own training loop with a model of the chapter's kinds."""
    keras.utils.set_random_seed(11)
    model, loss_fn = Reconstructing(), losses.Huber()
    mean_loss, errors = metrics.Mean(), [metrics.MeanAbsoluteError()]

    def step(x, y):
        with tf.GradientTape() as tape:
            prediction = model(x, training=True)
            main = tf.reduce_mean(loss_fn(y, prediction))
            loss = tf.add_n([main, *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        mean_loss(loss)
        for metric in errors:
            metric(y, prediction)
        return loss

    run = wrap(step)
    data = np.random.default_rng(2).standard_normal((steps, 8, 6)).astype(np.float32)
    values = [run(tf.constant(x), tf.constant(x[:, :1] * 2 + 1)) for x in data]
    kept = [mean_loss, *errors, *model.metrics]
    results = [float(m.result()) for m in kept]
    for metric in kept:
        metric.reset_states()
    assert [float(m.result()) for m in kept] == [0.0] * len(kept)
    return [*values, *results, *model.get_weights(), *optimizer.get_weights()]


@pytest.mark.parametrize("name", ["SGD", "Adam", "Nadam", "Adamax", "RMSprop", "Adagrad"])
def test_the_custom_training_loop(name):
    make = getattr(keras.optimizers, name)
    eager = trained(lambda step: step, make(learning_rate=0.01))
    graph = trained(tf.function, make(learning_rate=0.01))
    free = trained(lambda step: tf.function(step, reduce_retracing=True), make(0.01))
    for expected, found, same in zip(eager, graph, free, strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)
        np.testing.assert_allclose(same, expected, rtol=2e-5, atol=2e-6)


def test_the_training_loop_inside_one_function():
    """Batches are drawn and steps made in a loop of the graph."""
    keras.utils.set_random_seed(4)
    model = keras.Sequential([layers.Dense(4, "elu", kernel_regularizer="l2"), layers.Dense(1)])
    model.build((None, 6))
    optimizer, mean = keras.optimizers.Nadam(0.02), metrics.Mean()
    optimizer.build(model.trainable_variables)
    x = tf.constant(np.random.default_rng(1).standard_normal((64, 6)).astype(np.float32))
    y = x[:, :1] * 2.0

    @tf.function
    def epoch(steps):
        mean.reset_state()
        for _ in tf.range(steps):
            rows = tf.random.uniform([16], 0, 64, tf.int32)
            with tf.GradientTape() as tape:
                error = losses.mean_squared_error(tf.gather(y, rows), model(tf.gather(x, rows)))
                loss = tf.reduce_mean(error) + tf.add_n(model.losses)
            optimizer.minimize(loss, model.trainable_variables, tape=tape)
            mean(loss)
        return mean.result()

    first = float(epoch(tf.constant(20)))
    second = float(epoch(tf.constant(20)))
    assert int(optimizer.iterations) == 40
    assert second < first


def test_a_step_has_few_nodes():
    """Scalars of a step are computed once, not for each weight."""

    def nodes(count):
        optimizer = keras.optimizers.Nadam(0.01)
        weights = [tf.Variable([1.0]) for _ in range(count)]
        run = tf.function(lambda g: optimizer.apply_gradients([(g, v) for v in weights]))
        graph = run.get_concrete_function(tf.TensorSpec([1])).graph
        return len(graph.get_operations())

    assert nodes(2) - nodes(1) <= 27
    assert nodes(1) <= 95


# What users write inside Keras' pieces is converted by AutoGraph on the way


def turned(x, y):
    if tf.reduce_sum(x) > 0:
        result = y
    else:
        result = -y
    return result


class Turning(layers.Layer):
    def call(self, x):
        y = x
        if tf.reduce_sum(x) > 0:
            y = x * 2.0
        for _ in tf.range(2):
            y = y + 1.0
        return y


class Turned(keras.Model):
    def __init__(self):
        super().__init__()
        self.turning = Turning()

    def call(self, inputs, training=None):
        if training:
            inputs = inputs + 1.0
        while tf.reduce_max(inputs) < 8.0:
            inputs = self.turning(inputs)
        return inputs


class TurnedLoss(losses.Loss):
    def call(self, y_true, y_pred):
        return turned(y_true, y_pred)


class Positive(metrics.Metric):
    def __init__(self):
        super().__init__()
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, value, sample_weight=None):
        if tf.reduce_sum(value) > 0:
            self.count.assign_add(1.0)

    def result(self):
        if self.count > 1.0:
            return self.count * 10.0
        return self.count * 1.0


def trained_model():
    model = Turned()
    return lambda x: model(x, training=True)


def metric_of_a_function():
    metric = metrics.MeanMetricWrapper(turned)
    return lambda x: metric(x, x)


USERS = {
    "layer": Turning,
    "model": Turned,
    "model in training": trained_model,
    "loss": lambda: lambda x: TurnedLoss()(x, x),
    "loss function": lambda: lambda x: losses.LossFunctionWrapper(turned)(x, x),
    "metric": Positive,
    "metric of a function": metric_of_a_function,
}


@pytest.mark.parametrize("make", USERS.values(), ids=USERS)
def test_control_flow_of_users(make):
    eager, graph = make(), make()
    run = tf.function(lambda x: graph(x))
    for values in ([1.0, 2.0], [-1.0, -3.0], [0.5, 0.5]):
        np.testing.assert_allclose(run(tf.constant(values)), eager(tf.constant(values)))
    assert run.experimental_get_tracing_count() <= 2


def test_control_flow_is_left_alone_without_autograph():
    layer = Turning()
    with pytest.raises(TypeError, match="symbolic `tf.Tensor` as a Python `bool`"):
        tf.function(lambda x: layer(x), autograph=False)(tf.ones([2]))


def test_control_flow_in_branches_and_loops():
    layer = Turning()

    @tf.function
    def run(x):
        for _ in tf.range(2):
            if tf.reduce_min(x) < 100.0:
                x = layer(x)
        return x

    np.testing.assert_array_equal(run(tf.constant([1.0])), [10.0])


def test_names_in_a_graph():
    """Operations stand under the names of what made them, variables have the names of eager
    ones."""
    layer = layers.Dense(2, kernel_regularizer="l2", name="dense")
    model = keras.Sequential([layer, layers.Dropout(0.5, name="drop")], name="model")
    optimizer, loss_fn, mean = keras.optimizers.SGD(0.1), losses.Huber(), metrics.Mean()

    @tf.function
    def step(x):
        with tf.name_scope("outer"), tf.GradientTape() as tape:
            loss = loss_fn(x, model(x, training=True)) + tf.add_n(model.losses)
            again = model(x)
        weights = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
        return mean(loss), again

    graph = step.get_concrete_function(tf.TensorSpec([3, 2])).graph
    names = {op.name for op in graph.get_operations()}
    scopes = {name.rpartition("/")[0] for name in names}
    assert {
        "outer/model/dense",
        "outer/model/drop",
        "outer/huber_loss",
        "outer/outer/dense/kernel/Regularizer",
        "SGD",
    } <= scopes
    products = {"outer/model/dense/MatMul", "outer/model/dense/MatMul_1"}
    assert products | {"SGD/AssignSubVariableOp"} <= names
    assert [v.name for v in layer.weights] == ["outer/dense/kernel:0", "outer/dense/bias:0"]
    assert [v.name for v in mean.variables] == ["total:0", "count:0"]
    assert [v.name for v in optimizer.variables][0] == "iteration:0"


def test_a_step_is_traced_quickly():
    """A step of some 500 nodes takes at most 0.3 s of this thread's time."""
    stack = [layers.Dense(8, "elu", kernel_regularizer="l2") for _ in range(6)]
    model, optimizer = keras.Sequential(stack), keras.optimizers.Nadam(0.01)
    model.build((None, 8))
    optimizer.build(model.trainable_variables)

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.add_n([tf.reduce_mean(model(x, training=True)), *model.losses])
        optimizer.minimize(loss, model.trainable_variables, tape=tape)

    times = []
    for _ in range(3):
        begin = time.thread_time()
        graph = tf.function(step).get_concrete_function(tf.TensorSpec([4, 8])).graph
        times.append(time.thread_time() - begin)
    assert len(graph.get_operations()) > 450
    assert min(times) < 0.3
