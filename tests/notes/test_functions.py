"""What the notes' last section says of functions and graphs, sentence by sentence."""

import sys

import pytest

import headrace as tf
from headrace.core.graph import Symbol


@pytest.fixture
def tf_cube():
    @tf.function
    def tf_cube(x):
        return x**3

    return tf_cube


def test_a_graph_for_each_shape_and_dtype(tf_cube):
    tf_cube(tf.constant(10))
    tf_cube(tf.constant([10, 20]))
    assert tf_cube.experimental_get_tracing_count() == 2
    first, second = (trace.function.inputs[0] for trace in tf_cube.traces())
    assert (first.shape.as_list(), first.dtype) == ([], tf.int32)
    assert (second.shape.as_list(), second.dtype) == ([2], tf.int32)
    assert int(tf_cube(tf.constant(-3))) == -27
    assert tf_cube(tf.constant([1, 2])).numpy().tolist() == [1, 8]
    assert tf_cube.experimental_get_tracing_count() == 2
    tf_cube(tf.constant(2.0))
    assert tf_cube.experimental_get_tracing_count() == 3


def test_a_graph_for_each_python_value(tf_cube):
    assert (int(tf_cube(2)), int(tf_cube(3)), int(tf_cube(2))) == (8, 27, 8)
    assert tf_cube.experimental_get_tracing_count() == 2


def test_nodes_that_nobody_uses_go_and_expressions_become_simpler(capsys, monkeypatch):
    monkeypatch.setenv("HEADRACE_PASSES", "1")

    @tf.function
    def wasteful(x):
        tf.exp(x) + 1.0
        return x * 1.0 + (2.0 + tf.constant(3.0))

    wasteful.pretty_graph(tf.TensorSpec([2]))
    text = capsys.readouterr().out
    last = text.rpartition("# after")[2]
    assert "Exp(" not in last and "Mul(" not in last and last.count("AddV2(") == 1


def test_operations_run_in_their_order(capsys):
    variable = tf.Variable(1.0)

    @tf.function
    def steps(x):
        tf.print("first", variable, output_stream=sys.stdout)
        variable.assign(x)
        tf.print("then", variable, output_stream=sys.stdout)
        return variable * 2.0

    assert float(steps(tf.constant(5.0))) == 10.0
    assert capsys.readouterr().out == "first 1\nthen 5\n"


def test_control_flow_becomes_operations():
    @tf.function
    def collatz(n):
        count = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            count += 1
            if count > 200:
                break
        for _ in tf.range(2):
            count += 1
        return count

    assert int(collatz(tf.constant(27))) == 113
    (trace,) = collatz.traces()
    types = {op.type for op in trace.function.graph.get_operations()}
    assert "StatelessWhile" in types
    text = tf.autograph.to_code(collatz.python_function)
    assert "while_" in text and "if_" in text


def test_parameters_are_symbolic_tensors_in_graph_mode():
    seen = []

    @tf.function
    def look(x):
        seen.append((x, tf.executing_eagerly(), hasattr(x, "numpy")))
        return x

    look(tf.constant([1, 2]))
    ((x, eagerly, has_value),) = seen
    assert isinstance(x, Symbol) and not eagerly and not has_value
    assert (x.name, x.dtype, x.shape.as_list()) == ("x:0", tf.int32, [2])
    assert repr(x) == "<tf.Tensor 'x:0' shape=(2,) dtype=int32>"


def test_the_python_function_is_still_there(tf_cube):
    assert tf_cube.python_function(2) == 8
