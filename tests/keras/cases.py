"""What is compared with TensorFlow's Keras: each case is a function of `(tf, keras)`.

`tools/goldens_keras.py` runs them under TensorFlow and stores the answers; `test_goldens.py`
runs them under Headrace.
"""

import numpy as np

GRADIENT = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
WEIGHTS = np.array([[1.0, 2.0], [-1.0, 0.5]], np.float32)

OPTIMIZERS = {
    "SGD": [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"clipnorm": 1.0},
        {"clipvalue": 0.5},
        {"global_clipnorm": 1.0},
        {"weight_decay": 0.01},
        {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2},
    ],
    "Adam": [
        {},
        {"amsgrad": True},
        {"beta_1": 0.8, "epsilon": 1e-3},
        {"weight_decay": 0.01},
        {"clipnorm": 1.0, "use_ema": True, "ema_overwrite_frequency": 3},
    ],
    "Nadam": [{}, {"beta_2": 0.99}, {"clipvalue": 0.5, "weight_decay": 0.01}],
    "Adamax": [{}, {"global_clipnorm": 1.0}],
    "RMSprop": [{}, {"momentum": 0.5}, {"momentum": 0.5, "centered": True}],
    "Adagrad": [{}, {"initial_accumulator_value": 0.5}],
}

INITIALIZERS = {
    "GlorotUniform": {},
    "GlorotNormal": {},
    "HeUniform": {},
    "HeNormal": {},
    "LecunUniform": {},
    "LecunNormal": {},
    "RandomUniform": {"minval": -2.0, "maxval": 3.0},
    "RandomNormal": {"mean": 1.0, "stddev": 2.0},
    "TruncatedNormal": {},
    "Orthogonal": {"gain": 2.0},
    "VarianceScaling": {"scale": 3.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}

ACTIVATIONS = (
    "linear relu elu selu gelu sigmoid hard_sigmoid tanh exponential softplus softsign "
    "swish mish "
    "softmax"
).split()
LOSSES = (
    "mean_squared_error mean_absolute_error mean_absolute_percentage_error "
    "mean_squared_logarithmic_error huber log_cosh"
).split()
METRICS = (
    "MeanSquaredError MeanAbsoluteError MeanAbsolutePercentageError "
    "MeanSquaredLogarithmicError RootMeanSquaredError LogCoshError"
).split()
LABELS = np.array([[0.2, 3.0], [1.0, 0.1], [2.0, 2.0]], np.float32)
PREDICTIONS = np.array([[0.5, 1.0], [1.0, 0.0], [4.5, 2.5]], np.float32)
SCHEDULES = {
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {
        "initial_learning_rate": 0.1,
        "decay_steps": 10,
        "decay_rate": 0.5,
        "staircase": True,
    },
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "power": 2.0},
    "PiecewiseConstantDecay": {"boundaries": [3, 12], "values": [1.0, 0.5, 0.1]},
}


def optimizer(name, options, wrap):
    """Five steps; `wrap` may make a `tf.function` of the step."""

    def case(tf, keras):
        made = getattr(keras.optimizers, name)(learning_rate=0.1, **options)
        weight, path = tf.Variable(WEIGHTS), []

        def step(gradient):
            made.apply_gradients([(gradient, weight)])

        run = wrap(tf, step)
        for count in range(5):
            run(tf.constant(GRADIENT * (1.5 - count)))
            path.append(weight.numpy())
        return np.stack(path)

    return case


def scheduled(name, options, wrap):
    """Steps of gradient 1 with a schedule as the rate: the weight shows each rate."""

    def case(tf, keras):
        rate = getattr(keras.optimizers.schedules, name)(**options)
        made, weight, path = keras.optimizers.SGD(rate), tf.Variable(0.0), []
        run = wrap(tf, lambda: made.apply_gradients([(tf.constant(1.0), weight)]))
        for _ in range(15):
            run()
            path.append([float(weight), float(made.learning_rate)])
        return np.array(path)

    return case


def constrained(wrap):
    """Constraints come after the moving averages."""

    def case(tf, keras):
        made = keras.optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
        weight = tf.Variable([1.0, 2.0], constraint=keras.constraints.NonNeg())
        run = wrap(tf, lambda g: made.apply_gradients([(g, weight)]))
        for _ in range(3):
            run(tf.constant([0.7, 0.3]))
        return np.stack([weight.numpy(), made.variables[1].numpy()])

    return case


def embedding(name, options, wrap):
    """Gradients of some rows of a table, one of them twice."""

    def case(tf, keras):
        made = getattr(keras.optimizers, name)(learning_rate=0.1, **options)
        table = tf.Variable(np.arange(8.0, dtype=np.float32).reshape(4, 2))

        def step(rows):
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(tf.square(tf.gather(table, rows)))
            made.apply_gradients([(tape.gradient(value, table), table)])

        run = wrap(tf, step)
        for rows in ([1, 3, 1], [0, 3, 3], [2, 2, 2]):
            run(tf.constant(rows))
        return table.numpy()

    return case


WRAPS = {"eager": lambda tf, step: step, "function": lambda tf, step: tf.function(step)}
EMBEDDINGS = {
    "SGD": [{}, {"momentum": 0.9}, {"clipnorm": 1.0}],
    "Adam": [{}],
    "RMSprop": [{}],
    "Adagrad": [{}, {"clipvalue": 0.5}],
}


