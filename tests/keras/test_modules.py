"""Layers as `tf.Module`, and modules in layers; orders of names are what TensorFlow's Keras
gives."""

import numpy as np
import pytest

import headrace as tf
from headrace import keras

X = np.ones((2, 4), np.float32)


@pytest.fixture(autouse=True)
def fresh_names():
    keras.backend.clear_session()


class Scale(tf.Module):
    """A module of plain TensorFlow, with or without a layer inside."""

    def __init__(self, name=None, dense=None):
        super().__init__(name=name)
        self.w = tf.Variable(tf.ones([4]), name=f"{self.name}.w")
        self.fixed = tf.Variable(1.0, trainable=False, name=f"{self.name}.fixed")
        self.a = tf.Variable(1.0, name=f"{self.name}.a")
        if dense is not None:
            self.dense = dense


class Block(keras.layers.Layer):
    """A layer of layers, modules and variables, in attributes and containers."""

    def __init__(self, dense=None, **kwargs):
        super().__init__(**kwargs)
        self.z = keras.layers.Dense(4, name="z", use_bias=False)
        self.module = Scale("m", dense)
        self.own = tf.Variable(2.0, name="own")
        self.b = keras.layers.Dense(4, name="b", use_bias=False)
        self.stay = tf.Variable(2.0, name="stay", trainable=False)
        self.more = [keras.layers.Dense(4, name="l", use_bias=False), Scale("m2")]
        self.named = {"q": Scale("m3"), "p": keras.layers.Dense(4, name="p", use_bias=False)}

    def call(self, inputs):
        inputs = self.b(self.z(inputs)) * self.module.w * self.more[1].w
        return self.named["p"](self.more[0](inputs))


def names(items):
    return [item.name.removesuffix(":0").removesuffix("/kernel") for item in items]


TRAINABLE = "own block/z m.a m.w block/b block/l m2.a m2.w block/p m3.a m3.w".split()
FIXED = "stay m.fixed m2.fixed m3.fixed".split()


@pytest.mark.parametrize(
    "kind",
    [keras.layers.Layer, keras.layers.Dense, keras.Model, keras.Sequential]
    + [keras.metrics.Metric, keras.metrics.Mean],
)
def test_is_a_module(kind):
    assert issubclass(kind, tf.Module)


def test_weights_of_modules_are_weights_of_the_layer():
    block = Block()
    block(X)
    assert names(block.trainable_variables) == TRAINABLE
    assert names(block.non_trainable_variables) == FIXED
    assert names(block.variables) == TRAINABLE + FIXED
    block.trainable = False
    assert block.trainable_variables == []
    assert sorted(names(block.non_trainable_variables)) == sorted(TRAINABLE + FIXED)


def test_gradients_reach_modules():
    block = Block()
    block(X)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(X))
    used = [block.module.w, block.more[1].w, block.z.kernel]
    before = [v.numpy() for v in used]
    gradients = tape.gradient(loss, used)
    assert all(g is not None for g in gradients)
    keras.optimizers.SGD(0.1).apply_gradients(zip(gradients, used, strict=True))
    assert not any(np.array_equal(v, old) for v, old in zip(used, before, strict=True))


def test_what_a_module_gets_later_is_found():
    block = Block()
    block(X)
    assert len(block.weights) == 15
    block.module.new = tf.Variable(1.0, name="new")
    assert len(block.weights) == 16
    block.late = Scale("late")
    assert len(block.trainable_weights) == 14
    block.late = None
    assert len(block.weights) == 16
    outer = keras.Sequential([block])
    outer(X)
    block.module.newer = tf.Variable(1.0, name="newer")
    assert any(v is block.module.newer for v in outer.trainable_variables)


def test_submodules():
    block = Block(dense=keras.layers.Dense(4, name="inside"))
    assert names(block.submodules) == ["z", "m", "b", "l", "m2", "p", "m3", "inside"]
    model = keras.Sequential([keras.layers.Dense(3, name="c"), keras.layers.Dense(2, name="a")])
    model(X)
    model.losses, model.trainable_variables  # noqa: B018
    assert names(model.submodules) == ["c", "a"]
    assert keras.layers.Dense(1).submodules == ()


