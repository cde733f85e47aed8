"""`dead`, `cse`, `fold` and `shapes` on programs made by hand."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.base import dtypes
from headrace.compile.passes.cse import attr_key, cse
from headrace.compile.passes.dead import dead
from headrace.compile.passes.fold import fold
from headrace.compile.passes.program import Program, program_of
from headrace.compile.passes.shapes import shapes
from headrace.compile.passes.simplify import bypass, remap, simplify
from headrace.core.graph import Graph
from tests.compile.passes.support import f32, ops, passed, program, run, spec

X = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)


def traced(function, *arrays) -> Program:
    """The program of a function that is traced with all that `tf.function` does."""
    graph = tf.function(function).get_concrete_function(*map(tf.constant, arrays)).graph
    return program_of(graph, graph.parameters, graph.outputs, "test")


# dead


def test_dead_leaves_out_what_nobody_reads():
    made = program(lambda x, y: (x + y, tf.tanh(x)), spec(2, 2), spec(2, 2))
    less = Program(made.nodes, made.inputs, made.fetches[:1])
    after = dead(less)
    assert ops(after) == ["AddV2"]
    assert after.inputs == made.inputs


def test_dead_keeps_effects_and_drops_reads_and_random_numbers():
    v = tf.Variable(1.0)

    def f(x):
        v.read_value()
        tf.random.uniform([2])
        v.assign_add(2.0)
        return x * 1.0

    assert ops(dead(traced(f, X))) == ["AssignAddVariableOp", "Mul", "Identity"]


def test_dead_keeps_what_others_wait_for():
    with Graph() as graph:
        x = graph.placeholder(f32, (2,), "x")
        before = tf.tanh(x)
        graph.control = (before.node,)
        y = tf.exp(x)
        graph.control = ()
    made = program_of(graph, [x], [y])
    assert ops(dead(made)) == ["Tanh", "Exp"]
    assert made.nodes[1].control == ("Tanh",)
    assert ops(cse(simplify(bypass(made)))) == ["Tanh", "Exp"]


# cse


def test_cse_computes_once():
    made = program(lambda x: tf.tanh(x) * tf.tanh(x) + tf.exp(x), spec(2, 2))
    after = passed(lambda p: dead(cse(p)), made, X)
    assert ops(after) == ["Tanh", "Mul", "Exp", "AddV2"]


def test_cse_tells_attributes_apart():
    made = program(
        lambda x: (tf.reduce_sum(x, 0), tf.reduce_sum(x, 1), tf.reduce_sum(x, 0)), spec(2, 2)
    )
    after = passed(lambda p: dead(cse(p)), made, X)
    assert ops(after) == ["Sum", "Sum"]
    assert after.fetches[0] is after.fetches[2]


@pytest.mark.parametrize(
    "one, other",
    [
        (0.0, -0.0),
        (1, True),
        (1, 1.0),
        ((1, 2), (1, 2.0)),
        (np.array([1.0]), np.array([1])),
        (np.array([0.0]), np.array([-0.0])),
        (np.zeros((1, 2)), np.zeros((2, 1))),
        (np.array([b"a"], object), np.array([b"b"], object)),
        ("1", 1),
    ],
)
def test_attributes_that_differ(one, other):
    assert attr_key(one) != attr_key(other)
    assert attr_key(one) == attr_key(one)


def test_attributes_that_are_alike():
    assert attr_key(np.array([1.0, np.nan])) == attr_key(np.array([1.0, np.nan]))
    assert attr_key(np.array([b"a"], object)) == attr_key(np.array([b"a"], object))
    assert attr_key((1, (2, "x"))) == attr_key((1, (2, "x")))


def test_cse_merges_reads_between_writes():
    v, w = tf.Variable(1.0), tf.Variable(5.0)

    def f(x):
        a = v.read_value() + v.read_value()
        w.assign(a)
        b = v.read_value()
        v.assign_add(1.0)
        return a + b + v.read_value() + w.read_value()

    after = passed(lambda p: dead(cse(p)), traced(f, np.float32(0)))
    found = ops(after)
    assert found.count("ReadVariableOp") == 3
    assert run(after, np.float32(0), v, w)[0] == 7.0
    assert (float(v), float(w)) == (2.0, 2.0)


def test_cse_leaves_random_numbers_alone():
    made = program(
        lambda x: x + tf.random.uniform([2], seed=1) + tf.random.uniform([2], seed=1), spec(2)
    )
    assert ops(cse(made)).count("RandomUniform") == 2


# fold


def test_fold_computes_constants():
    made = program(lambda x: x * (tf.constant(2.0) + 3.0) ** 2.0, spec(2, 2))
    after = passed(lambda p: dead(fold(p)), made, X)
    assert ops(after) == ["Mul"]
    assert after.nodes[0].attrs["value"] == 25.0


def test_fold_settles_static_inputs():
    made = program(
        lambda x, n: tf.reshape(x, tf.stack([n, -1])), spec(2, 2), spec(dtype=dtypes.int32)
    )
    assert len(made.nodes[-1].reads) == 2
    with Graph() as graph:
        n = graph.constant(np.array([4, 1], np.int32))
        n.spec = n.spec._replace(value=None)  # as if it had come from a call
        x = graph.placeholder(f32, (2, 2), "x")
        y = tf.reshape(x, n)
    made = program_of(graph, [x], [y])
    after = passed(lambda p: dead(fold(p)), made, X)
    assert ops(after) == ["Reshape"] and after.nodes[0].attrs["shape"] == (4, 1)
    assert shapes(after).nodes[0].outputs[0].spec.shape == (4, 1)


def test_fold_leaves_alone_what_is_large_fails_or_is_random():
    def f(x):
        large = tf.fill([1000, 1000], 2.0)
        wrong = tf.constant([1, 2]) // tf.constant([0, 1])
        drawn = tf.random.uniform([2], seed=3)
        return large, wrong, drawn, x

    made = program(f, spec(2))
    after = fold(made)
    assert [n.op.name for n in after.nodes if n.op.name != "Const"] == ops(made)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Integer division by zero"):
        run(after, np.ones(2, np.float32))


def test_fold_gives_several_results():
    made = program(lambda x: [a + x for a in tf.split([1.0, 2.0, 3.0, 4.0], 2)], spec(2))
    after = passed(lambda p: dead(fold(p)), made, np.ones(2, np.float32))
    assert ops(after) == ["AddV2", "AddV2"]


def test_fold_takes_shapes_that_are_known():
    made = program(lambda x: tf.shape(x)[0] * 2 + tf.rank(x), spec(3, None))
    with_dims = program(lambda x: tf.shape(x), spec(3, 5))
    assert ops(fold(with_dims)) == []
    assert run(fold(made), np.ones((3, 4), np.float32))[0] == 8


# shapes


def test_shapes_are_sharpened():
    made = program(lambda x: tf.shape(tf.tanh(x) + 1.0), spec(None, None))
    known = program(lambda x: x, spec(3, 5)).inputs[0]
    sharper = Program(
        [_with(node, made.inputs[0], known) for node in made.nodes], (known,), made.fetches
    )
    after = shapes(sharper)
    assert [n.outputs[0].spec.shape for n in after.nodes if n.op.name != "Const"] == [
        (3, 5),
        (3, 5),
        (2,),
    ]
    assert ops(dead(fold(after))) == []


def _with(node, old, new):
    return node.like(inputs=tuple(new if v is old else v for v in node.inputs))


def test_shapes_keep_what_the_user_said():
    def f(x):
        y = tf.exp(x)
        y.set_shape([3])
        return tf.tanh(y)

    made = program(f, spec(None))
    assert shapes(made).fetches[0].spec.shape == (3,)


# simplify, on what rules alone do not show


def test_chains_collapse():
    made = program(lambda x: -(-(-(-x))) * 1.0 / 1.0 - 0.0, spec(2, 2))
    after = passed(lambda p: dead(simplify(p)), made, X)
    assert ops(after) == [] and after.fetches == after.inputs


def test_identities_go_and_shapes_that_users_gave_stay():
    def f(x):
        y = tf.identity(tf.identity(x))
        z = tf.identity(y)
        z.set_shape([2, 2])
        return z

    after = passed(lambda p: dead(bypass(p)), program(f, spec(None, 2)), X)
    assert ops(after) == ["Identity"]
    assert after.fetches[0].spec.shape == (2, 2)


def test_constants_that_stretch_stay():
    made = program(lambda x: x + tf.zeros([3, 2], tf.int32), spec(2, dtype=dtypes.int32))
    after = passed(simplify, made, np.array([1, 2], np.int32))
    assert "AddV2" in ops(after)
    made = program(lambda x: x + tf.zeros([1], tf.int32), spec(None, dtype=dtypes.int32))
    assert "AddV2" in ops(simplify(fold(made)))


def test_reshapes_that_may_fail_stay():
    def f(x):
        return tf.reshape(tf.reshape(x, [2, 3]), [-1])

    made = program(f, spec(None))
    assert ops(simplify(made)) == ["Reshape", "Reshape"]
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        run(simplify(made), np.ones(7, np.float32))
    g = program(
        lambda x: tf.reshape(tf.reshape(x, [-1, 14, 56]), [-1, 784]), spec(None, 28, 28)
    )
    assert ops(dead(simplify(g))) == ["Reshape"]


def test_transposes_go_into_products():
    made = program(lambda x, y: tf.transpose(x) @ tf.transpose(y), spec(2, 2), spec(2, 2))
    after = passed(lambda p: dead(remap(simplify(p))), made, X, X + 1)
    assert ops(after) == ["MatMul"]
    assert after.nodes[0].attrs["transpose_a"] and after.nodes[0].attrs["transpose_b"]
