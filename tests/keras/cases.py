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
    ],
    "Adam": [{}, {"amsgrad": True}, {"beta_1": 0.8, "epsilon": 1e-3}, {"weight_decay": 0.01}],
    "Nadam": [{}, {"beta_2": 0.99}],
    "Adamax": [{}],
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


def optimizer(name, options):
    def case(tf, keras):
        made = getattr(keras.optimizers, name)(learning_rate=0.1, **options)
        weight, path = tf.Variable(WEIGHTS), []
        for step in range(5):
            gradient = tf.constant(GRADIENT * (1.5 - step))
            made.apply_gradients([(gradient, weight)])
            path.append(weight.numpy())
        return np.stack(path)

    return case


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


def all_cases():
    """The cases by name."""
    cases = {"dense/gradient": gradient_through_dense}
    for name, variants in OPTIMIZERS.items():
        for options in variants:
            cases[f"optimizer/{name}/{options}"] = optimizer(name, options)
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