def test_layers_in_a_module():
    module = tf.Module()
    module.z = keras.layers.Dense(2, name="z")
    module.block = Block()
    assert len(module.variables) == 11
    module.z(X)
    module.block(X)
    order = "stay own block/z m.a m.fixed m.w block/b block/l m2.a m2.fixed m2.w block/p m3.a"
    expected = [*order.split(), "m3.fixed", "m3.w", "z", "z/bias"]
    assert names(module.variables) == expected
    assert names(module.non_trainable_variables) == FIXED
    module.z.trainable = False  # says nothing of the variables themselves
    assert "z/bias" in names(module.trainable_variables)


def test_layers_and_modules_in_a_circle():
    module, outer = Scale("m", keras.layers.Dense(2, name="d")), keras.layers.Layer()
    module.dense(X)
    outer.module, module.back = module, outer
    assert sorted(names(outer.variables)) == ["d", "d/bias", "m.a", "m.fixed", "m.w"]
    assert names(outer.submodules) == ["m", "d"]


def test_a_layer_in_a_module_keeps_losses_and_freezing_to_itself():
    block = Block(dense=keras.layers.Dense(4, kernel_regularizer="l2"))
    block.module.dense(X)
    block.trainable = False
    assert block.losses == [] and len(block.module.dense.losses) == 1
    assert block.module.dense.trainable and not block.z.trainable


def test_name_scope():
    class Named(keras.layers.Layer):
        @tf.Module.with_name_scope
        def make(self):
            return tf.Variable(1.0, name="v")

    layer = Named(name="a name")
    assert layer.make().name == "a name/v:0"
    with layer.name_scope as scope:
        assert scope == "a name/"
    with tf.name_scope("outside"), layer.name_scope:
        assert tf.Variable(1.0, name="v").name == "a name/v:0"


def test_a_weight_that_its_attribute_lets_go():
    layer = keras.layers.Dense(2)
    layer(X)
    del layer.kernel
    assert names(layer.weights) == ["dense/bias"]
    layer.bias = tf.Variable([1.0, 2.0], name="other")
    assert names(layer.weights) == ["other"]


def test_a_name_that_cannot_be_set_is_not_tracked():
    layer = keras.layers.Layer()
    with pytest.raises(AttributeError):
        layer.submodules = [keras.layers.Dense(1)]
    assert layer.submodules == ()


class Spy(keras.layers.Layer):
    """A layer whose list of weights may be kept, or must be made anew each time."""

    def __init__(self, part):
        super().__init__()
        self.part = part


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ((3, 3), True),
        ((keras.layers.Dense(1), tf.Variable(1.0)), True),
        (((), (keras.layers.Dense(1),)), True),
        ([], False),
        (({},), False),
        (tf.Module(), False),
        ((1, (tf.Module(),)), False),
    ],
)
def test_lists_of_weights_are_kept_while_nothing_can_change_unseen(part, kept):
    layer = Spy(part)
    layer.trainable_weights  # noqa: B018
    assert ("trainable" in layer._kept) == kept


class Counting(keras.layers.Layer):
    """A layer with a variable that is not trained between two that are."""

    def build(self, input_shape):
        for name, trainable in (("a", True), ("n", False), ("b", True)):
            self.add_weight(name, shape=[1], trainable=trainable)

    def call(self, inputs):
        return inputs


class Pair(keras.Model):
    """A model with variables of its own before, between and after its layers."""

    def __init__(self):
        super().__init__()
        self.v = tf.Variable(1.0, name="v", trainable=False)
        self.one = Counting(name="one")
        self.w = tf.Variable(1.0, name="w")
        self.two = Counting(name="two")

    def call(self, inputs):
        return self.two(self.one(inputs))


def test_weights_of_a_model_go_layer_by_layer():
    model, stack = Pair(), keras.Sequential([Counting(name="one"), Counting(name="two")])
    model(X)
    stack(X)
    layers = "one/a one/b one/n two/a two/b two/n".split()
    assert names(stack.weights) == layers
    assert names(model.weights) == [f"pair/{name}" for name in layers] + ["w", "v"]
    trained = [f"pair/{name}" for name in layers if name[-1] != "n"]
    assert names(model.trainable_weights) == [*trained, "w"]
    assert names(model.non_trainable_weights) == ["pair/one/n", "pair/two/n", "v"]
    model.one.trainable = False
    assert names(model.weights) == [f"pair/{name}" for name in layers] + ["w", "v"]