def steps():
    """Cases of optimizers that are run eagerly as well as in functions."""
    for how, wrap in WRAPS.items():
        for name, variants in OPTIMIZERS.items():
            for options in variants:
                # TensorFlow's Nadam multiplies its product of momentums at the wrong steps
                # in a function; here it does there what it does eagerly.
                if (how, name) != ("function", "Nadam"):
                    yield f"optimizer {how}/{name}/{options}", optimizer(name, options, wrap)
        for name, options in SCHEDULES.items():
            yield f"optimizer {how}/schedule/{name}", scheduled(name, options, wrap)
        for name, variants in EMBEDDINGS.items():
            for options in variants:
                case = embedding(name, options, wrap)
                yield f"optimizer {how}/embedding/{name}/{options}", case
        yield f"optimizer {how}/constraint", constrained(wrap)
        for name in OPTIMIZERS:
            if (how, name) != ("function", "Nadam"):
                yield f"optimizer {how}/loop/{name}", training_loop(name, wrap)


def initializer(name, options, shape=(3, 4)):
    return lambda tf, keras: getattr(keras.initializers, name)(seed=7, **options)(shape).numpy()


def activation(name):
    x = np.linspace(-4, 4, 12, dtype=np.float32).reshape(3, 4)
    return lambda tf, keras: keras.activations.get(name)(tf.constant(x)).numpy()


def loss(name):
    return lambda tf, keras: getattr(keras.losses, name)(LABELS, PREDICTIONS).numpy()


def loss_class(name, reduction, weight):
    def case(tf, keras):
        made = getattr(keras.losses, name)(reduction=reduction)
        return made(LABELS, PREDICTIONS, sample_weight=weight).numpy()

    return case


def metric(name, weight):
    def case(tf, keras):
        made = getattr(keras.metrics, name)()
        made.update_state(LABELS, PREDICTIONS, sample_weight=weight)
        made.update_state(LABELS[:1], PREDICTIONS[1:2])
        return made.result().numpy()

    return case


def schedule(name, options):
    def case(tf, keras):
        made = getattr(keras.optimizers.schedules, name)(**options)
        return np.array([float(made(step)) for step in (0, 3, 7, 12, 25)])

    return case


def gradient_through_dense(tf, keras):
    layer = keras.layers.Dense(
        3, activation="elu", kernel_initializer=keras.initializers.HeNormal(seed=3)
    )
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    with tf.GradientTape() as tape:
        result = tf.reduce_sum(tf.square(layer(x)))
    return np.concatenate(
        [g.numpy().ravel() for g in tape.gradient(result, layer.trainable_variables)]
    )


def training_loop(name, wrap):
    """A custom loop: regularized layers, own losses and metrics, one step at a time."""

    def case(tf, keras):
        numbers = np.random.default_rng(7)
        penalty = keras.regularizers.l2(0.05)
        model = keras.models.Sequential(
            [
                keras.layers.Dense(5, activation="elu", kernel_regularizer=penalty),
                keras.layers.Dense(1, kernel_regularizer="l1", bias_constraint="non_neg"),
            ]
        )
        model.build((None, 3))
        model.set_weights([numbers.normal(size=w.shape) for w in model.get_weights()])
        made = getattr(keras.optimizers, name)(learning_rate=0.05)
        mean, error = keras.metrics.Mean(), keras.metrics.MeanAbsoluteError()

        def step(x, y):
            with tf.GradientTape() as tape:
                guess = model(x, training=True)
                main = tf.reduce_mean(keras.losses.huber(y, guess))
                loss = tf.add_n([main] + model.losses)
            weights = model.trainable_variables
            made.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            mean(loss)
            error(y, guess)
            return loss

        run, path = wrap(tf, step), []
        for _ in range(6):
            x = numbers.normal(size=(4, 3)).astype(np.float32)
            loss = run(tf.constant(x), tf.constant(x[:, :1] - 1))
            path += [float(v) for v in (loss, mean.result(), error.result())]
        return np.concatenate([path, *(w.ravel() for w in model.get_weights())])

    return case


def all_cases():
    """The cases by name."""
    cases = {"dense/gradient": gradient_through_dense}
    cases.update(steps())
    for name, options in INITIALIZERS.items():
        cases[f"initializer/{name}"] = initializer(name, options)
    cases["initializer/conv"] = initializer("GlorotUniform", {}, (3, 3, 2, 4))
    for name in ACTIVATIONS:
        cases[f"activation/{name}"] = activation(name)
    for name in LOSSES:
        cases[f"loss/{name}"] = loss(name)
    for name in ("MeanSquaredError", "Huber"):
        for reduction in ("none", "sum", "sum_over_batch_size"):
            for weight in (None, [1.0, 0.0, 2.0]):
                case = loss_class(name, reduction, weight)
                cases[f"loss class/{name}/{reduction}/{weight}"] = case
    for name in METRICS:
        for weight in (None, [1.0, 0.0, 2.0]):
            cases[f"metric/{name}/{weight}"] = metric(name, weight)
    for name, options in SCHEDULES.items():
        cases[f"schedule/{name}"] = schedule(name, options)
    return cases
