"""Layers by properties: what must hold for every layer, then what single ones promise."""

import functools
import gc
import weakref

import numpy as np
import pytest

import headrace as tf
from headrace import keras

SINGLE = {
    "dense": lambda: keras.layers.Dense(3, activation="relu", kernel_regularizer="l2"),
    "dense without bias": lambda: keras.layers.Dense(2, use_bias=False),
    "activation": lambda: keras.layers.Activation("tanh"),
    "dropout": lambda: keras.layers.Dropout(0.4, seed=1),
    "flatten": lambda: keras.layers.Flatten(),
}
LAYERS = {
    **SINGLE,
    "stack": lambda: keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)]),
}
X = np.linspace(-1, 1, 12).reshape(3, 4)


@pytest.fixture(autouse=True)
def fresh_names():
    keras.backend.clear_session()


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
class TestEveryLayer:
    def test_config_round_trip(self, make):
        layer = make()
        layer(X)
        again = type(layer).from_config(layer.get_config())
        again(X)
        assert again.get_config() == layer.get_config()
        again.set_weights(layer.get_weights())
        np.testing.assert_array_equal(again(X), layer(X))

    def test_float64_input_is_cast(self, make):
        result = make()(X)
        assert result.dtype == tf.float32
        np.testing.assert_array_equal(X, np.linspace(-1, 1, 12).reshape(3, 4))

    def test_output_shape(self, make):
        layer = make()
        result = layer(X)
        assert layer.compute_output_shape(tf.TensorShape([None, 4])) == [
            None,
            *result.shape[1:],
        ]
        assert layer.output_shape == tuple(result.shape)

    def test_gradients_reach_all_weights(self, make):
        layer = make()
        layer(X)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(tf.square(layer(X + 2)))
        gradients = tape.gradient(value, layer.trainable_variables)
        assert all(g is not None for g in gradients)
        assert [g.shape for g in gradients] == [v.shape for v in layer.trainable_variables]

    def test_weights_set_and_refused(self, make):
        layer = make()
        layer(X)
        before = layer.get_weights()
        wrong = [np.zeros(tuple(d + 1 for d in w.shape)) for w in before]
        if before:
            with pytest.raises(ValueError, match="not compatible with provided weight shape"):
                layer.set_weights(wrong)
        with pytest.raises(ValueError, match="weight list of length"):
            layer.set_weights([*before, np.zeros(1)])
        for kept, weight in zip(before, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(kept, weight)

    def test_frozen(self, make):
        layer = make()
        layer(X)
        count = len(layer.weights)
        layer.trainable = False
        assert layer.trainable_weights == []
        assert len(layer.non_trainable_weights) == count
        layer.trainable = True
        assert len(layer.trainable_weights) == count


@pytest.mark.parametrize("make", SINGLE.values(), ids=SINGLE)
class TestEverySingleLayer:
    """What holds for layers that take all of a layer's arguments; a stack has its layers'."""

    def test_float64_layer(self, make):
        layer = type(make()).from_config({**make().get_config(), "dtype": "float64"})
        assert layer(X.astype(np.float32)).dtype == tf.float64

    def test_unknown_argument(self, make):
        with pytest.raises(TypeError, match="Keyword argument not understood"):
            type(make()).from_config({**make().get_config(), "colour": "red"})


def test_float64_stack():
    stack = keras.Sequential([keras.layers.Dense(2, dtype="float64") for _ in range(2)])
    assert stack(X.astype(np.float32)).dtype == tf.float64


def test_names():
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(1)])
    model(X)
    assert [v.name for v in model.weights] == [
        "dense/kernel:0",
        "dense/bias:0",
        "dense_1/kernel:0",
        "dense_1/bias:0",
    ]
    assert model.name == "sequential"


