"""Concrete functions: what they say of themselves, and how they are called."""

import pytest

import headrace as tf


@pytest.fixture
def power():
    @tf.function
    def power(base, exponent, *, scale=1.0):
        return base**exponent * scale

    spec = tf.TensorSpec([None], tf.float32)
    return power.get_concrete_function(spec, 2, scale=3.0)


def test_what_it_says_of_itself(power):
    args, kwargs = power.structured_input_signature
    assert args == (tf.TensorSpec([None], tf.float32, name="base"), 2)
    assert kwargs == {"scale": 3.0}
    assert [s.name for s in power.inputs] == ["base:0"]
    assert repr(power.structured_outputs) == (
        "<tf.Tensor 'Identity:0' shape=(None,) dtype=float32>"
    )
    assert power.output_shapes.as_list() == [None] and power.output_dtypes is tf.float32
    assert "base: TensorSpec(shape=(None,), dtype=tf.float32, name=None)" in repr(power)
    assert "exponent (POSITIONAL_OR_KEYWORD): Literal[2]" in str(power)
    assert power.graph.get_tensor_by_name("Identity:0") is power.outputs[0]


def test_values_that_were_traced_may_be_repeated(power):
    x = tf.constant([2.0])
    for found in (power(x), power(x, 2), power(base=x), power(x, exponent=2, scale=3.0)):
        assert found.numpy().tolist() == [12.0]


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((3,), {}, r"Can not cast 3 to Literal\[2\]"),
        ((), {"exponent": 3}, r"Can not cast 3 to Literal\[2\]"),
        ((2, 3.0, 4), {}, "too many positional arguments"),
        ((), {"color": 1}, "got unexpected keyword argument color"),
        ((), {"base": 1.0}, "got multiple values for argument 'base'"),
    ],
)
def test_other_values_are_refused(power, args, kwargs, text):
    with pytest.raises(TypeError, match=text):
        power(tf.constant([2.0]), *args, **kwargs)


def test_variables_and_captures():
    weight, fixed = tf.Variable(2.0), tf.Variable(1.0, trainable=False)
    large = tf.ones([200])

    @tf.function
    def model(x):
        return weight * x + fixed + tf.reduce_sum(large)

    concrete = model.get_concrete_function(tf.TensorSpec([]))
    assert concrete.variables == (weight, fixed)
    assert concrete.trainable_variables == (weight,)
    assert len(concrete.captured_inputs) == 3
    assert [s.dtype for s in concrete.inputs].count(tf.resource) == 2
    with tf.GradientTape() as tape:
        y = concrete(tf.constant(4.0))
    assert float(y) == 209.0 and float(tape.gradient(y, weight)) == 4.0


def test_a_graph_by_hand_lists_its_constants():
    graph = tf.Graph()
    with graph.as_default():
        total = tf.constant(1.0) + 2.0
    assert [op.name for op in graph.get_operations()] == ["Const", "add/y", "add"]
    assert total.graph is graph and graph.as_graph_element("add:0") is total