class Block(keras.layers.Layer):
    """A layer that holds others in a list, a dict and an attribute."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.items = [keras.layers.Dense(4) for _ in range(2)]
        self.named = {"b": keras.layers.Dense(4), "a": [keras.layers.Dense(4)]}
        self.scale = tf.Variable(2.0, name="scale")

    def call(self, inputs):
        for layer in (*self.items, self.named["b"], *self.named["a"]):
            inputs = layer(inputs)
        return inputs * self.scale


def test_containers_are_tracked():
    block = Block()
    block(X)
    assert len(block.weights) == 9
    block.items.append(keras.layers.Dense(4))
    block(X)
    assert len(block.trainable_variables) == 11
    del block.named
    assert len(block.trainable_variables) == 7
    assert block.weights[0] is block.scale
    assert "block/dense/kernel:0" in [v.name for v in block.weights]


def test_weights_of_a_sub_layer_that_is_built_later():
    model = keras.Sequential([keras.layers.Dense(3)])
    outer = keras.Sequential([model])
    with pytest.raises(ValueError, match="have not yet been created"):
        outer.weights  # noqa: B018
    outer(X)
    assert len(outer.trainable_variables) == 2
    model.layers[0].trainable = False
    assert outer.trainable_variables == []


def test_losses():
    model = keras.Sequential(
        [keras.layers.Dense(3, kernel_regularizer=keras.regularizers.l2(0.5))]
    )
    model(X)
    kernel = model.weights[0]
    assert float(model.losses[0]) == pytest.approx(0.5 * np.sum(kernel.numpy() ** 2), rel=1e-6)
    kernel.assign(tf.ones_like(kernel))
    assert float(model.losses[0]) == 6.0


class Penalised(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.dense.add_loss(lambda: tf.constant(7.0))

    def call(self, inputs):
        self.add_loss(0.25 * tf.reduce_mean(inputs))
        return self.dense(inputs)


def test_added_losses_belong_to_a_call():
    model = Penalised()
    for _ in range(3):
        model(np.ones((2, 4)))
        assert [float(loss) for loss in model.losses] == [0.25, 7.0]


def test_activity_regularizer():
    layer = keras.layers.Dense(1, kernel_initializer="ones", activity_regularizer="l2")
    layer(np.ones((2, 4)))
    assert float(layer.losses[0]) == pytest.approx(0.01 * 32 / 2)


def test_training_is_passed_on():
    seen = []

    class Spy(keras.layers.Layer):
        def call(self, inputs, training=None):
            seen.append(training)
            return inputs

    class Outer(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.spy = Spy()

        def call(self, inputs, training=None):
            return self.spy(inputs)

    outer = Outer()
    outer(X, training=True)
    outer(X)
    keras.Sequential([Outer()])(X, training=False)
    assert seen == [True, None, False]


def noted(x, *values):
    SEEN.append(values)
    return x


def with_locals(x):
    mask, training = "local", "too"
    return noted(x, mask, training)


class Callable:
    def __call__(self, x, mask="unset", training="unset"):
        return noted(x, mask, training)

    def method(self, x, training="unset"):
        return noted(x, training)


def both(x, mask="unset", training="unset"):
    return noted(x, mask, training)


@functools.wraps(both)
def wrapper(x, **options):
    return noted(x, *options)


SEEN = []
MASK = [True, False, True]
FUNCTIONS = {  # the function, and what it is given of the mask and the mode
    "neither": (lambda x: noted(x), ()),
    "mask": (lambda x, mask: noted(x, mask), (MASK,)),
    "training": (lambda x, training: noted(x, training), (True,)),
    "both": (both, (MASK, True)),
    "keyword-only": (lambda x, *, mask="unset": noted(x, mask), ("unset",)),
    "any keywords": (lambda x, **options: noted(x, *options), ()),
    "local variables": (with_locals, ("local", "too")),
    "object": (Callable(), (MASK, True)),
    "method": (Callable().method, (True,)),
    "wrapper": (wrapper, ()),
    "partial": (functools.partial(both, training="bound"), (MASK, "bound")),
}


@pytest.mark.parametrize(("function", "expected"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_lambda_passes_mask_and_mode_to_functions_that_take_them(function, expected):
    layer = keras.layers.Lambda(function)
    SEEN.clear()
    layer(X, mask=MASK, training=True)
    layer(X)
    without = tuple(None if value in (MASK, True) else value for value in expected)
    assert SEEN == [expected, without]


def test_lambda_around_a_function_that_does_not_say_what_it_takes():
    assert float(keras.layers.Lambda(max)(np.array([1.0, 3.0, 2.0]))) == 3.0


def test_lambda_in_a_layer_that_trains():
    SEEN.clear()
    keras.Sequential([keras.layers.Lambda(both)])(X, training=True)
    assert SEEN == [(None, True)]


def test_lambda_arguments_give_way_to_mask_and_mode():
    SEEN.clear()
    layer = keras.layers.Lambda(
        lambda x, k, mask: noted(x, k, mask), arguments={"k": 3, "mask": "given"}
    )
    layer(X, mask=MASK)
    assert SEEN == [(3, MASK)]


def test_mask_of_a_lambda():
    assert keras.layers.Lambda(both).supports_masking
    assert keras.layers.Lambda(both).compute_mask(X, MASK) is None
    assert keras.layers.Lambda(both, mask=MASK).compute_mask(X) == MASK
    assert keras.layers.Lambda(both, mask=lambda x, mask: mask).compute_mask(X, MASK) == MASK


def test_dropout():
    layer = keras.layers.Dropout(0.25)
    x = np.ones((100, 100), np.float32)
    np.testing.assert_array_equal(layer(x), x)
    dropped = layer(x, training=True).numpy()
    assert set(np.unique(dropped)) == {0.0, np.float32(4 / 3)}
    assert 0.2 < (dropped == 0).mean() < 0.3


def test_dense_on_more_dimensions():
    layer = keras.layers.Dense(2)
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    result = layer(x)
    kernel, bias = layer.get_weights()
    expected = np.einsum("abc,cd->abd", x, kernel) + bias
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: keras.layers.Dense(-1), ValueError, "expected a positive integer"),
        (
            lambda: keras.layers.Dense(3)(np.ones(3)),
            ValueError,
            "expected min_ndim=2, found ndim=1",
        ),
        (lambda: keras.layers.Dropout(1.5), ValueError, "between 0 and 1"),
        (lambda: keras.Sequential([1]), TypeError, "must be an instance of class Layer"),
        (lambda: keras.activations.get("foo"), ValueError, "Unknown activation function 'foo'"),
        (lambda: keras.initializers.get("foo"), ValueError, "Unknown initializer: 'foo'"),
        (lambda: keras.losses.get("foo"), ValueError, "Unknown loss function: 'foo'"),
        (lambda: keras.regularizers.l2("x"), ValueError, "Invalid Regularization Factor"),
        (
            lambda: keras.Sequential([keras.layers.Dense(1)]).summary(),
            ValueError,
            "not yet been built",
        ),
    ],
)
def test_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_error_names_the_layer():
    model = keras.Sequential([keras.layers.Dense(3)])
    model(X)
    with pytest.raises(ValueError, match="axis -1 of input shape to have value 4") as caught:
        model(np.ones((2, 5)))
    assert "calling layer 'sequential' (type Sequential)" in str(caught.value)


def test_summary():
    model = keras.Sequential([keras.layers.Dense(3, input_shape=(4,)), keras.layers.Dense(1)])
    lines = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert 'Model: "sequential"' in text
    assert "dense (Dense)" in text and "(None, 3)" in text
    assert "Total params: 19 (76.00 Byte)" in text


def test_custom_functions_by_name():
    def double(x):
        return 2 * x

    layer = keras.layers.Dense(1, activation=double)
    config = layer.get_config()
    assert config["activation"] == "double"
    with keras.utils.custom_object_scope({"double": double}):
        assert keras.layers.Dense.from_config(config).activation is double
    with pytest.raises(ValueError, match="Unknown activation function 'double'"):
        keras.layers.Dense.from_config(config)


def test_models_are_freed():
    model = keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(1)])
    model(X)
    model.trainable_variables  # noqa: B018
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
